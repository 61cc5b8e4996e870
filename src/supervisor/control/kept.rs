//! An event that outlives its moment, so that callers can be told of it later.
//!
//! What happens for every connection is kept as it is and written only for somebody who asks; the
//! rest is rare, and written at once.

use crate::event::{Event, Session, Value};
use crate::log;
use crate::table::{LogAddress, Service};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    /// Since 1970.
    at: Duration,
    what: What,
}

#[derive(Debug)]
enum What {
    /// An event of a session, but for the service's name.
    Session(Event<'static>, Rc<Service>),
    /// Any other.
    Written {
        service: Option<Box<str>>,
        json: Box<[u8]>,
        text: Box<[u8]>,
    },
}

impl Kept {
    /// Keeps an event, of this service if it is of one.
    pub(super) fn new(event: &Event, service: Option<&Rc<Service>>, address: LogAddress) -> Kept {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = at.unwrap_or_default();
        let session = service.and_then(|service| Some((detached(event)?, Rc::clone(service))));
        let what = match session {
            Some((event, service)) => What::Session(event, service),
            None => written(event, at, address),
        };
        Kept { at, what }
    }

    /// The name of the service that it is of.
    pub(super) fn service(&self) -> Option<&str> {
        match &self.what {
            What::Session(_, service) => Some(&service.name),
            What::Written { service, .. } => service.as_deref(),
        }
    }

    /// When it happened, in seconds since 1970.
    pub(super) fn at(&self) -> Duration {
        self.at
    }

    /// Bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        let more = match &self.what {
            What::Session(..) => 0,
            What::Written { json, text, .. } => json.len() + text.len(),
        };
        size_of::<Kept>() + more
    }

    /// Appends the line of JSON that the log has of it.
    pub(super) fn write_json(&self, out: &mut Vec<u8>, address: LogAddress) {
        match &self.what {
            What::Session(event, service) => {
                log::json(out, &attached(event, &service.name), self.at, address);
            }
            What::Written { json, .. } => out.extend_from_slice(json),
        }
    }

    /// Appends the line of text that the log has of it.
    pub(super) fn write_text(&self, out: &mut Vec<u8>, address: LogAddress) {
        match &self.what {
            What::Session(event, service) => {
                log::text(out, &attached(event, &service.name), address);
            }
            What::Written { text, .. } => out.extend_from_slice(text),
        }
    }
}

fn written(event: &Event, at: Duration, address: LogAddress) -> What {
    let (mut json, mut text) = (Vec::new(), Vec::new());
    log::json(&mut json, event, at, address);
    log::text(&mut text, event, address);
    let mut service = None;
    event.fields(true, &mut |name, value| {
        if let ("service", Value::Text(name)) = (name, value) {
            service = Some(name.to_string().into());
        }
    });
    What::Written {
        service,
        json: json.into(),
        text: text.into(),
    }
}

/// The event without the name of its service; `None` for one that borrows more than that.
fn detached(event: &Event) -> Option<Event<'static>> {
    let nameless = |session: &Session| Session {
        service: "",
        id: session.id,
        peer: session.peer,
    };
    Some(match event {
        Event::Refused { session, reason } => Event::Refused {
            session: nameless(session),
            reason: *reason,
        },
        Event::Started { session, pid } => Event::Started {
            session: nameless(session),
            pid: *pid,
        },
        Event::Began { session, accepted } => Event::Began {
            accepted: *accepted,
            session: nameless(session),
        },
        Event::Ended {
            session,
            pid,
            status,
            duration,
            cpu,
            max_rss,
            received,
            sent,
            limit,
            unjoined,
        } => Event::Ended {
            session: nameless(session),
            pid: *pid,
            status: *status,
            duration: *duration,
            cpu: *cpu,
            max_rss: *max_rss,
            received: *received,
            sent: *sent,
            limit: *limit,
            unjoined: *unjoined,
        },
        Event::Finished {
            session,
            duration,
            received,
            sent,
            reason,
        } => Event::Finished {
            session: nameless(session),
            duration: *duration,
            received: *received,
            sent: *sent,
            reason,
        },
        _ => return None,
    })
}

/// The event with it.
fn attached<'a>(event: &Event<'static>, service: &'a str) -> Event<'a> {
    // It was made by the same function, so it has one.
    let mut event: Event<'a> = detached(event).unwrap_or(Event::Stopped);
    if let Event::Refused { session, .. }
    | Event::Started { session, .. }
    | Event::Began { session, .. }
    | Event::Ended { session, .. }
    | Event::Finished { session, .. } = &mut event
    {
        session.service = service;
    }
    event
}
