//! Clients in a closed loop, in threads of their own, until they are told to stop.

use super::DEADLINE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A group of them.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Nobody yet.
    pub(crate) fn new() -> Load {
        Load {
            stop: Arc::default(),
            turns: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Adds a client that does this again and again; a panic in it is found by [`Load::stop`].
    pub(crate) fn client(&mut self, mut turn: impl FnMut() + Send + 'static) {
        let (stop, turns) = (Arc::clone(&self.stop), Arc::clone(&self.turns));
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                turn();
                turns.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Waits until so many turns more have been taken, by all clients together.
    #[track_caller]
    pub(crate) fn more(&self, count: u64) {
        let goal = self.turns.load(Ordering::Relaxed) + count;
        let deadline = Instant::now() + DEADLINE;
        while self.turns.load(Ordering::Relaxed) < goal {
            let lost = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!lost, "a client has failed, see above");
            assert!(Instant::now() < deadline, "the clients do not get on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it; every client must have been content. Returns the turns that were taken.
    #[track_caller]
    pub(crate) fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            assert!(thread.join().is_ok(), "a client has failed, see above");
        }
        self.turns.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .drain(..)
            .for_each(|thread| drop(thread.join()));
    }
}
