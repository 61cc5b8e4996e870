//! `stdio`, `pty`, `newline` and `banner`: their forms, and which services can have them.

use super::entry::Entry;
use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::{Node, Section};
use super::resolve::Resolver;
use super::value;
use super::words::quoted;
use crate::table::{Pass, Stdio, Terminal, Transport};

/// What a banner may have at most, in bytes: a socket's buffer always has room for it.
const LONGEST_BANNER: usize = 2048;

/// `stdio`, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Socket,
    Pipe,
    Pty,
}

/// The most lines, and characters in a line.
const LARGEST: i64 = 9999;

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct StdioEntry {
    mode: Option<Mode>,
    pty: Option<Terminal>,
    newline: Option<bool>,
    banner: Option<String>,
}

pub(super) fn read_keys(s: &mut Section) -> StdioEntry {
    StdioEntry {
        mode: s.take("stdio", |node| mode(&node.string()?)),
        pty: s.take("pty", terminal),
        newline: s.take("newline", |node| {
            Ok(value::choice(
                &node.string()?,
                &[("crlf", true), ("lf", false)],
            )?)
        }),
        banner: s.take("banner", |node| banner(&node.string()?)),
    }
}

fn mode(text: &Located<String>) -> Result<Mode, Mistakes> {
    let words = [
        ("socket", Mode::Socket),
        ("pipe", Mode::Pipe),
        ("pty", Mode::Pty),
    ];
    Ok(value::choice(text, &words)?)
}

fn terminal(node: Node) -> Result<Terminal, Mistakes> {
    let mut terminal = Terminal::default();
    let set = |(name, node): (Located<&str>, Node)| {
        match name.value {
            "term" => terminal.term = term(&node.member_string()?)?,
            "rows" => terminal.rows = size(name.value, &node)?,
            "columns" => terminal.columns = size(name.value, &node)?,
            "raw" => terminal.raw = yes_or_no(name.value, &node)?,
            "echo" => terminal.echo = yes_or_no(name.value, &node)?,
            other => {
                return Err(Mistake::new(format!("{} is not known here", quoted(other)))
                    .at(&name.place)
                    .help("write term, rows, columns, raw or echo: pty = { term = \"vt100\" }")
                    .into());
            }
        }
        Ok(())
    };
    all(node.entries()?.into_iter().map(set))?;
    Ok(terminal)
}

fn term(text: &Located<String>) -> Result<String, Mistakes> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    match !text.value.is_empty() && text.value.chars().all(is_plain) {
        true => Ok(text.value.clone()),
        false => Err(Mistake::new("term takes the name of a kind of terminal")
            .at(&text.place)
            .help("for example: \"xterm\", \"vt100\" or \"dumb\"")
            .into()),
    }
}

fn size(name: &str, node: &Node) -> Result<u16, Mistakes> {
    let size = node.as_integer().filter(|it| (1..=LARGEST).contains(it));
    size.map(|size| size as u16).ok_or_else(|| {
        Mistake::new(format!("{name} takes an integer from 1 to {LARGEST}"))
            .at(&node.place())
            .help("a usual terminal has 24 rows of 80 columns")
            .into()
    })
}

fn yes_or_no(name: &str, node: &Node) -> Result<bool, Mistakes> {
    node.boolean().map(|it| it.value).map_err(|_| {
        Mistake::new(format!("{name} takes true or false"))
            .at(&node.place())
            .help(format!("write {name} = true or {name} = false"))
            .into()
    })
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

impl StdioEntry {
    /// `stdio` alone.
    pub(super) fn of(text: &Located<String>) -> Result<StdioEntry, Mistakes> {
        Ok(StdioEntry {
            mode: Some(mode(text)?),
            ..StdioEntry::default()
        })
    }

    /// `pty` alone says as much.
    fn mode(&self) -> Option<Mode> {
        self.mode.or(self.pty.as_ref().map(|_| Mode::Pty))
    }
}

impl Resolver<'_> {
    /// What a program finds as standard input and output.
    pub(super) fn stdio(&mut self, entry: &Entry, wait: bool, pass: Pass) -> Stdio {
        let obstacle = self.obstacle(entry, wait, pass);
        let (own, defaults) = (&entry.stdio, &self.defaults.stdio);
        let usual = defaults.mode().filter(|_| obstacle.is_none());
        let mode = own.mode().or(usual).unwrap_or(Mode::Socket);
        let newline = own.newline.or(defaults.newline).unwrap_or(false);
        let mut wrong = Vec::new();
        match (mode, obstacle) {
            (Mode::Socket, _) if own.newline == Some(true) => wrong.push((
                "newline",
                "newline = \"crlf\" needs somebody between client and program",
                "add stdio = \"pipe\" or stdio = \"pty\"",
            )),
            (Mode::Socket, _) | (_, None) => {}
            (_, Some((why, help))) => {
                let key = if own.mode.is_some() { "stdio" } else { "pty" };
                wrong.push((key, why, help));
            }
        }
        if own.pty.is_some() && mode != Mode::Pty {
            wrong.push((
                "pty",
                "pty means nothing with this stdio",
                "write stdio = \"pty\", or leave one of them out",
            ));
        }
        self.say(entry, wrong);
        match mode {
            Mode::Socket => Stdio::Socket,
            Mode::Pipe => Stdio::Pipe { newline },
            Mode::Pty => Stdio::Terminal {
                newline,
                terminal: own
                    .pty
                    .as_ref()
                    .or(defaults.pty.as_ref())
                    .cloned()
                    .unwrap_or_default(),
            },
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
                "leave it out",
            )),
            () if pass == Pass::ListenFds => Some((
                "this does not go with pass = \"listen_fds\": the program is given the client's socket",
                "leave one of them out",
            )),
            () if listeners.any(|it| keeps_records(it.value.transport)) => Some((
                "pipes and terminals carry a stream of bytes, and a unix-seqpacket: socket keeps records apart",
                "leave it out, or listen on TCP or unix:",
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
