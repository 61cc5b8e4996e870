//! A control group for one test, to limit how many processes a server and its children may be.

use super::DEADLINE;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// The group; removed at the end, when all in it have gone.
#[derive(Debug)]
pub(crate) struct PidsGroup(PathBuf);

impl PidsGroup {
    /// Makes a group without a limit, in whichever version of control groups has the controller.
    /// `None` where there is none that may be used.
    pub(crate) fn new() -> Option<PidsGroup> {
        let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control");
        let parent = match controllers {
            Ok(enabled) if enabled.split_whitespace().any(|name| name == "pids") => {
                "/sys/fs/cgroup"
            }
            _ => "/sys/fs/cgroup/pids",
        };
        let name = format!(
            "oxinetd-test-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let group = PathBuf::from(parent).join(name);
        fs::create_dir(&group).ok()?;
        let group = PidsGroup(group);
        group.0.join("pids.max").exists().then_some(group)
    }

    /// Words that put a command into the group: for `Builder::wrapped_in`.
    pub(crate) fn words(&self) -> [String; 4] {
        let procs = self.0.join("cgroup.procs");
        let enter = format!("echo $$ >{} && exec \"$@\"", procs.display());
        ["/bin/sh".into(), "-c".into(), enter, "sh".into()]
    }

    /// Lets there be no more than there are.
    pub(crate) fn close(&self) {
        let present = fs::read_to_string(self.0.join("pids.current")).expect("pids.current");
        self.limit(present.trim());
    }

    /// Lets there be so many processes; `max` for any number.
    pub(crate) fn limit(&self, processes: &str) {
        fs::write(self.0.join("pids.max"), processes).expect("pids.max");
    }
}

impl Drop for PidsGroup {
    fn drop(&mut self) {
        // What was killed takes a moment; a test that has failed must not panic again.
        let deadline = Instant::now() + DEADLINE;
        while fs::remove_dir(&self.0).is_err() {
            if Instant::now() > deadline {
                return eprintln!("{} is not empty", self.0.display());
            }
            let _ = nix::poll::poll(&mut [], 5_u8);
        }
    }
}
