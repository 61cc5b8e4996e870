//! The forms that `listen` takes, read without asking anyone.
//!
//! `address` looks up what names mean. Forms that other programs read in more than one way (octal
//! or short IPv4, IPv4-mapped IPv6, IPv6 without brackets) are mistakes that name the right form.

use super::mistake::{Located, Mistake, Mistakes};
use super::value::without_nul;
use super::words::quoted;
use crate::table::{Address, Transport};
use std::net::{Ipv4Addr, Ipv6Addr};

/// One element of `listen`, names not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) transport: Transport,
    pub(super) target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Inet {
        family: Family,
        host: HostPart,
        port: Port,
    },
    Path(String),
    Abstract(String),
    /// A socket that systemd hands over under this name, and what it is bound to, where that is known.
    Handed(String, Option<Address>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Both,
    V4,
    V6,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPart {
    /// Every address of the host.
    Any,
    V4(Ipv4Addr),
    /// With the name of an interface for link-local addresses.
    V6(Ipv6Addr, Option<String>),
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    Number(u16),
    Name(String),
}

const INET_PREFIXES: [(&str, Transport, Family); 6] = [
    ("tcp:", Transport::Tcp, Family::Both),
    ("tcp4:", Transport::Tcp, Family::V4),
    ("tcp6:", Transport::Tcp, Family::V6),
    ("udp:", Transport::Udp, Family::Both),
    ("udp4:", Transport::Udp, Family::V4),
    ("udp6:", Transport::Udp, Family::V6),
];

const UNIX_PREFIXES: [(&str, Transport); 3] = [
    ("unix:", Transport::UnixStream),
    ("unix-dgram:", Transport::UnixDatagram),
    ("unix-seqpacket:", Transport::UnixSeqpacket),
];

/// The longest Unix address in bytes: sun_path of unix(7) has 108, one of them for the zero byte
/// that ends a path or begins an abstract name.
pub(super) const LONGEST_UNIX: usize = 107;

/// Reads a port that was written as a number.
pub(super) fn port_number(port: Located<i64>) -> Result<Located<Wanted>, Mistakes> {
    let number = u16::try_from(port.value)
        .map_err(|_| no_such_port(&port.value.to_string()).at(&port.place))?;
    let target = Target::Inet {
        family: Family::Both,
        host: HostPart::Any,
        port: Port::Number(number),
    };
    Ok(Located::new(
        Wanted {
            transport: Transport::Tcp,
            target,
        },
        port.place,
    ))
}

/// Reads an element that was written as text.
pub(super) fn address(text: &Located<String>) -> Result<Located<Wanted>, Mistakes> {
    let text = without_nul(text)?;
    let wanted = parse(&text.value).map_err(|mistake| mistake.at(&text.place))?;
    Ok(Located::new(wanted, text.place))
}

/// What to write instead of this text, where it is no address.
pub(super) fn help_for(text: &str) -> Option<String> {
    parse(text).err()?.advice().map(str::to_owned)
}

fn parse(text: &str) -> Result<Wanted, Mistake> {
    read(text).map_err(|mistake| match meant(text) {
        Some(form) => mistake.help(format!("write {}", quoted(&form))),
        None => mistake,
    })
}

/// What `79/udp`, `udp/79` and `localhost 79` are here.
fn meant(text: &str) -> Option<String> {
    let (first, second) = text.split_once(['/', ' ', '\t'])?;
    let second = second.trim();
    let is_prefix = |word: &str| {
        let mut prefixes = INET_PREFIXES.iter();
        prefixes.any(|(prefix, ..)| prefix.strip_suffix(':') == Some(word))
    };
    let form = match () {
        () if is_prefix(second) => format!("{second}:{first}"),
        () if is_prefix(first) || !text.contains('/') => format!("{first}:{second}"),
        () => return None,
    };
    read(&form).is_ok().then_some(form)
}

fn read(text: &str) -> Result<Wanted, Mistake> {
    if let Some(name) = text.strip_prefix("systemd:") {
        return handed(name);
    }
    for (prefix, transport) in UNIX_PREFIXES {
        if let Some(rest) = text.strip_prefix(prefix) {
            return Ok(Wanted {
                transport,
                target: unix(rest)?,
            });
        }
    }
    if text.starts_with(['/', '@']) {
        let help = format!("write {}", quoted(&format!("unix:{text}")));
        return Err(Mistake::new("a Unix socket is written with a prefix").help(help));
    }
    let found = INET_PREFIXES
        .iter()
        .find_map(|(prefix, transport, family)| {
            text.strip_prefix(prefix)
                .map(|rest| (*prefix, rest, *transport, *family))
        });
    let (prefix, rest, transport, family) =
        found.unwrap_or(("", text, Transport::Tcp, Family::Both));
    let (host, port) = inet(rest, prefix)?;
    check_family(&host, family, prefix)?;
    Ok(Wanted {
        transport,
        target: Target::Inet { family, host, port },
    })
}

/// The kind is not known yet: most are of this one.
fn handed(name: &str) -> Result<Wanted, Mistake> {
    let is_allowed = |c: char| !c.is_control() && c != ':';
    if name.is_empty() || name.len() > 255 || !name.chars().all(is_allowed) {
        return Err(Mistake::new("systemd: is followed by the name of a socket").help(
            "the name of its unit, \"systemd:finger.socket\", or what its FileDescriptorName= says",
        ));
    }
    Ok(Wanted {
        transport: Transport::Tcp,
        target: Target::Handed(name.to_owned(), None),
    })
}

fn unix(rest: &str) -> Result<Target, Mistake> {
    let name = rest.strip_prefix('@');
    if name.unwrap_or(rest).len() > LONGEST_UNIX {
        let message = format!(
            "a Unix address has at most {LONGEST_UNIX} bytes, this one {}",
            name.unwrap_or(rest).len()
        );
        return Err(
            Mistake::new(message).help("the kernel's limit, see unix(7): choose a shorter one")
        );
    }
    match name {
        Some("") => {
            Err(Mistake::new("an abstract socket needs a name")
                .help("for example \"unix:@finger\""))
        }
        Some(name) => Ok(Target::Abstract(name.to_owned())),
        None if !rest.starts_with('/') => Err(Mistake::new(format!(
            "{} is not an absolute path",
            quoted(rest)
        ))
        .help(
            "write the whole path, \"unix:/run/finger\", or \"unix:@name\" for an abstract socket",
        )),
        None if rest.ends_with('/') => Err(Mistake::new(
            "this is a directory: a socket needs a name in it",
        )),
        None => Ok(Target::Path(rest.to_owned())),
    }
}

fn inet(text: &str, prefix: &str) -> Result<(HostPart, Port), Mistake> {
    if let Some(rest) = text.strip_prefix('[') {
        return bracketed(rest, text);
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Err(without_brackets(text, prefix)),
        Some(("" | "*", rest)) => Err(Mistake::new("an address is missing before the colon").help(
            format!(
                "for all addresses of this host write the port alone: {}",
                quoted(&format!("{prefix}{rest}"))
            ),
        )),
        Some((host, rest)) => Ok((self::host(host)?, port(rest)?)),
        None if text.contains('.') && ends_in_number(text) => {
            Err(Mistake::new("the port is missing")
                .help(format!("write {}", quoted(&format!("{prefix}{text}:79")))))
        }
        None => Ok((HostPart::Any, port(text)?)),
    }
}

/// `[ADDRESS%INTERFACE]:PORT`, its first bracket taken away.
fn bracketed(rest: &str, text: &str) -> Result<(HostPart, Port), Mistake> {
    let wrong = |message: String| {
        Mistake::new(message).help("IPv6 is written \"[ADDRESS]:PORT\", for example \"[::1]:79\"")
    };
    let Some((inside, after)) = rest.split_once(']') else {
        return Err(wrong(format!("a ] is missing in {}", quoted(text))));
    };
    let Some(after) = after.strip_prefix(':') else {
        return Err(wrong("the port is missing".to_owned()));
    };
    let (address, interface) = match inside.split_once('%') {
        Some((address, interface)) => (address, Some(interface.to_owned())),
        None => (inside, None),
    };
    let ip: Ipv6Addr = address
        .parse()
        .map_err(|_| wrong(format!("{} is not an IPv6 address", quoted(address))))?;
    let port = port(after)?;
    if let Some(ipv4) = ip.to_ipv4_mapped() {
        let mistake = Mistake::new("this is an IPv4 address in IPv6 form");
        return Err(mistake.help(format!("write \"{ipv4}:{after}\"")));
    }
    match (ip.is_unicast_link_local(), &interface) {
        (true, None) => Err(Mistake::new(format!(
            "{ip} is a link-local address: each network has its own"
        ))
        .help(format!(
            "name the interface, for example \"[{ip}%eth0]:{after}\""
        ))),
        (false, Some(_)) if !ip.is_multicast() => Err(Mistake::new(
            "only link-local addresses (fe80::…) take an interface",
        )
        .help(format!("write \"[{ip}]:{after}\""))),
        _ => Ok((HostPart::V6(ip, interface), port)),
    }
}

fn without_brackets(text: &str, prefix: &str) -> Mistake {
    let mistake = Mistake::new("an IPv6 address is written in brackets");
    match text.rsplit_once(':') {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => {
            mistake.help(format!("write \"{prefix}[{address}]:{port}\""))
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            mistake.help(format!("write \"{prefix}[{text}]:PORT\""))
        }
        _ => Mistake::new(format!("{} has too many colons", quoted(text))).help(
            "an address is \"HOST:PORT\" or \"[IPV6]:PORT\", after at most one of the prefixes",
        ),
    }
}

fn host(text: &str) -> Result<HostPart, Mistake> {
    if let Ok(ip) = text.parse() {
        return Ok(HostPart::V4(ip));
    }
    if ends_in_number(text) {
        let mistake = Mistake::new(format!("{} is not an IPv4 address", quoted(text)));
        return Err(
            mistake.help("it has four decimal numbers from 0 to 255, without leading zeros")
        );
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() > 253 || !text.bytes().all(allowed) {
        let mistake = Mistake::new(format!(
            "{} is neither an address nor a host name",
            quoted(text)
        ));
        return Err(mistake.help(FORMS));
    }
    Ok(HostPart::Name(text.to_owned()))
}

const FORMS: &str = "for example \"127.0.0.1:79\", \"[::1]:79\", \"localhost:79\" or \"udp:79\"";

/// Whether the C library might read this as an IPv4 address in some old way: its last part begins
/// with a digit.
fn ends_in_number(text: &str) -> bool {
    let last = text
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal || last.to_ascii_lowercase().starts_with("0x")
}

fn port(text: &str) -> Result<Port, Mistake> {
    if text.is_empty() {
        return Err(Mistake::new("the port is missing").help(FORMS));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_padded = text.len() > 1 && text.starts_with('0');
        let number = text.parse().ok().filter(|_| !is_padded);
        return number
            .map(Port::Number)
            .ok_or_else(|| no_such_port(&quoted(text)));
    }
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'*');
    let is_name = text.bytes().all(allowed) && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    match is_name {
        true => Ok(Port::Name(text.to_owned())),
        false => Err(no_such_port(&quoted(text))),
    }
}

fn no_such_port(shown: &str) -> Mistake {
    let mistake = Mistake::new(format!("{shown} is not a port"));
    mistake.help(
        "a port is a number from 0 to 65535 without leading zeros, or a name from /etc/services",
    )
}

fn check_family(host: &HostPart, family: Family, prefix: &str) -> Result<(), Mistake> {
    let (wrong, other) = match (host, family) {
        (HostPart::V4(_), Family::V6) => ("IPv4", &prefix[..3]),
        (HostPart::V6(..), Family::V4) => ("IPv6", &prefix[..3]),
        _ => return Ok(()),
    };
    Err(
        Mistake::new(format!("{prefix} does not go with an {wrong} address"))
            .help(format!("write {other}: instead")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(transport: Transport, family: Family, host: HostPart, port: u16) -> Wanted {
        Wanted {
            transport,
            target: Target::Inet {
                family,
                host,
                port: Port::Number(port),
            },
        }
    }

    #[test]
    fn every_form_is_understood() {
        use Transport::{Tcp, Udp, UnixDatagram, UnixSeqpacket, UnixStream};
        let lo4 = HostPart::V4(Ipv4Addr::LOCALHOST);
        let lo6 = HostPart::V6(Ipv6Addr::LOCALHOST, None);
        let link = HostPart::V6("fe80::1".parse().unwrap(), Some("eth0".into()));
        let path = |transport| Wanted {
            transport,
            target: Target::Path("/run/x".into()),
        };
        let forms = [
            ("13", inet(Tcp, Family::Both, HostPart::Any, 13)),
            ("0", inet(Tcp, Family::Both, HostPart::Any, 0)),
            ("tcp:13", inet(Tcp, Family::Both, HostPart::Any, 13)),
            ("tcp4:13", inet(Tcp, Family::V4, HostPart::Any, 13)),
            ("udp6:13", inet(Udp, Family::V6, HostPart::Any, 13)),
            ("127.0.0.1:13", inet(Tcp, Family::Both, lo4.clone(), 13)),
            ("udp4:127.0.0.1:13", inet(Udp, Family::V4, lo4, 13)),
            ("[::1]:13", inet(Tcp, Family::Both, lo6.clone(), 13)),
            ("tcp6:[::1]:65535", inet(Tcp, Family::V6, lo6, 65535)),
            ("[fe80::1%eth0]:13", inet(Tcp, Family::Both, link, 13)),
            (
                "localhost:13",
                inet(Tcp, Family::Both, HostPart::Name("localhost".into()), 13),
            ),
            ("unix:/run/x", path(UnixStream)),
            ("unix-dgram:/run/x", path(UnixDatagram)),
            ("unix-seqpacket:/run/x", path(UnixSeqpacket)),
            (
                "unix:@x",
                Wanted {
                    transport: UnixStream,
                    target: Target::Abstract("x".into()),
                },
            ),
        ];
        for (text, expected) in forms {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        let named = parse("udp:daytime").unwrap();
        let Target::Inet { port, .. } = named.target else {
            panic!()
        };
        assert_eq!(port, Port::Name("daytime".into()));
    }

    #[test]
    fn each_wrong_form_has_its_words() {
        let forms = [
            ("", "the port is missing"),
            ("65536", "\"65536\" is not a port"),
            ("013", "\"013\" is not a port"),
            ("79-81", "\"79-81\" is not a port"),
            ("tcp:", "the port is missing"),
            ("*:13", "an address is missing before the colon"),
            (":13", "an address is missing before the colon"),
            ("127.0.0.1", "the port is missing"),
            ("127.0.0.1:", "the port is missing"),
            ("010.0.0.1:13", "\"010.0.0.1\" is not an IPv4 address"),
            ("1.2.3:13", "\"1.2.3\" is not an IPv4 address"),
            ("0x7f.1:13", "\"0x7f.1\" is not an IPv4 address"),
            ("2130706433:13", "\"2130706433\" is not an IPv4 address"),
            ("1.2.3.0xff:13", "\"1.2.3.0xff\" is not an IPv4 address"),
            ("::1:13", "an IPv6 address is written in brackets"),
            ("[::1]", "the port is missing"),
            ("[::1:13", "a ] is missing in \"[::1:13\""),
            ("[::x]:13", "\"::x\" is not an IPv6 address"),
            (
                "[::ffff:1.2.3.4]:13",
                "this is an IPv4 address in IPv6 form",
            ),
            (
                "[fe80::1]:13",
                "fe80::1 is a link-local address: each network has its own",
            ),
            (
                "[::1%lo]:13",
                "only link-local addresses (fe80::…) take an interface",
            ),
            (
                "tcp6:127.0.0.1:13",
                "tcp6: does not go with an IPv4 address",
            ),
            ("udp4:[::1]:13", "udp4: does not go with an IPv6 address"),
            ("a b:13", "\"a b\" is neither an address nor a host name"),
            ("tcp:udp:13:1", "\"udp:13:1\" has too many colons"),
            ("/run/x", "a Unix socket is written with a prefix"),
            ("@x", "a Unix socket is written with a prefix"),
            ("unix:run/x", "\"run/x\" is not an absolute path"),
            (
                "unix:/run/",
                "this is a directory: a socket needs a name in it",
            ),
            ("unix:@", "an abstract socket needs a name"),
        ];
        for (text, expected) in forms {
            assert_eq!(parse(text).unwrap_err().message(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_ipv6_address_without_brackets_is_shown_with_them() {
        let help = |text: &str| parse(text).unwrap_err().advice().unwrap().to_owned();
        assert_eq!(help("::1:13"), "write \"[::1]:13\"");
        assert_eq!(help("udp:2001:db8::1:53"), "write \"udp:[2001:db8::1]:53\"");
        assert_eq!(help("2001:db8::"), "write \"[2001:db8::]:PORT\"");
    }

    #[test]
    fn unix_addresses_have_at_most_107_bytes() {
        let path = |length: usize| format!("unix:/{}", "x".repeat(length - 1));
        assert!(parse(&path(107)).is_ok());
        assert!(parse(&path(108)).is_err());
        assert!(parse(&format!("unix:@{}", "x".repeat(107))).is_ok());
        assert!(parse(&format!("unix:@{}", "x".repeat(108))).is_err());
    }
}
