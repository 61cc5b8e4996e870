//! Who gets in, and how many: the admission keys of a service, resolved.

use super::{Hours, Rate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The admission keys of a service, but for `max_connections`. Thousands of services share a few of
/// these, so services name them by index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// `allow`, `deny` and `exempt`: index into [`super::Table::acls`].
    pub acl: Option<u32>,
    /// What becomes of those that come to a full service.
    pub when_full: WhenFull,
    /// Connections that one source may have; `None` for its fair share.
    pub max_per_source: Option<u32>,
    /// What one source is.
    pub source_prefix: SourcePrefix,
    /// Connections (for datagrams: datagrams) of all sources together.
    pub rate: Option<Rate>,
    /// The same of each source.
    pub rate_per_source: Option<Rate>,
    /// When it is open, local time; `None` for always.
    pub hours: Option<Hours>,
    /// What refused clients are told.
    pub refusal: RefusalTexts,
}

/// `when_full`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// They wait in the kernel's queue.
    #[default]
    Queue,
    /// They are refused.
    Refuse,
}

/// `source_prefix`: bits of an address that tell one source from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourcePrefix {
    /// 1 to 32.
    pub v4: u8,
    /// 1 to 128.
    pub v6: u8,
}

impl Default for SourcePrefix {
    fn default() -> SourcePrefix {
        SourcePrefix { v4: 32, v6: 64 }
    }
}

/// `refusal`: texts in which `%a` stands for the client's address, `%s` for the service's name and
/// `%%` for `%`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusalTexts {
    /// For reasons that have no text of their own; `None` to say nothing.
    pub any: Option<String>,
    /// By reason.
    pub by_reason: BTreeMap<Refusal, String>,
}

impl RefusalTexts {
    /// The text for a reason, as written.
    pub fn of(&self, reason: Refusal) -> Option<&str> {
        let own = self.by_reason.get(&reason).or(self.any.as_ref());
        own.map(String::as_str)
    }
}

/// Why a client was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Its address may not: `allow` and `deny`.
    Denied,
    /// Its address is banned for a time.
    Banned,
    /// The service is closed at this hour.
    Hours,
    /// The service has as many connections as it may have.
    Full,
    /// All services together have.
    ServerFull,
    /// Its source has as many connections as one may have: `max_per_source`.
    MaxPerSource,
    /// Its source holds its fair share, and little is left for others.
    Share,
    /// The service's rate is used up.
    Rate,
    /// Its source's rate is.
    RatePerSource,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 9] = [
        Refusal::Denied,
        Refusal::Banned,
        Refusal::Hours,
        Refusal::Full,
        Refusal::ServerFull,
        Refusal::MaxPerSource,
        Refusal::Share,
        Refusal::Rate,
        Refusal::RatePerSource,
    ];

    /// Its name in the table, the log, status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Denied => "denied",
            Refusal::Banned => "banned",
            Refusal::Hours => "hours",
            Refusal::Full => "full",
            Refusal::ServerFull => "server_full",
            Refusal::MaxPerSource => "max_per_source",
            Refusal::Share => "share",
            Refusal::Rate => "rate",
            Refusal::RatePerSource => "rate_per_source",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
