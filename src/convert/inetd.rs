//! `inetd.conf` to services: the parser of `[server] inetd_conf` reads, and this writes.

use super::Input;
use super::draft::Value;
use super::hosts::{self, Hosts};
use super::report::Fate;
use super::sets::Set;
use super::writer::{Output, Writer};
use crate::config::inetd::{Act, Conf, Dialect, Item, Line, parse};
use crate::config::{Place, Source};
use std::sync::Arc;

/// Converts a table.
pub(super) fn convert(
    input: &Input,
    dialect: Option<Dialect>,
    hosts: Option<&Hosts>,
    output: &mut Output,
) {
    let source = Arc::new(Source::new(input.name.clone(), input.text.clone(), 0));
    let Conf {
        guess,
        items,
        mistakes,
    } = parse(&source, dialect);
    let words = match guess.because {
        Some(because) => format!(
            "taken for {}'s: {because}; --dialect says otherwise",
            guess.dialect.name()
        ),
        None => format!("read as {}'s, as --dialect says", guess.dialect.name()),
    };
    output.note(&input.name, "dialect", Fate::Kept, words);
    for mistake in &mistakes {
        let help = mistake
            .advice()
            .map(|help| format!("; {}", help.lines().next().unwrap_or_default()));
        let words = format!("{}{}", mistake.message(), help.unwrap_or_default());
        output.note(
            &line_of(mistake.place()),
            "line",
            Fate::Error,
            format!("{words}; the line is written as a comment"),
        );
    }
    for item in items {
        match item {
            Item::Comment(text) => output.comment(&text),
            Item::Other(range) => {
                for line in input.text[range].lines() {
                    output.comment(&format!("# {line}"));
                }
            }
            Item::Service(line) => output.finish(service(&line, guess.dialect, hosts)),
        }
    }
}

fn line_of(place: &Place) -> String {
    match (place.file(), place.line_and_column()) {
        (Some(file), Some((line, _))) => format!("{file}:{line}"),
        _ => place.to_string(),
    }
}

fn service(line: &Line, dialect: Dialect, hosts: Option<&Hosts>) -> Writer {
    let place = line_of(&line.place);
    let mut writer = Writer::new(&line.name, &line.protocol, &place);
    let w = &mut writer;
    if !line.enabled {
        w.draft.is_off = true;
        w.kept(&place, "#", "a line that is switched off: enabled = false");
    }
    let listen: Vec<String> = line.listen.iter().map(|text| text.value.clone()).collect();
    w.kept(
        &place,
        &line.protocol,
        format!("listen = {}", listen.join(" ")),
    );
    if dialect == Dialect::Debian && matches!(line.protocol.as_str(), "tcp" | "udp") {
        w.kept(
            &place,
            "family",
            "IPv4 and IPv6, each with a socket of its own",
        );
    }
    w.draft.set("listen", Value::Texts(listen));
    match &line.action {
        Act::Builtin(name) => {
            w.draft.set("builtin", Value::text(&name.value));
            w.kept(&place, "internal", format!("builtin = {}", name.value));
            w.changed(
                &place,
                "user",
                "built-in services run as the unprivileged worker's user",
            );
        }
        Act::Run { path, argv } => {
            let argv: Vec<String> = argv.iter().map(|word| word.value.clone()).collect();
            program(w, line, &path.value, argv, &place, hosts);
        }
    }
    limits(w, line, &place);
    ask_hosts(w, line, dialect, hosts, &place);
    for remark in &line.remarks {
        let fate = if remark.is_dropped {
            Fate::Dropped
        } else {
            Fate::Changed
        };
        w.note(&line_of(&remark.place), remark.knob, fate, &remark.words);
    }
    writer
}

