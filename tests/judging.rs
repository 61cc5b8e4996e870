//! Bans, and `oxinetd explain`: what is told and what is done agree, for programs and built-ins.

use crate::harness::*;
use serde_json::Value;

const ACTIONS: [(&str, &str); 2] = [
    ("program", "command = [\"/bin/cat\"]"),
    ("worker", "builtin = \"echo\""),
];
const OTHER: &str = "127.0.0.9";

fn both(keys: &str) -> Server {
    let mut builder = server();
    for (name, action) in ACTIONS {
        builder = builder.service(name, &format!("{action}\nrefusal = \"no\"\n{keys}"));
    }
    builder.start()
}

/// An `oxinetd` command about this server.
fn command(server: &Server, words: &[&str]) -> Ran {
    let mut command = oxinetd(words);
    command.env("OXINETD_CONTROL", server.directory().join("control"));
    run(&mut command)
}

/// The exit status and the object that `explain` gives.
fn explain(server: &Server, service: &str, from: &str) -> (Option<i32>, Value) {
    let ran = command(server, &["explain", service, "--from", from, "--json"]);
    let object = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.code, object)
}

fn other(server: &Server, service: &str) -> Client {
    Client::connect_from(OTHER, &server.address(service, ""))
}

#[track_caller]
fn check_served(client: &Client) {
    client.send("hi").expect("hi");
}

#[test]
fn a_ban_holds_for_all_services_from_the_answer_on() {
    let server = both("");
    let ran = command(&server, &["ban", "127.0.0.8/29", "--for", "10m"]).ok();
    assert_eq!(ran.stdout, "banned 127.0.0.8/29 for 10m\n");
    for (name, _) in ACTIONS {
        assert_eq!(other(&server, name).read_text(), "no");
        check_served(&server.connect(name));
        assert_eq!(explain(&server, name, OTHER).1["refused"], "banned");
    }
    let line = server.log().wait_for(|line| line.event() == "control");
    assert_eq!(line.field("uid"), Some(&*nix::unistd::getuid().to_string()));

    server.reload();
    assert_eq!(other(&server, "program").read_text(), "no");
    assert_eq!(other(&server, "worker").read_text(), "no");

    let ran = command(&server, &["unban", "127.0.0.8/29"]).ok();
    assert_eq!(ran.stdout, "unbanned 127.0.0.8/29\n");
    for (name, _) in ACTIONS {
        check_served(&other(&server, name));
    }
    server.settle();
    server.stop();
}

#[test]
fn a_ban_outlives_the_worker() {
    let server = both("");
    command(&server, &["ban", OTHER]).ok();
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    let pid = i32::try_from(worker.number("pid")).unwrap();
    let mark = server.log().mark();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    let started = |line: &Line| line.event() == "worker-started";
    server.log().wait_after(mark, started);
    assert_eq!(other(&server, "worker").read_text(), "no");
    server.stop();
}

#[test]
fn a_worker_that_does_not_answer_does_not_keep_a_ban_waiting() {
    let server = both("");
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    let worker = worker.number("pid") as u32;
    signal(worker, nix::sys::signal::Signal::SIGSTOP);
    let ran = command(&server, &["ban", OTHER]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(75),
            "oxinetd: banned 127.0.0.9 for 1h for programs, but not yet for what the worker serves: \
             it has not answered within 5 s\n"
        )
    );
    signal(worker, nix::sys::signal::Signal::SIGCONT);
    until("the worker obeys too", || {
        other(&server, "worker").read_text() == "no"
    });
    server.settle();
    server.stop();
}

#[test]
fn a_ban_ends_by_itself() {
    let server = both("");
    command(&server, &["ban", OTHER, "--for", "1s"]).ok();
    for (name, _) in ACTIONS {
        until("the ban is over", || {
            let client = other(&server, name);
            client.send("hi");
            matches!(client.read(2), Got::Bytes(bytes) if bytes == b"hi")
        });
    }
    let ran = command(&server, &["ban"]).ok();
    assert_eq!(ran.stdout, "nobody is banned\n");
    server.settle();
    server.stop();
}

