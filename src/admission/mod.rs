//! Policy: who gets in. Pure: no system calls, no clock of its own.
//!
//! Whoever accepts, admits: supervisor and worker each have an [`Admission`] over the services that
//! they accept for. A full service is not asked at all: its listeners are not polled, and its
//! clients wait in the kernel's queue until a [`Permit`] comes home.

use std::hash::Hash;

/// Leave to hold one connection (or one program that waits). It is not `Clone`, and it must come
/// home through [`Admission::release`].
#[must_use = "a permit that is dropped is never given back"]
#[derive(Debug)]
pub struct Permit<K> {
    service: K,
}

impl<K: Copy> Permit<K> {
    /// The service that it was given for.
    pub fn service(&self) -> K {
        self.service
    }
}

/// Why a connection was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The service has as many as it may have.
    ServiceFull,
    /// All services together have.
    ServerFull,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    live: u32,
    limit: u32,
}

/// Live counts and limits, by service.
#[derive(Debug)]
pub struct Admission<K> {
    services: std::collections::HashMap<K, Count>,
    all: Count,
}

impl<K: Copy + Eq + Hash> Admission<K> {
    /// One that admits up to `limit` over all services.
    pub fn new(limit: u32) -> Admission<K> {
        Admission {
            services: Default::default(),
            all: Count { live: 0, limit },
        }
    }

    /// Sets the limit over all services. Lowering it ends nothing: fewer are admitted until enough
    /// have left.
    pub fn set_limit(&mut self, limit: u32) {
        self.all.limit = limit;
    }

    /// The limit over all services.
    pub fn limit(&self) -> u32 {
        self.all.limit
    }

    /// Sets a service's limit, and makes it known. Lowering it ends nothing, likewise.
    pub fn set_service(&mut self, service: K, limit: u32) {
        self.services.entry(service).or_default().limit = limit;
    }

    /// Forgets a service's limit: nothing more is admitted to it, and its count goes when the last
    /// permit has come home.
    pub fn forget_service(&mut self, service: K) {
        if let Some(count) = self.services.get_mut(&service) {
            count.limit = 0;
            if count.live == 0 {
                self.services.remove(&service);
            }
        }
    }

    /// Whether one more would be admitted to this service.
    pub fn has_room(&self, service: K) -> bool {
        self.refusal(service).is_none()
    }

    /// Whether all services together are full.
    pub fn is_full(&self) -> bool {
        self.all.live >= self.all.limit
    }

    /// Admits one to the service, or says why not.
    pub fn admit(&mut self, service: K) -> Result<Permit<K>, Refusal> {
        if let Some(refusal) = self.refusal(service) {
            return Err(refusal);
        }
        self.services.entry(service).or_default().live += 1;
        self.all.live += 1;
        Ok(Permit { service })
    }

    /// Takes a permit home. Returns whether this made room where there was none, so that listeners
    /// may have to be asked again.
    pub fn release(&mut self, permit: Permit<K>) -> bool {
        let was_full = self.is_full();
        self.all.live -= 1;
        let Some(count) = self.services.get_mut(&permit.service) else {
            return was_full;
        };
        let service_was_full = count.live >= count.limit;
        count.live -= 1;
        if count.live == 0 && count.limit == 0 {
            self.services.remove(&permit.service);
        }
        was_full || service_was_full
    }

    /// How many hold a permit of this service.
    pub fn live(&self, service: K) -> u32 {
        self.services.get(&service).map_or(0, |count| count.live)
    }

    /// How many hold a permit at all.
    pub fn live_total(&self) -> u32 {
        self.all.live
    }

    fn refusal(&self, service: K) -> Option<Refusal> {
        let count = self.services.get(&service).copied().unwrap_or_default();
        if count.live >= count.limit {
            Some(Refusal::ServiceFull)
        } else if self.is_full() {
            Some(Refusal::ServerFull)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_service_has_no_room_until_a_permit_comes_home() {
        let mut admission = Admission::new(10);
        admission.set_service("echo", 1);
        let permit = admission.admit("echo").unwrap();
        assert_eq!(admission.admit("echo").unwrap_err(), Refusal::ServiceFull);
        assert!(admission.release(permit));
        assert!(admission.has_room("echo"));
    }

    #[test]
    fn all_services_together_have_a_limit_of_their_own() {
        let mut admission = Admission::new(1);
        admission.set_service("a", 5);
        admission.set_service("b", 5);
        let permit = admission.admit("a").unwrap();
        assert_eq!(admission.admit("b").unwrap_err(), Refusal::ServerFull);
        assert!(admission.release(permit));
        assert_eq!(admission.live_total(), 0);
    }

    #[test]
    fn lowering_a_limit_below_what_is_live_ends_nothing() {
        let mut admission = Admission::new(10);
        admission.set_service("a", 3);
        let permits: Vec<_> = (0..3).map(|_| admission.admit("a").unwrap()).collect();
        admission.set_service("a", 1);
        let released: Vec<bool> = permits.into_iter().map(|p| admission.release(p)).collect();
        assert_eq!(released, [true, true, true]);
        assert!(admission.has_room("a"));
    }

    #[test]
    fn a_service_that_was_removed_is_forgotten_with_its_last_permit() {
        let mut admission = Admission::new(10);
        admission.set_service("a", 3);
        let permit = admission.admit("a").unwrap();
        admission.forget_service("a");
        assert!(!admission.has_room("a"));
        admission.release(permit);
        assert!(admission.services.is_empty());
    }
}
