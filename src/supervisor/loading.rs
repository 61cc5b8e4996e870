//! Getting a table: the loader child, its deadline, its answer.

use super::Supervisor;
use super::changes::Changes;
use super::children::Role;
use super::services::Kept;
use super::start::Source;
use super::timers::Timer;
use crate::config::HANDED;
use crate::config::loader::{self, Answer};
use crate::event::{Event, words};
use crate::launch;
use crate::sys::limits::{give_back_memory, own_binary};
use crate::sys::spawn::{PlanSpec, Spawned};
use crate::sys::{Errno, fd, signal, wait};
use crate::table::{Difference, ServiceId};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the loader may take: it may ask name servers and directories.
const DEADLINE: Duration = Duration::from_secs(10);

/// Exit status when the first table has mistakes (EX_CONFIG).
const BAD_TABLE: u8 = 78;
/// Exit status when it could not be read now and may be later (EX_TEMPFAIL).
const TEMPORARY: u8 = 75;

/// The loader that runs, if one does.
#[derive(Debug, Default)]
pub(super) struct Loading {
    running: Option<Run>,
    /// Of tables that are to be put in force.
    real: Loads,
    /// Of tables that are only looked at.
    dry: Loads,
    /// What was said of the table in force.
    remarks: Vec<String>,
}

/// A loader that runs.
#[derive(Debug)]
struct Run {
    pid: i32,
    answer: OwnedFd,
    /// The services that it was told of.
    known: Vec<ServiceId>,
    /// The table is not to be put in force.
    dry: bool,
}

/// Loads of one kind.
#[derive(Debug, Default)]
struct Loads {
    /// How many have begun.
    begun: u64,
    /// Somebody asked while a loader ran: what that one read may be old.
    again: bool,
    /// What came of the last one, for those who have asked for it.
    last: Option<(u64, Rc<Outcome>)>,
}

/// What came of a load.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A table, which has changed this, or would.
    Table {
        changes: Changes,
        warnings: Vec<String>,
    },
    /// None, and why.
    Refused { mistakes: Vec<String>, exit: u8 },
}

impl Outcome {
    fn is_change(&self) -> bool {
        match self {
            Outcome::Table { changes, .. } => !changes.is_empty(),
            Outcome::Refused { .. } => false,
        }
    }
}

impl Loading {
    fn loads(&mut self, dry: bool) -> &mut Loads {
        if dry { &mut self.dry } else { &mut self.real }
    }

    /// What came of the load with this number, or of a later one.
    pub(super) fn outcome(&self, dry: bool, number: u64) -> Option<Rc<Outcome>> {
        let loads = if dry { &self.dry } else { &self.real };
        let (_, outcome) = loads.last.as_ref().filter(|(last, _)| *last >= number)?;
        Some(Rc::clone(outcome))
    }

    /// Nobody waits for an outcome. It is the last that is freed of what a large table took.
    pub(super) fn forget_outcomes(&mut self) {
        let last = [self.real.last.take(), self.dry.last.take()];
        if last
            .iter()
            .flatten()
            .any(|(_, outcome)| outcome.is_change())
        {
            drop(last);
            give_back_memory();
        }
    }

    fn end(&mut self, dry: bool, outcome: Outcome) {
        let loads = self.loads(dry);
        loads.last = Some((loads.begun, Rc::new(outcome)));
    }
}

impl Supervisor {
    /// Gets the table and puts it in force: at start, and on SIGHUP.
    pub(super) fn load(&mut self) {
        if self.phase.is_serving() {
            self.load_or_look(false);
        }
    }

    /// Gets the table, and puts it in force or only looks what that would change. Returns the number
    /// of the load that will tell; `None` when there will be none.
    pub(super) fn ask_to_load(&mut self, dry: bool) -> Option<u64> {
        if !self.phase.is_serving() || !matches!(self.options.source, Source::File(_)) {
            return None;
        }
        let is_running = self.loading.running.is_some();
        self.load_or_look(dry);
        Some(self.loading.loads(dry).begun + u64::from(is_running))
    }

    fn load_or_look(&mut self, dry: bool) {
        if self.loading.running.is_some() {
            self.loading.loads(dry).again = true;
            return;
        }
        self.loading.loads(dry).begun += 1;
        let started = match &mut self.options.source {
            Source::Table(table) => match table.take() {
                Some(table) => {
                    let difference = Difference::of(*table, &[]);
                    return drop(self.apply(difference, &Kept::default()));
                }
                None => {
                    return self.observe(&Event::Warning { text: "there is no table to read again: the service was given on the command line" });
                }
            },
            Source::File(path) => {
                let path = path.to_string_lossy().into_owned();
                if !dry && self.phase.has_served() {
                    self.options.tell_reloading();
                }
                self.start_loader(path, dry)
            }
        };
        match started {
            Ok(spawned) => {
                self.children.enter(spawned, Role::Loader, Instant::now());
                self.time_aging();
                self.timers.set(
                    Instant::now() + DEADLINE,
                    Timer::LoaderDeadline(spawned.pid),
                );
            }
            Err(errno) => {
                let text = format!("cannot start the loader: {}", words(errno));
                self.refuse(dry, vec![text], TEMPORARY);
            }
        }
    }

