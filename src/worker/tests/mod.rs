//! The loop on a thread of the test, a socket pair for a supervisor, and real clients.

mod datagrams;
mod limits;
mod relays;
mod streams;

use super::{Failure, Settings, run};
use crate::control::{BATCH, Ending, LENGTH, ListenerId, Order, Report, ServiceId, Work};
use crate::sys::poll::{Interest, Poller};
use crate::sys::socket::{self, Peer, receive_record, record_pair, send_record};
use crate::table::{Address, Builtin, Endpoint, Transport};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

const SETTINGS: Settings = Settings {
    max_connections: 100,
    idle_timeout: Duration::from_secs(600),
    patience: Duration::from_secs(600),
    descriptors: 10_000,
};

/// A worker, seen from its supervisor.
struct Supervised {
    control: Option<OwnedFd>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
    poller: Poller,
    arrived: VecDeque<Report>,
    directory: tempfile::TempDir,
    listeners: u32,
}

impl Supervised {
    fn start(settings: Settings) -> Supervised {
        let (control, theirs) = record_pair().unwrap();
        let poller = Poller::new(1).unwrap();
        poller.add(&control, Interest::Read, 0).unwrap();
        Supervised {
            control: Some(control),
            thread: Some(std::thread::spawn(move || run(theirs.as_fd(), settings))),
            poller,
            arrived: VecDeque::new(),
            directory: tempfile::tempdir().unwrap(),
            listeners: 0,
        }
    }

    fn order(&self, order: Order, descriptor: Option<&OwnedFd>) {
        let control = self.control.as_ref().unwrap();
        let descriptors: Vec<_> = descriptor.into_iter().map(AsFd::as_fd).collect();
        send_record(control.as_fd(), &order.encode(), &descriptors).unwrap();
    }

    /// Has a new listener served. Its number is that of the service, and counted from 1. The answer
    /// is the supervisor's copy.
    fn offer(&mut self, builtin: Builtin, transport: Transport, max_connections: u32) -> OwnedFd {
        self.offer_work(Work::Builtin(builtin), transport, max_connections)
    }

    fn offer_work(&mut self, work: Work, transport: Transport, max_connections: u32) -> OwnedFd {
        self.listeners += 1;
        let number = self.listeners;
        let address = match transport {
            Transport::Tcp | Transport::Udp => Address::Inet("127.0.0.1:0".parse().unwrap()),
            _ => Address::Path(self.path(number)),
        };
        let endpoint = Endpoint {
            transport,
            address,
            entry: 0,
            optional: false,
        };
        let socket = socket::bind(
            endpoint.transport,
            &endpoint.address,
            true,
            &Default::default(),
        )
        .unwrap();
        let (service, listener) = (ServiceId(number), ListenerId(number));
        self.order(
            Order::Listen {
                service,
                listener,
                work,
                transport,
                max_connections,
            },
            Some(&socket),
        );
        socket
    }

    /// Where the Unix socket of that number is.
    fn path(&self, number: u32) -> String {
        self.directory
            .path()
            .join(number.to_string())
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// A TCP service, and one client of it.
    fn client(&mut self, builtin: Builtin) -> TcpStream {
        let listener = self.offer(builtin, Transport::Tcp, 10);
        connect(&listener)
    }

    fn next_report(&mut self) -> Report {
        while self.arrived.is_empty() {
            self.receive();
        }
        self.arrived.pop_front().unwrap()
    }

    fn receive(&mut self) {
        let count = self.poller.wait(Some(PATIENCE)).unwrap().count();
        assert_eq!(count, 1, "no report came");
        let mut message = [0; BATCH * LENGTH];
        let control = self.control.as_ref().unwrap();
        let (length, _) = receive_record(control.as_fd(), &mut message).unwrap();
        assert!(length > 0, "the worker has ended");
        let records = message[..length].chunks(LENGTH);
        self.arrived
            .extend(records.map(|record| Report::decode(record).unwrap()));
    }

    /// Waits until the worker has gone round its loop: it has answered an order.
    fn have_turn(&mut self) {
        let prefix = ("192.0.2.1".parse().unwrap(), 32);
        self.order(Order::Unban { serial: 1, prefix }, None);
        let answer = Report::Obeyed { serial: 1 };
        while !self.arrived.contains(&answer) {
            self.receive();
        }
        self.arrived.retain(|report| *report != answer);
    }

    /// The number and peer of the connection that has begun next.
    fn begun(&mut self) -> (u32, Peer) {
        match self.next_report() {
            Report::Began { number, peer, .. } => (number, peer),
            other => panic!("{other:?}"),
        }
    }

    /// Number, bytes received, bytes sent and reason of the connection that has ended next.
    fn ended(&mut self) -> (u32, u64, u64, Ending) {
        match self.next_report() {
            Report::Ended {
                number,
                received,
                sent,
                ending,
                ..
            } => (number, received, sent, ending),
            other => panic!("{other:?}"),
        }
    }

    /// Closes the control socket: the worker ends, and well.
    fn stop(&mut self) {
        self.control = None;
        if let Some(thread) = self.thread.take() {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

fn address(listener: &OwnedFd) -> SocketAddr {
    socket::local_address(listener.as_fd()).unwrap().unwrap()
}

fn connect(listener: &OwnedFd) -> TcpStream {
    let client = TcpStream::connect(address(listener)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}
