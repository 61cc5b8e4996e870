//! The protocols over datagrams.

use super::*;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

fn udp_client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn ask(client: &UdpSocket, server: SocketAddr, request: &[u8]) -> Vec<u8> {
    client.send_to(request, server).unwrap();
    let mut buffer = vec![0; 70_000];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(from, server);
    buffer.truncate(length);
    buffer
}

/// Sums of the reports of one service, until so many have been received.
fn counted(it: &mut Supervised, service: u32, until: u64) -> [u64; 4] {
    let mut sums = [0; 4];
    while sums[0] < until {
        match it.next_report() {
            Report::Datagrams {
                service: ServiceId(id),
                received,
                answered,
                unsafe_source,
                over_rate,
                ..
            } if id == service => {
                let counts = [received, answered, unsafe_source, over_rate];
                sums = std::array::from_fn(|index| sums[index] + counts[index]);
            }
            _ => {}
        }
    }
    sums
}

#[test]
fn every_protocol_answers_over_udp() {
    let mut it = Supervised::start(SETTINGS);
    let client = udp_client();
    let echo = address(&it.offer(Builtin::Echo, Transport::Udp, 1));
    assert_eq!(ask(&client, echo, b"abc"), b"abc");
    assert_eq!(ask(&client, echo, b""), b"");
    let largest: Vec<u8> = (0..65_507u32).map(|place| (place / 3) as u8).collect();
    assert!(ask(&client, echo, &largest) == largest);
    let daytime = address(&it.offer(Builtin::Daytime, Transport::Udp, 1));
    assert_eq!(ask(&client, daytime, b"").len(), 26);
    let time = address(&it.offer(Builtin::Time, Transport::Udp, 1));
    assert_eq!(ask(&client, time, b"").len(), 4);
    let chargen = address(&it.offer(Builtin::Chargen, Transport::Udp, 1));
    client.send_to(b"", chargen).unwrap();
    assert_eq!(ask(&client, chargen, b"abc"), b" !\"");
    assert_eq!(ask(&client, chargen, &largest).len(), 512);
    assert_eq!(counted(&mut it, 4, 3), [3, 2, 0, 0]);
}

#[test]
fn discard_takes_datagrams_and_answers_none() {
    let mut it = Supervised::start(SETTINGS);
    let discard = address(&it.offer(Builtin::Discard, Transport::Udp, 1));
    let client = udp_client();
    client.send_to(b"abc", discard).unwrap();
    client.send_to(b"", discard).unwrap();
    assert_eq!(counted(&mut it, 1, 2), [2, 0, 0, 0]);
}

#[test]
fn our_own_sockets_are_not_answered_until_they_are_gone() {
    let mut it = Supervised::start(SETTINGS);
    let echo = address(&it.offer(Builtin::Echo, Transport::Udp, 1));
    let (sibling, client) = (udp_client(), udp_client());
    let port = sibling.local_addr().unwrap().port();
    let own = SocketAddr::from(([0, 0, 0, 0], port));
    it.order(Order::OwnUdp { address: own }, None);
    sibling.send_to(b"storm", echo).unwrap();
    // The worker takes orders and datagrams in any order, but its queue is in order.
    assert_eq!(ask(&client, echo, b"x"), b"x");
    let [_, _, unsafe_source, _] = counted(&mut it, 1, 2);
    if unsafe_source == 0 {
        sibling.recv(&mut [0; 8]).unwrap();
        sibling.send_to(b"storm", echo).unwrap();
        assert_eq!(counted(&mut it, 1, 1), [1, 0, 1, 0]);
    }
    it.order(Order::ForgetUdp { address: own }, None);
    // Whichever of them comes first after the order is answered.
    sibling
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let answered = (0..100).any(|_| {
        sibling.send_to(b"client", echo).unwrap();
        sibling.recv(&mut [0; 8]).is_ok()
    });
    assert!(answered);
}

#[test]
fn a_source_that_floods_gets_its_share_and_others_theirs() {
    let mut it = Supervised::start(SETTINGS);
    let time = address(&it.offer(Builtin::Time, Transport::Udp, 1));
    let client = udp_client();
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_nonblocking(true).unwrap();
    let start = std::time::Instant::now();
    for _ in 0..20 {
        for _ in 0..50 {
            client.send_to(b"", time).unwrap();
        }
        // Answered after the fifty were looked at.
        assert_eq!(ask(&other, time, b"").len(), 4);
    }
    let most = 201 + 100 * start.elapsed().as_millis() / 1000;
    let answers = std::iter::repeat_with(|| client.recv(&mut [0; 4])).take_while(Result::is_ok);
    let answers = answers.count();
    assert!(
        (200..=most as usize).contains(&answers),
        "{answers} of {most}"
    );
}

#[test]
fn unix_datagrams_are_answered_by_name() {
    let mut it = Supervised::start(SETTINGS);
    it.offer(Builtin::Echo, Transport::UnixDatagram, 1);
    let client = UnixDatagram::bind(it.path(99)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    UnixDatagram::unbound()
        .unwrap()
        .send_to(b"nameless", it.path(1))
        .unwrap();
    client.send_to(b"abc", it.path(1)).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(client.recv(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"abc");
    assert_eq!(counted(&mut it, 1, 2), [2, 1, 0, 0]);
}