#[test]
fn bans_are_listed_and_wrong_ones_are_told() {
    let server = both("");
    command(&server, &["ban", "192.0.2.77/24", "--for", "1h"]).ok();
    command(&server, &["ban", "2001:db8::1"]).ok();
    let ran = command(&server, &["ban", "--json"]).ok();
    let bans: Value = serde_json::from_str(&ran.stdout).unwrap();
    let prefixes: Vec<&Value> = (0..2).map(|n| &bans["bans"][n]["prefix"]).collect();
    assert_eq!(prefixes, ["192.0.2.0/24", "2001:db8::1"]);

    let ran = command(&server, &["unban", "192.0.3.0/25"]);
    assert_eq!(ran.code, Some(66));
    assert_eq!(
        ran.stderr,
        "oxinetd: 192.0.3.0/25 is not banned (oxinetd ban lists who is)\n"
    );
    let ran = command(&server, &["unban", "192.0.2.7"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(66),
            "oxinetd: 192.0.2.7 is not banned by itself: the ban of 192.0.2.0/24 holds it\n"
        )
    );
    for wrong in [
        &["ban", "localhost"][..],
        &["ban", "192.0.2.7", "--for", "0s"],
        &["ban", "192.0.2.7", "--for", "366d"],
        &["ban", "--for", "3m"],
        &["pause", "program", "--for", "0s"],
    ] {
        assert_eq!(command(&server, wrong).code, Some(64), "{wrong:?}");
    }
    server.stop();
}

#[test]
fn explain_tells_the_rule_and_where_it_is() {
    let server = both(
        "allow = [\n  \"127.0.0.0/8\",\n  \"uid:7\",\n]\ndeny = \"127.0.0.9\"\nexempt = \"127.0.0.10\"",
    );
    for (name, _) in ACTIONS {
        let (code, it) = explain(&server, name, "127.0.0.1");
        assert_eq!((code, &it["refused"]), (Some(0), &Value::Null));
        assert_eq!(it["rule"]["entry"], "127.0.0.0/8");
        let line = it["rule"]["line"].as_u64().unwrap();
        let table = server.table();
        let written = table.lines().nth(line as usize - 1).unwrap();
        assert_eq!(written, "  \"127.0.0.0/8\",");

        let (code, it) = explain(&server, name, "::ffff:127.0.0.9");
        assert_eq!((code, &it["refused"]), (Some(1), &"denied".into()));
        assert_eq!(
            (&it["rule"]["list"], &it["rule"]["entry"]),
            (&"deny".into(), &"127.0.0.9".into())
        );

        let (_, it) = explain(&server, name, "192.0.2.1");
        assert_eq!(
            (&it["refused"], &it["rule"]),
            (&"denied".into(), &Value::Null)
        );
        assert_eq!(explain(&server, name, "uid:7").0, Some(0));
        assert_eq!(explain(&server, name, "uid:8").0, Some(1));
        let (_, it) = explain(&server, name, "127.0.0.10");
        assert_eq!(it["exempt"]["entry"], "127.0.0.10");
    }
    // The same rules on other lines are no change, and are found where they are now.
    let place = |name| explain(&server, name, "127.0.0.1").1["rule"]["line"].as_u64();
    let before = ACTIONS.map(|(name, _)| place(name).unwrap());
    let line = server.reload_with(&format!("# One line more.\n{}", server.table()));
    assert_eq!(line.0, "reloaded added=0 changed=0 removed=0 kept=2");
    let after = ACTIONS.map(|(name, _)| place(name).unwrap());
    assert_eq!(after, before.map(|line| line + 1));
    server.stop();
}

#[test]
fn explain_counts_what_is_there_and_takes_nothing() {
    let server =
        both("max_per_source = 2\nrate = \"1/h burst 5\"\nrate_per_source = \"1/h burst 4\"");
    for (name, _) in ACTIONS {
        let clients = [server.connect(name), server.connect(name)];
        clients.iter().for_each(check_served);
        for _ in 0..2 {
            let (code, it) = explain(&server, name, "127.0.0.1");
            assert_eq!((code, &it["refused"]), (Some(1), &"max_per_source".into()));
            assert_eq!(
                (&it["connections"]["live"], &it["source_live"]),
                (&2.into(), &2.into())
            );
            assert_eq!(
                (&it["rate"]["left"], &it["rate"]["burst"]),
                (&3.into(), &5.into())
            );
            assert_eq!(it["rate_per_source"]["left"], 2);
            let (code, it) = explain(&server, name, OTHER);
            assert_eq!((code, &it["source_live"]), (Some(0), &0.into()));
        }
        assert_eq!(server.connect(name).read_text(), "no");
        check_served(&other(&server, name));
    }
    server.settle();
    server.stop();
}

