//! The service field and the protocol: where a line listens.

use super::super::words::quoted;
use super::Dialect;
use std::net::Ipv6Addr;

/// What a protocol field asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Streams or datagrams; the prefix of `listen` for each family.
    Inet {
        udp: bool,
        family: Family,
    },
    Unix,
}

/// The address family of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Both,
    V4,
    V6,
}

/// A reason, and what to do.
pub(super) type Wrong = (String, String);

fn wrong(message: impl Into<String>, help: impl Into<String>) -> Wrong {
    (message.into(), help.into())
}

/// Reads a protocol field. Options after a comma are left to the caller.
pub(super) fn protocol(text: &str, dialect: Dialect) -> Result<Protocol, Wrong> {
    let plain = match dialect {
        Dialect::Debian => Family::Both,
        _ => Family::V4,
    };
    let six = match dialect {
        Dialect::Gnu => Family::Both,
        _ => Family::V6,
    };
    let (udp, rest) = match (text.strip_prefix("tcp"), text.strip_prefix("udp")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ if text == "unix" => return Ok(Protocol::Unix),
        _ if text.starts_with("rpc/") => {
            return Err(wrong(
                "Sun RPC is not offered",
                "start the server by itself: it registers with rpcbind",
            ));
        }
        _ => {
            return Err(wrong(
                format!("unknown protocol {}", quoted(text)),
                "write tcp, tcp4, tcp6, tcp46, udp, udp4, udp6, udp46 or unix",
            ));
        }
    };
    let family = match rest {
        "" => plain,
        "4" => Family::V4,
        "6" => six,
        "6only" => Family::V6,
        "46" => Family::Both,
        _ => {
            return Err(wrong(
                format!("unknown protocol {}", quoted(text)),
                "write tcp, tcp4, tcp6, tcp46, udp, udp4, udp6, udp46 or unix",
            ));
        }
    };
    Ok(Protocol::Inet { udp, family })
}

/// The address before a service, if one is written, and the service.
pub(super) fn split_service(text: &str) -> (Option<&str>, &str) {
    match text.rsplit_once(':') {
        Some((address, service)) if !text.starts_with('/') => (Some(address), service),
        _ => (None, text),
    }
}

/// The hosts of an address field; `None` is any.
pub(super) fn hosts(text: &str) -> Vec<Option<String>> {
    let host = |host: &str| match host {
        "" | "*" => None,
        host => Some(host.trim_matches(['[', ']']).to_owned()),
    };
    text.split(',').map(host).collect()
}

/// An element of `listen`. An address decides its family by itself.
pub(super) fn element(udp: bool, family: Family, host: Option<&str>, port: &str) -> String {
    let host_is_v6 = host.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    let is_address = host_is_v6 || host.is_some_and(is_v4);
    let word = if udp { "udp" } else { "tcp" };
    let prefix = match (family, udp) {
        _ if is_address && !udp => String::new(),
        _ if is_address => "udp:".to_owned(),
        (Family::Both, false) => String::new(),
        (Family::Both, true) => "udp:".to_owned(),
        (Family::V4, _) => format!("{word}4:"),
        (Family::V6, _) => format!("{word}6:"),
    };
    match host {
        None => format!("{prefix}{port}"),
        Some(host) if host_is_v6 || host.contains(':') => format!("{prefix}[{host}]:{port}"),
        Some(host) => format!("{prefix}{host}:{port}"),
    }
}

fn is_v4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}
