//! Sockets: every form of `listen` really bound, and what happens where one cannot be.

use crate::harness::*;
use nix::sys::stat::{Mode, umask};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};

/// A service `a` that answers "hi", at these elements of `listen`.
fn hi(listen: &str) -> Builder {
    server().service("a", &format!("listen = [{listen}]\n{HI}"))
}

const HI: &str = r#"command = ["/bin/echo", "hi"]"#;

/// A client there is answered, and its program has ended.
#[track_caller]
fn check_hi(server: &Server, address: &str) {
    let mark = server.log().mark();
    assert_eq!(Client::connect(address).read_text(), "hi\n", "{address}");
    server.log().wait_after(mark, |line| line.event() == "end");
}

/// Listens at these elements: the addresses are these, and each answers.
#[track_caller]
fn check_form(listen: &str, addresses: &[&str]) {
    let server = hi(listen).start();
    let mut found = server.addresses("a");
    found.sort();
    assert_eq!(found, addresses, "{listen}");
    for address in &found {
        check_hi(&server, address);
    }
    server.stop();
}

#[test]
fn a_number_is_every_address_of_both_families() {
    let port = free_port();
    let both = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    check_form(&port.to_string(), &[&both[0], &both[1]]);
}

#[test]
fn internet_forms() {
    let port = free_port();
    for (form, expected) in [
        ("127.0.0.1:PORT", &["127.0.0.1:PORT"][..]),
        ("[::1]:PORT", &["[::1]:PORT"]),
        ("localhost:PORT", &["127.0.0.1:PORT", "[::1]:PORT"]),
        ("tcp:PORT", &["0.0.0.0:PORT", "[::]:PORT"]),
        ("tcp4:PORT", &["0.0.0.0:PORT"]),
        ("tcp6:PORT", &["[::]:PORT"]),
        ("tcp6:localhost:PORT", &["[::1]:PORT"]),
    ] {
        let with_port = |text: &str| text.replace("PORT", &port.to_string());
        let expected: Vec<String> = expected.iter().map(|text| with_port(text)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check_form(&format!("{:?}", with_port(form)), &expected);
    }
}

#[test]
fn datagram_forms() {
    let port = free_port();
    for (form, expected) in [
        ("udp:PORT", &["udp:0.0.0.0:PORT", "udp:[::]:PORT"][..]),
        ("udp4:PORT", &["udp:0.0.0.0:PORT"]),
        ("udp6:PORT", &["udp:[::]:PORT"]),
        ("udp:[::1]:PORT", &["udp:[::1]:PORT"]),
        ("unix-dgram:{dir}/d", &["unix-dgram:DIR/d"]),
        (
            "unix-dgram:@oxinetd-test-PORT",
            &["unix-dgram:@oxinetd-test-PORT"],
        ),
    ] {
        let form = form.replace("PORT", &port.to_string());
        let server = server()
            .service("a", &format!("listen = \"{form}\"\nbuiltin = \"echo\""))
            .start();
        let directory = server.directory().path().display().to_string();
        let with_names = |text: &&str| {
            text.replace("PORT", &port.to_string())
                .replace("DIR", &directory)
        };
        let mut found = server.addresses("a");
        found.sort();
        assert_eq!(
            found,
            expected.iter().map(with_names).collect::<Vec<_>>(),
            "{form}"
        );
        for address in &found {
            UdpClient::connect(address, server.directory())
                .send("hi")
                .expect("hi");
        }
        server.stop();
    }
}

#[test]
fn unix_forms() {
    let name = format!("@oxinetd-test-{}", free_port());
    let server = server()
        .service(
            "path",
            &format!("listen = [\"unix:{{dir}}/s\", \"unix-seqpacket:{{dir}}/q\"]\n{HI}"),
        )
        .service(
            "abstract",
            &format!("listen = [\"unix:{name}\", \"unix-seqpacket:{name}\"]\n{HI}"),
        )
        .start();
    let addresses = [server.addresses("path"), server.addresses("abstract")].concat();
    assert_eq!(addresses.len(), 4);
    for address in addresses {
        check_hi(&server, &address);
    }
    server.stop();
}

#[test]
fn port_0_is_one_port_of_both_families() {
    let server = hi("0, 0").start();
    let ports: Vec<String> = server
        .addresses("a")
        .iter()
        .map(|address| port_of(address))
        .collect();
    assert_eq!(ports.len(), 4);
    let mut distinct = ports.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 2, "one for each element: {ports:?}");
    for address in server.addresses("a") {
        check_hi(&server, &address);
    }
    let kept = server.addresses("a");
    server.reload();
    assert_eq!(server.addresses("a"), kept, "a reload chooses no other");
    server.stop();
}

