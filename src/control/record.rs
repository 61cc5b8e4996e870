//! Orders and reports as bytes of one fixed length.
//!
//! A record is a kind, then its fields in the order in which they are declared, little-endian, then
//! zeros. Decoding takes nothing for granted: a length, number or zero that encoding would not have
//! made is [`Malformed`]. Whether a service or listener of that number exists is the reader's affair.

use super::{Counts, Ending, ListenerId, Order, Report, ServiceId, Way, Work};
use crate::admission::{Level, Load};
use crate::sys::socket::{Peer, fold};
use crate::table::{Builtin, Client, Refusal, Transport};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes of every record.
pub const LENGTH: usize = 64;

/// Reports in one message at most.
pub const BATCH: usize = 64;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed record: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Order {
    /// As bytes. An IPv6 flow label is left out: no bound socket has one.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut to = Writer::new();
        match *self {
            Order::Listen {
                service,
                listener,
                work,
                transport,
                max_connections,
            } => {
                to.u8(1).u32(service.0).u32(listener.0);
                to.u8(position(&WORKS, work))
                    .u8(position(&TRANSPORTS, transport));
                to.u32(max_connections);
            }
            Order::Unlisten { listener } => {
                to.u8(2).u32(listener.0);
            }
            Order::Limit {
                service,
                max_connections,
            } => {
                to.u8(3).u32(service.0).u32(max_connections);
            }
            Order::Ceiling { max_connections } => {
                to.u8(6).u32(max_connections);
            }
            Order::OwnUdp { address } => {
                to.u8(4).address(address);
            }
            Order::ForgetUdp { address } => {
                to.u8(5).address(address);
            }
            Order::Policy { service, list } => {
                to.u8(7).u32(service.0).u32(list);
            }
            Order::List { list } => {
                to.u8(16).u32(list);
            }
            Order::ForgetList { list } => {
                to.u8(17).u32(list);
            }
            Order::Targets { service } => {
                to.u8(12).u32(service.0);
            }
            Order::Forget { service } => {
                to.u8(8).u32(service.0);
            }
            Order::Ban {
                serial,
                prefix,
                millis,
            } => {
                to.u8(9).u32(serial).prefix(prefix).u64(millis);
            }
            Order::Unban { serial, prefix } => {
                to.u8(10).u32(serial).prefix(prefix);
            }
            Order::Explain {
                serial,
                service,
                client,
            } => {
                to.u8(11).u32(serial).u32(service.0);
                match client {
                    Client::Ip(ip) => to.u8(1).prefix((ip, 0)),
                    Client::Uid(uid) => to.u8(2).u32(uid),
                };
            }
            Order::Attend {
                number,
                way,
                newline,
            } => {
                to.u8(13).u64(number).u8(position(&WAYS, way));
                to.u8(newline.into());
            }
            Order::Exited { number } => {
                to.u8(18).u64(number);
            }
            Order::Cut { number } => {
                to.u8(14).u64(number);
            }
            Order::End { number } => {
                to.u8(15).u32(number);
            }
        }
        to.bytes
    }

    /// From bytes that came in one message.
    pub fn decode(bytes: &[u8]) -> Result<Order, Malformed> {
        let mut from = Reader::new(bytes)?;
        let order = match from.u8() {
            1 => Order::Listen {
                service: ServiceId(from.u32()),
                listener: ListenerId(from.u32()),
                work: from.one_of(&WORKS, "no such work")?,
                transport: from.one_of(&TRANSPORTS, "no such transport")?,
                max_connections: from.positive("max_connections is 0")?,
            },
            2 => Order::Unlisten {
                listener: ListenerId(from.u32()),
            },
            3 => Order::Limit {
                service: ServiceId(from.u32()),
                max_connections: from.positive("max_connections is 0")?,
            },
            4 => Order::OwnUdp {
                address: from.bound_address()?,
            },
            5 => Order::ForgetUdp {
                address: from.bound_address()?,
            },
            13 => Order::Attend {
                number: from.u64(),
                way: from.one_of(&WAYS, "no such way")?,
                newline: from.boolean()?,
            },
            18 => Order::Exited { number: from.u64() },
            14 => Order::Cut { number: from.u64() },
            15 => Order::End {
                number: from.positive("a connection has number 0")?,
            },
            6 => Order::Ceiling {
                max_connections: from.positive("max_connections is 0")?,
            },
            7 => Order::Policy {
                service: ServiceId(from.u32()),
                list: from.u32(),
            },
            8 => Order::Forget {
                service: ServiceId(from.u32()),
            },
            9 => Order::Ban {
                serial: from.u32(),
                prefix: from.prefix()?,
                millis: from.u64(),
            },
            10 => Order::Unban {
                serial: from.u32(),
                prefix: from.prefix()?,
            },
            11 => Order::Explain {
                serial: from.u32(),
                service: ServiceId(from.u32()),
                client: match from.u8() {
                    1 => Client::Ip(from.address_only()?),
                    2 => Client::Uid(from.u32()),
                    _ => return Err(Malformed("no such kind of client")),
                },
            },
            12 => Order::Targets {
                service: ServiceId(from.u32()),
            },
            16 => Order::List {
                list: from.positive("a list has number 0")?,
            },
            17 => Order::ForgetList {
                list: from.positive("a list has number 0")?,
            },
            _ => return Err(Malformed("no such order")),
        };
        from.end().map(|()| order)
    }
}

