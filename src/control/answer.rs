//! What the server answers: lines of JSON, an item each, and a last one.
//!
//! The last line has `"done": true` and what there is to say in sum, or it is a [`Failed`]. Times are
//! seconds since 1970; what is not known is `null`, never 0.

use crate::table::{LifeLimit, Refusal, WhenFull};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last line of an answer when something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Why, in words for the administrator.
    pub error: String,
    /// What a command ends with (sysexits(3)).
    pub exit: u8,
}

/// One service: an item of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name in the table.
    pub name: String,
    /// What answers.
    pub kind: Kind,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: u64,
    /// When that ends by itself: the end of a pause, the next attempt to bind or to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Where it listens or would, as the table writes it, with the ports that were chosen.
    pub addresses: Vec<String>,
    /// Those that are not bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_bound: Vec<NotBound>,
    /// Live connections; for `wait` services, programs.
    pub live: u64,
    /// `max_connections`.
    pub limit: u32,
    /// What becomes of clients beyond that.
    #[serde(default)]
    pub when_full: WhenFull,
    /// Connections in the kernel's queue, not accepted yet; `null` for datagrams.
    pub queued: Option<u64>,
    /// What it has done since the server began.
    #[serde(flatten)]
    pub counters: Counters,
    /// Whether its program could not be started the last time (or, where clients are passed on, the
    /// other server not be reached).
    #[serde(default)]
    pub fails: bool,
    /// What went wrong last.
    pub last_failure: Option<LastFailure>,
    /// How long things took, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// How long things took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// From accept to exec.
    pub launches: Sizes,
    /// From accept to the end.
    pub sessions: Sizes,
}

/// Counts by size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The upper bound of each, in microseconds, ascending.
    pub bounds: Vec<u64>,
    /// How many had each size, and one more: how many were larger.
    pub counts: Vec<u64>,
    /// All together, in microseconds.
    pub sum: u64,
}

/// Counters of a service. `accepted` is the sum of `launched`, `answered`, `refused`, `failed`,
/// `aborted` and `pending`; `starts` and `datagrams` are counted apart.
#[allow(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub accepted: u64,
    pub launched: u64,
    pub answered: u64,
    /// By reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// By step of the launch.
    pub failed: BTreeMap<String, u64>,
    pub aborted: u64,
    pub pending: u64,
    /// Of `wait` programs.
    pub starts: u64,
    pub failed_starts: u64,
    /// Of built-in services.
    pub datagrams: u64,
    /// Those of them that were not answered by decision, by reason: `refused` (lists, bans, hours),
    /// `rate`, `unsafe_source`.
    #[serde(default)]
    pub datagrams_left_out: BTreeMap<String, u64>,
}

/// What answers for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A program for each connection.
    Program,
    /// A program that gets the listening socket itself.
    Wait,
    /// The worker.
    Builtin,
    /// Another server, through the worker.
    Redirect,
}

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It takes clients.
    Listening,
    /// It has as many as it may have: others wait in the kernel's queue, or are refused.
    Full,
    /// It was told to rest: clients wait.
    Paused,
    /// Its program, or the worker, rests after a failure: clients wait.
    BackingOff,
    /// Not all of its addresses are bound.
    NotBound,
    /// The table says that it does not listen.
    Disabled,
    /// This server cannot offer it.
    Unavailable,
    /// The table no longer has it; its last sessions go on.
    Removed,
}

/// An address that could not be bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotBound {
    /// As the table writes it.
    pub address: String,
    /// Name of the errno; `null` where the attempt is still to come.
    pub errno: Option<String>,
    /// The next attempt.
    pub next_try: Option<u64>,
}

/// A failure of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub time: u64,
    /// What, as in the log.
    pub text: String,
}