fn port_of(address: &str) -> String {
    address.rsplit(':').next().expect("a port").to_string()
}

#[test]
fn a_port_in_use_is_told_once_and_bound_when_it_is_free() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let server = hi(&format!("\"{address}\"")).service("b", HI).start();
    let expected = format!(
        "cannot bind a ({address}): address already in use (EADDRINUSE); another program has it (ss -lntup tells which)"
    );
    let told = || server.log().count(|line| line.0 == expected);
    assert_eq!(told(), 1);
    check_hi(&server, &server.address("b", ""));
    server.reload();
    assert_eq!(told(), 1, "no news in a reload");
    drop(other);
    server.log().wait_for(|line| line.is("listening", "a"));
    check_hi(&server, &server.address("a", ""));
    server.stop();
}

#[test]
fn a_low_port_needs_root_and_the_log_says_so() {
    in_own_network(|| {
        let server = server()
            .service("daytime", "listen = \"tcp4:13\"\nbuiltin = \"daytime\"")
            .service("b", HI)
            .as_ordinary_user()
            .start();
        let expected = "cannot bind daytime (0.0.0.0:13): permission denied (EACCES); ports below 1024 need root or CAP_NET_BIND_SERVICE";
        assert_eq!(
            server.log().count(|line| line.0.starts_with("cannot bind")),
            1
        );
        assert_eq!(server.log().count(|line| line.0 == expected), 1);
        check_hi(&server, &server.address("b", ""));
        server.stop();
    });
}

#[test]
fn a_stale_unix_socket_is_replaced() {
    let builder =
        hi("\"unix:{dir}/s\"").service("d", "listen = \"unix-dgram:{dir}/d\"\nbuiltin = \"echo\"");
    drop(UnixListener::bind(builder.directory().join("s")).unwrap());
    drop(UnixDatagram::bind(builder.directory().join("d")).unwrap());
    let server = builder.start();
    check_hi(&server, &server.address("a", ""));
    server.udp("d").send("hi").expect("hi");
    server.stop();
}

#[test]
fn a_unix_socket_that_is_served_is_left_alone() {
    let builder = hi("\"unix:{dir}/s\"").service("b", HI);
    let path = builder.directory().join("s");
    let other = UnixListener::bind(&path).unwrap();
    let server = builder.start();
    let expected = format!("cannot bind a (unix:{path}): address already in use (EADDRINUSE)");
    server.log().wait_for(|line| line.0.starts_with(&expected));
    let client = Client::connect(&format!("unix:{path}"));
    let (_, _) = other.accept().expect("still the other's");
    drop(client);
    server.reload_with(&format!("[service.b]\nlisten = \"127.0.0.1:0\"\n{HI}"));
    assert!(
        std::fs::symlink_metadata(&path).is_ok(),
        "removed though it is another's"
    );
    server.stop();
}

#[test]
fn whatever_is_no_socket_is_left_alone() {
    let builder = server()
        .service("file", &format!("listen = \"unix:{{dir}}/file\"\n{HI}"))
        .service("link", &format!("listen = \"unix:{{dir}}/link\"\n{HI}"))
        .service(
            "directory",
            &format!("listen = \"unix:{{dir}}/directory\"\n{HI}"),
        );
    let directory = builder.directory();
    directory.file("file", "precious");
    directory.directory("directory");
    drop(UnixListener::bind(directory.join("target")).unwrap());
    std::os::unix::fs::symlink(directory.join("target"), directory.join("link")).unwrap();
    let server = builder.start();
    for name in ["file", "link", "directory"] {
        let begins = format!("cannot bind {name} (unix:");
        server
            .log()
            .wait_for(|line| line.0.starts_with(&begins) && line.0.contains("EADDRINUSE"));
    }
    let kind = |name: &str| {
        std::fs::symlink_metadata(server.directory().join(name))
            .unwrap()
            .file_type()
    };
    assert_eq!(
        std::fs::read_to_string(server.directory().join("file")).unwrap(),
        "precious"
    );
    assert!(kind("link").is_symlink() && kind("directory").is_dir() && kind("target").is_socket());
    server.stop();
}

#[test]
fn anybody_may_connect_to_a_unix_socket_and_it_goes_with_its_service() {
    let server = hi("\"unix:{dir}/s\", \"unix-seqpacket:{dir}/q\"")
        .service("d", "listen = \"unix-dgram:{dir}/d\"\nbuiltin = \"echo\"")
        .before_exec(|| {
            umask(Mode::from_bits_truncate(0o077));
            Ok(())
        })
        .start();
    let paths = ["s", "q", "d"].map(|name| server.directory().join(name));
    for path in &paths {
        let mode = std::fs::symlink_metadata(path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o666, "{path}");
    }
    server.reload_with(&format!("[service.b]\nlisten = \"127.0.0.1:0\"\n{HI}"));
    let left: Vec<&String> = paths
        .iter()
        .filter(|path| std::fs::symlink_metadata(path).is_ok())
        .collect();
    assert!(left.is_empty(), "left behind after a reload: {left:?}");
    server.stop();
}

