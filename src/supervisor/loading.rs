//! Getting a table: the loader child, its deadline, its answer.

use super::Supervisor;
use super::children::Role;
use super::start::Source;
use super::timers::Timer;
use crate::config::loader::{self, Answer};
use crate::event::{Event, words};
use crate::launch;
use crate::sys::limits::own_binary;
use crate::sys::spawn::{PlanSpec, Spawned};
use crate::sys::{Errno, fd, signal, wait};
use std::os::fd::{AsFd, OwnedFd};
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
    running: Option<(i32, OwnedFd)>,
    /// Somebody asked again while it ran: what it read may be old.
    again: bool,
    /// What was said of the table in force.
    remarks: Vec<String>,
}

impl Supervisor {
    /// Gets the table and puts it in force: at start, and on SIGHUP.
    pub(super) fn load(&mut self) {
        if !self.phase.is_serving() {
            return;
        }
        if self.loading.running.is_some() {
            self.loading.again = true;
            return;
        }
        let started = match &mut self.options.source {
            Source::Table(table) => match table.take() {
                Some(table) => return self.apply(*table),
                None => {
                    return self.observe(&Event::Warning { text: "there is no table to read again: the service was given on the command line" });
                }
            },
            Source::File(path) => {
                let path = path.to_string_lossy().into_owned();
                self.start_loader(path)
            }
        };
        match started {
            Ok((spawned, answer)) => {
                self.children.enter(spawned, Role::Loader, Instant::now());
                self.time_aging();
                self.loading.running = Some((spawned.pid, answer));
                self.loading.again = false;
                self.timers.set(
                    Instant::now() + DEADLINE,
                    Timer::LoaderDeadline(spawned.pid),
                );
            }
            Err(errno) => self.refuse(
                &[format!("cannot start the loader: {}", words(errno))],
                TEMPORARY,
            ),
        }
    }

    fn start_loader(&mut self, path: String) -> Result<(Spawned, OwnedFd), Errno> {
        let answer = fd::raise(fd::memory_file(c"oxinetd table")?);
        let argv = ["oxinetd".into(), "@loader".into(), path];
        // It looks up what `pass_env` names.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value.to_str()?)))
            .collect();
        let spec = PlanSpec {
            path: &own_binary(),
            argv: &argv,
            env_before: environment,
            umask: 0o022,
            ..PlanSpec::default()
        };
        let spawned = launch::helper(&mut self.spawner, &spec, fd::null(), answer.as_fd())?;
        Ok((spawned, answer))
    }

    /// The loader has had its time. It may not even end when it is killed (a dead file server), so
    /// it is not waited for.
    pub(super) fn on_loader_deadline(&mut self, pid: i32) {
        if self
            .loading
            .running
            .as_ref()
            .is_none_or(|(running, _)| *running != pid)
        {
            return;
        }
        signal::kill_process(pid);
        self.loading.running = None;
        let seconds = DEADLINE.as_secs();
        let text = format!(
            "the table was not read within {seconds} s: does a name server or a file server not answer?"
        );
        self.refuse(&[text], TEMPORARY);
        self.load_again();
    }

    pub(super) fn on_loader_exit(&mut self, exit: wait::Exit) {
        let is_the_one = |(pid, _): &mut (i32, OwnedFd)| *pid == exit.pid;
        let Some((_, answer)) = self.loading.running.take_if(is_the_one) else {
            return;
        };
        if !self.phase.is_serving() {
            return;
        }
        match loader::read(answer) {
            Ok(Answer::Table { table, warnings }) => {
                // They belong into the log that the table asks for, in its form.
                self.configure_log(&table.server);
                self.remark(warnings);
                self.apply(*table);
            }
            Ok(Answer::Mistakes(mistakes)) => self.refuse(&mistakes, BAD_TABLE),
            Err(error) => {
                let text = format!(
                    "the loader ended with {:?} and gave no answer: {error}",
                    exit.status
                );
                self.refuse(&[text], TEMPORARY);
            }
        }
        self.load_again();
    }

    fn load_again(&mut self) {
        if std::mem::take(&mut self.loading.again) {
            self.load();
        }
    }

    /// Says what may be wrong with a table, unless that was said of the one before.
    fn remark(&mut self, warnings: Vec<String>) {
        for text in warnings
            .iter()
            .filter(|text| !self.loading.remarks.contains(text))
        {
            let event = Event::Remark { text };
            self.log.write(&event);
            self.control.note(&event, None, &self.log);
        }
        self.loading.remarks = warnings;
    }

    /// A table that has mistakes: the one in force stays; without one there is nothing to serve.
    fn refuse(&mut self, mistakes: &[String], status: u8) {
        if self.phase.has_served() {
            self.observe(&Event::ReloadRefused {
                mistakes: mistakes.len(),
            });
        }
        for text in mistakes {
            self.observe(&Event::Mistake { text });
        }
        self.phase.never_served(status);
    }
}
