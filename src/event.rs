//! Everything that can happen, once.
//!
//! An [`Event`] is made where something happens and read by every view of it: log lines (text and
//! JSON from the same fields) and counters. They cannot disagree.

mod histogram;
mod tally;

pub use histogram::{Histogram, LAUNCH_BOUNDS, SESSION_BOUNDS};
pub use tally::{LazyTally, Tally};

use crate::sys::Errno;
use crate::sys::socket::Peer;
use crate::sys::spawn::Stage;
use crate::sys::wait::{Status, signal_name};
use crate::table::{LifeLimit, Refusal};
use std::fmt;
use std::time::Duration;

/// A connection's number, unique while the server runs. Those of the worker carry the worker's own
/// number in front: `1.7` is the seventh connection of the first worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// 0 for the supervisor, else which worker.
    pub worker: u32,
    /// Counted from 1.
    pub number: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.worker {
            0 => write!(f, "{}", self.number),
            worker => write!(f, "{worker}.{}", self.number),
        }
    }
}

/// How much an event matters, in the numbers of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A service is down.
    Error = 3,
    /// Something is degraded.
    Warning = 4,
    /// The server's own life.
    Notice = 5,
    /// One connection.
    Info = 6,
}

/// Who a connection or a started program is.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The service's name.
    pub service: &'a str,
    /// Its number.
    pub id: ConnectionId,
    /// The client; `None` for a program that waits on the socket itself.
    pub peer: Option<Peer>,
}

