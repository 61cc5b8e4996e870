//! Recognises the tables of other superservers.

use super::mistake::{Mistake, Place};
use super::source::Source;
use std::sync::Arc;

/// A table of another superserver: one word about that is better than a hundred about its lines.
pub(super) fn recognise(source: &Arc<Source>) -> Option<Mistake> {
    let text = source.text();
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?;
    let words: Vec<&str> = first.split_whitespace().collect();
    let format = match words.as_slice() {
        ["service", _] | ["service", _, "{", ..] | ["defaults"] | ["defaults", "{"] => {
            "xinetd.conf(5)"
        }
        [
            _,
            "stream" | "dgram" | "raw" | "seqpacket",
            _,
            wait,
            _,
            _,
            ..,
        ] if wait.contains("wait") => "inetd.conf(5)",
        [word, ..] if word.starts_with('{') => "JSON",
        ["[Unit]" | "[Socket]" | "[Service]" | "[Install]"] => "a systemd unit",
        _ => return None,
    };
    let start = first.as_ptr() as usize - text.as_ptr() as usize;
    let help = match format {
        "JSON" => {
            "a service is written like this:\n[service.finger]\nlisten = 79\ncommand = [\"/usr/sbin/in.fingerd\"]"
        }
        _ => "make one of it: oxinetd convert FILE > services.toml",
    };
    Some(
        Mistake::new(format!("this is {format}, not a table of oxinetd"))
            .at(&Place::Text(source.clone(), start..start + first.len()))
            .help(help),
    )
}