#[test]
fn explain_cannot_tell_of_a_program_that_has_the_socket_itself() {
    let server = server()
        .service("w", "command = [\"/bin/true\"]\nwait = true")
        .start();
    let ran = command(&server, &["explain", "w", "--from", "::1"]);
    let says = "oxinetd: the program of w is given the socket itself: it alone decides about its clients\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(64), says));
    let ran = command(&server, &["explain", "v", "--from", "::1"]);
    assert_eq!(ran.code, Some(66));
    server.stop();
}

#[test]
fn an_added_service_is_in_force_at_once() {
    let server = both("");
    let table = server.directory().join("services.toml");
    let words = [
        "add",
        "new",
        "--config",
        &table,
        "--listen",
        "127.0.0.1:0",
        "--builtin",
        "echo",
    ];
    let ran = command(&server, &words).ok();
    assert!(
        ran.stdout
            .ends_with("in force: 1 added, 0 changed, 0 removed, 2 kept\n"),
        "{ran:?}"
    );
    server.log().wait_for(|line| line.is("listening", "new"));
    check_served(&server.connect("new"));
    let ran = command(&server, &["disable", "new", "--config", &table]).ok();
    assert!(
        ran.stdout
            .ends_with("in force: 0 added, 1 changed, 0 removed, 2 kept\n"),
        "{ran:?}"
    );

    let elsewhere = server.directory().join("other.toml");
    let text = "[service.a]\nlisten = 7\nbuiltin = \"echo\"\n[service.b]\nlisten = 9\nbuiltin = \"discard\"\n";
    server.directory().file("other.toml", text);
    let ran = command(&server, &["disable", "a", "--config", &elsewhere]).ok();
    let says =
        format!("the server that runs has another table ({table}); this one is not put in force\n");
    assert!(ran.stdout.ends_with(&says), "{ran:?}");
    server.settle();
    server.stop();
}

#[test]
fn an_added_service_that_is_not_bound_is_told() {
    let server = both("");
    let table = server.directory().join("services.toml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let add = |name: &str, more: &[&str]| {
        let words = [
            "add",
            name,
            "--config",
            &table,
            "--builtin",
            "echo",
            "--listen",
            &address,
        ];
        command(&server, &[&words, more].concat()).ok().stdout
    };
    let said = add("new", &[]);
    let lines: Vec<&str> = said.lines().skip(1).collect();
    let begins = format!("not bound  new ({address}): ");
    assert!(lines[0].starts_with(&begins), "{said}");
    assert_eq!(
        lines[1..],
        ["in force: 1 added, 0 changed, 0 removed, 2 kept, 1 not bound"]
    );
    command(&server, &["remove", "new", "--config", &table]).ok();
    let said: Value = serde_json::from_str(&add("new", &["--json"])).unwrap();
    let not_bound = &said["not_bound"][0];
    assert_eq!(
        (&not_bound["service"], &not_bound["address"]),
        (&"new".into(), &address.as_str().into())
    );
    assert_eq!(said["reloaded"], true);
    server.stop();
}

#[test]
fn an_edited_table_names_its_own_server() {
    let server = both("");
    let [table, control] = ["services.toml", "control"].map(|it| server.directory().join(it));
    let text = server.table();
    server.write_table(&format!("[server]\ncontrol = {control:?}\n{text}"));
    let mut command = oxinetd(&["disable", "program", "--config", &table]);
    // Empty counts as unset.
    let said = run(command.env("OXINETD_CONTROL", "")).ok().stdout;
    assert!(
        said.ends_with("in force: 0 added, 1 changed, 0 removed, 1 kept\n"),
        "{said}"
    );
    server.stop();
}

/// The exit status, and what would happen: `waits`, `refused`, `evicts` or `reachable`.
#[track_caller]
fn check_explained(server: &Server, service: &str, code: i32, key: &str, value: Value) {
    let (found, it) = explain(server, service, OTHER);
    assert_eq!((found, &it[key]), (Some(code), &value), "{service}: {it}");
}

