//! The tie to the worker: which listeners it has, what it is told, what it says.
//!
//! The worker is not trusted: its records are checked, and what they say can only change counters
//! and log lines of the services that it serves. When it dies its sessions end in the log, and it is started
//! again.

use super::Supervisor;
use super::children::{Role, SessionFacts};
use super::listeners::{Listeners, State};
use super::relays::{Passed, Relays};
use super::timers::Timer;
use super::word::Word;
use crate::admission::Policy;
use crate::control::{
    BATCH, Counts, Ending, Keys, LENGTH, Order, Report, Route, Work, list_to_file,
};
use crate::event::{ConnectionId, Event};
use crate::launch;
use crate::sys::address::{Address, Transport};
use crate::sys::limits::own_binary;
use crate::sys::poll::{Interest, Ready};
use crate::sys::socket::{self, Peer};
use crate::sys::spawn::{self, PlanSpec, Spawned, Stage};
use crate::sys::{Errno, fd, signal, wait};
use crate::table::{Acl, Action, Identity, ListenerId, Service, ServiceId};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// First and longest rest before a worker that died is started again.
const RESTART: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(800));
/// A worker that lived this long starts anew without a rest.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// Messages taken in one turn.
const TURN: usize = 32;
/// Messages taken from a worker that has ended: more than its socket can hold.
const LAST_WORDS: usize = 4096;
/// How long the worker may take to let go of a listener: on a busy machine it may not run for a while,
/// and ending it ends its sessions.
const LEAVE: Duration = Duration::from_secs(10);
/// When to try again what there was no memory for.
const AGAIN: Duration = Duration::from_millis(10);
/// Answers kept for those who asked: more than can ask at once.
const EXPLAINED: usize = 128;
/// Sessions that an honest worker may have above its ceiling, which it learns of late.
const MARGIN: usize = 4096;

/// The worker and what is between us.
#[derive(Debug)]
pub(super) struct Link {
    identity: Option<Identity>,
    max_connections: u32,
    tie: Option<Tie>,
    /// Whether there is to be one before it has anything to do.
    is_wanted: bool,
    /// Which listeners it has, and what it answers on them.
    given: HashMap<ListenerId, Work>,
    /// How many there have been.
    incarnation: u32,
    /// How many of them have died.
    deaths: u64,
    restart: Duration,
    /// Number of the last order that is answered.
    serial: u32,
    /// Orders that the worker has not answered yet.
    owed: HashSet<u32>,
    /// Its last answers that somebody is to fetch.
    explained: VecDeque<(u32, Counts)>,
}

/// A worker that runs.
#[derive(Debug)]
struct Tie {
    pid: i32,
    socket: OwnedFd,
    born: Instant,
    outgoing: VecDeque<(Order, Attachment)>,
    /// The admission keys that it knows.
    policies: HashMap<ServiceId, Rc<Policy>>,
    /// The lists that it knows, by where they are here, and what they are called.
    lists: HashMap<*const Acl, (Rc<Acl>, u32)>,
    last_list: u32,
    /// Where it passes clients on to, by services' facts.
    targets: HashMap<ServiceId, Rc<Service>>,
    waits_for_room: bool,
    /// It has said what cannot be: nothing more that it says counts.
    lies: bool,
    sessions: HashMap<u32, Served>,
}

/// A client of the worker.
#[derive(Debug, Clone, Copy)]
struct Served {
    service: ServiceId,
    peer: Peer,
    began: Instant,
    /// Whether the server that it is passed on to is still being called.
    pending: bool,
}

/// What goes with an order.
#[derive(Debug)]
pub(super) enum Attachment {
    Nothing,
    /// Its socket, if it still has one then.
    Listener(ListenerId),
    /// The admission keys of the service of this name.
    Keys(Rc<str>, Rc<Policy>),
    /// These lists of addresses.
    List(Rc<Acl>),
    /// Where the clients of this service are passed on to.
    Targets(Rc<Service>),
}

