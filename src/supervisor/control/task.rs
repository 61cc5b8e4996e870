//! What a caller is being answered: the part of the answer that is still to be made.
//!
//! Long answers are made piece by piece as the caller takes them: first is noted of whom to tell,
//! then each is told as it is when its turn comes, and whoever has gone by then is left out.

use super::super::Supervisor;
use super::actions::{Draining, Killing, Pausing};
use super::bans::{self, Obeying};
use super::connection::Connection;
use super::explain::Explaining;
use super::recent::Next;
use super::reload::{Telling, Waiting};
use crate::admission::Ban;
use crate::control::{Request, ServerStatus};
use crate::table::ServiceId;
use serde::Serialize;
use std::time::Instant;
use std::vec::IntoIter;

/// EX_NOINPUT: there is no such service.
const NO_SUCH: u8 = 66;
/// EX_NOPERM.
const NOT_PERMITTED: u8 = 77;
/// EX_TEMPFAIL: it may work later.
const LATER: u8 = 75;
/// EX_USAGE.
const USAGE: u8 = 64;

/// See the module.
#[derive(Debug)]
pub(super) enum Task {
    /// It is to ask.
    Idle,
    /// `status`: these services are still to be told of.
    Status {
        services: IntoIter<ServiceId>,
        times: bool,
    },
    /// `list`: these sessions are.
    List(IntoIter<Found>),
    /// `events`, as text or as JSON.
    Events { text: bool },
    /// `kill`: the sessions that are still to be looked at.
    Kill(Killing),
    /// Who is banned: those that are still to be told of.
    Bans(IntoIter<Ban>),
    /// `ban` and `unban`: the worker has still to obey.
    Obey(Obeying),
    /// `explain`: the worker has still to answer.
    Explain(Explaining),
    /// `reload`: the table is not in force yet.
    Reload(Waiting),
    /// It is, or was refused.
    Telling(Telling),
    /// `pause`: the worker still has a listener.
    Pause(Pausing),
    /// `drain`: the service that is not empty yet.
    Drain(Draining),
}

/// A live connection or program.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// A program of ours, by pid.
    Program(i32),
    /// A connection whose program has ended and whose client has yet to take what is left, by its
    /// number.
    Left(u64),
    /// A session of the worker, by its number there.
    Session(u32),
}

impl Task {
    /// Whether the next word is neither the caller's nor ready: something must happen first.
    pub(super) fn waits(&self) -> bool {
        match self {
            Task::Idle | Task::Status { .. } | Task::List(_) => false,
            Task::Kill(_) | Task::Telling(_) | Task::Bans(_) => false,
            Task::Obey(_) | Task::Explain(_) | Task::Pause(_) => true,
            Task::Reload(_) | Task::Drain(_) | Task::Events { .. } => true,
        }
    }

    /// When it is over, whatever happens until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Task::Drain(draining) => Some(draining.deadline),
            Task::Obey(obeying) => Some(obeying.deadline),
            _ => None,
        }
    }
}

/// An event as text: an item of `events`.
#[derive(Serialize)]
struct Told<'a> {
    time: f64,
    text: &'a str,
}

/// Events that a slow follower was not told of: an item of `events`.
#[derive(Serialize)]
struct Missed {
    missed: u64,
}

/// The last line of `status`.
#[derive(Serialize)]
struct StatusDone {
    done: bool,
    server: ServerStatus,
}

/// The last line of an answer that has nothing else to say.
#[derive(Serialize)]
struct Done {
    done: bool,
}

