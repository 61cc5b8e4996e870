//! The unprivileged process: accepts and serves the connections and datagrams of built-in services, and
//! passes clients on to other servers, and to programs on pipes and terminals.
//!
//! It is started by the supervisor, as a user of its own, with the control socket as descriptor 0.
//! Listeners come over that socket, [`Report`](crate::control::Report)s go back over it, and when it
//! ends so does the worker. One thread, one epoll loop; when nobody is connected, no timer runs.
//!
//! No client's doing, no lack of resources and no errno of accept(2) ends the process. What does is
//! a [`Failure`] of the control socket or of the loop itself: the supervisor then starts another.

mod accept;
mod datagrams;
mod listeners;
mod orders;
mod parting;
mod recency;
mod reflection;
mod relay;
mod reports;
mod session;
mod tally;
#[cfg(test)]
mod tests;

use crate::admission::{Admission, Now, Policy};
use crate::control::{ListenerId, Malformed, Route, ServiceId};
use crate::refuse::Leaving;
use crate::sys::poll::{Interest, Poller, Ready};
use crate::sys::time::Clock;
use crate::sys::{Errno, confine, limits};
use crate::table::Acl;
use listeners::Listeners;
use parting::Parting;
use recency::Recency;
use reflection::OwnSockets;
pub use relay::Newline;
use relay::{Relays, Side};
use reports::{Reports, Sent};
use session::Session;
use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tally::Tallies;

/// How long a connection may move nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may take nothing of what is left for it when the other side has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events of one turn at most.
const EVENTS: usize = 256;

/// EX_OSERR of sysexits.
const OS_ERROR: u8 = 71;

/// What the worker goes by.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections at once, over all services: 1 or more.
    pub max_connections: u32,
    /// How long a connection may move nothing.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of what is left for it when the other side has ended.
    pub patience: Duration,
    /// Descriptors that the process may have (RLIMIT_NOFILE).
    pub descriptors: u64,
}

/// Why the worker cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A system call failed.
    Call(&'static str, Errno),
    /// The supervisor sent something else than an order: it is of another version.
    Order(Malformed),
    /// A listener's descriptor was lost on the way: too many are open here.
    NoDescriptor(ListenerId),
    /// A service's admission keys were lost on the way, or make no sense. Without them it would let
    /// everybody in.
    NoKeys(ServiceId),
    /// A list of addresses was, likewise.
    NoList(u32),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Call(call, errno) => write!(f, "{call}: {}", errno.desc()),
            Failure::Order(malformed) => write!(f, "order from the supervisor: {malformed}"),
            Failure::NoKeys(service) => {
                write!(f, "service {} came without its admission keys", service.0)
            }
            Failure::NoList(list) => write!(f, "the list of addresses {list} did not come"),
            Failure::NoDescriptor(listener) => {
                write!(
                    f,
                    "listener {} came without its socket; raise the limit of open files",
                    listener.0
                )
            }
        }
    }
}

/// The process: makes itself harmless, and serves until the supervisor goes. Call it with nothing
/// but descriptors 0 (the control socket), 1 and 2 open, and after the change of user.
pub fn main(max_connections: u32) -> ExitCode {
    let prepared = prepare().map_err(|errno| Failure::Call("setting up the worker", errno));
    let served = prepared.and_then(|descriptors| {
        let settings = Settings {
            max_connections,
            idle_timeout: IDLE_TIMEOUT,
            patience: PATIENCE,
            descriptors,
        };
        run(std::io::stdin().as_fd(), settings)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("oxinetd worker: {failure}");
            ExitCode::from(OS_ERROR)
        }
    }
}

/// A supervisor that ended before the first of these has left the control socket at its end.
fn prepare() -> Result<u64, Errno> {
    confine::die_with_parent()?;
    confine::forgo_privileges()?;
    confine::block_sigpipe()?;
    confine::call_ourselves(c"oxinetd")?;
    limits::raise_nofile()
}

/// Serves until the control socket ends.
pub fn run(control: BorrowedFd, settings: Settings) -> Result<(), Failure> {
    let mut worker = Worker::new(control, settings)?;
    while worker.turn()? {}
    Ok(())
}

/// Everything the loop owns.
struct Worker<'a> {
    control: BorrowedFd<'a>,
    control_is_full: bool,
    settings: Settings,
    poller: Poller,
    ready: Vec<Ready>,
    /// When the worker began, for clocks that count from there.
    start: Instant,
    /// When this turn began.
    now: Instant,
    clock: Clock,
    /// What is read and sent on within one call.
    scratch: Box<[u8]>,
    listeners: Listeners,
    admission: Admission<ServiceId>,
    /// The admission keys of services that have any.
    policies: HashMap<ServiceId, (String, Rc<Policy>)>,
    /// Lists of addresses by the numbers that the supervisor calls them.
    lists: HashMap<u32, Rc<Acl>>,
    /// Refused clients that have not gone yet.
    leaving: Leaving,
    /// Clients of relays that have not ended yet.
    parting: Parting,
    sessions: Recency<Session>,
    relays: Relays,
    /// Where clients of services are passed on to.
    routes: HashMap<ServiceId, Rc<Route>>,
    /// The number of the connection that began last.
    last_number: u32,
    /// UDP sockets of this server, which are never answered.
    own_udp: OwnSockets,
    tallies: Tallies,
    reports: Reports,
}

