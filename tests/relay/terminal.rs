//! `stdio = "pty"`: a program on a terminal of its own.

use super::{script, worker};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::process::Command;

fn on_terminal(body: &str) -> Builder {
    server().service("a", &format!("stdio = \"pty\"\n{body}"))
}

fn quiet(body: &str) -> Builder {
    server().service("a", &format!("pty = {{ echo = false }}\n{body}"))
}

/// Reads until this has come; the answer is what came before it.
#[track_caller]
fn read_until(client: &Client, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = client.read_exactly(1);
        text.push(char::from(byte[0]));
    }
    text.truncate(text.len() - end.len());
    text
}

#[test]
fn a_program_has_a_controlling_terminal_of_its_own() {
    let text = "tty >/dev/tty; stty size; echo $TERM; test -O /proc/self/fd/0 && echo mine; \
                ps -o pid=,pgid=,sid=,tpgid= -p $$";
    let body = format!(
        "pty = {{ rows = 10, columns = 33, term = \"vt100\" }}\n{}",
        script(text)
    );
    let server = server().service("a", &body).start();
    let found = server.connect("a").read_text();
    let lines: Vec<&str> = found.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{found}");
    assert_eq!(lines[1..4], ["10 33", "vt100", "mine"]);
    let numbers: Vec<&str> = lines[4].split_whitespace().collect();
    let pid = server.wait_start("a").number("pid").to_string();
    assert_eq!(numbers, vec![pid.as_str(); 4]);
    server.wait_end("a");
    server.stop();
}

#[test]
fn unmodified_programs_answer_line_by_line() {
    let bc = "command = [\"/usr/bin/bc\", \"-q\"]\nenv = { TERM = \"dumb\" }";
    let python = "stdio = \"pty\"\ncommand = [\"/usr/bin/python3\", \"-i\", \"-q\"]\nenv = { TERM = \"dumb\" }";
    let sh = format!(
        "stdio = \"pty\"\n{}",
        "command = [\"/bin/sh\"]\nenv = { PS1 = \"> \" }"
    );
    let server = on_terminal(bc)
        .service("python", python)
        .service("sh", &sh)
        .start();
    let client = server.connect("a");
    for (typed, answer) in [("6*7\n", "42\r\n"), ("2^10\n", "1024\r\n")] {
        client.send(typed);
        read_until(&client, answer);
    }
    let python = server.connect("python");
    for (typed, answer) in [
        ("print(6*7)\n", "42\r\n"),
        ("1/0\n", "division by zero\r\n"),
    ] {
        read_until(&python, ">>> ");
        python.send(typed);
        read_until(&python, answer);
    }
    let sh = server.connect("sh");
    read_until(&sh, "> ");
    sh.send("echo $((6*7))\n");
    assert_eq!(read_until(&sh, "> "), "echo $((6*7))\r\n42\r\n");
    for client in [client, python, sh] {
        client.half_close().read_all();
    }
    for service in ["a", "python", "sh"] {
        assert_eq!(server.wait_end(service).field("status"), Some("exit:0"));
    }
    server.stop();
}

#[test]
fn a_client_that_says_no_more_is_an_end_of_file_and_has_its_answer() {
    let server = quiet(&script("cat; echo end; cat; echo again")).start();
    for (typed, answer) in [
        ("a\n", "a\r\nend\r\nagain\r\n"),
        ("a", "aend\r\nagain\r\n"),
        ("", "end\r\nagain\r\n"),
    ] {
        let client = server.connect("a");
        assert_eq!(client.send(typed).half_close().read_text(), answer);
    }
    let ends = server.wait_ends("a", 3);
    assert!(ends.iter().all(|end| end.field("status") == Some("exit:0")));
    assert_eq!(ends[0].number("received"), 2);
    server.stop();
}

#[test]
fn a_program_that_edits_lines_itself_learns_of_the_end_too() {
    // Typed before it has begun to, the end is lost on it.
    let server = quiet(
        "command = [\"/bin/bash\", \"--norc\", \"-i\"]\nenv = { PS1 = \"\", TERM = \"dumb\" }",
    )
    .start();
    let client = server.connect("a");
    let text = client.send("echo $((6*7))\n").half_close().read_text();
    assert!(text.contains("42\r\n"), "{text}");
    assert_eq!(server.wait_end("a").field("status"), Some("exit:0"));
    server.stop();
}

#[test]
fn a_program_that_reads_keys_is_hung_up_when_nobody_types_any_more() {
    let text = "stty raw; echo ready; sleep 5; echo late; exec cat >/dev/null";
    let server = quiet(&script(text)).start();
    let client = server.connect("a");
    client.expect("ready\n");
    assert_eq!(client.half_close().read_text(), "late\n");
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("signal:HUP"));
    assert_eq!(end.field("reason"), Some("client-left"));
    server.stop();
}