impl Default for Link {
    fn default() -> Link {
        Link {
            identity: None,
            max_connections: 0,
            tie: None,
            is_wanted: false,
            given: HashMap::new(),
            incarnation: 0,
            deaths: 0,
            restart: RESTART.0,
            serial: 0,
            owed: HashSet::new(),
            explained: VecDeque::new(),
        }
    }
}

impl Link {
    /// Puts the table's wishes in force for the next worker. Returns whether the present one, if there
    /// is one, was to be another user until now.
    pub(super) fn configure(&mut self, identity: Option<Identity>, max_connections: u32) -> bool {
        let is_another = self.tie.is_some() && self.identity != identity;
        (self.identity, self.max_connections) = (identity, max_connections);
        is_another
    }

    /// Whether programs need it: then it is there before their first client.
    pub(super) fn expect_relays(&mut self, are_expected: bool) {
        self.is_wanted = are_expected;
    }

    /// What the worker answers on this listener.
    pub(super) fn given(&self, id: ListenerId) -> Option<Work> {
        self.given.get(&id).copied()
    }

    /// The worker's process id, while one runs.
    pub(super) fn pid(&self) -> Option<i32> {
        self.tie.as_ref().map(|tie| tie.pid)
    }

    /// Whether somebody of these ids is the worker, or could be: it is not trusted, although its
    /// group may be that of those who may look.
    pub(super) fn is(&self, uid: u32, pid: i32) -> bool {
        let identity = self.identity.as_ref();
        self.pid() == Some(pid) || identity.is_some_and(|identity| identity.uid == uid)
    }

    /// How many workers have died.
    pub(super) fn deaths(&self) -> u64 {
        self.deaths
    }

    /// Connections that the worker may have.
    pub(super) fn limit(&self) -> u32 {
        self.max_connections
    }

    /// The worker's sessions: number, service, client and beginning.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (u32, ServiceId, Peer, Instant)> + '_ {
        let sessions = self.tie.iter().flat_map(|tie| &tie.sessions);
        sessions.map(|(number, it)| (*number, it.service, it.peer, it.began))
    }

    /// One of them, with its id.
    pub(super) fn session(&self, number: u32) -> Option<(ConnectionId, ServiceId, Peer, Instant)> {
        let served = self.tie.as_ref()?.sessions.get(&number)?;
        let id = ConnectionId {
            worker: self.incarnation,
            number: number.into(),
        };
        Some((id, served.service, served.peer, served.began))
    }

    /// A number for an order that is answered; `None` when there is no worker.
    pub(super) fn next_serial(&mut self) -> Option<u32> {
        self.tie.as_ref()?;
        self.serial = self.serial.wrapping_add(1);
        self.owed.insert(self.serial);
        Some(self.serial)
    }

    fn settle(&mut self, serial: u32, counts: Option<Counts>) {
        let was_owed = self.owed.remove(&serial);
        if let Some(counts) = counts.filter(|_| was_owed) {
            // Whoever asked may have left: not many are kept.
            if self.explained.len() >= EXPLAINED {
                self.explained.pop_front();
            }
            self.explained.push_back((serial, counts));
        }
    }

    /// The worker's answer to the order of this number.
    pub(super) fn explained(&mut self, serial: u32) -> Option<Counts> {
        let all = &mut self.explained;
        let place = all.iter().position(|(number, _)| *number == serial)?;
        all.remove(place).map(|(_, counts)| counts)
    }

    /// Whether the worker has still to obey the order of this number.
    pub(super) fn owes(&self, serial: u32) -> bool {
        self.owed.contains(&serial)
    }

    /// Sessions that the worker has.
    pub(super) fn live(&self) -> usize {
        self.tie.as_ref().map_or(0, |tie| tie.sessions.len())
    }
}

impl Served {
    fn facts(&self, worker: u32, number: u32) -> SessionFacts {
        SessionFacts {
            service: self.service,
            id: ConnectionId {
                worker,
                number: number.into(),
            },
            peer: Some(self.peer),
        }
    }
}

