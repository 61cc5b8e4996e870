//! `reload`: what came of reading the table again, told to whoever asked for it.
//!
//! A caller is answered by a load that began after it asked, whoever else asks for one meanwhile, and
//! not before the worker has let go of what the new table gives to others.

use super::super::Supervisor;
use super::super::changes::Changes;
use super::super::listeners::State;
use super::super::loading::Outcome;
use super::super::timers::Timer;
use super::connection::Connection;
use super::task::Task;
use crate::event::words;
use serde::Serialize;
use std::rc::Rc;
use std::time::Instant;
use std::vec::IntoIter;

/// EX_TEMPFAIL: it may work later.
const LATER: u8 = 75;

/// A caller that waits for a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    dry_run: bool,
    ticket: u64,
}

/// What it is still to be told.
#[derive(Debug)]
pub(super) struct Telling {
    items: IntoIter<Item>,
    last: Last,
}

/// An item of the answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Item {
    Change {
        change: &'static str,
        service: String,
    },
    NotBound {
        not_bound: String,
        service: String,
        reason: String,
    },
    Mistake {
        mistake: String,
    },
    Warning {
        warning: String,
    },
}

/// The last line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Last {
    Done {
        done: bool,
        dry_run: bool,
        added: usize,
        changed: usize,
        removed: usize,
        kept: usize,
        not_bound: usize,
        /// Which table was read; `null` where there is none to read.
        table: Option<String>,
    },
    Failed {
        error: String,
        exit: u8,
    },
}

impl Supervisor {
    /// Has the table read again for a caller.
    pub(super) fn begin_reload(&mut self, caller: &mut Connection, dry_run: bool) {
        let action = if dry_run {
            "reload (dry run)"
        } else {
            "reload"
        };
        self.tell_action(caller.who, None, action);
        match self.ask_to_load(dry_run) {
            Some(ticket) => caller.task = Task::Reload(Waiting { dry_run, ticket }),
            None => {
                let error = "there is no table to read again: the server is stopping, or its service was given on the command line";
                caller.fail(error, LATER, Instant::now());
            }
        }
    }

    /// Begins to tell what came of it. False when nothing has come of it yet.
    pub(super) fn reloaded(&mut self, caller: &mut Connection, waiting: Waiting) -> bool {
        let Some(outcome) = self.loading.outcome(waiting.dry_run, waiting.ticket) else {
            return false;
        };
        if !waiting.dry_run && !self.is_settled() {
            return false;
        }
        caller.task = Task::Telling(self.telling(&outcome, waiting.dry_run));
        true
    }

    /// Whether nobody has to let go of a listener, and none is to be bound at once.
    fn is_settled(&self) -> bool {
        let now = Instant::now();
        let is_due = |id| {
            let moment = self.timers.moment(Timer::Listener(id));
            moment.is_some_and(|at| at <= now)
        };
        let mut all = self.listeners.iter();
        !all.any(|(id, it)| it.unwanted || (it.state == State::NotBound && is_due(id)))
    }

    /// Tells the next piece.
    pub(super) fn go_on_telling(&mut self, caller: &mut Connection) {
        let Task::Telling(telling) = &mut caller.task else {
            return;
        };
        match telling.items.next() {
            Some(item) => caller.say(&item),
            None => {
                if let Task::Telling(telling) = std::mem::replace(&mut caller.task, Task::Idle) {
                    caller.finish(&telling.last, Instant::now());
                }
            }
        }
    }

    fn telling(&self, outcome: &Rc<Outcome>, dry_run: bool) -> Telling {
        let mut items = Vec::new();
        let last = match &**outcome {
            Outcome::Refused { mistakes, exit } => {
                let mistake = |text: &String| Item::Mistake {
                    mistake: text.clone(),
                };
                items.extend(mistakes.iter().map(mistake));
                let plural = if mistakes.len() == 1 { "" } else { "s" };
                let count = mistakes.len();
                Last::Failed {
                    error: format!("{count} mistake{plural}; the table in force stays"),
                    exit: *exit,
                }
            }
            Outcome::Table { changes, warnings } => {
                let warning = |text: &String| Item::Warning {
                    warning: text.clone(),
                };
                items.extend(warnings.iter().map(warning));
                items.extend(change_items(changes));
                let before = items.len();
                if !dry_run {
                    items.extend(self.unbound());
                }
                Last::Done {
                    done: true,
                    dry_run,
                    added: changes.added.len(),
                    changed: changes.changed.len(),
                    removed: changes.removed.len(),
                    kept: changes.kept,
                    not_bound: items.len() - before,
                    table: self.options.table(),
                }
            }
        };
        Telling {
            items: items.into_iter(),
            last,
        }
    }

    fn unbound(&self) -> impl Iterator<Item = Item> + '_ {
        let all = self.listeners.iter();
        let unbound = all.filter(|(_, listener)| listener.state == State::NotBound);
        unbound.filter_map(|(_, listener)| {
            Some(Item::NotBound {
                not_bound: listener.shown(),
                service: self.services.get(listener.service)?.facts.name.to_string(),
                reason: listener.trouble().map(words).unwrap_or_default(),
            })
        })
    }
}

fn change_items(changes: &Changes) -> impl Iterator<Item = Item> + '_ {
    let kinds = [
        ("added", &changes.added),
        ("changed", &changes.changed),
        ("removed", &changes.removed),
    ];
    kinds.into_iter().flat_map(|(change, names)| {
        names.iter().map(move |service| Item::Change {
            change,
            service: service.clone(),
        })
    })
}
