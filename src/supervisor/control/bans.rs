//! `ban`, `unban` and who is banned. An answer says that the worker obeys too.

use super::super::Supervisor;
use super::actions::Did;
use super::connection::Connection;
use super::task::Task;
use crate::admission::{Ban, TooManyBans};
use crate::table::network;
use serde::Serialize;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Nobody is banned longer, and clocks can count so far.
const LONGEST: u64 = 365 * 24 * 3600;
/// EX_NOINPUT: there is no such ban.
const NO_SUCH: u8 = 66;
/// EX_UNAVAILABLE: there is no room.
const UNAVAILABLE: u8 = 69;

/// How long the worker may take to say that it obeys: it may be stopped.
const OBEDIENCE: Duration = Duration::from_secs(5);

/// A ban or its end, which the worker has still to obey.
#[derive(Debug)]
pub(super) struct Obeying {
    serial: Option<u32>,
    did: String,
    pub(super) deadline: Instant,
}

impl Obeying {
    fn new(serial: Option<u32>, did: String) -> Obeying {
        Obeying {
            serial,
            did,
            deadline: Instant::now() + OBEDIENCE,
        }
    }
}

/// A ban in force: an item of the list of bans.
#[derive(Serialize)]
struct Banned {
    /// As `ban` takes it.
    prefix: String,
    /// How much longer.
    seconds: u64,
}

impl Supervisor {
    pub(super) fn begin_ban(&mut self, caller: &mut Connection, ip: IpAddr, bits: u8, time: u64) {
        let seconds = time.min(LONGEST);
        let prefix = network(ip, bits);
        match self.ban(prefix, Duration::from_secs(seconds)) {
            Ok(serial) => {
                let did = format!("banned {} for {}", shown(prefix), span(seconds));
                self.tell_action(caller.who, None, &did);
                caller.task = Task::Obey(Obeying::new(serial, did));
            }
            Err(TooManyBans) => {
                let error =
                    "there are as many bans as there may be: ban a wider prefix, or unban some";
                caller.fail(error, UNAVAILABLE, Instant::now());
            }
        }
    }

    pub(super) fn begin_unban(&mut self, caller: &mut Connection, ip: IpAddr, bits: u8) {
        let prefix = network(ip, bits);
        let (was_banned, serial) = self.unban(prefix);
        if !was_banned {
            let error = match self.wider_ban(prefix) {
                Some(wider) => format!(
                    "{} is not banned by itself: the ban of {wider} holds it",
                    shown(prefix)
                ),
                None => format!("{} is not banned (oxinetd ban lists who is)", shown(prefix)),
            };
            return caller.fail(error, NO_SUCH, Instant::now());
        }
        let did = format!("unbanned {}", shown(prefix));
        self.tell_action(caller.who, None, &did);
        caller.task = Task::Obey(Obeying::new(serial, did));
    }

    /// A ban that holds for all of a prefix, and for more.
    fn wider_ban(&mut self, (ip, bits): (IpAddr, u8)) -> Option<String> {
        let now = self.moment();
        let holds = |ban: &Ban| {
            let (_, fewer) = ban.prefix;
            fewer < bits
                && ban.prefix.0.is_ipv4() == ip.is_ipv4()
                && network(ip, fewer) == ban.prefix
        };
        self.admission
            .bans(&now)
            .find(holds)
            .map(|ban| shown(ban.prefix))
    }

    /// What was done, once the worker does it too; the error says that it does not, so far.
    pub(super) fn obeyed(&self, obeying: &mut Obeying) -> Option<Result<Did, String>> {
        let owes = obeying.serial.is_some_and(|serial| self.link.owes(serial));
        let is_late = Instant::now() >= obeying.deadline;
        let mut did = || std::mem::take(&mut obeying.did);
        match (owes, is_late) {
            (false, _) => Some(Ok(Did::new(did()))),
            (true, true) => Some(Err(format!(
                "{} for programs, but not yet for what the worker serves: it has not answered within {} s",
                did(),
                OBEDIENCE.as_secs()
            ))),
            (true, false) => None,
        }
    }

    pub(super) fn all_bans(&mut self) -> Task {
        let now = self.moment();
        let bans: Vec<Ban> = self.admission.bans(&now).collect();
        Task::Bans(bans.into_iter())
    }
}

/// As an item of the list.
pub(super) fn item(ban: &Ban) -> impl Serialize + use<> {
    Banned {
        prefix: shown(ban.prefix),
        seconds: ban.rest.as_secs() + u64::from(ban.rest.subsec_nanos() > 0),
    }
}

/// Seconds as people write them, in one unit: `90s`, `10m`, `1h`, `3d`.
pub(super) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fits = |(unit, _): &&(u64, &str)| seconds > 0 && seconds % unit == 0;
    match units.iter().find(fits) {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// An address alone stands for all its bits.
pub(super) fn shown((ip, bits): (IpAddr, u8)) -> String {
    match (ip, bits) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => ip.to_string(),
        _ => format!("{ip}/{bits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_largest_unit_that_is_exact() {
        let spans = [0, 1, 60, 90, 600, 3600, 5400, 259_200].map(span);
        assert_eq!(spans, ["0s", "1s", "1m", "90s", "10m", "1h", "90m", "3d"]);
    }
}
