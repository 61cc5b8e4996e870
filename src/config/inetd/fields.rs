//! The fields of a line: `service type protocol wait user program argv…`.

use super::super::mistake::{Located, Mistake, Place};
use super::super::source::Source;
use super::super::value::is_service_name;
use super::super::words::{quoted, similar};
use super::address::{self, Protocol};
use super::words::{Entry, Word};
use super::{Act, Dialect, Line, Remark};
use std::ops::Range;
use std::sync::Arc;

/// Names of the services that inetd speaks itself, and which of them oxinetd speaks.
const BUILTINS: [&str; 5] = ["echo", "discard", "chargen", "daytime", "time"];

/// Reads lines one after the other: an address alone on a line holds for those below.
pub(super) struct Reader<'s> {
    source: &'s Arc<Source>,
    dialect: Dialect,
    default_host: Option<String>,
    has_policy: bool,
    /// Of the line that is being read.
    mistakes: Vec<Mistake>,
    remarks: Vec<Remark>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Arc<Source>, dialect: Dialect) -> Reader<'s> {
        Reader {
            source,
            dialect,
            default_host: None,
            has_policy: false,
            mistakes: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// An IPsec policy for the lines below, `#@ POLICY` of the BSDs; an empty one takes it back.
    pub(super) fn comment(&mut self, text: &str) {
        let is_bsd = matches!(self.dialect, Dialect::Freebsd | Dialect::Netbsd);
        if let Some(policy) = text.strip_prefix("#@").filter(|_| is_bsd) {
            self.has_policy = !policy.trim().is_empty();
        }
    }

    /// What an entry says; `None` when it is about other entries. Everything that is wrong with it
    /// otherwise.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Option<Line>, Vec<Mistake>> {
        self.remarks.clear();
        if let Some(at) = entry.open_quote {
            self.wrong(
                &(at..at + 1),
                "this quote is not closed",
                "close it on the same line",
            );
        }
        let line = match entry.words.as_slice() {
            [Word { text, .. }] if self.is_default_host(text) => None,
            words => self.line(entry, words),
        };
        match self.mistakes.is_empty() {
            true => Ok(line),
            false => Err(std::mem::take(&mut self.mistakes)),
        }
    }

    /// `192.0.2.1:` alone on a line; `*:` takes it back.
    fn is_default_host(&mut self, text: &str) -> bool {
        let Some(host) = text.strip_suffix(':') else {
            return false;
        };
        self.default_host = Some(host.to_owned()).filter(|host| host != "*" && !host.is_empty());
        true
    }

    fn line(&mut self, entry: &Entry, words: &[Word]) -> Option<Line> {
        self.check_words(words);
        if self.has_policy {
            let help = "protect the port with the system's own policies, and take the line #@ out";
            self.wrong(
                &entry.range(),
                "the IPsec policy above (#@) is not kept",
                help,
            );
        }
        let [service, socket, protocol, wait, user, program, argv @ ..] = words else {
            self.too_short(entry, words);
            return None;
        };
        let protocol_words = protocol.text.as_str();
        let is_datagram = self.socket(socket, protocol_words);
        let (wait_flag, mut limits) = self.wait(wait);
        if is_datagram == Some(true) && !wait_flag && program.text != "internal" {
            let help = "write wait: the program is given the socket and reads the datagrams itself";
            self.wrong(
                &wait.span,
                "datagrams have no connection to hand over",
                help,
            );
        }
        limits.max_connections = limits.max_connections.or(self.accept_max(socket));
        let listen = self.listen(service, protocol, is_datagram.unwrap_or(false));
        let (user, group) = self.user(user);
        let name = self.name(service);
        let action = self.action(&name, program, argv);
        let connections = limits.max_connections.filter(|max| *max > 0);
        Some(Line {
            place: self.place(&entry.range()),
            enabled: entry.enabled,
            name,
            protocol: protocol_words.to_owned(),
            listen,
            wait: wait_flag,
            user,
            group,
            action,
            max_connections: connections,
            rate_per_source: limits.rate_per_source.filter(|max| *max > 0),
            max_per_source: limits.max_per_source.filter(|max| *max > 0),
            rate: limits.rate.filter(|max| *max > 0),
            remarks: std::mem::take(&mut self.remarks),
        })
    }

    fn check_words(&mut self, words: &[Word]) {
        for word in words {
            if word.text.contains(char::REPLACEMENT_CHARACTER) {
                let help =
                    "save the file as UTF-8, for example: iconv -f latin1 -t utf-8 OLD > NEW";
                self.wrong(&word.span, "a character here is not UTF-8", help);
            }
            if word.text.contains('\0') {
                self.wrong(&word.span, "there is a zero byte here", "take it out");
            }
        }
    }

    fn too_short(&mut self, entry: &Entry, words: &[Word]) {
        const FIELDS: [&str; 6] = [
            "the service",
            "the socket type",
            "the protocol",
            "wait or nowait",
            "the user",
            "the program",
        ];
        let first = words.first().map_or("", |word| word.text.as_str());
        if first == ".include" {
            let help = "name the file on oxinetd convert's command line, or join the files";
            return self.wrong(&entry.range(), ".include is not followed", help);
        }
        if matches!(
            words.get(1).map(|word| word.text.as_str()),
            Some("on" | "off")
        ) {
            let help =
                "write the line with fields: service type protocol wait user program arguments";
            return self.wrong(&entry.range(), "NetBSD's form with keys is not read", help);
        }
        let missing = FIELDS.get(words.len()).copied().unwrap_or("the program");
        let message = format!("{missing} is missing");
        let help = "a line is: service type protocol wait|nowait user program arguments, for example:\n\
                    finger stream tcp nowait nobody /usr/sbin/in.fingerd in.fingerd";
        self.wrong(&entry.range(), message, help);
    }

    /// Whether it is for datagrams.
    fn socket(&mut self, word: &Word, protocol: &str) -> Option<bool> {
        let kind = word.text.split([':', ',']).next().unwrap_or_default();
        let unix = protocol == "unix";
        let fits = |udp| {
            unix || protocol.starts_with(if udp { "udp" } else { "tcp" })
                || protocol.starts_with("rpc/")
        };
        let kind = match kind {
            "stream" => Some(false),
            "dgram" => Some(true),
            "seqpacket" if unix => Some(false),
            "raw" | "rdm" | "seqpacket" => {
                let message = format!("sockets of type {} are not offered", quoted(kind));
                self.wrong(&word.span, message, "write stream or dgram");
                return None;
            }
            _ => {
                let message = format!("unknown socket type {}", quoted(kind));
                let help = match similar(kind, ["stream", "dgram"]) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "write stream or dgram".to_owned(),
                };
                self.wrong(&word.span, message, help);
                return None;
            }
        };
        if let Some((_, filter)) = word.text.split_once(':') {
            let words = format!("the accept filter {filter} is left out: Linux has none");
            self.remark(&word.span, "accept filter", words, true);
        }
        if kind.is_some_and(|udp| !fits(udp))
            && (protocol.starts_with("tcp") || protocol.starts_with("udp"))
        {
            let message = format!("{} does not go with {}", word.text, protocol);
            let help = "stream goes with tcp, dgram with udp";
            self.wrong(&word.span, message, help);
        }
        kind
    }

    /// `stream,10` of NetBSD.
    fn accept_max(&mut self, word: &Word) -> Option<u32> {
        let (_, rest) = word.text.split_once(',')?;
        let number = rest.split(':').next().unwrap_or_default();
        self.count(number, &word.span)
    }

    fn count(&mut self, text: &str, span: &Range<usize>) -> Option<u32> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|number| plain && *number <= 1_000_000);
        if number.is_none() {
            let message = format!("{} is not a limit", quoted(text));
            self.wrong(
                span,
                message,
                "a limit is a number up to 1000000, as in nowait.100",
            );
        }
        number
    }

    fn wait(&mut self, word: &Word) -> (bool, Limits) {
        let mut limits = Limits::default();
        let (flag, mark, rest) = match word.text.find(['.', ':', '/']) {
            Some(at) => (
                &word.text[..at],
                &word.text[at..at + 1],
                &word.text[at + 1..],
            ),
            None => (word.text.as_str(), "", ""),
        };
        let wait = match flag {
            "wait" => true,
            "nowait" => false,
            _ => {
                let message = format!("{} is neither wait nor nowait", quoted(&word.text));
                let help = match similar(flag, ["wait", "nowait"]) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => {
                        "write nowait, or wait for a program that takes the socket itself".into()
                    }
                };
                self.wrong(&word.span, message, help);
                false
            }
        };
        match mark {
            "" => {}
            "/" => self.freebsd_limits(rest, &word.span, &mut limits),
            _ => limits.rate = self.count(rest, &word.span),
        }
        if limits.rate.is_some_and(|rate| rate > 0) {
            let words = "beyond the rate clients wait or are refused for a moment; the socket is not closed for minutes";
            self.remark(&word.span, "starts in a minute", words.into(), false);
        }
        (wait, limits)
    }

    /// `MAX/RATE PER CLIENT/CLIENTS AT A TIME`.
    fn freebsd_limits(&mut self, text: &str, span: &Range<usize>, limits: &mut Limits) {
        let mut numbers = text
            .split('/')
            .map(|number| self.count(number, span))
            .take(3);
        limits.max_connections = numbers.next().flatten();
        limits.rate_per_source = numbers.next().flatten();
        limits.max_per_source = numbers.next().flatten();
        let (max, per_source) = (limits.max_connections, limits.max_per_source);
        if max
            .zip(per_source)
            .is_some_and(|(max, per)| max > 0 && per > max)
        {
            limits.max_per_source = None;
            let words =
                "the limit for each client is above the one for all, and never reached".into();
            self.remark(span, "clients at a time", words, true);
        }
        if max == Some(0) {
            let words = "0 was no limit; max_connections, 128 by default, holds now".into();
            self.remark(span, "connections at a time", words, false);
        }
    }

    fn listen(
        &mut self,
        service: &Word,
        protocol: &Word,
        is_datagram: bool,
    ) -> Vec<Located<String>> {
        let (name, options) = match protocol.text.split_once(',') {
            Some((name, _)) => (name, true),
            None => (protocol.text.as_str(), false),
        };
        if options {
            let words = "buffer sizes are left to the system".into();
            self.remark(&protocol.span, "buffer sizes", words, true);
        }
        let place = self.place(&service.span);
        match address::protocol(name, self.dialect) {
            Err((message, help)) => {
                self.wrong(&protocol.span, message, help);
                Vec::new()
            }
            Ok(Protocol::Unix) => self.unix(service, is_datagram, place),
            Ok(Protocol::Inet { udp, family }) => {
                let (written, port) = address::split_service(&service.text);
                let port = port.to_owned();
                if let Some(reason) = not_a_port(&port) {
                    self.wrong(&service.span, reason.0, reason.1);
                    return Vec::new();
                }
                let hosts = match written.or(self.default_host.as_deref()) {
                    Some(text) => address::hosts(text),
                    None => vec![None],
                };
                let element = |host: Option<String>| {
                    let text = address::element(udp, family, host.as_deref(), &port);
                    Located::new(text, place.clone())
                };
                hosts.into_iter().map(element).collect()
            }
        }
    }

    fn unix(&mut self, service: &Word, is_datagram: bool, place: Place) -> Vec<Located<String>> {
        // FreeBSD's `:user:group:mode:/path`.
        let path = match service.text.find(":/") {
            Some(at) if service.text.starts_with(':') => &service.text[at + 1..],
            _ => service.text.as_str(),
        };
        if self.dialect == Dialect::Freebsd || path.len() < service.text.len() {
            let help = "in services.toml write who may connect: allow = \"uid:0\"";
            let message = "who may connect is decided by the socket's owner and mode (0200), which are not kept";
            self.wrong(&service.span, message, help);
        }
        if !path.starts_with('/') {
            let help = "write the absolute path of the socket as the service";
            self.wrong(&service.span, "a unix socket has a path", help);
            return Vec::new();
        }
        let prefix = if is_datagram { "unix-dgram:" } else { "unix:" };
        vec![Located::new(format!("{prefix}{path}"), place)]
    }

    fn user(&mut self, word: &Word) -> (Located<String>, Option<Located<String>>) {
        let (names, class) = match word.text.split_once('/') {
            Some((names, class)) => (names, Some(class)),
            None => (word.text.as_str(), None),
        };
        if let Some(class) = class {
            let words = format!("the login class {class} is left out: write limits");
            self.remark(&word.span, "login class", words, true);
        }
        // FreeBSD's users may have a dot in their names.
        let mark: &[char] = match self.dialect {
            Dialect::Freebsd => &[':'],
            _ => &[':', '.'],
        };
        let (user, group) = match names.split_once(mark) {
            Some((user, group)) => (user, Some(group)),
            None => (names, None),
        };
        if user.is_empty() || group == Some("") {
            let message = format!("{} is no user", quoted(&word.text));
            self.wrong(&word.span, message, "write a user, or user:group");
        }
        let place = self.place(&word.span);
        let located = |text: &str| Located::new(text.to_owned(), place.clone());
        (located(user), group.map(located))
    }

    /// What the service is called: its name or port, or the last part of a path.
    fn name(&mut self, service: &Word) -> String {
        let (_, name) = address::split_service(&service.text);
        let name = name.rsplit('/').next().unwrap_or_default();
        if is_service_name(name) {
            return name.to_owned();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let cleaned: String = name
            .chars()
            .map(|c| if allowed(c) { c } else { '_' })
            .take(64)
            .collect();
        match cleaned.trim_start_matches(['-', '.']) {
            "" => "service".to_owned(),
            cleaned => cleaned.to_owned(),
        }
    }

    fn action(&mut self, name: &str, program: &Word, argv: &[Word]) -> Act {
        let located =
            |reader: &Self, word: &Word| Located::new(word.text.clone(), reader.place(&word.span));
        if program.text == "internal" {
            if !BUILTINS.contains(&name) {
                let message = format!("oxinetd has no built-in service {}", quoted(name));
                let help = match name {
                    "auth" | "ident" => {
                        "ask a server of its own, such as ident2 or nullidentd".to_owned()
                    }
                    "tcpmux" => {
                        "TCPMUX is historic (RFC 7805): give each service a port".to_owned()
                    }
                    _ => format!("it has {}", BUILTINS.join(", ")),
                };
                self.wrong(&program.span, message, help);
            }
            return Act::Builtin(Located::new(name.to_owned(), self.place(&program.span)));
        }
        let is_path = program.text.starts_with('/') && !program.text.ends_with('/');
        if !is_path {
            let message = "a program is written with its whole path, beginning with /";
            self.wrong(
                &program.span,
                message,
                "for example /usr/sbin/in.fingerd, or internal",
            );
        }
        let path = located(self, program);
        let mut argv: Vec<_> = argv.iter().map(|word| located(self, word)).collect();
        // Without argument 0 busybox gives the path, as oxinetd does, and the others its last part.
        if argv.is_empty() && self.dialect != Dialect::Busybox {
            let base = path.value.rsplit('/').next().unwrap_or_default().to_owned();
            argv.push(Located::new(base, path.place.clone()));
        }
        Act::Run { path, argv }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        Place::Text(self.source.clone(), span.clone())
    }

    fn wrong(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let place = self.place(span);
        self.mistakes
            .push(Mistake::new(message).at(&place).help(help));
    }

    fn remark(&mut self, span: &Range<usize>, knob: &'static str, words: String, is_dropped: bool) {
        let place = self.place(span);
        self.remarks.push(Remark {
            place,
            knob,
            words,
            is_dropped,
        });
    }
}

/// The limits behind `wait`; 0 is none.
#[derive(Default)]
struct Limits {
    max_connections: Option<u32>,
    rate_per_source: Option<u32>,
    max_per_source: Option<u32>,
    rate: Option<u32>,
}

/// Service names that are none, or are another kind of thing.
fn not_a_port(name: &str) -> Option<(String, &'static str)> {
    if name.starts_with("tcpmux/") {
        let help = "TCPMUX is historic (RFC 7805): give the service a port";
        return Some(("TCPMUX is not offered".to_owned(), help));
    }
    if name.contains('/') {
        let help = "Sun RPC is not offered: start the server by itself, it registers with rpcbind";
        return Some((format!("{} is not a port", quoted(name)), help));
    }
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let fits = name.parse::<u16>().is_ok_and(|port| port > 0) && !name.starts_with('0');
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'*');
    let is_name = !name.is_empty()
        && name.bytes().all(allowed)
        && !is_number
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    let help = "a service is a name from /etc/services or a port from 1 to 65535";
    match is_name || (is_number && fits) {
        true => None,
        false => Some((format!("{} is no service", quoted(name)), help)),
    }
}