#[test]
fn unix_sockets_are_removed_at_the_stop() {
    let directory = Directory::new();
    let path = directory.join("s");
    let daemon = Daemon::start(&["wrap", &format!("unix:{path}"), "--", "/bin/echo", "hi"]);
    assert_eq!(daemon.connect().read_text(), "hi\n");
    daemon.wait_ends(1);
    assert!(std::fs::symlink_metadata(&path).is_ok());
    daemon.stop();
    assert!(std::fs::symlink_metadata(&path).is_err());
}

#[test]
fn a_client_of_ipv4_is_never_seen_as_one_of_ipv6() {
    let port = free_port();
    let body = format!(
        "listen = {port}\ncommand = [\"/bin/sh\", \"-c\", \"echo $PROTO $TCPREMOTEIP $TCPLOCALIP\"]"
    );
    let server = server().service("a", &body).start();
    let client = Client::connect(&format!("127.0.0.1:{port}"));
    assert_eq!(client.read_text(), "TCP 127.0.0.1 127.0.0.1\n");
    server.wait_ends("a", 1);
    let peer = format!("127.0.0.1:{}", client.port());
    assert_eq!(server.wait_start("a").field("peer"), Some(&*peer));
    // An IPv6 socket of a client that really speaks IPv4.
    Client::connect(&format!("[::ffff:127.0.0.1]:{port}")).read_text();
    server.wait_ends("a", 2);
    let starts = server.log().wait_for_many(2, |line| line.is("start", "a"));
    assert!(
        starts[1]
            .field("peer")
            .expect("peer=")
            .starts_with("127.0.0.1:"),
        "{}",
        starts[1]
    );
    server.stop();
}

#[test]
fn nobody_can_share_a_udp_port_with_us() {
    if without_root("binds as another user") {
        return;
    }
    let server = server()
        .service("a", "listen = \"udp4:0\"\nbuiltin = \"echo\"")
        .start();
    let port = port_of(&server.address("a", "udp:"));
    let script = r#"import os, socket, sys
os.setgid(61234); os.setuid(61234)
for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
    for address in ('0.0.0.0', '127.0.0.1'):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            s.bind((address, int(sys.argv[1]))); print('bound')
        except OSError as error: print(error.errno)
"#;
    let ran = run(std::process::Command::new("/usr/bin/python3").args(["-c", script, &port])).ok();
    assert_eq!(ran.stdout, "98\n98\n98\n98\n", "EADDRINUSE");
    server.udp("a").send("hi").expect("hi");
    server.stop();
}

#[test]
fn a_host_whose_kernel_has_no_ipv6_listens_on_ipv4() {
    let port = free_port();
    let table = format!("listen = [{port}, \"udp:{port}\"]\nbuiltin = \"echo\"");
    let asked = "listen = \"[::1]:0\"\nbuiltin = \"echo\"";
    let server = without_ipv6(server().service("a", &table).service("six", asked)).start();
    assert_eq!(
        server.addresses("a"),
        [format!("0.0.0.0:{port}"), format!("udp:0.0.0.0:{port}")]
    );
    server.connect("a").send("hi").expect("hi");
    server.udp("a").send("hi").expect("hi");
    let expected = "cannot bind six ([::1]:0): socket: address family not supported by protocol (EAFNOSUPPORT); this host does not have that kind of address";
    let told: Vec<String> = server
        .log()
        .lines()
        .iter()
        .map(|line| line.0.clone())
        .filter(|line| line.starts_with("cannot"))
        .collect();
    assert_eq!(
        told,
        [expected],
        "said of what was asked for, and of nothing else"
    );
    server.stop();
}

#[test]
fn a_host_without_ipv6_addresses_listens_on_those_of_ipv4() {
    in_own_network(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        let server = hi("\"localhost:7\"").start();
        assert_eq!(server.addresses("a"), ["127.0.0.1:7"]);
        assert_eq!(server.log().count(|line| line.0.starts_with("cannot")), 0);
        check_hi(&server, &server.address("a", ""));
        server.stop();
    });
}

#[test]
fn udp_and_tcp_share_a_port_number() {
    let port = free_port();
    let server = hi(&port.to_string())
        .service("u", &format!("listen = \"udp:{port}\"\nbuiltin = \"echo\""))
        .start();
    check_hi(&server, &server.address("a", ""));
    server.udp("u").send("hi").expect("hi");
    let taken = UdpSocket::bind(("127.0.0.1", port));
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    server.stop();
}
