//! systemd.socket(5) with the service that it starts: `NAME@.service` for each connection, or
//! `NAME.service` for the socket itself.
//!
//! [`unit`] reads units and the words of a command, [`socket`] and [`service`] write what they mean,
//! [`access`] who gets in.

mod access;
mod service;
mod socket;
mod unit;

use super::report::Fate;
use super::writer::{Output, Writer};
use super::{Files, Format, Input};
use std::path::Path;
use unit::Unit;

/// Converts a socket, with its service from the other inputs or from beside it.
pub(super) fn convert(input: &Input, inputs: &[Input], files: &dyn Files, output: &mut Output) {
    let socket = Unit::read(input);
    for (place, words) in &socket.wrong {
        output.note(place, "line", Fate::Error, words);
    }
    let accept = socket
        .last("Socket", "Accept")
        .is_some_and(|it| unit::is_yes(&it.value));
    let stem = stem(&input.name).to_owned();
    let wanted = match (accept, socket.last("Socket", "Service")) {
        (true, _) => format!("{stem}@.service"),
        (false, Some(service)) => service.value.clone(),
        (false, None) => format!("{stem}.service"),
    };
    let Some(found) = service_input(&wanted, input, inputs, files) else {
        let words = format!("{wanted} is not there: name it on the command line too");
        return output.note(&input.name, "Service", Fate::Error, words);
    };
    let service = Unit::read(&found);
    for (place, words) in &service.wrong {
        output.note(place, "line", Fate::Error, words);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name: String = stem
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(64)
        .collect();
    let mut writer = Writer::new(name.trim_start_matches(['-', '.']), "tcp", &input.name);
    for comment in socket.comments.iter().chain(&service.comments) {
        writer.draft.comments.push(comment.clone());
    }
    socket::write(&mut writer, &socket, accept);
    service::write(&mut writer, &service, accept);
    access::write(&mut writer, [&socket, &service]);
    match writer.draft.has_program() && writer.draft.get("listen").is_some() {
        true => output.finish(writer),
        false => {
            output.comment(&format!("# {stem} cannot be offered, see the report"));
            output.notes.extend(writer.into_notes());
        }
    }
}

fn stem(name: &str) -> &str {
    let base = name.rsplit('/').next().unwrap_or_default();
    base.strip_suffix(".socket").unwrap_or(base)
}

fn service_input(
    wanted: &str,
    socket: &Input,
    inputs: &[Input],
    files: &dyn Files,
) -> Option<Input> {
    let is_it = |input: &&Input| input.name.rsplit('/').next() == Some(wanted);
    if let Some(input) = inputs.iter().find(is_it) {
        return Some(input.clone());
    }
    let path = Path::new(&socket.name).with_file_name(wanted);
    let text = files.read(&path).ok()?;
    let name = path.display().to_string();
    Some(Input { name, text })
}

/// A service without a socket is none of ours.
pub(super) fn check_use(input: &Input, inputs: &[Input], output: &mut Output) {
    if !inputs
        .iter()
        .any(|other| Format::of(other) == Format::Socket)
    {
        let words = "a service belongs to a socket: name the .socket on the command line too";
        output.note(&input.name, "service", Fate::Error, words);
    }
}
