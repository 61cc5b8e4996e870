//! Lines on their way to a sink, and the exact number of those that will never get there.
//!
//! How many were lost is told by a line like any other, which may be lost itself: then its number
//! counts again.

/// Bytes kept for a sink that takes none.
pub(super) const LIMIT: usize = 1024 * 1024;
/// Bytes of memory that an empty queue keeps.
const KEPT: usize = 64 * 1024;

/// Rendered lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// The first line has been written in part.
    is_cut: bool,
    /// Lines that were lost, and not told yet.
    lost: u64,
    /// Why the last of them was.
    why: &'static str,
    /// Where in `bytes` the line ends that tells of so many lost ones.
    notice: Option<(usize, u64)>,
}

impl Queue {
    /// What is to be written: whole lines, but for the first.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < LIMIT
    }

    /// Adds what `render` appends: one line, or a few that belong together.
    pub(super) fn add(&mut self, render: impl FnOnce(&mut Vec<u8>)) {
        render(&mut self.bytes);
    }

    /// A line for which there was no room.
    pub(super) fn lose(&mut self, why: &'static str) {
        self.lost += 1;
        self.why = why;
    }

    /// Adds a line that tells how many were lost, if any were.
    pub(super) fn add_notice(&mut self, render: impl FnOnce(&mut Vec<u8>, u64, &str)) {
        if self.lost == 0 || self.notice.is_some() {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        render(&mut self.bytes, lost, self.why);
        self.notice = Some((self.bytes.len(), lost));
    }

    /// So many bytes are written.
    pub(super) fn taken(&mut self, count: usize) {
        if let Some(last) = self.bytes[..count].last() {
            self.is_cut = *last != b'\n';
        }
        self.remove(count);
    }

    /// What is left of a line that was written in part is lost with it.
    pub(super) fn lose_cut_line(&mut self, why: &'static str) {
        if std::mem::take(&mut self.is_cut) {
            let end = self.bytes.iter().position(|byte| *byte == b'\n');
            self.lose_first(end.map_or(self.bytes.len(), |end| end + 1), why);
        }
    }

    /// Everything is lost.
    pub(super) fn lose_all(&mut self, why: &'static str) {
        self.lose_first(self.bytes.len(), why);
        self.is_cut = false;
    }

    fn lose_first(&mut self, count: usize, why: &'static str) {
        self.why = why;
        let is_end = |byte: &&u8| **byte == b'\n';
        self.lost += self.bytes[..count].iter().filter(is_end).count() as u64;
        if let Some((_, lost)) = self.notice.take_if(|(end, _)| *end <= count) {
            // The notice is no line of the log's own.
            self.lost += lost - 1;
        }
        self.remove(count);
    }

    fn remove(&mut self, count: usize) {
        self.bytes.drain(..count);
        // A start with ten thousand services says a lot at once.
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        self.notice = match self.notice {
            Some((end, lost)) if end > count => Some((end - count, lost)),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(queue: &mut Queue, line: &str) {
        queue.add(|out| out.extend_from_slice(line.as_bytes()));
    }

    fn notice(queue: &mut Queue) {
        queue.add_notice(|out, lost, why| {
            out.extend_from_slice(format!("{lost} lost: {why}\n").as_bytes());
        });
    }

    #[test]
    fn lines_are_taken_in_pieces() {
        let mut queue = Queue::default();
        add(&mut queue, "one\n");
        add(&mut queue, "two\n");
        queue.taken(5);
        assert_eq!(queue.bytes(), b"wo\n");
        queue.lose_cut_line("full");
        assert!(queue.is_empty());
        notice(&mut queue);
        assert_eq!(queue.bytes(), b"1 lost: full\n");
    }

    #[test]
    fn a_line_that_is_whole_is_not_lost_with_a_cut_one() {
        let mut queue = Queue::default();
        add(&mut queue, "one\ntwo\nthree\n");
        queue.taken(4);
        queue.lose_cut_line("full");
        assert_eq!(queue.bytes(), b"two\nthree\n");
        queue.taken(1);
        queue.lose_cut_line("full");
        assert_eq!(queue.bytes(), b"three\n");
    }

    #[test]
    fn what_was_lost_is_told_until_somebody_takes_it() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            add(&mut queue, "one\n");
            queue.lose_all("full");
        }
        for _ in 0..2 {
            notice(&mut queue);
            add(&mut queue, "two\n");
            queue.lose_all("full");
        }
        queue.lose("busy");
        notice(&mut queue);
        assert_eq!(queue.bytes(), b"6 lost: busy\n");
        queue.taken(3);
        queue.lose_cut_line("full");
        notice(&mut queue);
        queue.taken(13);
        notice(&mut queue);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_second_notice_waits_for_the_first() {
        let mut queue = Queue::default();
        queue.lose("busy");
        add(&mut queue, "one\n");
        notice(&mut queue);
        queue.lose("busy");
        notice(&mut queue);
        assert_eq!(queue.bytes(), b"one\n1 lost: busy\n");
        queue.taken(17);
        notice(&mut queue);
        assert_eq!(queue.bytes(), b"1 lost: busy\n");
    }
}
