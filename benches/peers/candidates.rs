//! The servers that are measured: what each is told, in its own words, with its own limits lifted.
//!
//! oxinetd alone keeps its default limits, has an allow list and logs each connection. The peers log
//! nothing per connection and look at no list: what they would cost with both is not asked.

use super::bare;
use super::unpacked::unpacked;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a service does.
#[derive(Clone)]
pub(crate) enum Action {
    /// Starts this program.
    Program(Vec<String>),
    Builtin(&'static str),
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) action: Action,
    pub(crate) is_udp: bool,
    /// Keys for oxinetd's table beside the usual ones.
    pub(crate) keys: String,
}

impl Service {
    pub(crate) fn program(port: u16, program: &[&str]) -> Service {
        Service {
            port,
            action: Action::Program(program.iter().map(|word| (*word).to_owned()).collect()),
            is_udp: false,
            keys: String::new(),
        }
    }

    pub(crate) fn builtin(port: u16, name: &'static str, is_udp: bool) -> Service {
        Service {
            port,
            action: Action::Builtin(name),
            is_udp,
            keys: String::new(),
        }
    }
}

/// What a candidate is to do, and where.
pub(crate) struct Job<'a> {
    pub(crate) address: Ipv4Addr,
    pub(crate) services: &'a [Service],
    /// For its files.
    pub(crate) directory: &'a Path,
}

/// How to start a server that does it.
pub(crate) struct Start {
    pub(crate) command: Command,
    /// Where it writes its pid, if it goes to the background.
    pub(crate) pidfile: Option<PathBuf>,
    /// What takes its standard error.
    pub(crate) log: Option<PathBuf>,
}

/// Whom to measure. The answer to a job may be that, and why, it cannot be done.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) start: fn(&Job) -> Result<Start, String>,
}

const fn candidate(name: &'static str, start: fn(&Job) -> Result<Start, String>) -> Candidate {
    Candidate { name, start }
}

/// Ours.
pub(crate) const OXINETD: Candidate = candidate("oxinetd", oxinetd);

/// From Debian's packages. Those with a table first.
pub(crate) const PEERS: [Candidate; 10] = [
    candidate("xinetd", xinetd),
    candidate("openbsd-inetd", openbsd_inetd),
    candidate("inetutils-inetd", inetutils_inetd),
    candidate("rlinetd", rlinetd),
    candidate("busybox inetd", busybox_inetd),
    candidate("busybox tcpsvd", busybox_tcpsvd),
    candidate("tcpserver", tcpserver),
    candidate("ipsvd tcpsvd", tcpsvd),
    candidate("systemd-socket-activate", systemd),
    candidate("socat nofork", socat),
];

/// The limit for programs: how they are made is all that differs.
pub(crate) const BARE: [Candidate; 3] = [
    candidate("bare fork", |job| bare_loop("fork", job)),
    candidate("bare vfork", |job| bare_loop("vfork", job)),
    candidate("bare share", |job| bare_loop("share", job)),
];

/// The limit for built-ins.
pub(crate) const BARE_EPOLL: Candidate = candidate("bare epoll", |job| match job.services {
    [
        Service {
            action: Action::Builtin(name),
            is_udp: false,
            ..
        },
    ] => bare_loop(name, job),
    _ => Err("one TCP built-in at a time".into()),
});

fn plain(command: Command) -> Start {
    Start {
        command,
        pidfile: None,
        log: None,
    }
}

fn file(job: &Job, name: &str, text: &str) -> PathBuf {
    let path = job.directory.join(name);
    std::fs::write(&path, text).expect("a file for a server");
    path
}

