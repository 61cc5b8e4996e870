//! Limits, timeouts, orders, and what happens when something runs out.

use super::super::Worker;
use super::*;
use crate::sys::queue::Diag;
use crate::table::Refusal;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Instant;

/// One byte there and back: the connection is being served.
fn ping(mut client: &TcpStream) {
    client.write_all(b"x").unwrap();
    let mut answer = [0; 1];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"x");
}

fn is_at_its_end(mut client: &TcpStream) -> bool {
    // A reset when something was left unread.
    matches!(client.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn a_connection_that_moves_nothing_is_closed_after_the_idle_timeout() {
    let mut it = Supervised::start(Settings {
        idle_timeout: Duration::from_secs(1),
        ..SETTINGS
    });
    let start = Instant::now();
    let echo = it.client(Builtin::Echo);
    let chargen = it.client(Builtin::Chargen);
    it.begun();
    it.begun();
    ping(&echo);
    assert!(is_at_its_end(&echo));
    assert!(start.elapsed() >= Duration::from_secs(1));
    let mut endings = [it.ended(), it.ended()];
    endings.sort_by_key(|ended| ended.0);
    assert_eq!(endings[0], (1, 1, 1, Ending::IdleTimeout));
    // It has sent what the client's kernel took, and the client has read nothing.
    assert!(endings[1].2 > 0 && endings[1].3 == Ending::IdleTimeout);
    drop(chargen);
}

#[test]
fn over_the_ceiling_the_oldest_idle_makes_way() {
    let mut it = Supervised::start(Settings {
        max_connections: 3,
        ..SETTINGS
    });
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 10);
    let clients: Vec<TcpStream> = (0..3)
        .map(|_| {
            let client = connect(&listener);
            ping(&client);
            it.begun();
            client
        })
        .collect();
    ping(&clients[0]);
    let fourth = connect(&listener);
    ping(&fourth);
    assert_eq!(it.ended(), (2, 1, 1, Ending::Evicted));
    assert_eq!(it.begun().0, 4);
    assert!(is_at_its_end(&clients[1]));
    ping(&clients[0]);
    ping(&clients[2]);
}

#[test]
fn over_the_ceiling_nobody_makes_way_for_a_client_that_is_refused() {
    let mut it = Supervised::start(Settings {
        max_connections: 7,
        ..SETTINGS
    });
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 8);
    let clients: Vec<TcpStream> = (0..7).map(|_| connect(&listener)).collect();
    for client in &clients {
        ping(client);
        it.begun();
    }
    let refused = connect(&listener);
    let reason = match it.next_report() {
        Report::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, Refusal::Share);
    assert!(is_at_its_end(&refused));
    clients.iter().for_each(ping);
}

#[test]
fn clients_of_a_full_service_wait_until_there_is_room() {
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 1);
    let other = it.offer(Builtin::Echo, Transport::Tcp, 1);
    let first = connect(&listener);
    ping(&first);
    it.begun();
    let second = connect(&listener);
    (&second).write_all(b"x").unwrap();
    // Served after the second has come: the second is not.
    let elsewhere = connect(&other);
    ping(&elsewhere);
    assert_eq!(it.begun().1, Peer::Inet(elsewhere.local_addr().unwrap()));
    drop(first);
    assert_eq!(it.ended().0, 1);
    assert_eq!(it.begun().1, Peer::Inet(second.local_addr().unwrap()));
    (&second).read_exact(&mut [0; 1]).unwrap();
}

#[test]
fn a_raised_limit_lets_the_waiting_in() {
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 1);
    let first = connect(&listener);
    ping(&first);
    let second = connect(&listener);
    it.order(
        Order::Limit {
            service: ServiceId(1),
            max_connections: 2,
        },
        None,
    );
    ping(&second);
    ping(&first);
}

#[test]
fn a_listener_that_is_given_up_keeps_its_sessions_and_its_queue() {
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 10);
    let other = it.offer(Builtin::Echo, Transport::Tcp, 10);
    let first = connect(&listener);
    ping(&first);
    it.begun();
    let id = ListenerId(1);
    it.order(Order::Unlisten { listener: id }, None);
    assert_eq!(it.next_report(), Report::Unlistened { listener: id });
    let waiting = connect(&listener);
    (&waiting).write_all(b"x").unwrap();
    ping(&first);
    // Served after the other has come: the other is not.
    let elsewhere = connect(&other);
    ping(&elsewhere);
    assert_eq!(it.begun().1, Peer::Inet(elsewhere.local_addr().unwrap()));
    let (service, listener_id) = (ServiceId(1), ListenerId(3));
    let (builtin, transport) = (Builtin::Echo, Transport::Tcp);
    let again = Order::Listen {
        service,
        listener: listener_id,
        work: Work::Builtin(builtin),
        transport,
        max_connections: 2,
    };
    it.order(again, Some(&listener));
    (&waiting).read_exact(&mut [0; 1]).unwrap();
    assert_eq!(it.begun().1, Peer::Inet(waiting.local_addr().unwrap()));
}

#[test]
fn the_end_of_the_control_socket_ends_the_worker_and_its_sessions() {
    let mut it = Supervised::start(SETTINGS);
    let client = it.client(Builtin::Echo);
    ping(&client);
    it.stop();
    assert!(is_at_its_end(&client));
}

