//! The control socket: who calls, and that nobody who calls delays anybody else.
//!
//! Root and our own user may do everything, members of the group may look, anybody else is closed at
//! once. Nothing waits: callers together have a millisecond of each turn of the loop, an answer is
//! made as fast as it is taken, and silence ends after ten seconds. Without a control socket the
//! server serves all the same.
//!
//! `socket` makes the file, `connection` is one caller, `task` answers it, `views` are what it sees,
//! `actions` what it can do.

mod actions;
mod bans;
mod budget;
mod connection;
mod explain;
mod kept;
mod recent;
mod reload;
mod since;
mod socket;
mod task;
mod views;

pub(super) use since::Since;

use super::Supervisor;
use super::timers::Timer;
use super::word::Word;
use crate::control::{Failed, Place};
use crate::event::Event;
use crate::log::Log;
use crate::sys::caller::caller;
use crate::sys::poll::{Interest, Ready};
use crate::sys::{Errno, fd, socket as sockets, user};
use crate::table::Service;
use budget::Budget;
use connection::{Connection, Identity, Rank, Received, Sent};
use kept::Kept;
use recent::Recent;
use socket::{Made, Trouble};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Callers at once.
const CALLERS: usize = 64;
/// Callers taken in one turn.
const BATCH: usize = 8;
/// How long no caller is taken when descriptors or memory have run out.
const REST: Duration = Duration::from_millis(100);
/// Between two lines in the log about callers who may not call.
const QUIET: Duration = Duration::from_secs(10);
/// EX_TEMPFAIL.
const BUSY: u8 = 75;
/// EX_USAGE.
const USAGE: u8 = 64;

/// The control socket and its callers.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Where it was to be when it was made; `None` before that.
    place: Option<Place>,
    made: Option<Made>,
    /// Not polled for the moment.
    rests: bool,
    /// The group whose members may look.
    viewers: Option<u32>,
    callers: HashMap<u32, Connection>,
    next: u32,
    budget: Budget,
    let_in: u64,
    turned_away: u64,
    /// When callers who may not call were told of, and how many had been by then.
    told: Option<(Instant, u64)>,
    recent: Recent,
}

impl Control {
    /// Keeps an event for those who ask what has happened.
    pub(super) fn note(&mut self, event: &Event, service: Option<&Rc<Service>>, log: &Log) {
        if event.is_logged() {
            self.recent.add(Kept::new(event, service, log.address()));
        }
    }

    /// A turn of the loop has begun.
    pub(super) fn begin_turn(&mut self) {
        self.budget.renew();
    }
}

impl Supervisor {
    /// Makes the control socket for the first table; later tables cannot move it. False when
    /// another server has it: then we must not begin.
    pub(super) fn open_control(&mut self, wanted: Place, viewers: Option<u32>) -> bool {
        self.control.viewers = viewers;
        let wanted = self.options.control.clone().unwrap_or(wanted);
        match &self.control.place {
            Some(place) if *place != wanted => {
                let text = "the control socket stays where it is until the next start";
                self.observe(&Event::Warning { text });
                return true;
            }
            Some(_) => return true,
            None => {}
        }
        let made = socket::make(&wanted, viewers);
        self.control.place = Some(wanted);
        match made {
            Ok(made) => self.listen_to_callers(made),
            Err(Trouble::Taken(path)) => {
                let text = format!(
                    "another oxinetd has the control socket {}; give this one another (--control PATH or none)",
                    path.display()
                );
                // The log may be that of the other server.
                let mut log = Log::on_stderr();
                log.write(&Event::Mistake { text: &text });
                log.flush();
                return false;
            }
            Err(Trouble::Failed(path, why)) => {
                let text = format!(
                    "no command can reach this server: cannot make the control socket {}: {why}",
                    path.display()
                );
                self.observe(&Event::Warning { text: &text });
            }
        }
        true
    }

