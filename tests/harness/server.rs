//! A running server: its addresses, clients of its services, reload, and the stop with its checks.

use super::builder::expand;
use super::process::{self, kill_program, wait_until};
use super::{Client, DEADLINE, Directory, Line, Log, Totals, UdpClient, accounts};
use nix::sys::signal::Signal;
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Instant;

/// A server that is ready. To drop it stops it with all checks of [`Server::stop`], unless the test
/// has failed already: then the log is shown and whatever is left is killed.
pub(crate) struct Server {
    child: Child,
    log: Log,
    tail: Option<OwnedFd>,
    directory: Directory,
    may_leave_programs: bool,
    stopped: bool,
}

impl Server {
    pub(super) fn new(
        child: Child,
        log: Log,
        tail: Option<OwnedFd>,
        directory: Directory,
    ) -> Server {
        Server {
            child,
            log,
            tail,
            directory,
            may_leave_programs: false,
            stopped: false,
        }
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The test's directory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Process id of the supervisor.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every address on which the service has said that it listens, in the order of the log.
    pub(crate) fn addresses(&self, service: &str) -> Vec<String> {
        let lines = self
            .log
            .lines()
            .into_iter()
            .filter(|line| line.is("listening", service));
        lines
            .filter_map(|line| line.field("address").map(String::from))
            .collect()
    }

    /// The latest address of the service that begins so (`""`, `udp:`, `127.`, `[`, `unix:` …).
    #[track_caller]
    pub(crate) fn address(&self, service: &str, begins: &str) -> String {
        let addresses = self.addresses(service);
        let found = addresses
            .iter()
            .rev()
            .find(|address| address.starts_with(begins));
        found
            .unwrap_or_else(|| panic!("{service} listens on {addresses:?}"))
            .clone()
    }

    /// A connection to the service's first stream address (TCP or Unix).
    #[track_caller]
    pub(crate) fn connect(&self, service: &str) -> Client {
        let addresses = self.addresses(service);
        let stream =
            |address: &&String| !address.starts_with("udp:") && !address.starts_with("unix-dgram:");
        let found = addresses.iter().find(stream);
        Client::connect(found.unwrap_or_else(|| panic!("{service} listens on {addresses:?}")))
    }

    /// A client of the service's first datagram address.
    #[track_caller]
    pub(crate) fn udp(&self, service: &str) -> UdpClient {
        let addresses = self.addresses(service);
        let found = addresses
            .iter()
            .find(|address| address.starts_with("udp:") || address.starts_with("unix-dgram:"));
        let address = found.unwrap_or_else(|| panic!("{service} listens on {addresses:?}"));
        UdpClient::connect(address, &self.directory)
    }

    /// The service's first `start` line, waited for.
    #[track_caller]
    pub(crate) fn wait_start(&self, service: &str) -> Line {
        self.log.wait_for(|line| line.is("start", service))
    }

    /// The service's first `end` line, waited for.
    #[track_caller]
    pub(crate) fn wait_end(&self, service: &str) -> Line {
        self.log.wait_for(|line| line.is("end", service))
    }

    /// The service's first `n` `end` lines, waited for: a client may see the end of its connection
    /// before the server has reaped the program.
    #[track_caller]
    pub(crate) fn wait_ends(&self, service: &str, n: usize) -> Vec<Line> {
        self.log.wait_for_many(n, |line| line.is("end", service))
    }

    /// Waits until nothing lives but the worker. A client may see the end of its connection before
    /// the server has.
    #[track_caller]
    pub(crate) fn settle(&self) -> &Server {
        super::until("every session has ended", || {
            let is_worker = |pid: &u32| {
                let pid = pid.to_string();
                let is_of = |line: &Line| {
                    line.event() == "worker-started" && line.field("pid") == Some(&pid)
                };
                self.log.count(is_of) > 0
            };
            let mut sessions = Sessions::default();
            super::children(self.pid()).iter().all(is_worker)
                && sessions.are_over(&self.log.lines())
        });
        self
    }

    /// Writes a new table; `{dir}` and `{probe}` are expanded. Nothing happens until a reload.
    pub(crate) fn write_table(&self, text: &str) {
        // A new file under the old name: the loader never sees half of one.
        let new = self
            .directory
            .file("services.toml.new", expand(text, &self.directory));
        std::fs::rename(new, self.directory.join("services.toml")).unwrap();
    }

    /// The table as it is on the disk.
    pub(crate) fn table(&self) -> String {
        std::fs::read_to_string(self.directory.join("services.toml")).unwrap()
    }

    /// Reloads and returns the line that says what came of it: `reloaded` or `reload refused`.
    #[track_caller]
    pub(crate) fn reload(&self) -> Line {
        let mark = self.log.mark();
        self.signal(Signal::SIGHUP);
        self.log
            .wait_after(mark, |line| line.0.starts_with("reload"))
    }

    /// Writes a new table and reloads.
    #[track_caller]
    pub(crate) fn reload_with(&self, table: &str) -> Line {
        self.write_table(table);
        self.reload()
    }

    /// Sends the supervisor a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Lets programs outlive the server: `live` need not be 0 at the stop. They are killed after it.
    pub(crate) fn leave_programs(&mut self) -> &mut Server {
        self.may_leave_programs = true;
        self
    }

    /// Stops with SIGTERM and checks the end: exit status 0, no panic, the accounts of every service
    /// (promise 11), no live program, for each `start` one `end`. Returns the totals.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Totals {
        self.finish()
    }

