//! The log: what is left out of it, and where it goes, also when nobody takes it.

mod address;
mod limits;
mod sinks;
mod syslog;

use crate::harness::*;
use std::process::Command;
use std::time::Instant;

/// A table in a directory (`DIR` in its text), for servers whose standard error is not the harness's.
fn table(text: &str) -> (Directory, String) {
    let directory = Directory::new();
    let here = directory.path().to_str().expect("UTF-8");
    let path = directory.file("services.toml", text.replace("DIR", here));
    (directory, path)
}

/// True, after saying so, where not even root may mount anything.
fn without_mounts() -> bool {
    let words = ["-m", "mount", "-t", "tmpfs", "none", "/mnt"];
    let mounted = Command::new("unshare").args(words).output();
    let is_without = !mounted.is_ok_and(|output| output.status.success());
    if is_without {
        skip("needs to mount a file system");
    }
    is_without
}

/// A table with the service `chatty`, whose program writes as many lines of a thousand bytes to the log
/// as it is asked for (up to 500).
struct Chatty {
    directory: Directory,
    table: String,
    address: String,
    /// Those of services like it: each may log so much.
    others: [String; 4],
}

/// More lines than the megabyte that is kept, and what clients see of them.
const ASKED: usize = 500;

impl Chatty {
    /// With these lines in `[server]`.
    fn new(server: &str) -> Chatty {
        let line = "x".repeat(1000);
        let program = format!("read -r n; yes {line} | head -n $n >&2; echo done");
        let mut text = format!("[server]\n{server}");
        let mut add = |name: &str| {
            let address = format!("127.0.0.1:{}", free_port());
            text += &format!(
                "[service.{name}]\nlisten = \"{address}\"\nstderr = \"log\"\n\
                 command = [\"/bin/sh\", \"-c\", \"{program}\"]\n"
            );
            address
        };
        let address = add("chatty");
        let others = ["chatty1", "chatty2", "chatty3", "chatty4"].map(&mut add);
        let (directory, table) = table(&text);
        Chatty {
            directory,
            table,
            address,
            others,
        }
    }

    /// Has so many lines written. The client is served at once all the same.
    #[track_caller]
    fn ask(&self, lines: usize) {
        Chatty::ask_at(&self.address, lines);
    }

    #[track_caller]
    fn ask_at(address: &str, lines: usize) {
        let since = Instant::now();
        let client = Client::connect(address);
        client.send(format!("{lines}\n")).expect("done\n");
        client.expect_end();
        let took = since.elapsed();
        assert!(took < AT_ONCE, "{took:?}");
    }

    /// Has more lines written than are kept.
    #[track_caller]
    fn fill(&self) {
        for other in &self.others {
            Chatty::ask_at(other, ASKED);
        }
    }

    /// After [`Chatty::fill`], now that the log is read: every line has come, or is counted as lost.
    #[track_caller]
    fn check_lost(&self, daemon: &Daemon, why: &str) {
        let lost = |line: &Line| {
            let text = line.0.strip_prefix("warning: ")?.strip_suffix(why)?;
            let number = text.strip_suffix(" log lines were lost: ")?;
            Some(number.parse::<usize>().expect("a number"))
        };
        let events = ["start", "stderr", "end"];
        let is_other = |line: &Line| {
            let service = line.field("service");
            service.is_some_and(|name| name.starts_with("chatty") && name != "chatty")
        };
        let come = |line: &Line| is_other(line) && events.contains(&line.event());
        let all = self.others.len() * (ASKED + 2);
        daemon.log().wait_until(|lines| {
            let lost: usize = lines.iter().filter_map(lost).sum();
            lost > 100 && lost + lines.iter().filter(|line| come(line)).count() == all
        });
    }
}
