//! The worker: what it may do, how it dies, and every built-in service through the whole server.

mod datagrams;

use crate::harness::*;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, send};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Echo at one element of `listen`.
fn echo(listen: &str) -> Builder {
    builtin("echo", listen)
}

fn builtin(name: &str, listen: &str) -> Builder {
    server().service(name, &format!("listen = {listen}\nbuiltin = \"{name}\""))
}

/// Every transport with connections.
const STREAMS: &str = r#"["127.0.0.1:0", "[::1]:0", "unix:{dir}/s", "unix-seqpacket:{dir}/q"]"#;

/// The worker that was started as the `n`th.
fn worker_of(server: &Server, n: usize) -> u32 {
    let started = server
        .log()
        .wait_for_many(n, |line| line.event() == "worker-started");
    started[n - 1].number("pid") as u32
}

/// The first worker when it has become what it is to be.
fn worker_that_serves(server: &Server) -> u32 {
    server
        .connect("echo")
        .send("a")
        .expect("a")
        .half_close()
        .expect_end();
    server.wait_ends("echo", 1);
    worker_of(server, 1)
}

fn clients(server: &Server, service: &str) -> Vec<Client> {
    let addresses = server.addresses(service);
    addresses
        .iter()
        .map(|address| Client::connect(address))
        .collect()
}

// What it may do.

#[test]
fn another_worker_user_is_the_next_workers_and_the_log_says_so() {
    if !is_root() {
        return skip("needs root: the worker has a user");
    }
    let table = |user: &str| {
        format!(
            "[server]\nworker_user = \"{user}\"\n[service.e]\nlisten = \"127.0.0.1:0\"\nbuiltin = \"echo\"\n"
        )
    };
    let server = server().table(&table("nobody")).start();
    let client = server.connect("e");
    client.send("x").expect("x");
    server.reload_with(&table("daemon"));
    let says = "warning: worker_user has changed: the worker stays who it is until the next one is started";
    server.log().wait_for(|line| line.0 == says);
    client.send("y").expect("y").half_close().expect_end();
    server.reload();
    assert_eq!(server.log().count(|line| line.0 == says), 1);
    server.settle();
    server.stop();
}

#[test]
fn it_is_a_user_of_its_own_without_privileges() {
    if without_root("changes users") {
        return;
    }
    let server = echo("\"127.0.0.1:0\"").start();
    let pid = worker_that_serves(&server);
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name, "oxinetd\n");
    let account = nix::unistd::User::from_name("oxinetd").unwrap();
    let ids = account.map_or((65533, 65533), |user| {
        (user.uid.as_raw(), user.gid.as_raw())
    });
    assert_eq!(status(pid, "Uid"), format!("{0} {0} {0} {0}", ids.0));
    assert_eq!(status(pid, "Gid"), format!("{0} {0} {0} {0}", ids.1));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert_eq!(status(pid, "Groups"), "");
    server.stop();
}

#[test]
fn of_an_ordinary_user_it_is_that_user_without_privileges() {
    let server = echo("\"127.0.0.1:0\"").as_ordinary_user().start();
    let pid = worker_that_serves(&server);
    assert_eq!(status(pid, "Uid"), status(server.pid(), "Uid"));
    assert_eq!(status(pid, "CapPrm"), "0000000000000000");
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    server.stop();
}

