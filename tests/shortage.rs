//! Out of descriptors, processes or memory: the server rests, says so once, loses nobody, goes on.

use crate::harness::*;
use std::time::{Duration, Instant};

/// How long a shortage lasts: so long that pauses without a bound would be seen.
const PATIENCE: Duration = Duration::from_millis(2600);

/// After that even the last client is served on a busy machine: a pause has half a second at most. One
/// without a bound would have got to more.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const CAT: &str = "command = [\"/bin/cat\"]";

/// A program, and a built-in service that must not notice anything.
fn server_of_cat(server: Builder, more: &str) -> Builder {
    server
        .service("cat", &format!("{CAT}\n{more}"))
        .service("echo", "builtin = \"echo\"")
}

#[test]
fn without_descriptors_clients_wait_in_the_queue() {
    if without_root("a limit of a process that forbids others to look at it") {
        return;
    }
    let server = server_of_cat(server(), "").start();
    let says = "cannot accept a connection: too many open files (EMFILE); \
                accepting rests until it gets better, clients wait in the queue";
    let usual = descriptor_limit(server.pid());
    // 0 to 4 are always in use, and everything else that lives longer is above the floor.
    limit_descriptors(server.pid(), 5);
    endure(&server, says, || limit_descriptors(server.pid(), usual));
}

#[test]
fn without_processes_clients_wait() {
    let Some(group) = pids_group() else { return };
    let server = server_of_cat(
        server().wrapped_in(&group.words().each_ref().map(|w| w.as_str())),
        "",
    );
    let server = server.start();
    let says = "cannot start a program: try again (EAGAIN); \
                accepting rests until it gets better, clients wait in the queue";
    group.limit("0");
    endure(&server, says, || group.limit("max"));
}

fn pids_group() -> Option<PidsGroup> {
    if without_root("control groups") {
        return None;
    }
    let group = PidsGroup::new();
    if group.is_none() {
        skip("no control group with a limit of processes");
    }
    group
}

/// A shortage has begun: clients come, a while passes in calm, then it is over.
#[track_caller]
fn endure(server: &Server, says: &str, relieve: impl FnOnce()) {
    let address = server.address("cat", "");
    let inode = listening_inode(&address);
    let clients: Vec<Client> = (0..4).map(|_| server.connect("cat")).collect();
    for client in &clients {
        client.send("hi");
    }
    server.log().wait_for(|line| line.0 == says);
    let (begin, used) = (Instant::now(), cpu_time(server.pid()));
    let echo = server.connect("echo");
    echo.send("hi").expect("hi").half_close().expect_end();
    let served = readable_until(clients[0].fd(), begin + PATIENCE);
    assert!(!served, "there was no shortage");
    let used = cpu_time(server.pid()) - used;
    assert!(
        used < begin.elapsed() / 50,
        "{used:?} in {:?}",
        begin.elapsed()
    );
    assert!(
        inode.is_some() && listening_inode(&address) == inode,
        "the listener was closed"
    );

    relieve();
    let relieved = Instant::now();
    for client in &clients {
        client.expect("hi");
    }
    let after = relieved.elapsed();
    assert!(after < LONGEST_PAUSE, "served {after:?} after the relief");
    server
        .log()
        .wait_for(|line| line.0.starts_with("accepting again after "));
    assert_eq!(server.log().count(|line| line.0.starts_with("cannot ")), 1);
    drop(clients);
    server.log().wait_for_many(4, |line| line.is("end", "cat"));
}

#[test]
fn whoever_was_accepted_is_served_when_a_program_ends() {
    let Some(group) = pids_group() else { return };
    let words = group.words();
    let server = server().wrapped_in(&words.each_ref().map(|word| word.as_str()));
    let server = server.service("cat", CAT).start();
    let first = server.connect("cat");
    first.send("hi").expect("hi");
    // Itself, its worker-less self's one program, and nobody more.
    group.limit("2");
    let second = server.connect("cat");
    second.send("hi");
    server
        .log()
        .wait_for(|line| line.0.starts_with("cannot start a program: "));
    first.half_close().expect_end();
    second.expect("hi").half_close().expect_end();
    server.log().wait_for_many(2, |line| line.is("end", "cat"));
    assert_eq!(server.stop().of("cat", "launched"), 2);
}

