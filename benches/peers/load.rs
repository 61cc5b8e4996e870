//! Clients: each in a thread and from a loopback address of its own, so that no source is held to
//! be greedy. Every reply is verified; what goes wrong is counted by kind.

use crate::stats::percentile;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Who is not served by then never will be.
const PATIENCE: i64 = 3;

/// What a client says and wants to hear, then both close.
#[derive(Clone, Copy)]
pub(crate) enum Talk {
    /// Exactly this, unasked.
    Told(&'static [u8]),
    /// One line that ends in CR LF, unasked.
    Line,
    /// What it says itself, so many bytes, after which it half-closes.
    Echo(usize),
    /// Nothing, to so many bytes.
    Silence(usize),
}

/// What some clients saw together.
#[derive(Default)]
pub(crate) struct Seen {
    /// Seconds.
    pub(crate) time: f64,
    /// How long each took that was served, in seconds, sorted.
    pub(crate) latencies: Vec<f64>,
    pub(crate) errors: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.time
    }

    pub(crate) fn latency(&self, percent: f64) -> f64 {
        percentile(&self.latencies, percent).unwrap_or(f64::NAN)
    }

    /// Takes in what others saw.
    pub(crate) fn add(&mut self, other: Seen) {
        self.time += other.time;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable_by(f64::total_cmp);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }
}

/// When the next client of a thread comes.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// As soon as the one before has gone (closed loop).
    Closed,
    /// So many a second by plan, over all threads, whether or not those before were served: what
    /// one waits for its turn counts (open loop).
    Open(f64),
}

/// So many threads of clients for so many seconds.
pub(crate) fn run(
    server: SocketAddr,
    clients: usize,
    seconds: f64,
    pace: Pace,
    talk: Talk,
) -> Seen {
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(seconds);
    let client = move |number: usize| {
        let (mut seen, payload) = (Seen::default(), payload(talk));
        for turn in 0.. {
            let planned = match pace {
                Pace::Closed => Instant::now(),
                Pace::Open(rate) => {
                    let arrival = (turn * clients + number) as f64 / rate;
                    begin + Duration::from_secs_f64(arrival)
                }
            };
            if planned >= end {
                break;
            }
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            match visit(server, number, talk, &payload) {
                Ok(()) => seen.latencies.push(planned.elapsed().as_secs_f64()),
                Err(kind) => *seen.errors.entry(kind).or_default() += 1,
            }
        }
        seen
    };
    let mut all = Seen::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        for thread in threads {
            all.add(thread.join().expect("a client panicked"));
        }
    });
    all.time = begin.elapsed().as_secs_f64();
    all
}

fn payload(talk: Talk) -> Vec<u8> {
    let length = match talk {
        Talk::Echo(length) | Talk::Silence(length) => length,
        Talk::Told(_) | Talk::Line => 0,
    };
    (0..length).map(pattern).collect()
}

fn pattern(place: usize) -> u8 {
    (place % 251) as u8
}

/// One client. The error is its kind.
fn visit(
    server: SocketAddr,
    number: usize,
    talk: Talk,
    payload: &[u8],
) -> Result<(), &'static str> {
    // xinetd looks for the names of those whom its own services serve, and one address has a name everywhere.
    let has_name = matches!(talk, Talk::Echo(_) | Talk::Silence(_));
    let source = if has_name {
        Ipv4Addr::LOCALHOST
    } else {
        own(number)
    };
    let mut stream = open(server, source)?;
    let mut told = Vec::new();
    if !payload.is_empty() {
        stream.write_all(payload).map_err(kind)?;
        stream.shutdown(Shutdown::Write).map_err(kind)?;
    }
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).map_err(kind)? {
            0 => break,
            length => told.extend_from_slice(&buffer[..length]),
        }
    }
    let is_right = match talk {
        Talk::Told(text) => told == text,
        Talk::Line => told.ends_with(b"\r\n"),
        Talk::Echo(_) => told == payload,
        Talk::Silence(_) => told.is_empty(),
    };
    is_right.then_some(()).ok_or("wrong")
}

/// The address of a client.
pub(crate) fn own(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7f01_0001 + number as u32)
}

