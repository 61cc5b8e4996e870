//! Who gets in: lists, limits, shares, rates, hours; and what those are told that do not.

mod cost;
mod families;
mod floods;
pub(crate) mod instructions;
mod many_sources;
mod turns;

use crate::harness::*;

/// The two that admit: the supervisor, for programs, and the worker.
const BOTH: [(&str, &str); 2] = [
    ("program", "command = [\"/bin/cat\"]"),
    ("worker", "builtin = \"echo\""),
];

/// Somebody else.
const OTHER: &str = "127.0.0.9";

fn other(server: &Server, service: &str) -> Client {
    Client::connect_from(OTHER, &server.address(service, ""))
}

#[track_caller]
fn check_served(client: &Client) {
    client.send("hi").expect("hi");
}

#[track_caller]
fn check_leave(client: Client) {
    client.half_close().expect_end();
}

/// The client is told the text and nothing else, and the log says why.
#[track_caller]
fn check_refused(server: &Server, service: &str, client: Client, text: &str, reason: &str) {
    let port = client.port();
    assert_eq!(client.read_text(), text);
    let line = server.log().wait_for(|line| {
        line.is("refused", service)
            && line
                .field("peer")
                .is_some_and(|peer| peer.ends_with(&format!(":{port}")))
    });
    assert_eq!(line.field("reason"), Some(reason), "{line}");
    assert!(line.field("id").is_some(), "{line}");
}

/// One service of each kind with the same keys.
fn both(keys: &str) -> Server {
    let mut builder = server();
    for (name, action) in BOTH {
        builder = builder.service(
            name,
            &format!("{action}\nrefusal = \"%s: no, %a!\\n\"\n{keys}"),
        );
    }
    builder.start()
}

fn told(service: &str, address: &str) -> String {
    format!("{service}: no, {address}!\n")
}

#[test]
fn a_client_whose_address_may_not_is_refused() {
    for keys in [
        "deny = \"127.0.0.9\"",
        "allow = [\"127.0.0.0/29\", \"::1\"]",
    ] {
        let server = both(keys);
        for (name, _) in BOTH {
            let refused = other(&server, name);
            check_refused(&server, name, refused, &told(name, OTHER), "denied");
            let client = server.connect(name);
            check_served(&client);
            check_leave(client);
        }
        server.settle();
        let totals = server.stop();
        for (name, _) in BOTH {
            let counts = ["accepted", "refused"].map(|counter| totals.of(name, counter));
            assert_eq!(counts, [2, 1]);
        }
    }
}

#[test]
fn the_most_specific_prefix_decides() {
    let server = both("allow = [\"127.0.0.0/8\", \"127.0.0.9\"]\ndeny = \"127.0.0.8/29\"");
    for (name, _) in BOTH {
        check_served(&other(&server, name));
        let address = server.address(name, "");
        let refused = Client::connect_from("127.0.0.10", &address);
        check_refused(&server, name, refused, &told(name, "127.0.0.10"), "denied");
    }
    server.settle();
    server.stop();
}

#[test]
fn lists_may_be_files_and_are_read_again_at_a_reload() {
    let mut builder = server();
    builder
        .directory()
        .file("bad", "# nobody\n\n127.0.0.9  # him\n");
    for (name, action) in BOTH {
        builder = builder.service(name, &format!("{action}\ndeny = \"@{{dir}}/bad\""));
    }
    let server = builder.start();
    for (name, _) in BOTH {
        check_refused(&server, name, other(&server, name), "", "denied");
    }
    server.directory().file("bad", "127.0.0.8/29\n127.0.0.1\n");
    server.reload();
    for (name, _) in BOTH {
        check_refused(&server, name, other(&server, name), "", "denied");
        check_refused(&server, name, server.connect(name), "", "denied");
    }
    server.directory().file("bad", "\n");
    server.reload();
    for (name, _) in BOTH {
        check_served(&other(&server, name));
    }
    server.settle();
    server.stop();
}

#[test]
fn users_of_a_unix_socket_are_listed_by_their_id() {
    let me = nix::unistd::geteuid();
    for (entry, is_allowed) in [
        (format!("uid:{me}"), true),
        ("uid:61233".into(), false),
        ("unix".into(), true),
    ] {
        let mut builder = server();
        for (name, action) in BOTH {
            let listen = format!("listen = \"unix:{{dir}}/{name}\"");
            let keys = "refusal = \"%a\"";
            let text = format!("{listen}\n{action}\n{keys}\nallow = \"{entry}\"");
            builder = builder.service(name, &text);
        }
        let server = builder.start();
        for (name, _) in BOTH {
            let client = server.connect(name);
            match is_allowed {
                true => check_served(&client),
                false => assert_eq!(client.read_text(), format!("uid {me}")),
            }
        }
        server.settle();
        server.stop();
    }
}

