//! Options of sockets, as the kernel shows them.

use crate::harness::*;

/// Seconds until the kernel asks a silent client, from the server's end of its connection
/// (/proc/net/tcp: timer 2 is keepalive; its time is in hundredths): `Some(None)` when it never will,
/// and `None` when the table, which is read in parts while it changes, has not shown the connection.
fn asked_in(client: &Client, address: &str) -> Option<Option<u64>> {
    let port = address.rsplit(':').next().unwrap();
    let ends = (port.parse().unwrap(), client.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |end: &str| u16::from_str_radix(end.rsplit(':').next().unwrap(), 16).unwrap();
    let mut lines = table.lines().skip(1).map(|line| line.split_whitespace());
    let timer = lines.find_map(|line| {
        let words: Vec<&str> = line.collect();
        ((port(words[1]), port(words[2])) == ends).then(|| words[5].to_owned())
    });
    let timer = timer?;
    let (kind, time) = timer.split_once(':').unwrap();
    Some((kind == "02").then(|| u64::from_str_radix(time, 16).unwrap().div_ceil(100)))
}

#[test]
fn keepalive_is_on_and_can_be_timed_and_a_reload_changes_it() {
    let cat = "command = [\"/bin/cat\"]";
    let server = server()
        .service("timed", &format!("{cat}\nkeepalive = {{ idle = \"61s\" }}"))
        .service("plain", cat)
        .service("off", &format!("{cat}\nkeepalive = false"))
        .service("ended", &format!("{cat}\nkill_on_disconnect = true"))
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
            found.is_some_and(|found| found.is_some() || service == "off")
        });
        client.half_close().expect_end();
        found.flatten()
    };
    let near = |found: Option<u64>, expected: u64| {
        assert!(
            found.is_some_and(|it| (expected - 5..=expected).contains(&it)),
            "{found:?}"
        );
    };
    near(asked_in("timed"), 61);
    near(asked_in("plain"), 7200);
    near(asked_in("ended"), 10);
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

/// Owner, group, mode and inode of a service's socket.
fn file_of(server: &Server, name: &str) -> (u32, u32, u32, u64) {
    use std::os::unix::fs::MetadataExt;
    let path = server.directory().join(name);
    let file = std::fs::symlink_metadata(path).expect("a socket");
    (file.uid(), file.gid(), file.mode() & 0o7777, file.ino())
}

