//! Counts by a slow way and by ours, whatever is done in whatever order.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Deed {
    SetLimit(u32),
    SetService(u8, u32, Option<u32>),
    Forget(u8),
    Admit(u8, u8),
    Start(u8),
    Release(usize),
}

fn some_deed() -> impl Strategy<Value = Deed> {
    let limit = prop_oneof![1..6u32, 8..20u32];
    prop_oneof![
        1 => (5..40u32).prop_map(Deed::SetLimit),
        2 => (0..3u8, limit, proptest::option::of(1..5u32))
            .prop_map(|(service, limit, most)| Deed::SetService(service, limit, most)),
        1 => (0..3u8).prop_map(Deed::Forget),
        20 => (0..3u8, 0..6u8).prop_map(|(service, source)| Deed::Admit(service, source)),
        2 => (0..3u8).prop_map(Deed::Start),
        14 => any::<usize>().prop_map(Deed::Release),
    ]
}

/// Source 0 is exempt, 1 is denied.
fn who(source: u8) -> Client {
    Client::Ip(IpAddr::V4([10, 0, 0, source].into()))
}

fn policy(max_per_source: Option<u32>) -> Rc<Policy> {
    let acl = acl(&[(List::Exempt, "10.0.0.0/32"), (List::Deny, "10.0.0.1/32")]);
    let rules = Rules {
        max_per_source,
        ..Rules::default()
    };
    Rc::new(Policy { rules, acl })
}

/// Every permit that is out, and the limits; counts are made by counting.
#[derive(Default)]
struct Slow {
    out: Vec<(u8, Option<u8>)>,
    services: [Option<(u32, Option<u32>)>; 3],
    limit: u32,
}

impl Slow {
    fn live(&self, service: u8) -> u32 {
        self.out.iter().filter(|permit| permit.0 == service).count() as u32
    }

    fn verdict(&self, service: u8, source: Option<u8>) -> Result<(), Refusal> {
        let Some((limit, most)) = self.services[usize::from(service)] else {
            return Err(Refusal::Full);
        };
        match source {
            Some(0) => return Ok(()),
            Some(1) => return Err(Refusal::Denied),
            _ => {}
        }
        let live = self.live(service);
        if live >= limit {
            return Err(Refusal::Full);
        }
        let all = match (self.out.len() as u32) < self.limit {
            true => Ok(()),
            false => Err(Refusal::ServerFull),
        };
        let Some(source) = source else {
            return all;
        };
        let pair = (service, Some(source));
        let own = self.out.iter().filter(|permit| **permit == pair).count() as u32;
        let quarter = f64::from(limit) / 4.0;
        match most {
            Some(most) if own >= most => Err(Refusal::MaxPerSource),
            None if limit >= 8
                && f64::from(limit - live) < quarter
                && f64::from(own) >= quarter =>
            {
                Err(Refusal::Share)
            }
            _ => all,
        }
    }
}

fn reason<T>(answer: &Result<T, Refusal>) -> Option<Refusal> {
    answer.as_ref().err().copied()
}

proptest! {
    #[test]
    fn counts_are_right_after_any_deeds(deeds in proptest::collection::vec(some_deed(), 1..200)) {
        let now = at(0.0);
        let mut slow = Slow { limit: 20, ..Slow::default() };
        let mut quick = Admission::new(20);
        let mut permits = Vec::new();
        for deed in deeds {
            match deed {
                Deed::SetLimit(limit) => {
                    slow.limit = limit;
                    quick.set_limit(limit);
                }
                Deed::SetService(service, limit, most) => {
                    slow.services[usize::from(service)] = Some((limit, most));
                    quick.set_service(service, limit, policy(most));
                }
                Deed::Forget(service) => {
                    slow.services[usize::from(service)] = None;
                    quick.forget_service(service);
                }
                Deed::Admit(service, source) => {
                    let expected = slow.verdict(service, Some(source));
                    let seen = quick.explain(service, who(source), &now);
                    prop_assert_eq!(seen.verdict, expected);
                    let admitted = quick.admit(service, who(source), &now);
                    prop_assert_eq!(reason(&admitted), reason(&expected));
                    if let Ok(permit) = admitted {
                        permits.push(permit);
                        slow.out.push((service, Some(source)));
                    }
                }
                Deed::Start(service) => {
                    let started = quick.start(service, &now);
                    let expected = slow.verdict(service, None);
                    prop_assert_eq!(reason(&started), reason(&expected));
                    if let Ok(permit) = started {
                        permits.push(permit);
                        slow.out.push((service, None));
                    }
                }
                Deed::Release(number) if !permits.is_empty() => {
                    let number = number % permits.len();
                    let (service, _) = slow.out[number];
                    let limit = slow.services[usize::from(service)].map_or(0, |(limit, _)| limit);
                    let was_full = slow.out.len() as u32 >= slow.limit || slow.live(service) >= limit;
                    slow.out.remove(number);
                    prop_assert_eq!(quick.release(permits.remove(number)), was_full);
                }
                Deed::Release(_) => {}
            }
            prop_assert_eq!(quick.live_total() as usize, slow.out.len());
            for service in 0..3 {
                prop_assert_eq!(quick.live(service), slow.live(service));
            }
        }
        for permit in permits {
            quick.release(permit);
        }
        prop_assert_eq!(quick.live_total(), 0);
        prop_assert!(quick.sources.is_empty());
        for service in 0..3 {
            quick.forget_service(service);
        }
        prop_assert!(quick.services.is_empty());
    }
}
