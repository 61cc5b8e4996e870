//! Built-in services over datagrams, and whom they do not answer.

use super::{CHARGEN, builtin, check_daytime, check_time, echo};
use crate::harness::*;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// Every transport of datagrams.
const DATAGRAMS: &str = r#"["udp:127.0.0.1:0", "udp:[::1]:0", "unix-dgram:{dir}/d"]"#;

fn clients(server: &Server, service: &str) -> Vec<UdpClient> {
    let connect = |address: &String| UdpClient::connect(address, server.directory());
    server.addresses(service).iter().map(connect).collect()
}

#[test]
fn echo_answers_each_datagram_with_itself() {
    let server = echo(DATAGRAMS).start();
    for client in clients(&server, "echo") {
        client.send("one").send("").send(b"three\0\xff");
        client.expect("one").expect("");
        assert_eq!(client.receive(), b"three\0\xff");
        let long: Vec<u8> = (0..=255).cycle().take(60_000).collect();
        assert!(client.send(&long).receive() == long);
    }
    assert_eq!(server.stop().of("echo", "datagrams"), 12);
}

#[test]
fn daytime_and_time_answer_anything() {
    let server = builtin("daytime", DATAGRAMS)
        .service(
            "time",
            "listen = [\"udp:127.0.0.1:0\", \"unix-dgram:{dir}/t\"]\nbuiltin = \"time\"",
        )
        .env("TZ", "XYZ-5:45")
        .start();
    for client in clients(&server, "daytime") {
        check_daytime("XYZ-5:45", || {
            String::from_utf8(client.send("").receive()).unwrap()
        });
    }
    for client in clients(&server, "time") {
        check_time(|| client.send("time?").receive());
    }
    server.stop();
}

#[test]
fn discard_answers_nothing() {
    let server = builtin("discard", DATAGRAMS)
        .service("echo", "listen = \"udp:127.0.0.1:0\"\nbuiltin = \"echo\"")
        .start();
    let asked = clients(&server, "discard");
    asked.iter().for_each(|client| {
        client.send("one").send("two");
    });
    // Served after them, by the same loop.
    server.udp("echo").send("hi").expect("hi");
    asked.iter().for_each(|client| assert!(is_silent(client)));
    assert_eq!(server.stop().of("discard", "datagrams"), 6);
}

fn is_silent(client: &UdpClient) -> bool {
    use nix::sys::socket::recv;
    recv(
        client.fd().as_raw_fd(),
        &mut [0; 16],
        MsgFlags::MSG_DONTWAIT,
    ) == Err(nix::Error::EAGAIN)
}

#[test]
fn chargen_is_never_longer_than_the_request() {
    let server = builtin("chargen", DATAGRAMS).start();
    for client in clients(&server, "chargen") {
        for (request, answer) in [(1, 1), (72, 72), (100, 100), (512, 512), (5000, 512)] {
            let found = client.send(vec![b'x'; request]).receive();
            assert_eq!(found.len(), answer, "for {request} bytes");
            let first = CHARGEN[0].1.as_bytes();
            assert_eq!(found[..answer.min(72)], first[..answer.min(72)]);
        }
        // Nothing for nothing: the next answer is to the next request.
        client.send("").send("x").expect(" ");
    }
    server.stop();
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    let server = echo("[\"udp4:0\", \"udp6:0\"]").start();
    let port = server
        .address("echo", "udp:0.0.0.0:")
        .rsplit(':')
        .next()
        .unwrap()
        .to_string();
    for asked in ["127.0.0.5", "127.200.3.4", "127.0.0.1"] {
        // The client is connected, so that an answer from elsewhere would not reach it.
        let client = UdpClient::connect(&format!("udp:{asked}:{port}"), server.directory());
        client.send("hi").expect("hi");
    }
    let six = server.address("echo", "udp:[::]:");
    UdpClient::connect(&six, server.directory())
        .send("hi")
        .expect("hi");
    server.stop();
}

/// A socket on a port below 1024 that nobody has.
fn low_socket() -> UdpSocket {
    let bind = |port: u16| UdpSocket::bind(("127.0.0.1", port)).ok();
    (600..1024)
        .rev()
        .find_map(bind)
        .expect("a free port below 1024")
}

