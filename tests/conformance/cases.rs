//! The cases: what an administrator may expect of any superserver, each with its table of services
//! and a check that sees the server from outside only.
//!
//! Cases of one scenario share a server; those that harm it have one of their own.

mod builtins;
mod limits;
mod programs;
mod reload;
mod shortage;
mod waiting;

use super::table::Table;
use super::world::{Found, Kind, World};
use crate::harness::Directory;

/// One row of the matrix.
pub(super) struct Case {
    /// What is so where it passes.
    pub(super) name: &'static str,
    /// The services that it is about.
    pub(super) needs: &'static [&'static str],
    /// It is about a table that is read again.
    pub(super) reloads: bool,
    /// The outcome is a matter of chance for these servers, with the reason: nothing is expected.
    pub(super) varies: &'static [(&'static str, &'static str)],
    pub(super) check: fn(&mut World) -> Found<()>,
}

impl Case {
    const fn new(
        name: &'static str,
        needs: &'static [&'static str],
        check: fn(&mut World) -> Found<()>,
    ) -> Case {
        Case {
            name,
            needs,
            reloads: false,
            varies: &[],
            check,
        }
    }

    /// The same, of servers that read their table again.
    const fn of_reload(
        name: &'static str,
        needs: &'static [&'static str],
        check: fn(&mut World) -> Found<()>,
    ) -> Case {
        let mut case = Case::new(name, needs, check);
        case.reloads = true;
        case
    }

    const fn varies(mut self, with: &'static [(&'static str, &'static str)]) -> Case {
        self.varies = with;
        self
    }
}

/// Cases with one server.
pub(super) struct Scenario {
    pub(super) kind: Kind,
    pub(super) table: fn(&Directory) -> Table,
    pub(super) cases: &'static [Case],
}

/// Cases by topic, in the order of the matrix.
pub(super) const TOPICS: [(&str, &[Scenario]); 6] = [
    ("What a program gets", programs::SCENARIOS),
    ("Programs that wait", waiting::SCENARIOS),
    ("Built-in services", builtins::SCENARIOS),
    ("Limits and floods", limits::SCENARIOS),
    ("Reload and restart", reload::SCENARIOS),
    ("When something is short", shortage::SCENARIOS),
];

/// Words for what is not so.
pub(super) fn ensure(is_so: bool, otherwise: impl Into<String>) -> Found<()> {
    match is_so {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}
