//! The first field and the third: where a line listens, in the form of `listen`.

use super::super::mistake::{Located, Place};
use super::super::words::quoted;
use super::Dialect;
use super::address::{self, Protocol};
use super::fields::Reader;
use super::words::Word;

impl Reader<'_> {
    pub(super) fn listen(
        &mut self,
        service: &Word,
        protocol: &Word,
        is_datagram: bool,
    ) -> Vec<Located<String>> {
        let (name, options) = match protocol.text.split_once(',') {
            Some((name, _)) => (name, true),
            None => (protocol.text.as_str(), false),
        };
        if options {
            let words = "buffer sizes are left to the system".into();
            self.remark(&protocol.span, "buffer sizes", words, true);
        }
        let place = self.place(&service.span);
        match address::protocol(name, self.dialect) {
            Err((message, help)) => {
                self.wrong(&protocol.span, message, help);
                Vec::new()
            }
            Ok(Protocol::Unix) => self.unix(service, is_datagram, place),
            Ok(Protocol::Inet { udp, family }) => {
                let (written, port) = address::split_service(&service.text);
                let port = port.to_owned();
                if let Some(reason) = not_a_port(&port) {
                    self.wrong(&service.span, reason.0, reason.1);
                    return Vec::new();
                }
                let hosts = match written.or(self.default_host.as_deref()) {
                    Some(text) => address::hosts(text),
                    None => vec![None],
                };
                let element = |host: Option<String>| {
                    let text = address::element(udp, family, host.as_deref(), &port);
                    Located::new(text, place.clone())
                };
                hosts.into_iter().map(element).collect()
            }
        }
    }

    fn unix(&mut self, service: &Word, is_datagram: bool, place: Place) -> Vec<Located<String>> {
        // FreeBSD's `:user:group:mode:/path`.
        let path = match service.text.find(":/") {
            Some(at) if service.text.starts_with(':') => &service.text[at + 1..],
            _ => service.text.as_str(),
        };
        if self.dialect == Dialect::Freebsd || path.len() < service.text.len() {
            let help = "in services.toml write who may connect: allow = \"uid:0\"";
            let message = "who may connect is decided by the socket's owner and mode (0200), which are not kept";
            self.wrong(&service.span, message, help);
        }
        if !path.starts_with('/') {
            let help = "write the absolute path of the socket as the service";
            self.wrong(&service.span, "a unix socket has a path", help);
            return Vec::new();
        }
        let prefix = if is_datagram { "unix-dgram:" } else { "unix:" };
        vec![Located::new(format!("{prefix}{path}"), place)]
    }
}

/// Service names that are none, or are another kind of thing.
fn not_a_port(name: &str) -> Option<(String, &'static str)> {
    if name.starts_with("tcpmux/") {
        let help = "TCPMUX is historic (RFC 7805): give the service a port";
        return Some(("TCPMUX is not offered".to_owned(), help));
    }
    if name.contains('/') {
        let help = "Sun RPC is not offered: start the server by itself, it registers with rpcbind";
        return Some((format!("{} is not a port", quoted(name)), help));
    }
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let fits = name.parse::<u16>().is_ok_and(|port| port > 0) && !name.starts_with('0');
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'*');
    let is_name = !name.is_empty()
        && name.bytes().all(allowed)
        && !is_number
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    let help = "a service is a name from /etc/services or a port from 1 to 65535";
    match is_name || (is_number && fits) {
        true => None,
        false => Some((format!("{} is no service", quoted(name)), help)),
    }
}