#[test]
fn something_else_than_an_order_ends_the_worker() {
    for bytes in [&[7; LENGTH][..], &[1; LENGTH + 1], b"x"] {
        let (control, theirs) = record_pair().unwrap();
        send_record(control.as_fd(), bytes, &[]).unwrap();
        assert!(matches!(
            run(theirs.as_fd(), SETTINGS),
            Err(Failure::Order(_))
        ));
    }
}

#[test]
fn a_listener_without_its_socket_ends_the_worker() {
    let (control, theirs) = record_pair().unwrap();
    let order = Order::Listen {
        service: ServiceId(1),
        listener: ListenerId(9),
        work: Work::Builtin(Builtin::Echo),
        transport: Transport::Tcp,
        max_connections: 1,
    };
    send_record(control.as_fd(), &order.encode(), &[]).unwrap();
    assert_eq!(
        run(theirs.as_fd(), SETTINGS),
        Err(Failure::NoDescriptor(ListenerId(9)))
    );
}

/// Far more connections than the control socket holds reports of.
#[test]
fn no_report_is_lost_when_the_supervisor_does_not_read() {
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Time, Transport::Tcp, 100);
    let address = address(&listener);
    const CLIENTS: u32 = 12_000;
    let clients = std::thread::spawn(move || {
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(address).unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
        }
    });
    // Until the worker accepts no more because nobody reads: longer than any pause in its work, and
    // shorter than its rests.
    let is_waiting = || Diag::default().waiting(listener.as_fd(), Transport::Tcp) == Some(1);
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        assert!(!clients.is_finished(), "it accepts without end");
        if !is_waiting() {
            since = Instant::now();
        }
        std::thread::yield_now();
    }
    for number in 1..=CLIENTS {
        assert_eq!(it.begun().0, number);
        assert_eq!(it.ended(), (number, 0, 4, Ending::Finished));
    }
    clients.join().unwrap();
}

/// Single turns, without a thread.
#[test]
fn no_timer_runs_while_nobody_is_connected() {
    let (control, theirs) = record_pair().unwrap();
    let mut worker = Worker::new(theirs.as_fd(), SETTINGS).unwrap();
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let order = Order::Listen {
        service: ServiceId(1),
        listener: ListenerId(1),
        work: Work::Builtin(Builtin::Echo),
        transport: Transport::Udp,
        max_connections: 1,
    };
    send_record(control.as_fd(), &order.encode(), &[echo.as_fd()]).unwrap();
    assert_eq!(worker.next_deadline(), None);
    assert_eq!(worker.turn(), Ok(true));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"x", echo.local_addr().unwrap()).unwrap();
    assert_eq!(worker.turn(), Ok(true));
    // Counted and reported at once, so there is nothing to wake up for.
    assert_eq!(worker.next_deadline(), None);
    client.send_to(b"x", echo.local_addr().unwrap()).unwrap();
    assert_eq!(worker.turn(), Ok(true));
    assert!(worker.next_deadline().is_some());
    assert_eq!(worker.turn(), Ok(true));
    assert_eq!(worker.next_deadline(), None);
}

/// Set for a helper that runs in a process of its own.
const ALONE: &str = "OXINETD_TEST_ALONE";

/// The helpers below lower the limit of descriptors, and so have processes of their own.
fn alone(helper: &str) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("worker::tests::limits::{helper}"),
            "--ignored",
        ])
        .env(ALONE, "1")
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// Lets this process have no more descriptors than it has, but `more`.
fn leave_descriptors(more: u64) {
    // The lowest free number is the next that would be given out.
    let next = std::fs::File::open("/dev/null").unwrap();
    let next = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, next + more, hard).unwrap();
}

#[test]
fn without_descriptors_the_oldest_makes_way() {
    alone("helper_oldest_makes_way");
}

#[test]
#[ignore = "a helper"]
fn helper_oldest_makes_way() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 10);
    let first = connect(&listener);
    ping(&first);
    it.begun();
    leave_descriptors(1);
    let second = connect(&listener);
    ping(&second);
    assert_eq!(it.ended(), (1, 1, 1, Ending::Evicted));
    assert_eq!(it.begun().0, 2);
}

#[test]
fn without_descriptors_clients_wait_and_are_served_after_relief() {
    alone("helper_served_after_relief");
}

#[test]
#[ignore = "a helper"]
fn helper_served_after_relief() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let mut it = Supervised::start(SETTINGS);
    let listener = it.offer(Builtin::Echo, Transport::Tcp, 10);
    let other = it.offer(Builtin::Echo, Transport::Udp, 10);
    let canary = UdpSocket::bind("127.0.0.1:0").unwrap();
    canary.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask_canary = || {
        canary.send_to(b"x", address(&other)).unwrap();
        canary.recv(&mut [0; 1]).unwrap();
    };
    // Both listeners have arrived when the second answers.
    ask_canary();
    leave_descriptors(1);
    let client = connect(&listener);
    (&client).write_all(b"x").unwrap();
    let used = || nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let before = used().voluntary_context_switches();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(100));
        canary.send_to(b"x", address(&other)).unwrap();
        canary.recv(&mut [0; 1]).unwrap();
    }
    assert!(
        used().voluntary_context_switches() - before < 100,
        "it spins"
    );
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    (&client).read_exact(&mut [0; 1]).unwrap();
}
