//! What it costs that the worker stands between client and program: `cargo bench --bench relay`, or
//! `cargo bench --bench relay -- bulk` for one table.
//!
//! 1. `bulk`: bytes a second from a program or server to a client, as ratios to a bare loop of read
//!    and write, and to socat where that is installed, each a process of its own; rounds interleaved;
//! 2. `echo`: the time that one byte takes there and back over a terminal, alone and beside clients
//!    that send as fast as they can;
//! 3. `idle`: memory of the worker for each connection on which nothing moves.

use oxinetd::sys::pty::{self, Manner};
use oxinetd::sys::{limits, pipe};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const ROUNDS: usize = 7;
const SHARE: usize = 64 * 1024;
/// Idle connections to a server, and to programs of their own.
const IDLE: [(&str, usize); 2] = [("redirect", 5_000), ("pipe", 1_000)];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == HIDDEN) {
        bare_loop(&words[1..]);
    }
    let _ = limits::raise_nofile();
    let tables: [(&str, fn()); 3] = [("bulk", bulk), ("echo", echo), ("idle", idle)];
    // Cargo adds `--bench`.
    let named: Vec<String> = words.into_iter().filter(|word| word != "--bench").collect();
    for (name, table) in tables {
        if named.is_empty() || named.iter().any(|word| word == name) {
            table();
        }
    }
}

/// 1.
fn bulk() {
    println!("| stdio | MiB/s of a bare loop | oxinetd to it | socat to it |\n|---|---|---|---|");
    let source = source(256 * MIB).to_string();
    row(
        "redirect",
        256,
        &["socket", &source],
        &format!("redirect = \"{source}\""),
        &format!("tcp:{source}"),
    );
    let (command, words) = zeros(256 * MIB);
    let exec = format!("exec:{words}");
    row(
        "pipe",
        256,
        &["pipe", &words],
        &format!("stdio = \"pipe\"\n{command}"),
        &format!("{exec},pipes"),
    );
    let (command, words) = zeros(64 * MIB);
    let exec = format!("exec:{words}");
    row(
        "pty",
        64,
        &["pty", &words],
        &format!("pty = {{ raw = true }}\n{command}"),
        &format!("{exec},pty,raw,echo=0"),
    );
}

/// What stands before the words of a bare loop.
const HIDDEN: &str = "--bare-loop";

/// A bare loop, which is this program in a process of its own: read and write and nothing else, for
/// one client after the other. Words: `socket ADDRESS`, or `pipe PROGRAM` or `pty PROGRAM`.
fn bare_loop(words: &[String]) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    for client in listener.incoming().flatten() {
        let program = || command(&words[1]);
        match words[0].as_str() {
            "socket" => {
                let mut from = TcpStream::connect(&words[1]).expect("the server");
                copy(|buffer| from.read(buffer).unwrap_or(0), client);
            }
            "pipe" => {
                let mut child = program().stdout(Stdio::piped()).spawn().expect("it");
                let output = OwnedFd::from(child.stdout.take().expect("a pipe"));
                copy(
                    |buffer| pipe::read(output.as_fd(), buffer).unwrap_or(0),
                    client,
                );
                let _ = child.wait();
            }
            _ => {
                let (master, slave) = pty::open(RAW).expect("a terminal");
                oxinetd::sys::fd::set_nonblocking(master.as_fd(), false).expect("a flag");
                // What holds its descriptor is gone with this line, so that the end is seen.
                let mut child = program().stdout(slave).spawn().expect("it");
                copy(
                    |buffer| pty::read(master.as_fd(), buffer).unwrap_or(0),
                    client,
                );
                let _ = child.wait();
            }
        }
    }
    unreachable!("a listener has no end")
}

/// A bare loop that runs.
struct Bare(Child, SocketAddr);