#[test]
fn explain_tells_who_waits() {
    let server = both("max_connections = 1");
    for (name, _) in ACTIONS {
        check_explained(&server, name, 0, "waits", Value::Null);
        let client = server.connect(name);
        check_served(&client);
        check_explained(&server, name, 2, "waits", "full".into());
        let ran = command(&server, &["explain", name, "--from", OTHER]);
        let says =
            format!("{name}: a client from {OTHER} would wait: the service is full (1 of 1)\n");
        assert!(ran.stdout.starts_with(&says), "{ran:?}");

        command(&server, &["pause", name]).ok();
        check_explained(&server, name, 2, "waits", "paused".into());
        let (_, it) = explain(&server, name, OTHER);
        assert_eq!(
            (&it["state"], &it["refused"]),
            (&"paused".into(), &Value::Null)
        );
        let holding = (&it["connections"]["live"], &it["connections"]["limit"]);
        assert_eq!(holding, (&1.into(), &1.into()));
        command(&server, &["ban", "127.0.0.8/29"]).ok();
        check_explained(&server, name, 1, "refused", "banned".into());
        check_explained(&server, name, 1, "banned_prefix", "127.0.0.8/29".into());
        command(&server, &["unban", "127.0.0.8/29"]).ok();
    }
    server.stop();
}

#[test]
fn explain_tells_who_waits_for_another_server() {
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();
    let body = format!("redirect = \"{to}\"\nmax_connections = 1");
    let server = server().service("r", &body).start();
    check_explained(&server, "r", 0, "waits", Value::Null);
    let client = server.connect("r");
    let session = target.accept().unwrap();
    check_explained(&server, "r", 2, "waits", "full".into());
    command(&server, &["pause", "r"]).ok();
    check_explained(&server, "r", 2, "waits", "paused".into());
    drop((client, session));
    server.stop();
}

#[test]
fn explain_tells_who_is_refused_by_a_full_service() {
    let server = both("max_connections = 1\nwhen_full = \"refuse\"");
    for (name, _) in ACTIONS {
        let client = server.connect(name);
        check_served(&client);
        check_explained(&server, name, 1, "refused", "full".into());
        check_explained(&server, name, 1, "waits", Value::Null);
        let status = command(&server, &["status", name]).ok();
        assert!(status.stdout.contains("full (refusing)"), "{status:?}");
        let ran = command(&server, &["status", "--json"]).ok();
        let it: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(it["services"][0]["when_full"], "refuse");
    }
    server.stop();
}

#[test]
fn explain_tells_of_all_services_that_are_full() {
    let mut builder = server().table("[server]\nmax_connections = 1\nmax_worker_connections = 1\n");
    for (name, action) in ACTIONS {
        builder = builder.service(name, action);
    }
    let server = builder.start();
    let clients = ACTIONS.map(|(name, _)| server.connect(name));
    clients.iter().for_each(check_served);
    check_explained(&server, "program", 2, "waits", "server_full".into());
    check_explained(&server, "worker", 0, "evicts", true.into());
    check_served(&other(&server, "worker"));
    clients[1].expect_end();
    drop(clients);
    server.stop();
}

#[test]
fn explain_tells_of_a_rate_that_is_waited_for() {
    for (rate, code, key, value) in [
        ("70/m burst 1", 2, "waits", "rate"),
        ("1/h burst 1", 1, "refused", "rate"),
    ] {
        let server = both(&format!("rate = \"{rate}\""));
        for (name, _) in ACTIONS {
            until("a token was just taken", || {
                check_served(&server.connect(name));
                // By a slow machine the next one may have come meanwhile.
                let (found, it) = explain(&server, name, OTHER);
                found == Some(0) || (found, &it[key]) == (Some(code), &value.into())
            });
        }
        server.stop();
    }
}

#[test]
fn explain_tells_of_a_service_that_nobody_can_connect_to() {
    let taken = ACTIONS.map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let mut builder = server();
    for ((name, action), taken) in ACTIONS.iter().zip(&taken) {
        let address = taken.local_addr().unwrap();
        builder = builder.service(
            &format!("{name}-off"),
            &format!("{action}\nenabled = false"),
        );
        let listen = format!("listen = \"{address}\"\n{action}");
        builder = builder.service(&format!("{name}-taken"), &listen);
    }
    let server = builder.start();
    for (name, _) in ACTIONS {
        let (off, taken) = (format!("{name}-off"), format!("{name}-taken"));
        check_explained(&server, &off, 1, "state", "disabled".into());
        check_explained(&server, &off, 1, "reachable", false.into());
        check_explained(&server, &taken, 1, "state", "not_bound".into());
        check_explained(&server, &taken, 1, "reachable", false.into());
        let ran = command(&server, &["explain", &taken, "--from", OTHER]);
        let says = format!("{taken}: nobody can connect: none of its addresses is bound\n");
        assert!(ran.stdout.starts_with(&says), "{ran:?}");
    }
    server.stop();
}