#[test]
fn there_is_none_without_a_built_in_service() {
    let server = server().service("a", r#"command = ["/bin/cat"]"#).start();
    assert_eq!(
        server.log().count(|line| line.event() == "worker-started"),
        0
    );
    server.stop();
}

// How it dies.

#[test]
fn killed_it_is_back_within_a_second_and_its_sessions_have_ended() {
    let server = echo(STREAMS).start();
    let sessions = clients(&server, "echo");
    sessions.iter().for_each(|client| {
        client.send("a").expect("a");
    });
    // It tells of those who come together, and what it has not told of nobody knows.
    server
        .log()
        .wait_for_many(4, |line| line.is("start", "echo"));
    let pid = worker_of(&server, 1);
    let killed = Instant::now();
    signal(pid, Signal::SIGKILL);
    server
        .connect("echo")
        .send("b")
        .expect("b")
        .half_close()
        .expect_end();
    // The issue says a second; the machine may be busy.
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    let ends = server.wait_ends("echo", 4);
    let died = ends
        .iter()
        .filter(|line| line.field("reason") == Some("worker-died"));
    assert_eq!(died.count(), 4, "{ends:?}");
    let told = format!("the worker (pid {pid}) ended: signal:KILL; next start in 0.1s");
    server.log().wait_for(|line| line.0 == told);
    assert_ne!(worker_of(&server, 2), pid);
    assert_eq!(server.status().server()["worker_deaths"], 1);
    server.wait_ends("echo", 5);
    assert_eq!(server.stop().of("echo", "accepted"), 5);
}

#[test]
fn a_service_that_goes_while_there_is_no_worker_is_gone() {
    let server = echo("\"127.0.0.1:0\"")
        .service("goes", "listen = \"127.0.0.1:0\"\nbuiltin = \"echo\"")
        .start();
    let (table, address) = (server.table(), server.address("goes", ""));
    let rest = table.split("[service.goes]").next().unwrap().to_owned();
    // The rest before a new worker grows.
    for n in 1..=4 {
        let client = server.connect("echo");
        client.send("a").expect("a").half_close().expect_end();
        signal(worker_of(&server, n), Signal::SIGKILL);
        server
            .log()
            .wait_for_many(n, |line| line.0.contains("ended: signal:KILL"));
    }
    server.reload_with(&rest);
    let client = server.connect("echo");
    client.send("a").expect("a");
    assert!(Client::try_connect(&address).is_err());
    client.send("b").expect("b").half_close().expect_end();
    server.settle();
    server.stop();
}

#[test]
fn nothing_outlives_a_supervisor_that_was_killed() {
    let ports = [free_port(), free_port()];
    let server = echo(&format!("[{}, \"udp:{}\"]", ports[0], ports[0]))
        .service(
            "chargen",
            &format!("listen = \"127.0.0.1:{}\"\nbuiltin = \"chargen\"", ports[1]),
        )
        .start();
    let idle: Vec<Client> = (0..5).map(|_| server.connect("echo")).collect();
    idle[0].send("a").expect("a");
    let busy = server.connect("chargen");
    busy.read_exactly(1000);
    let killed = Instant::now();
    server.kill();
    // The issue says 0.1; the machine may be busy.
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    for port in ports {
        assert!(TcpListener::bind(("0.0.0.0", port)).is_ok(), "{port}");
    }
    assert!(std::net::UdpSocket::bind(("0.0.0.0", ports[0])).is_ok());
    assert!(matches!(idle[1].read(1), Got::End | Got::Reset));
}

#[test]
fn without_descriptors_it_rests_and_goes_on_when_there_are_some() {
    let server = echo("\"127.0.0.1:0\"").as_ordinary_user().start();
    let pid = worker_that_serves(&server);
    limit_as_its_user(pid, 3);
    let client = server.connect("echo");
    client.send("b");
    // It tries, and tries again, but it does not spin.
    let switches = || {
        status(pid, "voluntary_ctxt_switches")
            .parse::<u64>()
            .unwrap()
    };
    let before = switches();
    until("it has tried three times", || switches() > before + 3);
    let cpu = cpu_time(pid);
    let since = Instant::now();
    until("half a second has passed", || {
        since.elapsed() > Duration::from_millis(500)
    });
    assert!(cpu_time(pid) - cpu < Duration::from_millis(200), "it spins");
    limit_as_its_user(pid, 1000);
    client.expect("b").half_close().expect_end();
    server.wait_ends("echo", 2);
    server.stop();
}

/// As the user whose process it is: not every root may.
fn limit_as_its_user(pid: u32, soft: u32) {
    use std::os::unix::process::CommandExt;
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid.to_string(), &format!("--nofile={soft}:")]);
    if is_root() {
        prlimit.uid(ORDINARY_USER).gid(ORDINARY_USER);
    }
    run(&mut prlimit).ok();
}

