//! A server's control socket, spoken to without the program's own help.

use super::{DEADLINE, Server, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// What a server says of itself.
#[derive(Debug)]
pub(crate) struct Status {
    services: Vec<Value>,
    server: Value,
}

impl Status {
    /// A service.
    #[track_caller]
    pub(crate) fn of(&self, service: &str) -> &Value {
        let mut all = self.services.iter();
        let found = all.find(|it| it["name"] == service);
        found.unwrap_or_else(|| panic!("no {service} in {self:?}"))
    }

    /// All services.
    pub(crate) fn services(&self) -> &[Value] {
        &self.services
    }

    /// The server itself.
    pub(crate) fn server(&self) -> &Value {
        &self.server
    }

    /// Promise 11, at any moment.
    #[track_caller]
    pub(crate) fn check_sums(&self) {
        let number = |it: &Value| it.as_u64().unwrap_or_else(|| panic!("{it} is no number"));
        for it in &self.services {
            let parts = ["launched", "answered", "aborted", "pending"];
            let mut sum: u64 = parts.iter().map(|part| number(&it[part])).sum();
            for by in ["refused", "failed"] {
                sum += it[by]
                    .as_object()
                    .unwrap()
                    .values()
                    .map(number)
                    .sum::<u64>();
            }
            assert_eq!(
                number(&it["accepted"]),
                sum,
                "not the sum of its parts: {it}"
            );
        }
    }

    fn is_quiet(&self) -> bool {
        self.services.iter().all(|it| it["live"] == 0)
    }
}

impl Server {
    /// A connection to its control socket.
    #[track_caller]
    pub(crate) fn control(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.directory().join("control"));
        let stream = stream.expect("the control socket");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        BufReader::new(stream)
    }

    /// Asks something: all lines of the answer.
    #[track_caller]
    pub(crate) fn ask(&self, request: &str) -> Vec<Value> {
        ask(&mut self.control(), request)
    }

    /// Its state and counters.
    #[track_caller]
    pub(crate) fn status(&self) -> Status {
        let mut services = self.ask(r#"{"do":"status"}"#);
        let mut last = services.pop().expect("a last line");
        assert_eq!(last["done"], true, "{last}");
        Status {
            services,
            server: last["server"].take(),
        }
    }

    /// What must hold at the end of every test. Programs end a moment after their clients see it.
    #[track_caller]
    pub(super) fn check_status(&self, may_live: bool) {
        self.status().check_sums();
        if !may_live {
            until("no session is counted as live", || self.status().is_quiet());
        }
        self.status().check_sums();
    }
}

/// Asks something on this connection: all lines of the answer.
#[track_caller]
pub(crate) fn ask(control: &mut BufReader<UnixStream>, request: &str) -> Vec<Value> {
    let line = format!("{request}\n");
    control
        .get_mut()
        .write_all(line.as_bytes())
        .expect("a request");
    let mut lines = Vec::new();
    loop {
        let value = next_line(control).unwrap_or_else(|| panic!("it ended after {lines:?}"));
        let is_last = value.get("done").is_some() || value.get("error").is_some();
        lines.push(value);
        if is_last {
            return lines;
        }
    }
}

/// The next line of an answer; `None` at the end.
#[track_caller]
pub(crate) fn next_line(control: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = String::new();
    match control.read_line(&mut line) {
        Ok(0) => None,
        Ok(_) => Some(serde_json::from_str(&line).expect("JSON")),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
        Err(error) => panic!("no answer: {error}"),
    }
}
