//! strace as a tool of tests: what a process did, and faults put into the one that runs.

use super::process::{self, wait_until};
use super::{DEADLINE, Directory, Log, skip, until, without_root};
use nix::sys::signal::Signal;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// True, after saying so, when nothing can be traced here.
pub(crate) fn without_strace() -> bool {
    let found = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => {
            without_root("traces a process that forbids it to others")
        }
        _ => {
            skip("strace is not installed");
            true
        }
    }
}

/// A tracer that is attached to a running process. To drop it lets go of the process.
pub(crate) struct Strace {
    child: Child,
    _directory: Directory,
    output: String,
}

impl Strace {
    /// Attaches to a process with these options, and returns when the tracer has it.
    #[track_caller]
    pub(crate) fn attach(pid: u32, options: &[&str]) -> Strace {
        let directory = Directory::new();
        let output = directory.join("trace");
        let mut command = Command::new("strace");
        command
            .args(["-o", &output, "-p", &pid.to_string()])
            .args(options);
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace");
        let said = Log::follow(child.stderr.take().expect("a pipe"));
        let strace = Strace {
            child,
            _directory: directory,
            output,
        };
        said.wait_for(|line| line.0.contains("attached"));
        strace
    }

    /// Attaches to a process and has system calls fail: `setsid:error=EPERM`.
    #[track_caller]
    pub(crate) fn inject(pid: u32, faults: &[&str]) -> Strace {
        let calls: Vec<&str> = faults
            .iter()
            .filter_map(|fault| fault.split(':').next())
            .collect();
        // Also where programs come from: a fault must be seen not to end in one.
        let mut expressions = vec![format!("trace=execve,{}", calls.join(","))];
        expressions.extend(faults.iter().map(|fault| format!("inject={fault}")));
        let mut options = vec!["-f"];
        for expression in &expressions {
            options.extend(["-e", expression.as_str()]);
        }
        Strace::attach(pid, &options)
    }

    /// Waits until a line with these words was traced.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        until(words, || {
            lines_of(&self.output)
                .iter()
                .any(|line| line.contains(words))
        });
    }

    /// Lets go of the process. Returns what was traced.
    #[track_caller]
    pub(crate) fn detach(mut self) -> Vec<String> {
        process::signal(self.child.id(), Signal::SIGINT);
        let ended = wait_until(&mut self.child, Instant::now() + DEADLINE);
        assert!(ended.is_some(), "strace does not let go");
        lines_of(&self.output)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        process::signal(self.child.id(), Signal::SIGINT);
        if wait_until(&mut self.child, Instant::now() + DEADLINE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The lines of a file that strace has written.
#[track_caller]
pub(crate) fn lines_of(path: &str) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8_lossy(&text)
        .lines()
        .map(String::from)
        .collect()
}