// The protocols over connections.

#[test]
fn echo_sends_back_every_byte() {
    let server = echo(STREAMS).start();
    let all: Vec<u8> = (0..=255).cycle().take(3000).collect();
    for client in clients(&server, "echo") {
        client.send(&all).expect(&all).send("\r\n").expect("\r\n");
        client.half_close().expect_end();
    }
    for end in server.wait_ends("echo", 4) {
        assert_eq!(
            (end.number("received"), end.number("sent")),
            (3002, 3002),
            "{end}"
        );
        assert_eq!(end.field("reason"), Some("finished"), "{end}");
    }
    server.stop();
}

#[test]
fn echo_finishes_what_was_sent_before_the_half_close() {
    let server = echo("[\"127.0.0.1:0\", \"unix:{dir}/s\"]").start();
    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for client in clients(&server, "echo") {
        let client = std::sync::Arc::new(client);
        let (sender, bytes) = (std::sync::Arc::clone(&client), all.clone());
        let sending = std::thread::spawn(move || {
            sender.send(bytes).half_close();
        });
        assert!(client.read_all() == all);
        sending.join().unwrap();
    }
    server.wait_ends("echo", 2);
    server.stop();
}

#[test]
fn discard_says_nothing_and_ends_with_the_client() {
    let server = builtin("discard", STREAMS).start();
    for client in clients(&server, "discard") {
        client.send([b'x'; 50_000]).send([b'y'; 50_000]);
        client.half_close().expect_end();
    }
    for end in server.wait_ends("discard", 4) {
        assert_eq!(
            (end.number("received"), end.number("sent")),
            (100_000, 0),
            "{end}"
        );
    }
    server.stop();
}

/// The first lines of RFC 864's example, and where the pattern begins again.
const CHARGEN: [(usize, &str); 4] = [
    (
        0,
        r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##,
    ),
    (
        1,
        r##"!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefgh"##,
    ),
    (
        94,
        r##"~ !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdef"##,
    ),
    (
        95,
        r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##,
    ),
];

#[test]
fn chargen_sends_its_pattern_until_the_client_leaves() {
    let server = builtin("chargen", STREAMS).start();
    for client in clients(&server, "chargen") {
        let text = String::from_utf8(client.half_close().read_exactly(74 * 200)).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        for (number, line) in CHARGEN {
            assert_eq!(lines[number], line);
        }
        assert!(lines[..200].iter().all(|line| line.len() == 72));
    }
    for end in server.wait_ends("chargen", 4) {
        assert_eq!(end.field("reason"), Some("client-left"), "{end}");
    }
    server.stop();
}

/// The time as date(1) tells it, in the form of ctime(3).
fn date(zone: &str) -> String {
    let mut date = Command::new("date");
    date.arg("+%a %b %e %H:%M:%S %Y")
        .env("TZ", zone)
        .env("LC_ALL", "C");
    run(&mut date).ok().stdout.trim_end().to_string() + "\r\n"
}

/// `ask` answers what `date` says, were it not for the second that may pass between.
#[track_caller]
fn check_daytime(zone: &str, ask: impl Fn() -> String) {
    for _ in 0..20 {
        let (before, answer, after) = (date(zone), ask(), date(zone));
        assert_eq!(answer.len(), 26, "{answer:?}");
        if before == after {
            assert_eq!(answer, before);
            return;
        }
    }
    panic!("no two clocks within a second");
}

#[test]
fn daytime_is_local_time_in_the_form_of_ctime() {
    for zone in ["Europe/Berlin", "XYZ-5:45", "UTC"] {
        let server = builtin("daytime", STREAMS).env("TZ", zone).start();
        for address in server.addresses("daytime") {
            check_daytime(zone, || Client::connect(&address).read_text());
        }
        server.settle();
        server.stop();
    }
}

#[test]
fn time_is_four_bytes_of_seconds_since_1900() {
    let server = builtin("time", STREAMS).start();
    for address in server.addresses("time") {
        check_time(|| Client::connect(&address).read_all());
    }
    server.settle();
    server.stop();
}