/// The server itself: in the last line of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Process id.
    pub pid: u32,
    /// Version.
    pub version: String,
    /// When it began.
    pub since: u64,
    /// Live programs over all services.
    pub live: u64,
    /// `max_connections` of `[server]`.
    pub limit: u32,
    /// Process id of the worker; `null` when none runs.
    pub worker: Option<i32>,
    /// Connections that the worker has.
    pub worker_live: u64,
    /// `max_worker_connections` of `[server]`.
    pub worker_limit: u32,
    /// How many workers have died; each took its sessions with it.
    #[serde(default)]
    pub worker_deaths: u64,
    /// Since when resources are short, so that accepting rests now and then.
    pub short_since: Option<u64>,
    /// Callers of the control socket that were let in.
    pub callers: u64,
    /// Callers that were not.
    pub callers_refused: u64,
}

/// A live connection or program: an item of `list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its number, as in the log.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// The client; `null` for a `wait` program.
    pub peer: Option<String>,
    /// The program's process id; `null` for a built-in service.
    pub pid: Option<i32>,
    /// Seconds since it was accepted.
    pub age: f64,
    /// The limit by which it was asked to end; `null` when it was not.
    #[serde(default)]
    pub ending: Option<LifeLimit>,
}

/// What would decide about a client: the last line of `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// Always true.
    pub done: bool,
    /// The service's name.
    pub service: String,
    /// The client: an address, or `uid:N`.
    pub from: String,
    /// What the service is doing.
    pub state: State,
    /// When that ends by itself, as in `status`.
    pub until: Option<u64>,
    /// Those of its addresses that are not bound.
    pub not_bound: Vec<NotBound>,
    /// Whether it listens at all; where not, nobody can connect.
    pub reachable: bool,
    /// Why the client would be refused, now or as soon as its turn comes.
    pub refused: Option<Refusal>,
    /// Why it would wait, until that has changed. It is let in where this and `refused` are `null` and
    /// it can connect.
    pub waits: Option<Waits>,
    /// Whether a session of a built-in service would be ended to make way for it.
    pub evicts: bool,
    /// Whether the lists let it in.
    pub allowed: bool,
    /// The entry of `allow` or `deny` that decides; `null` when none fits.
    pub rule: Option<Rule>,
    /// The entry of `exempt` that fits.
    pub exempt: Option<Rule>,
    /// How many seconds longer it is banned.
    pub banned: Option<u64>,
    /// The prefix that is banned.
    pub banned_prefix: Option<String>,
    /// Whether the service is open at this hour.
    pub open: bool,
    /// Weekday and time where the server is, such as `Fri 16:05`.
    pub local_time: String,
    /// What becomes of clients when it is full.
    pub when_full: WhenFull,
    /// Connections of the service.
    pub connections: Holding,
    /// Those of all services together (for a built-in service, of all built-in ones).
    pub all_services: Holding,
    /// What it counts under: a prefix, or `uid:N`.
    pub source: String,
    /// Connections of that to the service.
    pub source_live: u32,
    /// `max_per_source`; `null` for a fair share.
    pub max_per_source: Option<u32>,
    /// What is left of `rate`.
    pub rate: Option<Bucket>,
    /// What its source has used of that lately.
    pub rate_used: u32,
    /// What is left of `rate_per_source`.
    pub rate_per_source: Option<Bucket>,
}

/// Why a client would wait in the kernel's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// The service has as many connections as it may have.
    Full,
    /// All services together have.
    ServerFull,
    /// The rate is used up for less than a second.
    Rate,
    /// The service is paused.
    Paused,
    /// The worker rests after a failure.
    BackingOff,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `allow`, `deny` or `exempt`.
    pub list: String,
    /// As the table would write it.
    pub entry: String,
    /// The file that it is in.
    pub file: String,
    /// The line there.
    pub line: u32,
}

/// How many there are, of how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// There are.
    pub live: u32,
    /// There may be.
    pub limit: u32,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Connections that may come at once.
    pub left: u32,
    /// When rested.
    pub burst: u32,
}
