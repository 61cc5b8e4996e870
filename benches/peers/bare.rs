//! The limit: loops that do one thing and nothing else, in this very binary, run again with a hidden
//! argument. No limits, no rules, no log, no accounts.

use oxinetd::sys::address::{Address, Transport};
use oxinetd::sys::options::SocketOptions;
use oxinetd::sys::poll::{Interest, Poller};
use oxinetd::sys::signal::{self, Mailbox};
use oxinetd::sys::spawn::{Descriptors, Identity, Plan, PlanSpec, Rung, Spawned, Spawner};
use oxinetd::sys::{Errno, fd, socket, stream, wait};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// What stands before the words of a loop.
pub(crate) const HIDDEN: &str = "--bare-loop";

/// Words: `fork|vfork|share ADDRESS PROGRAM ARGS…`, or a built-in `daytime|echo|discard ADDRESS`.
pub(crate) fn run(words: &[String]) -> ! {
    let [what, address, program @ ..] = words else {
        panic!("no address")
    };
    let address = address.parse().expect("an address");
    fd::tidy(&[]).expect("descriptors");
    signal::reset_and_block().expect("signals");
    let result = match (Rung::by_name(what), what.as_str()) {
        (Some(Rung::Share), _) => start_without_waiting(address, program),
        (Some(rung), _) => start_one_by_one(rung, address, program),
        (None, "daytime") => serve(address, Builtin::Daytime),
        (None, "echo") => serve(address, Builtin::Echo),
        (None, "discard") => serve(address, Builtin::Discard),
        (None, other) => panic!("no loop {other}"),
    };
    match result {
        Err(errno) => panic!("{what}: {errno}"),
        Ok(never) => match never {},
    }
}

fn listen(address: SocketAddr, nonblocking: bool) -> OwnedFd {
    let options = SocketOptions::default();
    let address = Address::Inet(address);
    socket::bind(Transport::Tcp, &address, nonblocking, &options).expect("a listener")
}

/// The child becomes a user only where it takes every step of ours.
fn plan(program: &[String], identity: Option<Identity>) -> Rc<Plan> {
    let spec = PlanSpec {
        path: &program[0],
        argv: program,
        umask: 0o022,
        identity,
        ..PlanSpec::default()
    };
    Rc::new(Plan::new(&spec).expect("no NUL"))
}