/// Something that happened. The fields are what the words say.
#[allow(missing_docs)]
#[derive(Debug)]
pub enum Event<'a> {
    /// A socket is bound and served.
    Listening { service: &'a str, address: &'a str },
    /// A socket could not be bound.
    NotBound {
        service: &'a str,
        address: &'a str,
        call: &'static str,
        errno: Errno,
        advice: &'a str,
    },
    /// A service cannot be offered by this server.
    Unavailable { service: &'a str, reason: &'a str },
    /// Everything in the table listens, or has said why not.
    Ready { services: usize, listeners: usize },
    /// A connection was accepted. (A counter, not a line.)
    Accepted { service: &'a str },
    /// A connection was accepted and refused.
    Refused {
        session: Session<'a>,
        reason: Refusal,
    },
    /// A connection was gone before it could be served. (A counter, not a line.)
    Aborted { service: &'a str },
    /// A child was made for a program. (A counter, not a line.)
    Cloned { session: Session<'a> },
    /// Its exec has succeeded: the program runs.
    Started { session: Session<'a>, pid: i32 },
    /// A program could not be started.
    NotStarted {
        session: Session<'a>,
        stage: Stage,
        errno: Errno,
        object: &'a str,
    },
    /// A program has ended.
    Ended {
        session: Session<'a>,
        pid: i32,
        status: Status,
        duration: Duration,
        cpu: Duration,
        /// `None` when it is not above our own, which the kernel passes on over clone and exec.
        max_rss: Option<u64>,
        received: Option<u64>,
        sent: Option<u64>,
        /// The limit that ended it, if one did.
        limit: Option<LifeLimit>,
        /// Why nothing more was passed on between it and its client, where that was not its end.
        unjoined: Option<&'static str>,
    },
    /// What a program had left behind was ended by a limit.
    Swept {
        session: Session<'a>,
        limit: LifeLimit,
    },
    /// The worker serves a client. `accepted`: that it was accepted is counted already.
    Began {
        session: Session<'a>,
        accepted: bool,
    },
    /// That client was answered, or left.
    Finished {
        session: Session<'a>,
        duration: Duration,
        received: Option<u64>,
        sent: Option<u64>,
        reason: &'static str,
    },
    /// Datagrams of a built-in service since the last such event.
    Datagrams {
        service: &'a str,
        received: u64,
        answered: u64,
        unsafe_source: u64,
        over_rate: u64,
        refused: u64,
    },
    /// A line that a program wrote to its standard error.
    StderrLine {
        service: &'a str,
        id: ConnectionId,
        text: &'a str,
    },
    /// Lines of that kind that were left out, being too many.
    StderrDropped { service: &'a str, lines: u64 },
    /// Lines about this service that were left out, being too many; `event` is the name of each.
    LeftOut {
        service: &'a str,
        event: &'static str,
        reason: Option<Refusal>,
        lines: u64,
        duration: Duration,
    },
    /// Descriptors, processes or memory ran out; accepting rests.
    Exhausted { what: &'static str, errno: Errno },
    /// Accepting goes on.
    Recovered { after: Duration },
    /// A `wait` program left its socket unfit; it is put right.
    SocketDamaged {
        service: &'a str,
        address: &'a str,
        reason: &'static str,
        /// Whether that took a new one.
        is_new: bool,
    },
    /// A `wait` program ended and consumed nothing; it rests so long.
    BackingOff { service: &'a str, pause: Duration },
    /// The datagram that waits first was not taken by one run after another of a `wait` program: it is
    /// dropped. Then the program rests.
    DatagramDropped {
        service: &'a str,
        address: &'a str,
        /// Who sent it.
        peer: Option<Peer>,
        pause: Duration,
    },
    /// A `wait` program has ended, and a process that it started keeps its socket.
    WentToBackground { service: &'a str, pid: i32 },
    /// The worker runs.
    WorkerStarted { pid: i32 },
    /// The worker has ended, and is started again after so long.
    WorkerDied {
        pid: i32,
        status: Status,
        pause: Duration,
    },
    /// The worker could not be started.
    WorkerNotStarted { stage: &'static str, errno: Errno },
    /// A new table is in force.
    Reloaded {
        added: usize,
        changed: usize,
        removed: usize,
        kept: usize,
    },
    /// A new table had mistakes; the old one stays.
    ReloadRefused { mistakes: usize },
    /// One of these mistakes, rendered.
    Mistake { text: &'a str },
    /// Something in the table that may be wrong all the same, rendered.
    Remark { text: &'a str },
    /// Something in the table, or in how we were started, that is not quite right.
    Warning { text: &'a str },
    /// How something is done here, where there are several ways.
    Note { text: &'a str },
    /// Somebody has acted through the control socket.
    Control {
        uid: u32,
        pid: i32,
        action: &'a str,
        /// The service it was done to, if it was one.
        service: Option<&'a str>,
    },
    /// A pause is over.
    Resumed { service: &'a str },
    /// Somebody may not use the control socket; so many since the last such event.
    CallersRefused { uid: u32, pid: i32, callers: u64 },
    /// We were asked to stop.
    Stopping { live: usize },
    /// What one service did in all its time.
    Totals { service: &'a str, tally: &'a Tally },
    /// The end.
    Stopped,
}

/// A field of an event.
pub enum Value<'a> {
    /// Something that is not known.
    Unknown,
    /// A number.
    Number(u64),
    /// Seconds.
    Seconds(Duration),
    /// A client: whoever shows it decides how much of its address.
    Peer(Peer),
    /// Text.
    Text(&'a dyn fmt::Display),
}

impl Event<'_> {
    /// The word for it in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Listening { .. } => "listening",
            Event::NotBound { .. } => "not-bound",
            Event::Unavailable { .. } => "unavailable",
            Event::Ready { .. } => "ready",
            Event::Accepted { .. } => "accepted",
            Event::Refused { .. } => "refused",
            Event::Aborted { .. } => "aborted",
            Event::Cloned { .. } => "cloned",
            Event::Started { .. } | Event::Began { .. } => "start",
            Event::NotStarted { .. } => "not-started",
            Event::Ended { .. } | Event::Finished { .. } => "end",
            Event::Swept { .. } => "swept",
            Event::Datagrams { .. } => "datagrams",
            Event::StderrLine { .. } => "stderr",
            Event::StderrDropped { .. } => "stderr-dropped",
            Event::LeftOut { .. } => "left-out",
            Event::Exhausted { .. } => "exhausted",
            Event::Recovered { .. } => "recovered",
            Event::SocketDamaged { .. } => "socket-damaged",
            Event::BackingOff { .. } => "backing-off",
            Event::DatagramDropped { .. } => "datagram-dropped",
            Event::WentToBackground { .. } => "went-to-background",
            Event::WorkerStarted { .. } => "worker-started",
            Event::WorkerDied { .. } => "worker-died",
            Event::WorkerNotStarted { .. } => "worker-not-started",
            Event::Reloaded { .. } => "reloaded",
            Event::ReloadRefused { .. } => "reload-refused",
            Event::Mistake { .. } => "mistake",
            Event::Remark { .. } | Event::Warning { .. } => "warning",
            Event::Note { .. } => "note",
            Event::Control { .. } => "control",
            Event::Resumed { .. } => "resumed",
            Event::CallersRefused { .. } => "callers-refused",
            Event::Stopping { .. } => "stopping",
            Event::Totals { .. } => "totals",
            Event::Stopped => "stopped",
        }
    }

    /// How much it matters. What clients can cause is never above [`Severity::Info`], unless it
    /// tells of a fault on our side.
    pub fn severity(&self) -> Severity {
        match self {
            Event::NotBound { .. } | Event::Unavailable { .. } | Event::NotStarted { .. } => {
                Severity::Error
            }
            Event::ReloadRefused { .. }
            | Event::Mistake { .. }
            | Event::WorkerNotStarted { .. } => Severity::Error,
            Event::Exhausted { .. } | Event::SocketDamaged { .. } | Event::BackingOff { .. } => {
                Severity::Warning
            }
            Event::WorkerDied { .. }
            | Event::DatagramDropped { .. }
            | Event::WentToBackground { .. }
            | Event::Warning { .. }
            | Event::Remark { .. }
            | Event::CallersRefused { .. }
            | Event::StderrDropped { .. } => Severity::Warning,
            Event::Accepted { .. } | Event::Aborted { .. } | Event::Cloned { .. } => Severity::Info,
            Event::Started { .. }
            | Event::Ended { .. }
            | Event::Swept { .. }
            | Event::Refused { .. }
            | Event::Began { .. }
            | Event::Finished { .. } => Severity::Info,
            Event::Datagrams { .. } | Event::StderrLine { .. } | Event::LeftOut { .. } => {
                Severity::Info
            }
            Event::Listening { .. } | Event::Ready { .. } | Event::Recovered { .. } => {
                Severity::Notice
            }
            Event::WorkerStarted { .. } | Event::Reloaded { .. } | Event::Stopping { .. } => {
                Severity::Notice
            }
            Event::Note { .. } | Event::Control { .. } | Event::Resumed { .. } => Severity::Notice,
            Event::Totals { .. } | Event::Stopped => Severity::Notice,
        }
    }

    /// Whether it has a line in the log; the others only count.
    pub fn is_logged(&self) -> bool {
        !matches!(
            self,
            Event::Accepted { .. } | Event::Aborted { .. } | Event::Cloned { .. }
        )
    }

    /// A sentence for those that are better told in one: what could not be done, why, and what helps.
    pub fn sentence(&self) -> Option<String> {
        Some(match self {
            Event::NotBound {
                service,
                address,
                call,
                errno,
                advice,
            } => {
                let call = if *call == "bind" {
                    String::new()
                } else {
                    format!("{call}: ")
                };
                format!(
                    "cannot bind {service} ({address}): {call}{}{advice}",
                    words(*errno)
                )
            }
            Event::Unavailable { service, reason } => format!("cannot offer {service}: {reason}"),
            Event::NotStarted {
                session,
                stage,
                errno,
                object,
            } => {
                let object = if object.is_empty() {
                    String::new()
                } else {
                    format!(" {object}")
                };
                let what = match stage {
                    Stage::Connect => "reach",
                    _ => "start",
                };
                format!(
                    "cannot {what} {}: {}{object}: {}",
                    session.service,
                    stage.name(),
                    words(*errno)
                )
            }
            Event::Exhausted { what, errno } => {
                format!(
                    "cannot {what}: {}; accepting rests until it gets better, clients wait in the queue",
                    words(*errno)
                )
            }
            Event::Recovered { after } => {
                format!("accepting again after {:.3}s", after.as_secs_f64())
            }
            Event::SocketDamaged {
                service,
                address,
                reason,
                is_new,
            } => {
                let cure = if *is_new { "made anew" } else { "put right" };
                format!("the program of {service} spoilt its socket ({address}): {reason}; {cure}")
            }
            Event::BackingOff { service, pause } => {
                format!(
                    "the program of {service} ended and left something waiting; next start in {:.1}s",
                    pause.as_secs_f64()
                )
            }
            Event::DatagramDropped {
                service,
                address,
                pause,
                ..
            } => {
                let rest = match pause.is_zero() {
                    true => String::new(),
                    false => format!("; next start in {:.1}s", pause.as_secs_f64()),
                };
                format!(
                    "the program of {service} ended again and again without taking the datagram \
                     that waited first ({address}); dropped it{rest}"
                )
            }
            Event::WentToBackground { service, pid } => {
                format!(
                    "the program of {service} went to the background and kept its socket (pid {pid}); \
                     what comes is left to that first; a program with wait = true should stay in the \
                     foreground"
                )
            }
            Event::WorkerDied { pid, status, pause } => {
                format!(
                    "the worker (pid {pid}) ended: {}; next start in {:.1}s",
                    Shown(*status),
                    pause.as_secs_f64()
                )
            }
            Event::WorkerNotStarted { stage, errno } => {
                format!("cannot start the worker: {stage}: {}", words(*errno))
            }
            Event::ReloadRefused { mistakes } => {
                let plural = if *mistakes == 1 { "" } else { "s" };
                format!("reload refused: {mistakes} mistake{plural}; the table in force stays")
            }
            Event::Mistake { text } | Event::Remark { text } | Event::Note { text } => {
                (*text).to_owned()
            }
            Event::Warning { text } => format!("warning: {text}"),
            _ => return None,
        })
    }

    /// Shows every field that is not already in the sentence's words, ids last. `all` shows those too.
    pub fn fields(&self, all: bool, show: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Event::Listening { service, address } => {
                show("service", Value::Text(service));
                show("address", Value::Text(address));
            }
            Event::NotBound {
                service,
                address,
                errno,
                ..
            } if all => {
                show("service", Value::Text(service));
                show("address", Value::Text(address));
                show("errno", Value::Text(&format_args!("{errno:?}")));
            }
            Event::Unavailable { service, .. }
            | Event::SocketDamaged { service, .. }
            | Event::BackingOff { service, .. }
                if all =>
            {
                show("service", Value::Text(service));
            }
            Event::DatagramDropped { service, peer, .. } => {
                if all {
                    show("service", Value::Text(service));
                }
                if let Some(peer) = peer {
                    show("peer", Value::Peer(*peer));
                }
            }
            Event::WentToBackground { service, pid } if all => {
                show("service", Value::Text(service));
                show("pid", Value::Number(*pid as u64));
            }
            Event::Ready {
                services,
                listeners,
            } => {
                show("services", Value::Number(*services as u64));
                show("listeners", Value::Number(*listeners as u64));
            }
            Event::Started { session, pid } => show_session(session, Some(*pid), show, |_| {}),
            Event::Began { session, .. } => show_session(session, None, show, |_| {}),
            Event::Refused { session, reason } => {
                show_session(session, None, show, |show| {
                    show("reason", Value::Text(reason));
                });
            }
            Event::NotStarted {
                session,
                stage,
                errno,
                ..
            } => {
                show_session(session, None, show, |show| {
                    if all {
                        show("stage", Value::Text(&stage.name()));
                        show("errno", Value::Text(&format_args!("{errno:?}")));
                    }
                });
            }
            Event::Ended {
                session,
                pid,
                status,
                duration,
                cpu,
                max_rss,
                received,
                sent,
                limit,
                unjoined,
            } => {
                show_session(session, Some(*pid), show, |show| {
                    show("status", Value::Text(&Shown(*status)));
                    show("duration", Value::Seconds(*duration));
                    show("cpu", Value::Seconds(*cpu));
                    match max_rss {
                        Some(max_rss) => show("maxrss", Value::Text(&format_args!("{max_rss}K"))),
                        None if all => show("maxrss", Value::Unknown),
                        None => {}
                    }
                    show_bytes(*received, *sent, all, show);
                    show("reason", Value::Text(&reason(*status, *limit, *unjoined)));
                });
            }
            Event::Swept { session, limit } => {
                show_session(session, None, show, |show| {
                    show("reason", Value::Text(limit));
                });
            }
            Event::Finished {
                session,
                duration,
                received,
                sent,
                reason,
            } => {
                show_session(session, None, show, |show| {
                    show("duration", Value::Seconds(*duration));
                    show_bytes(*received, *sent, all, show);
                    show("reason", Value::Text(reason));
                });
            }
            Event::Datagrams {
                service,
                received,
                answered,
                unsafe_source,
                over_rate,
                refused,
            } => {
                show("service", Value::Text(service));
                show("received", Value::Number(*received));
                show("answered", Value::Number(*answered));
                show("unsafe_source", Value::Number(*unsafe_source));
                show("over_rate", Value::Number(*over_rate));
                show("refused", Value::Number(*refused));
            }
            Event::StderrLine { service, id, text } => {
                show("service", Value::Text(service));
                show("id", Value::Text(id));
                show("line", Value::Text(text));
            }
            Event::StderrDropped { service, lines } => {
                show("service", Value::Text(service));
                show("lines", Value::Number(*lines));
            }
            Event::LeftOut {
                service,
                event,
                reason,
                lines,
                duration,
            } => {
                show("service", Value::Text(service));
                show("kind", Value::Text(event));
                if let Some(reason) = reason {
                    show("reason", Value::Text(reason));
                }
                show("lines", Value::Number(*lines));
                show("within", Value::Seconds(*duration));
            }
            Event::WorkerStarted { pid } => show("pid", Value::Number(*pid as u64)),
            Event::Reloaded {
                added,
                changed,
                removed,
                kept,
            } => {
                show("added", Value::Number(*added as u64));
                show("changed", Value::Number(*changed as u64));
                show("removed", Value::Number(*removed as u64));
                show("kept", Value::Number(*kept as u64));
            }
            Event::Control {
                uid,
                pid,
                action,
                service,
            } => {
                if let Some(service) = service {
                    show("service", Value::Text(service));
                }
                show("action", Value::Text(action));
                show("uid", Value::Number(u64::from(*uid)));
                show("pid", Value::Number(*pid as u64));
            }
            Event::Resumed { service } => show("service", Value::Text(service)),
            Event::CallersRefused { uid, pid, callers } => {
                show("uid", Value::Number(u64::from(*uid)));
                show("pid", Value::Number(*pid as u64));
                show("callers", Value::Number(*callers));
            }
            Event::Stopping { live } => show("live", Value::Number(*live as u64)),
            Event::Totals { service, tally } => {
                show("service", Value::Text(service));
                tally.fields(show);
            }
            _ => {}
        }
    }
}

type Show<'s> = &'s mut dyn FnMut(&'static str, Value<'_>);

fn show_session(session: &Session, pid: Option<i32>, show: Show, more: impl FnOnce(Show)) {
    show("service", Value::Text(&session.service));
    if let Some(peer) = &session.peer {
        show("peer", Value::Peer(*peer));
    }
    if let Some(pid) = pid {
        show("pid", Value::Number(pid as u64));
    }
    more(show);
    show("id", Value::Text(&session.id));
}

/// What is not known is told only where everything is.
fn show_bytes(received: Option<u64>, sent: Option<u64>, all: bool, show: Show) {
    for (name, bytes) in [("received", received), ("sent", sent)] {
        match bytes {
            Some(bytes) => show(name, Value::Number(bytes)),
            None if all => show(name, Value::Unknown),
            None => {}
        }
    }
}

/// What an errno means, and its name: `permission denied (EACCES)`.
pub fn words(errno: Errno) -> String {
    let text = errno.desc();
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    let rest = characters.as_str();
    // "I/O error" keeps its capital.
    let text = if rest.starts_with('/') {
        text.to_owned()
    } else {
        first.into_iter().chain(rest.chars()).collect()
    };
    format!("{text} ({errno:?})")
}

/// Why a program has ended.
fn reason(
    status: Status,
    limit: Option<LifeLimit>,
    unjoined: Option<&'static str>,
) -> &'static str {
    match (limit, unjoined, status) {
        (Some(limit), ..) => limit.name(),
        (None, Some(reason), _) => reason,
        (None, None, Status::Exited(_)) => "exited",
        (None, None, Status::Killed(_)) => "killed",
    }
}

struct Shown(Status);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Status::Exited(code) => write!(f, "exit:{code}"),
            Status::Killed(number) => write!(f, "signal:{}", signal_name(number)),
        }
    }
}
