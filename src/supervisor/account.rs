//! What a connection that was given to a program has moved, for services that ask for it.
//!
//! We hold no descriptor of it, so the kernel is asked to tell when such a socket is destroyed. That
//! may be a little after its program has ended: the end record waits for it, [`PATIENCE`] at most.
//! What is not known by then never will be.

use super::Supervisor;
use super::children::SessionFacts;
use super::timers::Timer;
use super::word::Word;
use crate::event::Event;
use crate::sys::destroyed::{Destroyed, Notices};
use crate::sys::poll::Interest;
use crate::sys::wait::{self, Exit};
use crate::table::LifeLimit;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long an end record waits for the kernel's notice: longer than a client is likely to take to
/// acknowledge the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) session: SessionFacts,
    pub(super) exit: Exit,
    pub(super) duration: Duration,
    /// The limit that ended it, if one did.
    pub(super) limit: Option<LifeLimit>,
    /// Why the worker no longer passes on what it says, where that was not its end.
    pub(super) unjoined: Option<&'static str>,
}

/// What is known of connections by their cookies.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    notices: Option<Notices>,
    /// Those whose program runs, and what they moved if they are over already.
    running: HashMap<u64, Option<Destroyed>>,
    /// Those whose program has ended.
    late: HashMap<u64, Ended>,
    /// Their cookies in the order of their time; some may have been told of already.
    deadlines: VecDeque<(Instant, u64)>,
    /// Our own peak memory in KiB, as far as it is known.
    own_peak: u64,
}

impl Accounts {
    /// Expects a notice of this connection, if notices come at all.
    pub(super) fn expect(&mut self, cookie: u64) {
        if self.notices.is_some() {
            self.running.insert(cookie, None);
        }
    }

    /// A program's peak memory in KiB, if it is the program's and not ours. Ours is asked for only when
    /// it may have grown.
    fn peak_of(&mut self, peak: u64) -> Option<u64> {
        if peak > self.own_peak {
            self.own_peak = wait::own_max_rss();
        }
        Some(peak).filter(|peak| *peak > self.own_peak)
    }

    /// No longer does: its program was never run.
    pub(super) fn forget(&mut self, cookie: u64) {
        self.running.remove(&cookie);
    }
}

impl Supervisor {
    /// Listens for notices if a service asks for them, and no longer if none does.
    pub(super) fn configure_accounts(&mut self, wanted: bool) {
        match (wanted, &self.accounts.notices) {
            (true, None) => match self.open_notices() {
                Ok(notices) => self.accounts.notices = Some(notices),
                Err(errno) => {
                    let text = format!(
                        "bytes of connections are not known: sock_diag: {}",
                        crate::event::words(errno)
                    );
                    self.observe(&Event::Warning { text: &text });
                }
            },
            (false, Some(notices)) => {
                let _ = self.poller.remove(notices);
                self.accounts.notices = None;
                self.accounts.running.clear();
            }
            _ => {}
        }
    }

    fn open_notices(&self) -> Result<Notices, crate::sys::Errno> {
        let notices = Notices::open()?;
        let word = Word::Notices.into();
        self.poller.add(&notices, Interest::Read, word)?;
        Ok(notices)
    }

    /// Connections are over.
    pub(super) fn on_notices(&mut self) {
        while let Some(destroyed) = self.accounts.notices.as_ref().and_then(Notices::take) {
            let cookie = destroyed.cookie;
            if let Some(ended) = self.accounts.late.remove(&cookie) {
                self.tell_end(ended, Some(bytes(destroyed)));
            } else if let Some(known) = self.accounts.running.get_mut(&cookie) {
                *known = Some(destroyed);
            }
        }
    }

    /// A program has ended: its end is told when it is known what its connection moved.
    pub(super) fn account(&mut self, ended: Ended, cookie: u64) {
        self.on_notices();
        match self.accounts.running.remove(&cookie) {
            Some(None) => {
                let until = Instant::now() + PATIENCE;
                self.accounts.late.insert(cookie, ended);
                self.accounts.deadlines.push_back((until, cookie));
                self.timers.set_once(until, Timer::Accounts);
            }
            known => self.tell_end(ended, known.flatten().map(bytes)),
        }
    }

    /// The kernel has had its time to tell of some.
    pub(super) fn close_accounts(&mut self, now: Instant) {
        while let Some((until, cookie)) = self.accounts.deadlines.front().copied() {
            if until > now {
                return self.timers.set(until, Timer::Accounts);
            }
            self.accounts.deadlines.pop_front();
            if let Some(ended) = self.accounts.late.remove(&cookie) {
                self.tell_end(ended, None);
            }
        }
    }

    /// Tells of all that have ended, known or not.
    pub(super) fn close_all_accounts(&mut self) {
        self.on_notices();
        self.accounts.deadlines.clear();
        for (_, ended) in std::mem::take(&mut self.accounts.late) {
            self.tell_end(ended, None);
        }
    }

    /// Tells of an end, and of the bytes that were received and sent if they are known.
    pub(super) fn tell_end(&mut self, ended: Ended, moved: Option<(u64, u64)>) {
        let (received, sent) = moved.unzip();
        let Ended {
            session,
            exit,
            duration,
            limit,
            unjoined,
        } = ended;
        let max_rss = self.accounts.peak_of(exit.max_rss);
        self.observe_session(session, |session| Event::Ended {
            session,
            pid: exit.pid,
            status: exit.status,
            duration,
            cpu: exit.cpu,
            max_rss,
            received,
            sent,
            limit,
            unjoined,
        });
        self.forget_if_over(session.service);
    }
}

fn bytes(moved: Destroyed) -> (u64, u64) {
    (moved.received, moved.sent)
}
