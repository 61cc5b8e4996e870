//! Mechanism: a service, a connection and a permit become a child.
//!
//! All preparation happens here, before the clone; the child's own steps are in `sys::spawn`.
//! A launch that lacked a resource (descriptors, processes, memory) hands everything back, to be
//! tried again: it never drops a connection.

mod ends;

pub use ends::{Far, Handover};

use crate::admission::Permit;
use crate::event::ConnectionId;
use crate::sys::Errno;
use crate::sys::fd;
use crate::sys::limits::resource_number;
use crate::sys::pipe;
use crate::sys::socket::Peer;
use crate::sys::spawn::{
    self, Descriptors, Environment, Plan, PlanSpec, Spawned, Spawner, Stage, StandardError,
};
use crate::sys::stream;
use crate::table::{
    Action, Address, Endpoint, Identity, Pass, Program, Service, ServiceId, Stderr,
};
use ends::Ends;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

/// What the process was started with and children are to get back.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    /// Soft and hard limit on descriptors, before we raised our own.
    pub nofile: (u64, u64),
    /// Whether we may change users, groups and roots.
    pub privileged: bool,
}

/// An accepted connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    /// The socket, blocking.
    pub socket: OwnedFd,
    /// The client.
    pub peer: Peer,
    /// Our end.
    pub local: Local,
    /// Its number.
    pub id: ConnectionId,
    /// When it was accepted.
    pub at: Instant,
    /// What the kernel calls it, where it is to tell what it moved.
    pub cookie: Option<u64>,
    /// Bytes of the service's banner that the client was sent.
    pub greeted: usize,
}

/// Our end of a connection, or where a `wait` socket is bound.
#[derive(Debug, Clone)]
pub enum Local {
    /// An IP address.
    Inet(SocketAddr),
    /// A Unix socket; the path or abstract name as the table has it.
    Unix(Rc<str>),
}

impl Local {
    /// Where an endpoint is bound.
    pub fn of(address: &Address) -> Local {
        match address {
            Address::Inet(address) => Local::Inet(*address),
            Address::Path(path) => Local::Unix(path.as_str().into()),
            Address::Abstract(name) => Local::Unix(format!("@{name}").into()),
        }
    }
}

/// A child that was made, with the permit that comes home when it ends.
#[derive(Debug)]
pub struct Launched {
    /// The child.
    pub spawned: Spawned,
    /// The leave to have it.
    pub permit: Permit<ServiceId>,
    /// The reading end of its standard error, for `stderr = "log"`.
    pub stderr: Option<OwnedFd>,
    /// What the worker is to be given, where it stands between client and program.
    pub handover: Option<Handover>,
}

/// A launch that lacked a resource: try again later.
#[derive(Debug)]
pub struct Postponed<T> {
    /// What was to be launched.
    pub what: T,
    /// The leave to do it.
    pub permit: Permit<ServiceId>,
    /// What the system said.
    pub errno: Errno,
}

