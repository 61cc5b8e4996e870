//! `allow`, `deny` and `exempt`: lists of prefixes, made for a quick answer.
//!
//! The most specific prefix decides, and a denial where an allowance is as specific. A list of a
//! hundred thousand prefixes becomes sorted arrays (`prefixes`), so that a question costs one binary
//! search; the entry that decided is always known with its place.

use super::prefixes::{Note, Prefixes, network};
use crate::sys::socket::Peer;
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// Whom an entry of a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Who {
    /// The addresses that begin with these bits; the others are zero. IPv4-mapped ones are IPv4.
    Prefix(IpAddr, u8),
    /// A user of this host, over a Unix socket.
    Uid(u32),
    /// Every user of this host, over a Unix socket.
    Local,
}

/// A client, as lists see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Over IP, IPv4-mapped addresses folded.
    Ip(IpAddr),
    /// Over a Unix socket.
    Uid(u32),
}

impl From<Peer> for Client {
    fn from(peer: Peer) -> Client {
        match peer {
            Peer::Inet(address) => Client::Ip(address.ip()),
            Peer::Unix { uid, .. } => Client::Uid(uid),
        }
    }
}

/// Which list an entry is of. Of two that are as specific, the lesser decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum List {
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
    /// `exempt`.
    Exempt,
}

impl List {
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn from_code(code: u8) -> Option<List> {
        [List::Deny, List::Allow, List::Exempt]
            .get(usize::from(code))
            .copied()
    }
}

/// An entry of a list, and where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which list.
    pub list: List,
    /// Whom it means.
    pub who: Who,
    /// Index into [`Acl::files`].
    pub file: u32,
    /// Line in that file, counted from 1.
    pub line: u32,
}

/// The lists of a service. Equal to others that mean the same, on whatever lines those are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Acl {
    /// Names of the files that entries were written in.
    pub files: Vec<String>,
    /// Whether those are denied whom no entry means: there is one that allows.
    closed: bool,
    /// `allow` and `deny`.
    access: Prefixed,
    /// `exempt`.
    exempt: Prefixed,
}

/// What the lists say of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it may come in at all.
    pub allowed: bool,
    /// Whether it is spared limits, rates, shares and bans (but never a denial).
    pub exempt: bool,
    /// The entry of `allow` or `deny` that decided; `None` when none fits.
    pub by: Option<Entry>,
    /// The entry of `exempt` that fits.
    pub exempt_by: Option<Entry>,
}

impl Judgement {
    /// What is said of anyone where there are no lists.
    pub const OPEN: Judgement = Judgement {
        allowed: true,
        exempt: false,
        by: None,
        exempt_by: None,
    };
}

impl Acl {
    /// Made of their entries, in any order; `files` are what [`Entry::file`] points into. Without any
    /// entry of `allow` those are let in whom none of `deny` means.
    pub fn new(files: Vec<String>, entries: Vec<Entry>) -> Acl {
        let closed = entries.iter().any(|entry| entry.list == List::Allow);
        let (exempt, access) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.list == List::Exempt);
        Acl {
            files,
            closed,
            access: Prefixed::new(&access),
            exempt: Prefixed::new(&exempt),
        }
    }

    /// What the lists say of a client: a binary search in each.
    pub fn judge(&self, client: Client) -> Judgement {
        let by = self.access.find(client);
        let exempt_by = self.exempt.find(client);
        Judgement {
            allowed: by.map_or(!self.closed, |entry| entry.list == List::Allow),
            exempt: exempt_by.is_some(),
            by,
            exempt_by,
        }
    }

    /// Whether it is written in the same places too.
    pub fn is_identical(&self, other: &Acl) -> bool {
        self == other
            && self.files == other.files
            && self.access.is_identical(&other.access)
            && self.exempt.is_identical(&other.exempt)
    }

    /// Whether anyone at all is exempt.
    pub fn exempts(&self) -> bool {
        !self.exempt.is_empty()
    }
}

impl PartialEq for Acl {
    fn eq(&self, other: &Acl) -> bool {
        (self.closed, &self.access, &self.exempt) == (other.closed, &other.access, &other.exempt)
    }
}

impl Eq for Acl {}

impl Hash for Acl {
    /// Of an outline: lists may be long, and seldom have the same one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.closed.hash(state);
        self.access.outline().hash(state);
        self.exempt.outline().hash(state);
    }
}

/// Entries, each family apart. A uid is a prefix of all its 32 bits, and every user one of none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Prefixed {
    v4: Prefixes<u32>,
    v6: Prefixes<u128>,
    users: Prefixes<u32>,
}

impl Prefixed {
    fn new(entries: &[Entry]) -> Prefixed {
        let (mut v4, mut v6, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let note = |length| Note {
                length,
                list: entry.list,
                file: u16::try_from(entry.file).unwrap_or(u16::MAX),
                line: entry.line,
            };
            match entry.who {
                Who::Prefix(ip, length) => match network(ip, length) {
                    (IpAddr::V4(ip), length) => v4.push((ip.to_bits(), note(length))),
                    (IpAddr::V6(ip), length) => v6.push((ip.to_bits(), note(length))),
                },
                Who::Uid(uid) => users.push((uid, note(32))),
                Who::Local => users.push((0, note(0))),
            }
        }
        Prefixed {
            v4: Prefixes::new(v4),
            v6: Prefixes::new(v6),
            users: Prefixes::new(users),
        }
    }

    fn find(&self, client: Client) -> Option<Entry> {
        let (who, note) = match client {
            Client::Ip(ip) => match ip.to_canonical() {
                IpAddr::V4(ip) => {
                    let (start, note) = self.v4.find(ip.to_bits())?;
                    (Who::Prefix(IpAddr::V4(start.into()), note.length), note)
                }
                IpAddr::V6(ip) => {
                    let (start, note) = self.v6.find(ip.to_bits())?;
                    (Who::Prefix(IpAddr::V6(start.into()), note.length), note)
                }
            },
            Client::Uid(uid) => match self.users.find(uid)? {
                (_, note) if note.length == 0 => (Who::Local, note),
                (uid, note) => (Who::Uid(uid), note),
            },
        };
        Some(Entry {
            list: note.list,
            who,
            file: note.file.into(),
            line: note.line,
        })
    }

    fn is_identical(&self, other: &Prefixed) -> bool {
        self.v4.is_identical(&other.v4)
            && self.v6.is_identical(&other.v6)
            && self.users.is_identical(&other.users)
    }

    fn outline(&self) -> impl Hash {
        (self.v4.outline(), self.v6.outline(), self.users.outline())
    }

    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.users.is_empty()
    }
}

#[cfg(test)]
mod tests;