#[test]
fn one_source_may_have_so_many() {
    let server = both("max_per_source = 2");
    for (name, _) in BOTH {
        let clients = [server.connect(name), server.connect(name)];
        clients.iter().for_each(check_served);
        let text = told(name, "127.0.0.1");
        check_refused(&server, name, server.connect(name), &text, "max_per_source");
        check_served(&other(&server, name));
        let [first, second] = clients;
        check_leave(first);
        server.wait_ends(name, 2);
        check_served(&server.connect(name));
        drop(second);
    }
    server.settle();
    server.stop();
}

#[test]
fn a_source_is_as_wide_as_its_prefix() {
    let server = both("max_per_source = 1\nsource_prefix = { v4 = 24 }");
    for (name, _) in BOTH {
        let client = server.connect(name);
        check_served(&client);
        let refused = other(&server, name);
        check_refused(&server, name, refused, &told(name, OTHER), "max_per_source");
        let stranger = Client::connect_from("127.0.1.1", &server.address(name, ""));
        check_served(&stranger);
    }
    server.settle();
    server.stop();
}

#[test]
fn the_last_quarter_of_the_slots_is_for_others() {
    let server = both("max_connections = 8");
    for (name, _) in BOTH {
        let clients: Vec<Client> = (0..7).map(|_| server.connect(name)).collect();
        clients.iter().for_each(check_served);
        let text = told(name, "127.0.0.1");
        check_refused(&server, name, server.connect(name), &text, "share");
        check_served(&other(&server, name));
    }
    server.settle();
    server.stop();
}

#[test]
fn a_full_service_may_refuse_instead_of_queueing() {
    let server = both("max_connections = 1\nwhen_full = \"refuse\"");
    for (name, _) in BOTH {
        let client = server.connect(name);
        check_served(&client);
        let refused = other(&server, name);
        check_refused(&server, name, refused, &told(name, OTHER), "full");
        check_leave(client);
        server.wait_ends(name, 1);
        check_served(&other(&server, name));
    }
    server.settle();
    server.stop();
}

#[test]
fn a_full_server_refuses_where_services_refuse() {
    let cat = "command = [\"/bin/cat\"]\n";
    let server = server()
        .table("[server]\nmax_connections = 1\n")
        .service("a", cat)
        .service(
            "b",
            &format!("{cat}when_full = \"refuse\"\nrefusal = \"no\""),
        )
        .start();
    let client = server.connect("a");
    check_served(&client);
    assert_eq!(server.status().of("b")["state"], "full");
    let control = server.directory().join("control");
    let health = run(&mut oxinetd(&["health", "--control", &control]));
    assert_eq!(
        health.stdout,
        "degraded: the server is full: 1 of [server] max_connections = 1\n"
    );
    check_refused(&server, "b", server.connect("b"), "no", "server_full");
    check_leave(client);
    server.wait_ends("a", 1);
    assert_eq!(server.status().of("b")["state"], "listening");
    check_served(&server.connect("b"));
    server.settle();
    server.stop();
}

#[test]
fn a_rate_lets_its_burst_in_and_refuses_when_the_next_is_far() {
    for (key, reason) in [("rate", "rate"), ("rate_per_source", "rate_per_source")] {
        let server = both(&format!("{key} = \"1/h burst 2\""));
        for (name, _) in BOTH {
            check_served(&server.connect(name));
            check_served(&server.connect(name));
            let text = told(name, "127.0.0.1");
            check_refused(&server, name, server.connect(name), &text, reason);
            if key == "rate_per_source" {
                check_served(&other(&server, name));
            }
        }
        server.settle();
        server.stop();
    }
}

#[test]
fn a_rate_makes_clients_wait_when_the_next_is_near() {
    let server = both("rate = \"20/s burst 1\"");
    for (name, _) in BOTH {
        let since = std::time::Instant::now();
        for _ in 0..5 {
            check_served(&server.connect(name));
        }
        assert!(since.elapsed() > std::time::Duration::from_millis(150));
    }
    server.settle();
    let totals = server.stop();
    assert_eq!(totals.of("program", "refused"), 0);
    assert_eq!(totals.of("worker", "refused"), 0);
}