/// accept, fork or vfork and exec, reap: nothing polls.
fn start_one_by_one(
    rung: Rung,
    address: SocketAddr,
    program: &[String],
) -> Result<Infallible, Errno> {
    let mut spawner = Spawner::new(Some(rung))?;
    assert_eq!(spawner.rung(), rung, "the kernel does not offer it");
    let (listener, plan) = (listen(address, false), plan(program, None));
    let mut children: HashMap<i32, Spawned> = HashMap::new();
    loop {
        match socket::accept(listener.as_fd(), false) {
            Ok((socket, _)) => start(&mut spawner, &plan, socket, &mut children)?,
            Err(Errno::ECONNABORTED | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        reap(&mut spawner, &mut children);
    }
}

/// Whom services are in all tables.
const ROOT: Identity = Identity {
    uid: 0,
    gid: 0,
    groups: &[0],
};

/// The clone of `src/sys/spawn`, with every step of it: the loop goes on while the child makes its way
/// to the program.
fn start_without_waiting(address: SocketAddr, program: &[String]) -> Result<Infallible, Errno> {
    const LISTENER: u64 = 0;
    const CHILD: u64 = 1;
    const LAUNCHED: u64 = 2;
    let mut spawner = Spawner::new(Some(Rung::Share))?;
    assert_eq!(spawner.rung(), Rung::Share, "the kernel does not offer it");
    let (listener, plan) = (listen(address, true), plan(program, Some(ROOT)));
    let mut mailbox = Mailbox::open()?;
    let mut poller = Poller::new(64)?;
    poller.add(&listener, Interest::Read, LISTENER)?;
    poller.add(mailbox.as_fd(), Interest::Read, CHILD)?;
    poller.add(fd::launch_event(), Interest::ReadEdge, LAUNCHED)?;
    let mut children: HashMap<i32, Spawned> = HashMap::new();
    loop {
        let ready: Vec<u64> = poller.wait(None)?.map(|ready| ready.word).collect();
        if ready.contains(&CHILD) {
            while mailbox.take().is_some() {}
            reap(&mut spawner, &mut children);
        }
        if ready.contains(&LISTENER) {
            while let Ok((socket, _)) = socket::accept(listener.as_fd(), false) {
                start(&mut spawner, &plan, socket, &mut children)?;
            }
        }
        if ready.contains(&LAUNCHED) {
            for child in children.values() {
                spawner.close_copies(child.slot);
            }
        }
    }
}

fn start(
    spawner: &mut Spawner,
    plan: &Rc<Plan>,
    socket: OwnedFd,
    children: &mut HashMap<i32, Spawned>,
) -> Result<(), Errno> {
    let slot = spawner.reserve()?;
    let spawned = spawner
        .start(slot, plan, Descriptors::Socket(socket, None))
        .map_err(|(errno, _)| errno)?;
    children.insert(spawned.pid, spawned);
    Ok(())
}

fn reap(spawner: &mut Spawner, children: &mut HashMap<i32, Spawned>) {
    while !children.is_empty() {
        let Some(exit) = wait::next_exit() else { break };
        if let Some(spawned) = children.remove(&exit.pid) {
            spawner.settle_reaped(spawned);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Builtin {
    Daytime,
    Echo,
    Discard,
}

/// A connection, and what was read of it but not yet sent.
struct Open {
    socket: OwnedFd,
    pending: Vec<u8>,
    sent: usize,
}

/// As large as helps: measured.
const BUFFER: usize = 128 * 1024;

/// accept, answer, close, over epoll.
fn serve(address: SocketAddr, builtin: Builtin) -> Result<Infallible, Errno> {
    const LISTENER: u64 = u64::MAX;
    let listener = listen(address, true);
    let mut poller = Poller::new(64)?;
    poller.add(&listener, Interest::Read, LISTENER)?;
    let mut connections: HashMap<u64, Open> = HashMap::new();
    let (mut next, mut buffer) = (0, vec![0; BUFFER]);
    loop {
        let ready: Vec<u64> = poller.wait(None)?.map(|ready| ready.word).collect();
        for word in ready {
            if word == LISTENER {
                while let Ok((socket, _)) = socket::accept(listener.as_fd(), true) {
                    if builtin == Builtin::Daytime {
                        let _ = stream::send(socket.as_fd(), b"Sun Nov 29 02:25:49 2026\r\n");
                        continue;
                    }
                    poller.add(&socket, Interest::BothEdge, next)?;
                    let open = Open {
                        socket,
                        pending: Vec::new(),
                        sent: 0,
                    };
                    connections.insert(next, open);
                    next += 1;
                }
            } else if let Some(open) = connections.get_mut(&word) {
                let is_over = match builtin {
                    Builtin::Discard => discard(open.socket.as_fd(), &mut buffer),
                    _ => echo(open, &mut buffer),
                };
                if is_over {
                    connections.remove(&word);
                }
            }
        }
    }
}

/// Until there is nothing to read. Whether the connection is over.
fn discard(socket: BorrowedFd, buffer: &mut [u8]) -> bool {
    loop {
        match stream::discard(socket, buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(errno) => return errno != Errno::EAGAIN,
        }
    }
}

/// Until there is nothing to read, or no room to send. Whether the connection is over.
fn echo(open: &mut Open, buffer: &mut [u8]) -> bool {
    let socket = open.socket.as_fd();
    loop {
        while open.sent < open.pending.len() {
            match stream::send(socket, &open.pending[open.sent..]) {
                Ok(length) => open.sent += length,
                Err(errno) => return errno != Errno::EAGAIN,
            }
        }
        let length = match stream::receive(socket, buffer) {
            Ok(0) => return true,
            Ok(length) => length,
            Err(errno) => return errno != Errno::EAGAIN,
        };
        let mut sent = 0;
        while sent < length {
            match stream::send(socket, &buffer[sent..length]) {
                Ok(more) => sent += more,
                Err(Errno::EAGAIN) => break,
                Err(_) => return true,
            }
        }
        open.pending.clear();
        open.pending.extend_from_slice(&buffer[sent..length]);
        open.sent = 0;
    }
}