    fn listen_to_callers(&mut self, made: Option<Made>) {
        let Some(made) = made else { return };
        if let Some(errno) = made
            .closed_to_group
            .filter(|_| user::credentials().uid == 0)
        {
            let text = format!(
                "members of the group cannot use the control socket {}: {}",
                made.path.display(),
                errno.desc()
            );
            self.observe(&Event::Warning { text: &text });
        }
        let polled = self
            .poller
            .add(&made.socket, Interest::Read, Word::Control.into());
        self.control.rests = polled.is_err();
        self.control.made = Some(made);
        if polled.is_err() {
            self.rest_from_callers();
        }
    }

    /// Takes no more callers, and removes the socket: a successor may have it.
    pub(super) fn close_control(&mut self) {
        if let Some(made) = self.control.made.take() {
            let _ = self.poller.remove(&made.socket);
            made.remove();
        }
    }

    /// Somebody calls.
    pub(super) fn on_control(&mut self) {
        for _ in 0..BATCH {
            let Some(made) = &self.control.made else {
                return;
            };
            match sockets::accept(made.socket.as_fd(), true) {
                Ok((socket, _)) => self.let_in(fd::raise(socket)),
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.rest_from_callers(),
            }
        }
    }

    fn rest_from_callers(&mut self) {
        if let Some(made) = &self.control.made {
            let _ = self.poller.remove(&made.socket);
            self.control.rests = true;
            self.timers
                .set_earlier(Instant::now() + REST, Timer::Callers);
        }
    }

    fn let_in(&mut self, socket: OwnedFd) {
        let Some(who) = self.identify(&socket) else {
            return;
        };
        let now = Instant::now();
        self.control.next = self.control.next.wrapping_add(1);
        let mut connection = Connection::new(socket, self.control.next, who, now);
        if self.control.callers.len() >= CALLERS && !self.make_way(who) {
            let error = "the server has as many callers as it takes, try again".into();
            connection.say(&Failed { error, exit: BUSY });
            connection.flush(now);
            return;
        }
        self.control.let_in += 1;
        let word = Word::Caller(connection.number).into();
        if self.poller.add(&connection, Interest::Read, word).is_ok() {
            self.serve_caller(connection);
        }
    }

    /// Who it is, if it may call at all.
    fn identify(&mut self, socket: &OwnedFd) -> Option<Identity> {
        let caller = caller(socket.as_fd()).ok()?;
        if self.link.is(caller.uid, caller.pid) {
            self.turn_away(caller.uid, caller.pid);
            return None;
        }
        let may_act = caller.uid == 0 || caller.uid == user::credentials().uid;
        let may_look = self
            .control
            .viewers
            .is_some_and(|group| caller.is_in(group));
        if !may_act && !may_look {
            self.turn_away(caller.uid, caller.pid);
            return None;
        }
        Some(Identity {
            uid: caller.uid,
            pid: caller.pid,
            may_act,
        })
    }

    fn turn_away(&mut self, uid: u32, pid: i32) {
        self.control.turned_away += 1;
        let (all, now) = (self.control.turned_away, Instant::now());
        let before = match self.control.told {
            Some((when, _)) if now < when + QUIET => return,
            Some((_, before)) => before,
            None => 0,
        };
        self.control.told = Some((now, all));
        let callers = all - before;
        self.observe(&Event::CallersRefused { uid, pid, callers });
    }

    /// Ends the caller that can best be missed. Those who may only look cannot drive away others but
    /// such as do nothing.
    fn make_way(&mut self, who: Identity) -> bool {
        let most = match who.may_act {
            true => Rank::Follower,
            false => Rank::StuckViewer,
        };
        let all = self.control.callers.iter();
        let ranked = all.filter_map(|(number, caller)| Some((caller.rank()?, *number)));
        let Some(((rank, _), number)) = ranked.min() else {
            return false;
        };
        if rank <= most {
            self.drop_caller(number);
        }
        rank <= most
    }

    fn drop_caller(&mut self, number: u32) {
        if let Some(caller) = self.control.callers.remove(&number) {
            self.part_with(&caller);
        }
    }

    /// Whoever has it closes it then.
    fn part_with(&mut self, caller: &Connection) {
        let _ = self.poller.remove(caller);
        self.control.recent.leave(caller.number);
        // The timer also ends the rest of the socket.
        if self.control.callers.is_empty() && !self.control.rests {
            self.timers.clear(Timer::Callers);
        }
    }