impl Supervisor {
    /// Gives a listener to the worker, and starts one if there is none.
    pub(super) fn give(&mut self, id: ListenerId, work: Work) {
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        let Some(entry) = self.services.get(listener.service) else {
            return;
        };
        listener.state = State::Served;
        listener.served_for = Some(listener.service);
        self.link.given.insert(id, work);
        let order = Order::Listen {
            service: listener.service,
            listener: id,
            work,
            transport: listener.endpoint.transport,
            max_connections: entry.facts.max_connections,
        };
        let service = listener.service;
        match self.link.tie {
            Some(_) => {
                self.tell_keys(service);
                self.order(order, Attachment::Listener(id));
            }
            None => self.start_worker(),
        }
    }

    /// Tells the worker what it is to know of a service, as far as it does not.
    pub(super) fn tell_keys(&mut self, service: ServiceId) {
        self.tell_policy(service);
        self.tell_targets(service);
    }

    fn tell_targets(&mut self, service: ServiceId) {
        let (Some(tie), Some(entry)) = (&mut self.link.tie, self.services.get(service)) else {
            return;
        };
        if !matches!(entry.facts.action, Action::Redirect(_)) {
            return;
        }
        let facts = Rc::clone(&entry.facts);
        let known = tie.targets.insert(service, Rc::clone(&facts));
        if known.is_none_or(|it| (&it.action, it.life) != (&facts.action, facts.life)) {
            self.order(Order::Targets { service }, Attachment::Targets(facts));
        }
    }

    /// Tells the worker the admission keys of a service, if it does not know them.
    fn tell_policy(&mut self, service: ServiceId) {
        let (Some(tie), Some(entry)) = (&mut self.link.tie, self.services.get(service)) else {
            return;
        };
        let policy = &entry.policy;
        let is_known = match tie.policies.get(&service) {
            Some(known) => Rc::ptr_eq(known, policy) || known == policy,
            None => **policy == Policy::default(),
        };
        if !is_known {
            let (name, policy) = (Rc::from(&*entry.facts.name), Rc::clone(policy));
            tie.policies.insert(service, Rc::clone(&policy));
            let list = policy.acl.as_ref().map_or(0, |acl| self.tell_list(acl));
            self.order(
                Order::Policy { service, list },
                Attachment::Keys(name, policy),
            );
        }
    }

    /// Tells the worker a list, if it does not know it: a long one takes time, and many services may
    /// have it. Returns what it is called.
    fn tell_list(&mut self, acl: &Rc<Acl>) -> u32 {
        let Some(tie) = &mut self.link.tie else {
            return 0;
        };
        if let Some((_, list)) = tie.lists.get(&Rc::as_ptr(acl)) {
            return *list;
        }
        tie.last_list += 1;
        let list = tie.last_list;
        tie.lists.insert(Rc::as_ptr(acl), (Rc::clone(acl), list));
        self.order(Order::List { list }, Attachment::List(Rc::clone(acl)));
        list
    }

    /// Has the worker forget lists that no service has any more.
    pub(super) fn forget_lists(&mut self) {
        let Some(tie) = &mut self.link.tie else {
            return;
        };
        let mut forgotten = Vec::new();
        tie.lists.retain(|_, (acl, list)| {
            let is_used = Rc::strong_count(acl) > 1;
            if !is_used {
                forgotten.push(*list);
            }
            is_used
        });
        for list in forgotten {
            self.order(Order::ForgetList { list }, Attachment::Nothing);
        }
    }

    /// Has the worker forget what it knows of a service that is gone.
    pub(super) fn forget_policy(&mut self, service: ServiceId) {
        let is_known = self.link.tie.as_mut().is_some_and(|tie| {
            let (policy, targets) = (tie.policies.remove(&service), tie.targets.remove(&service));
            policy.is_some() || targets.is_some()
        });
        if is_known {
            self.order(Order::Forget { service }, Attachment::Nothing);
        }
    }

