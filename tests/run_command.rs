//! `oxinetd run`: the program on a terminal finds the world that a connection's program finds.

use crate::harness::*;
use std::process::Command;

const PROBE: &str = r#"command = ["{probe}", "--except", "root"]"#;

/// What a terminal cannot be: a socket, a client, the leader of a session.
const OF_THE_SOCKET: [&str; 9] = [
    "fd ",
    "same ",
    "session ",
    "process_group ",
    "terminal ",
    "env OXINETD_CONNECTION=",
    "env REMOTE_PORT=",
    "env TCPREMOTEPORT=",
    "env TCPLOCALPORT=",
];

fn comparable(report: &str) -> String {
    let kept = report
        .lines()
        .filter(|line| !OF_THE_SOCKET.iter().any(|begin| line.starts_with(begin)));
    kept.map(|line| line.to_owned() + "\n").collect()
}

/// A service `probe` with these keys gives its program the same world both ways. Returns it.
#[track_caller]
fn check_setting(body: &str) -> String {
    let body = match body.contains("command =") {
        true => body.to_owned(),
        false => format!("{PROBE}\n{body}"),
    };
    let server = server().service("probe", &body).start();
    let by_connection = server.connect("probe").read_text();
    let ran = run(&mut command(&server, &["run", "probe"]));
    assert_eq!(ran.stderr, "");
    assert_eq!(comparable(&ran.stdout), comparable(&by_connection));
    assert!(ran.stdout.contains("uid "), "{}", ran.stdout);
    ran.stdout
}

/// Runs against the table of a server.
fn command(server: &Server, words: &[&str]) -> Command {
    let mut command = oxinetd(words);
    command.args(["--config", &server.directory().join("services.toml")]);
    command
}

/// A table, and `run` with these words.
fn run_with(table: &str, words: &[&str]) -> Ran {
    let directory = Directory::new();
    let table = table.replace("{dir}", directory.path().to_str().expect("UTF-8"));
    let path = directory.file("services.toml", table);
    run(oxinetd(&["run", "--config", &path]).args(words))
}

#[test]
fn the_world_is_the_same() {
    let report = check_setting("");
    assert!(report.contains("env TCPREMOTEIP=127.0.0.1\n"), "{report}");
    assert!(report.contains("env OXINETD_CONNECTION=0\n"), "{report}");
    assert!(report.contains("env REMOTE_PORT=0\n"), "{report}");
}

#[test]
fn settings_hold_alike() {
    let report = check_setting(
        r#"
        umask = "0027"
        nice = 7
        directory = "/usr/share"
        env = { LANG = "de_DE.UTF-8", ODD = "a = \"b\"" }
        limits = { nofile = 99, core = 0, cpu = ["10s", "1m"], as = "2G" }
        argv0 = "-shell"
        stderr = "log""#,
    );
    for line in [
        "umask 027",
        "nice 7",
        "cwd /usr/share",
        "limit nofile 99 99",
        "argv[0] -shell",
    ] {
        assert!(report.contains(&format!("{line}\n")), "{line}: {report}");
    }
}

#[test]
fn ids_hold_alike() {
    if without_root("changes users") {
        return;
    }
    let body = r#"
        user = "games"
        group = "mail"
        supplementary_groups = ["bin", 61236]
        no_new_privileges = false"#;
    let report = check_setting(body);
    assert!(
        report.contains("uid real=5 effective=5 saved=5 fs=5\n"),
        "{report}"
    );
    assert!(report.contains("groups 2 61236\n"), "{report}");
    let report = check_setting("user = \"root\"");
    assert!(
        report.contains("uid real=0 effective=0 saved=0 fs=0\n"),
        "{report}"
    );
}

#[test]
fn a_unix_client_is_made_up_too() {
    let table = r#"
        [service.env]
        listen = "unix:{dir}/s"
        command = ["/usr/bin/env"]"#;
    let ran = run_with(table, &["env"]).ok();
    assert!(ran.stdout.contains("PROTO=UNIX\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("/s\nUNIXREMOTEEUID="), "{}", ran.stdout);
}

#[test]
fn it_stays_in_the_callers_session_and_group() {
    let table = r#"
        [service.sh]
        listen = "127.0.0.1:0"
        command = ["/bin/sh", "-c", "ps -o sid=,pgid= -p $$"]"#;
    let ran = run_with(table, &["sh"]).ok();
    let numbers: Vec<i32> = ran
        .stdout
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let sid = nix::unistd::getsid(None).unwrap().as_raw();
    let group = nix::unistd::getpgrp().as_raw();
    assert_eq!(numbers, [sid, group]);
}

#[test]
fn standard_input_output_and_error_are_the_callers() {
    let directory = Directory::new();
    let table = r#"
        [service.sh]
        listen = "127.0.0.1:0"
        command = ["/bin/sh", "-c", "cat; echo complaint >&2"]
        stderr = "null""#;
    let path = directory.file("services.toml", table);
    let ran = run_with_input(&mut oxinetd(&["run", "sh", "--config", &path]), b"hello\n");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(0), "hello\n", "complaint\n")
    );
}

