//! Events as lines, and where the lines go.
//!
//! Lines are gathered during a turn of the loop and written at its end, never waiting: what a stuck
//! reader does not take is kept up to a megabyte, then lost and counted, and the count is told when the
//! reader takes lines again. What clients can cause too much of is left out before. A log that cannot be written is nobody's reason to stop.

mod address;
mod json;
mod limiter;
mod queue;
mod render;
mod sink;
mod syslog;
mod text;

#[cfg(test)]
mod tests;

pub use json::line as json;

use crate::event::Event;
use crate::sys::Errno;
use crate::table::{LogAddress, LogFormat, LogSink};
use limiter::{Limiter, Summary};
use queue::Queue;
use render::Renderer;
use sink::{Sink, Wrote};
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// Appends the event's line of text, without a time.
pub fn text(out: &mut Vec<u8>, event: &Event, address: LogAddress) {
    text::line(out, event, address, |_| ());
}

/// The server's log.
#[derive(Debug)]
pub struct Log {
    /// Where it should be; `sink` is elsewhere when that could not be opened.
    wanted: LogSink,
    sink: Sink,
    limiter: Limiter,
    renderer: Renderer,
    queue: Queue,
    /// Before that moment nothing is written.
    resting_until: Option<Instant>,
    /// Why lines were not taken the last time that they were not.
    trouble: &'static str,
}

/// Why lines are lost while a sink only has no room.
const NOT_READ: &str = "the log was not read";

impl Log {
    /// A log on standard error in text form, until the table has said otherwise.
    pub fn on_stderr() -> Log {
        Log {
            wanted: LogSink::Stderr,
            sink: Sink::stderr(),
            limiter: Limiter::default(),
            renderer: Renderer::new(),
            queue: Queue::default(),
            resting_until: None,
            trouble: NOT_READ,
        }
    }

    /// Puts the table's wishes in force. When a file cannot be opened the log stays where it was.
    /// Its [`Log::descriptor`] may be another afterwards, and the one before closed.
    pub fn configure(
        &mut self,
        sink: &LogSink,
        format: LogFormat,
        address: LogAddress,
    ) -> std::io::Result<()> {
        self.tell_left_out();
        self.flush();
        (self.renderer.format, self.renderer.address) = (format, address);
        self.wanted = sink.clone();
        if self.wanted == *self.sink.kind() {
            return Ok(());
        }
        self.reopen()
    }

    /// How much of an address is shown.
    pub fn address(&self) -> LogAddress {
        self.renderer.address
    }

    /// Opens the log again: a file, after it was moved away. As to the descriptor, see
    /// [`Log::configure`].
    pub fn reopen(&mut self) -> std::io::Result<()> {
        self.flush();
        let (sink, doubt) = Sink::open(&self.wanted, Instant::now())?;
        if let Some(errno) = doubt {
            self.say_where_it_will_be(errno);
        }
        self.sink = sink;
        self.resting_until = None;
        self.queue.lose_cut_line(self.trouble);
        Ok(())
    }

    /// The last line where the log is read, when it goes where it is not read yet.
    fn say_where_it_will_be(&mut self, errno: Errno) {
        let errno = crate::event::words(errno);
        let text = format!("the log waits for somebody to listen at /dev/log: {errno}");
        self.append(&Event::Warning { text: &text });
        self.flush();
    }

    /// Adds an event's line, if it has one, and unless there were too many like it.
    pub fn write(&mut self, event: &Event) {
        if !event.is_logged() {
            return;
        }
        let now = Instant::now();
        if self.next_due().is_some_and(|due| due <= now) {
            self.tick(now);
        }
        if self.limiter.admits(event, now) {
            self.append(event);
        }
    }

    /// When [`Log::tick`] is to be called; `None` while no line was left out.
    pub fn next_due(&self) -> Option<Instant> {
        self.limiter.due()
    }

    /// Tells how many lines were left out, where it is time.
    pub fn tick(&mut self, now: Instant) {
        let summaries = self.limiter.end_windows(now);
        self.append_all(&summaries);
    }

    /// Tells how many lines were left out so far: before things change, and at the end.
    pub fn tell_left_out(&mut self) {
        let summaries = self.limiter.tell(Instant::now());
        self.append_all(&summaries);
    }

    fn append_all(&mut self, summaries: &[Summary]) {
        for summary in summaries {
            self.append(&summary.event());
        }
    }

    fn append(&mut self, event: &Event) {
        if !self.queue.has_room() && self.resting_until.is_none() {
            self.flush();
        }
        if !self.queue.has_room() {
            return self.queue.lose(self.trouble);
        }
        self.tell_lost();
        let (renderer, style) = (&mut self.renderer, self.sink.style());
        self.queue.add(|out| renderer.line(out, event, style));
    }

    fn tell_lost(&mut self) {
        let (renderer, style) = (&mut self.renderer, self.sink.style());
        self.queue.add_notice(|out, lost, why| {
            let text = format!("{lost} log lines were lost: {why}");
            renderer.line(out, &Event::Warning { text: &text }, style);
        });
    }

    /// Writes what can be written without waiting. Returns whether something is left: then there will
    /// be room when the descriptor says so, or it is no use before [`Log::resting_until`].
    pub fn flush(&mut self) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let now = Instant::now();
        if self.resting_until.is_some_and(|until| now < until) {
            return true;
        }
        self.resting_until = None;
        while !self.queue.is_empty() {
            match self.sink.write(self.queue.bytes(), now) {
                Wrote::Bytes(count) => {
                    self.queue.taken(count);
                    if self.queue.is_empty() {
                        self.tell_lost();
                    }
                }
                Wrote::Busy => {
                    self.trouble = NOT_READ;
                    return true;
                }
                Wrote::Later(pause, why) => {
                    (self.resting_until, self.trouble) = (Some(now + pause), why);
                    return true;
                }
                Wrote::Broken(pause, why) => {
                    (self.resting_until, self.trouble) = (Some(now + pause), why);
                    self.queue.lose_cut_line(why);
                    return true;
                }
                Wrote::Never(why) => self.queue.lose_all(why),
            }
        }
        false
    }

    /// Bytes that were not written yet.
    pub fn backlog(&self) -> usize {
        self.queue.bytes().len()
    }

    /// What to poll for room to write while something is left.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.sink.descriptor()
    }

    /// While something is left: when to write again, and not to poll until then.
    pub fn resting_until(&self) -> Option<Instant> {
        self.resting_until
    }
}