impl<'a> Worker<'a> {
    fn new(control: BorrowedFd<'a>, settings: Settings) -> Result<Worker<'a>, Failure> {
        let poller = Poller::new(EVENTS).map_err(|errno| Failure::Call("epoll_create", errno))?;
        poller
            .add(control, Interest::Read, Source::Control.word())
            .map_err(|errno| Failure::Call("epoll_ctl for the control socket", errno))?;
        Ok(Worker {
            control,
            control_is_full: false,
            settings,
            poller,
            ready: Vec::with_capacity(EVENTS),
            start: Instant::now(),
            now: Instant::now(),
            clock: Clock::new(),
            scratch: vec![0; session::SCRATCH].into(),
            listeners: Listeners::default(),
            admission: Admission::new(settings.max_connections),
            policies: HashMap::new(),
            lists: HashMap::new(),
            leaving: Leaving::new(settings.descriptors),
            parting: Parting::new(settings.descriptors),
            sessions: Recency::new(),
            relays: Relays::default(),
            routes: HashMap::new(),
            last_number: 0,
            own_udp: OwnSockets::default(),
            tallies: Tallies::default(),
            reports: Reports::default(),
        })
    }

    /// Waits for something to do and does it. False when the supervisor has gone.
    fn turn(&mut self) -> Result<bool, Failure> {
        let busy = self.relays.is_busy().then_some(self.now);
        let timeout = busy
            .or_else(|| self.next_deadline())
            .map(|when| when.saturating_duration_since(Instant::now()));
        self.ready.clear();
        let ready = self
            .poller
            .wait(timeout)
            .map_err(|errno| Failure::Call("epoll_wait", errno))?;
        self.ready.extend(ready);
        self.now = Instant::now();
        for index in 0..self.ready.len() {
            let ready = self.ready[index];
            match Source::of(ready.word) {
                Source::Control if ready.readable && !self.take_orders()? => return Ok(false),
                Source::Control => {}
                Source::Listener(id) => self.serve(id),
                Source::Session(slot) => self.advance(slot, ready),
                Source::Relay(slot, side) => self.wake_relay(slot, side, ready),
                Source::Leaving(number) => self.leaving.gone(number),
                Source::Parting(number) => self.drain_parting(number),
            }
        }
        self.advance_busy_relays();
        self.redial();
        self.give_up_dialling();
        self.end_lingering_relays();
        self.end_limited_relays();
        self.look_after_the_deaf();
        self.end_idle();
        self.leaving.expire(self.now);
        self.parting.look(self.now);
        self.listeners.wake(&self.poller, self.now);
        self.tallies.report(&mut self.reports, self.now);
        self.send_reports()
    }

    fn next_deadline(&self) -> Option<Instant> {
        let idle = self
            .sessions
            .oldest()
            .map(|(_, touched)| touched + self.settings.idle_timeout);
        let leaving = self.leaving.next_due();
        let reports = self.reports.due(self.now);
        [
            idle,
            leaving,
            self.parting.next_due(),
            // When the control socket has room the poller says so.
            reports.filter(|_| !self.control_is_full),
            self.relays.next_due(),
            self.listeners.next_awake(),
            self.tallies.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// This moment, as admission counts it.
    fn moment(&mut self) -> Now {
        let local = self.clock.now().local;
        Now {
            at: self.now.saturating_duration_since(self.start),
            weekday: local.weekday,
            minute: u16::from(local.hour) * 60 + u16::from(local.minute),
        }
    }

    fn serve(&mut self, id: ListenerId) {
        match self.listeners.at(id) {
            Some(listener) if listener.offer.transport.is_connected() => self.accept_from(id),
            Some(_) => self.serve_datagrams(id),
            // Closed in this very turn.
            None => {}
        }
    }

    /// Sends what is due, as far as the control socket takes it. False when the supervisor has gone.
    fn send_reports(&mut self) -> Result<bool, Failure> {
        let due = self.reports.due(self.now);
        if !self.control_is_full && due.is_none_or(|due| due > self.now) {
            return Ok(true);
        }
        let full = match self.reports.send(self.control, self.now) {
            Sent::Gone => return Ok(false),
            Sent::Some => true,
            Sent::All => false,
        };
        if full != self.control_is_full {
            let interest = if full { Interest::Both } else { Interest::Read };
            self.poller
                .change(self.control, interest, Source::Control.word())
                .map_err(|errno| Failure::Call("epoll_ctl for the control socket", errno))?;
            self.control_is_full = full;
            self.listeners.relieve(&self.poller, self.now);
        }
        Ok(true)
    }
}

/// What the poller's words stand for. A slot that was given away within a turn is woken for nothing,
/// which does no harm: no call waits.
#[derive(Debug, Clone, Copy)]
enum Source {
    Control,
    Listener(ListenerId),
    Session(u32),
    Leaving(u32),
    Parting(u32),
    Relay(u32, Side),
}

impl Source {
    fn word(self) -> u64 {
        match self {
            Source::Session(slot) => slot.into(),
            Source::Listener(id) => 1 << 32 | u64::from(id.0),
            Source::Leaving(number) => 2 << 32 | u64::from(number),
            Source::Control => 3 << 32,
            Source::Relay(slot, Side::Client) => 4 << 32 | u64::from(slot),
            Source::Relay(slot, Side::Far) => 5 << 32 | u64::from(slot),
            Source::Relay(slot, Side::Input) => 6 << 32 | u64::from(slot),
            Source::Parting(number) => 7 << 32 | u64::from(number),
        }
    }

    fn of(word: u64) -> Source {
        match (word >> 32, word as u32) {
            (0, slot) => Source::Session(slot),
            (1, id) => Source::Listener(ListenerId(id)),
            (2, number) => Source::Leaving(number),
            (4, slot) => Source::Relay(slot, Side::Client),
            (5, slot) => Source::Relay(slot, Side::Far),
            (6, slot) => Source::Relay(slot, Side::Input),
            (7, number) => Source::Parting(number),
            _ => Source::Control,
        }
    }
}