#[test]
fn a_service_is_closed_outside_its_hours() {
    let today = run(std::process::Command::new("date")
        .arg("+%a")
        .env("LC_ALL", "C"))
    .stdout
    .trim()
    .to_lowercase();
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let place = days.iter().position(|day| *day == today).expect("a day");
    // Neither today nor, around midnight, tomorrow.
    let open = days[(place + 3) % 7];
    let server = both(&format!("hours = \"{open} 00:00-24:00\""));
    for (name, _) in BOTH {
        let text = told(name, "127.0.0.1");
        check_refused(&server, name, server.connect(name), &text, "hours");
    }
    server.reload_with(&server.table().replace(open, "mon-sun"));
    for (name, _) in BOTH {
        check_served(&server.connect(name));
    }
    server.settle();
    server.stop();
}

#[test]
fn those_that_are_exempt_skip_limits_but_not_denials() {
    let server = both(
        "exempt = \"127.0.0.8/29\"\nmax_connections = 1\nrate = \"1/h burst 1\"\ndeny = \"127.0.0.10\"",
    );
    for (name, _) in BOTH {
        let first = server.connect(name);
        check_served(&first);
        let text = told(name, "127.0.0.1");
        check_refused(&server, name, server.connect(name), &text, "full");
        let exempt = [other(&server, name), other(&server, name)];
        exempt.iter().for_each(check_served);
        let denied = Client::connect_from("127.0.0.10", &server.address(name, ""));
        check_refused(&server, name, denied, &told(name, "127.0.0.10"), "denied");
    }
    server.settle();
    server.stop();
}

#[test]
fn each_reason_may_have_its_own_text() {
    let keys = "deny = \"127.0.0.9\"\nmax_per_source = 1\nrefusal = { denied = \"never\", any = \"100%% %s\" }";
    let mut builder = server();
    for (name, action) in BOTH {
        builder = builder.service(name, &format!("{action}\n{keys}"));
    }
    let server = builder.start();
    for (name, _) in BOTH {
        check_refused(&server, name, other(&server, name), "never", "denied");
        let client = server.connect(name);
        check_served(&client);
        let text = format!("100% {name}");
        check_refused(&server, name, server.connect(name), &text, "max_per_source");
    }
    server.settle();
    server.stop();
}

#[test]
fn a_refused_client_that_has_sent_something_reads_the_text_all_the_same() {
    let server = both("deny = \"127.0.0.9\"");
    for (name, _) in BOTH {
        let client = other(&server, name);
        client.send(vec![b'x'; 100_000]);
        check_refused(&server, name, client, &told(name, OTHER), "denied");
    }
    server.stop();
}

#[test]
fn ipv4_rules_hold_for_ipv4_clients_of_any_socket() {
    let name = "worker";
    let server = server()
        .service(
            name,
            "listen = [\"0.0.0.0:0\", \"[::]:0\"]\nbuiltin = \"echo\"\ndeny = \"::ffff:127.0.0.9\"",
        )
        .start();
    let address = server
        .address(name, "0.0.0.0")
        .replace("0.0.0.0", "127.0.0.1");
    let refused = Client::connect_from(OTHER, &address);
    check_refused(&server, name, refused, "", "denied");
    check_served(&Client::connect(&address));
    server.settle();
    server.stop();
}

#[test]
fn datagrams_obey_lists_and_rates() {
    let server = server()
        .service(
            "a",
            "listen = \"udp:127.0.0.1:0\"\nbuiltin = \"echo\"\ndeny = \"127.0.0.1\"",
        )
        .service(
            "b",
            "listen = \"udp:127.0.0.1:0\"\nbuiltin = \"echo\"\nrate_per_source = \"1/h burst 2\"",
        )
        .service(
            "control",
            "listen = \"udp:127.0.0.1:0\"\nbuiltin = \"echo\"",
        )
        .start();
    let denied = server.udp("a");
    denied.send("no");
    let limited = server.udp("b");
    limited
        .send("1")
        .expect("1")
        .send("2")
        .expect("2")
        .send("3");
    // By then the worker has looked at the others.
    server.udp("control").send("?").expect("?");
    drop((denied, limited));
    for (service, reason) in [("a", "refused"), ("b", "rate")] {
        until("it is counted", || {
            let status = server.status();
            status.of(service)["datagrams_left_out"] == serde_json::json!({reason: 1})
        });
    }
    let line = server.log().wait_for(|line| line.is("datagrams", "a"));
    assert_eq!(
        line.0,
        "datagrams service=a received=1 answered=0 unsafe_source=0 over_rate=0 refused=1"
    );
    let totals = server.stop();
    assert_eq!(totals.of("a", "datagrams"), 1);
    assert_eq!(totals.of("b", "datagrams"), 3);
}
