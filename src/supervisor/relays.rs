//! Programs behind pipes and terminals: what the worker needs to stand between them and their clients is handed to
//! it, and what it has passed on comes back for the end record.
//!
//! A connection is over when its program has ended and nothing more passes, whichever comes first;
//! until then it keeps its permit, so that clients that read slowly count, and its limits: one that
//! has reached a limit or is killed when its program has ended is cut off. While there is no worker,
//! or its control socket is full, what is to be handed over waits here. When the worker dies what it
//! had is over, and what is waiting is the next one's.
//!
//! A terminal is hung up when its master is closed, and until its program is executed that would be
//! a failure to start it: so we hold the master, too, until then.

use super::Supervisor;
use super::account::Ended;
use super::children::SessionFacts;
use crate::admission::Permit;
use crate::control::{LENGTH, Order, Way};
use crate::event::Event;
use crate::launch::{Far, Handover};
use crate::sys::socket::send_record;
use crate::sys::{Errno, limits};
use crate::table::{LifeLimit, Service, ServiceId, Stdio};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// Handovers that may wait before listeners rest.
const MANY: usize = 128;
/// How long they rest.
pub(super) const REST: Duration = Duration::from_millis(10);
/// Descriptors that the worker needs for other things, at least.
const SPARE: usize = 256;
/// Descriptors that it has for each.
const EACH: usize = 3;

/// Connections that the worker passes on for programs.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// What the worker is to be told of them, in this order, and what goes with it.
    waiting: VecDeque<(u64, Order, Option<Handover>)>,
    /// By connection number.
    live: HashMap<u64, Relay>,
    /// How many the worker has room for; 0 for not known yet.
    most: usize,
}

#[derive(Debug)]
struct Relay {
    session: SessionFacts,
    /// Lives for as long as it does.
    life: Rc<()>,
    /// Bytes that we have sent ourselves.
    greeted: u64,
    began: Instant,
    is_handed: bool,
    /// Its program runs.
    is_executed: bool,
    /// The master of its terminal, while the worker has it and its program does not run yet.
    master: Option<OwnedFd>,
    /// Nothing more passes.
    over: Option<Passed>,
    /// Its program has ended.
    left: Option<Box<(Ended, Permit<ServiceId>)>>,
}

/// What has passed between a client and its program.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// Bytes from and to the client, as far as it is known.
    pub(super) moved: Option<(u64, u64)>,
    /// Why no more does, where it was not that both had ended.
    pub(super) because: Option<&'static str>,
}

impl Relays {
    /// Whether the worker has still to be told of so many that no more should be begun for now.
    pub(super) fn are_many(&self) -> bool {
        self.waiting.len() >= MANY
    }

    /// Whether the worker has no room for more.
    pub(super) fn are_full(&mut self) -> bool {
        if self.most == 0 {
            // The worker's limit is ours.
            let nofile = limits::nofile().map_or(1024, |(soft, _)| soft);
            let nofile = usize::try_from(nofile).unwrap_or(usize::MAX);
            self.most = nofile.saturating_sub(SPARE).max(EACH) / EACH;
        }
        self.live.len() >= self.most
    }

    /// Whether the worker is needed for some.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Connections whose program has ended before all was passed on.
    pub(super) fn leaving(&self) -> usize {
        self.live.values().filter(|it| it.left.is_some()).count()
    }

    /// Those connections: number, facts and beginning.
    pub(super) fn left(&self) -> impl Iterator<Item = (u64, SessionFacts, Instant)> + '_ {
        let left = self.live.iter().filter(|(_, it)| it.left.is_some());
        left.map(|(number, it)| (*number, it.session, it.began))
    }

    /// One of them.
    pub(super) fn one_left(&self, number: u64) -> Option<(SessionFacts, Instant)> {
        let relay = self.live.get(&number).filter(|it| it.left.is_some())?;
        Some((relay.session, relay.began))
    }

    /// What lives for as long as this connection does, if the worker passes it on.
    pub(super) fn life(&self, number: u64) -> Weak<()> {
        let relay = self.live.get(&number);
        relay.map_or_else(Weak::new, |relay| Rc::downgrade(&relay.life))
    }

    /// Sends what waits, in order, until there is no room.
    pub(super) fn send(&mut self, worker: BorrowedFd) -> Result<(), Errno> {
        while let Some((number, order, handover)) = self.waiting.front() {
            let relay = self.live.get_mut(number);
            // One whose program could not be started is closed, of one that is over nothing is told.
            let is_due = match &relay {
                Some(relay) => relay.over.is_none(),
                None => handover.is_none(),
            };
            if is_due {
                send(worker, order, handover.as_ref())?;
            }
            if let Some(relay) = relay.filter(|_| is_due) {
                relay.is_handed = true;
            }
            let Some((number, _, handover)) = self.waiting.pop_front() else {
                break;
            };
            let far = handover.map(|handover| handover.far);
            if let (Some(Far::Terminal(master)), Some(relay)) = (far, self.live.get_mut(&number)) {
                relay.master = Some(master).filter(|_| !relay.is_executed);
            }
        }
        Ok(())
    }

    /// Its program runs.
    pub(super) fn executed(&mut self, number: u64) {
        if let Some(relay) = self.live.get_mut(&number) {
            (relay.is_executed, relay.master) = (true, None);
        }
    }
}

