//! `stdio`, `newline` and `banner`: their forms, and which services can have them.

use super::entry::Entry;
use super::mistake::{Located, Mistake, Mistakes};
use super::reader::Section;
use super::resolve::Resolver;
use super::value;
use crate::table::{Pass, Stdio, Transport};

/// What a banner may have at most, in bytes: a socket's buffer always has room for it.
const LONGEST_BANNER: usize = 2048;

/// `stdio`, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Socket,
    Pipe,
}

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct StdioEntry {
    mode: Option<Mode>,
    newline: Option<bool>,
    banner: Option<String>,
}

pub(super) fn read_keys(s: &mut Section) -> StdioEntry {
    StdioEntry {
        mode: s.take("stdio", |node| {
            let words = [("socket", Mode::Socket), ("pipe", Mode::Pipe)];
            Ok(value::choice(&node.string()?, &words)?)
        }),
        newline: s.take("newline", |node| {
            Ok(value::choice(
                &node.string()?,
                &[("crlf", true), ("lf", false)],
            )?)
        }),
        banner: s.take("banner", |node| banner(&node.string()?)),
    }
}

fn banner(text: &Located<String>) -> Result<String, Mistakes> {
    if text.value.len() > LONGEST_BANNER {
        let message = format!(
            "a banner has {LONGEST_BANNER} bytes at most, and this one {}",
            text.value.len()
        );
        let mistake = Mistake::new(message).at(&text.place);
        return Err(mistake
            .help("shorten it, or have the program say it")
            .into());
    }
    Ok(text.value.clone())
}

impl Resolver<'_> {
    /// What a program finds as standard input and output.
    pub(super) fn stdio(&mut self, entry: &Entry, wait: bool, pass: Pass) -> Stdio {
        let obstacle = self.obstacle(entry, wait, pass);
        let (own, defaults) = (&entry.stdio, &self.defaults.stdio);
        let usual = defaults.mode.filter(|_| obstacle.is_none());
        let mode = own.mode.or(usual).unwrap_or(Mode::Socket);
        let newline = own.newline.or(defaults.newline).unwrap_or(false);
        let mut wrong = Vec::new();
        match (mode, obstacle) {
            (Mode::Pipe, Some((why, help))) => wrong.push(("stdio", why, help)),
            (Mode::Socket, _) if own.newline == Some(true) => wrong.push((
                "newline",
                "newline = \"crlf\" needs somebody between client and program",
                "add stdio = \"pipe\"",
            )),
            _ => {}
        }
        self.say(entry, wrong);
        match mode {
            Mode::Socket => Stdio::Socket,
            Mode::Pipe => Stdio::Pipe { newline },
        }
    }

    /// Why nobody can stand between clients and the program, and what to do about it.
    fn obstacle(
        &self,
        entry: &Entry,
        wait: bool,
        pass: Pass,
    ) -> Option<(&'static str, &'static str)> {
        let mut listeners = entry.listen.iter().flatten();
        let keeps_records = |transport| transport == Transport::UnixSeqpacket;
        match () {
            () if wait => Some((
                "a wait program is given the listening socket itself: it has no client as standard input and output",
                "leave stdio out",
            )),
            () if pass == Pass::ListenFds => Some((
                "stdio does not go with pass = \"listen_fds\": the program is given the client's socket",
                "leave one of them out",
            )),
            () if listeners.any(|it| keeps_records(it.value.transport)) => Some((
                "pipes carry a stream of bytes, and a unix-seqpacket: socket keeps records apart",
                "leave stdio out, or listen on TCP or unix:",
            )),
            () => None,
        }
    }

    /// What clients are told before the program says anything.
    pub(super) fn banner(&mut self, entry: &Entry, wait: bool) -> Option<String> {
        if wait && entry.stdio.banner.is_some() {
            let why =
                "a wait program takes its clients itself, so that none can be told anything before";
            self.say(entry, vec![("banner", why, "leave it out")]);
        }
        let defaults = self.defaults.stdio.banner.as_ref();
        let banner = entry.stdio.banner.as_ref().or(defaults);
        banner.filter(|text| !wait && !text.is_empty()).cloned()
    }

    fn say(&mut self, entry: &Entry, wrong: Vec<(&str, &str, &str)>) {
        for (key, message, help) in wrong {
            if let Some(place) = entry.place_of(key) {
                let mistake = Mistake::new(message).at(place);
                self.mistakes.push(mistake.help(help));
            }
        }
    }
}
