//! The loop, and what it owns: listeners, children, reload, timers.
//!
//! One thread, one wait. Nothing in a turn blocks: what could (files, names, users) is done by the
//! loader, and what speaks to clients is a program or the worker. No error of a client, a program or
//! the table ends the loop; only a poller that fails does.
//!
//! Each file beside this one is one of its subjects, with the part of [`Supervisor`] that acts on
//! it: `take` accepts and launches, `reap` takes leave, `shortage` rests when resources run out,
//! `reload` puts a table in force, `loading` gets one, `link` is the tie to the worker, `relays` what
//! it passes on for programs, `control` answers commands, `stop` ends.

mod account;
mod background;
mod bans;
mod changes;
mod children;
mod condition;
mod control;
mod handed;
mod life;
mod link;
mod listeners;
mod loading;
mod pid_file;
mod reap;
mod relays;
mod reload;
mod services;
mod shared;
mod shortage;
mod start;
mod stderr;
mod stop;
mod take;
mod timers;
mod waiting;
mod word;

pub use start::{Options, Source, serve};

use crate::admission::{Admission, Now};
use crate::event::{ConnectionId, Event, Session};
use crate::launch::Inherited;
use crate::log::Log;
use crate::refuse::Leaving;
use crate::sys::poll::{Interest, Poller, Ready};
use crate::sys::queue::Diag;
use crate::sys::signal::{Mail, Mailbox};
use crate::sys::spawn::Spawner;
use crate::sys::time::Clock;
use crate::sys::{Errno, fd};
use crate::table::{ListenerId, Server, ServiceId};
use account::Accounts;
use children::{Children, SessionFacts};
use control::{Control, Since};
use handed::Handovers;
use life::Lives;
use link::Link;
use listeners::Listeners;
use loading::Loading;
use relays::Relays;
use services::Services;
use shortage::Shortage;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use stop::Phase;
use timers::{Timer, Timers};
use word::Word;

/// Events taken in one turn.
const TURN: usize = 256;

/// The server.
#[derive(Debug)]
pub struct Supervisor {
    options: Options,
    inherited: Inherited,
    poller: Poller,
    mailbox: Mailbox,
    spawner: Spawner,
    log: Log,
    log_is_polled: bool,
    timers: Timers,
    services: Services,
    listeners: Listeners,
    handovers: Handovers,
    admission: Admission<ServiceId>,
    /// Refused clients that have not gone yet.
    leaving: Leaving,
    /// When the server began, for clocks that count from there.
    start: Instant,
    clock: Clock,
    children: Children,
    accounts: Accounts,
    lives: Lives,
    relays: Relays,
    waiters: HashMap<i32, waiting::Waiter>,
    yielded: HashMap<ListenerId, background::Yielded>,
    diag: Diag,
    pipes: stderr::Pipes,
    shortage: Shortage,
    loading: Loading,
    link: Link,
    control: Control,
    began: Since,
    pid_file: Option<pid_file::PidFile>,
    phase: Phase,
    next_connection: u64,
}

impl Supervisor {
    /// Serves until told to stop. Returns the exit status (sysexits(3)).
    fn run(mut self) -> Result<u8, Errno> {
        self.load();
        loop {
            if let Some(status) = self.exit_status() {
                self.say_goodbye();
                return Ok(status);
            }
            self.flush_log();
            let timeout = self.timers.next_after(Instant::now());
            self.control.begin_turn();
            let ready: Vec<Ready> = self.poller.wait(timeout)?.collect();
            for ready in ready {
                self.on_ready(ready);
            }
            let now = Instant::now();
            // Not for as long as there are some: one that is set anew would keep us from all else.
            for _ in 0..TURN {
                match self.timers.due(now) {
                    Some(timer) => self.on_timer(timer, now),
                    None => break,
                }
            }
            self.answer_those_who_wait();
        }
    }

    fn on_ready(&mut self, ready: Ready) {
        match Word::from(ready.word) {
            Word::Mail => self.on_mail(),
            Word::Launches => self.settle_launches(),
            // A reload may have closed it earlier in this turn; then nobody is found.
            Word::Listener(listener) => self.on_listener(listener),
            Word::Child(pid) => self.on_old_child(pid),
            Word::Stderr(number) => self.on_stderr(number),
            Word::Worker => self.on_worker(ready),
            Word::Notices => self.on_notices(),
            Word::Leaving(number) => self.leaving.gone(number),
            Word::Log => {}
            Word::Control => self.on_control(),
            Word::Caller(number) => self.on_caller(number, ready),
        }
    }

