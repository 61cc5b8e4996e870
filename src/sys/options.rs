//! Options of listening sockets: tcp(7), socket(7). A connection inherits them from the listener that
//! it was accepted from, so they cost a connection nothing.

use super::Errno;
use super::address::Transport;
use super::socket_file::FileRights;
use nix::libc;
use nix::sys::socket::{self as net, AddressFamily, SockFlag, SockType, sockopt};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::BorrowedFd;

/// What a listener is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SocketOptions {
    /// Whether silent TCP clients are asked if they are still there.
    pub keepalive: Keepalive,
    /// Milliseconds that data may stay unacknowledged before a TCP connection is given up
    /// (TCP_USER_TIMEOUT); `None` leaves it to the kernel.
    pub user_timeout: Option<u32>,
    /// Whether small TCP segments are sent at once (TCP_NODELAY).
    pub nodelay: bool,
    /// Connections that may wait to be accepted; `None` for as many as the system allows.
    pub backlog: Option<u16>,
    /// Whether an address may be bound that this host does not have yet (IP_FREEBIND).
    pub freebind: bool,
    /// The network interface that it is bound to (SO_BINDTODEVICE).
    pub device: Option<Device>,
    /// Who may connect to a Unix socket in the file system.
    pub file: FileRights,
}

/// The name of a network interface: 1 to 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device([u8; libc::IFNAMSIZ]);

