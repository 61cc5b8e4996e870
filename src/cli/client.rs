//! Talking to the running server: where it is, one question, its answer line by line.

use super::output;
use crate::control::{Failed, Place, Request, STANDARD_PLACE, ServiceStatus};
use crate::sys::user;
use crate::sys::{Errno, caller};
use crate::table::Control;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A server that says nothing for so long hangs, or is stopped.
const PATIENCE: Duration = Duration::from_secs(15);
/// The server gives up on a table that takes longer to load, and says so.
const LOADING: Duration = Duration::from_secs(10);

/// EX_NOINPUT: there is no such service.
pub(super) const NO_SUCH: u8 = 66;
/// EX_UNAVAILABLE: no server answers.
const UNAVAILABLE: u8 = 69;
/// EX_NOPERM.
pub(super) const NOT_PERMITTED: u8 = 77;

/// Which server.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The server's control socket, if it is not the usual one (or OXINETD_CONTROL).
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

/// Why a command has failed, for people, and what it ends with.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) exit: u8,
}

/// Ends a command: says on standard error what went wrong.
pub(super) fn conclude(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|Failure { text, exit }| {
        let _ = writeln!(std::io::stderr(), "oxinetd: {text}");
        exit.into()
    })
}

/// A value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> String {
    // Our own types can always be written to memory.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<UnixStream>,
    place: PathBuf,
    patience: Duration,
}

impl Server {
    /// Calls it.
    pub(super) fn call(&self) -> Result<Client, Failure> {
        self.call_with(PATIENCE)
    }

    /// The same for those who would rather know soon that it does not answer.
    pub(super) fn call_with(&self, patience: Duration) -> Result<Client, Failure> {
        call(self.place(), patience)
    }

    /// Where the server of a table is that says this about it.
    pub(super) fn place_of(&self, table: Option<&Control>) -> PathBuf {
        match (self.named(), table) {
            (None, Some(Control::At(place))) => place.into(),
            _ => self.place(),
        }
    }

    /// What was said on the command line or in the environment.
    fn named(&self) -> Option<PathBuf> {
        let of_environment = || std::env::var_os("OXINETD_CONTROL").filter(|path| !path.is_empty());
        let named = self.control.clone();
        named.or_else(|| of_environment().map(PathBuf::from))
    }

    /// What was said; else our own server's place; else, for those who may look, that of root's.
    fn place(&self) -> PathBuf {
        self.named().unwrap_or_else(|| {
            let uid = user::credentials().uid;
            let own = Place::standard(uid);
            let is_there = own.exists() && own.parent().is_some_and(|of| Place::is_safe(of, uid));
            match is_there {
                true => own,
                false => STANDARD_PLACE.into(),
            }
        })
    }
}

fn call(place: PathBuf, patience: Duration) -> Result<Client, Failure> {
    let failed = |errno: Errno| cannot_call(&place, errno, patience);
    let socket = caller::connect(&place, patience).map_err(failed)?;
    Ok(Client {
        stream: BufReader::new(socket.into()),
        place,
        patience,
    })
}

/// Calls the server that has its control socket here.
pub(super) fn call_at(place: PathBuf) -> Result<Client, Failure> {
    call(place, PATIENCE)
}

