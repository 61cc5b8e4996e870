//! The same configuration in Debian's xinetd and openbsd-inetd, and converted in oxinetd: a program
//! and its client see the same world. What differs is listed, and meant.
//!
//! `tests/run` unpacks the peers; where one is missing its tests say so and are skipped.

use super::{converted, input};
use crate::harness::*;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A peer that runs, until it is dropped.
struct Peer {
    child: Child,
    directory: Directory,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Peer {
    /// Ends it, so that its port is free.
    fn end(&mut self) {
        // Our own child, that nobody has waited for yet.
        if let Ok(None) = self.child.try_wait() {
            signal(self.child.id(), nix::sys::signal::Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Where `tests/run` has unpacked a server.
fn unpacked(name: &str) -> Option<PathBuf> {
    let programs = PathBuf::from(OXINETD).parent()?.parent()?.join("programs");
    let fallback = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/programs");
    let mut found = [programs, fallback]
        .into_iter()
        .map(|it| it.join("usr/sbin").join(name));
    found.find(|path| path.exists())
}

/// Has a shell be as nice as usual, whoever runs the tests: xinetd adds to what it finds, and we do not.
const NICE: &str = "renice -n 0 $$ >/dev/null";

/// Our server with a converted table, as nice as a peer.
fn converted_server(table: &str) -> Server {
    let script = format!("{NICE} && exec \"$@\"");
    server()
        .table(table)
        .wrapped_in(&["sh", "-c", &script, "sh"])
        .start()
}

impl Peer {
    /// Starts one in a world of its own: a `/run` that nobody else sees. `words` follow its name.
    fn start(
        name: &str,
        words: &[&str],
        conf: &str,
        port: u16,
        directory: Directory,
    ) -> Option<Peer> {
        let Some(program) = unpacked(name) else {
            skip(&format!("{name} is not there: tests/run unpacks it"));
            return None;
        };
        let conf = directory.file("conf", conf);
        // The shell has set variables.
        let script = format!(
            "mount -t tmpfs none /run && {NICE} && exec env -i \"PATH=$PATH\" \"$0\" \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).arg(program);
        command.args(
            words
                .iter()
                .map(|word| if *word == "CONF" { &conf } else { *word }),
        );
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("unshare");
        let peer = Peer { child, directory };
        until("the peer listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(peer)
    }
}

/// What the probe told a client, with words for what differs each time.
fn seen(port: u16, directory: &Directory) -> Vec<String> {
    let client = Client::connect(&format!("127.0.0.1:{port}"));
    let text = client.read_text();
    let ports = [(client.port(), "CLIENT"), (port, "SERVER")];
    let text = ports.iter().fold(text, |text, (port, word)| {
        text.replace(&port.to_string(), word)
    });
    let path = directory.path().to_str().expect("UTF-8");
    text.replace(path, "DIR")
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The lines that only one of them has: `-` the peer's, `+` ours.
fn differences(peer: &[String], ours: &[String]) -> Vec<String> {
    let lacks = |lines: &[String], line: &String| !lines.contains(line);
    let gone = peer
        .iter()
        .filter(|line| lacks(ours, line))
        .map(|line| format!("-{line}"));
    let come = ours
        .iter()
        .filter(|line| lacks(peer, line))
        .map(|line| format!("+{line}"));
    // What signals whoever runs the tests ignores, peers hand on.
    let is_of_test = |line: &String| line[1..].starts_with("signals ignored");
    let is_ours = |line: &String| line.starts_with("+env OXINETD_CONNECTION=");
    gone.chain(come)
        .filter(|line| !is_of_test(line))
        .map(|line| {
            if is_ours(&line) {
                "+env OXINETD_CONNECTION=ID".into()
            } else {
                line
            }
        })
        .collect()
}

/// Runs a configuration in the peer and, converted, in oxinetd; what the probe sees otherwise.
fn compare(name: &str, words: &[&str], conf: &str, port: u16) -> Option<Vec<String>> {
    if without_root("runs programs as other users") {
        return None;
    }
    let directory = Directory::new();
    let conf = &conf.replace("{probe}", &directory.probe());
    let mut peer = Peer::start(name, words, conf, port, directory)?;
    let theirs = seen(port, &peer.directory);
    peer.end();
    let source = if name == "xinetd" {
        "xinetd.conf"
    } else {
        "inetd.conf"
    };
    let made = converted(&[input(source, conf)], None, None);
    let server = converted_server(&made.table);
    let ours = seen(port, &peer.directory);
    server.stop();
    assert!(theirs.len() > 30, "{theirs:?}");
    Some(differences(&theirs, &ours))
}

/// What oxinetd always tells a program of the connection, and always gives it.
const ENVIRONMENT: [&str; 15] = [
    "+env HOME=/nonexistent",
    "+env LANG=C",
    "+env LOGNAME=nobody",
    "+env OXINETD_CONNECTION=ID",
    "+env OXINETD_SERVICE=probe",
    "+env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "+env PROTO=TCP",
    "+env REMOTE_ADDR=127.0.0.1",
    "+env REMOTE_PORT=CLIENT",
    "+env SHELL=/usr/sbin/nologin",
    "+env TCPLOCALIP=127.0.0.1",
    "+env TCPLOCALPORT=SERVER",
    "+env TCPREMOTEIP=127.0.0.1",
    "+env TCPREMOTEPORT=CLIENT",
    "+env USER=nobody",
];

fn without_environment(differences: Vec<String>) -> Vec<String> {
    differences
        .into_iter()
        .filter(|line| !ENVIRONMENT.contains(&line.as_str()))
        .collect()
}

#[test]
fn xinetd_shows_a_program_the_same_world() {
    let port = free_port();
    let conf = format!(
        "defaults\n{{\n instances = 10\n}}\nservice probe\n{{\n type = UNLISTED\n flags = IPv4\n socket_type = stream\n protocol = tcp\n \
         wait = no\n user = nobody\n server = {{probe}}\n server_args = --except root\n port = {port}\n nice = 3\n umask = 027\n \
         rlimit_files = 100\n rlimit_cpu = 20\n env = A=b\n only_from = 127.0.0.0\n}}\n"
    );
    let Some(found) = compare("xinetd", &["-dontfork", "-f", "CONF"], &conf, port) else {
        return;
    };
    assert_eq!(without_environment(found), XINETD);
}

/// It hands on its own environment.
const XINETD: [&str; 1] = ["-env PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

#[test]
fn openbsd_inetd_shows_a_program_the_same_world() {
    let port = free_port();
    let conf = format!("{port} stream tcp nowait nobody:mail {{probe}} probe --except root\n");
    let Some(found) = compare("inetd", &["-i", "CONF"], &conf, port) else {
        return;
    };
    assert_eq!(without_environment(found), OPENBSD_INETD);
}

/// It takes PATH away, and fills the environment so that ps has room for a title. The name of the
/// service is its port here.
const OPENBSD_INETD: [&str; 3] = [
    "-env inetd_dummy=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "+env OXINETD_SERVICE=SERVER",
    "+env REMOTE_HOST=127.0.0.1",
];

/// What the probe told the sender of a datagram.
fn seen_by_sender(port: u16, directory: &Directory) -> Vec<String> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(("127.0.0.1", port)).expect("connect");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time");
    socket.send(b"?").expect("send");
    let mut answer = [0; 65536];
    let length = socket.recv(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer[..length]);
    let path = directory.path().to_str().expect("UTF-8");
    let text = text
        .replace(path, "DIR")
        .replace(&port.to_string(), "SERVER");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_program_that_reads_datagrams_sees_the_same_world() {
    if without_root("runs programs as other users") {
        return;
    }
    let (port, ready) = (free_port(), free_port());
    let directory = Directory::new();
    let probe = directory.probe();
    let conf = format!(
        "{ready} stream tcp4 nowait root /bin/true true\n\
         {port} dgram udp4 wait nobody:mail {probe} probe --except root --to sender\n"
    );
    let Some(mut peer) = Peer::start("inetd", &["-i", "CONF"], &conf, ready, directory) else {
        return;
    };
    let theirs = seen_by_sender(port, &peer.directory);
    peer.end();
    until("the program has left the socket", || {
        std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok()
    });
    let made = converted(&[input("inetd.conf", &conf)], None, None);
    let server = converted_server(&made.table);
    let ours = seen_by_sender(port, &peer.directory);
    server.stop();
    assert!(theirs.len() > 30, "{theirs:?}");
    assert_eq!(without_environment(differences(&theirs, &ours)), DATAGRAMS);
}

/// As with connections, and oxinetd tells where the socket is.
const DATAGRAMS: [&str; 5] = [
    "-env inetd_dummy=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "+env OXINETD_SERVICE=SERVER",
    "+env PROTO=UDP",
    "+env UDPLOCALIP=0.0.0.0",
    "+env UDPLOCALPORT=SERVER",
];

/// Rules, and whether a client from 127.0.0.1, 127.0.0.2, 127.0.1.2 and 127.1.0.1 gets in.
const RULES: [(&str, &str); 10] = [
    ("only_from = 127.0.0.1", "ynnn"),
    ("only_from = 127.0.0.0", "yyyy"),
    ("only_from = 127.0.0.0/16", "yyyn"),
    ("only_from = 127.0.0.1/24", "yynn"),
    ("only_from = 127.0.{0,1}", "yyyn"),
    ("only_from = 127.0.1.{2,3}", "nnyn"),
    ("only_from = 0.0.0.0", "yyyy"),
    ("no_access = 127.0.0.0/24", "nnyy"),
    ("only_from = 127.0.0.0/8\n no_access = 127.0.0.2", "ynyy"),
    // Whoever is in both lists is refused, whichever says it more exactly.
    (
        "only_from = 127.0.0.2 127.1.0.1\n no_access = 127.0.0.0/24",
        "nnny",
    ),
];

/// `y`, `n`, or `-` where nobody listens.
fn who_gets_in(port: u16) -> String {
    let answer = |source: &&str| {
        let client = Client::try_connect_from(source, &format!("127.0.0.1:{port}"));
        match client.map(|client| client.read_text()).as_deref() {
            Ok("welcome\n") => 'y',
            Ok(_) => 'n',
            Err(_) => '-',
        }
    };
    ["127.0.0.1", "127.0.0.2", "127.0.1.2", "127.1.0.1"]
        .iter()
        .map(answer)
        .collect()
}

#[test]
fn xinetd_lets_in_the_same_clients() {
    if without_root("runs programs as other users") {
        return;
    }
    let ports: Vec<u16> = RULES.iter().map(|_| free_port()).collect();
    let block = |((rule, _), port): (&(&str, &str), &u16)| {
        format!(
            "service s{port}\n{{\n type = UNLISTED\n flags = IPv4\n socket_type = stream\n protocol = tcp\n wait = no\n \
             user = root\n server = /bin/echo\n server_args = welcome\n port = {port}\n {rule}\n}}\n"
        )
    };
    let conf: String = RULES.iter().zip(&ports).map(block).collect();
    let words = ["-dontfork", "-f", "CONF"];
    let Some(mut peer) = Peer::start("xinetd", &words, &conf, ports[0], Directory::new()) else {
        return;
    };
    let answers = || -> Vec<String> { ports.iter().map(|port| who_gets_in(*port)).collect() };
    let theirs = answers();
    peer.end();
    let made = converted(&[input("xinetd.conf", &conf)], None, None);
    let server = converted_server(&made.table);
    let ours = answers();
    server.settle();
    server.stop();
    let expected: Vec<&str> = RULES.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(ours, expected);
    assert_eq!(theirs, expected);
}