/// Makes the plan of a service: everything that is the same for each of its children.
pub fn plan(
    service: &Service,
    program: &Program,
    identity: &Identity,
    inherited: Inherited,
) -> Rc<Plan> {
    let own = |name: &str| program.env.iter().any(|(written, _)| written == name);
    let terminal = service.stdio.terminal();
    let term = terminal.map(|terminal| ("TERM", terminal.term.as_str()));
    let base = [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LANG", "C"),
        ("USER", &identity.user),
        ("LOGNAME", &identity.user),
        ("HOME", &identity.home),
        ("SHELL", &identity.shell),
    ];
    let mut limits: Vec<(u32, u64, u64)> = program
        .limits
        .iter()
        .map(|limit| (resource_number(limit.resource), limit.soft, limit.hard))
        .collect();
    let nofile = resource_number(crate::table::Resource::Nofile);
    if !limits.iter().any(|(number, ..)| *number == nofile) {
        limits.push((nofile, inherited.nofile.0, inherited.nofile.1));
    }
    let spec = PlanSpec {
        path: &program.path,
        argv: &program.argv,
        env_before: base
            .iter()
            .chain(&term)
            .filter(|(name, _)| !own(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        env_after: program
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        stderr_file: match &service.stderr {
            Stderr::File(path) => Some(path),
            _ => None,
        },
        limits,
        nice: program.nice,
        umask: program.umask,
        chroot: program.chroot.as_deref(),
        directory: &program.directory,
        identity: inherited.privileged.then_some(spawn::Identity {
            uid: identity.uid,
            gid: identity.gid,
            groups: &identity.groups,
        }),
        no_new_privileges: program.no_new_privileges,
        keeps_tree: service.life.is_limited(),
        has_terminal: service.stdio.terminal().is_some(),
    };
    Rc::new(Plan::new(&spec).expect("cannot happen: the loader refuses NUL in strings"))
}

/// Starts the program of a nowait service on a connection.
pub fn connection(
    spawner: &mut Spawner,
    plan: &Rc<Plan>,
    service: &Service,
    mut connection: Connection,
    permit: Permit<ServiceId>,
) -> Result<(Launched, Connected), Postponed<Box<Connection>>> {
    let postponed = |what, permit, errno| {
        Err(Postponed {
            what: Box::new(what),
            permit,
            errno,
        })
    };
    let prepared = greet(&mut connection, service.banner.as_deref()).and_then(|()| {
        let error = standard_error(&service.stderr, plan)?;
        Ok((error, Ends::make(&service.stdio, plan)?, spawner.reserve()?))
    });
    let ((error, reading), ends, slot) = match prepared {
        Ok(prepared) => prepared,
        Err(errno) => return postponed(connection, permit, errno),
    };
    let environment = spawner.environment(slot);
    describe_connection(environment, &connection.local, connection.peer);
    describe_service(environment, service, connection.id);
    let Connection {
        socket,
        peer,
        local,
        id,
        at,
        cookie,
        greeted,
    } = connection;
    let (handover, descriptors) = match (ends, service.pass) {
        (Some(ends), _) => {
            let (handover, descriptors) = ends.split(socket, error);
            (Some(handover), descriptors)
        }
        (None, Pass::Stdio) => (None, Descriptors::Socket(socket, error)),
        (None, Pass::ListenFds) => {
            describe_listen_fds(environment, 1, "connection");
            let error = error.unwrap_or(StandardError::Null);
            (None, Descriptors::Listen(vec![socket], error))
        }
    };
    match spawner.start(slot, plan, descriptors) {
        Ok(spawned) => Ok((
            Launched {
                spawned,
                permit,
                stderr: reading,
                handover,
            },
            Connected {
                peer,
                id,
                at,
                cookie,
            },
        )),
        Err((errno, descriptors)) => {
            let socket = match (handover, descriptors) {
                (Some(handover), _) => handover.client,
                (None, descriptors) => descriptors.into_first(),
            };
            let connection = Connection {
                socket,
                peer,
                local,
                id,
                at,
                cookie,
                greeted,
            };
            postponed(connection, permit, errno)
        }
    }
}

/// Sends what is left of the banner. A client that has gone is the program's affair.
fn greet(connection: &mut Connection, banner: Option<&str>) -> Result<(), Errno> {
    let Some(banner) = banner else { return Ok(()) };
    while let Some(rest @ [_, ..]) = banner.as_bytes().get(connection.greeted..) {
        match stream::send(connection.socket.as_fd(), rest) {
            Ok(count) => connection.greeted += count,
            // No memory for it: an empty buffer has room.
            Err(Errno::EAGAIN) => return Err(Errno::ENOBUFS),
            Err(_) => break,
        }
    }
    Ok(())
}

/// What stays of a connection when its socket has been given away.
#[derive(Debug, Clone, Copy)]
pub struct Connected {
    /// The client.
    pub peer: Peer,
    /// Its number.
    pub id: ConnectionId,
    /// When it was accepted.
    pub at: Instant,
    /// What the kernel calls it, where it is to tell what it moved.
    pub cookie: Option<u64>,
}

/// A socket that is lent to a `wait` program.
#[derive(Debug, Clone, Copy)]
pub struct Lent<'a> {
    /// The bound socket, blocking.
    pub socket: BorrowedFd<'a>,
    /// Where it is bound.
    pub endpoint: &'a Endpoint,
    /// The address that it is really bound to.
    pub bound: &'a Address,
}

/// Starts a `wait` program on its socket, or with `pass = "listen_fds"` on all of the service's.
pub fn wait(
    spawner: &mut Spawner,
    plan: &Rc<Plan>,
    service: &Service,
    sockets: &[Lent],
    id: ConnectionId,
    permit: Permit<ServiceId>,
) -> Result<Launched, Postponed<()>> {
    let postponed = |permit, errno| {
        Err(Postponed {
            what: (),
            permit,
            errno,
        })
    };
    let prepared = standard_error(&service.stderr, plan).and_then(|ends| {
        // The child copies the table only up to its highest descriptor, so it gets duplicates from below.
        let lowered = sockets
            .iter()
            .map(|lent| fd::lower(lent.socket))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((ends, lowered, spawner.reserve()?))
    });
    let ((error, reading), mut lowered, slot) = match prepared {
        Ok(prepared) => prepared,
        Err(errno) => return postponed(permit, errno),
    };
    let environment = spawner.environment(slot);
    if let [only] = sockets {
        describe_bound(environment, only);
    }
    describe_service(environment, service, id);
    let descriptors = match service.pass {
        Pass::Stdio => Descriptors::Socket(lowered.remove(0), error),
        Pass::ListenFds => {
            let names = vec![&*service.name; sockets.len()].join(":");
            describe_listen_fds(environment, sockets.len(), &names);
            Descriptors::Listen(lowered, error.unwrap_or(StandardError::Null))
        }
    };
    match spawner.start(slot, plan, descriptors) {
        Ok(spawned) => Ok(Launched {
            spawned,
            permit,
            stderr: reading,
            handover: None,
        }),
        Err((errno, _)) => postponed(permit, errno),
    }
}

/// Starts a helper of the server's own on two descriptors, 0 and 1; its 2 is ours.
pub fn helper(
    spawner: &mut Spawner,
    spec: &PlanSpec,
    input: BorrowedFd,
    output: BorrowedFd,
) -> Result<Spawned, Errno> {
    let plan = Rc::new(Plan::new(spec).map_err(|_| Errno::EINVAL)?);
    let descriptors = Descriptors::Helper(fd::lower(input)?, fd::lower(output)?);
    let slot = spawner.reserve()?;
    spawner
        .start(slot, &plan, descriptors)
        .map_err(|(errno, _)| errno)
}

/// Becomes the program of a nowait service, on our own standard descriptors and in our session, with
/// the variables of a connection from `peer` that nobody made. When a step fails, `failed` says with
/// which status to exit.
pub fn in_place(
    plan: &Plan,
    service: &Service,
    local: &Local,
    peer: Peer,
    failed: impl Fn(Stage, Errno) -> u8,
) -> ! {
    let mut environment = Environment::default();
    describe_connection(&mut environment, local, peer);
    let nobody = ConnectionId {
        worker: 0,
        number: 0,
    };
    describe_service(&mut environment, service, nobody);
    spawn::exec_in_place(plan, environment, failed)
}

/// What a stage was about, in the administrator's words.
pub fn object(stage: Stage, service: &Service) -> Option<Cow<'_, str>> {
    let program = match &service.action {
        Action::Exec(program) => program,
        Action::Redirect(targets) => {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            return Some(targets.join(", ").into());
        }
        Action::Builtin(_) => return None,
    };
    let object = match stage {
        Stage::Exec => &program.path,
        Stage::Directory => &program.directory,
        Stage::Chroot => program.chroot.as_ref()?,
        Stage::StderrFile => match &service.stderr {
            Stderr::File(path) => path,
            _ => return None,
        },
        _ => return None,
    };
    Some(object.into())
}

