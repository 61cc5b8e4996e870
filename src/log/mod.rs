//! Events as lines, and where the lines go.
//!
//! Lines are gathered during a turn of the loop and written at its end, never waiting: what a stuck
//! reader does not take is kept up to [`BACKLOG`], then dropped and counted, and the count is told
//! when the reader takes lines again. A log that cannot be written is nobody's reason to stop.

mod address;
mod json;
mod limiter;
mod render;
mod sink;
mod text;

#[cfg(test)]
mod tests;

pub use json::line as json;

use crate::event::Event;
use crate::table::{LogAddress, LogFormat, LogSink};
use limiter::{Limiter, Summary};
use render::Renderer;
use sink::{Sink, Wrote};
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// Bytes kept for a reader that does not read.
pub const BACKLOG: usize = 1024 * 1024;

/// The server's log.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    limiter: Limiter,
    renderer: Renderer,
    pending: Vec<u8>,
    dropped: u64,
}

impl Log {
    /// A log on standard error in text form, until the table has said otherwise.
    pub fn on_stderr() -> Log {
        Log {
            sink: Sink::stderr(),
            limiter: Limiter::default(),
            renderer: Renderer::new(),
            pending: Vec::new(),
            dropped: 0,
        }
    }

    /// Puts the table's wishes in force. When a file cannot be opened the log stays where it was.
    pub fn configure(
        &mut self,
        sink: &LogSink,
        format: LogFormat,
        address: LogAddress,
    ) -> std::io::Result<()> {
        self.tell_left_out();
        self.flush();
        (self.renderer.format, self.renderer.address) = (format, address);
        self.sink.change(sink)
    }

    /// Opens a log file again, after it was moved away.
    pub fn reopen(&mut self) -> std::io::Result<()> {
        self.flush();
        self.sink.reopen()
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
        if self.pending.len() >= BACKLOG && self.flush() && self.pending.len() >= BACKLOG {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let text = format!("{} log lines were lost: the log was not read", self.dropped);
            self.dropped = 0;
            let event = Event::Warning { text: &text };
            self.renderer
                .line(&mut self.pending, &event, self.sink.style());
        }
        self.renderer
            .line(&mut self.pending, event, self.sink.style());
    }

    /// Writes what can be written without waiting. Returns whether something is left.
    pub fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match self.sink.write(&self.pending) {
                Wrote::Bytes(count) => drop(self.pending.drain(..count)),
                Wrote::Later => return true,
                Wrote::Never => {
                    let lines = self.pending.iter().filter(|byte| **byte == b'\n');
                    self.dropped += lines.count() as u64;
                    self.pending.clear();
                }
            }
        }
        false
    }

    /// Bytes that were not written yet.
    pub fn backlog(&self) -> usize {
        self.pending.len()
    }

    /// What to poll for room to write while something is left.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.sink.descriptor()
    }
}