impl Bare {
    fn start(words: &[&str]) -> Bare {
        let this = std::env::current_exe().expect("this program");
        let mut child = in_a_session(this)
            .arg(HIDDEN)
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a bare loop");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Bare(child, line.trim().parse().expect("an address"))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in a session of its own, as service managers start servers: the scheduler shares the
/// processors among sessions first.
fn in_a_session(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setsid");
    command.arg(program);
    command
}

const RAW: Manner = Manner {
    rows: 24,
    columns: 80,
    raw: true,
    echo: false,
};

/// A key, and as one text, a program that writes so many bytes.
fn zeros(bytes: usize) -> (String, String) {
    let text = format!("/usr/bin/head -c {bytes} /dev/zero");
    let words: Vec<&str> = text.split(' ').collect();
    (format!("command = {words:?}"), text)
}

fn command(text: &str) -> Command {
    let mut words = text.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command
}

/// One mode, by a bare loop, by a service with this body and by socat with that address.
fn row(name: &str, mib: usize, bare: &[&str], body: &str, socat: &str) {
    let bare = Bare::start(bare);
    let ours = Server::start(body);
    let socat = Socat::start(socat);
    let addresses = [Some(bare.1), Some(ours.address), socat.address()];
    let mut rates = addresses.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (rates, address) in rates.iter_mut().zip(addresses) {
            rates.extend(address.map(|address| rate(address, mib * MIB)));
        }
    }
    let [bare, ours, socat] = rates;
    let ratio = |rates: &[f64]| match rates.is_empty() {
        true => "-".to_owned(),
        false => {
            let ratios = rates.iter().zip(&bare).map(|(rate, bare)| rate / bare);
            format!("{:.2}", median(ratios.collect()))
        }
    };
    let (ours, socat) = (ratio(&ours), ratio(&socat));
    println!(
        "| {name} | {:.0} | {ours} | {socat} |",
        median(bare.clone())
    );
}

/// MiB a second that a client reads to the end.
fn rate(address: SocketAddr, bytes: usize) -> f64 {
    let mut client = TcpStream::connect(address).expect("a connection");
    let mut buffer = vec![0; SHARE];
    let (since, mut read) = (Instant::now(), 0);
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        read += count;
    }
    assert_eq!(read, bytes, "all of it comes");
    (bytes / MIB) as f64 / since.elapsed().as_secs_f64()
}

/// A server that sends so many bytes to each client.
fn source(bytes: usize) -> SocketAddr {
    listen(move |mut client| {
        let share = vec![0; SHARE];
        for _ in 0..bytes / SHARE {
            if client.write_all(&share).is_err() {
                return;
            }
        }
    })
}

/// A server that serves one client after the other.
fn listen(mut serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    spawn(move || {
        for client in listener.incoming().flatten() {
            serve(client);
        }
    });
    address
}

fn copy(mut read: impl FnMut(&mut [u8]) -> usize, mut to: TcpStream) {
    let mut buffer = vec![0; SHARE];
    loop {
        match read(&mut buffer) {
            0 => return,
            count => to.write_all(&buffer[..count]).expect("a client that reads"),
        }
    }
}

/// 2.
fn echo() {
    let table = "command = [\"/bin/cat\"]\npty = { raw = true }\n\
        [service.discard]\nlisten = \"127.0.0.1:0\"\nbuiltin = \"discard\"\n\
        [service.sink]\nlisten = \"127.0.0.1:0\"\nstdio = \"pipe\"\n\
        command = [\"/bin/sh\", \"-c\", \"exec cat >/dev/null\"]";
    let server = Server::start(table);
    let alone = p99(server.address);
    let stop = Arc::new(AtomicBool::new(false));
    for address in &server.others {
        let mut client = TcpStream::connect(address).expect("a connection");
        let stop = Arc::clone(&stop);
        spawn(move || {
            let share = vec![0; SHARE];
            while !stop.load(Ordering::Relaxed) && client.write_all(&share).is_ok() {}
        });
    }
    let beside = p99(server.address);
    stop.store(true, Ordering::Relaxed);
    println!(
        "\n| p99 of an echo alone | beside bulk clients |\n|---|---|\n| {alone:.1?} | {beside:.1?} |"
    );
}

