//! A superserver that runs in a world of its own (network, mounts, process ids), and what a case may
//! do to it: connect, reload, starve it, kill it and start it again. Whatever it started goes with it.
//!
//! Nothing here panics because of what a server does: what fails is told in a few words, which the
//! matrix shows.

use super::cases::ensure;
use super::peers::{CONF, Log, Peer, Place};
use super::table::{Address, Service, Table};
use super::wire::{Datagrams, Wire};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A result, or what was wrong, in a few words.
pub(super) type Found<T> = Result<T, String>;

/// How long to wait for what should happen, and how long to look for what should not. A case that is
/// known to pass waits long and looks briefly, one that is known to fail the other way round: neither
/// changes its outcome on a busy machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) wait: Duration,
    pub(super) look: Duration,
}

/// What is special about the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Clean,
    /// The server inherits what no program should.
    Dirty,
    /// Nobody reads what it sends to syslog.
    StuckSyslog,
    /// Nobody reads its standard error.
    StuckStderr,
    /// The number of processes can be limited.
    FewProcesses,
}

/// A server in its world.
pub(super) struct World {
    peer: &'static Peer,
    table: Table,
    log: Log,
    pub(super) patience: Patience,
    pub(super) directory: Directory,
    /// unshare(1), whose end ends all.
    child: Child,
    /// The process that all orphans get as a parent.
    init: u32,
    /// The server's processes.
    pids: Vec<u32>,
    group: Option<PidsGroup>,
    /// What must be kept open so that nobody reads it.
    unread: Option<OwnedFd>,
}

/// What the server is given that it should not hand on; its words follow those of `prefix`.
const DIRT: &str = "umask 0\nexport SECRET=x NOTIFY_SOCKET=/none LISTEN_FDS=1\nprefix='env --default-signal --ignore-signal=PIPE,HUP \
                    --block-signal=USR1,TERM setpriv --groups 4,24'\n";

/// A `/dev` whose log is the test's.
const OWN_LOG: &str = "mkdir dev && mount -t tmpfs none dev && for it in null zero random urandom; do touch dev/$it && \
                       mount --bind /dev/$it dev/$it; done && ln -s \"$PWD/syslog\" dev/log && mount --rbind dev /dev\n";

impl World {
    /// Starts a server for this table; it listens wherever it can.
    pub(super) fn start(
        peer: &'static Peer,
        kind: Kind,
        patience: Patience,
        directory: Directory,
        table: Table,
    ) -> Found<World> {
        let log = match kind {
            Kind::StuckSyslog => Log::Syslog,
            Kind::StuckStderr => Log::Stderr,
            _ => peer.logs[0],
        };
        let group = match kind {
            Kind::FewProcesses => Some(PidsGroup::new().ok_or("no control groups here")?),
            _ => None,
        };
        let unread = match kind {
            Kind::StuckSyslog => {
                let socket = UnixDatagram::bind(directory.join("syslog")).expect("a socket");
                Some(OwnedFd::from(socket))
            }
            Kind::StuckStderr => Some(OwnedFd::from(pipe(&directory.join("stderr")))),
            _ => None,
        };
        let place = Place {
            directory: &directory,
            log,
        };
        let commands = peer.write(&table, &place)?;
        if table.services.iter().any(|service| service.is_udp) {
            add_other_host();
        }
        let script = start_script(&commands, kind, &directory);
        directory.file("start", script);
        let child = start_init(&directory, kind, group.as_ref());
        let mut world = World {
            peer,
            table,
            log,
            patience,
            directory,
            init: 0,
            child,
            pids: Vec::new(),
            group,
            unread,
        };
        world.await_start()?;
        world.fill_log();
        Ok(world)
    }

    fn await_start(&mut self) -> Found<()> {
        let unshare = self.child.id();
        self.init = self
            .wait(|_| children(unshare).first().copied())
            .ok_or("it does not start")?;
        let services: Vec<Service> = self.offered().cloned().collect();
        let listens = self.wait(|_| {
            let is_there = |service: &Service| !socket_inodes(service.port).is_empty();
            services.iter().all(is_there).then_some(())
        });
        self.pids = children(self.init);
        self.pids.retain(|pid| is_running(*pid));
        listens.ok_or("does not listen".into())
    }

    fn offered(&self) -> impl Iterator<Item = &Service> {
        let peer = self.peer;
        let services = self.table.services.iter();
        services.filter(move |service| peer.lacks(service).is_none())
    }

