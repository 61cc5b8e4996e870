//! `oxinetd` with a command line of the test's own: `wrap`, or `serve` where a [`Server`] would get
//! in the way.
//!
//! [`Server`]: super::Server

use super::process::{self, pass_on, readable_until, wait_until};
use super::{Client, DEADLINE, Line, Log, OXINETD, Totals, accounts};
use nix::sys::signal::Signal;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

/// A running one. Killed when it is dropped, with all that it started.
pub(crate) struct Daemon {
    child: Child,
    log: Log,
    unread: Option<ChildStderr>,
}

/// `oxinetd` with these words, in an environment with nothing but PATH.
pub(crate) fn oxinetd(words: &[&str]) -> Command {
    let mut command = Command::new(OXINETD);
    command.args(words).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

impl Daemon {
    /// Starts it and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(words: &[&str]) -> Daemon {
        let mut daemon = Daemon::start_unread(words);
        daemon.log = Log::follow(daemon.unread.take().expect("a pipe"));
        let is_ready = |line: &Line| line.0.starts_with("ready ") || line.0.contains("\"ready\"");
        daemon.log.wait_for(is_ready);
        daemon
    }

    /// Starts it and waits until it is ready, but reads nothing of what it says.
    #[track_caller]
    pub(crate) fn start_unread(words: &[&str]) -> Daemon {
        Daemon::start_wrapped(&[], words)
    }

    /// The same, its command line preceded by words that end by executing it, such as `unshare -m`.
    #[track_caller]
    pub(crate) fn start_wrapped(wrapper: &[&str], words: &[&str]) -> Daemon {
        let (ready, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("pipe");
        let number = std::os::fd::AsRawFd::as_raw_fd(&writer).to_string();
        let all = [wrapper, &[OXINETD], &words[..1], &["--ready-fd", &number]].concat();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]).args(&words[1..]).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if words[0] == "serve" && !words.contains(&"--control") {
            command.args(["--control", "none"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        pass_on(&mut command, &writer);
        let mut child = command.spawn().expect("oxinetd");
        drop((command, writer));
        let unread = child.stderr.take();
        let daemon = Daemon {
            child,
            log: Log::default(),
            unread,
        };
        assert!(
            readable_until(&ready, Instant::now() + DEADLINE),
            "it is not ready"
        );
        assert_eq!(nix::unistd::read(&ready, &mut [0]), Ok(1), "it ended");
        daemon
    }

    /// Reads what it says from now on, if nobody did so far.
    pub(crate) fn follow(&mut self) {
        self.log = Log::follow(self.unread.take().expect("nobody reads it yet"));
    }

    /// Takes its log from elsewhere.
    pub(crate) fn set_log(&mut self, log: Log) {
        self.log = log;
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of its `n`th `listening` line.
    #[track_caller]
    pub(crate) fn address(&self, n: usize) -> String {
        let lines = self
            .log
            .wait_for_many(n + 1, |line| line.event() == "listening");
        lines[n].field("address").expect("address=").to_string()
    }

    /// A connection to its first address.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address(0))
    }

    /// Its first `n` `end` lines, waited for.
    #[track_caller]
    pub(crate) fn wait_ends(&self, n: usize) -> Vec<Line> {
        self.log.wait_for_many(n, |line| line.event() == "end")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Waits for its end: the exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let status = wait_until(&mut self.child, Instant::now() + DEADLINE);
        status.expect("it does not end").code()
    }

    /// Stops it with SIGTERM: exit status 0, and accounts that are right.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Totals {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.wait(), Some(0));
        self.log.wait_for_end();
        accounts::check(&self.log.lines(), false)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let lines = self.log.lines();
        if std::thread::panicking() {
            lines
                .iter()
                .rev()
                .take(200)
                .rev()
                .for_each(|line| eprintln!("{line}"));
        }
        super::server::living(&lines)
            .iter()
            .filter_map(|line| line.field("pid")?.parse().ok())
            .for_each(process::kill_program);
    }
}

/// Sends a signal to any process of the test.
pub(crate) fn signal(pid: u32, signal: Signal) {
    process::signal(pid, signal);
}
