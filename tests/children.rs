//! What a program is given: the probe's report for every setting, from every kind of parent.
//!
//! `children/plain.txt` is the whole report of a TCP service with nothing but a command, in a server
//! that runs as root. Every other file there is what a setting changes of it, `-` and `+` lines like
//! a patch: what a file does not name must be as in `plain.txt`. With `UPDATE=1` the files are
//! written instead of compared; read them before you believe them.
//!
//! Only what cannot be the same twice is replaced before the comparison, see [`Session::report`].

mod dirt;
mod dirty_parents;

use crate::harness::*;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What all probes print: everything but the names in the root directory.
const PROBE: &str = r#"command = ["{probe}", "--except", "root"]"#;

/// A service `probe` with these keys, run by root in a known world.
fn probe_server(body: &str) -> Builder {
    let command = if body.contains("command =") {
        ""
    } else {
        PROBE
    };
    server()
        .service("probe", &format!("{command}\n{body}"))
        .before_exec(dirt::known_world())
}

/// The report of a service with these keys over a connection, compared with its file.
#[track_caller]
fn check_setting(name: &str, body: &str) {
    if without_root("changes users") {
        return;
    }
    let server = probe_server(body).start();
    let session = Session::connect(&server);
    check(name, &session.report(&server));
}

/// A client that has read a report.
struct Session {
    text: String,
    client_port: Option<u16>,
}

impl Session {
    fn connect(server: &Server) -> Session {
        let client = server.connect("probe");
        let inet = !server.address("probe", "").starts_with("unix");
        Session {
            text: client.read_text(),
            client_port: inet.then(|| client.port()),
        }
    }

    fn datagram(server: &Server) -> Session {
        let client = server.udp("probe");
        let report = client.send("?").receive();
        let inet = server.address("probe", "").starts_with("udp:");
        Session {
            text: String::from_utf8(report).expect("UTF-8"),
            client_port: inet.then(|| client.port()),
        }
    }

    /// The report with words for what differs each time: the test's directory, both ports, process
    /// ids and the connection's id; and for what the machine has given us and nobody takes away:
    /// its set of capabilities, its seccomp mode, its limit on processes, our oom_score_adj.
    fn report(&self, server: &Server) -> String {
        let start = server.wait_start("probe");
        let field = |name| {
            start
                .field(name)
                .unwrap_or_else(|| panic!("no {name}: {start}"))
        };
        let mut text = self.text.clone();
        let directory = server.directory().path().to_str().expect("UTF-8");
        text = text.replace(directory, "DIR");
        text = text.replace(
            &format!("OXINETD_CONNECTION={}\n", field("id")),
            "OXINETD_CONNECTION=ID\n",
        );
        text = text.replace(
            &format!("LISTEN_PID={}\n", field("pid")),
            "LISTEN_PID=OWN\n",
        );
        let ours = format!("UNIXREMOTEPID={}\n", std::process::id());
        text = text.replace(&ours, "UNIXREMOTEPID=CLIENT\n");
        for (n, address) in server.addresses("probe").iter().enumerate() {
            let port = address.rsplit(':').next().expect("a port");
            if port.bytes().all(|byte| byte.is_ascii_digit()) {
                let word = ["SERVER", "SERVER2"][n];
                text = with_word(&text, port, word);
            }
        }
        if let Some(port) = self.client_port {
            text = with_word(&text, &port.to_string(), "CLIENT");
        }
        with_machine(&text)
    }
}

/// Replaces a number, not a part of one.
fn with_word(text: &str, number: &str, word: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(number) {
        let (before, after) = (&rest[..at], &rest[at + number.len()..]);
        let whole =
            before.ends_with([':', '=']) && !after.starts_with(|c: char| c.is_ascii_digit());
        out += before;
        out += if whole { word } else { number };
        rest = after;
    }
    out + rest
}

fn with_machine(text: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default();
        line.trim_start_matches(':')
            .trim()
            .trim_start_matches('0')
            .to_string()
    };
    let oom = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let mut out = text.to_string();
    out = out.replace(&format!("={} ", of("CapEff")), "=ALL ");
    out = out.replace(
        &format!("seccomp {}\n", of("Seccomp")),
        "seccomp inherited\n",
    );
    out = out.replace("seccomp 0\n", "seccomp inherited\n");
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NPROC).unwrap();
    let text = |limit| {
        if limit == libc::RLIM_INFINITY {
            "unlimited".into()
        } else {
            format!("{limit}")
        }
    };
    let processes = format!("limit nproc {} {}\n", text(limit.0), text(limit.1));
    out = out.replace(&processes, "limit nproc inherited\n");
    out.replace(
        &format!("oom_score_adj {}\n", oom.trim()),
        "oom_score_adj inherited\n",
    )
}