impl Report {
    /// As bytes. An IPv6 flow label is left out.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut to = Writer::new();
        match *self {
            Report::Began {
                service,
                number,
                peer,
            } => {
                to.u8(1).u32(service.0).u32(number).peer(peer);
            }
            Report::Accepted {
                service,
                number,
                peer,
            } => {
                to.u8(9).u32(service.0).u32(number).peer(peer);
            }
            Report::NotConnected { number, errno } => {
                to.u8(10).u32(number).put(&errno.to_le_bytes());
            }
            Report::Ended {
                service,
                number,
                received,
                sent,
                ending,
            } => {
                to.u8(2).u32(service.0).u32(number).u64(received).u64(sent);
                to.u8(position(&ENDINGS, ending));
            }
            Report::Passed {
                number,
                received,
                sent,
                ending,
            } => {
                to.u8(11).u64(number).u64(received).u64(sent);
                to.u8(position(&ENDINGS, ending));
            }
            Report::Unlistened { listener } => {
                to.u8(5).u32(listener.0);
            }
            Report::Aborted { service } => {
                to.u8(3).u32(service.0);
            }
            Report::Refused {
                service,
                number,
                peer,
                reason,
            } => {
                to.u8(6).u32(service.0).u32(number).peer(peer);
                to.u8(position(&Refusal::ALL, reason));
            }
            Report::Obeyed { serial } => {
                to.u8(7).u32(serial);
            }
            Report::Explained { serial, counts } => {
                to.u8(8).u32(serial);
                to.load(counts.service)
                    .load(counts.worker)
                    .u32(counts.source);
                to.level(counts.rate).u32(counts.rate_used);
                to.level(counts.rate_per_source);
                for reason in [counts.refusal, counts.waits] {
                    let reason = reason.map(|reason| position(&Refusal::ALL, reason));
                    to.u8(reason.unwrap_or_default());
                }
            }
            Report::Datagrams {
                service,
                received,
                answered,
                unsafe_source,
                over_rate,
                refused,
            } => {
                to.u8(4).u32(service.0).u64(received).u64(answered);
                to.u64(unsafe_source).u64(over_rate).u64(refused);
            }
        }
        to.bytes
    }

    /// From the bytes of one record of a message.
    pub fn decode(bytes: &[u8]) -> Result<Report, Malformed> {
        let mut from = Reader::new(bytes)?;
        let report = match from.u8() {
            1 => Report::Began {
                service: ServiceId(from.u32()),
                number: from.positive("a connection has number 0")?,
                peer: from.peer()?,
            },
            2 => Report::Ended {
                service: ServiceId(from.u32()),
                number: from.positive("a connection has number 0")?,
                received: from.u64(),
                sent: from.u64(),
                ending: from.one_of(&ENDINGS, "no such ending")?,
            },
            3 => Report::Aborted {
                service: ServiceId(from.u32()),
            },
            4 => Report::Datagrams {
                service: ServiceId(from.u32()),
                received: from.u64(),
                answered: from.u64(),
                unsafe_source: from.u64(),
                over_rate: from.u64(),
                refused: from.u64(),
            },
            5 => Report::Unlistened {
                listener: ListenerId(from.u32()),
            },
            6 => Report::Refused {
                service: ServiceId(from.u32()),
                number: from.positive("a connection has number 0")?,
                peer: from.peer()?,
                reason: from.one_of(&Refusal::ALL, "no such refusal")?,
            },
            7 => Report::Obeyed { serial: from.u32() },
            8 => Report::Explained {
                serial: from.u32(),
                counts: Counts {
                    service: from.load(),
                    worker: from.load(),
                    source: from.u32(),
                    rate: from.level()?,
                    rate_used: from.u32(),
                    rate_per_source: from.level()?,
                    refusal: from.one_or_none(&Refusal::ALL, "no such refusal")?,
                    waits: from.one_or_none(&Refusal::ALL, "no such refusal")?,
                },
            },
            9 => Report::Accepted {
                service: ServiceId(from.u32()),
                number: from.positive("a connection has number 0")?,
                peer: from.peer()?,
            },
            10 => Report::NotConnected {
                number: from.positive("a connection has number 0")?,
                errno: from.errno()?,
            },
            11 => Report::Passed {
                number: from.u64(),
                received: from.u64(),
                sent: from.u64(),
                ending: from.one_of(&ENDINGS, "no such ending")?,
            },
            _ => return Err(Malformed("no such report")),
        };
        from.end().map(|()| report)
    }
}

