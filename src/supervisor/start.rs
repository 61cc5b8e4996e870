//! The beginning: put the process in order, then run the loop.

use super::control::Since;
use super::handed::Handovers;
use super::stop::Phase;
use super::{Supervisor, TURN};
use crate::admission::Admission;
use crate::control::Place;
use crate::event::{Event, words};
use crate::launch::Inherited;
use crate::log::Log;
use crate::refuse::Leaving;
use crate::sys::poll::Poller;
use crate::sys::signal::{self, Mailbox};
use crate::sys::spawn::{Rung, Spawner};
use crate::sys::time::Clock;
use crate::sys::{Errno, fd, handed, limits, user};
use crate::table::Table;
use std::io::Write;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What PID 1 gives programs to end by themselves when nothing was said: with it they end anyway.
const INIT_DRAIN: Duration = Duration::from_secs(3);

/// How to serve.
#[derive(Debug)]
pub struct Options {
    /// Where the table comes from.
    pub source: Source,
    /// A descriptor that gets a newline when everything listens.
    pub ready_fd: Option<RawFd>,
    /// How long programs may go on after a signal to stop; `None` leaves them alone.
    pub drain_timeout: Option<Duration>,
    /// Where the control socket is to be, whatever the table says.
    pub control: Option<Place>,
    pub(super) ready: Option<OwnedFd>,
    pub(super) is_init: bool,
}

/// Where the table comes from.
#[derive(Debug)]
pub enum Source {
    /// A file, read by the loader at start and on SIGHUP.
    File(PathBuf),
    /// It is already there.
    Table(Option<Box<Table>>),
}

impl Options {
    /// The file that the table is read from.
    pub(super) fn table(&self) -> Option<String> {
        match &self.source {
            Source::File(path) => Some(path.to_string_lossy().into_owned()),
            Source::Table(_) => None,
        }
    }

    /// Serves this source, tells nobody when ready, leaves programs alone at the end.
    pub fn new(source: Source) -> Options {
        Options {
            source,
            ready_fd: None,
            drain_timeout: None,
            control: None,
            ready: None,
            is_init: false,
        }
    }

    /// Tells whoever waits for it that all services listen: the descriptor, and systemd.
    pub(super) fn tell_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            let _ = std::fs::File::from(ready).write_all(b"\n");
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Tells systemd that a table is being read; [`Options::tell_reloaded`] tells when that is over.
    pub(super) fn tell_reloading(&self) {
        if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Reloading, now]);
        }
    }

    /// Tells systemd that we serve, be it by the new table or the old one.
    pub(super) fn tell_reloaded(&self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Tells systemd that we are about to end.
    pub(super) fn tell_stopping(&self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    }
}

/// Serves until told to stop. Returns the exit status (sysexits(3)): 0, 71 when the system refuses
/// what a server needs, 78 for a table with mistakes.
pub fn serve(options: Options) -> u8 {
    let served = Supervisor::start(options).and_then(Supervisor::run);
    served.unwrap_or_else(|errno| {
        let mut log = Log::on_stderr();
        log.write(&Event::Warning {
            text: &format!("cannot serve: {}", words(errno)),
        });
        log.flush();
        71
    })
}

impl Supervisor {
    /// The order matters: nobody may look into our memory from the first line on, then descriptors
    /// (so that nothing below is opened as 0, 1 or 2), signals, limits, and at last a probe child.
    fn start(mut options: Options) -> Result<Supervisor, Errno> {
        let privileged = user::may_change_identity();
        if privileged {
            limits::forbid_dumps()?;
        }
        let handed = handed::numbers();
        let numbers = handed.iter().map(|(number, _)| *number);
        let keep: Vec<RawFd> = options.ready_fd.into_iter().chain(numbers).collect();
        let mut kept = fd::tidy(&keep)?.into_iter();
        options.ready = options.ready_fd.and_then(|_| kept.next()?);
        let handed = kept
            .zip(handed)
            .filter_map(|(fd, (_, name))| Some((fd?, name)));
        options.is_init = std::process::id() == 1;
        if options.is_init {
            options.drain_timeout.get_or_insert(INIT_DRAIN);
        }
        signal::reset_and_block()?;
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        let _ = limits::keep_capabilities_to_ourselves();
        let inherited = Inherited {
            nofile: limits::nofile()?,
            privileged,
        };
        // A hard limit without end would only make the kernel's table large; we need what we use.
        let descriptors = limits::raise_nofile().unwrap_or(inherited.nofile.0);
        fd::set_floor(descriptors);

        let wanted = std::env::var("OXINETD_SPAWN").ok();
        let rung = wanted.as_deref().and_then(Rung::by_name);
        let mut supervisor = Supervisor {
            options,
            inherited,
            poller: Poller::new(TURN)?,
            mailbox: Mailbox::open()?,
            spawner: Spawner::new(rung)?,
            log: Log::on_stderr(),
            log_is_polled: false,
            timers: Default::default(),
            services: Default::default(),
            listeners: Default::default(),
            handovers: Handovers::new(handed),
            admission: Admission::new(0),
            leaving: Leaving::new(descriptors),
            start: Instant::now(),
            clock: Clock::new(),
            children: Default::default(),
            accounts: Default::default(),
            relays: Default::default(),
            lives: Default::default(),
            waiters: Default::default(),
            yielded: Default::default(),
            diag: Default::default(),
            pipes: Default::default(),
            shortage: Default::default(),
            loading: Default::default(),
            link: Default::default(),
            control: Default::default(),
            began: Since::now(),
            pid_file: None,
            phase: Phase::Starting,
            next_connection: 0,
        };
        supervisor.poll_basics()?;
        supervisor.remark_on_start(wanted.as_deref());
        Ok(supervisor)
    }

    /// What the administrator should know about the way we were started.
    fn remark_on_start(&mut self, wanted: Option<&str>) {
        let rung = self.spawner.rung();
        match wanted {
            Some(wanted) if Rung::by_name(wanted).is_none() => {
                let text = format!(
                    "OXINETD_SPAWN={wanted} is none of share, memory, vfork, fork; using {}",
                    rung.name()
                );
                self.observe(&Event::Warning { text: &text });
            }
            None if rung != Rung::Share => {
                let text = format!(
                    "this system does not allow the fastest way to start programs; using {}",
                    rung.name()
                );
                self.observe(&Event::Warning { text: &text });
            }
            _ => {}
        }
    }
}