    /// The processes of the server.
    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// The processes that the server has as children, of those that have not ended.
    pub(super) fn live_children(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.pids.iter().flat_map(|pid| children(*pid)).collect();
        all.retain(|pid| is_running(*pid));
        all
    }

    /// Waits until no program lives, and the server knows.
    pub(super) fn settle(&self) -> Found<()> {
        self.wait_until("the program stays", |world| {
            world.pids.iter().all(|pid| children(*pid).is_empty())
        })
    }

    /// Asks until there is an answer, or for as long as patience lasts.
    pub(super) fn wait<T>(&self, mut ask: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let end = Instant::now() + self.patience.wait;
        loop {
            let answer = ask(self);
            if answer.is_some() || Instant::now() > end {
                return answer;
            }
            pause();
        }
    }

    /// The same, for what is so or not.
    pub(super) fn wait_until(
        &self,
        what: &str,
        mut is_so: impl FnMut(&World) -> bool,
    ) -> Found<()> {
        let found = self.wait(|world| is_so(world).then_some(()));
        found.ok_or_else(|| what.to_owned())
    }

    /// Looks whether something stays right for a while.
    pub(super) fn stays(&self, mut look: impl FnMut(&World) -> Found<()>) -> Found<()> {
        let end = Instant::now() + self.patience.look;
        loop {
            look(self)?;
            if Instant::now() > end {
                return Ok(());
            }
            pause();
        }
    }

