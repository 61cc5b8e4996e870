//! Clients that tell in a few words what they did not get, instead of ending the test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::world::Found;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    wait: Duration,
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer".into(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset".into(),
        ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => error.to_string(),
    }
}

impl Wire {
    pub(super) fn connect(
        source: Option<SocketAddr>,
        address: SocketAddr,
        wait: Duration,
    ) -> Found<Wire> {
        let stream = match source {
            None => TcpStream::connect_timeout(&address, wait),
            Some(source) => connect_from(source, address),
        };
        let stream = stream.map_err(|error| words(&error))?;
        let wire = Wire { stream, wait };
        wire.be_patient(wait);
        Ok(wire)
    }

    /// Waits so long from now on.
    pub(super) fn be_patient(&self, wait: Duration) {
        let wait = Some(wait);
        self.stream.set_read_timeout(wait).expect("a time");
        self.stream.set_write_timeout(wait).expect("a time");
    }

    /// Sends all of it.
    pub(super) fn send(&self, bytes: impl AsRef<[u8]>) -> Found<&Wire> {
        let sent = (&self.stream).write_all(bytes.as_ref());
        sent.map(|()| self).map_err(|error| words(&error))
    }

    /// Says that no more will be sent.
    pub(super) fn half_close(&self) -> Found<&Wire> {
        let done = self.stream.shutdown(Shutdown::Write);
        done.map(|()| self).map_err(|error| words(&error))
    }

    /// Reads exactly these.
    pub(super) fn expect(&self, bytes: impl AsRef<[u8]>) -> Found<&Wire> {
        let expected = bytes.as_ref();
        let found = self.read_exactly(expected.len())?;
        match found == expected {
            true => Ok(self),
            false => Err("other bytes".into()),
        }
    }

    pub(super) fn read_exactly(&self, count: usize) -> Found<Vec<u8>> {
        let mut bytes = vec![0; count];
        match (&self.stream).read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err("closed".into()),
            Err(error) => Err(words(&error)),
        }
    }

    /// Reads to the end, which must come.
    pub(super) fn read_all(&self) -> Found<Vec<u8>> {
        let end = Instant::now() + self.wait;
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65536]);
        loop {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if all.is_empty() => return Err(words(&error)),
                Err(error) => return Err(format!("{} before the end", words(&error))),
            }
            if Instant::now() > end {
                return Err("no end".into());
            }
        }
    }

    /// Whether nothing has come, not even the end.
    pub(super) fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a flag");
        let seen = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a flag");
        matches!(seen, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Closes so that the other side sees a reset.
    pub(super) fn reset(self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let done =
            nix::sys::socket::setsockopt(&self.stream, nix::sys::socket::sockopt::Linger, &linger);
        done.expect("SO_LINGER");
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

fn connect_from(source: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket,
    };
    use std::os::fd::AsRawFd;
    let kind = (AddressFamily::Inet, SockType::Stream);
    let fd = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(source))?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(TcpStream::from(fd))
}

/// A client of datagrams.
#[derive(Debug)]
pub(super) struct Datagrams(UdpSocket);

impl Datagrams {
    pub(super) fn connect(port: u16, address: SocketAddr, wait: Duration) -> Found<Datagrams> {
        let connected = || {
            // Not one that nobody but the host itself can have: some answer no such.
            let socket = UdpSocket::bind((super::world::OTHER_HOST, port))?;
            socket.connect(address)?;
            socket.set_read_timeout(Some(wait))?;
            Ok(socket)
        };
        connected().map(Datagrams).map_err(|error| words(&error))
    }

    /// Waits for a moment only from now on.
    pub(super) fn brief(&self) {
        let moment = Some(Duration::from_millis(200));
        self.0.set_read_timeout(moment).expect("a time");
    }

    /// Sends a datagram, and receives one.
    pub(super) fn ask(&self, bytes: impl AsRef<[u8]>) -> Found<Vec<u8>> {
        self.send(bytes)?;
        self.receive()
    }

    pub(super) fn send(&self, bytes: impl AsRef<[u8]>) -> Found<()> {
        let sent = self.0.send(bytes.as_ref());
        sent.map(drop).map_err(|error| words(&error))
    }

    pub(super) fn receive(&self) -> Found<Vec<u8>> {
        let mut buffer = vec![0; 65536];
        let length = self.0.recv(&mut buffer).map_err(|error| words(&error))?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Whether nothing has come.
    pub(super) fn is_silent(&self) -> bool {
        self.0.set_nonblocking(true).expect("a flag");
        let seen = self.0.recv(&mut [0; 2048]);
        self.0.set_nonblocking(false).expect("a flag");
        matches!(seen, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