/// Compares a report with its file.
#[track_caller]
fn check(name: &str, report: &str) {
    let path = expected_path(name);
    let found = if name == "plain" {
        report.to_string()
    } else {
        changes(&plain(), report)
    };
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(
        found == expected,
        "{path} and what was found:\n{}the report:\n{report}",
        changes(&expected, &found)
    );
}

fn plain() -> String {
    fs::read_to_string(expected_path("plain")).expect("plain.txt")
}

fn expected_path(name: &str) -> String {
    format!("{}/tests/children/{name}.txt", env!("CARGO_MANIFEST_DIR"))
}

/// What has gone and what has come, in the order of the report. A line that is there twice counts
/// twice; the probe's order never changes, so that order is no difference.
fn changes(from: &str, to: &str) -> String {
    let without = |text: &str, other: &str, sign: char| -> String {
        let mut rest: Vec<&str> = other.lines().collect();
        let left = text
            .lines()
            .filter(|line| match rest.iter().position(|other| other == line) {
                Some(at) => {
                    rest.remove(at);
                    false
                }
                None => true,
            });
        left.map(|line| format!("{sign}{line}\n")).collect()
    };
    without(from, to, '-') + &without(to, from, '+')
}

#[test]
fn changes_are_found() {
    assert_eq!(changes("a\nb\nb\n", "b\nc\n"), "-a\n-b\n+c\n");
    assert_eq!(changes("a\n", "a\n"), "");
    assert_eq!(with_word("a:12 =123 12 =12", "12", "X"), "a:X =123 12 =X");
}

#[test]
fn plain_tcp() {
    check_setting("plain", "");
}

