//! How long a connection that was given to a program may last, and what ends it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The life limits of a service. Times are in seconds, 1 to a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Life {
    /// From accept to the end, whatever happens.
    pub max_lifetime: Option<u32>,
    /// Without a byte that came or was taken by the client. TCP only, like the next two.
    pub idle_timeout: Option<u32>,
    /// From accept to the client's first byte.
    pub first_byte_timeout: Option<u32>,
    /// Whether a session ends when its connection is over.
    pub kill_on_disconnect: bool,
    /// Between the request to end (SIGTERM) and the end (SIGKILL).
    pub grace: u32,
}

/// `grace` where the table has none.
const GRACE: u32 = 5;

impl Default for Life {
    fn default() -> Life {
        Life {
            max_lifetime: None,
            idle_timeout: None,
            first_byte_timeout: None,
            kill_on_disconnect: false,
            grace: GRACE,
        }
    }
}

impl Life {
    /// Whether there is a limit: only then is a session watched at all.
    pub fn is_limited(&self) -> bool {
        self.max_lifetime.is_some() || self.needs_pulse()
    }

    /// Whether the kernel must be asked how a connection is.
    pub fn needs_pulse(&self) -> bool {
        self.idle_timeout.is_some() || self.first_byte_timeout.is_some() || self.kill_on_disconnect
    }
}

/// Which limit has ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeLimit {
    /// `max_lifetime`.
    MaxLifetime,
    /// `idle_timeout`.
    IdleTimeout,
    /// `first_byte_timeout`.
    FirstByteTimeout,
    /// `kill_on_disconnect`.
    Disconnected,
}

impl LifeLimit {
    /// The word for it in logs and lists.
    pub fn name(self) -> &'static str {
        match self {
            LifeLimit::MaxLifetime => "max-lifetime",
            LifeLimit::IdleTimeout => "idle-timeout",
            LifeLimit::FirstByteTimeout => "first-byte-timeout",
            LifeLimit::Disconnected => "disconnected",
        }
    }
}

impl fmt::Display for LifeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
