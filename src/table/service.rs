//! One entry of the table: what is run, as whom, and within which limits.

use super::{Address, Endpoint, Life, Stdio};
pub use crate::sys::limits::Resource;
pub use crate::sys::options::{Device, Keepalive, SocketOptions};
pub use crate::sys::socket_file::FileRights;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::rc::Rc;

/// A service. `config` makes only ones that make sense, so nobody downstream asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in the table, unique, never empty.
    pub name: Box<str>,
    /// The administrator's words about it.
    pub description: Option<Box<str>>,
    /// Where it listens.
    pub endpoints: Box<[Endpoint]>,
    /// All else.
    pub kind: Rc<Kind>,
}

impl Deref for Service {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &self.kind
    }
}

/// What a service is, but for its names and addresses: thousands share a few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// Whether it listens at all.
    pub enabled: bool,
    /// Why it cannot be offered although its entry is right (another user is needed and we may not
    /// change users): said once at start, in words for the administrator.
    pub unavailable: Option<String>,
    /// What its sockets have, and connections inherit.
    pub socket: SocketOptions,
    /// What answers.
    pub action: Action,
    /// Whether the program gets the listening (or datagram) socket itself.
    pub wait: bool,
    /// How sockets reach the program.
    pub pass: Pass,
    /// Where the program's standard error goes.
    pub stderr: Stderr,
    /// What it finds as standard input and output.
    pub stdio: Stdio,
    /// What clients are told first.
    pub banner: Option<String>,
    /// Live connections (for `wait`: programs) at most; 1 or more. More wait in the kernel's queue.
    pub max_connections: u32,
    /// Who gets in: index into [`super::Table::rules`].
    pub rules: u32,
    /// Whether bytes are counted on the TCP connections that are given to the program.
    pub account: bool,
    /// How long its sessions may last.
    pub life: Life,
}

impl Kind {
    /// Whether its clients come to the worker, or what they say passes through it.
    pub fn needs_worker(&self) -> bool {
        !matches!(self.action, Action::Exec(_)) || self.stdio.is_relayed()
    }
}

/// What answers a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// A program.
    Exec(Program),
    /// A protocol that the worker speaks itself.
    Builtin(Builtin),
    /// Another server, at one of these addresses: the worker connects, and passes on what both say.
    /// One or more, tried in this order.
    Redirect(Vec<Address>),
}

/// The small services of RFC 862, 863, 864, 867 and 868.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Builtin {
    /// Sends back what it is sent (RFC 862).
    Echo,
    /// Throws away what it is sent (RFC 863).
    Discard,
    /// Sends characters without end (RFC 864).
    Chargen,
    /// Tells the local time as text (RFC 867).
    Daytime,
    /// Tells the seconds since 1900 as four bytes (RFC 868).
    Time,
}

/// `pass`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pass {
    /// The socket is descriptor 0 and 1 (and 2, see [`Stderr`]).
    Stdio,
    /// Sockets are descriptors 3 and up, by systemd's protocol (sd_listen_fds(3)).
    ListenFds,
}

/// `stderr`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stderr {
    /// The client's socket.
    Client,
    /// The server's log, line by line.
    Log,
    /// Nowhere.
    Null,
    /// Appended to this file, opened anew for each start.
    File(String),
}

/// A program and the world it is to find.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    /// Absolute path, inside `chroot` where there is one.
    pub path: String,
    /// All arguments, argv\[0\] included.
    pub argv: Vec<String>,
    /// Index into [`super::Table::identities`].
    pub identity: u32,
    /// Whether the table left `user` out.
    pub identity_by_default: bool,
    /// File mode creation mask.
    pub umask: u32,
    /// Nice value, -20 to 19; `None` keeps the server's.
    pub nice: Option<i8>,
    /// Working directory, inside `chroot` where there is one.
    pub directory: String,
    /// New root directory.
    pub chroot: Option<String>,
    /// `pass_env` and `env`, looked up, in that order, each name once.
    pub env: Vec<(String, String)>,
    /// Limits to set; others stay as the server was started with them.
    pub limits: Vec<Limit>,
    /// Whether setuid bits are void for the program and all it starts (prctl(2)).
    pub no_new_privileges: bool,
}

/// A user, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Login name, or the number as text when the user has no name.
    pub user: String,
    /// User id, never `u32::MAX`.
    pub uid: u32,
    /// Primary group id, never `u32::MAX`.
    pub gid: u32,
    /// Supplementary groups, sorted, each once.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// One of setrlimit(2)'s limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// Soft limit in the resource's own unit; `u64::MAX` for none.
    pub soft: u64,
    /// Hard limit, likewise; not below the soft one.
    pub hard: u64,
}