const WORKS: [Work; 6] = [
    Work::Builtin(Builtin::Echo),
    Work::Builtin(Builtin::Discard),
    Work::Builtin(Builtin::Chargen),
    Work::Builtin(Builtin::Daytime),
    Work::Builtin(Builtin::Time),
    Work::Redirect,
];

const WAYS: [Way; 3] = [Way::Pipes, Way::Terminal, Way::RawTerminal];

const TRANSPORTS: [Transport; 5] = [
    Transport::Tcp,
    Transport::Udp,
    Transport::UnixStream,
    Transport::UnixDatagram,
    Transport::UnixSeqpacket,
];

const ENDINGS: [Ending; 8] = [
    Ending::Finished,
    Ending::ClientLeft,
    Ending::IdleTimeout,
    Ending::Evicted,
    Ending::WorkerDied,
    Ending::Killed,
    Ending::TargetLeft,
    Ending::MaxLifetime,
];

/// A value's byte: its place in the list, counted from 1.
fn position<T: PartialEq>(all: &[T], value: T) -> u8 {
    all.iter()
        .position(|known| *known == value)
        .map_or(0, |place| place as u8 + 1)
}

/// Fields one after the other. The longest record has 50 bytes, so there is always room.
struct Writer {
    bytes: [u8; LENGTH],
    at: usize,
}

impl Writer {
    fn new() -> Writer {
        Writer {
            bytes: [0; LENGTH],
            at: 0,
        }
    }