fn cannot_call(place: &Path, errno: Errno, patience: Duration) -> Failure {
    let path = place.display();
    let (text, exit) = match errno {
        Errno::ENOENT => (
            format!(
                "no server has its control socket at {path}: is oxinetd running, and with this one? \
                 (--control PATH or OXINETD_CONTROL names another)"
            ),
            UNAVAILABLE,
        ),
        Errno::ECONNREFUSED | Errno::ENOTSOCK if !is_socket(place) => {
            (format!("{path} is not a socket"), UNAVAILABLE)
        }
        Errno::ECONNREFUSED => (
            format!("no server answers at {path}: the one that was there has ended"),
            UNAVAILABLE,
        ),
        Errno::EACCES | Errno::EPERM => (
            format!(
                "the control socket {path} is not for you: root and the server's own user may use it, \
                 members of the group oxinetd may look"
            ),
            NOT_PERMITTED,
        ),
        Errno::EAGAIN => (silent(place, patience), UNAVAILABLE),
        errno => (
            format!("cannot connect to {path}: {}", errno.desc()),
            UNAVAILABLE,
        ),
    };
    Failure { text, exit }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// How long the server may say nothing before and between the lines of its answer; `None` for ever.
fn silence(request: &Request, patience: Duration) -> Option<Duration> {
    match request {
        Request::Events { follow: true, .. } => None,
        Request::Drain { seconds, .. } => {
            Some(patience.saturating_add(Duration::from_secs(*seconds)))
        }
        Request::Reload { .. } => Some(patience + LOADING),
        _ => Some(patience),
    }
}

fn silent(place: &Path, patience: Duration) -> String {
    let seconds = patience.as_secs();
    format!(
        "the server at {} does not answer within {seconds} s: is it stopped?",
        place.display()
    )
}

impl Client {
    /// Asks, hands on each item as it comes, and returns the last line.
    pub(super) fn ask<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        mut item: impl FnMut(T) -> std::io::Result<()>,
    ) -> Result<Value, Failure> {
        self.ask_raw(request, |_, value| item(serde_json::from_value(value)?))
    }

    /// The same, with each line as it was sent. An item that cannot be made sense of ends it, and so
    /// does a reader of ours that has left.
    pub(super) fn ask_raw(
        &mut self,
        request: &Request,
        mut item: impl FnMut(&str, Value) -> std::io::Result<()>,
    ) -> Result<Value, Failure> {
        let silence = silence(request, self.patience);
        let _ = self.stream.get_ref().set_read_timeout(silence);
        self.send(request)?;
        loop {
            let line = self.line(silence.unwrap_or(self.patience))?;
            let value: Value = serde_json::from_str(&line).map_err(|_| self.odd(&line))?;
            if value.get("error").is_some() {
                let failed: Failed = serde_json::from_value(value).map_err(|_| self.odd(&line))?;
                return Err(self.explain(failed));
            }
            if value.get("done").is_some() {
                return Ok(value);
            }
            match item(&line, value) {
                Err(error) if error.kind() == ErrorKind::InvalidData => return Err(self.odd(&line)),
                // A reader of ours that has left is the end of it too, and nobody's mistake.
                Err(error) => return output::result(Err(error)).map(|()| Value::Null),
                Ok(()) => {}
            }
        }
    }

    /// Asks for everything at once.
    pub(super) fn all<T: DeserializeOwned>(
        &mut self,
        request: &Request,
    ) -> Result<(Vec<T>, Value), Failure> {
        let mut items = Vec::new();
        let done = self.ask(request, |item| {
            items.push(item);
            Ok(())
        })?;
        Ok((items, done))
    }

    fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let text = json_line(request);
        let sent = self.stream.get_mut().write_all(text.as_bytes());
        // A server that has closed has said why.
        match sent {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(self.lost(&error)),
            _ => Ok(()),
        }
    }

    fn line(&mut self, silence: Duration) -> Result<String, Failure> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(Failure {
                text: format!(
                    "the server at {} has closed the connection: it has ended, or does not let you in",
                    self.place.display()
                ),
                exit: UNAVAILABLE,
            }),
            Ok(_) => Ok(line),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Failure {
                text: silent(&self.place, silence),
                exit: UNAVAILABLE,
            }),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn lost(&self, error: &std::io::Error) -> Failure {
        Failure {
            text: format!("lost the server at {}: {error}", self.place.display()),
            exit: UNAVAILABLE,
        }
    }

    fn odd(&self, line: &str) -> Failure {
        let start: String = line.chars().take(80).collect();
        let place = self.place.display();
        Failure {
            text: format!(
                "cannot make sense of what {place} says: is it an oxinetd of another version? {start}"
            ),
            exit: UNAVAILABLE,
        }
    }

    /// The server's own words, and the name that may have been meant.
    fn explain(&mut self, Failed { error, exit }: Failed) -> Failure {
        let mut text = error;
        // Sessions and bans have no names that could be misspelt.
        if exit == NO_SUCH && text.starts_with("there is no service ") {
            let wrong = text.rsplit(' ').next().unwrap_or_default().to_owned();
            if let Some(name) = self.similar(&wrong) {
                text += &format!("; did you mean {name}?");
            }
        }
        Failure { text, exit }
    }

    fn similar(&mut self, wrong: &str) -> Option<String> {
        let request = Request::Status {
            service: None,
            times: false,
        };
        let (all, _) = self.all::<ServiceStatus>(&request).ok()?;
        let distance = |name: &str| strsim::jaro_winkler(wrong, name);
        let best = all.into_iter().map(|it| (distance(&it.name), it.name));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(likeness, _)| *likeness > 0.75)
            .map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_waited_for_longer() {
        let wait = |request: Request| silence(&request, PATIENCE).map(|time| time.as_secs());
        let service = || "a".to_owned();
        let resume = Request::Resume { service: service() };
        assert_eq!(wait(resume), Some(15));
        let pause = Request::Pause {
            service: service(),
            seconds: Some(600),
        };
        assert_eq!(wait(pause), Some(15));
        let drain = Request::Drain {
            service: service(),
            seconds: 60,
        };
        assert_eq!(wait(drain), Some(75));
        assert_eq!(wait(Request::Reload { dry_run: true }), Some(25));
        let events = |follow| Request::Events {
            follow,
            services: Vec::new(),
            text: true,
        };
        assert_eq!(wait(events(false)), Some(15));
        assert_eq!(wait(events(true)), None);
    }
}