    fn service(&self, name: &str) -> &Service {
        let found = self.table.services.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("no service {name}"))
    }

    fn address(&self, name: &str) -> SocketAddr {
        let service = self.service(name);
        let ip = match service.address {
            Address::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        SocketAddr::from((ip, service.port))
    }

    /// A connection to a service.
    pub(super) fn connect(&self, name: &str) -> Found<Wire> {
        Wire::connect(None, self.address(name), self.patience.wait)
    }

    /// The same, from this address.
    pub(super) fn connect_from(&self, source: &str, name: &str) -> Found<Wire> {
        self.connect_from_port(source, 0, name)
    }

    /// The same, from this port too.
    pub(super) fn connect_from_port(&self, source: &str, port: u16, name: &str) -> Found<Wire> {
        let ip: IpAddr = source.parse().expect("an address");
        Wire::connect(
            Some((ip, port).into()),
            self.address(name),
            self.patience.wait,
        )
    }

    /// What a program says to a client that says nothing.
    pub(super) fn report(&self, name: &str) -> Found<String> {
        let bytes = self.connect(name)?.read_all()?;
        match bytes.is_empty() {
            true => Err("closed without a word".into()),
            false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// A client of a service of datagrams, with a port of its own (0: any).
    pub(super) fn datagrams(&self, port: u16, name: &str) -> Found<Datagrams> {
        Datagrams::connect(port, self.address(name), self.patience.wait)
    }

    /// Sends the server a signal.
    pub(super) fn signal(&self, kind: Signal) {
        self.pids.iter().for_each(|pid| signal(*pid, kind));
    }

    /// Writes another table and has the server read it.
    pub(super) fn reload(&mut self, change: impl FnOnce(&mut Table)) -> Found<()> {
        change(&mut self.table);
        let place = Place {
            directory: &self.directory,
            log: self.log,
        };
        self.peer.write(&self.table, &place)?;
        self.signal(Signal::SIGHUP);
        Ok(())
    }

    /// Has the server read a table that it cannot understand.
    pub(super) fn reload_rubbish(&self) {
        self.directory
            .file(CONF, "}{ \u{1} [[[\nservice\nstream \"\n");
        self.signal(Signal::SIGHUP);
    }

    /// Has the server read a table that is not there.
    pub(super) fn reload_nothing(&self) {
        let _ = fs::remove_file(self.directory.join(CONF));
        self.signal(Signal::SIGHUP);
    }

    /// Kills the server, and nothing that it has started.
    pub(super) fn kill(&self) -> Found<()> {
        self.signal(Signal::SIGKILL);
        self.wait_until("lives on", |world| {
            !world.pids.iter().any(|pid| is_running(*pid))
        })
    }

    /// Waits until nothing that is left of a killed server listens for a service, if that comes.
    pub(super) fn await_free(&self, name: &str) {
        let port = self.service(name).port;
        let _ = self.wait(|_| socket_inodes(port).is_empty().then_some(()));
    }

    /// Starts it again where it was.
    pub(super) fn start_again(&mut self) -> Found<()> {
        let mut old = children(self.init);
        old.extend(&self.pids);
        fs::write(self.directory.join("again"), "\n").expect("its script waits");
        let new = self.wait(|world| {
            let mut new = children(world.init);
            new.retain(|pid| !old.contains(pid) && is_running(*pid));
            (!new.is_empty()).then_some(new)
        });
        self.pids = new.ok_or("does not start again")?;
        let ports: Vec<u16> = self.offered().map(|it| it.port).collect();
        self.wait_until("does not listen again", |_| {
            ports.iter().all(|port| !socket_inodes(*port).is_empty())
        })
    }

    /// Leaves no room where its standard error goes, if nobody reads that.
    fn fill_log(&mut self) {
        if let Some(unread) = self.unread.take() {
            let mut pipe = fs::File::from(unread);
            for size in [4096, 1] {
                while pipe.write(&vec![b'x'; size]).is_ok() {}
            }
            self.unread = Some(pipe.into());
        }
    }

    /// Leaves the server no descriptor more than it has.
    pub(super) fn take_descriptors(&self) {
        for pid in &self.pids {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc/PID/fd");
            let open: Vec<u64> = open
                .flatten()
                .filter_map(|it| it.file_name().to_str()?.parse().ok())
                .collect();
            let free = (0..).find(|n| !open.contains(n)).expect("a number");
            limit_descriptors(*pid, free);
        }
    }

    /// Gives them back.
    pub(super) fn give_descriptors(&self) {
        self.pids
            .iter()
            .for_each(|pid| limit_descriptors(*pid, 1024));
    }

    /// Lets there be no process more than there are.
    pub(super) fn take_processes(&self) {
        self.group.as_ref().expect("a group").close();
    }

    /// Lets there be any number.
    pub(super) fn give_processes(&self) {
        self.group.as_ref().expect("a group").limit("max");
    }

    /// Looks whether the server sleeps most of the time. One that spins could run whenever it is looked
    /// at, however little of a busy processor it gets.
    pub(super) fn rests(&self) -> Found<()> {
        let (mut looks, mut runs) = (0, 0);
        self.stays(|world| {
            let mut states = world.pids.iter().filter(|pid| is_running(**pid));
            looks += 1;
            runs += u32::from(states.any(|pid| status(*pid, "State").starts_with('R')));
            ensure(looks < 40 || runs * 2 < looks, "spins")
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            group.limit("max");
        }
        // It has been told to take all with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A moment between two looks at what nobody tells of.
pub(super) fn pause() {
    let _ = nix::poll::poll(&mut [], 5_u8);
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn start_script(commands: &[Vec<String>], kind: Kind, directory: &Directory) -> String {
    let stderr = directory.join("stderr");
    let mut script = match kind {
        Kind::Dirty => DIRT.to_owned(),
        // What a shell starts in the background ignores some.
        _ => "umask 022\nprefix='env --default-signal'\n".to_owned(),
    };
    for command in commands {
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        script += &format!(
            "$prefix {} </dev/null >/dev/null 2>>{stderr} &\n",
            words.join(" ")
        );
    }
    script
}

/// An address of each case's own network that is not a loopback one.
pub(super) const OTHER_HOST: &str = "192.0.2.7";

/// Gives the network that address.
fn add_other_host() {
    let words = ["addr", "add", OTHER_HOST, "dev", "lo"];
    run(Command::new("ip").args(words)).ok();
}

/// Starts what the server lives in. Its first process stays, and starts the server again when asked.
fn start_init(directory: &Directory, kind: Kind, group: Option<&PidsGroup>) -> Child {
    let own_log = if kind == Kind::StuckSyslog {
        OWN_LOG
    } else {
        ""
    };
    let init = format!(
        "mount -t tmpfs none /run && mkfifo again\n{own_log}. ./start\nwhile :; do if read _ <again; then . ./start; fi; done\n"
    );
    let init = directory.file("init", init);
    let mut words: Vec<String> = group.map(|it| it.words().to_vec()).unwrap_or_default();
    let unshare = ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc"];
    words.extend(unshare.iter().map(|it| (*it).to_owned()));
    words.extend(["sh".into(), init]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(directory.path());
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    close_others(&mut command);
    command.spawn().expect("unshare")
}

/// A named pipe for somebody who will write to it.
fn pipe(path: &str) -> fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("mkfifo");
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).write(true);
    options
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .expect("a pipe")
}