    /// A caller has said something, or has room for more.
    pub(super) fn on_caller(&mut self, number: u32, ready: Ready) {
        let Some(caller) = self.control.callers.remove(&number) else {
            return;
        };
        if ready.readable && caller.task.waits() && caller.is_over() {
            return self.part_with(&caller);
        }
        self.serve_caller(caller);
    }

    /// What to wait for from a caller; what could not be told for want of time is as good as room.
    fn interest(&self, caller: &Connection) -> Interest {
        match self.control.recent.has_news(caller.number) {
            true => Interest::Write,
            false => caller.interest(),
        }
    }

    /// Answers a caller as far as time and room allow, and keeps it if it is not over.
    fn serve_caller(&mut self, mut caller: Connection) {
        if !self.advance(&mut caller) {
            return self.part_with(&caller);
        }
        let interest = self.interest(&caller);
        if interest != caller.polled {
            let word = Word::Caller(caller.number).into();
            if self.poller.change(&caller, interest, word).is_ok() {
                caller.polled = interest;
            }
        }
        if let Some(next) = caller.next_look() {
            self.timers.set_earlier(next, Timer::Callers);
        }
        self.control.callers.insert(caller.number, caller);
    }

    /// False when the caller is over. One request a turn: others have asked too.
    fn advance(&mut self, caller: &mut Connection) -> bool {
        let mut has_asked = false;
        loop {
            match caller.flush(Instant::now()) {
                Sent::Gone => return false,
                Sent::Some if caller.has_plenty() => return true,
                Sent::Some | Sent::All => {}
            }
            if self.control.budget.is_spent() {
                return true;
            }
            if matches!(caller.task, task::Task::Idle) {
                if caller.is_owed() || has_asked {
                    return true;
                }
                has_asked = true;
                match caller.receive() {
                    Received::Line(line) => self.begin_answer(caller, &line),
                    Received::Later => return true,
                    Received::End => return false,
                    Received::TooLong => {
                        let error = "a request has 4096 bytes at most, and ends with a newline";
                        caller.fail(error, USAGE, Instant::now());
                        caller.let_go();
                    }
                }
            } else {
                while !caller.has_plenty() && !self.control.budget.is_spent() {
                    if !self.go_on(caller) {
                        break;
                    }
                }
                if caller.task.waits() && caller.flush(Instant::now()) != Sent::Gone {
                    return true;
                }
            }
        }
    }

    /// Looks whether what some callers wait for has happened.
    pub(super) fn answer_those_who_wait(&mut self) {
        let callers = self.control.callers.iter();
        let waiting = callers.filter(|(_, caller)| caller.task.waits());
        let waiting: Vec<u32> = waiting.map(|(number, _)| *number).collect();
        if waiting.is_empty() {
            return self.loading.forget_outcomes();
        }
        for number in waiting {
            if let Some(caller) = self.control.callers.remove(&number) {
                self.serve_caller(caller);
            }
        }
    }

    /// Some caller may have had its time; or callers may be taken again.
    pub(super) fn look_after_callers(&mut self, now: Instant) {
        if std::mem::take(&mut self.control.rests) {
            let made = self.control.made.take();
            self.listen_again(made);
        }
        let callers = self.control.callers.iter();
        let late = callers.filter(|(_, caller)| caller.deadline().is_some_and(|at| at <= now));
        for number in late.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.drop_caller(number);
        }
        // Whose time is over now is answered at the end of this turn.
        let callers = self.control.callers.values();
        let next = callers.filter_map(Connection::next_look);
        if let Some(next) = next.filter(|at| *at > now).min() {
            self.timers.set_earlier(next, Timer::Callers);
        }
    }

    fn listen_again(&mut self, made: Option<Made>) {
        let Some(made) = made else { return };
        let word = Word::Control.into();
        let polled = self.poller.add(&made.socket, Interest::Read, word);
        self.control.made = Some(made);
        if polled.is_err() {
            self.rest_from_callers();
        }
    }
}
