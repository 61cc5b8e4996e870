//! What a command asks the server: one line of JSON.
//!
//! Nothing in it names a file or a program: whoever may connect can ask about what the table holds,
//! never bring something in.

use serde::{Deserialize, Serialize};

/// Bytes of a request at most, its newline included.
pub const LONGEST: usize = 4096;

/// A question, or something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Every service, or one: its state and counters; at last the server's own.
    Status {
        /// Its name.
        service: Option<String>,
    },
    /// Live connections and programs, of every service or one.
    List {
        /// Its name.
        service: Option<String>,
    },
}

impl Request {
    /// From a line, without its newline. The error is for whoever sent it.
    pub fn parse(line: &[u8]) -> Result<Request, String> {
        serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))
    }

    /// Whether it only looks: the others change something.
    pub fn only_looks(&self) -> bool {
        match self {
            Request::Status { .. } | Request::List { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_request_is_a_tagged_object() {
        let service = Some("cat".to_owned());
        assert_eq!(
            parse(r#"{"do":"status","service":"cat"}"#),
            Ok(Request::Status { service })
        );
        assert_eq!(
            parse(r#"{"do":"list"}"#),
            Ok(Request::List { service: None })
        );
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"do":"sing"}"#,
            r#"{"do":"status","file":"/etc/shadow"}"#,
            r#"{"do":"status","service":7}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes: Vec<u8>) {
            let _ = Request::parse(&bytes);
        }
    }
}
