//! Clients that are idle, silent or gone: `idle_timeout`, `first_byte_timeout`,
//! `kill_on_disconnect`.

use super::{is_gone, pid_from, script, seconds};
use crate::harness::*;

const CAT: &str = "command = [\"/bin/cat\"]\n";

#[test]
fn a_connection_that_moves_nothing_ends_and_one_that_does_stays() {
    let server = server()
        .service("a", &format!("{CAT}idle_timeout = \"2s\""))
        .service("unlimited", CAT)
        .start();
    let (busy, other) = (server.connect("a"), server.connect("unlimited"));
    let idle = server.connect("a");
    // Something moves in the other for as long as the idle one is there.
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| idle.expect_end());
        while !ended.is_finished() {
            busy.send("x").expect("x");
        }
        ended.join()
    });
    ended.unwrap();
    let end = server.wait_end("a");
    assert_eq!(end.field("reason"), Some("idle-timeout"));
    let took = seconds(&end);
    assert!((2.0..6.0).contains(&took), "{took}");
    busy.send("y").expect("y");
    busy.half_close().expect_end();
    let ends = server.wait_ends("a", 2);
    assert_eq!(ends[1].field("reason"), Some("exited"));
    other.send("x").expect("x");
    other.half_close().expect_end();
    server.stop();
}

#[test]
fn a_client_that_says_nothing_ends_and_one_that_has_spoken_stays() {
    let server = server()
        .service("a", &format!("{CAT}first_byte_timeout = \"1s\""))
        .start();
    let speaks = server.connect("a");
    speaks.send("x").expect("x");
    let silent = server.connect("a");
    silent.expect_end();
    let end = server.wait_end("a");
    assert_eq!(end.field("reason"), Some("first-byte-timeout"));
    speaks.send("y").expect("y");
    speaks.half_close().expect_end();
    assert_eq!(server.wait_ends("a", 2)[1].field("reason"), Some("exited"));
    server.stop();
}

#[test]
fn a_program_whose_client_has_gone_is_ended_and_a_half_closed_client_keeps_its_answer() {
    // It neither reads nor writes, so nothing else tells it.
    let text = "sleep 63 & echo $!; wait; echo never";
    let server = server()
        .service(
            "gone",
            &format!("{}kill_on_disconnect = true", script(text)),
        )
        .service(
            "late",
            &format!(
                "{}kill_on_disconnect = true",
                script("cat >/dev/null; echo $$; read x; sleep 2.5; echo answer")
            ),
        )
        .start();
    let half = server.connect("late");
    half.send("question").half_close();
    let client = server.connect("gone");
    let pid = pid_from(&client);
    client.reset();
    is_gone(pid);
    let end = server.wait_end("gone");
    assert_eq!(end.field("reason"), Some("disconnected"));
    pid_from(&half);
    assert_eq!(half.read_text(), "answer\n");
    assert_eq!(server.wait_end("late").field("reason"), Some("exited"));
    server.stop();
}

#[test]
fn what_is_left_behind_goes_with_the_client() {
    let body = script("sleep 64 & echo $!");
    let server = server()
        .service("a", &format!("{body}kill_on_disconnect = true"))
        .start();
    let client = server.connect("a");
    let pid = pid_from(&client);
    assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
    client.reset();
    is_gone(pid);
    let swept = server.log().wait_for(|line| line.is("swept", "a"));
    assert_eq!(swept.field("reason"), Some("disconnected"));
    server.stop();
}

/// A network of its own in which the client is another machine: its address, and ours.
const CABLE: [&str; 4] = [
    "link add ours type veth peer name theirs",
    "addr add 192.0.2.1/24 dev ours",
    "link set ours up",
    "link set lo up",
];

/// Runs `ip` with these words.
fn ip(words: &str) -> bool {
    run(std::process::Command::new("ip").args(words.split(' '))).code == Some(0)
}

/// Takes the cable out of a client in the middle of a session, and waits until nothing is left of it.
fn check_unplugged(keys: &'static str, text: String, longest: f64) {
    in_own_network(move || {
        if !CABLE.iter().all(|words| ip(words)) {
            return skip("there is no veth");
        }
        // The client's machine is a process that holds a network.
        let mut machine = std::process::Command::new("unshare")
            .args([
                "--net",
                "--kill-child",
                "--fork",
                "sh",
                "-c",
                "echo up; exec sleep 60",
            ])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(machine.stdout.as_mut().unwrap(), &mut line).unwrap();
        let holder = children(machine.id())[0];
        let inside = |words: &str| {
            let enter = format!("-t {holder} -n {words}");
            run(std::process::Command::new("nsenter").args(enter.split(' '))).ok();
        };
        assert!(ip(&format!("link set theirs netns {holder}")));
        inside("ip addr add 192.0.2.2/24 dev theirs");
        inside("ip link set theirs up");

        let body = format!(
            "listen = \"tcp4:192.0.2.1:0\"\ngrace = \"1s\"\nkill_on_disconnect = true\n{keys}\n{}",
            script(&text)
        );
        let server = server().service("a", &body).start();
        let address = server.address("a", "");
        let mut client = std::process::Command::new("nsenter")
            .args(format!("-t {holder} -n socat - tcp:{address}").split(' '))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(client.stdout.take().unwrap()));
        // The rest stays in the pipe: it is not closed.
        let said = lines.by_ref().map_while(|line| line.ok());
        let numbers = said.filter_map(|line| line.parse().ok());
        let pids: Vec<u32> = numbers.take(2).collect();
        assert!(
            pids.len() == 2 && pids.iter().all(|pid| is_running(*pid)),
            "{pids:?}"
        );
        let since = std::time::Instant::now();
        inside("ip link set theirs down");
        pids.into_iter().for_each(is_gone);
        let took = since.elapsed().as_secs_f64();
        assert!(took < longest, "{took}");
        assert_eq!(server.wait_end("a").field("reason"), Some("disconnected"));
        client.kill().unwrap();
        client.wait().unwrap();
        machine.kill().unwrap();
        machine.wait().unwrap();
        server.stop();
    });
}

/// A program and a daemon of it, which say who they are; the daemon does not heed the request to end.
const FAMILY: &str =
    "(setsid sh -c \"trap : TERM; echo \\$\\$; while :; do sleep 0.05; done\" &); echo $$";

#[test]
fn a_client_whose_cable_was_taken_out_while_it_is_silent_is_noticed_by_keepalive() {
    // Asked after 1 s and 2 s, given up at 3 s; seen within 1 s, and 1 s of grace.
    let keys = "keepalive = { idle = \"1s\", interval = \"1s\", count = 2 }";
    check_unplugged(keys, format!("{FAMILY}; sleep 68; :"), 9.0);
}

#[test]
fn a_client_whose_cable_was_taken_out_while_it_is_sent_to_is_noticed_by_user_timeout() {
    let keys = "keepalive = false\nuser_timeout = \"2s\"";
    // It does not look whether anybody takes what it says.
    let text =
        format!("{FAMILY}; trap '' PIPE; while :; do echo tick; sleep 0.1; done 2>/dev/null");
    check_unplugged(keys, text, 9.0);
}
