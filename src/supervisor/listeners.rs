//! Bound sockets: which there are, to whom they belong, and who may take from them.
//!
//! A listener is bound once and closed only when the table no longer names its address (or a `wait`
//! program has spoilt it). Everything else is a change of [`State`].

use super::control::Since;
use super::handed::Handed;
use crate::sys::Errno;
use crate::sys::address::{Address, Transport};
use crate::sys::fd::set_nonblocking;
use crate::sys::options::SocketOptions;
use crate::sys::socket::{self, BindError, bind, local_address};
use crate::table::{Endpoint, FileRights, ListenerId, ServiceId};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;

/// First and longest pause between attempts to bind, in seconds.
const RETRY: (u8, u8) = (1, 30);

/// Who takes from a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// We do, as soon as something is there.
    Armed,
    /// Nobody for the moment: the service is full, resources are short, or its program rests.
    Resting,
    /// A `wait` program.
    Lent,
    /// The worker.
    Served,
    /// The worker was asked to let go of it.
    Leaving,
    /// It could not be bound.
    NotBound,
    /// It was not asked for in particular, and this host does not have such addresses.
    LeftOut,
}

/// A socket that the table asks for.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) service: ServiceId,
    pub(super) endpoint: Endpoint,
    pub(super) state: State,
    /// When it was bound, or could not be for the first time.
    pub(super) since: Since,
    socket: Option<OwnedFd>,
    /// Whether its flags are those that a `wait` program is given.
    pub(super) blocks: bool,
    /// Whose clients the worker takes there, until it has let go of it: that may be another service
    /// than the table says by now.
    pub(super) served_for: Option<ServiceId>,
    /// How many connections there have been up to the one it took last: listeners take turns.
    pub(super) took: u64,
    /// The table no longer names it: it is closed when the worker has let go of it.
    pub(super) unwanted: bool,
    /// Somebody else has it, and clients may wait in its queue when we have closed it.
    pub(super) goes_on: bool,
    /// The next pause between attempts to bind, in seconds.
    retry: u8,
    /// The last failure that was told, to tell each once.
    told: Option<Errno>,
    rare: Option<Box<Rare>>,
}

/// What few listeners have.
#[derive(Debug, Default)]
struct Rare {
    /// What it is really bound to, where the kernel chose the port.
    chosen: Option<Address>,
    /// What it was bound with.
    options: SocketOptions,
    /// The name under which a unit of systemd has handed it over.
    unit: Option<String>,
    /// Device and inode of a Unix socket in the file system, to remove only our own.
    file: Option<(u64, u64)>,
}