impl Supervisor {
    /// Begins to answer a request.
    pub(super) fn begin_answer(&mut self, caller: &mut Connection, line: &[u8]) {
        let now = Instant::now();
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(error) => return caller.fail(error, USAGE, now),
        };
        if !request.only_looks() && !caller.who.may_act {
            let error =
                "members of the group may look, only root and the server's own user may act";
            return caller.fail(error, NOT_PERMITTED, now);
        }
        // Nothing has told us of programs that run since a moment ago.
        self.settle_launches();
        if let Err(name) = self.begin_task(caller, request) {
            caller.fail(format!("there is no service {name}"), NO_SUCH, now);
        }
    }

    /// Begins what was asked for; the error is the name of a service that is not there.
    fn begin_task(&mut self, caller: &mut Connection, request: Request) -> Result<(), String> {
        match request {
            Request::Status { service, times } => {
                let services = match self.one(service)? {
                    Some(one) => vec![one],
                    None => self.services_in_order(),
                };
                let services = services.into_iter();
                caller.task = Task::Status { services, times };
            }
            Request::List { service } => {
                let one = self.one(service)?;
                caller.task = Task::List(self.sessions(one).into_iter());
            }
            Request::Events {
                follow,
                services,
                text,
            } => {
                for name in &services {
                    self.one(Some(name.clone()))?;
                }
                self.control.recent.follow(caller.number, follow, services);
                caller.task = Task::Events { text };
            }
            Request::Bans => caller.task = self.all_bans(),
            Request::Ban {
                address,
                bits,
                seconds,
            } => self.begin_ban(caller, address, bits, seconds),
            Request::Unban { address, bits } => self.begin_unban(caller, address, bits),
            Request::Explain { service, from } => {
                let service = self.services.find(&service).ok_or(service)?;
                self.begin_explaining(caller, service, from);
            }
            action => return self.act(caller, action),
        }
        Ok(())
    }

    /// False when nothing has happened yet.
    fn tell_next_event(&mut self, caller: &mut Connection, text: bool) -> bool {
        let address = self.log.address();
        match self.control.recent.next(caller.number) {
            Next::Happened(kept) if text => {
                let mut line = Vec::new();
                kept.write_text(&mut line, address);
                let text = String::from_utf8_lossy(&line);
                let (time, text) = (kept.at().as_secs_f64(), text.trim_end());
                caller.say(&Told { time, text });
            }
            Next::Happened(kept) => kept.write_json(caller.output(), address),
            Next::Missed(missed) => caller.say(&Missed { missed }),
            Next::Nothing => return false,
            Next::End => {
                self.control.recent.leave(caller.number);
                caller.finish(&Done { done: true }, Instant::now());
            }
        }
        true
    }

    fn one(&self, name: Option<String>) -> Result<Option<ServiceId>, String> {
        match name {
            None => Ok(None),
            Some(name) => self.services.find(&name).map(Some).ok_or(name),
        }
    }

    /// Makes the next piece of the answer. False when something must happen first.
    pub(super) fn go_on(&mut self, caller: &mut Connection) -> bool {
        match &mut caller.task {
            Task::Idle => return false,
            Task::Events { text } => {
                let text = *text;
                return self.tell_next_event(caller, text);
            }
            Task::Kill(killing) => {
                if !self.go_on_killing(killing) {
                    let killing = std::mem::replace(&mut caller.task, Task::Idle);
                    self.end_killing(caller, killing);
                }
            }
            Task::Bans(bans) => match bans.next() {
                Some(ban) => caller.say(&bans::item(&ban)),
                None => caller.finish(&Done { done: true }, Instant::now()),
            },
            Task::Obey(obeying) => match self.obeyed(obeying) {
                Some(Ok(did)) => caller.finish(&did, Instant::now()),
                Some(Err(error)) => caller.fail(error, LATER, Instant::now()),
                None => return false,
            },
            Task::Explain(asked) => match self.explaining(asked) {
                Some(Ok(explained)) => caller.finish(&explained, Instant::now()),
                Some(Err(error)) => caller.fail(error, LATER, Instant::now()),
                None => return false,
            },
            Task::Reload(waiting) => {
                let waiting = *waiting;
                return self.reloaded(caller, waiting);
            }
            Task::Telling(_) => self.go_on_telling(caller),
            Task::Pause(_) => return self.go_on_pausing(caller),
            Task::Drain(draining) => match self.drained(draining) {
                Some(outcome) => self.end_draining(caller, outcome),
                None => return false,
            },
            Task::Status { services, times } => match services.next() {
                Some(service) => {
                    if let Some(status) = self.service_status(service, *times) {
                        caller.say(&status);
                    }
                }
                None => {
                    let server = self.server_status();
                    caller.finish(&StatusDone { done: true, server }, Instant::now());
                }
            },
            Task::List(sessions) => match sessions.next() {
                Some(found) => {
                    if let Some(status) = self.session_status(found) {
                        caller.say(&status);
                    }
                }
                None => caller.finish(&Done { done: true }, Instant::now()),
            },
        }
        true
    }
}
