//! Datagrams that we answer ourselves: who sent one, which of our addresses it was sent to, and an
//! answer that leaves from there (ip(7), IP_PKTINFO; ipv6(7), IPV6_RECVPKTINFO).
//!
//! Nothing waits. Only the worker uses this: the supervisor reads no byte that a client sent.

use super::Errno;
use super::address::Transport;
use nix::sys::socket as net;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    SockaddrStorage, UnixAddr, sockopt,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where a datagram came from, and so where its answer goes.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// Over UDP: the sender, and the address that it asked.
    Udp {
        /// As the kernel says it.
        source: SocketAddr,
        /// What the answer is to leave from.
        asked: Asked,
    },
    /// Over a Unix socket that is bound.
    Unix(UnixAddr),
    /// Over a Unix socket without a name: it cannot be answered.
    Nameless,
}

/// The destination of a UDP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Over IPv4.
    V4 {
        /// The address in the header.
        header: Ipv4Addr,
        /// Our own address for it, which differs when the datagram was broadcast or multicast.
        own: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// The address in the header.
        header: Ipv6Addr,
        /// The interface that it came by.
        interface: u32,
    },
    /// The kernel has not said.
    Unknown,
}

impl Asked {
    /// Whether it was sent to us alone.
    pub fn is_unicast(&self) -> bool {
        match self {
            Asked::V4 { header, own } => header == own,
            Asked::V6 { header, .. } => !header.is_multicast(),
            Asked::Unknown => false,
        }
    }
}

/// Asks the kernel to say of each datagram which address it was sent to. Without effect on Unix
/// sockets.
pub fn ask_for_destination(socket: BorrowedFd) -> Result<(), Errno> {
    let address: SockaddrStorage = net::getsockname(socket.as_raw_fd())?;
    if address.as_sockaddr_in().is_some() {
        net::setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)
    } else if address.as_sockaddr_in6().is_some() {
        net::setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
    } else {
        Ok(())
    }
}

/// Receives one from a socket that does not block; what does not fit the buffer is lost.
pub fn receive(
    socket: BorrowedFd,
    transport: Transport,
    buffer: &mut [u8],
) -> Result<(usize, Origin), Errno> {
    match transport {
        Transport::UnixDatagram => receive_unix(socket, buffer),
        _ => receive_udp(socket, buffer),
    }
}

fn receive_udp(socket: BorrowedFd, buffer: &mut [u8]) -> Result<(usize, Origin), Errno> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let fd = socket.as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = net::recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut space), flags)?;
    let asked = message
        .cmsgs()
        .map(|mut all| all.find_map(|one| asked(&one)));
    let asked = asked.ok().flatten().unwrap_or(Asked::Unknown);
    let origin = match message.address.and_then(|address| inet_address(&address)) {
        Some(source) => Origin::Udp { source, asked },
        None => Origin::Nameless,
    };
    Ok((message.bytes, origin))
}

fn inet_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddrV4::from(*v4).into());
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddrV6::from(*v6).into())
    })
}

fn receive_unix(socket: BorrowedFd, buffer: &mut [u8]) -> Result<(usize, Origin), Errno> {
    let (length, name) = net::recvfrom::<UnixAddr>(socket.as_raw_fd(), buffer)?;
    let bound = name.filter(|name| name.path().is_some() || name.as_abstract().is_some());
    Ok((length, bound.map_or(Origin::Nameless, Origin::Unix)))
}

fn asked(message: &ControlMessageOwned) -> Option<Asked> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let header = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
            let own = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
            // One that came before the socket option was set lacks our own address. The header's
            // does as well: where it is not ours the kernel refuses to send from it.
            Some(Asked::V4 {
                header,
                own: if own.is_unspecified() { header } else { own },
            })
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::V6 {
            header: info.ipi6_addr.s6_addr.into(),
            interface: info.ipi6_ifindex,
        }),
        _ => None,
    }
}

/// Sends an answer to where a datagram came from, from where it was sent to.
pub fn answer(socket: BorrowedFd, bytes: &[u8], origin: &Origin) -> Result<(), Errno> {
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let send = |control: &[ControlMessage], to: &SockaddrStorage| {
        net::sendmsg(socket.as_raw_fd(), &parts, control, flags, Some(to)).map(drop)
    };
    match *origin {
        Origin::Nameless => Err(Errno::EDESTADDRREQ),
        Origin::Unix(name) => {
            net::sendmsg(socket.as_raw_fd(), &parts, &[], flags, Some(&name)).map(drop)
        }
        Origin::Udp { source, asked } => match asked {
            Asked::V4 { own, .. } => send(
                &[ControlMessage::Ipv4PacketInfo(&leaving_v4(own))],
                &source.into(),
            ),
            Asked::V6 { header, interface } => send(
                &[ControlMessage::Ipv6PacketInfo(&leaving_v6(
                    header, interface,
                ))],
                &source.into(),
            ),
            Asked::Unknown => send(&[], &source.into()),
        },
    }
}