impl Listener {
    fn new(service: ServiceId, endpoint: Endpoint) -> Listener {
        Listener {
            service,
            endpoint,
            state: State::NotBound,
            since: Since::now(),
            socket: None,
            blocks: false,
            served_for: None,
            took: 0,
            unwanted: false,
            goes_on: false,
            retry: RETRY.0,
            told: None,
            rare: None,
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn file(&self) -> Option<(u64, u64)> {
        self.rare.as_ref()?.file
    }

    /// The name under which a unit of systemd has handed it over.
    pub(super) fn unit(&self) -> Option<&str> {
        self.rare.as_ref()?.unit.as_deref()
    }

    /// The bound socket.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// What it is really bound to, or will be.
    pub(super) fn bound(&self) -> &Address {
        let chosen = self.rare.as_ref().and_then(|rare| rare.chosen.as_ref());
        chosen.unwrap_or(&self.endpoint.address)
    }

    /// What it was bound with.
    pub(super) fn options(&self) -> SocketOptions {
        let rare = self.rare.as_ref();
        rare.map_or_else(SocketOptions::default, |rare| rare.options)
    }

    /// Notes what it is bound with. Returns what was noted before.
    fn note_options(&mut self, options: SocketOptions) -> SocketOptions {
        let before = self.options();
        if before != options {
            self.rare().options = options;
        }
        before
    }

    /// The address as the table would write it, with the real port.
    pub(super) fn shown(&self) -> String {
        Endpoint {
            address: self.bound().clone(),
            ..self.endpoint.clone()
        }
        .to_string()
    }

    /// Whether nobody can connect to it any more: it only waits until the worker lets go of it.
    fn is_out_of_use(&self) -> bool {
        let is_shut = self.endpoint.transport == Transport::Tcp;
        self.unwanted && (is_shut || matches!(self.bound(), Address::Path(_)))
    }

    /// The port that the kernel has chosen for it, if it has.
    pub(super) fn chosen_port(&self) -> Option<u16> {
        match (&self.endpoint.address, self.bound()) {
            (Address::Inet(asked), Address::Inet(bound)) if asked.port() == 0 => {
                Some(bound.port()).filter(|port| *port != 0)
            }
            _ => None,
        }
    }

    /// Whether it is bound to every address of its family.
    pub(super) fn is_wildcard(&self) -> bool {
        matches!(self.bound(), Address::Inet(address) if address.ip().is_unspecified())
    }

    /// Binds it. `port` replaces port 0 where another socket of the same entry has one already.
    pub(super) fn bind(
        &mut self,
        nonblocking: bool,
        port: Option<u16>,
        options: SocketOptions,
    ) -> Result<(), BindError> {
        let mut address = self.endpoint.address.clone();
        if let (Address::Inet(inet), Some(port)) = (&mut address, port) {
            inet.set_port(port);
        }
        let socket = match bind(self.endpoint.transport, &address, nonblocking, &options) {
            Err(BindError {
                call: "bind",
                errno: Errno::EADDRINUSE,
            }) if remove_stale(&address, self.endpoint.transport, options.file) => {
                bind(self.endpoint.transport, &address, nonblocking, &options)?
            }
            result => result?,
        };
        let is_chosen = matches!(&address, Address::Inet(asked) if asked.port() == 0);
        let bound = match is_chosen.then(|| local_address(socket.as_fd())) {
            Some(Ok(Some(real))) => Address::Inet(with_scope(real, &address)),
            _ => address,
        };
        if bound != *self.bound() {
            self.rare().chosen = Some(bound);
        }
        self.note_options(options);
        self.begin(socket);
        Ok(())
    }

    /// Takes a socket that is bound to the endpoint's address already.
    pub(super) fn adopt(&mut self, handed: Handed, options: SocketOptions) {
        if let Some(unit) = handed.unit() {
            self.rare().unit = Some(unit.to_owned());
        }
        self.goes_on = self.unit().is_some();
        self.begin(handed.into_socket());
        self.note_options(options);
        let Some(socket) = self.socket() else { return };
        options.renew(socket, self.endpoint.transport);
        // A unit says itself whose its socket is. Ours were as the table said then; what can no more be
        // changed holds when they are bound again.
        let _ = match self.bound() {
            _ if self.unit().is_some() => Ok(()),
            Address::Path(path) => options.file.give(path, self.file()),
            Address::Inet(_) => options.set_device(socket),
            Address::Abstract(_) => Ok(()),
        };
    }

    fn begin(&mut self, socket: OwnedFd) {
        if let Some(file) = file_of(self.bound()) {
            self.rare().file = Some(file);
        }
        self.socket = Some(socket);
        self.state = State::Resting;
        self.since = Since::now();
        self.retry = RETRY.0;
        self.told = None;
    }

    /// The socket of a unit, when it is not needed here any more, with its name.
    pub(super) fn give_back(&mut self) -> Option<(OwnedFd, String)> {
        let name = self.rare.as_mut()?.unit.take()?;
        Some((self.socket.take()?, name))
    }

    /// Closes it, and removes its file.
    pub(super) fn close(&mut self) {
        self.remove_file();
        self.socket = None;
        self.state = State::NotBound;
        self.since = Since::now();
    }

    /// Removes the file of a Unix socket if it is still ours.
    pub(super) fn remove_file(&mut self) {
        if self.goes_on {
            return;
        }
        let file = self.rare.as_mut().and_then(|rare| rare.file.take());
        let Some(file) = file else { return };
        if let Address::Path(path) = self.bound() {
            if file_of(self.bound()) == Some(file) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Sets the flag that `wait` programs expect, or the one that we do.
    pub(super) fn set_blocking(&mut self, blocks: bool) {
        self.blocks = blocks;
        if let Some(socket) = self.socket() {
            let _ = set_nonblocking(socket, !blocks);
        }
    }

    /// Gives it the options of a new table. The error is of what can be changed only at the next start.
    pub(super) fn set_options(&mut self, options: SocketOptions) -> Result<(), BindError> {
        let before = self.note_options(options);
        let (Some(socket), true) = (self.socket(), before != options) else {
            return Ok(());
        };
        let transport = self.endpoint.transport;
        options.renew(socket, transport);
        let changed = match self.bound() {
            Address::Path(path) if before.file != options.file => {
                options.file.give(path, self.file())
            }
            Address::Inet(_) if before.device != options.device => options.set_device(socket),
            _ => Ok(()),
        };
        changed.map_err(|(call, errno)| BindError { call, errno })
    }

    /// Attempts to bind begin anew.
    pub(super) fn try_anew(&mut self) {
        self.retry = RETRY.0;
    }

    /// How long to wait before the next attempt to bind; the next time twice as long.
    pub(super) fn next_retry(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (pause * 2).min(RETRY.1);
        Duration::from_secs(pause.into())
    }

    /// Why it could not be bound, as far as that was told.
    pub(super) fn trouble(&self) -> Option<Errno> {
        self.told
    }

    /// Whether this failure was not told yet.
    pub(super) fn is_news(&mut self, errno: Errno) -> bool {
        self.told.replace(errno) != Some(errno)
    }
}

/// getsockname(2) tells no scope for addresses that need none; link-local ones keep theirs.
fn with_scope(real: std::net::SocketAddr, asked: &Address) -> std::net::SocketAddr {
    match asked {
        Address::Inet(asked) => {
            let mut address = *asked;
            address.set_port(real.port());
            address
        }
        _ => real,
    }
}

fn file_of(address: &Address) -> Option<(u64, u64)> {
    let Address::Path(path) = address else {
        return None;
    };
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Removes a Unix socket that nobody serves any more and that is ours to remove: of ourselves, or of
/// whom we would give it to. Anything else at the path stays.
fn remove_stale(address: &Address, transport: Transport, rights: FileRights) -> bool {
    let Address::Path(path) = address else {
        return false;
    };
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return false;
    };
    let is_own = metadata.uid() == nix::unistd::geteuid().as_raw();
    let is_ours = is_own || rights.user == Some(metadata.uid());
    let is_stale =
        metadata.file_type().is_socket() && socket::is_alive(path, transport) == Ok(false);
    is_ours && is_stale && std::fs::remove_file(path).is_ok()
}

/// What helps against a failure to bind.
pub(super) fn advice(error: BindError, address: &Address) -> &'static str {
    match (error.errno, address) {
        (Errno::EACCES, Address::Inet(address)) if address.port() < 1024 => {
            "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
        }
        (Errno::EADDRINUSE, Address::Inet(_)) => "; another program has it (ss -lntup tells which)",
        (Errno::EADDRINUSE, Address::Path(_)) => {
            "; something is there that is not a socket of ours left behind"
        }
        (Errno::EADDRINUSE, Address::Abstract(_)) => {
            "; another program has it (ss -lxp tells which)"
        }
        (Errno::EADDRNOTAVAIL, _) => "; this host does not have that address",
        (Errno::ENOENT, Address::Path(_)) => "; its directory does not exist",
        (Errno::EACCES, Address::Path(_)) => "; its directory is not ours to write to",
        (Errno::EAFNOSUPPORT, _) => "; this host does not have that kind of address",
        (Errno::ENODEV, _) => {
            "; this host does not have that network interface (ip link lists them)"
        }
        (Errno::EPERM, _) if error.call == "chown" => {
            "; only root may give a socket to another user, or to a group that it is not in"
        }
        _ => "",
    }
}

/// Whether a host that answers so simply lacks the address family (or the address).
pub(super) fn is_missing_here(errno: Errno) -> bool {
    matches!(errno, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
}

/// What makes two endpoints the same socket: transport and address; for port 0 also whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    transport: Transport,
    address: Address,
    chosen_for: Option<(ServiceId, u16)>,
}

impl Key {
    pub(super) fn of(service: ServiceId, endpoint: &Endpoint) -> Key {
        let is_chosen = matches!(&endpoint.address, Address::Inet(address) if address.port() == 0);
        Key {
            transport: endpoint.transport,
            address: endpoint.address.clone(),
            chosen_for: is_chosen.then_some((service, endpoint.entry)),
        }
    }
}

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// In boxes: a third of the places of a map are empty, and listeners are large.
    all: HashMap<ListenerId, Box<Listener>>,
    next: u32,
}

impl Listeners {
    pub(super) fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.all.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.all.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ListenerId, &Listener)> {
        self.all
            .iter()
            .map(|(id, listener)| (*id, listener.as_ref()))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds one that is not bound yet.
    pub(super) fn enter(&mut self, service: ServiceId, endpoint: Endpoint) -> ListenerId {
        let id = ListenerId(self.next);
        self.next += 1;
        self.all
            .insert(id, Box::new(Listener::new(service, endpoint)));
        id
    }

    /// Takes one out, still open.
    pub(super) fn leave(&mut self, id: ListenerId) -> Option<Listener> {
        self.all.remove(&id).map(|listener| *listener)
    }

    /// By key, for a reload: all that can still be of use, but for those that stay.
    pub(super) fn by_key(&self, stays: impl Fn(&Listener) -> bool) -> HashMap<Key, ListenerId> {
        self.all
            .iter()
            .filter(|(_, listener)| !stays(listener) && !listener.is_out_of_use())
            .map(|(id, listener)| (Key::of(listener.service, &listener.endpoint), *id))
            .collect()
    }

    /// The port that the kernel chose for another socket of the same entry.
    pub(super) fn sibling_port(&self, id: ListenerId, siblings: &[ListenerId]) -> Option<u16> {
        let this = self.get(id)?;
        let Address::Inet(address) = &this.endpoint.address else {
            return None;
        };
        if address.port() != 0 {
            return None;
        }
        siblings
            .iter()
            .filter(|sibling| **sibling != id)
            .filter_map(|sibling| self.get(*sibling))
            .find_map(|sibling| {
                let same =
                    sibling.endpoint.entry == this.endpoint.entry && sibling.socket.is_some();
                match sibling.bound() {
                    Address::Inet(bound) if same => Some(bound.port()),
                    _ => None,
                }
            })
    }
}