#[test]
fn a_client_that_leaves_hangs_up() {
    let text = "trap 'echo gone >&2; exit 7' HUP; echo ready; while :; do sleep 0.05; done";
    let body = format!("stderr = \"log\"\n{}", script(text));
    let server = quiet(&body).start();
    let client = server.connect("a");
    client.expect("ready\r\n");
    client.reset();
    server.log().wait_for(|line| line.is("stderr", "a"));
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("exit:7"));
    assert_eq!(end.field("reason"), Some("client-left"));
    // Although it reads nothing, and all that it was sent waits for it.
    let client = server.connect("a");
    client.expect("ready\r\n").send(vec![b'\n'; 500_000]);
    client.reset();
    server.wait_ends("a", 2);
    server.stop();
}

/// The process group that the terminal of a process sends its signals to (proc(5)).
fn foreground(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(5).unwrap().parse().unwrap()
}

/// Whether a process has become the command: before that it may heed signals as its parent does.
fn sleeps(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name == "sleep\n")
}

#[test]
fn keys_have_their_meaning() {
    let server = on_terminal("command = [\"/bin/sh\", \"-i\"]\nenv = { PS1 = \"> \" }").start();
    let client = server.connect("a");
    read_until(&client, "> ");
    client.send("sleep 61; echo no\n");
    read_until(&client, "no\r\n");
    let shell = server.wait_start("a").number("pid") as u32;
    until("it sleeps", || sleeps(foreground(shell)));
    client.send("\x03");
    read_until(&client, "> ");
    client.send("sleep 62\n");
    read_until(&client, "\r\n");
    until("it sleeps", || sleeps(foreground(shell)));
    client.send("\x1a");
    read_until(&client, "Stopped");
    // What is typed earlier is shown earlier.
    read_until(&client, "> ");
    client.send("kill -KILL %1; wait; echo over\x7f\x7f\x7f\x7fdone\n");
    read_until(&client, "\r\ndone\r\n");
    // It warns of stopped jobs once.
    client.half_close().read_all();
    assert_eq!(server.wait_end("a").field("status"), Some("exit:0"));
    server.stop();
}