    fn start_loader(&mut self, path: String, dry: bool) -> Result<Spawned, Errno> {
        let (known, digests): (Vec<_>, Vec<_>) = self.services.digests().into_iter().unzip();
        let digests = loader::write_digests(&digests)
            .map_err(|error| Errno::try_from(error).unwrap_or(Errno::ENOMEM))?;
        let answer = fd::raise(fd::memory_file(c"oxinetd table")?);
        let argv = ["oxinetd".into(), "@loader".into(), path];
        // It looks up what `pass_env` names.
        let environment = std::env::vars_os()
            .filter(|(name, _)| name != HANDED)
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value.to_str()?)))
            .chain([format!("{HANDED}={}", self.handovers.for_loader())])
            .collect();
        let spec = PlanSpec {
            path: &own_binary(),
            argv: &argv,
            env_before: environment,
            umask: 0o022,
            ..PlanSpec::default()
        };
        let input = digests.as_fd();
        let spawned = launch::helper(&mut self.spawner, &spec, input, answer.as_fd())?;
        self.loading.running = Some(Run {
            pid: spawned.pid,
            answer,
            known,
            dry,
        });
        Ok(spawned)
    }

    /// The loader has had its time. It may not even end when it is killed (a dead file server), so
    /// it is not waited for.
    pub(super) fn on_loader_deadline(&mut self, pid: i32) {
        let Some(Run { dry, .. }) = self.loading.running.take_if(|run| run.pid == pid) else {
            return;
        };
        signal::kill_process(pid);
        let seconds = DEADLINE.as_secs();
        let text = format!(
            "the table was not read within {seconds} s: does a name server or a file server not answer?"
        );
        self.refuse(dry, vec![text], TEMPORARY);
        self.load_again();
    }

    pub(super) fn on_loader_exit(&mut self, exit: wait::Exit) {
        let is_the_one = |run: &mut Run| run.pid == exit.pid;
        let Some(run) = self.loading.running.take_if(is_the_one) else {
            return;
        };
        let dry = run.dry;
        if !self.phase.is_serving() {
            return;
        }
        match loader::read(run.answer) {
            Ok(Answer::Table {
                difference,
                warnings,
            }) => {
                let kept: Kept = difference.kept(&run.known).copied().collect();
                let changes = match dry {
                    true => self.changes(&difference.table, &kept),
                    false => {
                        // They belong into the log that the table asks for, in its form.
                        self.configure_log(&difference.table.server);
                        self.remark(&warnings);
                        self.apply(*difference, &kept)
                    }
                };
                self.loading.end(dry, Outcome::Table { changes, warnings });
            }
            Ok(Answer::Mistakes(mistakes)) => self.refuse(dry, mistakes, BAD_TABLE),
            Err(error) => {
                let text = format!(
                    "the loader ended with {:?} and gave no answer: {error}",
                    exit.status
                );
                self.refuse(dry, vec![text], TEMPORARY);
            }
        }
        self.load_again();
    }

    fn load_again(&mut self) {
        // Whichever comes second waits for the end of the first.
        for dry in [false, true] {
            if std::mem::take(&mut self.loading.loads(dry).again) {
                self.load_or_look(dry);
            }
        }
    }

    /// Says what may be wrong with a table, unless that was said of the one before.
    fn remark(&mut self, warnings: &[String]) {
        for text in warnings
            .iter()
            .filter(|text| !self.loading.remarks.contains(text))
        {
            let event = Event::Remark { text };
            self.log.write(&event);
            self.control.note(&event, None, &self.log);
        }
        self.loading.remarks = warnings.to_vec();
    }

    /// A table that has mistakes: the one in force stays; without one there is nothing to serve.
    fn refuse(&mut self, dry: bool, mistakes: Vec<String>, exit: u8) {
        if !dry {
            self.tell_mistakes(&mistakes);
            if self.phase.has_served() {
                self.options.tell_reloaded();
            }
            self.phase.never_served(exit);
        }
        self.loading.end(dry, Outcome::Refused { mistakes, exit });
    }

    fn tell_mistakes(&mut self, mistakes: &[String]) {
        if self.phase.has_served() {
            self.observe(&Event::ReloadRefused {
                mistakes: mistakes.len(),
            });
        }
        for text in mistakes {
            self.observe(&Event::Mistake { text });
        }
    }
}
