//! `redirect`: where clients are passed on to, in the forms of `listen` that can be connected to.

use super::address;
use super::entry::Entry;
use super::listen::{self, HostPart, Port, Target, Wanted};
use super::mistake::{Located, Mistake, Mistakes};
use super::resolve::Resolver;
use crate::table::{Address, Transport};

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
        let found = found.map_err(|mistake| mistake.at(&wanted.place).into());
        self.keep(found).unwrap_or_default()
    }
}
