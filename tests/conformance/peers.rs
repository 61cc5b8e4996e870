//! The adapters: how each superserver is told of the services of a table, in a file or on command
//! lines, and what it has no words for.

use super::table::{Action, Address, Service, Table};
use crate::harness::*;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[path = "../../benches/peers/unpacked.rs"]
mod found;
use found::unpacked;

/// Where it logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Syslog,
    Stderr,
}

/// How to start a server, in words, or why that cannot be.
type CommandLines = Result<Vec<Vec<String>>, String>;

/// One superserver.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Its table is a file that is read again on SIGHUP.
    pub(super) reloads: bool,
    /// Where it can log; the first is what it does unless told otherwise.
    pub(super) logs: &'static [Log],
    /// Why it cannot have this service.
    lacks: fn(&Service) -> Option<&'static str>,
    /// Writes its files, and says how to start it: a command line, or one for each service.
    write: fn(&Table, &Place) -> CommandLines,
}

/// Where a server's files are.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Directory,
    pub(super) log: Log,
}

impl Peer {
    /// Why a service is not offered; `None` when it is.
    pub(super) fn lacks(&self, service: &Service) -> Option<&'static str> {
        (self.lacks)(service)
    }

    /// Writes the table as far as it can be had. The command lines that start it.
    pub(super) fn write(&self, table: &Table, place: &Place) -> CommandLines {
        let mut table = table.clone();
        table.services.retain(|it| self.lacks(it).is_none());
        (self.write)(&table, place)
    }

    /// Whether its programs are here; else what to do.
    pub(super) fn find(&self) -> Result<(), String> {
        let directory = Directory::new();
        let place = Place {
            directory: &directory,
            log: self.logs[0],
        };
        self.write(&Table::new(Vec::new()), &place).map(drop)
    }
}

/// The file that a table is in.
pub(super) const CONF: &str = "conf";

/// Ours.
pub(super) static OXINETD: Peer = Peer {
    name: "oxinetd",
    reloads: true,
    logs: &[Log::Stderr, Log::Syslog],
    lacks: |_| None,
    write: oxinetd,
};

/// From Debian's packages. Those with a table first.
pub(super) static PEERS: [Peer; 8] = [
    Peer {
        name: "xinetd",
        reloads: true,
        logs: &[Log::Syslog],
        lacks: |service| match service {
            _ if has_blanks(service) => Some("arguments are split at blanks"),
            _ => None,
        },
        write: xinetd,
    },
    Peer {
        name: "openbsd-inetd",
        reloads: true,
        logs: &[Log::Syslog],
        lacks: |service| {
            if has_blanks(service) {
                return Some("arguments are split at blanks");
            }
            inetd_lacks(service)
        },
        write: openbsd_inetd,
    },
    Peer {
        name: "inetutils-inetd",
        reloads: true,
        logs: &[Log::Syslog],
        lacks: inetd_lacks,
        write: inetutils_inetd,
    },
    Peer {
        name: "rlinetd",
        reloads: true,
        logs: &[Log::Stderr],
        lacks: |service| match service {
            Service {
                action: Action::Builtin(_),
                ..
            } => Some("its built-ins are other ones, and some end it"),
            _ if has_blanks(service) => Some("arguments are split at blanks"),
            Service {
                address: Address::Any,
                ..
            } => Some("one family at a time"),
            Service { deny: Some(_), .. } => Some("through tcp_wrappers only"),
            Service {
                per_source: Some(_),
                ..
            } => Some("no limit for a source"),
            Service { rate: Some(_), .. } => Some("no limit of a rate"),
            _ => None,
        },
        write: rlinetd,
    },
    Peer {
        name: "busybox inetd",
        reloads: true,
        logs: &[Log::Syslog, Log::Stderr],
        lacks: |service| {
            if has_blanks(service) {
                return Some("arguments are split at blanks");
            }
            if matches!(service.action, Action::Builtin("time" | "chargen")) {
                return Some("built without it");
            }
            inetd_lacks(service)
        },
        write: busybox_inetd,
    },
    Peer {
        name: "tcpserver",
        reloads: false,
        logs: &[Log::Stderr],
        lacks: |service| match service {
            Service {
                per_source: Some(_),
                ..
            } => Some("no limit for a source"),
            _ if service.address != Address::V4 => Some("IPv4 only"),
            _ => stream_server_lacks(service),
        },
        write: tcpserver,
    },
    Peer {
        name: "ipsvd",
        reloads: false,
        logs: &[Log::Stderr],
        lacks: |service| match service {
            _ if service.address != Address::V4 => Some("IPv4 only"),
            _ => stream_server_lacks(service),
        },
        write: ipsvd,
    },
    Peer {
        name: "systemd-socket-activate",
        reloads: false,
        logs: &[Log::Stderr],
        lacks: |service| match service {
            _ if service.user != "root" || service.group.is_some() => {
                Some("programs run as who started it")
            }
            Service {
                at_once: Some(_), ..
            } => Some("no limit of programs at once"),
            Service {
                per_source: Some(_),
                ..
            } => Some("no limit for a source"),
            Service { deny: Some(_), .. } => Some("no rules"),
            Service { is_udp: true, .. } => Some("streams only"),
            Service { waits: true, .. } => Some("a socket as descriptor 3 only"),
            _ => stream_server_lacks(service),
        },
        write: systemd,
    },
];