    fn on_mail(&mut self) {
        while let Some(mail) = self.mailbox.take() {
            match mail {
                Mail::Child => self.reap(),
                Mail::Reload => self.load(),
                Mail::Stop => self.stop(),
                Mail::Reopen => self.reopen_log(),
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Age => self.age(now),
            Timer::Listener(listener) => self.look_after(listener),
            Timer::Leaving(listener) => self.on_late_leaving(listener),
            Timer::Orders => self.send_orders(),
            Timer::Retry => self.retry(),
            Timer::Calm => self.calm_down(now),
            Timer::LoaderDeadline(pid) => self.on_loader_deadline(pid),
            Timer::StartWorker => self.start_worker(),
            Timer::Stop => self.stop_further(),
            Timer::Accounts => self.close_accounts(now),
            Timer::Life => self.look_after_lives(now),
            Timer::Refused => self.end_refused(now),
            Timer::Flush => {}
            Timer::Callers => self.look_after_callers(now),
            Timer::LeftOut => self.log.tick(now),
            Timer::Resume(service) => self.end_pause(service),
        }
    }

    /// Lets every view see an event that belongs to no service.
    fn observe(&mut self, event: &Event) {
        self.log.write(event);
        self.control.note(event, None, &self.log);
    }

    /// Lets every view see an event of a service.
    fn observe_service(&mut self, service: ServiceId, event: &Event) {
        self.log.write(event);
        self.control.note(event, None, &self.log);
        if let Some(entry) = self.services.get_mut(service) {
            entry.note(event);
        }
    }

    /// Lets every view see an event of a connection or program.
    fn observe_session<'a>(
        &'a mut self,
        facts: SessionFacts,
        event: impl FnOnce(Session<'a>) -> Event<'a>,
    ) {
        let Some(entry) = self.services.get_mut(facts.service) else {
            return;
        };
        let session = Session {
            service: &entry.facts.name,
            id: facts.id,
            peer: facts.peer,
        };
        let event = event(session);
        self.log.write(&event);
        self.control.note(&event, Some(&entry.facts), &self.log);
        entry.tally.observe(&event);
        // Not `entry.note`: the event borrows the name.
        entry.condition.note(&event, entry.tally.live, &entry.facts);
    }

    /// This moment, as admission counts it.
    fn moment(&mut self) -> Now {
        let local = self.clock.now().local;
        Now {
            at: self.start.elapsed(),
            weekday: local.weekday,
            minute: u16::from(local.hour) * 60 + u16::from(local.minute),
        }
    }

    /// Notes how long a connection has waited for its program.
    fn measure_launch(&mut self, facts: SessionFacts, time: Option<Duration>) {
        let entry = self.services.get_mut(facts.service);
        if let (Some(entry), Some(time), Some(_)) = (entry, time, facts.peer) {
            entry.condition.add_launch(time);
        }
    }

    fn next_id(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId {
            worker: 0,
            number: self.next_connection,
        }
    }

    /// Writes what the log holds. A reader that does not read is polled for, or looked after every
    /// tenth of a second where it cannot be; what is full or gone is left in peace for longer.
    fn flush_log(&mut self) {
        if let Some(due) = self.log.next_due() {
            self.timers.set(due, Timer::LeftOut);
        }
        if self.log.resting_until().is_some() {
            // What rests may be opened anew.
            self.stop_polling_log();
        }
        let is_left = self.log.flush();
        let resting_until = self.log.resting_until();
        if !is_left || resting_until.is_some() {
            self.stop_polling_log();
        } else if let Some(descriptor) = self.log.descriptor().filter(|_| !self.log_is_polled) {
            let word = Word::Log.into();
            self.log_is_polled = self.poller.add(descriptor, Interest::Write, word).is_ok();
        }
        if is_left && !self.log_is_polled {
            let at = resting_until.unwrap_or(Instant::now() + Duration::from_millis(100));
            self.timers.set_once(at, Timer::Flush);
        }
    }

    fn configure_log(&mut self, server: &Server) {
        self.stop_polling_log();
        let Server {
            log,
            log_format,
            log_address,
            ..
        } = server;
        if let Err(error) = self.log.configure(log, *log_format, *log_address) {
            let text = format!(
                "the log stays where it is: cannot open {}: {error}",
                log.name()
            );
            self.observe(&Event::Warning { text: &text });
        }
    }

    fn reopen_log(&mut self) {
        self.stop_polling_log();
        if let Err(error) = self.log.reopen() {
            let text = format!("the log stays where it is: cannot open it again: {error}");
            self.observe(&Event::Warning { text: &text });
        }
    }

    fn stop_polling_log(&mut self) {
        let was_polled = std::mem::take(&mut self.log_is_polled);
        if let Some(descriptor) = self.log.descriptor().filter(|_| was_polled) {
            let _ = self.poller.remove(descriptor);
        }
    }

    fn on_stderr(&mut self, number: u32) {
        // A program that writes runs: the line that says so comes first.
        self.settle_launches();
        let Some(batch) = self.pipes.read(number, Instant::now()) else {
            return;
        };
        let Some(entry) = self.services.get_mut(batch.service) else {
            return;
        };
        let service = &*entry.facts.name;
        for output in &batch.output {
            let event = match output {
                stderr::Output::Line(text) => Event::StderrLine {
                    service,
                    id: batch.id,
                    text,
                },
                stderr::Output::Dropped(lines) => Event::StderrDropped {
                    service,
                    lines: *lines,
                },
            };
            self.log.write(&event);
            self.control.note(&event, None, &self.log);
        }
    }

    /// Tells of lines of programs that were left out and not told of yet.
    fn tell_dropped_lines(&mut self) {
        for (service, lines) in self.pipes.take_dropped() {
            let facts = self.services.get(service).map(|entry| entry.facts.clone());
            if let Some(facts) = facts {
                let service = &facts.name;
                self.observe(&Event::StderrDropped { service, lines });
            }
        }
    }

    /// Waits for signals and for children that have their own descriptor table.
    fn poll_basics(&self) -> Result<(), Errno> {
        self.poller
            .add(self.mailbox.as_fd(), Interest::Read, Word::Mail.into())?;
        self.poller.add(
            fd::launch_event(),
            Interest::ReadEdge,
            Word::Launches.into(),
        )
    }
}
