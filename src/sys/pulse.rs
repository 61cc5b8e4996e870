//! How a TCP connection is that was given away: what it has moved, and whether it is still there, by
//! sock_diag(7).
//!
//! No descriptor of it is held: the kernel finds it by its addresses, and tells it from a later one
//! of the same addresses by its cookie. Nothing here waits.

use super::queue::Diag;
use nix::libc;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY`, `NLMSG_ERROR`, `INET_DIAG_INFO` of the kernel's headers.
const BY_FAMILY: u16 = 20;
const ERROR: u16 = 2;
const INFO: u16 = 2;
/// Lengths of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// States in which both sides have said their last: TIME_WAIT, CLOSE, LAST_ACK, CLOSING.
const OVER: [u8; 4] = [6, 7, 9, 11];
/// Where in `tcp_info` these are: tcpi_last_data_sent, tcpi_last_data_recv, tcpi_bytes_acked,
/// tcpi_bytes_received, tcpi_data_segs_in.
const LAST_SENT: usize = 44;
const LAST_RECEIVED: usize = 52;
const ACKED: usize = 120;
const RECEIVED: usize = 128;
const SEGMENTS: usize = 152;

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Our address.
    pub local: SocketAddr,
    /// The client's.
    pub peer: SocketAddr,
    /// What no other socket of this boot has (SO_COOKIE).
    pub cookie: u64,
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// It is over: reset, timed out, or closed by both sides.
    Gone,
    /// It is there; a client that has closed its own direction only is.
    There {
        /// Bytes that came from the client, and bytes that it has acknowledged.
        moved: (u64, u64),
        /// Whether the client has sent anything.
        has_spoken: bool,
        /// How long ago anything was sent, again perhaps, or came.
        quiet: Duration,
    },
}

/// Asks for the pulse of a connection. `None` where the kernel does not answer.
pub fn pulse(diag: &mut Diag, ends: &Ends) -> Option<Pulse> {
    let mut answer = [0; 1024];
    let length = diag.ask(&question(ends), &mut answer)?;
    read(answer.get(..length)?)
}

/// Whether the kernel answers such questions at all: it says of every connection that it is not there
/// where it has no `tcp_diag`.
pub fn is_answered(diag: &mut Diag) -> bool {
    let mut known = || {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).ok()?;
        let ends = Ends {
            local: listener.local_addr().ok()?,
            peer: (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            cookie: super::destroyed::cookie(std::os::fd::AsFd::as_fd(&listener))?,
        };
        pulse(diag, &ends)
    };
    matches!(known(), Some(Pulse::There { .. }))
}

/// `nlmsghdr` and `inet_diag_req_v2` for one connection.
fn question(ends: &Ends) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    let (family, scope) = match ends.peer {
        SocketAddr::V4(_) => (libc::AF_INET, 0),
        SocketAddr::V6(peer) => (libc::AF_INET6, peer.scope_id()),
    };
    bytes.extend([family as u8, libc::IPPROTO_TCP as u8, 1 << (INFO - 1), 0]);
    // Any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(ends.local.port().to_be_bytes());
    bytes.extend(ends.peer.port().to_be_bytes());
    bytes.extend(sixteen(ends.local.ip()));
    bytes.extend(sixteen(ends.peer.ip()));
    bytes.extend(scope.to_ne_bytes());
    // Two words, the low one first.
    bytes.extend((ends.cookie as u32).to_ne_bytes());
    bytes.extend(((ends.cookie >> 32) as u32).to_ne_bytes());
    bytes
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
    }
}

fn read(answer: &[u8]) -> Option<Pulse> {
    match u16_at(answer, 4)? {
        BY_FAMILY => {}
        ERROR => {
            let number = u32_at(answer, HEADER)? as i32;
            return (number == -libc::ENOENT).then_some(Pulse::Gone);
        }
        _ => return None,
    }
    if OVER.contains(answer.get(HEADER + 1)?) {
        return Some(Pulse::Gone);
    }
    let mut at = HEADER + MESSAGE;
    loop {
        let (length, kind) = (usize::from(u16_at(answer, at)?), u16_at(answer, at + 2)?);
        if kind == INFO {
            let info = answer.get(at + 4..at + length.max(4))?;
            let quiet = u32_at(info, LAST_SENT)?.min(u32_at(info, LAST_RECEIVED)?);
            return Some(Pulse::There {
                moved: (u64_at(info, RECEIVED)?, u64_at(info, ACKED)?),
                has_spoken: u32_at(info, SEGMENTS)? > 0,
                quiet: Duration::from_millis(quiet.into()),
            });
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::destroyed::cookie;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    fn moved(pulse: Option<Pulse>) -> ((u64, u64), bool) {
        match pulse {
            Some(Pulse::There {
                moved, has_spoken, ..
            }) => (moved, has_spoken),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_connection_is_followed_from_its_first_byte_to_its_end() {
        let mut diag = Diag::default();
        assert!(is_answered(&mut diag));
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut ours, peer) = listener.accept().unwrap();
            let ends = Ends {
                local: ours.local_addr().unwrap(),
                peer,
                cookie: cookie(ours.as_fd()).unwrap(),
            };
            let mut ask = || pulse(&mut diag, &ends);
            assert_eq!(moved(ask()), ((0, 0), false));
            client.write_all(b"hello").unwrap();
            ours.read_exact(&mut [0; 5]).unwrap();
            assert_eq!(moved(ask()), ((5, 0), true));
            ours.write_all(b"yes").unwrap();
            client.read_exact(&mut [0; 3]).unwrap();
            // An end is no byte that was said, and a client that has closed one direction is there.
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0);
            assert!(matches!(ask(), Some(Pulse::There { .. })));
            // The other end, and another connection of these addresses, are not this one.
            let other = Ends {
                cookie: ends.cookie ^ 1,
                ..ends
            };
            assert_eq!(pulse(&mut diag, &other), Some(Pulse::Gone));
            ours.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
            assert_eq!(pulse(&mut diag, &ends), Some(Pulse::Gone));
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        for length in 0..HEADER + MESSAGE {
            let mut answer = vec![0; length];
            if length > 4 {
                answer[4] = 20;
            }
            assert_eq!(read(&answer), None, "{length}");
        }
    }
}
