//! What admission costs, and whether a flood from one source is felt by another:
//! `cargo bench --bench admission`, or `cargo bench --bench admission -- counted` for one table.
//!
//! Tables, as ratios within one run, since machines are noisy, or of what can be counted:
//! 1. `questions`: a question to lists of different lengths (no server);
//! 2. `connections`: connections a second to a service that starts a program, without and with
//!    100,000 prefixes, rounds interleaved;
//! 3. `floods`: the time that a client takes to be served, alone and while another source floods
//!    the service;
//! 4. `counted`: instructions and system calls of whoever admits, for one connection.

#[path = "admission/counted.rs"]
mod counted;
#[path = "../tests/admission/instructions.rs"]
mod instructions;

use oxinetd::table::{Acl, AclEntry, Client, List, Who};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Prefixes of a long list.
const MANY: u32 = 100_000;
const ROUNDS: usize = 9;

fn main() {
    let tables: [(&str, fn()); 4] = [
        ("questions", questions),
        ("connections", connections),
        ("floods", floods),
        ("counted", counted::table),
    ];
    // Cargo adds `--bench`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    for (name, table) in tables {
        if named.is_empty() || named.iter().any(|word| word == name) {
            table();
        }
    }
}

/// Different addresses without an order.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(number.wrapping_mul(2_654_435_761))
}

fn acl(prefixes: u32) -> Acl {
    let entry = |number| AclEntry {
        list: List::Deny,
        who: Who::Prefix(IpAddr::V4(address(number)), 32),
        file: 0,
        line: number + 1,
    };
    Acl::new(vec!["list".into()], (0..prefixes).map(entry).collect())
}

/// 1.
fn questions() {
    const QUESTIONS: u32 = 1_000_000;
    println!("| prefixes | ns a question |\n|---|---|");
    for prefixes in [1, 1_000, MANY] {
        let acl = acl(prefixes);
        let round = || {
            let since = Instant::now();
            for number in 0..QUESTIONS {
                let client = Client::Ip(IpAddr::V4(address(number.wrapping_mul(7))));
                black_box(acl.judge(black_box(client)));
            }
            since.elapsed().as_nanos() as f64 / f64::from(QUESTIONS)
        };
        println!(
            "| {prefixes} | {:.0} |",
            median((0..ROUNDS).map(|_| round()))
        );
    }
}

/// A directory with a file `list` of many prefixes, which nobody of ours is in.
fn with_list() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let list: String = (0..MANY)
        .map(|number| format!("{}\n", address(number)))
        .filter(|line| !line.starts_with("127."))
        .collect();
    std::fs::write(directory.path().join("list"), list).expect("the list");
    directory
}

/// 2.
fn connections() {
    const CONNECTIONS: u32 = 3_000;
    let directory = with_list();
    let program = "command = [\"/bin/true\"]";
    let short = Server::start(directory.path(), "short", program);
    let keys = format!("{program}\ndeny = \"@list\"");
    let long = Server::start(directory.path(), "long", &keys);
    let rate = |server: &Server| {
        let since = Instant::now();
        for _ in 0..CONNECTIONS {
            let mut client = server.connect("127.0.0.1");
            let _ = client.read(&mut [0]);
        }
        f64::from(CONNECTIONS) / since.elapsed().as_secs_f64()
    };
    let ratios = (0..ROUNDS).map(|_| rate(&long) / rate(&short));
    println!(
        "\nconnections with {MANY} prefixes to those without: {:.3}",
        median(ratios)
    );
}

