//! What programs leave behind, where there are no control groups: we adopt it, so it is ours when its
//! parent has ended, and keeps its number until we reap it.
//!
//! Which session it is of is told by its environment, which all that a program starts inherit
//! (OXINETD_CONNECTION, and the client for those of a server within ours). Who has another one, or
//! none, is not touched, unless it was seen before as a descendant or is in the process group.

use super::super::Supervisor;
use super::super::children::SessionFacts;
use super::{Lives, Watched};
use crate::sys::socket::Peer;
use crate::sys::tree;
use std::collections::HashSet;

/// Orphans that were looked at and not reaped.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    are_adopted: bool,
    /// How often they may be searched for yet in this turn.
    searches: usize,
    seen: HashSet<i32>,
}

impl Lives {
    /// Whether what programs leave behind is ours.
    pub(in super::super) fn adopts(&self) -> bool {
        self.orphans.are_adopted
    }

    pub(super) fn allow_searches(&mut self, most: usize) {
        self.orphans.searches = most;
    }

    /// A child that nobody knows was reaped.
    pub(in super::super) fn forget_orphan(&mut self, pid: i32) {
        self.orphans.seen.remove(&pid);
    }

    /// The session of a process with this environment.
    fn session_of(&mut self, environment: &[Vec<u8>]) -> Option<&mut Watched> {
        let number = number_in(environment, "OXINETD_CONNECTION")?;
        let port = number_in(environment, "REMOTE_PORT");
        let is_it = |session: &SessionFacts| {
            let is_clients = match session.peer {
                Some(Peer::Inet(peer)) => port == Some(peer.port().into()),
                _ => true,
            };
            (session.id.worker, session.id.number) == (0, number) && is_clients
        };
        let mut sessions = self.sessions.values_mut();
        sessions.find(|watched| is_it(&watched.session))
    }
}

impl Supervisor {
    pub(super) fn adopt_orphans(&mut self) {
        self.lives.orphans.are_adopted = tree::adopt_orphans().is_ok();
    }

    /// Finds the sessions of orphans that have come. Returns whether there were some of sessions.
    pub(super) fn sort_orphans(&mut self) -> bool {
        let mut found = false;
        let searches = self.lives.orphans.searches.checked_sub(1);
        let Some(left) = searches.filter(|_| self.lives.adopts()) else {
            return found;
        };
        self.lives.orphans.searches = left;
        for pid in tree::own_children() {
            if self.children.get(pid).is_some() || self.lives.orphans.seen.contains(&pid) {
                continue;
            }
            let environment = tree::environment_of(pid);
            if environment.is_empty() {
                // It may be about to have one.
                continue;
            }
            self.lives.orphans.seen.insert(pid);
            if let Some(watched) = self.lives.session_of(&environment) {
                watched.tree.add(pid);
                found = true;
            }
        }
        found
    }
}

fn number_in(environment: &[Vec<u8>], name: &str) -> Option<u64> {
    let mut values = environment.iter().filter_map(|word| {
        let value = word.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    });
    std::str::from_utf8(values.next()?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let environment = ["AB=1", "A=23", "A=4", "B=x", "C"].map(|word| word.as_bytes().to_vec());
        let found = |name| number_in(&environment, name);
        assert_eq!(found("A"), Some(23));
        assert_eq!(found("B"), None);
        assert_eq!(found("C"), None);
        assert_eq!(found("D"), None);
    }
}
