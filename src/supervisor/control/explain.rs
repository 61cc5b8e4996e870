//! `explain`: what would decide about a client now, by the very code that decides.
//!
//! For a program that is our own admission; for a built-in service the lists, bans and hours are ours
//! too, and the worker is asked for what it counts.

use super::super::Supervisor;
use super::super::link::Attachment;
use super::bans::shown;
use super::connection::Connection;
use super::task::Task;
use crate::admission::{Explanation, Now, Policy};
use crate::control::{
    Bucket, Counts, Explained, From, Holding, Kind, Order, Rule, ServiceStatus, State, Waits,
};
use crate::table::{AclEntry, Action, Client, List, Refusal, ServiceId, Who};
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
        if matches!(facts.action, Action::Exec(_)) {
            return self.explain_alone(caller, service, client, "the service is gone");
        }
        let Some(serial) = self.link.next_serial() else {
            let error = "the worker, which serves it, does not run";
            return self.explain_alone(caller, service, client, error);
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

    /// Answers without the worker, or with this error where only the worker knows.
    fn explain_alone(
        &mut self,
        caller: &mut Connection,
        service: ServiceId,
        client: Client,
        error: &str,
    ) {
        match self.explained(service, client, None) {
            Some(explained) => caller.finish(&explained, Instant::now()),
            None => caller.fail(error, UNAVAILABLE, Instant::now()),
        }
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

    /// `None` where only the worker knows, and has not said.
    fn explained(
        &mut self,
        service: ServiceId,
        client: Client,
        counts: Option<Counts>,
    ) -> Option<Explained> {
        let now = self.moment();
        let mut it = self.admission.explain(service, client, &now);
        let mut lack = self.admission.room(service, &now).lack();
        let status = self.service_status(service, false)?;
        let entry = self.services.get(service)?;
        let reachable = self.is_reachable(entry);
        if !matches!(entry.facts.action, Action::Exec(_)) {
            let rests = matches!(status.state, State::Paused | State::BackingOff);
            if counts.is_none() && reachable && !rests {
                return None;
            }
            // Of a service that rests the worker knows nothing but the sessions that it still has.
            it.service.live = u32::try_from(status.live).unwrap_or(u32::MAX);
            it.server.live = u32::try_from(self.link.live()).unwrap_or(u32::MAX);
            it.server.limit = self.link.limit();
            lack = None;
            if let Some(counts) = counts {
                it.source_live = counts.source;
                if counts.service.limit > 0 {
                    lack = counts.waits;
                    take_over(&mut it, &counts);
                }
            }
        }
        let fate = match reachable {
            true => Fate::of(&it, &status, lack),
            false => Fate::default(),
        };
        let mut explained = answer(status, client, &it, &entry.policy, &now);
        explained.reachable = reachable;
        explained.refused = fate.refused;
        explained.waits = fate.waits;
        explained.evicts = fate.evicts;
        Some(explained)
    }
}

/// What the worker counts holds for its services.
fn take_over(it: &mut Explanation, counts: &Counts) {
    it.service = counts.service;
    it.server = counts.worker;
    it.rate = counts.rate;
    it.rate_used = counts.rate_used;
    it.rate_per_source = counts.rate_per_source;
    it.verdict = counts.refusal.map_or(Ok(()), Err);
}

/// What becomes of a client that connects.
#[derive(Debug, Default)]
struct Fate {
    refused: Option<Refusal>,
    waits: Option<Waits>,
    evicts: bool,
}

impl Fate {
    /// Whoever waits is judged afterwards: no time lets in who is kept out by a list, a ban or the
    /// hours, so this is told at once.
    fn of(it: &Explanation, status: &ServiceStatus, lack: Option<Refusal>) -> Fate {
        let refused = it.verdict.err();
        let waits = match (status.state, lack) {
            (State::Paused, _) => Some(Waits::Paused),
            (State::BackingOff, _) => Some(Waits::BackingOff),
            (_, Some(Refusal::ServerFull)) => Some(Waits::ServerFull),
            (_, Some(Refusal::Rate)) => Some(Waits::Rate),
            (_, Some(_)) => Some(Waits::Full),
            (_, None) => None,
        };
        let evicts = status.kind != Kind::Program && refused == Some(Refusal::ServerFull);
        match refused {
            Some(Refusal::Denied | Refusal::Banned | Refusal::Hours) => Fate {
                refused,
                ..Fate::default()
            },
            _ if waits.is_some() => Fate {
                waits,
                ..Fate::default()
            },
            _ if evicts => Fate {
                evicts,
                ..Fate::default()
            },
            _ => Fate {
                refused,
                ..Fate::default()
            },
        }
    }
}

fn answer(
    status: ServiceStatus,
    client: Client,
    it: &Explanation,
    policy: &Policy,
    now: &Now,
) -> Explained {
    let bucket = |level: crate::admission::Level| Bucket {
        left: level.tokens,
        burst: level.burst,
    };
    let access = it.access;
    Explained {
        done: true,
        service: status.name,
        from: match client {
            Client::Ip(ip) => ip.to_string(),
            Client::Uid(uid) => format!("uid:{uid}"),
        },
        state: status.state,
        until: status.until,
        not_bound: status.not_bound,
        reachable: true,
        refused: None,
        waits: None,
        evicts: false,
        allowed: access.allowed,
        rule: access.by.map(|entry| rule(&entry, policy)),
        exempt: access.exempt_by.map(|entry| rule(&entry, policy)),
        banned: it.banned.map(|ban| whole_seconds(ban.rest)),
        banned_prefix: it.banned.map(|ban| shown(ban.prefix)),
        open: it.open,
        local_time: local_time(now),
        when_full: status.when_full,
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

/// `Fri 16:05`.
fn local_time(now: &Now) -> String {
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let day = days.get(usize::from(now.weekday)).copied();
    let (hour, minute) = (now.minute / 60, now.minute % 60);
    format!("{} {hour:02}:{minute:02}", day.unwrap_or_default())
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
