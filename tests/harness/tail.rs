//! A log file read as it grows, for servers that have no standard error.

use super::process::{readable_until, watch_directory};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Reads the file from its beginning, which may be yet to come. It ends when the other end of the
/// pipe that came with it is dropped, and all that is in the file then has been read.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    changes: OwnedFd,
    stop: OwnedFd,
}

impl Tail {
    /// Begins; to drop what comes with it ends it.
    pub(super) fn new(path: &str) -> (Tail, OwnedFd) {
        let (stop, stopper) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("pipe");
        let path = PathBuf::from(path);
        let changes = watch_directory(path.parent().unwrap_or(Path::new("/")));
        (
            Tail {
                path,
                file: None,
                changes,
                stop,
            },
            stopper,
        )
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        self.file.as_mut().map_or(Ok(0), |file| file.read(buffer))
    }

    fn wait(&self) -> io::Result<()> {
        let fds = [&self.changes, &self.stop].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        poll(&mut { fds }, PollTimeout::NONE)?;
        if readable_until(&self.changes, Instant::now()) {
            nix::unistd::read(&self.changes, &mut [0; 4096])?;
        }
        Ok(())
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked before the file is read: what was written before the stop must not be missed.
            let stopped = readable_until(&self.stop, Instant::now());
            match self.read_now(buffer)? {
                0 if !stopped => self.wait()?,
                count => return Ok(count),
            }
        }
    }
}
