//! `redirect`: where clients are passed on to, in the forms of `listen` that can be connected to.

use super::address;
use super::entry::Entry;
use super::listen::{self, HostPart, Port, Target, Wanted};
use super::mistake::{Located, Mistake, Mistakes};
use super::resolve::Resolver;
use crate::table::{Address, Endpoint, Transport};

/// Reads where to, without looking anything up.
pub(super) fn read(text: &Located<String>) -> Result<Located<Wanted>, Mistakes> {
    let wanted = listen::address(text)?;
    match complaint(&wanted.value) {
        None => Ok(wanted),
        Some((message, help)) => Err(Mistake::new(message).at(&text.place).help(help).into()),
    }
}

fn complaint(wanted: &Wanted) -> Option<(&'static str, &'static str)> {
    if !matches!(wanted.transport, Transport::Tcp | Transport::UnixStream) {
        return Some((
            "redirect passes on streams of bytes, over TCP or a Unix stream socket",
            "write \"HOST:PORT\" or \"unix:/PATH\"",
        ));
    }
    match &wanted.target {
        Target::Inet {
            host: HostPart::Any,
            ..
        } => Some((
            "redirect needs the host to connect to",
            "for this one, write \"localhost:PORT\"",
        )),
        Target::Inet {
            port: Port::Number(0),
            ..
        } => Some((
            "nobody can connect to port 0",
            "write the port that the server listens on",
        )),
        _ => None,
    }
}

impl Resolver<'_> {
    /// The addresses to try, in order.
    pub(super) fn redirect(&mut self, entry: &Entry, wanted: &Located<Wanted>) -> Vec<Address> {
        let elements = entry.listen.iter().flatten();
        for element in elements {
            let transport = element.value.transport;
            if matches!(transport, Transport::Tcp | Transport::UnixStream) {
                continue;
            }
            let message = match transport.is_connected() {
                true => "redirect passes on streams of bytes, and this socket keeps records apart",
                false => "redirect passes on connections, and datagrams have none",
            };
            let mistake = Mistake::new(message).at(&element.place);
            self.mistakes
                .push(mistake.help("listen on TCP or a Unix stream socket (unix:) instead"));
        }
        let found = address::addresses(&wanted.value);
        let found = found.map_err(|mistake| {
            let mistake = match mistake.advice() {
                // It names all the forms of listen.
                Some(help) if help.contains("udp:") => {
                    mistake.help("write an address; the prefixes are tcp: tcp4: tcp6: unix:")
                }
                _ => mistake,
            };
            mistake.at(&wanted.place).into()
        });
        self.keep(found).unwrap_or_default()
    }

    /// A client that is passed on to where it came from is passed on again, until nobody has room.
    pub(super) fn warn_of_loop(
        &mut self,
        targets: &[Address],
        endpoints: &[Endpoint],
        wanted: &Located<Wanted>,
    ) {
        let leads_back = |target: &Address| endpoints.iter().any(|own| is_at(own, target));
        if targets.iter().any(leads_back) {
            let mistake = Mistake::new("redirect leads back to this service").at(&wanted.place);
            let help = "each client would be passed on again and again; name the other server";
            self.warnings.push(mistake.help(help).warning());
        }
    }
}

/// Whether a socket takes connections to this address, as far as that is plain.
fn is_at(own: &Endpoint, target: &Address) -> bool {
    match (&own.address, target) {
        (Address::Inet(own), Address::Inet(target)) => {
            let is_any = own.ip().is_unspecified() && own.is_ipv4() == target.is_ipv4();
            let is_here = target.ip().is_loopback() || target.ip().is_unspecified();
            own.port() == target.port() && (own.ip() == target.ip() || is_any && is_here)
        }
        (own, target) => own == target,
    }
}
