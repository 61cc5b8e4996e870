//! `wait` programs that have gone to the background and kept their socket.
//!
//! When the program that was started ends, another process of it may still take clients. As long as it
//! does it is left alone with them: a program that is started beside it would go to the background
//! too, once for each client. But it may as well only have inherited the socket, so what it does not
//! take soon is given to a new program. It is looked for when runs are short, less often when nobody
//! was found, since that looks at every process there is.

use super::Supervisor;
use super::waiting::{Queue, queue_of};
use crate::event::Event;
use crate::sys::holders;
use crate::table::{ListenerId, ServiceId};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often it is looked whether somebody takes what has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long what waits is left to somebody else. A client is to be served within a second.
const PATIENCE: Duration = Duration::from_millis(300);

/// What waits is left to another process.
#[derive(Debug)]
pub(super) struct Yielded {
    queue: Queue,
    since: Instant,
}

/// Who may have a service's socket besides the programs that we started.
#[derive(Debug, Default)]
pub(super) struct Background {
    holder: Option<i32>,
    short_runs: u32,
}

impl Background {
    /// A run was short. Returns whether to look for somebody who has the socket.
    fn is_suspect(&mut self, took_something: bool) -> bool {
        self.short_runs = self.short_runs.saturating_add(1);
        !took_something || self.short_runs.is_power_of_two()
    }
}

impl Supervisor {
    /// A `wait` program has ended soon. Returns whether another process has one of these sockets.
    pub(super) fn look_for_holder(
        &mut self,
        service: ServiceId,
        program: i32,
        sockets: &[ListenerId],
        took_something: bool,
    ) -> bool {
        let Some(entry) = self.services.get_mut(service) else {
            return false;
        };
        if !entry.background.is_suspect(took_something) {
            return entry.background.holder.is_some();
        }
        let is_child = |pid| self.children.get(pid).is_some();
        let mut sockets = sockets
            .iter()
            .filter_map(|id| self.listeners.get(*id)?.socket());
        let found = sockets.find_map(|socket| holders::find(socket, program, is_child));
        let before = std::mem::replace(&mut entry.background.holder, found);
        let facts = Rc::clone(&entry.facts);
        if let Some(pid) = found.filter(|_| found != before) {
            let service_name = &facts.name;
            let event = Event::WentToBackground {
                service: service_name,
                pid,
            };
            self.observe_service(service, &event);
        }
        found.is_some()
    }

    /// Something waits at a listener. Returns whether it is left to a process that has the socket.
    pub(super) fn leaves_to_holder(&mut self, id: ListenerId, service: ServiceId) -> bool {
        let holder = self
            .services
            .get(service)
            .and_then(|entry| entry.background.holder);
        let Some(pid) = holder else { return false };
        let socket = self
            .listeners
            .get(id)
            .and_then(|listener| listener.socket());
        if !socket.is_some_and(|socket| holders::holds(pid, socket)) {
            if let Some(entry) = self.services.get_mut(service) {
                entry.background.holder = None;
            }
            return false;
        }
        let now = Instant::now();
        let since = match self.yielded.remove(&id) {
            // What is that old is of an earlier arrival.
            Some(before) if now < before.since + 2 * PATIENCE => {
                match self.has_taken(&before.queue) {
                    true => now,
                    false if now >= before.since + PATIENCE => return false,
                    false => before.since,
                }
            }
            _ => now,
        };
        let queue = queue_of(&self.listeners, &mut self.diag, id);
        self.yielded.insert(id, Yielded { queue, since });
        self.rest_for(id, LOOK);
        true
    }
}
