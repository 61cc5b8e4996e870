//! `explain`: what would decide about a client now, by the very code that decides.
//!
//! For a program that is our own admission; for a built-in service the lists, bans and hours are ours
//! too, and the worker is asked for what it counts.

use super::super::Supervisor;
use super::super::link::Attachment;
use super::bans::shown;
use super::connection::Connection;
use super::task::Task;
use crate::admission::{Explanation, Policy};
use crate::control::{Bucket, Explained, From, Holding, Order, Rule};
use crate::table::{AclEntry, Action, Client, List, ServiceId, Who};
use std::time::{Duration, Instant};

/// EX_UNAVAILABLE: the worker does not answer.
const UNAVAILABLE: u8 = 69;
/// EX_USAGE.
const USAGE: u8 = 64;

/// A question that the worker has still to answer.
#[derive(Debug)]
pub(super) struct Explaining {
    serial: u32,
    service: ServiceId,
    client: Client,
}

impl Supervisor {
    pub(super) fn begin_explaining(
        &mut self,
        caller: &mut Connection,
        service: ServiceId,
        from: From,
    ) {
        let client = match from {
            From::Address(address) => Client::Ip(address.to_canonical()),
            From::Uid(uid) => Client::Uid(uid),
        };
        let Some(facts) = self.services.get(service).map(|entry| entry.facts.clone()) else {
            return;
        };
        if facts.wait {
            let error = format!(
                "the program of {} is given the socket itself: it alone decides about its clients",
                facts.name
            );
            return caller.fail(error, USAGE, Instant::now());
        }
        if !matches!(facts.action, Action::Builtin(_)) {
            return match self.explained(service, client, None) {
                Some(explained) => caller.finish(&explained, Instant::now()),
                None => caller.fail("the service is gone", UNAVAILABLE, Instant::now()),
            };
        }
        let Some(serial) = self.link.next_serial() else {
            let error = "the worker, which serves it, does not run";
            return caller.fail(error, UNAVAILABLE, Instant::now());
        };
        let order = Order::Explain {
            serial,
            service,
            client,
        };
        self.order(order, Attachment::Nothing);
        caller.task = Task::Explain(Explaining {
            serial,
            service,
            client,
        });
    }

    /// The answer, once the worker has answered; an error if it never will.
    pub(super) fn explaining(
        &mut self,
        asked: &Explaining,
    ) -> Option<Result<Explained, &'static str>> {
        if self.link.owes(asked.serial) {
            return None;
        }
        let counts = self.link.explained(asked.serial);
        let explained = counts.and_then(|_| self.explained(asked.service, asked.client, counts));
        Some(explained.ok_or("the worker ended before it could answer"))
    }

    fn explained(
        &mut self,
        service: ServiceId,
        client: Client,
        counts: Option<crate::control::Counts>,
    ) -> Option<Explained> {
        let now = self.moment();
        let mut explanation = self.admission.explain(service, client, &now);
        if let Some(counts) = counts {
            explanation.service = counts.service;
            explanation.server = counts.worker;
            explanation.source_live = counts.source;
            explanation.rate = counts.rate;
            explanation.rate_used = counts.rate_used;
            explanation.rate_per_source = counts.rate_per_source;
            explanation.verdict = counts.refusal.map_or(Ok(()), Err);
        }
        let entry = self.services.get(service)?;
        Some(answer(
            &entry.facts.name,
            client,
            &explanation,
            &entry.policy,
        ))
    }
}

fn answer(service: &str, client: Client, it: &Explanation, policy: &Policy) -> Explained {
    let bucket = |level: crate::admission::Level| Bucket {
        left: level.tokens,
        burst: level.burst,
    };
    Explained {
        done: true,
        service: service.to_owned(),
        from: match client {
            Client::Ip(ip) => ip.to_string(),
            Client::Uid(uid) => format!("uid:{uid}"),
        },
        refused: it.verdict.err(),
        allowed: it.access.allowed,
        rule: it.access.by.map(|entry| rule(&entry, policy)),
        exempt: it.access.exempt_by.map(|entry| rule(&entry, policy)),
        banned: it.banned.map(whole_seconds),
        open: it.open,
        connections: holding(it.service),
        all_services: holding(it.server),
        source: who(it.source),
        source_live: it.source_live,
        max_per_source: it.max_per_source,
        rate: it.rate.map(bucket),
        rate_used: it.rate_used,
        rate_per_source: it.rate_per_source.map(bucket),
    }
}

fn holding(load: crate::admission::Load) -> Holding {
    Holding {
        live: load.live,
        limit: load.limit,
    }
}

fn rule(entry: &AclEntry, policy: &Policy) -> Rule {
    let files = policy.acl.as_ref().map(|acl| acl.files.as_slice());
    let file = files.and_then(|files| files.get(entry.file as usize));
    let list = match entry.list {
        List::Allow => "allow",
        List::Deny => "deny",
        List::Exempt => "exempt",
    };
    Rule {
        list: list.to_owned(),
        entry: who(entry.who),
        file: file.cloned().unwrap_or_default(),
        line: entry.line,
    }
}

/// Rounded up: as long as there is a rest, it is not 0.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// As the table writes it.
fn who(who: Who) -> String {
    match who {
        Who::Prefix(ip, bits) => shown((ip, bits)),
        Who::Uid(uid) => format!("uid:{uid}"),
        Who::Local => "unix".to_owned(),
    }
}
