//! Sockets that go on without us: those that systemd hands over, and those that it keeps for us while we are
//! restarted.
//!
//! Every listening socket is stored with systemd (FDSTORE of sd_notify(3)) when a table is in force and again
//! when we stop. What comes back at the next start is taken by its address, so clients that have connected in
//! the meantime are in its queue. Where systemd keeps nothing (no FileDescriptorStoreMax= in the unit) all of
//! this is in vain, and does no harm.

use super::Supervisor;
use super::listeners::Listener;
use crate::event::Event;
use crate::sys::Errno;
use crate::sys::address::{Address, Transport};
use crate::sys::handed::{self, Facts, MOST};
use crate::table::ListenerId;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// What those are called that we have stored ourselves.
const STORED: &str = "oxinetd";

/// How often systemd is asked again that has too much to read, at the end, and after how long.
const LAST_TRIES: (u32, Duration) = (50, Duration::from_millis(10));

/// A socket that was handed over.
#[derive(Debug)]
pub(super) struct Handed {
    facts: Facts,
    socket: OwnedFd,
}

impl Handed {
    /// The name under which a unit hands it over; `None` for one that we have stored.
    pub(super) fn unit(&self) -> Option<&str> {
        Some(self.facts.name.as_str()).filter(|name| *name != STORED)
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    /// Not in use.
    spare: Vec<Handed>,
    /// Those of units, whether in use or not.
    units: Vec<Facts>,
    /// What systemd keeps for us.
    stored: Vec<(ListenerId, RawFd)>,
}

impl Handovers {
    /// Takes what was handed over at the start.
    pub(super) fn new(sockets: impl Iterator<Item = (OwnedFd, String)>) -> Handovers {
        let with_facts = |(socket, name): (OwnedFd, String)| {
            let facts = handed::facts(socket.as_fd(), name)?;
            Some(Handed { facts, socket })
        };
        let spare: Vec<Handed> = sockets.filter_map(with_facts).collect();
        let units = spare.iter().filter(|handed| handed.unit().is_some());
        Handovers {
            units: units.map(|handed| handed.facts.clone()).collect(),
            spare,
            stored: Vec::new(),
        }
    }

    /// What the loader is to know of those that units hand over.
    pub(super) fn for_loader(&self) -> String {
        serde_json::to_string(&self.units).unwrap_or_default()
    }

    /// The socket that is bound to this address already.
    pub(super) fn take(&mut self, transport: Transport, address: &Address) -> Option<Handed> {
        let is_it = |handed: &Handed| {
            handed.facts.transport == transport && handed.facts.address == *address
        };
        let at = self.spare.iter().position(is_it)?;
        Some(self.spare.swap_remove(at))
    }

    /// The table no longer names the address of a unit's socket; it may again.
    pub(super) fn give_back(&mut self, socket: OwnedFd, name: String) {
        self.spare
            .extend(handed::facts(socket.as_fd(), name).map(|facts| Handed { facts, socket }));
    }
}

impl Supervisor {
    /// A first table is in force: what we had stored and is not in it is closed, and what a unit hands over in
    /// vain is told of.
    pub(super) fn close_spare(&mut self) {
        self.handovers
            .spare
            .retain(|handed| handed.unit().is_some());
        let spare: Vec<String> = self
            .handovers
            .spare
            .iter()
            .map(|Handed { facts, .. }| {
                format!(
                    "systemd hands over {}, called {}, and no service takes it: write listen = \"systemd:{}\"",
                    facts.address, facts.name, facts.name
                )
            })
            .collect();
        for text in spare {
            self.observe(&Event::Warning { text: &text });
        }
    }

    /// Has systemd keep what listens now, unless it does. What cannot be told at once is left for the next time.
    pub(super) fn store_listeners(&mut self) {
        let _ = self.try_to_store();
    }

    /// At the end: systemd may take its time, and what it keeps goes on without us.
    pub(super) fn leave_listeners(&mut self) {
        for _ in 0..LAST_TRIES.0 {
            match self.try_to_store() {
                Err(Errno::EAGAIN) => std::thread::sleep(LAST_TRIES.1),
                Err(_) => return,
                Ok(()) => break,
            }
        }
        for (id, _) in std::mem::take(&mut self.handovers.stored) {
            if let Some(listener) = self.listeners.get_mut(id) {
                listener.goes_on = true;
            }
        }
    }

    fn try_to_store(&mut self) -> Result<(), Errno> {
        let is_ours = |listener: &Listener| listener.unit().is_none();
        let mut sockets: Vec<(ListenerId, BorrowedFd)> = self
            .listeners
            .iter()
            .filter(|(_, listener)| is_ours(listener) && !listener.unwanted)
            .filter_map(|(id, listener)| Some((id, listener.socket()?)))
            .collect();
        sockets.sort_unstable_by_key(|(id, _)| *id);
        let numbers: Vec<(ListenerId, RawFd)> = sockets
            .iter()
            .map(|(id, socket)| (*id, socket.as_raw_fd()))
            .collect();
        if numbers == self.handovers.stored {
            return Ok(());
        }
        let Some(manager) = handed::connect_to_manager() else {
            return Ok(());
        };
        self.handovers.stored.clear();
        let tell =
            |text: &str, with: &[BorrowedFd]| handed::tell_manager(manager.as_fd(), text, with);
        // It knows a socket that it has already, whatever the name: what is new would be all that it takes.
        tell(&format!("FDSTOREREMOVE=1\nFDNAME={STORED}"), &[])?;
        let sockets: Vec<BorrowedFd> = sockets.into_iter().map(|(_, socket)| socket).collect();
        for some in sockets.chunks(MOST) {
            tell(&format!("FDSTORE=1\nFDNAME={STORED}\nFDPOLL=0"), some)?;
        }
        self.handovers.stored = numbers;
        Ok(())
    }
}
