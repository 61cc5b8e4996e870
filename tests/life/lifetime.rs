//! `max_lifetime` and `grace`.

use super::{is_gone, pid_from, script, seconds};
use crate::harness::*;

/// By the limit a program has said who it is, on a busy machine too; and its grace is long enough for
/// the test to see that it has been asked.
const LIMITED: &str = "max_lifetime = \"3s\"\ngrace = \"2s\"\n";

#[test]
fn a_program_that_has_lived_long_enough_is_asked_to_end() {
    let server = server()
        .service(
            "a",
            &format!("{LIMITED}{}", script("echo $$; exec sleep 60")),
        )
        .service("unlimited", "command = [\"/bin/cat\"]")
        .start();
    let other = server.connect("unlimited");
    let client = server.connect("a");
    let pid = pid_from(&client);
    client.expect_end();
    let end = server.wait_end("a");
    assert_eq!(end.field("reason"), Some("max-lifetime"));
    assert_eq!(end.field("status"), Some("signal:TERM"));
    is_gone(pid);
    other.send("x").expect("x");
    other.half_close().expect_end();
    assert_eq!(server.wait_end("unlimited").field("reason"), Some("exited"));
    server.stop();
}

#[test]
fn what_a_program_has_started_ends_with_it_and_what_is_stopped_too() {
    let text = "sleep 61 & echo $!; sh -c 'echo $$; kill -STOP $$'; wait";
    let server = server()
        .service("a", &format!("{LIMITED}{}", script(text)))
        .start();
    let client = server.connect("a");
    let pids = [pid_from(&client), pid_from(&client)];
    client.expect_end();
    for pid in pids {
        is_gone(pid);
    }
    assert_eq!(server.wait_end("a").field("reason"), Some("max-lifetime"));
    server.stop();
}

#[test]
fn a_program_that_ignores_the_request_is_killed_after_the_grace_period_and_list_says_why() {
    let text = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
    let server = server()
        .service("a", &format!("{LIMITED}{}", script(text)))
        .start();
    let client = server.connect("a");
    let pid = pid_from(&client);
    let listed = |server: &Server| server.ask("{\"do\":\"list\"}")[0]["ending"].clone();
    assert_eq!(listed(&server), serde_json::Value::Null);
    until("it is asked to end", || listed(&server) == "max-lifetime");
    client.expect_end();
    is_gone(pid);
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("signal:KILL"));
    assert_eq!(end.field("reason"), Some("max-lifetime"));
    let took = seconds(&end);
    assert!((5.0..9.0).contains(&took), "{took}");
    server.stop();
}

#[test]
fn what_a_program_leaves_behind_stays_under_its_limit() {
    let server = server()
        .service("a", &format!("{LIMITED}{}", script("sleep 62 & echo $!")))
        .start();
    let client = server.connect("a");
    let pid = pid_from(&client);
    assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
    assert!(is_running(pid));
    // It had the connection.
    client.expect_end();
    is_gone(pid);
    let swept = server.log().wait_for(|line| line.is("swept", "a"));
    assert_eq!(swept.field("reason"), Some("max-lifetime"));
    server.stop();
}
