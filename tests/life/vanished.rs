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
    assert!((2.0..3.5).contains(&took), "{took}");
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
