//! The `services.toml` at the top level, as it is shipped: whoever starts it, everything answers.

use crate::harness::*;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

fn shipped() -> Builder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("services.toml");
    server().table(&std::fs::read_to_string(path).unwrap())
}

/// Every port in it.
const PORTS: [u16; 8] = [10001, 10002, 10007, 10009, 10013, 10019, 10037, 10099];

#[test]
fn everything_answers_when_root_has_started_it() {
    in_own_network(|| {
        let server = shipped().start();
        check_every_service(&server);
        server.settle();
        server.stop();
    });
}

#[test]
fn everything_answers_when_an_ordinary_user_has_started_it() {
    if is_root() {
        return in_own_network(as_ordinary_user);
    }
    // Without a network of our own its ports may be taken.
    let is_free = |port: &u16| {
        TcpListener::bind(("127.0.0.1", *port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", *port)).is_ok()
    };
    match PORTS.iter().all(is_free) {
        true => as_ordinary_user(),
        false => skip("a port of services.toml is taken, and only root has networks of its own"),
    }
}

fn as_ordinary_user() {
    let server = shipped().as_ordinary_user().start();
    check_every_service(&server);
    server.settle();
    server.stop();
}

/// In both families, over datagrams, and over the Unix socket.
#[track_caller]
fn check_every_service(server: &Server) {
    assert_eq!(server.log().count(|line| line.0.starts_with("cannot")), 0);
    for ip in ["127.0.0.1", "[::1]"] {
        let address = |port: u16| format!("{ip}:{port}");
        check_programs(server, ip);
        check_builtins(&address);
        for port in [10007, 10013] {
            check_datagrams(server, &format!("udp:{}", address(port)), port);
        }
    }
    let client = Client::connect("unix:@oxinetd-echo");
    client.send("hi").expect("hi").half_close().expect_end();
}

fn check_programs(server: &Server, ip: &str) {
    assert_eq!(
        Client::connect(&format!("{ip}:10001")).read_text(),
        "Hello World\n"
    );
    let message = Client::connect(&format!("{ip}:10002"));
    message.send(format!("good morning from {ip}\n"));
    assert_eq!(message.read_text(), "I got your message\n");
    let text = format!("read: good morning from {ip}");
    let is_it = |line: &Line| line.is("stderr", "message") && line.field("line") == Some(&text);
    let line = server.log().wait_for(is_it);
    let started =
        |start: &Line| start.is("start", "message") && start.field("id") == line.field("id");
    server.log().wait_for(started);
    let cat = Client::connect(&format!("{ip}:10099"));
    cat.send("meow").expect("meow").half_close().expect_end();
}

fn check_builtins(address: &dyn Fn(u16) -> String) {
    let echo = Client::connect(&address(10007));
    echo.send("hi").expect("hi").half_close().expect_end();
    let discard = Client::connect(&address(10009));
    discard.send("hi").half_close().expect_end();
    check_daytime(&Client::connect(&address(10013)).read_text());
    let chargen = Client::connect(&address(10019));
    chargen.expect(r##" !"#$%&'()*+,-./0123456789:;<=>?@ABC"##);
    assert_eq!(Client::connect(&address(10037)).read_all().len(), 4);
}

fn check_datagrams(server: &Server, address: &str, port: u16) {
    let client = UdpClient::connect(address, server.directory());
    client.send("hi");
    match port {
        10013 => check_daytime(&String::from_utf8(client.receive()).unwrap()),
        _ => drop(client.expect("hi")),
    }
}

/// `Fri Nov 20 11:03:58 2026`, with CR and LF.
fn check_daytime(text: &str) {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(text.len(), 26, "{text:?}");
    assert!(shape.ends_with(" 99:99:99 9999\r\n"), "{text:?}");
    assert!(
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&&text[..3]),
        "{text:?}"
    );
}

#[test]
fn nothing_in_it_can_be_reached_from_outside() {
    in_own_network(|| {
        let server = shipped().start();
        for service in [
            "hello", "message", "cat", "daytime", "time", "echo", "discard", "chargen",
        ] {
            for address in server.addresses(service) {
                let address = address.trim_start_matches("udp:");
                let is_local = ["127.0.0.1:", "[::1]:", "unix:@"]
                    .iter()
                    .any(|begins| address.starts_with(begins));
                assert!(is_local, "{service}: {address}");
            }
        }
        server.stop();
    });
}