    /// Asks the worker to let go of a listener. It is ours again when the worker has said so: until
    /// then both could take from it.
    pub(super) fn take_back(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        self.link.given.remove(&id);
        listener.state = State::Leaving;
        if self.link.tie.is_some() {
            self.timers.set(Instant::now() + LEAVE, Timer::Leaving(id));
            self.order(Order::Unlisten { listener: id }, Attachment::Nothing);
        } else {
            self.come_back(id);
        }
    }

    /// The worker has had its time to let go of a listener: one that does not answer is ended.
    pub(super) fn on_late_leaving(&mut self, id: ListenerId) {
        let listener = self.listeners.get(id);
        if listener.is_some_and(|listener| listener.state == State::Leaving) {
            let text = "the worker has not let go of an address for 10 s, and is ended";
            self.observe(&Event::Warning { text });
            self.end_worker();
        }
    }

    /// The worker has let go of a listener: it is closed if that is why, else put to its new use.
    fn come_back(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        if listener.state != State::Leaving {
            return;
        }
        listener.state = State::Resting;
        let before = listener.served_for.take();
        if listener.unwanted {
            self.close(id);
            self.bind_missing();
        } else {
            self.activate(id);
        }
        if let Some(service) = before {
            self.forget_if_over(service);
        }
    }

    /// Tells the worker something, in order, as soon as there is room.
    pub(super) fn order(&mut self, order: Order, attachment: Attachment) {
        if let Some(tie) = &mut self.link.tie {
            tie.outgoing.push_back((order, attachment));
            self.send_orders();
        }
    }