#[test]
fn ports_of_services_are_not_answered() {
    if without_root("binds a port below 1024") {
        return;
    }
    let server = echo("\"udp:127.0.0.1:0\"").start();
    let low = low_socket();
    low.set_nonblocking(true).unwrap();
    low.connect(target(&server, "echo")).unwrap();
    low.send(b"loop").unwrap();
    // One socket, one queue: when this is answered, the other was dealt with.
    server.udp("echo").send("hi").expect("hi");
    assert_eq!(
        low.recv(&mut [0; 16]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    assert_eq!(server.stop().of("echo", "datagrams"), 2);
}

fn target(server: &Server, service: &str) -> SocketAddrV4 {
    let address = server.address(service, "udp:127.");
    match address.trim_start_matches("udp:").parse().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("it begins with 127."),
    }
}

/// Sends a datagram with a source that is not ours.
fn forge(source: SocketAddrV4, target: SocketAddrV4, text: &[u8]) {
    let length = 28 + text.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    // No identification, no fragments; 64 hops; UDP; the kernel fills in the checksum.
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(target.ip().octets());
    for word in [source.port(), target.port(), 8 + text.len() as u16, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(text);
    let raw = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Raw,
    );
    let to = SockaddrIn::from(target);
    sendto(raw.unwrap().as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
}

#[test]
fn our_own_sockets_are_not_answered() {
    if without_root("forges datagrams") {
        return;
    }
    let server = echo("\"udp:127.0.0.1:0\"")
        .service("twin", "listen = \"udp4:0\"\nbuiltin = \"echo\"")
        .start();
    let echo = target(&server, "echo");
    let twin = {
        let port = server.address("twin", "udp:0.0.0.0:");
        SocketAddrV4::new(
            [127, 0, 0, 1].into(),
            port.rsplit(':').next().unwrap().parse().unwrap(),
        )
    };
    for (source, to) in [(twin, echo), (echo, twin), (echo, echo)] {
        forge(source, to, b"loop");
    }
    for service in ["echo", "twin"] {
        server.udp(service).send("hi").expect("hi");
    }
    let totals = server.stop();
    // The forged ones and ours: with an answer to one of them there would be no end.
    assert_eq!(
        (
            totals.of("echo", "datagrams"),
            totals.of("twin", "datagrams")
        ),
        (3, 2)
    );
}

#[test]
fn a_forged_source_of_somebody_else_is_answered() {
    if without_root("forges datagrams") {
        return;
    }
    let server = echo("\"udp:127.0.0.1:0\"").start();
    let victim = UdpSocket::bind("127.0.0.9:0").unwrap();
    let SocketAddr::V4(source) = victim.local_addr().unwrap() else {
        unreachable!("bound to IPv4")
    };
    forge(source, target(&server, "echo"), b"hi");
    let mut buffer = [0; 16];
    assert_eq!(
        victim.recv(&mut buffer).unwrap(),
        2,
        "the test's own forgery works"
    );
    server.stop();
}

#[test]
fn one_source_gets_so_many_answers_a_second() {
    let server = echo("\"udp4:0\"").start();
    let port = server
        .address("echo", "udp:")
        .rsplit(':')
        .next()
        .unwrap()
        .to_string();
    let from = |ip: &str| {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.connect(format!("127.0.0.1:{port}")).unwrap();
        socket
    };
    let (greedy, modest) = (from("127.0.0.7"), from("127.0.0.8"));
    greedy.set_nonblocking(true).unwrap();
    let (mut answers, since) = (0, Instant::now());
    for _ in 0..20 {
        (0..50).for_each(|_| drop(greedy.send(b"more")));
        // Answered though the other is over its rate, and after all of the other's.
        modest.send(b"hi").unwrap();
        assert_eq!(modest.recv(&mut [0; 16]).unwrap(), 2);
        while greedy.recv(&mut [0; 16]).is_ok() {
            answers += 1;
        }
    }
    let most = 200 + (since.elapsed().as_secs_f64() * 100.0) as usize + 1;
    assert!(
        (200..=most).contains(&answers),
        "{answers} answers, {most} would be right"
    );
    assert!(answers < 1000, "the machine is too slow for this test");
    server.stop();
}