fn program(
    w: &mut Writer,
    line: &Line,
    path: &str,
    argv: Vec<String>,
    place: &str,
    hosts: Option<&Hosts>,
) {
    let mut path = path.to_owned();
    let is_datagram = line.protocol.starts_with("udp")
        || line
            .listen
            .iter()
            .any(|it| it.value.starts_with("unix-dgram"));
    let mut rule = None;
    if hosts::is_tcpd(&path) {
        let real = argv.first().cloned().unwrap_or_default();
        let daemon = real.rsplit('/').next().unwrap_or_default().to_owned();
        let named = hosts.filter(|hosts| hosts.are_named && !daemon.is_empty());
        match named.map(|hosts| hosts.judge(&daemon)) {
            None => w.kept(place, "tcpd", "it goes on asking hosts.allow and hosts.deny; --hosts-allow and --hosts-deny make allow and deny of them"),
            Some(Err(lost)) => {
                let words = format!("tcpd stays and asks hosts.allow and hosts.deny itself, since they say what allow and deny cannot: {}", lost.join("; "));
                w.kept(place, "tcpd", words);
            }
            Some(Ok(set)) if is_datagram || line.wait => {
                let _ = set;
                w.kept(place, "tcpd", "it stays: only the program sees the clients of a wait service");
            }
            Some(Ok(set)) => {
                path = match real.starts_with('/') {
                    true => real,
                    // Where Debian's tcpd looks for it.
                    false => format!("/usr/sbin/{real}"),
                };
                w.changed(place, "tcpd", "left out: allow and deny do what it did, and its log lines are no more");
                rule = Some((daemon, set));
            }
        }
    }
    let mut command = vec![path.clone()];
    command.extend(argv.iter().skip(1).cloned());
    w.kept(place, "program", format!("command = {}", command.join(" ")));
    w.draft.set("command", Value::Array(command));
    if let Some(argv0) = argv.first().filter(|argv0| **argv0 != path) {
        w.draft.set("argv0", Value::text(argv0));
        w.kept(place, "argv[0]", format!("argv0 = {argv0}"));
    }
    w.draft.set("user", Value::text(&line.user.value));
    w.kept(place, "user", format!("user = {}", line.user.value));
    if let Some(group) = &line.group {
        w.draft.set("group", Value::text(&group.value));
        w.kept(place, "group", format!("group = {}", group.value));
    }
    match (line.wait, is_datagram) {
        (true, false) => {
            w.draft.set("wait", Value::Flag(true));
            w.kept(place, "wait", "wait = true");
        }
        (true, true) => w.kept(place, "wait", "as always with datagrams"),
        (false, _) => w.kept(place, "nowait", "as where nothing is written"),
    }
    w.draft.set("no_new_privileges", Value::Flag(false));
    if let Some((daemon, set)) = rule {
        w.let_in(place, &hosts::knob(&daemon), &set, &Set::default());
    }
}

/// The inetds of NetBSD and (as it is started there) FreeBSD ask hosts.allow and hosts.deny themselves.
fn ask_hosts(w: &mut Writer, line: &Line, dialect: Dialect, hosts: Option<&Hosts>, place: &str) {
    let is_stream = !w.waits() && !w.is_without_connections();
    let daemon = match (dialect, &line.action) {
        (Dialect::Freebsd, Act::Builtin(_)) => &line.name,
        (Dialect::Freebsd, Act::Run { path, .. }) => hosts::base(&path.value),
        (Dialect::Netbsd, Act::Run { path, argv }) if is_stream => argv
            .first()
            .map_or(hosts::base(&path.value), |argv0| &argv0.value),
        _ => return,
    };
    let refused = hosts::refused(w, hosts, daemon, place);
    if !refused.is_empty() {
        w.let_in(place, &hosts::knob(daemon), &Set::everybody(), &refused);
    }
}

fn limits(w: &mut Writer, line: &Line, place: &str) {
    let per_minute = |count: u32| format!("{count}/m burst {count}");
    if let Some(count) = line.max_connections {
        w.draft.set("max_connections", Value::Number(count.into()));
        w.kept(
            place,
            "connections at a time",
            format!("max_connections = {count}"),
        );
    }
    if let Some(count) = line.rate {
        w.draft.set("rate", Value::text(per_minute(count)));
    }
    if let Some(count) = line.rate_per_source {
        w.draft
            .set("rate_per_source", Value::text(per_minute(count)));
        w.kept(
            place,
            "connections of a client in a minute",
            format!("rate_per_source = {}", per_minute(count)),
        );
    }
    if let Some(count) = line.max_per_source {
        w.draft.set("max_per_source", Value::Number(count.into()));
        w.kept(
            place,
            "connections of a client at a time",
            format!("max_per_source = {count}"),
        );
    }
}