    #[track_caller]
    fn finish(&mut self) -> Totals {
        if !self.may_leave_programs {
            self.wait_for_programs();
        }
        // A test may have stopped it, or have it speak elsewhere.
        let is_stopping = self.log.count(|line| line.event() == "stopping") > 0;
        if !is_stopping && std::path::Path::new(&self.directory.join("control")).exists() {
            self.check_status(self.may_leave_programs);
        }
        self.signal(Signal::SIGTERM);
        let status = wait_until(&mut self.child, Instant::now() + DEADLINE);
        let status = status.expect("the server does not end after SIGTERM");
        self.hear_out();
        assert!(status.success(), "the server's end: {status}");
        let lines = self.log.lines();
        let totals = accounts::check(&lines, self.may_leave_programs);
        // Not before: a failed check shows the log in drop.
        self.stopped = true;
        self.kill_programs(&lines);
        totals
    }

    /// It has ended: waits for the rest of its log.
    #[track_caller]
    pub(super) fn hear_out(&mut self) {
        drop(self.tail.take());
        self.log.wait_for_end();
    }

    /// Waits until each `start` has its `end`: clients see the end of a program before the server.
    #[track_caller]
    fn wait_for_programs(&self) {
        let mut sessions = Sessions::default();
        self.log.wait_until(|lines| sessions.are_over(lines));
    }

    /// Kills the supervisor as the kernel would, and waits until its worker has noticed and let go of
    /// what it listened on. Nothing is checked afterwards.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Directory {
        self.kill_all();
        for line in self.log.lines() {
            if line.event() == "worker-started" {
                let worker = line.number("pid") as u32;
                super::until("the worker is gone", || !super::is_running(worker));
            }
        }
        self.stopped = true;
        std::mem::replace(&mut self.directory, Directory::new())
    }

    fn kill_all(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.kill_programs(&self.log.lines());
    }

    fn kill_programs(&self, lines: &[Line]) {
        let pids = living(lines);
        pids.iter()
            .filter_map(|line| line.field("pid")?.parse().ok())
            .for_each(kill_program);
    }
}

/// Sessions that have a `start` line and no `end` yet.
#[derive(Default)]
struct Sessions {
    /// Lines that were looked at.
    seen: usize,
    /// The service of each, by id.
    living: HashMap<String, String>,
    /// Sessions of built-in services that have ended, by service.
    ended: HashMap<String, usize>,
}

impl Sessions {
    /// So many ends of a built-in service are written for certain; later ones may have been left out.
    const MANY: usize = 2000;

    /// Looks at lines that have come since the last time. All lines so far are passed again.
    fn are_over(&mut self, lines: &[Line]) -> bool {
        let text = |line: &Line, key| line.field(key).unwrap_or_default().to_string();
        for line in &lines[self.seen..] {
            let id = text(line, "id");
            match line.event() {
                "start" => {
                    self.living.insert(id, text(line, "service"));
                }
                "end" => {
                    self.living.remove(&id);
                    let is_builtin = line.field("pid").is_none();
                    *self.ended.entry(text(line, "service")).or_default() +=
                        usize::from(is_builtin);
                }
                _ => {}
            }
        }
        self.seen = lines.len();
        let is_certain = |service| self.ended.get(service).is_none_or(|n| *n < Self::MANY);
        !self.living.values().any(is_certain)
    }
}

/// The `start` lines that no `end` follows.
pub(super) fn living(lines: &[Line]) -> Vec<&Line> {
    let of = |event| lines.iter().filter(move |line| line.event() == event);
    let ended: HashSet<_> = of("end").map(|line| line.field("id")).collect();
    of("start")
        .filter(|line| !ended.contains(&line.field("id")))
        .collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped && !std::thread::panicking() {
            self.finish();
        }
        if !self.stopped {
            let lines = self.log.lines();
            let skipped = lines.len().saturating_sub(200);
            eprintln!("--- the server's log ({skipped} earlier lines left out) ---");
            lines[skipped..].iter().for_each(|line| eprintln!("{line}"));
            eprintln!("---");
            self.kill_all();
        }
    }
}
