//! The keys that are options of sockets: their forms, and whether a service has such sockets.

use super::entry::{Entry, name_or_id};
use super::listen::Target;
use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::{Node, Section};
use super::resolve::Resolver;
use super::value::{self, NameOrId};
use super::words::quoted;
use crate::table::{Device, FileRights, Keepalive, SocketOptions, Transport};

/// The longest time that the kernel takes for keepalive, in seconds (MAX_TCP_KEEPIDLE).
const LONGEST_KEEPALIVE: u64 = 32_767;
/// The most questions (MAX_TCP_KEEPCNT).
const MOST_QUESTIONS: i64 = 127;
/// Where a client's going is to be noticed. Of one that has closed both directions nothing comes but its
/// end, as of one that still reads: only an answer to a question tells them apart.
const SOON: Keepalive = Keepalive::On {
    idle: Some(10),
    interval: Some(10),
    count: Some(3),
};
/// The longest user timeout: its milliseconds are an int.
const LONGEST_USER_TIMEOUT: u64 = 24 * 86_400;

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct SocketEntry {
    keepalive: Option<Keepalive>,
    user_timeout: Option<u32>,
    nodelay: Option<bool>,
    backlog: Option<u16>,
    freebind: Option<bool>,
    device: Option<Device>,
    user: Option<Located<NameOrId>>,
    group: Option<Located<NameOrId>>,
    mode: Option<u16>,
}

pub(super) fn read_keys(s: &mut Section) -> SocketEntry {
    SocketEntry {
        keepalive: s.take("keepalive", keepalive),
        user_timeout: s.take("user_timeout", |node| {
            let seconds = value::duration(&node, LONGEST_USER_TIMEOUT)?;
            Ok((seconds * 1000) as u32)
        }),
        nodelay: s.take("nodelay", |node| Ok(node.boolean()?.value)),
        backlog: s.take("backlog", |node| {
            Ok(node.integer(1..=i64::from(u16::MAX))?.value as u16)
        }),
        freebind: s.take("freebind", |node| Ok(node.boolean()?.value)),
        device: s.take("bind_device", device),
        user: s.take("socket_user", name_or_id),
        group: s.take("socket_group", name_or_id),
        mode: s.take("socket_mode", |node| {
            Ok(value::mode(&node.string()?)? as u16)
        }),
    }
}

impl Resolver<'_> {
    /// The options of a service's sockets. One that is to notice when clients have gone asks them soon.
    pub(super) fn socket(&mut self, entry: &Entry, notices_disconnects: bool) -> SocketOptions {
        let usual = match notices_disconnects {
            true => SOON,
            false => Keepalive::default(),
        };
        self.check_sockets(entry);
        let file = self.socket_file(entry);
        let (own, defaults) = (&entry.socket, &self.defaults.socket);
        SocketOptions {
            keepalive: own.keepalive.or(defaults.keepalive).unwrap_or(usual),
            user_timeout: own.user_timeout.or(defaults.user_timeout),
            nodelay: own.nodelay.or(defaults.nodelay).unwrap_or(false),
            backlog: own.backlog.or(defaults.backlog),
            freebind: own.freebind.or(defaults.freebind).unwrap_or(false),
            device: own.device.or(defaults.device),
            file,
        }
    }

    /// Who may connect to its Unix sockets in the file system, if it has any.
    fn socket_file(&mut self, entry: &Entry) -> FileRights {
        if !has_file(entry) {
            return FileRights::default();
        }
        let (own, defaults) = (&entry.socket, &self.defaults.socket);
        let user = own.user.as_ref().or(defaults.user.as_ref());
        let group = own.group.as_ref().or(defaults.group.as_ref());
        let user = user.and_then(|wish| {
            let id = self.identities.user_id(wish);
            self.keep(id)
        });
        let group = group.and_then(|wish| {
            let id = self.identities.group(wish);
            self.keep(id)
        });
        let mode = own.mode.or(defaults.mode);
        FileRights { user, group, mode }
    }

    /// What is asked of sockets that the service does not have is a mistake.
    fn check_sockets(&mut self, entry: &Entry) {
        let Some(listen) = entry.listen.as_deref().filter(|listen| !listen.is_empty()) else {
            return;
        };
        let has = |is: fn(Transport) -> bool| listen.iter().any(|it| is(it.value.transport));
        let tcp = (has(|it| it == Transport::Tcp), "TCP connections");
        let queue = (has(Transport::is_connected), "connections");
        let inet = (
            has(|it| matches!(it, Transport::Tcp | Transport::Udp)),
            "IP addresses",
        );
        let file = (has_file(entry), "Unix sockets in the file system");
        let own = &entry.socket;
        let asks = own.keepalive.is_some_and(|it| it != Keepalive::Off);
        let keys = [
            ("keepalive", asks, tcp),
            ("user_timeout", own.user_timeout.is_some(), tcp),
            ("nodelay", own.nodelay == Some(true), tcp),
            ("backlog", own.backlog.is_some(), queue),
            ("freebind", own.freebind == Some(true), inet),
            ("bind_device", own.device.is_some(), inet),
            ("socket_user", own.user.is_some(), file),
            ("socket_group", own.group.is_some(), file),
            ("socket_mode", own.mode.is_some(), file),
        ];
        for (key, is_asked, (is_there, what)) in keys {
            if let Some(place) = entry.place_of(key).filter(|_| is_asked && !is_there) {
                let mistake =
                    Mistake::new(format!("{key} is about {what}, and this service has none"));
                self.mistakes.push(mistake.at(place).help("leave it out"));
            }
        }
    }
}

fn has_file(entry: &Entry) -> bool {
    let mut listen = entry.listen.iter().flatten();
    listen.any(|wanted| matches!(wanted.value.target, Target::Path(_)))
}

fn device(node: Node) -> Result<Device, Mistakes> {
    let name = node.string()?;
    Device::new(&name.value).ok_or_else(|| {
        let message = format!("{} cannot be a network interface", quoted(&name.value));
        Mistake::new(message)
            .at(&name.place)
            .help("write the name of one, such as \"eth0\": ip link lists them")
            .into()
    })
}

fn keepalive(node: Node) -> Result<Keepalive, Mistakes> {
    if let Ok(on) = node.boolean() {
        return Ok(match on.value {
            true => Keepalive::default(),
            false => Keepalive::Off,
        });
    }
    let (mut idle, mut interval, mut count) = (None, None, None);
    let set = |(name, node): (Located<&str>, Node)| {
        let seconds = || value::member_duration(name.value, &node, LONGEST_KEEPALIVE);
        match name.value {
            "idle" => idle = Some(seconds()? as u16),
            "interval" => interval = Some(seconds()? as u16),
            "count" => count = Some(questions(&node)?),
            other => {
                return Err(Mistake::new(format!("{} is not known here", quoted(other)))
                    .at(&name.place)
                    .help("write idle, interval or count: keepalive = { idle = \"2m\" }")
                    .into());
            }
        }
        Ok(())
    };
    all(node.entries()?.into_iter().map(set))?;
    Ok(Keepalive::On {
        idle,
        interval,
        count,
    })
}

fn questions(node: &Node) -> Result<u8, Mistakes> {
    let count = node
        .as_integer()
        .filter(|count| (1..=MOST_QUESTIONS).contains(count));
    count.map(|count| count as u8).ok_or_else(|| {
        Mistake::new(format!("count takes an integer from 1 to {MOST_QUESTIONS}"))
            .at(&node.place())
            .help("the questions without an answer after which the connection is over")
            .into()
    })
}