#[test]
fn without_a_pipe_for_its_stderr_a_program_waits() {
    if without_root("a limit of a process that forbids others to look at it") {
        return;
    }
    let body = "command = [\"/bin/sh\", \"-c\", \"echo heard >&2; cat\"]\nstderr = \"log\"";
    let server = server().service("logged", body).start();
    let usual = descriptor_limit(server.pid());
    // One for the connection, none for the pipe.
    limit_descriptors(server.pid(), 6);
    let client = server.connect("logged");
    client.send("hi");
    let says = "cannot start a program: too many open files (EMFILE); ";
    server.log().wait_for(|line| line.0.starts_with(says));
    limit_descriptors(server.pid(), usual);
    client.expect("hi").half_close().expect_end();
    let heard = server.log().wait_for(|line| line.is("stderr", "logged"));
    assert_eq!(heard.field("line"), Some("heard"));
    server.wait_end("logged");
    assert_eq!(server.log().count(|line| line.0.starts_with(says)), 1);
}

#[test]
fn without_descriptors_a_wait_program_starts_later() {
    if without_root("a limit of a process that forbids others to look at it") {
        return;
    }
    let body = "listen = \"udp:127.0.0.1:0\"\ncommand = [\"{probe}\", \"--to\", \"sender\", \"--only\", \"comm\"]";
    let server = server().service("wait", body).start();
    let usual = descriptor_limit(server.pid());
    limit_descriptors(server.pid(), 5);
    let client = server.udp("wait");
    client.send("?");
    let says = "cannot start a program: too many open files (EMFILE); ";
    server.log().wait_for(|line| line.0.starts_with(says));
    limit_descriptors(server.pid(), usual);
    client.expect("comm probe\n");
    server.wait_end("wait");
    let totals = server.stop();
    assert_eq!(
        (
            totals.of("wait", "starts"),
            totals.of("wait", "failed_starts")
        ),
        (1, 0)
    );
}

/// Calls on the way to a program that may lack something, and what; each fails a few times.
const LACKS: [&str; 5] = [
    "clone:error=EAGAIN:when=1..3",
    "clone:error=ENOMEM:when=1..3",
    "clone:error=ENOSPC:when=1",
    "pipe2:error=EMFILE:when=1..3",
    "pipe2:error=ENFILE:when=1..2",
];

#[test]
fn whatever_a_launch_lacks_the_client_is_served() {
    if without_strace() {
        return;
    }
    for lack in LACKS {
        let server = server()
            .service("cat", &format!("{CAT}\nstderr = \"log\""))
            .start();
        let strace = Strace::inject(server.pid(), &[lack]);
        let clients = [server.connect("cat"), server.connect("cat")];
        for client in &clients {
            client.send("hi").expect("hi").half_close().expect_end();
        }
        server.log().wait_for_many(2, |line| line.is("end", "cat"));
        let injected = strace.detach();
        assert!(
            injected.iter().any(|line| line.ends_with("(INJECTED)")),
            "{lack}: {injected:?}"
        );
        let said = server
            .log()
            .count(|line| line.0.starts_with("cannot start a program: "));
        assert_eq!(said, 1, "{lack}");
        assert_eq!(server.stop().of("cat", "launched"), 2, "{lack}");
    }
}

/// What accept(2) may answer for many reasons, and what it never should.
const ERRNOS: [&str; 22] = [
    "ECONNABORTED",
    "EPROTO",
    "ENFILE",
    "ENOBUFS",
    "ENOMEM",
    "EMFILE",
    "EPERM",
    "EINTR",
    "ENETDOWN",
    "ENOPROTOOPT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EOPNOTSUPP",
    "ENETUNREACH",
    "ETIMEDOUT",
    "EBADF",
    "EINVAL",
    "ENOTSOCK",
    "EFAULT",
    "ENOSYS",
    "EIO",
    "EDOM",
];

