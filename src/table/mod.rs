//! Facts: what the administrator asked for, after names, users and addresses were resolved.
//!
//! A [`Table`] is made by `config` (in the loader), and what it has that the supervisor does not know
//! travels there as JSON (a [`Difference`]). Facts are never changed: others take their place. Nothing here asks the system anything, and
//! nothing here can fail.

mod acl;
mod base64;
mod difference;
mod endpoint;
mod hours;
mod life;
mod prefixes;
mod rate;
mod rules;
mod service;
mod stdio;
mod wire;

pub use acl::{Acl, Client, Entry as AclEntry, Judgement, List, Who};
pub use difference::Difference;
pub use endpoint::{Address, Endpoint, Transport};
pub use hours::{Hours, Span};
pub use life::{Life, LifeLimit};
pub use prefixes::network;
pub use rate::Rate;
pub use rules::{Refusal, RefusalTexts, Rules, SourcePrefix, WhenFull};
pub use service::{
    Action, Builtin, Device, FileRights, Identity, Keepalive, Kind, Limit, Pass, Program, Resource,
    Service, SocketOptions, Stderr,
};
pub use stdio::{Stdio, Terminal};

use serde::{Deserialize, Serialize};

/// A whole `services.toml` with its includes, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "wire::Table", try_from = "wire::Table")]
pub struct Table {
    /// The `[server]` section.
    pub server: Server,
    /// Who programs run as. Services name them by index, since thousands share a few.
    pub identities: Vec<Identity>,
    /// Lists of addresses. [`Rules`] name them by index.
    pub acls: Vec<Acl>,
    /// Who gets in. Services name them by index; the first is what holds where nothing is written.
    pub rules: Vec<Rules>,
    /// Every service, in the order in which they were written, disabled ones included.
    pub services: Vec<Service>,
}

/// The `[server]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Where the log goes.
    pub log: LogSink,
    /// How a log line is written.
    pub log_format: LogFormat,
    /// How much of a client's address a log line shows.
    pub log_address: LogAddress,
    /// Programs that may run at once, over all services.
    pub max_connections: u32,
    /// Connections that the worker may hold at once, over all built-in services.
    pub max_worker_connections: u32,
    /// Whom the worker becomes; `None` when we have no right to change users.
    pub worker: Option<Identity>,
    /// Where commands reach the server; `None` where nothing is written.
    pub control: Option<Control>,
    /// The absolute path of a file that holds our process id.
    pub pid_file: Option<String>,
    /// Group id of those who may look through the control socket, where there is such a group.
    pub viewers: Option<u32>,
    /// Whether we take the place of inetd: its table is served.
    pub is_inetd: bool,
}

/// `[server] control`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Nowhere: `"none"`.
    Off,
    /// A Unix socket at this absolute path.
    At(String),
}

/// `[server] log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSink {
    /// Standard error, with priorities under systemd.
    Stderr,
    /// The system's log daemon, at /dev/log.
    Syslog,
    /// Appended to this file; reopened on SIGUSR1.
    File(String),
}

impl LogSink {
    /// Where it is, as a path or a word.
    pub fn name(&self) -> &str {
        match self {
            LogSink::Stderr => "standard error",
            LogSink::Syslog => "/dev/log",
            LogSink::File(path) => path,
        }
    }
}

/// `[server] log_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// `event key=value …`.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[server] log_address`: what the log and the stream of events show of a client. What asks for a
/// single session, such as `oxinetd list`, always shows all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogAddress {
    /// Address and port; user and process.
    #[default]
    Full,
    /// The network: 24 bits of an IPv4 address, 48 of an IPv6 one; the user.
    Prefix,
    /// Nothing.
    None,
}

/// A service's number: given by the supervisor, kept across reloads for as long as the name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// A listener's number: given by the supervisor, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);