fn send(worker: BorrowedFd, order: &Order, handover: Option<&Handover>) -> Result<(), Errno> {
    let record: [u8; LENGTH] = order.encode();
    let Some(handover) = handover else {
        return send_record(worker, &record, &[]);
    };
    let client = handover.client.as_fd();
    match &handover.far {
        Far::Pipes(input, output) => {
            send_record(worker, &record, &[client, input.as_fd(), output.as_fd()])
        }
        Far::Terminal(master) => send_record(worker, &record, &[client, master.as_fd()]),
    }
}

impl Supervisor {
    /// Has the worker stand between a client and its program.
    pub(super) fn hand_over(
        &mut self,
        session: SessionFacts,
        service: &Service,
        handover: Handover,
        began: Instant,
    ) {
        let (way, newline) = match &service.stdio {
            Stdio::Socket => return,
            Stdio::Pipe { newline } => (Way::Pipes, *newline),
            Stdio::Terminal { newline, terminal } if terminal.raw => (Way::RawTerminal, *newline),
            Stdio::Terminal { newline, .. } => (Way::Terminal, *newline),
        };
        let number = session.id.number;
        let relay = Relay {
            session,
            life: Rc::default(),
            greeted: service.banner.as_ref().map_or(0, String::len) as u64,
            began,
            is_handed: false,
            is_executed: false,
            master: None,
            over: None,
            left: None,
        };
        self.relays.live.insert(number, relay);
        let order = Order::Attend {
            number,
            way,
            newline,
        };
        self.tell_of_relay(number, order, Some(handover));
        self.start_worker_soon();
    }

    fn tell_of_relay(&mut self, number: u64, order: Order, handover: Option<Handover>) {
        self.relays.waiting.push_back((number, order, handover));
        self.send_orders();
    }

    /// Nothing more passes between a client and its program.
    pub(super) fn on_passed(&mut self, number: u64, passed: Passed) {
        let Some(relay) = self.relays.live.get_mut(&number) else {
            return;
        };
        match relay.left.take() {
            Some(left) => self.finish_relay(number, *left, passed),
            None => relay.over = Some(passed),
        }
    }

    /// Its program was never run.
    pub(super) fn forget_relay(&mut self, number: u64) {
        if self
            .relays
            .live
            .remove(&number)
            .is_some_and(|it| it.is_handed)
        {
            self.tell_of_relay(number, Order::Exited { number }, None);
        }
    }

    /// Ends a connection whose program has ended, whatever its client has still to take: it has reached
    /// this limit, or somebody wants it to end.
    pub(super) fn cut_relay(&mut self, number: u64, limit: Option<LifeLimit>) {
        let relay = self.relays.live.get_mut(&number);
        let Some((ended, _)) = relay.and_then(|relay| relay.left.as_deref_mut()) else {
            return;
        };
        ended.limit = ended.limit.or(limit);
        self.tell_of_relay(number, Order::Cut { number }, None);
    }

    /// A program behind pipes or on a terminal has ended.
    pub(super) fn leave_relay(&mut self, ended: Ended, permit: Permit<ServiceId>) {
        let number = ended.session.id.number;
        self.relays.executed(number);
        let relay = self.relays.live.get_mut(&number);
        match relay.as_ref().map(|relay| relay.over) {
            Some(Some(passed)) => self.finish_relay(number, (ended, permit), passed),
            Some(None) => {
                if let Some(relay) = relay {
                    relay.left = Some(Box::new((ended, permit)));
                }
                self.tell_of_relay(number, Order::Exited { number }, None);
            }
            None => self.finish_relay(number, (ended, permit), Passed::default()),
        }
    }

    fn finish_relay(
        &mut self,
        number: u64,
        (mut ended, permit): (Ended, Permit<ServiceId>),
        passed: Passed,
    ) {
        let mut moved = passed.moved;
        ended.unjoined = passed.because;
        if let Some(relay) = self.relays.live.remove(&number) {
            ended.duration = relay.began.elapsed();
            moved = moved.map(|(received, sent)| (received, sent + relay.greeted));
        }
        let service = ended.session.service;
        self.forget_life_soon(ended.exit.pid);
        self.tell_end(ended, moved);
        let made_room = self.admission.release(permit);
        self.follow(service, made_room);
    }

    /// The worker has ended, for this reason: so has all that it passed on.
    pub(super) fn lose_relays(&mut self, reason: &'static str) {
        let passed = Passed {
            moved: None,
            because: Some(reason),
        };
        let all = self.relays.live.iter();
        let lost = all.filter(|(_, it)| it.is_handed && it.over.is_none());
        for number in lost.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.on_passed(number, passed);
        }
    }

    /// Tells of all, whatever still waits to be passed on: we stop. Of a program that runs nobody
    /// will know how it ended.
    pub(super) fn close_relays(&mut self) {
        let left = self.relays.left().map(|(number, ..)| number);
        for number in left.collect::<Vec<_>>() {
            self.on_passed(number, Passed::default());
        }
        let mut live: Vec<Relay> = std::mem::take(&mut self.relays.live)
            .into_values()
            .collect();
        live.retain(|relay| relay.is_executed);
        live.sort_unstable_by_key(|relay| relay.session.id.number);
        for relay in live {
            let duration = relay.began.elapsed();
            let moved = relay.over.and_then(|passed| passed.moved);
            let moved = moved.map(|(received, sent)| (received, sent + relay.greeted));
            let (received, sent) = moved.unzip();
            self.observe_session(relay.session, |session| Event::Finished {
                session,
                duration,
                received,
                sent,
                reason: "stopped",
            });
        }
    }
}