#[track_caller]
fn check_time(ask: impl Fn() -> Vec<u8>) {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            + 2_208_988_800
    };
    let (before, answer, after) = (now(), ask(), now());
    let answer: [u8; 4] = answer.try_into().expect("four bytes");
    assert!(
        (before..=after).contains(&u32::from_be_bytes(answer).into()),
        "{answer:?}"
    );
}

#[test]
fn an_answer_arrives_though_the_client_has_sent_something() {
    let server = builtin("daytime", "\"127.0.0.1:0\"").start();
    for _ in 0..20 {
        let client = server.connect("daytime");
        client.send("what time is it?");
        assert_eq!(client.read_all().len(), 26, "a reset would have panicked");
    }
    server.settle();
    server.stop();
}

// Clients that do not play along.

#[test]
fn a_client_that_never_reads_delays_nobody_and_takes_little_memory() {
    let server = builtin("chargen", "\"127.0.0.1:0\"")
        .service("echo", "builtin = \"echo\"")
        .start();
    let stuck: Vec<Client> = (0..20).map(|_| server.connect("chargen")).collect();
    stuck.iter().for_each(|client| drop(client.read_exactly(1)));
    let pid = worker_of(&server, 1);
    let greedy = server.connect("echo");
    let sent = send_until_stuck(&greedy, &server);
    let resident: u64 = status(pid, "VmRSS")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(resident < 20_000, "{resident} K");
    assert!(
        greedy.read_exactly(sent).iter().all(|byte| *byte == b'x'),
        "nothing was lost"
    );
    greedy.half_close().expect_end();
    drop(stuck);
    server.wait_ends("chargen", 20);
    server.settle();
    server.stop();
}

/// Sends until the other side takes no more: nothing moves though another client was served, three
/// times. Returns how much it took.
fn send_until_stuck(client: &Client, server: &Server) -> usize {
    let (mut sent, mut refusals) = (0, 0);
    while refusals < 3 {
        assert!(sent < 100_000_000, "it takes without end");
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(client.fd().as_raw_fd(), &[b'x'; 65536], flags) {
            Ok(count) => (sent, refusals) = (sent + count, 0),
            Err(Errno::EAGAIN) => {
                refusals += 1;
                let other = server.connect("echo");
                other
                    .send("other")
                    .expect("other")
                    .half_close()
                    .expect_end();
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

#[test]
fn idle_clients_cost_nothing_and_are_still_served() {
    let server = server()
        .service("echo", "builtin = \"echo\"\nmax_connections = 400")
        .start();
    let idle: Vec<Client> = (0..300).map(|_| server.connect("echo")).collect();
    server
        .log()
        .wait_for_many(300, |line| line.is("start", "echo"));
    idle[299].send("a").expect("a");
    let switches = || {
        let of = |pid| {
            status(pid, "voluntary_ctxt_switches")
                .parse::<u64>()
                .unwrap()
        };
        of(worker_of(&server, 1)) + of(server.pid())
    };
    let (before, since) = (switches(), Instant::now());
    until("half a second has passed", || {
        since.elapsed() > Duration::from_millis(500)
    });
    assert!(switches() - before < 5, "{} wake-ups", switches() - before);
    idle.iter().for_each(|client| {
        client.send("b").expect("b");
    });
    drop(idle);
    server.settle();
    server.stop();
}

#[test]
fn a_full_service_lets_clients_wait() {
    let server = server()
        .service("echo", "builtin = \"echo\"\nmax_connections = 2")
        .service("other", "builtin = \"echo\"")
        .start();
    let first = server.connect("echo");
    let second = server.connect("echo");
    first.send("a").expect("a");
    second.send("b").expect("b");
    let starts = |line: &Line| line.is("start", "echo");
    server.log().wait_for_many(2, starts);
    let third = server.connect("echo");
    third.send("c");
    server.connect("other").send("d").expect("d");
    server.log().wait_for(|line| line.is("start", "other"));
    assert_eq!(server.log().count(starts), 2);
    drop(first);
    third.expect("c");
    drop((second, third));
    server.wait_ends("other", 1);
    server.settle();
    server.stop();
}