#[test]
fn the_status_and_the_arguments_are_the_programs() {
    let table = r#"
        [service.sh]
        listen = "127.0.0.1:0"
        command = ["/bin/sh", "-c", "exit $1", "sh"]
        enabled = false
        [service.other]
        listen = "127.0.0.1:0"
        builtin = "echo""#;
    assert_eq!(run_with(table, &["sh", "--", "42"]).code, Some(42));
}

/// A service with these keys is not run: status and words.
#[track_caller]
fn check_refusal(body: &str, code: i32, words: &str) {
    let table = format!("[service.x]\nlisten = \"127.0.0.1:0\"\n{body}\n");
    let ran = run_with(&table, &["x"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(code), format!("oxinetd run: {words}\n").as_str())
    );
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_step_that_fails_is_named_as_in_the_log() {
    check_refusal(
        "command = [\"/nowhere/x\"]",
        127,
        "cannot start x: exec /nowhere/x: no such file or directory (ENOENT)",
    );
    check_refusal(
        "command = [\"/etc/passwd\"]",
        126,
        "cannot start x: exec /etc/passwd: permission denied (EACCES)",
    );
    check_refusal(
        "command = [\"/bin/true\"]\ndirectory = \"/nowhere\"",
        71,
        "cannot start x: directory /nowhere: no such file or directory (ENOENT)",
    );
}

#[test]
fn the_log_says_the_same() {
    let server = server().service("x", "command = [\"/nowhere/x\"]").start();
    let ran = run(&mut command(&server, &["run", "x"]));
    let said = ran.stderr.trim_end().strip_prefix("oxinetd run: ").unwrap();
    server.connect("x").expect_end();
    let line = server
        .log()
        .wait_for(|line| line.0.contains("cannot start"));
    assert!(line.0.contains(said), "{line} | {said}");
}

#[test]
fn what_needs_a_socket_is_not_run() {
    check_refusal(
        "command = [\"/bin/true\"]\nwait = true",
        64,
        "the program of x needs the listening socket (it is a wait service), and a terminal is none: \
         try it with oxinetd serve",
    );
    check_refusal(
        "command = [\"/bin/true\"]\npass = \"listen_fds\"",
        64,
        "the program of x needs a socket (pass = \"listen_fds\"), and a terminal is none: try it with \
         oxinetd serve",
    );
    check_refusal(
        "builtin = \"echo\"",
        64,
        "x is served by oxinetd itself: it has no program to run",
    );
}

#[test]
fn an_unknown_service_is_guessed() {
    let table = "[service.finger]\nlisten = \"127.0.0.1:0\"\ncommand = [\"/bin/true\"]\n";
    let ran = run_with(table, &["fingr"]);
    let expected =
        "oxinetd run: there is no service \"fingr\" in this table; did you mean finger?\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(66), expected));
}

#[test]
fn only_root_runs_a_program_as_another() {
    if without_root("becomes an ordinary user") {
        return;
    }
    let directory = Directory::new();
    let table = "[service.x]\nlisten = 7\ncommand = [\"/bin/true\"]\nuser = \"games\"\n";
    let path = directory.file("services.toml", table);
    let program = directory.program_of_build(std::path::Path::new(OXINETD), "oxinetd");
    let mut command = Command::new(program);
    command.args(["run", "x", "--config", &path]);
    become_user(&mut command, ORDINARY_USER);
    let ran = run(&mut command);
    let expected = "oxinetd run: x needs user games, but oxinetd runs as 61234 and only root may change \
                    users; run this as root\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(77), expected));
}

#[test]
fn a_table_with_mistakes_runs_nothing() {
    let ran = run_with("[service.x]\nlisten = 7\n", &["x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(78), ""));
    assert!(
        ran.stderr.contains("does not say what it does"),
        "{}",
        ran.stderr
    );
}