    pub(super) fn send_orders(&mut self) {
        let Some(tie) = &mut self.link.tie else {
            return;
        };
        let mut is_full = false;
        match tie.send(&self.listeners, &mut self.relays) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => is_full = true,
            // It is dying; its exit will tell.
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => {}
            // No memory for it, or too many descriptors on the way: there is room all the same,
            // so the poller would not wait.
            Err(_) => self.timers.set_once(Instant::now() + AGAIN, Timer::Orders),
        }
        if is_full != tie.waits_for_room {
            tie.waits_for_room = is_full;
            let interest = if is_full {
                Interest::Both
            } else {
                Interest::Read
            };
            let _ = self
                .poller
                .change(&tie.socket, interest, Word::Worker.into());
        }
    }

    /// Starts a worker if listeners wait for one.
    pub(super) fn start_worker(&mut self) {
        let is_needed =
            self.link.is_wanted || !self.link.given.is_empty() || self.relays.are_waiting();
        if self.link.tie.is_some() || !is_needed || !self.phase.is_serving() {
            return;
        }
        match self.make_worker() {
            Ok((spawned, socket)) => self.enter_worker(spawned, socket),
            Err(errno) => self.worker_not_started("clone", errno),
        }
    }

    fn make_worker(&mut self) -> Result<(Spawned, OwnedFd), Errno> {
        let (ours, theirs) = socket::record_pair()?;
        self.poller
            .add(&ours, Interest::Read, Word::Worker.into())?;
        let argv = [
            "oxinetd".into(),
            "@worker".into(),
            self.link.max_connections.to_string(),
        ];
        // daytime tells local time.
        let zone = std::env::var("TZ").ok().map(|zone| format!("TZ={zone}"));
        let identity = self.link.identity.as_ref();
        let spec = PlanSpec {
            path: &own_binary(),
            argv: &argv,
            env_before: zone.into_iter().collect(),
            umask: 0o077,
            identity: identity.map(|identity| spawn::Identity {
                uid: identity.uid,
                gid: identity.gid,
                groups: &[],
            }),
            no_new_privileges: true,
            ..PlanSpec::default()
        };
        let spawned = launch::helper(&mut self.spawner, &spec, theirs.as_fd(), fd::null())?;
        Ok((spawned, ours))
    }

    fn enter_worker(&mut self, spawned: Spawned, socket: OwnedFd) {
        self.children.enter(spawned, Role::Worker, Instant::now());
        self.time_aging();
        self.timers.clear(Timer::StartWorker);
        self.link.incarnation += 1;
        self.link.tie = Some(Tie {
            pid: spawned.pid,
            socket,
            born: Instant::now(),
            outgoing: VecDeque::new(),
            policies: HashMap::new(),
            lists: HashMap::new(),
            last_list: 0,
            targets: HashMap::new(),
            waits_for_room: false,
            lies: false,
            sessions: HashMap::new(),
        });
        self.observe(&Event::WorkerStarted { pid: spawned.pid });
        let own_udp: Vec<_> = self
            .listeners
            .iter()
            .filter(|(_, listener)| {
                listener.socket().is_some() && listener.endpoint.transport == Transport::Udp
            })
            .filter_map(|(_, listener)| match *listener.bound() {
                Address::Inet(address) => Some(address),
                _ => None,
            })
            .collect();
        for address in own_udp {
            self.order(Order::OwnUdp { address }, Attachment::Nothing);
        }
        self.tell_bans();
        for (id, work) in self.link.given.clone() {
            self.give(id, work);
        }
        self.send_orders();
    }

    /// There is no worker; later there will be.
    fn worker_not_started(&mut self, stage: &'static str, errno: Errno) {
        self.observe(&Event::WorkerNotStarted { stage, errno });
        self.start_worker_after(RESTART.1);
    }

    /// Sees to it that there will be one. It is there or about to be started, unless the table had no
    /// more use for it when it died.
    pub(super) fn start_worker_soon(&mut self) {
        if self.link.tie.is_none() {
            self.start_worker_after(RESTART.0);
        }
    }

    fn start_worker_after(&mut self, pause: Duration) {
        self.timers
            .set_once(Instant::now() + pause, Timer::StartWorker);
    }

    /// The worker has said something, or can be told something.
    pub(super) fn on_worker(&mut self, ready: Ready) {
        if ready.readable {
            self.read_reports(TURN);
        }
        if ready.writable {
            self.send_orders();
        }
    }

    fn read_reports(&mut self, messages: usize) {
        let mut buffer = [0; BATCH * LENGTH];
        for _ in 0..messages {
            let Some(tie) = self.link.tie.as_ref().filter(|tie| !tie.lies) else {
                return;
            };
            let length = match socket::receive_record(tie.socket.as_fd(), &mut buffer) {
                Ok((length, _)) if length > 0 => length,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return,
                // It has closed its end, so it is of no more use, if it is not dead already.
                _ => return self.end_worker(),
            };
            for bytes in buffer[..length].chunks(LENGTH) {
                match Report::decode(bytes) {
                    Ok(report) => self.on_report(report),
                    Err(_) => {
                        return self.end_lying_worker();
                    }
                }
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        let Some(tie) = self.link.tie.as_mut().filter(|tie| !tie.lies) else {
            return;
        };
        let worker = self.link.incarnation;
        match report {
            Report::Accepted {
                service,
                number,
                peer,
            } => self.on_accepted(service, number, peer, true),
            Report::Began {
                service,
                number,
                peer,
            } => match tie.sessions.get_mut(&number) {
                Some(served) if served.pending => {
                    served.pending = false;
                    let facts = served.facts(worker, number);
                    self.observe_session(facts, |session| Event::Began {
                        session,
                        accepted: true,
                    });
                }
                _ => self.on_accepted(service, number, peer, false),
            },
            Report::NotConnected { number, errno } => {
                let known = tie.sessions.get(&number).copied();
                if let Some(served) = known.filter(|served| served.pending) {
                    tie.sessions.remove(&number);
                    self.not_connected(served.facts(worker, number), Errno::from_raw(errno));
                }
            }
            Report::Ended {
                number,
                received,
                sent,
                ending,
                ..
            } => {
                if let Some(session) = tie.sessions.remove(&number) {
                    self.finish(number, session, Some((received, sent)), reason(ending));
                }
            }
            Report::Aborted { service } => {
                if let Some(entry) = self.services.get_mut(service) {
                    entry.tally.observe(&Event::Accepted {
                        service: &entry.facts.name,
                    });
                    entry.tally.observe(&Event::Aborted {
                        service: &entry.facts.name,
                    });
                }
            }
            Report::Passed {
                number,
                received,
                sent,
                ending,
            } => {
                let passed = Passed {
                    moved: Some((received, sent)),
                    because: Some(reason(ending)).filter(|_| ending != Ending::Finished),
                };
                self.on_passed(number, passed);
            }
            Report::Unlistened { listener } => self.come_back(listener),
            Report::Refused {
                service,
                number,
                peer,
                reason,
            } => {
                let id = ConnectionId {
                    worker,
                    number: number.into(),
                };
                let facts = SessionFacts {
                    service,
                    id,
                    peer: Some(peer),
                };
                self.observe_session(facts, |session| Event::Refused { session, reason });
            }
            Report::Obeyed { serial } => self.link.settle(serial, None),
            Report::Explained { serial, counts } => self.link.settle(serial, Some(counts)),
            Report::Datagrams {
                service,
                received,
                answered,
                unsafe_source,
                over_rate,
                refused,
            } => {
                let Some(facts) = self.services.get(service).map(|it| Rc::clone(&it.facts)) else {
                    return;
                };
                let event = Event::Datagrams {
                    service: &facts.name,
                    received,
                    answered,
                    unsafe_source,
                    over_rate,
                    refused,
                };
                if unsafe_source + over_rate + refused > 0 {
                    // Once a second at most.
                    self.observe_service(service, &event);
                } else if let Some(entry) = self.services.get_mut(service) {
                    entry.tally.observe(&event);
                }
            }
        }
    }

    /// The worker has a client: it serves it, or calls first the server that it is passed on to.
    fn on_accepted(&mut self, service: ServiceId, number: u32, peer: Peer, pending: bool) {
        let Some(tie) = &mut self.link.tie else {
            return;
        };
        let ceiling = self.link.max_connections as usize + MARGIN;
        let is_odd = tie.sessions.contains_key(&number) || tie.sessions.len() > ceiling;
        let Some(entry) = self.services.get_mut(service).filter(|_| !is_odd) else {
            return self.end_lying_worker();
        };
        let served = Served {
            service,
            peer,
            began: Instant::now(),
            pending,
        };
        tie.sessions.insert(number, served);
        if pending {
            let service = &entry.facts.name;
            return entry.tally.observe(&Event::Accepted { service });
        }
        let facts = served.facts(self.link.incarnation, number);
        self.observe_session(facts, |session| Event::Began {
            session,
            accepted: false,
        });
    }

    /// The server that a client was to be passed on to did not answer.
    fn not_connected(&mut self, session: SessionFacts, errno: Errno) {
        let stage = Stage::Connect;
        let facts = self.services.get(session.service).map(|it| &it.facts);
        let object = facts.and_then(|facts| launch::object(stage, facts));
        let object = object.map_or_else(String::new, Cow::into_owned);
        self.observe_session(session, |session| Event::NotStarted {
            session,
            stage,
            errno,
            object: &object,
        });
        self.forget_if_over(session.service);
    }

    fn finish(
        &mut self,
        number: u32,
        served: Served,
        bytes: Option<(u64, u64)>,
        reason: &'static str,
    ) {
        let facts = served.facts(self.link.incarnation, number);
        if served.pending {
            self.observe_session(facts, |session| Event::Began {
                session,
                accepted: true,
            });
        }
        let (received, sent) = bytes.unzip();
        let duration = served.began.elapsed();
        self.observe_session(facts, |session| Event::Finished {
            session,
            duration,
            received,
            sent,
            reason,
        });
        self.forget_if_over(served.service);
    }

    fn end_lying_worker(&mut self) {
        let text = "the worker sent a report that makes no sense, and is ended";
        self.observe(&Event::Warning { text });
        if let Some(tie) = &mut self.link.tie {
            tie.lies = true;
        }
        self.end_worker();
    }

    fn end_worker(&mut self) {
        if let Some(tie) = &self.link.tie {
            let _ = self.poller.remove(&tie.socket);
            signal::kill_process(tie.pid);
        }
    }

    /// The worker has ended: so have its sessions, and its listeners wait for the next.
    pub(super) fn on_worker_exit(&mut self, exit: wait::Exit, failure: Option<(Stage, Errno)>) {
        // What it said before.
        self.read_reports(LAST_WORDS);
        let Some(tie) = self.link.tie.take() else {
            return;
        };
        // Whoever comes next is told anew.
        self.link.owed.clear();
        for (number, session) in tie.sessions {
            self.finish(number, session, None, reason(Ending::WorkerDied));
        }
        self.lose_relays(reason(Ending::WorkerDied));
        self.take_all_back();
        if !self.phase.is_serving() {
            return;
        }
        if let Some((stage, errno)) = failure {
            return self.worker_not_started(stage.name(), errno);
        }
        let pause = if tie.born.elapsed() >= GOOD_RUN {
            RESTART.0
        } else {
            self.link.restart
        };
        self.link.restart = (pause * 2).min(RESTART.1);
        self.link.deaths += 1;
        self.observe(&Event::WorkerDied {
            pid: exit.pid,
            status: exit.status,
            pause,
        });
        self.start_worker_after(pause);
    }

    /// There is no worker any more, so it has let go of everything.
    fn take_all_back(&mut self) {
        let all = self.listeners.iter();
        let leaving = all.filter(|(_, listener)| listener.state == State::Leaving);
        for id in leaving.map(|(id, _)| id).collect::<Vec<_>>() {
            self.come_back(id);
        }
    }

    /// Lets the worker go: it ends when our end of its socket is closed.
    pub(super) fn dismiss_worker(&mut self) {
        self.read_reports(LAST_WORDS);
        self.link.given.clear();
        let Some(tie) = self.link.tie.take() else {
            return;
        };
        let _ = self.poller.remove(&tie.socket);
        for (number, session) in tie.sessions {
            self.finish(number, session, None, "stopped");
        }
        self.lose_relays("stopped");
        self.take_all_back();
    }
}

impl Tie {
    /// Sends what is to be told, and then what is to be handed over.
    fn send(&mut self, listeners: &Listeners, relays: &mut Relays) -> Result<(), Errno> {
        let worker = self.socket.as_fd();
        while let Some((order, attachment)) = self.outgoing.front() {
            send(worker, order, attachment, listeners)?;
            self.outgoing.pop_front();
        }
        relays.send(worker)
    }
}

/// Sends an order with what belongs to it.
fn send(
    worker: BorrowedFd,
    order: &Order,
    attachment: &Attachment,
    listeners: &Listeners,
) -> Result<(), Errno> {
    let record = order.encode();
    match attachment {
        Attachment::Nothing => socket::send_record(worker, &record, &[]),
        Attachment::Listener(id) => match listeners.get(*id).and_then(|it| it.socket()) {
            Some(listener) => socket::send_record(worker, &record, &[listener]),
            // Closed in the meantime.
            None => Ok(()),
        },
        Attachment::Keys(name, policy) => {
            let keys = Keys {
                name: Cow::Borrowed(name),
                rules: Cow::Borrowed(&policy.rules),
            };
            send_file(worker, &record, keys.to_file())
        }
        Attachment::List(acl) => send_file(worker, &record, list_to_file(acl)),
        Attachment::Targets(facts) => match &facts.action {
            Action::Redirect(targets) => {
                let route = Route {
                    targets: targets.clone(),
                    life: facts.life,
                };
                send_file(worker, &record, route.to_file())
            }
            _ => Ok(()),
        },
    }
}

fn send_file(worker: BorrowedFd, record: &[u8], file: io::Result<OwnedFd>) -> Result<(), Errno> {
    let file = file.map_err(|error| Errno::try_from(error).unwrap_or(Errno::ENOMEM))?;
    socket::send_record(worker, record, &[file.as_fd()])
}

fn reason(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::ClientLeft => "client-left",
        Ending::TargetLeft => "target-left",
        Ending::IdleTimeout => "idle-timeout",
        Ending::MaxLifetime => "max-lifetime",
        Ending::Evicted => "evicted",
        Ending::WorkerDied => "worker-died",
        Ending::Killed => "killed",
    }
}
