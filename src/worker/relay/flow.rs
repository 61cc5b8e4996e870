//! One direction of a relay: what was read and could not be written yet, and how far both ends are.
//!
//! Bytes go straight from the buffer that they were read into. Only what the reader is too slow to
//! take is copied here, and until that has gone nothing more is read: an idle connection holds no
//! memory, and no connection more than a [`SHARE`] of it each way.

use super::end::End;
use super::newline::Newline;
use crate::sys::Errno;
use crate::worker::session::SHARE;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flow {
    kept: Vec<u8>,
    written: usize,
    /// What becomes of line ends, if anything.
    newline: Option<Newline>,
    /// The source sends no more.
    ended: bool,
    /// What a terminal takes for the end was written, or is kept.
    said_farewell: bool,
    /// The destination was told that, or takes no more.
    closed: bool,
    /// Bytes that were read from the source.
    pub(super) received: u64,
    /// Bytes that the destination took.
    pub(super) sent: u64,
}

/// Which end is broken, so that nothing more will pass it in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Source,
    Destination,
}

/// What stopped a [`Flow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It waits for one of its ends.
    Waiting,
    /// It has had its share: there may be more.
    Share,
}

impl Flow {
    pub(super) fn new(newline: Option<Newline>) -> Flow {
        Flow {
            newline,
            ..Flow::default()
        }
    }

    /// Whether the source sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether all was passed on, and the destination knows that it was all.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.closed && self.kept.is_empty()
    }

    /// Whether the destination was told the end.
    pub(super) fn was_told(&self) -> bool {
        self.closed && self.said_farewell
    }

    /// Whether it waits for the destination before it reads on.
    pub(super) fn is_blocked(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether the destination takes no more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The destination takes no more: what comes from now on is dropped, so that whoever sends it is
    /// not held up.
    pub(super) fn abandon(&mut self) {
        (self.kept, self.written, self.closed) = (Vec::new(), 0, true);
    }

    /// The source is broken: no more comes.
    pub(super) fn cut(&mut self) {
        self.ended = true;
    }

    /// Moves up to a [`SHARE`] of bytes from one end to the other.
    pub(super) fn advance(
        &mut self,
        from: &mut End,
        to: &mut End,
        scratch: &mut [u8],
    ) -> Result<Stop, Broken> {
        // Translated, it may become twice as much.
        let share = if self.newline.is_some() {
            SHARE / 2
        } else {
            SHARE
        };
        let mut left = share.min(scratch.len());
        loop {
            self.flush(to)?;
            if !self.kept.is_empty() || !from.readable {
                return Ok(Stop::Waiting);
            }
            if left == 0 {
                return Ok(Stop::Share);
            }
            match from.read(&mut scratch[..left]) {
                // After the end only an error is news.
                Ok(0) => {
                    from.readable = false;
                    self.ended = true;
                    if let Some(newline) = self.newline.as_mut().filter(|_| !self.closed) {
                        self.kept.extend(newline.finish());
                    }
                }
                Ok(count) => {
                    left -= count;
                    self.received += count as u64;
                    self.pass_on(&scratch[..count], to)?;
                }
                Err(Errno::EAGAIN) => from.readable = false,
                Err(_) => return Err(Broken::Source),
            }
        }
    }

    /// Writes what is kept, and then the end if that is known.
    fn flush(&mut self, to: &mut End) -> Result<(), Broken> {
        self.write_kept(to)?;
        if !self.ended || self.closed || !self.kept.is_empty() {
            return Ok(());
        }
        if !self.said_farewell {
            self.said_farewell = true;
            self.kept = to.farewell();
            self.write_kept(to)?;
        }
        if self.kept.is_empty() {
            self.closed = true;
            to.close_writing();
        }
        Ok(())
    }

    fn write_kept(&mut self, to: &mut End) -> Result<(), Broken> {
        if !self.kept.is_empty() {
            self.written += self.write(to, self.written)?;
            if self.written == self.kept.len() {
                (self.kept, self.written) = (Vec::new(), 0);
            }
        }
        Ok(())
    }

    fn write(&mut self, to: &mut End, from: usize) -> Result<usize, Broken> {
        let count = to
            .write(&self.kept[from..])
            .map_err(|_| Broken::Destination)?;
        self.sent += count as u64;
        Ok(count)
    }

    fn pass_on(&mut self, bytes: &[u8], to: &mut End) -> Result<(), Broken> {
        if self.closed {
            return Ok(());
        }
        let translated = self.newline.as_mut().map(|it| it.translate(bytes));
        let bytes = translated.as_deref().unwrap_or(bytes);
        let count = to.write(bytes).map_err(|_| Broken::Destination)?;
        self.sent += count as u64;
        self.kept.extend_from_slice(&bytes[count..]);
        Ok(())
    }
}