/// Whether an ordinary user may connect.
fn stranger_may_connect(server: &Server, name: &str) -> bool {
    let directory = server.directory().join("").to_string();
    std::fs::set_permissions(
        &directory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let path = server.directory().join(name);
    let mut socat = std::process::Command::new("socat");
    socat.args(["-", &format!("unix:{path}")]);
    become_user(&mut socat, ORDINARY_USER);
    run(&mut socat).code == Some(0)
}

#[test]
fn a_socket_has_the_owner_and_mode_that_the_table_says_and_a_reload_changes_them_in_place() {
    if without_root("gives sockets to others") {
        return;
    }
    let cat = "command = [\"/bin/cat\"]\nlisten = \"unix:{dir}/";
    let server = server()
        .service("plain", &format!("{cat}plain\""))
        .service(
            "closed",
            &format!(
                "{cat}closed\"\nsocket_user = 4711\nsocket_group = 4712\nsocket_mode = \"660\""
            ),
        )
        .service(
            "worker",
            "builtin = \"echo\"\nlisten = \"unix:{dir}/worker\"\nsocket_mode = \"0600\"",
        )
        .start();
    let (uid, gid, mode, _) = file_of(&server, "plain");
    assert_eq!((uid, gid, mode), (0, 0, 0o666));
    let (uid, gid, mode, inode) = file_of(&server, "closed");
    assert_eq!((uid, gid, mode), (4711, 4712, 0o660));
    assert_eq!(file_of(&server, "worker").2, 0o600);
    assert!(stranger_may_connect(&server, "plain"));
    assert!(!stranger_may_connect(&server, "closed"));
    let client = server.connect("closed");
    client.send("x").expect("x");

    let table = server.table();
    let other = format!("socket_user = {ORDINARY_USER}\nsocket_mode = \"0200\"");
    let closed = "socket_user = 4711\nsocket_group = 4712\nsocket_mode = \"660\"";
    server.reload_with(&table.replace(closed, &other));
    assert_eq!(file_of(&server, "closed"), (ORDINARY_USER, 0, 0o200, inode));
    assert!(stranger_may_connect(&server, "closed"));
    server.reload_with(&table.replace(closed, ""));
    assert_eq!(file_of(&server, "closed"), (0, 0, 0o666, inode));
    client.send("y").expect("y").half_close().expect_end();
    server.wait_ends("closed", 2);
    server.wait_ends("plain", 1);
    server.stop();
}

#[test]
fn a_socket_that_a_killed_server_has_left_to_another_user_is_replaced() {
    if without_root("gives sockets to others") {
        return;
    }
    let body =
        |path: &str| format!("builtin = \"echo\"\nlisten = \"unix:{path}\"\nsocket_user = 4711");
    let first = server().service("a", &body("{dir}/s")).start();
    let path = first.directory().join("s");
    let directory = first.kill();
    assert!(std::fs::symlink_metadata(&path).is_ok());
    let second = server().service("a", &body(&path)).start();
    let client = second.connect("a");
    client.send("x").expect("x").half_close().expect_end();
    second.stop();
    drop(directory);
}

#[test]
fn a_socket_that_cannot_be_given_away_is_not_bound_and_not_left_behind() {
    let mine = "command = [\"/bin/cat\"]\nlisten = \"unix:{dir}/s\"\nsocket_user = 4711";
    let server = server()
        .service("a", mine)
        .service("b", "builtin = \"echo\"")
        .as_ordinary_user()
        .start();
    let path = server.directory().join("s");
    let expected = format!(
        "cannot bind a (unix:{path}): chown: operation not permitted (EPERM); only root may give a \
         socket to another user, or to a group that it is not in"
    );
    server.log().wait_for(|line| line.0 == expected);
    assert!(!std::path::Path::new(&path).exists());
    server.stop();
}

#[test]
fn clients_come_by_the_interface_that_the_table_says() {
    in_own_network(|| {
        let ip = |words: &str| run(std::process::Command::new("ip").args(words.split(' ')));
        if ip("link add one type veth peer name two").code != Some(0) {
            return skip("there is no veth");
        }
        ip("link set one up").ok();
        ip("link set two up").ok();
        let cat = "command = [\"/bin/cat\"]\nlisten = \"tcp4:0\"";
        let server = server()
            .service("a", &format!("{cat}\nbind_device = \"lo\""))
            .service("b", &format!("{cat}\nbind_device = \"three\""))
            .start();
        let text = "setsockopt SO_BINDTODEVICE: no such device (ENODEV); this host does not have that \
                    network interface (ip link lists them)";
        server
            .log()
            .wait_for(|line| line.0.starts_with("cannot bind b ") && line.0.ends_with(text));
        let address = server.address("a", "").replace("0.0.0.0", "127.0.0.1");
        Client::connect(&address).half_close().expect_end();
        let table = server.table();
        server.reload_with(&table.replace("\"lo\"", "\"one\""));
        assert!(Client::try_connect(&address).is_err());
        server.reload_with(&table.replace("bind_device = \"lo\"", ""));
        Client::connect(&address).half_close().expect_end();
        server.wait_ends("a", 2);
        server.stop();
    });
}

#[test]
fn nobody_can_connect_to_a_socket_before_it_has_its_owner() {
    if without_root("gives sockets to others") || without_strace() {
        return;
    }
    let server = server().service("a", "builtin = \"echo\"").start();
    let calls = "trace=umask,bind,fchownat,chmod,listen";
    let strace = Strace::attach(server.pid(), &["-e", calls]);
    let table = format!(
        "{}\n[service.b]\nlisten = \"unix:{}\"\nbuiltin = \"echo\"\nsocket_user = 4711\nsocket_mode = \"660\"\n",
        server.table(),
        server.directory().join("s")
    );
    server.reload_with(&table);
    let traced = strace.detach();
    let order: Vec<&str> = traced
        .iter()
        .filter_map(|line| match line.split('(').next()? {
            "umask" if line.contains("umask(0777)") => Some("nothing is allowed"),
            "bind" if line.contains("AF_UNIX") => Some("bind"),
            "fchownat" if line.contains("4711, 0") => Some("owner"),
            "chmod" if line.contains(", 000") => Some("still nothing"),
            "chmod" if line.contains(", 0660") => Some("mode"),
            "listen" => Some("listen"),
            _ => None,
        })
        .collect();
    let expected = [
        "nothing is allowed",
        "bind",
        "still nothing",
        "owner",
        "mode",
        "listen",
    ];
    // The backlog of the other is set anew.
    assert!(
        order.ends_with(&expected) || order.starts_with(&expected),
        "{traced:?}"
    );
    server.stop();
}