/// Descriptor 2, and our end of the pipe where it is one: the pipe is the user's, who may open
/// /dev/stderr. A file is opened by the child.
fn standard_error(
    stderr: &Stderr,
    plan: &Plan,
) -> Result<(Option<StandardError>, Option<OwnedFd>), Errno> {
    Ok(match stderr {
        Stderr::Client => (None, None),
        Stderr::Null | Stderr::File(_) => (Some(StandardError::Null), None),
        Stderr::Log => {
            let (read, write) = pipe::from_program()?;
            if let Some(user) = plan.user() {
                pipe::give_to(user, write.as_fd())?;
            }
            (Some(StandardError::Pipe(write)), Some(read))
        }
    })
}

/// UCSPI's variables, then systemd's and CGI's, then xinetd's.
fn describe_connection(environment: &mut Environment, local: &Local, peer: Peer) {
    match (local, peer) {
        (Local::Inet(local), Peer::Inet(peer)) => {
            environment.set("PROTO", "TCP");
            environment.set("TCPLOCALIP", local.ip());
            environment.set("TCPLOCALPORT", local.port());
            environment.set("TCPREMOTEIP", peer.ip());
            environment.set("TCPREMOTEPORT", peer.port());
            environment.set("REMOTE_ADDR", peer.ip());
            environment.set("REMOTE_PORT", peer.port());
            environment.set("REMOTE_HOST", peer.ip());
        }
        (local, Peer::Unix { uid, gid, pid }) => {
            environment.set("PROTO", "UNIX");
            if let Local::Unix(path) = local {
                environment.set("UNIXLOCALPATH", path);
            }
            environment.set("UNIXREMOTEEUID", uid);
            environment.set("UNIXREMOTEEGID", gid);
            environment.set("UNIXREMOTEPID", pid);
        }
        (Local::Unix(_), Peer::Inet(_)) => {}
    }
}

/// A `wait` program has no single client; it is told where its socket is bound.
fn describe_bound(environment: &mut Environment, lent: &Lent) {
    let protocol = match (lent.bound, lent.endpoint.transport.is_connected()) {
        (Address::Inet(_), true) => "TCP",
        (Address::Inet(_), false) => "UDP",
        _ => "UNIX",
    };
    environment.set("PROTO", protocol);
    match Local::of(lent.bound) {
        Local::Inet(address) => {
            environment.set(
                if protocol == "TCP" {
                    "TCPLOCALIP"
                } else {
                    "UDPLOCALIP"
                },
                address.ip(),
            );
            environment.set(
                if protocol == "TCP" {
                    "TCPLOCALPORT"
                } else {
                    "UDPLOCALPORT"
                },
                address.port(),
            );
        }
        Local::Unix(path) => environment.set("UNIXLOCALPATH", path),
    }
}

fn describe_service(environment: &mut Environment, service: &Service, id: ConnectionId) {
    environment.set("OXINETD_SERVICE", &service.name);
    environment.set("OXINETD_CONNECTION", id);
}

/// systemd's protocol for sockets that are passed (sd_listen_fds(3)).
fn describe_listen_fds(environment: &mut Environment, count: usize, names: &str) {
    environment.set("LISTEN_FDS", count);
    environment.set_listen_pid();
    environment.set("LISTEN_FDNAMES", names);
}
