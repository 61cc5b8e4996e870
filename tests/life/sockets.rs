//! Options of sockets, as the kernel shows them.

use crate::harness::*;

/// Seconds until the kernel asks a silent client, from the server's end of its connection
/// (/proc/net/tcp: timer 2 is keepalive; its time is in hundredths); `None` when it never will.
fn asked_in(client: &Client, address: &str) -> Option<u64> {
    let port = address.rsplit(':').next().unwrap();
    let ends = (port.parse().unwrap(), client.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |end: &str| u16::from_str_radix(end.rsplit(':').next().unwrap(), 16).unwrap();
    let mut lines = table.lines().skip(1).map(|line| line.split_whitespace());
    let timer = lines.find_map(|line| {
        let words: Vec<&str> = line.collect();
        ((port(words[1]), port(words[2])) == ends).then(|| words[5].to_owned())
    });
    let timer = timer.expect("a connection");
    let (kind, time) = timer.split_once(':').unwrap();
    (kind == "02").then(|| u64::from_str_radix(time, 16).unwrap().div_ceil(100))
}

#[test]
fn keepalive_is_on_and_can_be_timed_and_a_reload_changes_it() {
    let cat = "command = [\"/bin/cat\"]";
    let server = server()
        .service("timed", &format!("{cat}\nkeepalive = {{ idle = \"61s\" }}"))
        .service("plain", cat)
        .service("off", &format!("{cat}\nkeepalive = false"))
        .service(
            "builtin",
            "builtin = \"echo\"\nkeepalive = { idle = \"31s\" }",
        )
        .start();
    let asked_in = |service: &str| {
        let client = server.connect(service);
        client.send("x").expect("x");
        let address = server.address(service, "127.");
        // What was sent is acknowledged a little later; until then another timer runs.
        let mut found = None;
        until("nothing is unacknowledged", || {
            found = asked_in(&client, &address);
            found.is_some() || service == "off"
        });
        client.half_close().expect_end();
        found
    };
    let near = |found: Option<u64>, expected: u64| {
        assert!(
            found.is_some_and(|it| (expected - 5..=expected).contains(&it)),
            "{found:?}"
        );
    };
    near(asked_in("timed"), 61);
    near(asked_in("plain"), 7200);
    near(asked_in("builtin"), 31);
    assert_eq!(asked_in("off"), None);

    let table = server.table().replace("\"61s\"", "\"40s\"");
    server.reload_with(&table);
    near(asked_in("timed"), 40);
    let table = table.replace("keepalive = { idle = \"40s\" }", "keepalive = true");
    server.reload_with(&table);
    near(asked_in("timed"), 7200);
    server.stop();
}

#[test]
fn a_backlog_is_kept_and_clients_beyond_it_wait_outside() {
    let server = server()
        .service(
            "narrow",
            "command = [\"/bin/cat\"]\nbacklog = 7\nnodelay = true",
        )
        .start();
    let address = server.address("narrow", "127.");
    // What a listener may hold is the "send queue" of its socket (sock_diag); ss shows it.
    let Ok(found) = std::process::Command::new("ss")
        .args(["-Hltn", "src", &address])
        .output()
    else {
        return skip("ss is not installed");
    };
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(text.split_whitespace().nth(2), Some("7"), "{text}");
    server.stop();
}
