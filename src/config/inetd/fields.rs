//! The fields of a line: `service type protocol wait user program argv…`.

use super::super::mistake::{Located, Mistake, Place};
use super::super::source::Source;
use super::super::value::is_service_name;
use super::super::words::{quoted, similar};
use super::address;
use super::words::{Entry, Word};
use super::{Act, Dialect, Line, Remark};
use std::ops::Range;
use std::sync::Arc;

/// Names of the services that inetd speaks itself, and which of them oxinetd speaks.
const BUILTINS: [&str; 5] = ["echo", "discard", "chargen", "daytime", "time"];

/// Reads lines one after the other: an address alone on a line holds for those below.
pub(super) struct Reader<'s> {
    source: &'s Arc<Source>,
    pub(super) dialect: Dialect,
    pub(super) default_host: Option<String>,
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

    pub(super) fn count(&mut self, text: &str, span: &Range<usize>) -> Option<u32> {
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

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place::Text(self.source.clone(), span.clone())
    }

    pub(super) fn wrong(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = self.place(span);
        self.mistakes
            .push(Mistake::new(message).at(&place).help(help));
    }

    pub(super) fn remark(
        &mut self,
        span: &Range<usize>,
        knob: &'static str,
        words: String,
        is_dropped: bool,
    ) {
        let place = self.place(span);
        self.remarks.push(Remark {
            place,
            knob,
            words,
            is_dropped,
        });
    }
}