fn has_blanks(service: &Service) -> bool {
    service.words().iter().any(|word| word.contains(' '))
}

/// What inetd.conf has no words for.
fn inetd_lacks(service: &Service) -> Option<&'static str> {
    match service {
        Service {
            at_once: Some(_), ..
        } => Some("limits starts in a minute, not programs at once"),
        Service {
            per_source: Some(_),
            ..
        } => Some("no limit for a source"),
        Service { deny: Some(_), .. } => Some("through tcp_wrappers only"),
        _ => None,
    }
}

/// What those lack that start a program for each connection, and nothing else.
fn stream_server_lacks(service: &Service) -> Option<&'static str> {
    match service {
        Service {
            action: Action::Builtin(_),
            ..
        } => Some("no built-ins"),
        Service { is_udp: true, .. } => Some("streams only"),
        Service { waits: true, .. } => Some("no wait programs"),
        Service { rate: Some(_), .. } => Some("no limit of a rate"),
        Service { deny: Some(_), .. } => Some("in a compiled file only"),
        _ => None,
    }
}

/// The words of a command.
fn words(command: &Command) -> Vec<String> {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    all.map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn program(package: &str, path: &str) -> Result<Vec<String>, String> {
    unpacked(package, path).map(|command| words(&command))
}

fn conf(place: &Place, text: &str) -> String {
    place.directory.file(CONF, text)
}

fn push(words: &mut Vec<String>, more: &[&str]) {
    words.extend(more.iter().map(|word| (*word).to_owned()));
}

fn oxinetd(table: &Table, place: &Place) -> CommandLines {
    let log = match place.log {
        Log::Syslog => "syslog",
        Log::Stderr => "stderr",
    };
    let mut text = format!("[server]\nlog = {log:?}\n");
    for service in &table.services {
        let udp = if service.is_udp { "udp:" } else { "" };
        let host = match service.address {
            Address::V4 => "127.0.0.1:",
            Address::V6 => "[::1]:",
            Address::Any => "",
        };
        let (name, port) = (service.name.replace('/', "-"), service.port);
        let _ = writeln!(text, "[service.{name}]\nlisten = \"{udp}{host}{port}\"");
        let _ = match &service.action {
            Action::Program(words) => writeln!(
                text,
                "command = {words:?}\nuser = {:?}\nwait = {}",
                service.user, service.waits
            ),
            Action::Builtin(name) => writeln!(text, "builtin = {name:?}"),
        };
        let number = |text: &mut String, key, value: Option<u32>| {
            value.map(|value| writeln!(text, "{key} = {value}"));
        };
        number(&mut text, "max_connections", service.at_once);
        number(&mut text, "max_per_source", service.per_source);
        let _ = service.group.map(|it| writeln!(text, "group = {it:?}"));
        let _ = service.rate.map(|it| writeln!(text, "rate = \"{it}/s\""));
        let _ = service.deny.map(|it| writeln!(text, "deny = [{it:?}]"));
    }
    let conf = conf(place, &text);
    let words = [
        crate::harness::OXINETD,
        "serve",
        "--control",
        "none",
        "--config",
    ];
    Ok(vec![
        words
            .iter()
            .map(|it| (*it).to_owned())
            .chain([conf])
            .collect(),
    ])
}

fn xinetd(table: &Table, place: &Place) -> CommandLines {
    let mut text = String::from(
        "defaults\n{\n log_type = SYSLOG daemon\n log_on_success = PID HOST EXIT\n log_on_failure = HOST\n",
    );
    if table.is_lifted {
        text += " instances = UNLIMITED\n per_source = UNLIMITED\n cps = 1000000 1\n";
    }
    text += "}\n";
    for service in &table.services {
        let (socket, protocol) = match service.is_udp {
            true => ("dgram", "udp"),
            false => ("stream", "tcp"),
        };
        let (name, kind) = match service.action {
            // Built-ins are known by their names.
            Action::Builtin(name) => (name, "INTERNAL UNLISTED"),
            Action::Program(_) => (service.name, "UNLISTED"),
        };
        let _ = write!(
            text,
            "service {name}\n{{\n id = {}\n type = {kind}\n port = {}\n socket_type = {socket}\n protocol = {protocol}\n \
             wait = {}\n user = {}\n",
            service.name,
            service.port,
            if service.waits { "yes" } else { "no" },
            service.user
        );
        text += match service.address {
            Address::V4 => " bind = 127.0.0.1\n",
            Address::V6 => " bind = ::1\n",
            Address::Any => " flags = IPv6\n",
        };
        if let [program, arguments @ ..] = service.words() {
            let _ = writeln!(text, " server = {program}");
            if !arguments.is_empty() {
                let _ = writeln!(text, " server_args = {}", arguments.join(" "));
            }
        }
        let _ = service.group.map(|it| writeln!(text, " group = {it}"));
        let _ = service
            .at_once
            .map(|it| writeln!(text, " instances = {it}"));
        let _ = service
            .per_source
            .map(|it| writeln!(text, " per_source = {it}"));
        let _ = service.rate.map(|it| writeln!(text, " cps = {it} 10"));
        let _ = service.deny.map(|it| writeln!(text, " no_access = {it}"));
        text += "}\n";
    }
    let mut line = program("xinetd", "usr/sbin/xinetd")?;
    let (conf, pid) = (conf(place, &text), place.directory.join("pid"));
    push(&mut line, &["-dontfork", "-f", &conf, "-pidfile", &pid]);
    Ok(vec![line])
}

/// Lines of inetd.conf. The words for both families, the form of an IPv6 address and what quotes differ.
/// Built-ins are known by their names.
fn inetd_conf(table: &Table, both: &str, v6: &str, quote: &str) -> String {
    let mut text = String::new();
    for service in &table.services {
        let port = match service.action {
            Action::Builtin(name) => name.to_owned(),
            Action::Program(_) => service.port.to_string(),
        };
        let (socket, protocol) = match service.is_udp {
            true => ("dgram", "udp"),
            false => ("stream", "tcp"),
        };
        let (place, protocol) = match service.address {
            Address::V4 => (format!("127.0.0.1:{port}"), protocol),
            Address::V6 => (format!("{v6}:{port}"), "tcp6"),
            Address::Any => (port, both),
        };
        let wait = if service.waits { "wait" } else { "nowait" };
        let rate = service.rate.map(|it| format!(".{it}")).unwrap_or_default();
        let group = service.group.map(|it| format!(":{it}")).unwrap_or_default();
        let action = match &service.action {
            Action::Builtin(_) => "internal".to_owned(),
            Action::Program(words) => {
                let base = words[0].rsplit('/').next().unwrap_or_default();
                let mut action = format!("{} {base}", words[0]);
                for word in &words[1..] {
                    let quote = if word.contains(' ') { quote } else { "" };
                    let _ = write!(action, " {quote}{word}{quote}");
                }
                action
            }
        };
        let _ = writeln!(
            text,
            "{place} {socket} {protocol} {wait}{rate} {}{group} {action}",
            service.user
        );
    }
    text
}

fn openbsd_inetd(table: &Table, place: &Place) -> CommandLines {
    let mut line = program("openbsd-inetd", "usr/sbin/inetd")?;
    // It says who comes.
    push(&mut line, &["-i", "-l"]);
    if table.is_lifted {
        // 0 is not "any number": it goes on with 256 a minute.
        push(&mut line, &["-R", "1000000000"]);
    }
    push(
        &mut line,
        &[&conf(place, &inetd_conf(table, "tcp", "[::1]", ""))],
    );
    Ok(vec![line])
}

fn inetutils_inetd(table: &Table, place: &Place) -> CommandLines {
    let mut line = program("inetutils-inetd", "usr/sbin/inetutils-inetd")?;
    let pid = format!("--pidfile={}", place.directory.join("pid"));
    if table.is_lifted {
        push(&mut line, &["-R", "100000000"]);
    }
    push(
        &mut line,
        &[&pid, &conf(place, &inetd_conf(table, "tcp6", "::1", "'"))],
    );
    Ok(vec![line])
}

fn busybox_inetd(table: &Table, place: &Place) -> CommandLines {
    let mut line = program("busybox", "bin/inetd")?;
    push(&mut line, &["-f"]);
    if place.log == Log::Stderr {
        push(&mut line, &["-e"]);
    }
    push(
        &mut line,
        &[&conf(place, &inetd_conf(table, "tcp6", "[::1]", ""))],
    );
    Ok(vec![line])
}

fn rlinetd(table: &Table, place: &Place) -> CommandLines {
    let mut text = String::new();
    if table.is_lifted {
        text += "defaults {\n instances 100000;\n}\n";
    }
    for service in &table.services {
        let host = match service.address {
            Address::V6 => "::1",
            _ => "127.0.0.1",
        };
        let protocol = if service.is_udp { "udp" } else { "tcp" };
        let _ = write!(
            text,
            "service \"{}\" {{ port {}; interface {host}; protocol {protocol}; user \"{}\"; exec \"{}\";",
            service.name,
            service.port,
            service.user,
            service.words().join(" ")
        );
        if service.waits {
            text += " wait yes;";
        }
        let _ = service.group.map(|it| write!(text, " group \"{it}\";"));
        let _ = service.at_once.map(|it| write!(text, " instances {it};"));
        text += " }\n";
    }
    let mut line = program("rlinetd", "usr/sbin/rlinetd")?;
    // It would look for this where a package puts it.
    let parser = format!(
        "usr/lib/{}-linux-gnu/rlinetd/libparse.so",
        std::env::consts::ARCH
    );
    let root = line.last().and_then(|it| Path::new(it).ancestors().nth(3));
    let parser = root.expect("its folder").join(parser);
    let parser = parser.display().to_string();
    push(&mut line, &["-d", "-p", &parser, "-f", &conf(place, &text)]);
    Ok(vec![line])
}

/// A command line for each service: what it begins with, options for it, and then its address and
/// its program.
fn lines(
    table: &Table,
    start: &[String],
    options: impl Fn(&Service) -> Vec<String>,
) -> Vec<Vec<String>> {
    let line = |service: &Service| {
        let mut line = start.to_vec();
        line.extend(options(service));
        push(&mut line, &["127.0.0.1", &service.port.to_string()]);
        line.extend_from_slice(service.words());
        line
    };
    table.services.iter().map(line).collect()
}

fn tcpserver(table: &Table, _: &Place) -> CommandLines {
    let start = program("ucspi-tcp", "usr/bin/tcpserver")?;
    Ok(lines(table, &start, |service| {
        // No look-ups of names and of users.
        let mut options = Vec::new();
        push(&mut options, &["-v", "-H", "-R", "-l", "0"]);
        let default = if table.is_lifted { "100000" } else { "40" };
        let at_once = service.at_once.map(|it| it.to_string());
        push(&mut options, &["-c", at_once.as_deref().unwrap_or(default)]);
        if service.user != "root" {
            push(&mut options, &["-u", "65534", "-g", "65534"]);
        } else if service.group.is_some() {
            push(&mut options, &["-g", "65534"]);
        }
        options
    }))
}

fn ipsvd(table: &Table, _: &Place) -> CommandLines {
    let start = program("ipsvd", "usr/bin/tcpsvd")?;
    Ok(lines(table, &start, |service| {
        let mut options = Vec::new();
        push(&mut options, &["-v", "-l", "0"]);
        let default = if table.is_lifted { "100000" } else { "30" };
        let at_once = service.at_once.map(|it| it.to_string());
        push(&mut options, &["-c", at_once.as_deref().unwrap_or(default)]);
        if let Some(per_source) = service.per_source {
            push(&mut options, &["-C", &per_source.to_string()]);
        }
        if service.user != "root" || service.group.is_some() {
            let group = service.group.unwrap_or("nogroup");
            push(&mut options, &["-u", &format!("{}:{group}", service.user)]);
        }
        options
    }))
}

fn systemd(table: &Table, _: &Place) -> CommandLines {
    let mut start = program("systemd", "usr/bin/systemd-socket-activate")?;
    push(&mut start, &["--accept", "--inetd"]);
    let line = |service: &Service| {
        let host = match service.address {
            Address::V4 => "127.0.0.1:",
            Address::V6 => "[::1]:",
            Address::Any => "",
        };
        let listen = format!("--listen={host}{}", service.port);
        [start.clone(), vec![listen], service.words().to_vec()].concat()
    };
    Ok(table.services.iter().map(line).collect())
}
