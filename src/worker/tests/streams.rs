//! The protocols over connections.

use super::*;
use nix::sys::socket as net;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Bytes in which every place can be told from its neighbours.
fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place * 31 + place / 251) as u8)
        .collect()
}

/// Sends everything and then the end, while everything that comes is read.
fn exchange(
    client: impl Read + Send,
    mut sender: impl Write + Send,
    sent: &[u8],
    end: impl FnOnce() + Send,
) -> Vec<u8> {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(sent).unwrap();
            end();
        });
        let (mut client, mut received) = (client, Vec::new());
        client.read_to_end(&mut received).unwrap();
        received
    })
}

#[test]
fn echo_gives_back_everything_after_a_half_close() {
    let mut it = Supervised::start(SETTINGS);
    let client = it.client(Builtin::Echo);
    let sent = text(10_000_000);
    let end = || client.shutdown(Shutdown::Write).unwrap();
    assert!(exchange(&client, &client, &sent, end) == sent);
    let (number, peer) = it.begun();
    assert_eq!(
        (number, peer),
        (1, Peer::Inet(client.local_addr().unwrap()))
    );
    assert_eq!(it.ended(), (1, 10_000_000, 10_000_000, Ending::Finished));
}

#[test]
fn echo_works_over_unix_streams() {
    let mut it = Supervised::start(SETTINGS);
    it.offer(Builtin::Echo, Transport::UnixStream, 1);
    let client = UnixStream::connect(it.path(1)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = text(1_000_000);
    let end = || client.shutdown(Shutdown::Write).unwrap();
    assert!(exchange(&client, &client, &sent, end) == sent);
    let ours = i32::try_from(std::process::id()).unwrap();
    assert!(matches!(it.begun(), (1, Peer::Unix { pid, .. }) if pid == ours));
    assert_eq!(it.ended(), (1, 1_000_000, 1_000_000, Ending::Finished));
}

/// A client that reads nothing stops being read; once it reads, it gets everything in order.
#[test]
fn echo_waits_for_a_client_that_does_not_read() {
    let mut it = Supervised::start(SETTINGS);
    let mut client = it.client(Builtin::Echo);
    let sent = text(30_000_000);
    client.set_nonblocking(true).unwrap();
    let mut count = 0;
    let mut poller = Poller::new(1).unwrap();
    poller.add(&client, Interest::Write, 0).unwrap();
    // Until both directions are full and stay so.
    while count < sent.len()
        && poller
            .wait(Some(Duration::from_millis(300)))
            .unwrap()
            .count()
            > 0
    {
        match client.write(&sent[count..]) {
            Ok(length) => count += length,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    assert!(count < sent.len(), "the worker takes what nobody reads");
    client.set_nonblocking(false).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == sent[..count]);
    it.begun();
    assert_eq!(
        it.ended(),
        (1, count as u64, count as u64, Ending::Finished)
    );
}

#[test]
fn discard_counts_and_answers_nothing() {
    let mut it = Supervised::start(SETTINGS);
    let mut client = it.client(Builtin::Discard);
    client.write_all(&text(3_000_000)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    it.begun();
    assert_eq!(it.ended(), (1, 3_000_000, 0, Ending::Finished));
    it.offer(Builtin::Discard, Transport::UnixStream, 1);
    let mut client = UnixStream::connect(it.path(2)).unwrap();
    client.write_all(&text(300_000)).unwrap();
    drop(client);
    it.begun();
    assert_eq!(it.ended(), (2, 300_000, 0, Ending::Finished));
}

#[test]
fn chargen_goes_on_until_the_client_leaves() {
    let mut it = Supervised::start(SETTINGS);
    let mut client = it.client(Builtin::Chargen);
    const CYCLE: usize = 95 * 74;
    client.write_all(b"thrown away").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // More than the kernel holds for us, so that the worker must have had its turn after that.
    let mut received = vec![0; CYCLE * 10_000];
    client.read_exact(&mut received).unwrap();
    let first = br##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##;
    for cycle in received.chunks(CYCLE) {
        assert_eq!(&cycle[..74], [&first[..], b"\r\n"].concat());
        assert_eq!(&cycle[74..78], b"!\"#$");
    }
    drop(client);
    it.begun();
    let (_, received, sent, ending) = it.ended();
    assert_eq!((received, ending), (11, Ending::ClientLeft));
    assert!(sent >= 70_300_000);
}

#[test]
fn daytime_is_one_line_of_local_time() {
    let mut it = Supervised::start(SETTINGS);
    let mut client = it.client(Builtin::Daytime);
    let before = crate::sys::time::Clock::new().now().unix;
    let mut line = String::new();
    client.read_to_string(&mut line).unwrap();
    let after = crate::sys::time::Clock::new().now().unix;
    let possible = (before - 5..=after).map(|unix| {
        let now = crate::sys::time::Moment {
            unix,
            local: crate::sys::time::local_time(unix),
        };
        String::from_utf8(
            crate::builtin::answer(Builtin::Daytime, b"", &now)
                .unwrap()
                .into(),
        )
        .unwrap()
    });
    assert!(possible.into_iter().any(|text| text == line), "{line:?}");
    it.begun();
    assert_eq!(it.ended(), (1, 0, 26, Ending::Finished));
}

#[test]
fn time_is_four_bytes() {
    let mut it = Supervised::start(SETTINGS);
    let mut client = it.client(Builtin::Time);
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    let seconds = u32::from_be_bytes(bytes.try_into().unwrap());
    let since_1970 = i64::from(seconds.wrapping_sub(2_208_988_800));
    let now = crate::sys::time::Clock::new().now().unix & 0xffff_ffff;
    assert!((now - since_1970).abs() < 100);
}

/// Input that waits unread when a socket is closed resets the connection.
#[test]
fn a_client_that_talks_to_daytime_is_not_reset() {
    let mut it = Supervised::start(SETTINGS);
    let listener = socket::bind(
        Transport::Tcp,
        &Address::Inet("127.0.0.1:0".parse().unwrap()),
        true,
        &Default::default(),
    )
    .unwrap();
    // The client has spoken before anybody accepts.
    let mut client = connect(&listener);
    client.write_all(&text(100_000)).unwrap();
    let order = Order::Listen {
        service: ServiceId(1),
        listener: ListenerId(1),
        work: Work::Builtin(Builtin::Daytime),
        transport: Transport::Tcp,
        max_connections: 1,
    };
    it.order(order, Some(&listener));
    assert_eq!(it.begun().0, 1);
    assert_eq!(it.ended(), (1, 100_000, 26, Ending::Finished));
    let mut line = String::new();
    client.read_to_string(&mut line).unwrap();
    assert_eq!(line.len(), 26);
}

#[test]
fn records_keep_their_boundaries() {
    let mut it = Supervised::start(SETTINGS);
    for builtin in [
        Builtin::Echo,
        Builtin::Chargen,
        Builtin::Daytime,
        Builtin::Time,
    ] {
        it.offer(builtin, Transport::UnixSeqpacket, 1);
    }
    let connect = |number| {
        let (family, kind) = (net::AddressFamily::Unix, net::SockType::SeqPacket);
        let client = net::socket(family, kind, net::SockFlag::SOCK_CLOEXEC, None).unwrap();
        net::connect(
            client.as_raw_fd(),
            &net::UnixAddr::new(it.path(number).as_str()).unwrap(),
        )
        .unwrap();
        client
    };
    let receive = |client: &OwnedFd| {
        let mut buffer = vec![0; 100_000];
        let length = net::recv(client.as_raw_fd(), &mut buffer, net::MsgFlags::empty()).unwrap();
        buffer.truncate(length);
        buffer
    };
    let echo = connect(1);
    // More than fits at once, so that some are kept.
    let lengths: Vec<usize> = (0..200).map(|n| 1 + n * 317 % 60_000).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for length in &lengths {
                net::send(echo.as_raw_fd(), &text(*length), net::MsgFlags::empty()).unwrap();
            }
        });
        for length in &lengths {
            assert!(receive(&echo) == text(*length));
        }
    });
    let chargen = connect(2);
    assert_eq!(
        (receive(&chargen).len(), &receive(&chargen)[..3]),
        (74, &b"!\"#"[..])
    );
    let daytime = connect(3);
    assert_eq!((receive(&daytime).len(), receive(&daytime).len()), (26, 0));
    let time = connect(4);
    assert_eq!((receive(&time).len(), receive(&time).len()), (4, 0));
}
