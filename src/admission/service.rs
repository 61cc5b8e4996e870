//! A service as admission sees it: its policy, how many are in, and what is left of its rate.

use super::bucket::{Bucket, Level};
use super::clock::Now;
use super::explain::{Arrival, FEWEST_SHARED, Load};
use super::sources::Usage;
use crate::table::{Acl, Client, Judgement, Rate, Rules};
use std::rc::Rc;
use std::time::Duration;

/// The longest time that a listener is left alone because of a rate.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Datagrams that one source gets an answer to where no `rate_per_source` is given: 100 a second,
/// 200 at once.
const DATAGRAMS_PER_SOURCE: Rate = Rate {
    interval: 10_000_000,
    burst: 200,
};

/// Whom a service lets in. Services that have the same share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its keys.
    pub rules: Rules,
    /// Its lists: what [`Rules::acl`] points to.
    pub acl: Option<Rc<Acl>>,
}

/// See the module. Moments are nanoseconds and must not go back.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) policy: Rc<Policy>,
    /// The limit is 0 once the service is forgotten.
    pub(super) load: Load,
    bucket: Bucket,
}

impl Service {
    pub(super) fn judge(&self, client: Client) -> Judgement {
        match &self.policy.acl {
            Some(acl) => acl.judge(client),
            None => Judgement::OPEN,
        }
    }

    /// Whether any client is exempt.
    pub(super) fn exempts(&self) -> bool {
        self.policy.acl.as_ref().is_some_and(|acl| acl.exempts())
    }

    pub(super) fn is_open(&self, now: &Now) -> bool {
        let hours = self.policy.rules.hours.as_ref();
        hours.is_none_or(|hours| hours.is_open(now.weekday, now.minute))
    }

    /// How long until the next token, if there is none and it comes soon enough to wait for.
    pub(super) fn rest(&self, at: u64) -> Option<Duration> {
        let rest = self.bucket.time_to_token(self.policy.rules.rate?, at);
        (!rest.is_zero() && rest <= LONGEST_REST).then_some(rest)
    }

    pub(super) fn rate_left(&self, at: u64) -> Option<Level> {
        let rate = self.policy.rules.rate?;
        Some(self.bucket.level(rate, at))
    }

    /// Tokens of the rate that a source has used and that are not forgiven yet.
    pub(super) fn rate_used(&self, usage: &Usage, at: u64) -> u32 {
        self.share().map_or(0, |share| {
            let Level { tokens, burst } = usage.share.level(share, at);
            burst - tokens
        })
    }

    pub(super) fn rate_per_source_left(
        &self,
        usage: &Usage,
        arrival: Arrival,
        at: u64,
    ) -> Option<Level> {
        let rate = self.rate_per_source(arrival)?;
        Some(usage.own.level(rate, at))
    }

    /// Takes a token from each bucket.
    pub(super) fn spend(&mut self, usage: &mut Usage, arrival: Arrival, at: u64) {
        self.spend_own(at);
        if let Some(share) = self.share() {
            usage.share.take(share, at);
        }
        if let Some(rate) = self.rate_per_source(arrival) {
            usage.own.take(rate, at);
        }
    }

    /// Takes a token from the service's bucket only.
    pub(super) fn spend_own(&mut self, at: u64) {
        if let Some(rate) = self.policy.rules.rate {
            self.bucket.take(rate, at);
        }
    }

    fn rate_per_source(&self, arrival: Arrival) -> Option<Rate> {
        let usual = match arrival {
            Arrival::Connection => None,
            Arrival::Datagram => Some(DATAGRAMS_PER_SOURCE),
        };
        self.policy.rules.rate_per_source.or(usual)
    }

    /// How a source's use of the rate is forgiven: at a quarter of it.
    fn share(&self) -> Option<Rate> {
        let rate = self.policy.rules.rate?;
        (rate.burst >= FEWEST_SHARED).then(|| Rate {
            interval: rate.interval.saturating_mul(4),
            burst: rate.burst,
        })
    }
}
