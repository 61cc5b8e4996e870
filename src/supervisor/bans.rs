//! Bans that were pronounced at run time: kept here across reloads and workers, obeyed by both.

use super::Supervisor;
use super::link::Attachment;
use crate::admission::{Ban, TooManyBans};
use crate::control::Order;
use std::net::IpAddr;
use std::time::Duration;

impl Supervisor {
    /// Refuses clients of this prefix for a while. The worker does so too when it has obeyed the order
    /// of this number (see [`Link::owes`](super::link::Link::owes)).
    pub(super) fn ban(
        &mut self,
        prefix: (IpAddr, u8),
        duration: Duration,
    ) -> Result<Option<u32>, TooManyBans> {
        let now = self.moment();
        let until = now.at.saturating_add(duration);
        self.admission.ban(prefix, until, &now)?;
        let millis = millis(duration);
        Ok(self.have_obeyed(|serial| Order::Ban {
            serial,
            prefix,
            millis,
        }))
    }

    /// No longer refuses them; likewise. False when exactly this prefix was not banned.
    pub(super) fn unban(&mut self, prefix: (IpAddr, u8)) -> (bool, Option<u32>) {
        let now = self.moment();
        let was_banned = self.admission.unban(prefix, &now);
        (
            was_banned,
            self.have_obeyed(|serial| Order::Unban { serial, prefix }),
        )
    }

    fn have_obeyed(&mut self, order: impl FnOnce(u32) -> Order) -> Option<u32> {
        let serial = self.link.next_serial()?;
        self.order(order(serial), Attachment::Nothing);
        Some(serial)
    }

    /// A worker has started: it is to refuse whom the last one did.
    pub(super) fn tell_bans(&mut self) {
        let now = self.moment();
        let bans: Vec<_> = self.admission.bans(&now).collect();
        for Ban { prefix, rest } in bans {
            let millis = millis(rest);
            let _ = self.have_obeyed(|serial| Order::Ban {
                serial,
                prefix,
                millis,
            });
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