#[test]
fn no_error_of_accept_ends_the_server_or_closes_a_listener() {
    if without_strace() {
        return;
    }
    let server = server().service("cat", CAT).start();
    let address = server.address("cat", "");
    let inode = listening_inode(&address);
    assert!(inode.is_some());
    for errno in ERRNOS {
        let strace = Strace::inject(server.pid(), &[&format!("accept4:error={errno}:when=1")]);
        let client = server.connect("cat");
        client.send(errno).expect(errno).half_close().expect_end();
        assert_eq!(listening_inode(&address), inode, "{errno}");
        let injected = strace.detach();
        let fault = format!("-1 {errno} ");
        let is_fault = |line: &String| line.contains(&fault) && line.ends_with("(INJECTED)");
        assert!(injected.iter().any(is_fault), "{errno}: {injected:?}");
    }
    server
        .log()
        .wait_for_many(ERRNOS.len(), |line| line.is("end", "cat"));
    assert_eq!(server.stop().of("cat", "launched"), ERRNOS.len() as u64);
}

#[test]
fn an_error_of_accept_that_stays_makes_no_haste() {
    if without_strace() {
        return;
    }
    // By number of calls: under strace each costs far more than it should.
    for (errno, at_most) in [("ENFILE", 20), ("EINVAL", 20), ("ECONNABORTED", 400)] {
        let server = server().service("cat", CAT).start();
        let strace = Strace::inject(server.pid(), &[&format!("accept4:error={errno}")]);
        let client = server.connect("cat");
        client.send("hi");
        let pause = Instant::now() + Duration::from_millis(700);
        assert!(
            !readable_until(client.fd(), pause),
            "{errno}: accepted all the same"
        );
        let calls = strace.detach();
        let calls = calls
            .iter()
            .filter(|line| line.contains("accept4("))
            .count();
        assert!((2..=at_most).contains(&calls), "{errno}: {calls} calls");
        client.expect("hi").half_close().expect_end();
        server.wait_end("cat");
    }
}

#[test]
fn without_terminals_only_those_wait_who_need_one() {
    if without_root("a mount namespace") {
        return;
    }
    let few = "mount --make-rprivate / && mount -t devpts -o newinstance,max=2,ptmxmode=0666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx && exec \"$@\"";
    let server = server()
        .wrapped_in(&["unshare", "--mount", "/bin/sh", "-c", few, "sh"])
        .service("terminal", &format!("stdio = \"pty\"\n{CAT}"))
        .service("cat", CAT)
        .start();
    let greet = |client: &Client| {
        client.send("hi\n").expect("hi\r\nhi\r\n");
    };
    let [one, two] = [(), ()].map(|()| server.connect("terminal"));
    [&one, &two].into_iter().for_each(greet);
    let third = server.connect("terminal");
    let says = "cannot open a terminal (all that kernel.pty.max allows are in use): \
                no space left on device (ENOSPC); accepting rests until it gets better, clients wait in the queue";
    server.log().wait_for(|line| line.0 == says);
    let fourth = server.connect("terminal");
    for _ in 0..10 {
        server.connect("cat").send("hi").half_close().expect("hi");
    }
    drop(one);
    greet(&third);
    drop(two);
    greet(&fourth);
    server
        .log()
        .wait_for(|line| line.0.starts_with("accepting again after "));
    drop((third, fourth));
    server.stop();
}

#[test]
fn without_room_to_pass_on_only_those_wait_whose_connections_are_passed_on() {
    // Room for two: 256 descriptors are for other things, and each takes three.
    let server = server()
        .wrapped_in(&["prlimit", "--nofile=262:262"])
        .service("passed", &format!("stdio = \"pipe\"\n{CAT}"))
        .service("cat", CAT)
        .start();
    let greet = |client: &Client| {
        client.send("hi").expect("hi");
    };
    let [one, two] = [(), ()].map(|()| server.connect("passed"));
    [&one, &two].into_iter().for_each(greet);
    let third = server.connect("passed");
    let says = "cannot pass on more connections (the limit of open files allows so many): \
                too many open files (EMFILE); accepting rests until it gets better, clients wait in the queue";
    server.log().wait_for(|line| line.0 == says);
    server.connect("cat").send("hi").half_close().expect("hi");
    server.wait_ends("cat", 1);
    let starts = server.log().count(|line| line.is("start", "passed"));
    assert_eq!(starts, 2, "the third waits");
    drop(one);
    greet(&third);
    drop((two, third));
    server
        .log()
        .wait_for(|line| line.0.starts_with("accepting again after "));
    server.stop();
}
