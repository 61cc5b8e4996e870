//! A candidate that runs.

use super::candidates::{Candidate, Job, Service};
use super::machine::{wait_until, with_children};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Longer than anybody takes to listen on ten thousand ports.
const PATIENCE: Duration = Duration::from_secs(20);

/// Killed when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// Itself and its helpers.
    pub(crate) pids: Vec<u32>,
    pub(crate) address: Ipv4Addr,
    /// From its start until all its ports that were tried could be connected to.
    pub(crate) ready: Duration,
    child: Child,
    /// Its files.
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts a candidate in a session of its own, as service managers do: the scheduler shares the
    /// processors among sessions first. The error is why it is left out.
    pub(crate) fn start(candidate: &Candidate, services: &[Service]) -> Result<Server, String> {
        static STARTED: AtomicU8 = AtomicU8::new(0);
        let address = Ipv4Addr::new(127, 77, STARTED.fetch_add(1, Ordering::Relaxed), 1);
        let directory = tempfile::tempdir().expect("a directory");
        let job = Job {
            address,
            services,
            directory: directory.path(),
        };
        let start = (candidate.start)(&job)?;
        let said = directory.path().join("said");
        let log = start.log.unwrap_or(said.clone());
        let log = std::fs::File::create(log).expect("a log");
        let mut command = Command::new("setsid");
        command.arg(start.command.get_program());
        command.args(start.command.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn().expect("setsid is there");
        let mut server = Server {
            name: candidate.name,
            pids: vec![child.id()],
            address,
            ready: Duration::ZERO,
            child,
            _directory: directory,
        };
        let ports: Vec<u16> = services
            .iter()
            .filter(|it| !it.is_udp)
            .map(|it| it.port)
            .collect();
        server.ready = server.wait_until_ready(&ports)?;
        if let Some(pidfile) = start.pidfile {
            let read = || std::fs::read_to_string(&pidfile).ok()?.trim().parse().ok();
            let mut pid = None;
            wait_until(PATIENCE, || {
                pid = read();
                pid.is_some()
            });
            server.pids = vec![pid.ok_or("it wrote no pid")?];
        }
        // What the first connections started is gone, and who helps is there.
        std::thread::sleep(Duration::from_millis(100));
        server.pids = with_children(server.pids[0]);
        Ok(server)
    }

    /// Some ports from everywhere in the table, the last among them.
    fn wait_until_ready(&mut self, ports: &[u16]) -> Result<Duration, String> {
        let step = (ports.len() / 8).max(1);
        let mut tried = ports.iter().rev().step_by(step).peekable();
        let address = self.address;
        let time = wait_until(PATIENCE, || {
            while let Some(port) = tried.peek() {
                let address = SocketAddr::from((address, **port));
                match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                    Ok(_) => tried.next(),
                    Err(_) => return false,
                };
            }
            true
        });
        time.ok_or_else(|| {
            let end = match self.child.try_wait() {
                Ok(Some(status)) => status.to_string(),
                _ => "it runs".into(),
            };
            format!("not all of its {} ports listen ({end})", ports.len())
        })
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address, port))
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.pids[0]))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Asks it to read its table again.
    pub(crate) fn reload(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pids[0] as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in &self.pids {
            let pid = nix::unistd::Pid::from_raw(*pid as i32);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