fn p99(address: SocketAddr) -> Duration {
    const BYTES: usize = 1_000;
    let mut client = TcpStream::connect(address).expect("a connection");
    client.set_nodelay(true).expect("an option");
    let mut times: Vec<Duration> = (0..BYTES)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(2));
            let since = Instant::now();
            client.write_all(b"x").expect("it is taken");
            client.read_exact(&mut [0]).expect("it comes back");
            since.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[BYTES * 99 / 100]
}

/// 3.
fn idle() {
    println!("\n| stdio | idle connections | KiB of the worker for each |\n|---|---|---|");
    let target = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = target.local_addr().expect("an address");
    spawn(move || target.incoming().flatten().collect::<Vec<_>>());
    for (name, count) in IDLE {
        let body = match name {
            "redirect" => format!("redirect = \"{address}\""),
            _ => "stdio = \"pipe\"\ncommand = [\"/bin/cat\"]".to_owned(),
        };
        let server = Server::start(&format!("max_connections = 100000\n{body}"));
        let worker = server.worker;
        // What is made once is made for the first.
        let empty = sockets(worker);
        let first = TcpStream::connect(server.address).expect("a connection");
        while sockets(worker) == empty {
            std::thread::sleep(Duration::from_millis(10));
        }
        let before = (sockets(worker), own_memory(worker));
        let clients: Vec<TcpStream> = (0..count)
            .map(|_| TcpStream::connect(server.address).expect("a connection"))
            .collect();
        // Two descriptors each, or three.
        let wanted = before.0 + 2 * clients.len();
        while sockets(worker) < wanted {
            std::thread::sleep(Duration::from_millis(10));
        }
        let each = (own_memory(worker) - before.1) as f64 / clients.len() as f64;
        println!("| {name} | {count} | {each:.2} |");
        drop(first);
    }
}

/// Descriptors of a process.
fn sockets(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Memory that a process has to itself, in KiB.
fn own_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its memory");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a number")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server; its first service is `a`.
struct Server {
    child: Child,
    worker: u32,
    address: SocketAddr,
    others: Vec<SocketAddr>,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start(body: &str) -> Server {
        let directory = tempfile::tempdir().expect("a directory");
        let table = directory.path().join("services.toml");
        let head = "[server]\nmax_worker_connections = 100000\nmax_connections = 100000\n";
        let text = format!("{head}[service.a]\nlisten = \"127.0.0.1:0\"\n{body}\n");
        std::fs::write(&table, text).expect("the table");
        let mut child = in_a_session(env!("CARGO_BIN_EXE_oxinetd"))
            .args(["serve", "--control", "none", "--config"])
            .arg(&table)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (mut addresses, mut worker) = (Vec::new(), 0);
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once(" address=") {
                addresses.push(address.parse().expect("an address"));
            } else if let Some(pid) = line.strip_prefix("worker-started pid=") {
                worker = pid.parse().expect("a pid");
            } else if line.starts_with("ready ") {
                break;
            }
        }
        spawn(move || lines.map_while(Result::ok).count());
        Server {
            child,
            worker,
            address: addresses.remove(0),
            others: addresses,
            _directory: directory,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socat that serves clients with this, where there is one.
struct Socat(Option<(Child, SocketAddr)>);

impl Socat {
    fn start(with: &str) -> Socat {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = free.expect("a port");
        let listen = format!(
            "tcp-listen:{},bind=127.0.0.1,fork,reuseaddr",
            address.port()
        );
        let child = in_a_session("socat")
            .args(["-b65536", "-U", &listen, with])
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else { return Socat(None) };
        // It is ready when it takes a connection; what it sends to that one is of no interest.
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Socat(Some((child, address)))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|(_, address)| *address)
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