/// The interface is left to the routes, which need not lead back where the datagram came from.
fn leaving_v4(own: Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from(own).to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

/// Likewise, but link-local addresses mean nothing without their interface.
fn leaving_v6(own: Ipv6Addr, interface: u32) -> libc::in6_pktinfo {
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: own.octets(),
        },
        ipi6_ifindex: if own.is_unicast_link_local() {
            interface
        } else {
            0
        },
    }
}

/// Whether an address is one of this host's: whether a socket could be bound to it. True also when
/// that cannot be found out.
pub fn is_own_address(address: SocketAddr) -> bool {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let Ok(socket) = net::socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None) else {
        return true;
    };
    let mut address = address;
    address.set_port(0);
    net::bind(socket.as_raw_fd(), &SockaddrStorage::from(address)) != Err(Errno::EADDRNOTAVAIL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    /// Asks a wildcard socket at one of its addresses, and says where the answer came from.
    fn answered_from(wildcard: &str, asked: &str) -> SocketAddr {
        let server = UdpSocket::bind((wildcard, 0)).unwrap();
        ask_for_destination(server.as_fd()).unwrap();
        let client = UdpSocket::bind((asked, 0)).unwrap();
        let to = (asked, server.local_addr().unwrap().port());
        client.send_to(b"question", to).unwrap();
        let mut buffer = [0; 64];
        let (length, origin) = receive_udp(server.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        answer(server.as_fd(), b"answer", &origin).unwrap();
        let (_, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from.port(), to.1);
        from
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        assert_eq!(
            answered_from("0.0.0.0", "127.0.0.1").ip().to_string(),
            "127.0.0.1"
        );
        assert_eq!(
            answered_from("0.0.0.0", "127.1.2.3").ip().to_string(),
            "127.1.2.3"
        );
        assert_eq!(answered_from("::", "::1").ip().to_string(), "::1");
    }

    #[test]
    fn a_datagram_from_before_the_option_is_answered_too() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .send_to(b"early", ("127.9.9.9", server.local_addr().unwrap().port()))
            .unwrap();
        ask_for_destination(server.as_fd()).unwrap();
        let (_, origin) = receive_udp(server.as_fd(), &mut [0; 64]).unwrap();
        let Origin::Udp { asked, .. } = origin else {
            panic!("{origin:?}")
        };
        assert!(asked.is_unicast());
        answer(server.as_fd(), b"answer", &origin).unwrap();
        let (_, from) = client.recv_from(&mut [0; 64]).unwrap();
        assert_eq!(from.ip().to_string(), "127.9.9.9");
    }

    #[test]
    fn a_broadcast_is_no_unicast() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        ask_for_destination(server.as_fd()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_broadcast(true).unwrap();
        client
            .send_to(
                b"all",
                ("127.255.255.255", server.local_addr().unwrap().port()),
            )
            .unwrap();
        let (_, origin) = receive_udp(server.as_fd(), &mut [0; 64]).unwrap();
        let Origin::Udp { asked, .. } = origin else {
            panic!("{origin:?}")
        };
        assert!(!asked.is_unicast(), "{asked:?}");
    }

    #[test]
    fn the_kernel_refuses_to_send_from_an_address_that_is_not_ours_alone() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let answer_from = |own: [u8; 4]| {
            let (own, source) = (own.into(), "127.0.0.1:9".parse().unwrap());
            let asked = Asked::V4 { header: own, own };
            answer(server.as_fd(), b"answer", &Origin::Udp { source, asked })
        };
        assert_eq!(answer_from([127, 0, 0, 1]), Ok(()));
        assert!(answer_from([127, 255, 255, 255]).is_err());
        assert!(answer_from([224, 0, 0, 1]).is_err());
        assert!(answer_from([255, 255, 255, 255]).is_err());
    }

    #[test]
    fn unix_clients_are_answered_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let (here, there) = (
            directory.path().join("server"),
            directory.path().join("client"),
        );
        let server = UnixDatagram::bind(&here).unwrap();
        ask_for_destination(server.as_fd()).unwrap();
        let named = UnixDatagram::bind(there).unwrap();
        named.send_to(b"question", &here).unwrap();
        UnixDatagram::unbound()
            .unwrap()
            .send_to(b"question", &here)
            .unwrap();
        let (_, origin) = receive_unix(server.as_fd(), &mut [0; 64]).unwrap();
        answer(server.as_fd(), b"answer", &origin).unwrap();
        assert_eq!(named.recv(&mut [0; 64]).unwrap(), 6);
        let (length, origin) = receive_unix(server.as_fd(), &mut [0; 64]).unwrap();
        assert!(
            length == 8 && matches!(origin, Origin::Nameless),
            "{origin:?}"
        );
    }

    #[test]
    fn own_addresses_are_told_from_others() {
        assert!(is_own_address("127.3.4.5:7".parse().unwrap()));
        assert!(!is_own_address("192.0.2.1:7".parse().unwrap()));
        assert!(!is_own_address("[2001:db8::1]:7".parse().unwrap()));
    }
}
