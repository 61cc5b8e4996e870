//! The words between commands, supervisor and worker.
//!
//! Commands send a [`Request`] over the control socket and are answered in lines (see `answer`).
//! Between supervisor and worker go fixed-size records over a SOCK_SEQPACKET pair.
//!
//! [`Order`]s go to the worker, one a message, a listener's descriptor with it where needed.
//! [`Report`]s come back, up to [`BATCH`] a message. Both are bytes of a fixed length with every
//! field checked on arrival: a worker that was taken over can say wrong things, never crash us.

mod answer;
mod keys;
mod place;
mod record;
mod request;

pub use answer::{
    Bucket, Counters, Explained, Failed, Holding, Kind, LastFailure, NotBound, Rule, ServerStatus,
    ServiceStatus, SessionStatus, Sizes, State, Times, Waits,
};
pub use keys::{Keys, Route, list_from_file, list_to_file};
pub use place::{Place, STANDARD_PLACE};
pub use record::{BATCH, LENGTH, Malformed};
pub use request::{From, LONGEST, Request, Signal, Target};

use crate::admission::{Level, Load};
use crate::sys::socket::Peer;
use crate::table::{Builtin, Client, Refusal, Transport};
pub use crate::table::{ListenerId, ServiceId};
use std::net::{IpAddr, SocketAddr};

/// What the worker does with the clients of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It speaks a protocol with them.
    Builtin(Builtin),
    /// It passes them on to another server, whose addresses `Targets` tells.
    Redirect,
}

/// What leads to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Two pipes: the one that it reads, and the one that it writes.
    Pipes,
    /// The master of a terminal that edits lines at first.
    Terminal,
    /// The master of one that was made raw.
    RawTerminal,
}

/// What the supervisor tells the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Serve this listener; its (non-blocking) descriptor comes with the message.
    Listen {
        /// Whose number reports will carry back.
        service: ServiceId,
        /// The listener's own number, for `Unlisten`.
        listener: ListenerId,
        /// What to do with clients.
        work: Work,
        /// Kind of socket.
        transport: Transport,
        /// The service's `max_connections`, 1 or more: over all its listeners.
        max_connections: u32,
    },
    /// Close this listener's copy. Sessions that it brought go on.
    Unlisten {
        /// Which.
        listener: ListenerId,
    },
    /// The service's `max_connections` has changed.
    Limit {
        /// Which service.
        service: ServiceId,
        /// The new number, 1 or more.
        max_connections: u32,
    },
    /// The worker's `max_worker_connections` has changed.
    Ceiling {
        /// The new number, 1 or more: over all services.
        max_connections: u32,
    },
    /// A UDP socket of this server is bound here (built-in or not): never answer it.
    OwnUdp {
        /// Its address; a wildcard stands for all of ours.
        address: SocketAddr,
    },
    /// That socket is gone.
    ForgetUdp {
        /// Its address, as it was told.
        address: SocketAddr,
    },
    /// `allow`, `deny` and `exempt` of some services: an [`Acl`](crate::table::Acl) as JSON in a file
    /// whose descriptor comes with the message.
    List {
        /// What `Policy` calls it, 1 or more.
        list: u32,
    },
    /// No `Policy` to come names this list. Services that have it keep it.
    ForgetList {
        /// Which.
        list: u32,
    },
    /// The service's admission keys: [`Keys`] as JSON in a file whose descriptor comes with the
    /// message. A service that was told none has none.
    Policy {
        /// Which service.
        service: ServiceId,
        /// Its lists, told before; 0 for none.
        list: u32,
    },
    /// Where clients of the service are passed on to: a [`Route`] as JSON in a file whose descriptor
    /// comes with the message. Told before its first listener.
    Targets {
        /// Which service.
        service: ServiceId,
    },
    /// The service is gone: what was told of it may be forgotten.
    Forget {
        /// Which.
        service: ServiceId,
    },
    /// Refuse clients of this prefix; answered with `Obeyed`.
    Ban {
        /// Comes back with the answer.
        serial: u32,
        /// Address and number of bits that count, 0 to 32 or 128; the others are zero.
        prefix: (IpAddr, u8),
        /// For how many milliseconds.
        millis: u64,
    },
    /// No longer refuse clients of exactly this prefix; answered with `Obeyed`.
    Unban {
        /// Comes back with the answer.
        serial: u32,
        /// As it was told.
        prefix: (IpAddr, u8),
    },
    /// Tell what would decide about a client now; answered with `Explained`.
    Explain {
        /// Comes back with the answer.
        serial: u32,
        /// Of which service.
        service: ServiceId,
        /// Who.
        client: Client,
    },
    /// Pass on what a client and its program say to each other. With the message come the client's
    /// socket and what leads to the program (non-blocking at our end).
    Attend {
        /// The connection's number at the supervisor, for `Passed`.
        number: u64,
        /// What leads there.
        way: Way,
        /// Whether the client's lines end in CRLF and the program's in LF.
        newline: bool,
    },
    /// The program of an `Attend` has ended: nobody comes back to its terminal, and its client may
    /// not keep what is left for ever.
    Exited {
        /// The number of the `Attend`.
        number: u64,
    },
    /// Pass on no more of an `Attend`, whatever is left.
    Cut {
        /// Its number.
        number: u64,
    },
    /// End this connection.
    End {
        /// Its number.
        number: u32,
    },
}