#[test]
fn tcp6() {
    check_setting("tcp6", r#"listen = "[::1]:0""#);
}

#[test]
fn unix_stream() {
    check_setting("unix_stream", r#"listen = "unix:{dir}/socket""#);
}

#[test]
fn unix_abstract() {
    // The name is the kernel's to keep apart between tests.
    let name = format!("oxinetd-test-{}", std::process::id());
    check_setting_with(
        "unix_abstract",
        &format!(r#"listen = "unix:@{name}""#),
        |report| report.replace(&name, "NAME"),
    );
}

#[test]
fn unix_seqpacket() {
    check_setting(
        "unix_seqpacket",
        r#"listen = "unix-seqpacket:{dir}/socket""#,
    );
}

/// Like [`check_setting`], with one more replacement.
#[track_caller]
fn check_setting_with(name: &str, body: &str, replace: impl Fn(String) -> String) {
    if without_root("changes users") {
        return;
    }
    let server = probe_server(body).start();
    let session = Session::connect(&server);
    check(name, &replace(session.report(&server)));
}

#[test]
fn wait_tcp() {
    check_setting(
        "wait_tcp",
        r#"
        command = ["{probe}", "--except", "root", "--to", "accepted"]
        wait = true"#,
    );
}

#[test]
fn wait_udp() {
    check_datagrams("wait_udp", r#"listen = "udp:127.0.0.1:0""#);
}

#[test]
fn wait_unix_dgram() {
    check_datagrams("wait_unix_dgram", r#"listen = "unix-dgram:{dir}/socket""#);
}

#[track_caller]
fn check_datagrams(name: &str, listen: &str) {
    if without_root("changes users") {
        return;
    }
    let command = r#"command = ["{probe}", "--except", "root", "--to", "sender"]"#;
    let server = probe_server(&format!("{listen}\n{command}")).start();
    let session = Session::datagram(&server);
    check(name, &session.report(&server));
}

const LISTEN_FDS: &str = r#"
    command = ["{probe}", "--except", "root", "--to", "listen-fds"]
    pass = "listen_fds""#;

#[test]
fn listen_fds_connection() {
    check_setting("listen_fds_connection", LISTEN_FDS);
}

#[test]
fn listen_fds_listeners() {
    let body = format!("listen = [\"127.0.0.1:0\", \"[::1]:0\"]\nwait = true\n{LISTEN_FDS}");
    check_setting("listen_fds_listeners", &body);
}

#[test]
fn user_by_name() {
    check_setting("user_by_name", r#"user = "games""#);
}

#[test]
fn user_by_id() {
    check_setting("user_by_id", "user = 61234\ngroup = 61235");
}

#[test]
fn user_by_an_id_that_has_a_name() {
    check_setting("user_by_name", "user = 5");
}

#[test]
fn user_root() {
    check_setting("user_root", r#"user = "root""#);
}

#[test]
fn group_by_name() {
    check_setting("group_by_name", r#"group = "mail""#);
}

#[test]
fn group_by_id() {
    check_setting("group_by_id", "group = 61235");
}

#[test]
fn supplementary_groups() {
    check_setting(
        "supplementary_groups",
        r#"supplementary_groups = ["mail", 61236, "bin"]"#,
    );
}

#[test]
fn no_supplementary_groups() {
    check_setting("no_supplementary_groups", "supplementary_groups = []");
}

#[test]
fn umask() {
    check_setting("umask", r#"umask = "0027""#);
}

#[test]
fn nice() {
    check_setting("nice", "nice = 7");
}

#[test]
fn directory() {
    check_setting("directory", r#"directory = "/usr/share""#);
}

#[test]
fn env() {
    check_setting(
        "env",
        r#"env = { EMPTY = "", LANG = "de_DE.UTF-8", ODD = "a = \"b\"\n\u00e4" }"#,
    );
}

#[test]
fn pass_env() {
    if without_root("changes users") {
        return;
    }
    let body = r#"pass_env = ["TZ", "MISSING", "SHELL"]"#;
    let server = probe_server(body)
        .env("TZ", "Asia/Tokyo")
        .env("SHELL", "/bin/odd")
        .env("SECRET", "not for programs")
        .start();
    let session = Session::connect(&server);
    check("pass_env", &session.report(&server));
}

#[test]
fn limits() {
    check_setting(
        "limits",
        r#"limits = { nofile = 99, core = 0, cpu = ["10s", "1m"], as = "2G", fsize = ["1M", "unlimited"] }"#,
    );
}

#[test]
fn no_new_privileges_off() {
    check_setting("no_new_privileges_off", "no_new_privileges = false");
}

#[test]
fn no_new_privileges_for_root() {
    check_setting(
        "no_new_privileges_for_root",
        "user = \"root\"\nno_new_privileges = true",
    );
}

#[test]
fn argv0() {
    check_setting("argv0", r#"argv0 = "-login shell""#);
}

const SAYS_SO: &str = r#"command = ["{probe}", "--except", "root", "--stderr", "it \"hurts\"\t"]"#;

#[test]
fn stderr_to_the_client() {
    // The report ends with what the program said.
    check_setting("stderr_client", SAYS_SO);
}

#[test]
fn stderr_to_the_log() {
    if without_root("changes users") {
        return;
    }
    let server = probe_server(&format!("{SAYS_SO}\nstderr = \"log\"")).start();
    let session = Session::connect(&server);
    check("stderr_log", &session.report(&server));
    let said = server.log().wait_for(|line| line.event() == "stderr");
    let id = server
        .wait_start("probe")
        .field("id")
        .expect("an id")
        .to_string();
    let expected = format!(r#"stderr service=probe id={id} line="it \"hurts\"\x09""#);
    assert_eq!(said.0, expected);
}

#[test]
fn stderr_to_nowhere() {
    check_setting("stderr_null", &format!("{SAYS_SO}\nstderr = \"null\""));
}

#[test]
fn stderr_to_a_file() {
    if without_root("changes users") {
        return;
    }
    let body = format!("{SAYS_SO}\nstderr = \"file:{{dir}}/complaints\"");
    let server = probe_server(&body).start();
    // Appended to, whoever wrote first.
    let path = server.directory().file("complaints", "before\n");
    let session = Session::connect(&server);
    check("stderr_file", &session.report(&server));
    server.wait_end("probe");
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        "before\nit \"hurts\"\t\n"
    );
}

#[test]
fn chroot() {
    if without_root("changes the root") {
        return;
    }
    let body = r#"
        command = ["/probe", "--except", ""]
        chroot = "{dir}/jail""#;
    let builder = probe_server(body);
    make_jail(builder.directory());
    let server = builder.start();
    let session = Session::connect(&server);
    check("chroot", &session.report(&server));
}

/// A root directory with the probe, and the libraries that it was linked with.
fn make_jail(directory: &Directory) {
    let jail = directory.directory("jail");
    let probe = directory.probe();
    let libraries = run(Command::new("ldd").arg(&probe)).stdout;
    let libraries = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    // Both on every machine, since the report tells what is there.
    directory.directory("jail/lib");
    directory.directory("jail/lib64");
    for file in libraries {
        let to = format!("{jail}{file}");
        fs::create_dir_all(Path::new(&to).parent().expect("a directory")).unwrap();
        run(Command::new("cp").args(["-L", file, &to])).ok();
    }
    run(Command::new("cp").args([&probe, &format!("{jail}/probe")])).ok();
}

#[test]
fn ordinary_server() {
    if without_root("becomes an ordinary user whose id is known") {
        return;
    }
    let server = probe_server("").as_user(ORDINARY_USER).start();
    let session = Session::connect(&server);
    check("ordinary_server", &session.report(&server));
}
