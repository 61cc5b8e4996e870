//! What a command asks the server: one line of JSON.
//!
//! Nothing in it names a file or a program: whoever may connect can ask about what the table holds,
//! never bring something in.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Bytes of a request at most, its newline included.
pub const LONGEST: usize = 4096;

/// A question, or something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Every service, or one: its state and counters; at last the server's own.
    Status {
        /// Its name.
        service: Option<String>,
        /// With how long things took.
        #[serde(default)]
        times: bool,
    },
    /// Live connections and programs, of every service or one.
    List {
        /// Its name.
        service: Option<String>,
    },
    /// What has happened lately, or what happens from now on: as the log has it.
    Events {
        /// Go on until the caller leaves.
        follow: bool,
        /// Of these services only, unless empty.
        services: Vec<String>,
        /// As text, not as JSON.
        text: bool,
    },
    /// Read the table again and put it in force.
    Reload {
        /// Only look what that would change.
        dry_run: bool,
    },
    /// Take no more clients of a service: they wait in the kernel's queue.
    Pause {
        /// Its name.
        service: String,
        /// For so many seconds; without it until it is told otherwise.
        seconds: Option<u64>,
    },
    /// Take clients again.
    Resume {
        /// Its name.
        service: String,
    },
    /// Pause a service and wait until its last session has ended.
    Drain {
        /// Its name.
        service: String,
        /// Wait so many seconds at most.
        seconds: u64,
    },
    /// Who is banned.
    Bans,
    /// Refuse clients of a prefix, at every service. Their sessions go on.
    Ban {
        /// An address.
        address: IpAddr,
        /// How many of its bits count.
        bits: u8,
        /// For so many seconds.
        seconds: u64,
    },
    /// No longer refuse them.
    Unban {
        /// As it was banned.
        address: IpAddr,
        /// Likewise.
        bits: u8,
    },
    /// What would decide about a client now.
    Explain {
        /// Of which service.
        service: String,
        /// Who.
        from: From,
    },
    /// End sessions: a signal to their programs, a close for those of the worker.
    Kill {
        /// Which.
        target: Target,
        /// What programs are sent.
        signal: Signal,
    },
}

/// A client that may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// From this address.
    Address(IpAddr),
    /// A user of this host, over a Unix socket.
    Uid(u32),
}

/// Sessions to be ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The one of this number.
    Id(String),
    /// All of a service.
    Service(String),
    /// All from a prefix: an address, and how many of its bits count.
    From(IpAddr, u8),
}

/// What a program can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// End.
    Term,
    /// End at once; it is not asked.
    Kill,
    /// The line is down.
    Hup,
    /// It was interrupted.
    Int,
}

impl Request {
    /// From a line, without its newline. The error is for whoever sent it.
    pub fn parse(line: &[u8]) -> Result<Request, String> {
        serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))
    }

    /// Whether it only looks: the others change something.
    pub fn only_looks(&self) -> bool {
        match self {
            Request::Status { .. } | Request::List { .. } | Request::Events { .. } => true,
            Request::Bans | Request::Explain { .. } => true,
            Request::Ban { .. } | Request::Unban { .. } => false,
            Request::Reload { .. } | Request::Pause { .. } | Request::Resume { .. } => false,
            Request::Drain { .. } | Request::Kill { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_request_is_a_tagged_object() {
        let service = Some("cat".to_owned());
        assert_eq!(
            parse(r#"{"do":"status","service":"cat"}"#),
            Ok(Request::Status {
                service,
                times: false
            })
        );
        assert_eq!(
            parse(r#"{"do":"list"}"#),
            Ok(Request::List { service: None })
        );
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"do":"sing"}"#,
            r#"{"do":"status","file":"/etc/shadow"}"#,
            r#"{"do":"status","service":7}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes: Vec<u8>) {
            let _ = Request::parse(&bytes);
        }
    }
}
