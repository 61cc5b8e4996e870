//! Waiting for many descriptors at once: epoll(7), with the caller's own word on each.

use super::Errno;
use super::fd::raise;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;
use std::time::Duration;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or a connection to accept.
    Read,
    /// Room to write.
    Write,
    /// Both.
    Both,
    /// The end of what the other side sends, whether or not all before it was read.
    End,
    /// Something to read, told once for each change instead of as long as it lasts.
    ReadEdge,
    /// Something to read, its end, or room to write, likewise told once for each change.
    BothEdge,
}

/// An epoll instance. Each registration has a word of the caller's choice that comes back with it.
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

/// What woke one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The word it was registered with.
    pub word: u64,
    /// There is something to read, an end or an error: read to find out.
    pub readable: bool,
    /// There is room to write, or an error: write to find out.
    pub writable: bool,
    /// There is an end or an error, which may come after something to read.
    pub broken: bool,
}

impl Poller {
    /// Makes one that takes up to `batch` events a turn, above the descriptor floor.
    pub fn new(batch: usize) -> Result<Poller, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let epoll = Epoll(raise(epoll.0));
        Ok(Poller {
            epoll,
            events: vec![EpollEvent::empty(); batch],
        })
    }

    /// Starts to wait for a descriptor.
    pub fn add(&self, fd: impl AsFd, interest: Interest, word: u64) -> Result<(), Errno> {
        self.epoll.add(fd, EpollEvent::new(flags(interest), word))
    }

    /// Changes what is waited for.
    pub fn change(&self, fd: impl AsFd, interest: Interest, word: u64) -> Result<(), Errno> {
        self.epoll
            .modify(fd, &mut EpollEvent::new(flags(interest), word))
    }

    /// Stops to wait for a descriptor. Needed before closing one that somebody else has a copy of.
    pub fn remove(&self, fd: impl AsFd) -> Result<(), Errno> {
        self.epoll.delete(fd)
    }

    /// Waits until something is ready or the time is over; `None` waits for ever. A signal handler
    /// that ran instead counts as nothing ready.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<impl Iterator<Item = Ready> + use<'_>, Errno> {
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // Rounded up, or a wait of half a millisecond would spin.
            Some(time) => EpollTimeout::try_from(time + Duration::from_nanos(999_999))
                .unwrap_or(EpollTimeout::MAX),
        };
        let count = match self.epoll.wait(&mut self.events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno),
        };
        Ok(self.events[..count].iter().map(|event| {
            let flags = event.events();
            let broken = flags
                .intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP);
            Ready {
                word: event.data(),
                readable: broken || flags.contains(EpollFlags::EPOLLIN),
                writable: broken || flags.contains(EpollFlags::EPOLLOUT),
                broken,
            }
        }))
    }
}

fn flags(interest: Interest) -> EpollFlags {
    match interest {
        Interest::Read => EpollFlags::EPOLLIN,
        Interest::Write => EpollFlags::EPOLLOUT,
        Interest::Both => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
        Interest::End => EpollFlags::EPOLLRDHUP,
        Interest::ReadEdge => EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
        Interest::BothEdge => {
            let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
            both | EpollFlags::EPOLLET
        }
    }
}

/// Notes that something has arrived at a socket, whoever takes it, without waking anybody.
#[derive(Debug)]
pub struct Arrivals(Epoll);

impl Arrivals {
    /// From now on.
    pub fn watch(fd: impl AsFd) -> Result<Arrivals, Errno> {
        let poller = Poller::new(0)?;
        poller.add(fd, Interest::ReadEdge, 0)?;
        let arrivals = Arrivals(poller.epoll);
        // What waits already is told as if it came now.
        arrivals.any();
        Ok(arrivals)
    }

    /// Whether something has arrived since the last look. Tells rather too much than too little.
    pub fn any(&self) -> bool {
        let mut events = [EpollEvent::empty()];
        !matches!(self.0.wait(&mut events, EpollTimeout::ZERO), Ok(0))
    }
}

/// Whether a descriptor can be read right now without waiting.
pub fn is_readable(fd: impl AsFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
}

/// Whether somebody has called shutdown(2) on a socket that has no peer.
pub fn is_shut_down(fd: impl AsFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let asked = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
    let mut fds = [PollFd::new(fd.as_fd(), asked)];
    // A bit that nix has no name for is this one.
    let is_so = |found: Option<PollFlags>| found.is_none_or(|it| it.contains(PollFlags::POLLHUP));
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) && is_so(fds[0].revents())
}

/// Whether a descriptor can be written right now without waiting.
pub fn is_writable(fd: impl AsFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
}