    fn put(&mut self, field: &[u8]) -> &mut Writer {
        self.bytes[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
        self
    }

    fn u8(&mut self, value: u8) -> &mut Writer {
        self.put(&[value])
    }

    fn u32(&mut self, value: u32) -> &mut Writer {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Writer {
        self.put(&value.to_le_bytes())
    }

    fn address(&mut self, address: SocketAddr) -> &mut Writer {
        self.put(&address.port().to_le_bytes());
        match address {
            SocketAddr::V4(address) => self.u8(4).put(&address.ip().octets()),
            SocketAddr::V6(address) => self
                .u8(6)
                .put(&address.ip().octets())
                .u32(address.scope_id()),
        }
    }

    fn load(&mut self, load: Load) -> &mut Writer {
        self.u32(load.live).u32(load.limit)
    }

    /// A bucket holds one token at least, so that a burst of 0 stands for none.
    fn level(&mut self, level: Option<Level>) -> &mut Writer {
        let (tokens, burst) = level.map_or((0, 0), |level| (level.tokens, level.burst));
        self.u32(tokens).u32(burst)
    }

    fn prefix(&mut self, (ip, bits): (IpAddr, u8)) -> &mut Writer {
        match ip {
            IpAddr::V4(ip) => self.u8(4).put(&ip.octets()).u8(bits),
            IpAddr::V6(ip) => self.u8(6).put(&ip.octets()).u8(bits),
        }
    }

    fn peer(&mut self, peer: Peer) -> &mut Writer {
        match peer {
            Peer::Inet(address) => self.u8(1).address(address),
            Peer::Unix { uid, gid, pid } => self.u8(2).u32(uid).u32(gid).put(&pid.to_le_bytes()),
        }
    }
}

/// The same, backwards.
struct Reader {
    bytes: [u8; LENGTH],
    at: usize,
}

impl Reader {
    fn new(bytes: &[u8]) -> Result<Reader, Malformed> {
        let bytes = bytes
            .try_into()
            .map_err(|_| Malformed("its length is wrong"))?;
        Ok(Reader { bytes, at: 0 })
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let field = std::array::from_fn(|index| self.bytes[self.at + index]);
        self.at += N;
        field
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.u8() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    fn errno(&mut self) -> Result<i32, Malformed> {
        match i32::from_le_bytes(self.take()) {
            errno if errno > 0 => Ok(errno),
            _ => Err(Malformed("an errno is not positive")),
        }
    }

    fn positive(&mut self, otherwise: &'static str) -> Result<u32, Malformed> {
        Some(self.u32())
            .filter(|number| *number > 0)
            .ok_or(Malformed(otherwise))
    }

    fn one_of<T: Copy>(&mut self, all: &[T], otherwise: &'static str) -> Result<T, Malformed> {
        let place = usize::from(self.u8());
        place
            .checked_sub(1)
            .and_then(|index| all.get(index))
            .copied()
            .ok_or(Malformed(otherwise))
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let port = u16::from_le_bytes(self.take());
        match self.u8() {
            4 => Ok((IpAddr::from(self.take::<4>()), port).into()),
            6 => {
                let ip = Ipv6Addr::from(self.take::<16>());
                Ok(SocketAddrV6::new(ip, port, 0, self.u32()).into())
            }
            _ => Err(Malformed("no such address family")),
        }
    }

    fn one_or_none<T: Copy>(
        &mut self,
        all: &[T],
        otherwise: &'static str,
    ) -> Result<Option<T>, Malformed> {
        match self.bytes[self.at] {
            0 => {
                self.at += 1;
                Ok(None)
            }
            _ => self.one_of(all, otherwise).map(Some),
        }
    }

    fn load(&mut self) -> Load {
        Load {
            live: self.u32(),
            limit: self.u32(),
        }
    }

    fn level(&mut self) -> Result<Option<Level>, Malformed> {
        match (self.u32(), self.u32()) {
            (0, 0) => Ok(None),
            (tokens, burst) if tokens <= burst => Ok(Some(Level { tokens, burst })),
            _ => Err(Malformed("a bucket holds more than it can")),
        }
    }

    fn address_only(&mut self) -> Result<IpAddr, Malformed> {
        match self.prefix()? {
            (ip, 0) => Ok(ip),
            _ => Err(Malformed("an address with a length")),
        }
    }

    fn prefix(&mut self) -> Result<(IpAddr, u8), Malformed> {
        let (ip, most) = match self.u8() {
            4 => (IpAddr::from(self.take::<4>()), 32),
            6 => (IpAddr::from(self.take::<16>()), 128),
            _ => return Err(Malformed("no such address family")),
        };
        match self.u8() {
            bits if bits <= most => Ok((ip, bits)),
            _ => Err(Malformed("a prefix is longer than its address")),
        }
    }

    fn bound_address(&mut self) -> Result<SocketAddr, Malformed> {
        let address = self.address()?;
        if address.port() == 0 {
            Err(Malformed("a bound socket has port 0"))
        } else {
            Ok(address)
        }
    }

    fn peer(&mut self) -> Result<Peer, Malformed> {
        match self.u8() {
            1 => {
                let address = self.address()?;
                if fold(address) != address {
                    return Err(Malformed("an IPv4 address was not folded"));
                }
                Ok(Peer::Inet(address))
            }
            2 => {
                let (uid, gid) = (self.u32(), self.u32());
                let pid = i32::from_le_bytes(self.take());
                if pid < 0 {
                    Err(Malformed("a process id is negative"))
                } else {
                    Ok(Peer::Unix { uid, gid, pid })
                }
            }
            _ => Err(Malformed("no such kind of peer")),
        }
    }

    fn end(self) -> Result<(), Malformed> {
        let rest = &self.bytes[self.at..];
        if rest.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(Malformed("bytes after its last field"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        let v4 = (any::<[u8; 4]>(), 1u16..).prop_map(|(ip, port)| (IpAddr::from(ip), port).into());
        let v6 = (any::<[u8; 16]>(), 1u16.., any::<u32>())
            .prop_map(|(ip, port, scope)| SocketAddrV6::new(ip.into(), port, 0, scope).into());
        prop_oneof![v4, v6]
    }

    fn prefix() -> impl Strategy<Value = (IpAddr, u8)> {
        let v4 = (any::<[u8; 4]>(), 0..=32u8).prop_map(|(ip, bits)| (IpAddr::from(ip), bits));
        let v6 = (any::<[u8; 16]>(), 0..=128u8).prop_map(|(ip, bits)| (IpAddr::from(ip), bits));
        prop_oneof![v4, v6]
    }

    fn client() -> impl Strategy<Value = Client> {
        prop_oneof![
            prefix().prop_map(|(ip, _)| Client::Ip(ip)),
            any::<u32>().prop_map(Client::Uid),
        ]
    }

    fn counts() -> impl Strategy<Value = Counts> {
        let level = || {
            proptest::option::of((1u32.., any::<u32>()).prop_map(|(burst, tokens)| Level {
                tokens: tokens % burst,
                burst,
            }))
        };
        let refusal = || proptest::option::of((0..9usize).prop_map(|r| Refusal::ALL[r]));
        let reasons = (refusal(), refusal());
        (any::<[u32; 6]>(), level(), level(), reasons).prop_map(|(n, rate, own, reasons)| Counts {
            service: Load {
                live: n[0],
                limit: n[1],
            },
            worker: Load {
                live: n[2],
                limit: n[3],
            },
            source: n[4],
            rate,
            rate_used: n[5],
            rate_per_source: own,
            refusal: reasons.0,
            waits: reasons.1,
        })
    }

    fn peer() -> impl Strategy<Value = Peer> {
        prop_oneof![
            address().prop_map(|address| Peer::Inet(fold(address))),
            (any::<u32>(), any::<u32>(), 0i32..).prop_map(|(uid, gid, pid)| Peer::Unix {
                uid,
                gid,
                pid
            }),
        ]
    }

    fn order() -> impl Strategy<Value = Order> {
        let listen = (any::<u32>(), any::<u32>(), 0..6usize, 0..5usize, 1u32..).prop_map(
            |(s, l, b, t, n)| Order::Listen {
                service: ServiceId(s),
                listener: ListenerId(l),
                work: WORKS[b],
                transport: TRANSPORTS[t],
                max_connections: n,
            },
        );
        prop_oneof![
            listen,
            any::<u32>().prop_map(|l| Order::Unlisten {
                listener: ListenerId(l)
            }),
            (any::<u32>(), 1u32..).prop_map(|(s, n)| Order::Limit {
                service: ServiceId(s),
                max_connections: n
            }),
            (1u32..).prop_map(|n| Order::Ceiling { max_connections: n }),
            address().prop_map(|address| Order::OwnUdp { address }),
            address().prop_map(|address| Order::ForgetUdp { address }),
            any::<(u32, u32)>().prop_map(|(s, list)| Order::Policy {
                service: ServiceId(s),
                list
            }),
            (1u32..).prop_map(|list| Order::List { list }),
            (1u32..).prop_map(|list| Order::ForgetList { list }),
            any::<u32>().prop_map(|s| Order::Forget {
                service: ServiceId(s)
            }),
            (any::<u32>(), prefix(), any::<u64>()).prop_map(|(serial, prefix, millis)| {
                Order::Ban {
                    serial,
                    prefix,
                    millis,
                }
            }),
            (any::<u32>(), prefix()).prop_map(|(serial, prefix)| Order::Unban { serial, prefix }),
            (1u32..).prop_map(|number| Order::End { number }),
            any::<u64>().prop_map(|number| Order::Exited { number }),
            any::<u64>().prop_map(|number| Order::Cut { number }),
            (any::<u64>(), 0..3usize, any::<bool>()).prop_map(|(number, way, newline)| {
                Order::Attend {
                    number,
                    way: WAYS[way],
                    newline,
                }
            }),
            any::<u32>().prop_map(|s| Order::Targets {
                service: ServiceId(s)
            }),
            (any::<u32>(), any::<u32>(), client()).prop_map(|(serial, s, client)| Order::Explain {
                serial,
                service: ServiceId(s),
                client
            }),
        ]
    }

    fn report() -> impl Strategy<Value = Report> {
        let began = (any::<u32>(), 1u32.., peer()).prop_map(|(s, number, peer)| Report::Began {
            service: ServiceId(s),
            number,
            peer,
        });
        let ended = (any::<u32>(), 1u32.., any::<u64>(), any::<u64>(), 0..8usize).prop_map(
            |(s, number, received, sent, e)| Report::Ended {
                service: ServiceId(s),
                number,
                received,
                sent,
                ending: ENDINGS[e],
            },
        );
        let accepted =
            (any::<u32>(), 1u32.., peer()).prop_map(|(s, number, peer)| Report::Accepted {
                service: ServiceId(s),
                number,
                peer,
            });
        let not_connected =
            (1u32.., 1i32..).prop_map(|(number, errno)| Report::NotConnected { number, errno });
        let datagrams = (any::<u32>(), any::<[u64; 5]>()).prop_map(|(s, n)| Report::Datagrams {
            service: ServiceId(s),
            received: n[0],
            answered: n[1],
            unsafe_source: n[2],
            over_rate: n[3],
            refused: n[4],
        });
        let aborted = any::<u32>().prop_map(|s| Report::Aborted {
            service: ServiceId(s),
        });
        let unlistened = any::<u32>().prop_map(|l| Report::Unlistened {
            listener: ListenerId(l),
        });
        let refused = (any::<u32>(), 1u32.., peer(), 0..9usize).prop_map(|(s, number, peer, r)| {
            Report::Refused {
                service: ServiceId(s),
                number,
                peer,
                reason: Refusal::ALL[r],
            }
        });
        let explained = (any::<u32>(), counts())
            .prop_map(|(serial, counts)| Report::Explained { serial, counts });
        let passed = (any::<[u64; 3]>(), 0..8usize).prop_map(|(n, e)| Report::Passed {
            number: n[0],
            received: n[1],
            sent: n[2],
            ending: ENDINGS[e],
        });
        let obeyed = any::<u32>().prop_map(|serial| Report::Obeyed { serial });
        prop_oneof![
            explained,
            began,
            accepted,
            not_connected,
            ended,
            aborted,
            unlistened,
            datagrams,
            refused,
            passed,
            obeyed
        ]
    }

    proptest! {
        #[test]
        fn orders_survive_the_way(order in order()) {
            prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
        }

        #[test]
        fn reports_survive_the_way(report in report()) {
            prop_assert_eq!(Report::decode(&report.encode()), Ok(report));
        }

        #[test]
        fn any_bytes_are_refused_or_are_what_encoding_makes(kind in 0u8..16, mut bytes: [u8; LENGTH], used in 0..LENGTH) {
            bytes[0] = kind;
            bytes[used..].fill(0);
            if let Ok(order) = Order::decode(&bytes) {
                prop_assert_eq!(order.encode(), bytes);
            }
            if let Ok(report) = Report::decode(&bytes) {
                prop_assert_eq!(report.encode(), bytes);
            }
        }

        #[test]
        fn any_length_is_taken_without_panic(bytes: Vec<u8>) {
            let _ = (Order::decode(&bytes), Report::decode(&bytes));
        }
    }

    /// A good order with one byte changed.
    fn spoiled(order: Order, at: usize, byte: u8) -> Result<Order, Malformed> {
        let mut bytes = order.encode();
        bytes[at] = byte;
        Order::decode(&bytes)
    }

    const LISTEN: Order = Order::Listen {
        service: ServiceId(1),
        listener: ListenerId(2),
        work: Work::Builtin(Builtin::Echo),
        transport: Transport::Tcp,
        max_connections: 1,
    };

    #[test]
    fn the_layout_is_fixed() {
        let mut expected = [0; LENGTH];
        expected[..15].copy_from_slice(&[1, 1, 0, 0, 0, 2, 0, 0, 0, 1, 1, 1, 0, 0, 0]);
        assert_eq!(LISTEN.encode(), expected);
    }

    #[test]
    fn every_field_of_an_order_is_checked() {
        assert_eq!(spoiled(LISTEN, 0, 0), Err(Malformed("no such order")));
        assert_eq!(spoiled(LISTEN, 9, 7), Err(Malformed("no such work")));
        assert_eq!(spoiled(LISTEN, 10, 0), Err(Malformed("no such transport")));
        assert_eq!(
            spoiled(LISTEN, 11, 0),
            Err(Malformed("max_connections is 0"))
        );
        assert_eq!(
            spoiled(LISTEN, 15, 1),
            Err(Malformed("bytes after its last field"))
        );
        assert_eq!(
            Order::decode(&LISTEN.encode()[1..]),
            Err(Malformed("its length is wrong"))
        );
        let own = Order::OwnUdp {
            address: "127.0.0.1:9".parse().unwrap(),
        };
        assert_eq!(
            spoiled(own, 1, 0),
            Err(Malformed("a bound socket has port 0"))
        );
        let attend = Order::Attend {
            number: 1,
            way: Way::Pipes,
            newline: true,
        };
        assert_eq!(spoiled(attend, 9, 4), Err(Malformed("no such way")));
        assert_eq!(spoiled(attend, 10, 2), Err(Malformed("neither yes nor no")));
        assert_eq!(spoiled(own, 3, 5), Err(Malformed("no such address family")));
    }

    #[test]
    fn every_field_of_a_report_is_checked() {
        let spoiled = |report: Report, at: usize, byte: u8| {
            let mut bytes = report.encode();
            bytes[at] = byte;
            Report::decode(&bytes)
        };
        let peer = Peer::Unix {
            uid: 1,
            gid: 2,
            pid: 3,
        };
        let began = Report::Began {
            service: ServiceId(1),
            number: 1,
            peer,
        };
        assert_eq!(spoiled(began, 0, 12), Err(Malformed("no such report")));
        assert_eq!(
            spoiled(began, 5, 0),
            Err(Malformed("a connection has number 0"))
        );
        assert_eq!(spoiled(began, 9, 3), Err(Malformed("no such kind of peer")));
        assert_eq!(
            spoiled(began, 21, 255),
            Err(Malformed("a process id is negative"))
        );
        let peer = Peer::Inet("[::fffe:102:304]:5".parse().unwrap());
        let began = Report::Began {
            service: ServiceId(1),
            number: 1,
            peer,
        };
        assert_eq!(
            spoiled(began, 24, 255),
            Err(Malformed("an IPv4 address was not folded"))
        );
        let ending = Ending::Finished;
        let ended = Report::Ended {
            service: ServiceId(1),
            number: 1,
            received: 0,
            sent: 0,
            ending,
        };
        let not_connected = Report::NotConnected {
            number: 1,
            errno: 111,
        };
        assert_eq!(
            spoiled(not_connected, 8, 255),
            Err(Malformed("an errno is not positive"))
        );
        assert_eq!(spoiled(ended, 25, 9), Err(Malformed("no such ending")));
    }
}
