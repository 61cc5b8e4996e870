//! Instructions that a process executes in user mode, counted one by one: ptrace(2) stops it after
//! each. No timing, no counters of the processor, nothing to install. About a hundred times slower
//! than it runs alone.
//!
//! Of benches/admission.rs too, so nothing of the harness is used.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A process whose instructions are counted until this is dropped. Not its children's.
pub(crate) struct Instructions {
    pid: Pid,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tracer: Option<JoinHandle<()>>,
}

impl Instructions {
    /// Begins, if this process may trace that one.
    pub(crate) fn of(pid: u32) -> Result<Instructions, Errno> {
        let pid = Pid::from_raw(pid as i32);
        let (count, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (has_begun, begins) = std::sync::mpsc::channel();
        let tracer = {
            let (count, stop) = (Arc::clone(&count), Arc::clone(&stop));
            // All of it must be done by the thread that began.
            std::thread::spawn(move || {
                let begun = begin(pid);
                let is_traced = begun.is_ok();
                let _ = has_begun.send(begun);
                if is_traced {
                    step_on(pid, &count, &stop);
                }
            })
        };
        begins.recv().unwrap_or(Err(Errno::ESRCH))?;
        Ok(Instructions {
            pid,
            count,
            stop,
            tracer: Some(tracer),
        })
    }

    /// How many there were so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Instructions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It may sleep; to go on is what it does anyway.
        let _ = kill(self.pid, Signal::SIGCONT);
        if let Some(tracer) = self.tracer.take() {
            let _ = tracer.join();
        }
    }
}

fn begin(pid: Pid) -> Result<(), Errno> {
    ptrace::seize(pid, Options::empty())?;
    ptrace::interrupt(pid)?;
    waitpid(pid, Some(WaitPidFlag::__WALL)).map(drop)
}

fn step_on(pid: Pid, count: &AtomicU64, stop: &AtomicBool) {
    let mut signal = None;
    while ptrace::step(pid, signal).is_ok() {
        signal = match waitpid(pid, Some(WaitPidFlag::__WALL)) {
            // Only here: elsewhere such a signal may be on its way, and would end the process.
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) if stop.load(Ordering::Relaxed) => {
                let _ = ptrace::detach(pid, None);
                return;
            }
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => {
                count.fetch_add(1, Ordering::Relaxed);
                None
            }
            Ok(WaitStatus::Stopped(_, other)) => Some(other),
            Ok(WaitStatus::PtraceEvent(..)) => None,
            _ => return,
        };
    }
}
