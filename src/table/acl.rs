//! `allow`, `deny` and `exempt`: lists of prefixes, made for a quick answer.
//!
//! The most specific prefix decides, and a denial where an allowance is as specific. A list of a
//! hundred thousand prefixes becomes a sorted array of the places where the answer changes, so that a
//! question costs one binary search.

use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Over IP, IPv4-mapped addresses folded.
    Ip(IpAddr),
    /// Over a Unix socket.
    Uid(u32),
}

/// Which list an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum List {
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
    /// `exempt`.
    Exempt,
}

/// An entry of a list, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The lists of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Names of the files that entries were written in.
    pub files: Vec<String>,
    entries: Vec<Entry>,
}

/// What the lists say of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it may come in at all.
    pub allowed: bool,
    /// Whether it is spared limits, rates, shares and bans.
    pub exempt: bool,
    /// The entry of `allow` or `deny` that decided; `None` when none fits.
    pub by: Option<Entry>,
    /// The entry of `exempt` that fits.
    pub exempt_by: Option<Entry>,
}

impl Acl {
    /// Made of their entries, in any order; `files` are what [`Entry::file`] points into.
    pub fn new(files: Vec<String>, entries: Vec<Entry>) -> Acl {
        Acl { files, entries }
    }
}