/// What the worker counts of a service and of one of its clients' sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections of the service, and how many it may have.
    pub service: Load,
    /// Those of all built-in services.
    pub worker: Load,
    /// Those of the source to the service.
    pub source: u32,
    /// What is left of `rate`.
    pub rate: Option<Level>,
    /// What the source has used of it lately.
    pub rate_used: u32,
    /// What is left of `rate_per_source`.
    pub rate_per_source: Option<Level>,
    /// Why the client would be refused.
    pub refusal: Option<Refusal>,
    /// Why clients wait to be taken, if they do.
    pub waits: Option<Refusal>,
}

/// Why a connection that the worker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The answer was given, or both sides had finished.
    Finished,
    /// The client closed or reset it before that.
    ClientLeft,
    /// The server that it was passed on to reset the connection.
    TargetLeft,
    /// Nothing moved for the idle timeout.
    IdleTimeout,
    /// It has lasted as long as it may.
    MaxLifetime,
    /// It was the oldest idle one when the worker was full.
    Evicted,
    /// The worker died.
    WorkerDied,
    /// The supervisor asked for it: `oxinetd kill`.
    Killed,
}

/// What the worker tells the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A connection was accepted and admitted, and the server it is passed on to is being called:
    /// `Began`, `NotConnected` or `Ended` follows.
    Accepted {
        /// To which service.
        service: ServiceId,
        /// Its number, as in `Began`.
        number: u32,
        /// Who.
        peer: Peer,
    },
    /// None of the addresses that it is passed on to answered: it has ended.
    NotConnected {
        /// The number it was accepted with.
        number: u32,
        /// How the last attempt failed, positive.
        errno: i32,
    },
    /// A connection was accepted and admitted, and is served.
    Began {
        /// To which service.
        service: ServiceId,
        /// Its number within this worker's life, counted from 1.
        number: u32,
        /// Who.
        peer: Peer,
    },
    /// That connection has ended.
    Ended {
        /// To which service.
        service: ServiceId,
        /// The number it began with.
        number: u32,
        /// Bytes that the client sent and we read.
        received: u64,
        /// Bytes that the kernel took from us for the client.
        sent: u64,
        /// Why.
        ending: Ending,
    },
    /// A connection was accepted and refused.
    Refused {
        /// To which service.
        service: ServiceId,
        /// Its number: refused connections count like others.
        number: u32,
        /// Who.
        peer: Peer,
        /// Why.
        reason: Refusal,
    },
    /// An order was obeyed.
    Obeyed {
        /// Which.
        serial: u32,
    },
    /// What would decide about a client.
    Explained {
        /// As it was asked.
        serial: u32,
        /// What is counted.
        counts: Counts,
    },
    /// A connection was gone before we could accept it.
    Aborted {
        /// To which service.
        service: ServiceId,
    },
    /// A listener was closed, as `Unlisten` asked: it is not accepted from any more.
    Unlistened {
        /// Which.
        listener: ListenerId,
    },
    /// Nothing more passes between a client and its program.
    Passed {
        /// The number of `Attend`.
        number: u64,
        /// Bytes that the client sent and we read.
        received: u64,
        /// Bytes that the kernel took from us for the client.
        sent: u64,
        /// Why.
        ending: Ending,
    },
    /// Datagrams since the last such report of this service, at most one a second.
    Datagrams {
        /// To which service.
        service: ServiceId,
        /// Arrived.
        received: u64,
        /// Answered.
        answered: u64,
        /// Not answered because of the source: a port below 1024, one of our own sockets, multicast
        /// or broadcast.
        unsafe_source: u64,
        /// Not answered because the source, or the service, had had its share.
        over_rate: u64,
        /// Not answered because the source may not, or not now.
        refused: u64,
    },
}