/// Connects from an address.
pub(crate) fn open(server: SocketAddr, source: Ipv4Addr) -> Result<TcpStream, &'static str> {
    let of_kernel = |errno: nix::errno::Errno| kind(errno.into());
    let fd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(of_kernel)?;
    let source = SockaddrStorage::from(SocketAddr::from((source, 0)));
    let patience = TimeVal::seconds(PATIENCE);
    setsockopt(&fd, sockopt::IpBindAddressNoPort, &true).map_err(of_kernel)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &patience).map_err(of_kernel)?;
    setsockopt(&fd, sockopt::SendTimeout, &patience).map_err(of_kernel)?;
    bind(fd.as_raw_fd(), &source).map_err(of_kernel)?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(server)).map_err(of_kernel)?;
    Ok(TcpStream::from(fd))
}

fn kind(error: std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset",
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "timeout",
        _ if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => "timeout",
        _ => "other",
    }
}

/// Bytes a second through one connection, all of them there and right at the end. With `is_echoed`
/// they come back.
pub(crate) fn bulk(server: SocketAddr, seconds: f64, is_echoed: bool) -> Result<f64, &'static str> {
    const CHUNK: usize = 251 * 512;
    let mut stream = open(server, Ipv4Addr::LOCALHOST)?;
    let mut other_way = stream.try_clone().map_err(kind)?;
    let since = Instant::now();
    let sender = std::thread::spawn(move || -> Result<u64, &'static str> {
        let chunk: Vec<u8> = (0..CHUNK).map(pattern).collect();
        let mut sent = 0;
        while since.elapsed().as_secs_f64() < seconds {
            other_way.write_all(&chunk).map_err(kind)?;
            sent += CHUNK as u64;
        }
        other_way.shutdown(Shutdown::Write).map_err(kind)?;
        Ok(sent)
    });
    // The pattern from any place on, so that what came is compared at once.
    let expected: Vec<u8> = (0..2 * CHUNK + 251).map(pattern).collect();
    let (mut received, mut buffer) = (0u64, vec![0; 2 * CHUNK]);
    loop {
        match stream.read(&mut buffer).map_err(kind)? {
            0 => break,
            length => {
                let from = (received % 251) as usize;
                if buffer[..length] != expected[from..from + length] {
                    return Err("wrong");
                }
                received += length as u64;
            }
        }
    }
    let sent = sender.join().expect("the sender panicked")?;
    let wanted = if is_echoed { sent } else { 0 };
    if received != wanted {
        return Err("wrong");
    }
    Ok(sent as f64 / since.elapsed().as_secs_f64())
}

/// Datagrams that came back, a second, with so many on their way at once; and what was lost.
pub(crate) fn datagrams(server: SocketAddr, seconds: f64, window: usize) -> (f64, u64) {
    let socket = UdpSocket::bind("127.1.0.1:0").expect("a socket");
    socket.connect(server).expect("a datagram socket connects");
    let patience = Duration::from_millis(200);
    socket
        .set_read_timeout(Some(patience))
        .expect("a time to wait");
    let (mut answered, mut lost, mut next, mut buffer) = (0u64, 0u64, 0u64, [0; 64]);
    let since = Instant::now();
    while since.elapsed().as_secs_f64() < seconds {
        let first = next;
        for _ in 0..window {
            // A refusal of the one before is an error of this one.
            let _ = socket.send(&next.to_ne_bytes());
            next += 1;
        }
        for _ in 0..window {
            match socket.recv(&mut buffer) {
                Ok(8) => {
                    let number = u64::from_ne_bytes(buffer[..8].try_into().expect("8 bytes"));
                    // One that was held to be lost may come late.
                    answered += u64::from((first..next).contains(&number));
                }
                Ok(_) => lost += 1,
                Err(_) => {
                    lost += 1;
                    break;
                }
            }
        }
    }
    (answered as f64 / since.elapsed().as_secs_f64(), lost)
}

/// Clients that never stop: the service that is flooded.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl Flood {
    /// So many threads, from source addresses that others do not have.
    pub(crate) fn start(server: SocketAddr, threads: usize) -> Flood {
        let stop = Arc::<AtomicBool>::default();
        let thread = |number: usize| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut served = 0;
                while !stop.load(Ordering::Relaxed) {
                    let talk = Talk::Told(super::TOLD);
                    served += u64::from(visit(server, 1_000 + number, talk, &[]).is_ok());
                }
                served
            })
        };
        Flood {
            threads: (0..threads).map(thread).collect(),
            stop,
        }
    }

    /// How many were served.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        threads.map(|it| it.join().expect("the flood")).sum()
    }
}
