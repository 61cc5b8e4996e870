//! `oxinetd run`: the program of a service on this terminal.
//!
//! The plan is the one that a connection's program is started by, and the steps are the same; only
//! the process is this one. Refuses what has no meaning without a socket.

use super::client::NO_SUCH;
use super::{CONFIG, DEFAULT_TABLE, PERMISSION, SYSTEM, USAGE, no_such_service};
use crate::config::{self, Host};
use crate::event::{ConnectionId, Event, Session};
use crate::launch::{self, Inherited, Local};
use crate::sys::socket::Peer;
use crate::sys::spawn::Stage;
use crate::sys::{Errno, limits, signal, user};
use crate::table::{Action, Pass, Program, Service, Stderr, Table};
use clap::Args;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

const LONG: &str = "\
Run the program of a service on this terminal, to see what it does and why it fails.

It gets the user, groups, umask, nice value, limits, directory, chroot, variables and \
no_new_privileges that it would get for a client; a step that fails is named as in the log. A \
disabled service can be run too.

What differs: standard input, output and error are yours, not a socket; it stays in your session, \
so that Ctrl-C works; limits and nice value that the table leaves out, and pass_env, are those of \
your shell, not of the server. The variables tell of a client at 127.0.0.1 (::1, or you, where the \
service listens so) with port 0, and OXINETD_CONNECTION is 0.

The exit status is the program's. Else: 64 it cannot be run so, 66 there is no such service, 71 a step failed, 77 another user \
is needed, 78 the table has mistakes, 126 the program cannot be executed, 127 there is no such \
program.";

const EXAMPLE: &str = "\
Examples:
  oxinetd run finger                  # type what a client would
  oxinetd run git -- --verbose        # with one more argument
  oxinetd run rsync < /dev/null; echo $?";

/// Run the program of a service on this terminal.
#[derive(Debug, Args)]
#[command(long_about = LONG, after_help = EXAMPLE)]
pub(super) struct Run {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The table.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_TABLE)]
    config: PathBuf,
    /// Arguments for the program, behind those of the table.
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Why a program is not run, and the exit status for it.
type Refusal = (String, u8);

impl Run {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match config::load(&self.config, &Host::of_this_process()) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                for mistake in &mistakes.0 {
                    let _ = writeln!(std::io::stderr(), "{mistake}\n");
                }
                return CONFIG.into();
            }
        };
        let Err((reason, status)) = self.exec(&loaded.table);
        tell(&reason);
        status.into()
    }

    /// Becomes the program. What comes back is why not.
    fn exec(&self, table: &Table) -> Result<std::convert::Infallible, Refusal> {
        let (mut service, mut program) = find(table, &self.service)?;
        program.argv.extend(self.arguments.iter().cloned());
        // Ours, like the other two.
        Rc::make_mut(&mut service.kind).stderr = Stderr::Client;
        let inherited = Inherited {
            nofile: limits::nofile().map_err(refused)?,
            privileged: user::may_change_identity(),
        };
        let identity = &table.identities[program.identity as usize];
        let plan = launch::plan(&service, &program, identity, inherited);
        let (local, peer) = made_up_client(&service);
        let _ = limits::keep_capabilities_to_ourselves();
        signal::reset_and_block().map_err(refused)?;
        launch::in_place(&plan, &service, &local, peer, |stage, errno| {
            tell(&failure(&service, stage, errno));
            status(stage, errno)
        })
    }
}

fn tell(reason: &str) {
    let _ = writeln!(std::io::stderr(), "oxinetd run: {reason}");
}

fn refused(errno: Errno) -> Refusal {
    (crate::event::words(errno), SYSTEM)
}

/// The service and its program, if it is one that speaks over standard input and output.
fn find(table: &Table, name: &str) -> Result<(Service, Program), Refusal> {
    let Some(service) = table.services.iter().find(|service| *service.name == *name) else {
        let known = table.services.iter().map(|service| &*service.name);
        return Err((no_such_service(name, known), NO_SUCH));
    };
    let Action::Exec(program) = &service.action else {
        let reason = format!("{name} is served by oxinetd itself: it has no program to run");
        return Err((reason, USAGE));
    };
    if let Some(reason) = &service.unavailable {
        return Err((format!("{name} {reason}; run this as root"), PERMISSION));
    }
    if service.wait || service.pass == Pass::ListenFds {
        let wanted = match service.wait {
            true => "the listening socket (it is a wait service)",
            false => "a socket (pass = \"listen_fds\")",
        };
        let reason = format!(
            "the program of {name} needs {wanted}, and a terminal is none: try it with oxinetd serve"
        );
        return Err((reason, USAGE));
    }
    Ok((service.clone(), program.clone()))
}

/// Where a client would be, and what it would have reached: the first address of the service.
fn made_up_client(service: &Service) -> (Local, Peer) {
    let local = service
        .endpoints
        .first()
        .map(|first| Local::of(&first.address));
    match local {
        Some(local @ Local::Unix(_)) => {
            let me = user::credentials();
            let peer = Peer::Unix {
                uid: me.uid,
                gid: me.gid,
                pid: std::process::id() as i32,
            };
            (local, peer)
        }
        Some(Local::Inet(address)) => over_ip(address),
        None => over_ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
    }
}

/// The host itself, in the family of the address. A wildcard is reached at the same one.
fn over_ip(mut local: SocketAddr) -> (Local, Peer) {
    let host: IpAddr = match local {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    if local.ip().is_unspecified() {
        local.set_ip(host);
    }
    (Local::Inet(local), Peer::Inet(SocketAddr::from((host, 0))))
}

/// The words of the log.
fn failure(service: &Service, stage: Stage, errno: Errno) -> String {
    let session = Session {
        service: &service.name,
        id: ConnectionId {
            worker: 0,
            number: 0,
        },
        peer: None,
    };
    let object = launch::object(stage, service).unwrap_or_default();
    let event = Event::NotStarted {
        session,
        stage,
        errno,
        object: &object,
    };
    event.sentence().unwrap_or_default()
}

/// As shells have it, where it is the program's fault.
fn status(stage: Stage, errno: Errno) -> u8 {
    match (stage, errno) {
        (Stage::Exec, Errno::ENOENT) => 127,
        (Stage::Exec, _) => 126,
        _ => SYSTEM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_up_for_every_address() {
        let of = |address: &str| {
            let (local, peer) = over_ip(address.parse().unwrap());
            let Local::Inet(local) = local else { panic!() };
            (local.to_string(), peer.to_string())
        };
        let pairs = [
            ("0.0.0.0:79", "127.0.0.1:79", "127.0.0.1:0"),
            ("[::]:79", "[::1]:79", "[::1]:0"),
            ("192.0.2.1:79", "192.0.2.1:79", "127.0.0.1:0"),
        ];
        for (address, local, peer) in pairs {
            assert_eq!(of(address), (local.to_owned(), peer.to_owned()));
        }
    }

    #[test]
    fn statuses_are_those_of_shells() {
        assert_eq!(status(Stage::Exec, Errno::ENOENT), 127);
        assert_eq!(status(Stage::Exec, Errno::EACCES), 126);
        assert_eq!(status(Stage::Directory, Errno::ENOENT), 71);
    }
}