fn oxinetd(job: &Job) -> Result<Start, String> {
    // The peers run programs as root.
    let defaults = "allow = [\"127.0.0.0/8\", \"192.0.2.0/24\"]\nuser = \"root\"";
    let mut text = format!("[defaults]\n{defaults}\n");
    for (number, service) in job.services.iter().enumerate() {
        let Service { port, keys, .. } = service;
        let kind = if service.is_udp { "udp:" } else { "" };
        let action = match &service.action {
            Action::Program(words) => format!("command = {words:?}"),
            Action::Builtin(name) => format!("builtin = {name:?}"),
        };
        let _ = write!(
            text,
            "[service.s{number}]\nlisten = \"{kind}{}:{port}\"\n{action}\n{keys}\n",
            job.address
        );
    }
    let table = file(job, "services.toml", &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxinetd"));
    command.args(["serve", "--control", "none", "--config"]);
    command.arg(table);
    Ok(Start {
        command,
        pidfile: None,
        log: Some(job.directory.join("log")),
    })
}

fn bare_loop(what: &str, job: &Job) -> Result<Start, String> {
    let [service] = job.services else {
        return Err("has one service".into());
    };
    let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    let address = SocketAddr::from((job.address, service.port));
    command.args([bare::HIDDEN, what, &address.to_string()]);
    if let Action::Program(words) = &service.action {
        command.args(words);
    }
    Ok(plain(command))
}

fn xinetd(job: &Job) -> Result<Start, String> {
    let mut text = String::from(
        "defaults\n{\n instances = UNLIMITED\n per_source = UNLIMITED\n cps = 10000000 1\n}\n",
    );
    for (number, service) in job.services.iter().enumerate() {
        let (socket, protocol) = match service.is_udp {
            true => ("dgram", "udp"),
            false => ("stream", "tcp"),
        };
        let action = match &service.action {
            Action::Program(words) => format!(
                " type = UNLISTED\n user = root\n wait = no\n server = {}\n server_args = {}\n",
                words[0],
                words[1..].join(" ")
            )
            .replace(" server_args = \n", ""),
            Action::Builtin(_) => format!(
                " type = INTERNAL UNLISTED\n user = root\n wait = {}\n",
                if service.is_udp { "yes" } else { "no" }
            ),
        };
        // Built-ins are known by their names, the rest by different ids.
        let name = match &service.action {
            Action::Builtin(name) => (*name).to_owned(),
            Action::Program(_) => format!("s{number}"),
        };
        let _ = write!(
            text,
            "service {name}\n{{\n id = s{number}\n bind = {}\n port = {}\n socket_type = {socket}\n \
             protocol = {protocol}\n{action}}}\n",
            job.address, service.port
        );
    }
    let mut command = unpacked("xinetd", "usr/sbin/xinetd")?;
    command.arg("-dontfork").arg("-f");
    command.arg(file(job, "xinetd.conf", &text));
    command.arg("-pidfile").arg(job.directory.join("pid"));
    Ok(plain(command))
}

/// Lines of inetd.conf.
fn inetd_conf(job: &Job) -> String {
    let mut text = String::new();
    for service in job.services {
        let (socket, protocol, wait) = match service.is_udp {
            true => ("dgram", "udp", "wait"),
            false => ("stream", "tcp", "nowait"),
        };
        let action = match &service.action {
            Action::Program(words) => {
                let name = words[0].rsplit('/').next().unwrap_or_default();
                format!("{} {name} {}", words[0], words[1..].join(" "))
            }
            Action::Builtin(_) => "internal".into(),
        };
        let _ = writeln!(
            text,
            "{}:{} {socket} {protocol} {wait} root {action}",
            job.address, service.port
        );
    }
    text
}

/// For those that know their built-ins only by the names of services: they must be at their own
/// ports, which is no matter on an address that only we use.
fn named_inetd_conf(job: &Job) -> String {
    let mut text = String::new();
    for (line, service) in inetd_conf(job).lines().zip(job.services) {
        let line = match &service.action {
            Action::Builtin(name) => {
                line.replacen(&format!(":{} ", service.port), &format!(":{name} "), 1)
            }
            Action::Program(_) => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn openbsd_inetd(job: &Job) -> Result<Start, String> {
    let mut command = unpacked("openbsd-inetd", "usr/sbin/inetd")?;
    // In the foreground, any number of starts (0 is not that: it goes on with 256 a minute), the
    // longest queue.
    command.args(["-i", "-R", "1000000000", "-q", "4096"]);
    command.arg(file(job, "inetd.conf", &named_inetd_conf(job)));
    Ok(plain(command))
}

fn inetutils_inetd(job: &Job) -> Result<Start, String> {
    let mut command = unpacked("inetutils-inetd", "usr/sbin/inetutils-inetd")?;
    let pidfile = job.directory.join("pid");
    command.args(["-R", "100000000"]);
    command.arg(format!("--pidfile={}", pidfile.display()));
    command.arg(file(job, "inetd.conf", &named_inetd_conf(job)));
    Ok(Start {
        command,
        pidfile: Some(pidfile),
        log: None,
    })
}

fn rlinetd(job: &Job) -> Result<Start, String> {
    let mut text = String::from("defaults {\n instances 100000;\n}\n");
    for (number, service) in job.services.iter().enumerate() {
        let action = match &service.action {
            Action::Program(words) => format!("user \"root\"; exec \"{}\";", words.join(" ")),
            Action::Builtin("daytime") => {
                return Err(
                    "its daytime has another form, and echo and discard end the server".into(),
                );
            }
            Action::Builtin(name) => return Err(format!("its {name} ends the server")),
        };
        let _ = writeln!(
            text,
            "service \"s{number}\" {{ port {}; interface {}; protocol tcp; backlog 4096; {action} }}",
            service.port, job.address
        );
    }
    let mut command = unpacked("rlinetd", "usr/sbin/rlinetd")?;
    let architecture = std::env::consts::ARCH;
    // It would look for this where a package puts it.
    let parser = Path::new(command.get_args().last().expect("its program"))
        .ancestors()
        .nth(3)
        .expect("its folder")
        .join(format!(
            "usr/lib/{architecture}-linux-gnu/rlinetd/libparse.so"
        ));
    command.arg("-d").arg("-p").arg(parser).arg("-f");
    command.arg(file(job, "rlinetd.conf", &text));
    Ok(plain(command))
}

fn busybox_inetd(job: &Job) -> Result<Start, String> {
    let mut command = unpacked("busybox", "bin/inetd")?;
    // In the foreground, starts without a limit, the longest queue.
    command.args(["-f", "-R", "0", "-q", "4096"]);
    command.arg(file(job, "inetd.conf", &named_inetd_conf(job)));
    Ok(plain(command))
}

/// For those who have no table: the one program.
fn only<'a>(job: &'a Job) -> Result<(&'a Service, &'a [String]), String> {
    match job.services {
        [service] => match &service.action {
            Action::Program(words) => Ok((service, words)),
            Action::Builtin(_) => Err("has no built-ins".into()),
        },
        _ => Err("has one service".into()),
    }
}

fn busybox_tcpsvd(job: &Job) -> Result<Start, String> {
    let (service, words) = only(job)?;
    let mut command = unpacked("busybox", "bin/tcpsvd")?;
    command.args(["-c", "100000", "-b", "4096"]);
    command.args([job.address.to_string(), service.port.to_string()]);
    command.args(words);
    Ok(plain(command))
}

fn tcpserver(job: &Job) -> Result<Start, String> {
    let (service, words) = only(job)?;
    let mut command = unpacked("ucspi-tcp", "usr/bin/tcpserver")?;
    // No look-ups of names and of users.
    command.args(["-c", "100000", "-b", "4096", "-H", "-R", "-l", "0"]);
    command.args([job.address.to_string(), service.port.to_string()]);
    command.args(words);
    Ok(plain(command))
}

fn tcpsvd(job: &Job) -> Result<Start, String> {
    let (service, words) = only(job)?;
    let mut command = unpacked("ipsvd", "usr/bin/tcpsvd")?;
    command.args(["-c", "100000", "-b", "4096", "-l", "0"]);
    command.args([job.address.to_string(), service.port.to_string()]);
    command.args(words);
    Ok(plain(command))
}

fn systemd(job: &Job) -> Result<Start, String> {
    let Some(Action::Program(words)) = job.services.first().map(|it| &it.action) else {
        return Err("has no built-ins".into());
    };
    let is_other =
        |service: &Service| !matches!(&service.action, Action::Program(other) if other == words);
    if job.services.iter().any(is_other) {
        return Err("has one program".into());
    }
    let mut command = unpacked("systemd", "usr/bin/systemd-socket-activate")?;
    command.args(["--accept", "--inetd"]);
    for service in job.services {
        command.arg(format!("--listen={}:{}", job.address, service.port));
    }
    command.args(words);
    Ok(plain(command))
}

fn socat(job: &Job) -> Result<Start, String> {
    let (service, words) = only(job)?;
    let mut command = unpacked("socat", "usr/bin/socat")?;
    command.arg(format!(
        "TCP-LISTEN:{},bind={},reuseaddr,fork,backlog=4096",
        service.port, job.address
    ));
    command.arg(format!("EXEC:{},nofork", words.join(" ")));
    Ok(plain(command))
}
