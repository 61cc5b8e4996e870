//! The conformance suite: what an administrator may expect of any superserver, asked of oxinetd and,
//! where they are unpacked, of its peers, from outside and with one table for all.
//!
//! `tests/conformance/matrix.md` says which case passes with whom. It is the list of known failures
//! too: a case of a peer that does otherwise fails the test, so that the matrix stays true, and
//! oxinetd passes each case that it offers. `tests/conformance/run` fetches the peers, runs all and
//! writes the matrix.
//!
//! `cases` has the questions, `peers` what each is told, `world` the server that runs.

mod cases;
mod faults;
mod matrix;
mod peers;
mod table;
mod wire;
mod world;

use crate::harness::*;
use cases::{Case, Scenario, TOPICS};
use matrix::{Matrix, Outcome};
use peers::{Log, OXINETD, PEERS, Peer};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{Kind, Patience, World};

/// Servers at a time. They mostly wait.
const AT_ONCE: usize = 8;

/// Outcomes are not known.
const OPEN: Patience = Patience {
    wait: Duration::from_secs(4),
    look: Duration::from_secs(2),
};

/// It is known to pass.
const GOOD: Patience = Patience {
    wait: Duration::from_secs(20),
    look: Duration::from_millis(300),
};

/// It is known to fail.
const BAD: Patience = Patience {
    wait: Duration::from_millis(1500),
    look: Duration::from_secs(10),
};

#[test]
fn oxinetd_passes_each_case_that_it_offers() {
    if cannot_be_tested() {
        return;
    }
    let found = run_all(vec![&OXINETD], |_, _| GOOD);
    let wrong: Vec<String> = found
        .cells()
        .filter_map(|(_, case, outcome)| match outcome {
            Outcome::Failed(how) => Some(format!("{case}: {how}")),
            _ => None,
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.cells().count() > 40, "{}", found.cells().count());
}

#[test]
fn peers_do_as_the_matrix_says() {
    if cannot_be_tested() {
        return;
    }
    let is_update = std::env::var_os("UPDATE").is_some();
    // Those that `tests/run` unpacks; all of them take minutes.
    let all = is_update || std::env::var_os("ALL_PEERS").is_some();
    let asked = if all { &PEERS[..] } else { &PEERS[..2] };
    let peers: Vec<&Peer> = asked.iter().filter(|peer| is_there(peer)).collect();
    let known = Matrix::read();
    if is_update {
        let all = [vec![&OXINETD], peers].concat();
        let found = run_all(all, |_, _| OPEN);
        found.write(&known);
        return;
    }
    let expected = known.clone();
    let found = run_all(peers, move |peer, case| match expected.of(peer, case) {
        Some(Outcome::Passed) => GOOD,
        _ => BAD,
    });
    let wrong = known.differences(&found);
    assert!(
        wrong.is_empty(),
        "not as tests/conformance/matrix.md says (tests/conformance/run writes it anew):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_matrix_has_every_case() {
    let known = Matrix::read();
    for case in all_cases() {
        for peer in std::iter::once(&OXINETD).chain(&PEERS) {
            let is_known = known.of(peer.name, case.name).is_some();
            assert!(is_known, "{}: {}", peer.name, case.name);
        }
    }
    assert_eq!(known.cells().count(), all_cases().count() * 9);
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    let scenarios = TOPICS.iter().flat_map(|(_, scenarios)| scenarios.iter());
    scenarios.flat_map(|scenario| scenario.cases)
}

fn cannot_be_tested() -> bool {
    if without_root("has networks, mounts and processes of its own") {
        return true;
    }
    let words = ["-m", "-p", "-f", "--mount-proc", "mount", "-t", "tmpfs"];
    let mut unshare = Command::new("unshare");
    let ran = run(unshare.args(words).args(["none", "/run"]));
    if ran.code != Some(0) {
        skip("mounts are not allowed here");
    }
    ran.code != Some(0)
}

fn is_there(peer: &Peer) -> bool {
    match peer.find() {
        Ok(()) => true,
        Err(why) => {
            skip(&why);
            false
        }
    }
}

/// A server, and what it is asked.
type Job = (&'static Peer, &'static Scenario);

fn run_all(
    peers: Vec<&'static Peer>,
    patience: impl Fn(&str, &str) -> Patience + Send + Sync + 'static,
) -> Matrix {
    let scenarios = TOPICS.iter().flat_map(|(_, scenarios)| scenarios.iter());
    let jobs = scenarios.flat_map(|scenario| peers.iter().map(move |peer| (*peer, scenario)));
    let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::new(Mutex::new(jobs.collect()));
    let found = Arc::new(Mutex::new(Matrix::default()));
    let patience = Arc::new(patience);
    let work = || {
        let (jobs, found) = (Arc::clone(&jobs), Arc::clone(&found));
        let patience = Arc::clone(&patience);
        std::thread::spawn(move || {
            let next = || jobs.lock().expect("no panic").pop_front();
            while let Some((peer, scenario)) = next() {
                let (found, patience) = (Arc::clone(&found), Arc::clone(&patience));
                in_own_network(move || {
                    run_scenario(peer, scenario, &*patience, |case, outcome| {
                        found
                            .lock()
                            .expect("no panic")
                            .set(peer.name, case, outcome);
                    });
                });
            }
        })
    };
    let workers: Vec<_> = (0..AT_ONCE).map(|_| work()).collect();
    for worker in workers {
        assert!(worker.join().is_ok(), "see above");
    }
    let found = found.lock().expect("no panic");
    found.clone()
}

/// Starts a server, and asks it what it offers.
fn run_scenario(
    peer: &'static Peer,
    scenario: &Scenario,
    patience: &dyn Fn(&str, &str) -> Patience,
    mut tell: impl FnMut(&'static str, Outcome),
) {
    let directory = Directory::new();
    let table = (scenario.table)(&directory);
    let mut offered = Vec::new();
    for case in scenario.cases {
        let service = |name: &&str| table.services.iter().find(|it| it.name == *name);
        let mut lacks = case.needs.iter().map(|name| service(name).expect("there"));
        let why =
            lacks
                .find_map(|service| peer.lacks(service))
                .or(not_so(peer, scenario.kind, case));
        match why {
            Some(why) => tell(case.name, Outcome::NotOffered(why.into())),
            None => offered.push(case),
        }
    }
    if offered.is_empty() {
        return;
    }
    let mut world = match World::start(peer, scenario.kind, GOOD, directory, table) {
        Ok(world) => world,
        Err(why) => {
            return offered
                .iter()
                .for_each(|case| tell(case.name, Outcome::Failed(why.clone())));
        }
    };
    for case in offered {
        world.patience = patience(peer.name, case.name);
        let checked = catch_unwind(AssertUnwindSafe(|| (case.check)(&mut world)));
        let outcome = match checked {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(how)) => Outcome::Failed(how),
            Err(_) => Outcome::Failed("see above".into()),
        };
        let varies = case.varies.iter().find(|(name, _)| *name == peer.name);
        match varies {
            Some((_, why)) => tell(case.name, Outcome::Varies((*why).into())),
            None => tell(case.name, outcome),
        }
    }
}

/// Why a server cannot be in this world.
fn not_so(peer: &Peer, kind: Kind, case: &Case) -> Option<&'static str> {
    match kind {
        Kind::StuckSyslog if !peer.logs.contains(&Log::Syslog) => Some("does not log there"),
        Kind::StuckStderr if !peer.logs.contains(&Log::Stderr) => Some("does not log there"),
        _ if case.reloads && !peer.reloads => Some("has no table"),
        _ => None,
    }
}