/// 3.
fn floods() {
    let directory = tempfile::tempdir().expect("a directory");
    println!(
        "\n| service | keys | p99 alone | p99 beside a flood | flood connections |\n|---|---|---|---|---|"
    );
    for action in ["command = [\"/bin/cat\"]", "builtin = \"echo\""] {
        for keys in ["max_connections = 12", "rate = \"50/s\""] {
            let server = Server::start(directory.path(), "flood", &format!("{action}\n{keys}"));
            let alone = p99(&server);
            let stop = Arc::new(AtomicBool::new(false));
            let flood = flood(&server, &stop);
            let beside = p99(&server);
            stop.store(true, Ordering::Relaxed);
            let count: usize = flood
                .into_iter()
                .map(|it| it.join().expect("the flood"))
                .sum();
            println!("| {action} | {keys} | {alone:.1?} | {beside:.1?} | {count} |");
        }
    }
}

/// The time in which 99 of 100 clients of another source were served, one after the other, with
/// pauses. Panics when one is not served.
fn p99(server: &Server) -> Duration {
    const CLIENTS: usize = 200;
    // Ten a second: below the quarter of the rate that a source always gets.
    const PAUSE: Duration = Duration::from_millis(100);
    let mut times: Vec<Duration> = (0..CLIENTS)
        .map(|_| {
            std::thread::sleep(PAUSE);
            let since = Instant::now();
            let mut client = server.connect("127.0.0.1");
            client.write_all(b"hi").expect("a client is served");
            client.read_exact(&mut [0; 2]).expect("a client is served");
            since.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[CLIENTS * 99 / 100]
}

/// Two threads that connect without a pause, and one that has 2,000 connections at once again and
/// again.
fn flood(server: &Server, stop: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<usize>> {
    let thread = |at_once: usize| {
        let (address, stop) = (server.address, Arc::clone(stop));
        std::thread::spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let held: Vec<TcpStream> = (0..at_once)
                    .take_while(|_| !stop.load(Ordering::Relaxed))
                    .map(|_| connect(address, "127.0.0.66"))
                    .collect();
                count += held.len();
            }
            count
        })
    };
    vec![thread(1), thread(1), thread(2_000)]
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server with one service.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Whoever accepts for the service: the worker for a built-in one.
    admits: u32,
    /// Connections that have ended, by the log.
    ended: Arc<AtomicUsize>,
}

impl Server {
    fn start(directory: &Path, name: &str, body: &str) -> Server {
        let table = directory.join(format!("{name}.toml"));
        let text = format!("[service.a]\nlisten = \"127.0.0.1:0\"\n{body}\n");
        std::fs::write(&table, text).expect("the table");
        // In a session of its own, as service managers start it: the scheduler shares the processors
        // among sessions first, and the flood is not to have the server's part.
        let mut child = Command::new("setsid")
            .arg(env!("CARGO_BIN_EXE_oxinetd"))
            .args(["serve", "--control", "none", "--config"])
            .arg(&table)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (mut address, mut admits) = (None, child.id());
        let is_said = lines.by_ref().map_while(Result::ok).any(|line| {
            if let Some(text) = line.strip_prefix("listening service=a address=") {
                address = text.parse().ok();
            } else if let Some(pid) = line.strip_prefix("worker-started pid=") {
                admits = pid.parse().expect("a pid");
            }
            line.starts_with("ready ")
        });
        let ended = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&ended);
        // The log is read, so that writing it is part of the work.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                counter.fetch_add(usize::from(line.starts_with("end ")), Ordering::Relaxed);
            }
        });
        Server {
            child,
            address: address.filter(|_| is_said).expect("the server listens"),
            admits,
            ended,
        }
    }

    fn connect(&self, source: &str) -> TcpStream {
        connect(self.address, source)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: SocketAddr, source: &str) -> TcpStream {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
        sockopt,
    };
    use std::os::fd::AsRawFd;
    let kind = SockType::Stream;
    let fd = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    let source: Ipv4Addr = source.parse().expect("an address");
    setsockopt(&fd, sockopt::IpBindAddressNoPort, &true).expect("an option");
    let source = SockaddrStorage::from(SocketAddr::from((source, 0)));
    bind(fd.as_raw_fd(), &source).expect("a source");
    connect(fd.as_raw_fd(), &SockaddrStorage::from(address)).expect("a connection");
    TcpStream::from(fd)
}