impl Device {
    /// The interface of this name; `None` for what cannot be one.
    pub fn new(name: &str) -> Option<Device> {
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
        let mut bytes = [0; libc::IFNAMSIZ];
        if name.is_empty() || name.len() >= bytes.len() || !name.bytes().all(is_name) {
            return None;
        }
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        (![".", ".."].contains(&name)).then_some(Device(bytes))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0);
        std::str::from_utf8(&self.0[..length.unwrap_or(0)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// `keepalive`: SO_KEEPALIVE and its times. `None` is the system's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Keepalive {
    /// They are not asked.
    Off,
    /// They are.
    On {
        /// Seconds of silence before the first question (TCP_KEEPIDLE), 1 to 32767.
        idle: Option<u16>,
        /// Seconds between questions (TCP_KEEPINTVL), 1 to 32767.
        interval: Option<u16>,
        /// Questions without an answer before the connection is given up (TCP_KEEPCNT), 1 to 127.
        count: Option<u8>,
    },
}

impl Default for Keepalive {
    fn default() -> Keepalive {
        Keepalive::On {
            idle: None,
            interval: None,
            count: None,
        }
    }
}

impl SocketOptions {
    /// Sets those of a new socket that concern its binding. Returns which could not be, and why.
    pub(super) fn prepare(
        &self,
        socket: BorrowedFd,
        transport: Transport,
        family: AddressFamily,
    ) -> Result<(), (&'static str, Errno)> {
        if self.freebind && family != AddressFamily::Unix {
            // The kernel takes the option of IPv4 for IPv6 sockets too.
            net::setsockopt(&socket, sockopt::IpFreebind, &true)
                .map_err(|errno| ("setsockopt IP_FREEBIND", errno))?;
        }
        if self.device.is_some() && family != AddressFamily::Unix {
            self.set_device(socket)?;
        }
        match transport {
            Transport::Tcp => self.set(socket, true),
            _ => Ok(()),
        }
    }

    /// Binds a socket to its interface, or to none. One that is bound already takes CAP_NET_RAW.
    pub fn set_device(&self, socket: BorrowedFd) -> Result<(), (&'static str, Errno)> {
        let name = self.device.map(|device| OsString::from(device.name()));
        net::setsockopt(&socket, sockopt::BindToDevice, &name.unwrap_or_default())
            .map_err(|errno| ("setsockopt SO_BINDTODEVICE", errno))
    }

    /// Sets all that are not the system's own; on a socket that is not new, also those that are and may have
    /// been something else.
    fn set(&self, socket: BorrowedFd, is_new: bool) -> Result<(), (&'static str, Errno)> {
        let is_on = self.keepalive != Keepalive::Off;
        net::setsockopt(&socket, sockopt::KeepAlive, &is_on)
            .map_err(|errno| ("setsockopt SO_KEEPALIVE", errno))?;
        if let Keepalive::On {
            idle,
            interval,
            count,
        } = self.keepalive
        {
            if let Some(idle) = idle {
                net::setsockopt(&socket, sockopt::TcpKeepIdle, &idle.into())
                    .map_err(|errno| ("setsockopt TCP_KEEPIDLE", errno))?;
            }
            if let Some(interval) = interval {
                net::setsockopt(&socket, sockopt::TcpKeepInterval, &interval.into())
                    .map_err(|errno| ("setsockopt TCP_KEEPINTVL", errno))?;
            }
            if let Some(count) = count {
                net::setsockopt(&socket, sockopt::TcpKeepCount, &count.into())
                    .map_err(|errno| ("setsockopt TCP_KEEPCNT", errno))?;
            }
        }
        if self.user_timeout.is_some() || !is_new {
            let timeout = self.user_timeout.unwrap_or(0);
            net::setsockopt(&socket, sockopt::TcpUserTimeout, &timeout)
                .map_err(|errno| ("setsockopt TCP_USER_TIMEOUT", errno))?;
        }
        if self.nodelay || !is_new {
            net::setsockopt(&socket, sockopt::TcpNoDelay, &self.nodelay)
                .map_err(|errno| ("setsockopt TCP_NODELAY", errno))?;
        }
        Ok(())
    }

    /// How many connections may wait. listen(2) takes less than it is asked for where the system says so.
    pub(super) fn backlog(&self) -> net::Backlog {
        self.backlog
            .and_then(|backlog| net::Backlog::new(i32::from(backlog)).ok())
            .unwrap_or(net::Backlog::MAXCONN)
    }

    /// Gives them to a listener that has had others. What concerns its binding stays as it was.
    pub fn renew(&self, socket: BorrowedFd, transport: Transport) {
        if transport == Transport::Tcp {
            let _ = self.or_systems_own().set(socket, false);
        }
        self.restore_backlog(socket, transport);
    }

    /// Gives a listener its backlog back, which whoever had it may have changed.
    pub fn restore_backlog(&self, socket: BorrowedFd, transport: Transport) {
        if transport.is_connected() {
            let _ = net::listen(&socket, self.backlog());
        }
    }

    /// With the times that a new socket has where none are said: there is no way to take one back.
    fn or_systems_own(&self) -> SocketOptions {
        let Keepalive::On {
            idle,
            interval,
            count,
        } = self.keepalive
        else {
            return *self;
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let fresh = [AddressFamily::Inet, AddressFamily::Inet6]
            .into_iter()
            .find_map(|family| net::socket(family, SockType::Stream, flags, None).ok());
        let Some(fresh) = fresh else { return *self };
        let small = |seconds: Result<u32, Errno>| u16::try_from(seconds.ok()?).ok();
        let own_count = || u8::try_from(net::getsockopt(&fresh, sockopt::TcpKeepCount).ok()?).ok();
        SocketOptions {
            keepalive: Keepalive::On {
                idle: idle.or_else(|| small(net::getsockopt(&fresh, sockopt::TcpKeepIdle))),
                interval: interval
                    .or_else(|| small(net::getsockopt(&fresh, sockopt::TcpKeepInterval))),
                count: count.or_else(own_count),
            },
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::address::Address;
    use crate::sys::socket::{accept, bind, local_address};
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    /// Keepalive with its times, the user timeout, and whether there is no delay.
    fn seen(socket: BorrowedFd) -> (bool, [u32; 3], u32, bool) {
        (
            net::getsockopt(&socket, sockopt::KeepAlive).unwrap(),
            [
                net::getsockopt(&socket, sockopt::TcpKeepIdle).unwrap(),
                net::getsockopt(&socket, sockopt::TcpKeepInterval).unwrap(),
                net::getsockopt(&socket, sockopt::TcpKeepCount).unwrap(),
            ],
            net::getsockopt(&socket, sockopt::TcpUserTimeout).unwrap(),
            net::getsockopt(&socket, sockopt::TcpNoDelay).unwrap(),
        )
    }

    #[test]
    fn a_connection_has_what_its_listener_was_given_and_a_new_table_takes_it_back() {
        let address = Address::Inet("127.0.0.1:0".parse().unwrap());
        let plain = bind(Transport::Tcp, &address, false, &SocketOptions::default()).unwrap();
        let (_, own, ..) = seen(plain.as_fd());
        assert_eq!(seen(plain.as_fd()), (true, own, 0, false));
        let options = SocketOptions {
            keepalive: Keepalive::On {
                idle: Some(61),
                interval: Some(7),
                count: Some(2),
            },
            user_timeout: Some(33_000),
            nodelay: true,
            ..SocketOptions::default()
        };
        let listener = bind(Transport::Tcp, &address, false, &options).unwrap();
        let at = local_address(listener.as_fd()).unwrap().unwrap();
        let _client = TcpStream::connect(at).unwrap();
        let (connection, _) = accept(listener.as_fd(), false).unwrap();
        assert_eq!(seen(connection.as_fd()), (true, [61, 7, 2], 33_000, true));

        SocketOptions::default().renew(listener.as_fd(), Transport::Tcp);
        assert_eq!(seen(listener.as_fd()), (true, own, 0, false));
        let off = SocketOptions {
            keepalive: Keepalive::Off,
            ..SocketOptions::default()
        };
        off.renew(listener.as_fd(), Transport::Tcp);
        assert!(!seen(listener.as_fd()).0);
    }

    #[test]
    fn an_address_that_is_not_here_can_be_bound_where_that_is_asked_for() {
        let address = Address::Inet("192.0.2.1:0".parse().unwrap());
        let result = bind(Transport::Tcp, &address, true, &SocketOptions::default());
        assert_eq!(result.unwrap_err().errno, Errno::EADDRNOTAVAIL);
        let options = SocketOptions {
            freebind: true,
            ..SocketOptions::default()
        };
        bind(Transport::Tcp, &address, true, &options).unwrap();
        let address = Address::Inet("[2001:db8::1]:0".parse().unwrap());
        match bind(Transport::Udp, &address, true, &options) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.errno, Errno::EAFNOSUPPORT),
        }
    }
}