#[test]
fn bytes_pass_a_raw_terminal_as_they_are() {
    let body = format!(
        "pty = {{ raw = true }}\n{}",
        script("echo; head -c 5 | od -An -tx1")
    );
    let server = server().service("a", &body).start();
    let client = server.connect("a");
    client.expect("\n").send("\x03\x04\r\n\x1a");
    assert_eq!(client.read_text(), " 03 04 0d 0a 1a\n");
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_raw_terminal_is_hung_up_when_the_answer_is_complete() {
    let raw = "pty = { raw = true, echo = false }";
    let server = server()
        .service("cat", &format!("{raw}\ncommand = [\"/bin/cat\"]"))
        .service("seq", &format!("{raw}\n{}", script("seq 300000")))
        .service("slow", &format!("{raw}\n{}", script("sleep 4; echo late")))
        .start();
    let clients: Vec<Client> = (0..6).map(|_| server.connect("cat")).collect();
    for client in &clients {
        client.send("pty\n").half_close();
    }
    let (seq, slow) = (server.connect("seq"), server.connect("slow"));
    assert_eq!(slow.half_close().read_text(), "late\n");
    let numbers = seq.half_close().read_text();
    assert_eq!(numbers.lines().count(), 300_000);
    for client in clients {
        assert_eq!(client.read_text(), "pty\n");
    }
    let ends = server.wait_ends("cat", 6);
    for end in ends {
        assert_eq!(end.field("status"), Some("signal:HUP"));
        assert_eq!(end.field("reason"), Some("client-left"));
    }
    for service in ["seq", "slow"] {
        assert_eq!(server.wait_end(service).field("status"), Some("exit:0"));
    }
    server.stop();
}

/// Sits at a terminal where a command runs, and types when the editor shows its empty lines.
const PERSON: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen, typed = b"", False
while True:
    try:
        some = os.read(terminal, 4096)
    except OSError:
        break
    if not some:
        break
    seen += some
    if b"~" in seen and not typed:
        os.write(terminal, b"ione\rtwo\x1bddP:wq\r")
        typed = True
sys.stdout.write(seen.decode("latin-1"))
"#;

#[test]
fn an_editor_draws_on_the_screen() {
    if !std::path::Path::new("/usr/bin/vi").exists()
        || Command::new("socat").arg("-V").output().is_err()
    {
        return skip("vi or socat is not installed");
    }
    let builder = server();
    let file = builder.directory().join("text");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let body = "listen = \"127.0.0.1:0\"\npty = { raw = true }\numask = \"000\"\n\
                command = [\"/usr/bin/vi\", \"-u\", \"NONE\", \"-n\", \"-c\", \"set nowritebackup\", \"{dir}/text\"]";
    let server = builder.service("a", body).start();
    let address = server.address("a", "127.");
    let mut person = Command::new("python3");
    person.args([
        "-c",
        PERSON,
        "socat",
        "-,raw,echo=0",
        &format!("tcp:{address}"),
    ]);
    let seen = run(&mut person).ok().stdout;
    assert!(seen.contains("\x1b["), "{seen}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "two\none\n");
    assert_eq!(server.wait_end("a").field("status"), Some("exit:0"));
    server.stop();
}

#[test]
fn a_client_gets_all_that_a_program_has_written_before_it_ended() {
    let server = on_terminal(&script("head -c 1000000 /dev/zero | tr '\\0' x")).start();
    let client = server.connect("a");
    server.wait_start("a");
    assert!(client.read_all() == vec![b'x'; 1_000_000]);
    assert_eq!(server.wait_end("a").number("sent"), 1_000_000);
    server.stop();
}

#[test]
fn megabytes_pass_both_ways() {
    let body = format!(
        "pty = {{ raw = true }}\n{}",
        script("echo; head -c 3000000")
    );
    let server = server().service("a", &body).start();
    let client = server.connect("a");
    client.expect("\n");
    let bytes = super::text(3_000_000);
    std::thread::scope(|scope| {
        scope.spawn(|| client.send(&bytes));
        assert!(client.read_all() == bytes);
    });
    let end = server.wait_end("a");
    assert_eq!(
        (end.number("received"), end.number("sent")),
        (3_000_000, 3_000_001)
    );
    server.stop();
}

#[test]
fn lines_end_as_on_the_network() {
    let body = format!(
        "newline = \"crlf\"\n{}",
        script("read a; read b; echo \"[$a][$b]\"")
    );
    let server = quiet(&body).start();
    let client = server.connect("a");
    client.send("x\r\ny\r\0");
    assert_eq!(client.read_text(), "[x][y]\r\n");
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_worker_that_dies_hangs_up() {
    let server = quiet(&script("echo ready; exec cat")).start();
    let client = server.connect("a");
    client.expect("ready\r\n");
    signal(worker(&server), Signal::SIGKILL);
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("signal:HUP"));
    assert_eq!(end.field("reason"), Some("worker-died"));
    server.stop();
}

#[test]
fn an_ordinary_user_has_a_terminal_too() {
    let server = quiet(&script("cat /dev/stdin >/dev/tty"))
        .as_ordinary_user()
        .start();
    let client = server.connect("a");
    assert_eq!(client.send("hello\n").half_close().read_text(), "hello\r\n");
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_program_that_closes_its_terminal_is_not_hung_up() {
    let text = "echo bye; exec <&- >&- 2>&-; sleep 1; exit 7";
    let back = "exec <&- >&- 2>&-; sleep 0.2; echo back >/dev/tty";
    let server = quiet(&script(text))
        .service("raw", &format!("pty = {{ raw = true }}\n{}", script(text)))
        .service("back", &format!("stdio = \"pty\"\n{}", script(back)))
        .start();
    let client = server.connect("back");
    assert_eq!(client.read_text(), "back\r\n");
    for (service, said) in [("a", "bye\r\n"), ("raw", "bye\n")] {
        assert_eq!(server.connect(service).read_text(), said);
        let end = server.wait_end(service);
        assert_eq!(end.field("status"), Some("exit:7"));
        assert_eq!(end.field("reason"), Some("exited"));
    }
    // A client that leaves hangs up all the same.
    let client = server.connect("a");
    client.expect("bye\r\n");
    client.reset();
    let end = &server.wait_ends("a", 2)[1];
    assert_eq!(end.field("status"), Some("signal:HUP"));
    assert_eq!(end.field("reason"), Some("client-left"));
    server.stop();
}

#[test]
fn many_short_programs_end_by_themselves() {
    let server = quiet("max_connections = 200\ncommand = [\"/usr/bin/sort\"]").start();
    let clients: Vec<Client> = (0..100).map(|_| server.connect("a")).collect();
    for client in &clients {
        client.send("b\na\n").half_close();
    }
    for client in &clients {
        assert_eq!(client.read_text(), "a\r\nb\r\n");
    }
    for end in server.wait_ends("a", 100) {
        assert_eq!(end.field("status"), Some("exit:0"));
        assert_eq!(end.field("reason"), Some("exited"));
    }
    server.stop();
}

#[test]
fn a_launch_that_fails_leaves_no_terminal_behind() {
    let server = quiet("command = [\"/none\"]").start();
    let clients: Vec<Client> = (0..20).map(|_| server.connect("a")).collect();
    clients.iter().for_each(Client::expect_end);
    assert_eq!(server.stop().of("a", "failed"), 20);
}
