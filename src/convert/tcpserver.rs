//! Command lines of tcpserver(1), tcpsvd(8) and udpsvd(8), alone or in a script, behind programs
//! that prepare for them.

use super::draft::Value;
use super::report::Fate;
use super::shell::{Command, commands};
use super::writer::{Output, Writer};
use super::{Format, Input, tcprules};

/// The programs that are known.
const SERVERS: [&str; 3] = ["tcpserver", "tcpsvd", "udpsvd"];

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

fn server_in(command: &Command) -> Option<usize> {
    command
        .words
        .iter()
        .position(|word| SERVERS.contains(&base(word)))
}

/// Whether a text has such a command line.
pub(super) fn is_command_line(text: &str) -> bool {
    commands(text)
        .iter()
        .any(|command| server_in(command).is_some())
}

/// Converts every such command line of a text.
pub(super) fn convert(input: &Input, inputs: &[Input], output: &mut Output) {
    for command in commands(&input.text) {
        let place = format!("{}:{}", input.name, command.line);
        let Some(at) = server_in(&command) else {
            if command.words.first().is_some_and(|word| word != "exec")
                || command.computed.is_some()
            {
                output.note(
                    &place,
                    "command",
                    Fate::Dropped,
                    format!("{} is not a server", command.words.join(" ")),
                );
            }
            continue;
        };
        if let Some(computed) = &command.computed {
            let words = format!(
                "the shell would compute what {computed} stands for: write it out, and convert again"
            );
            output.note(&place, base(&command.words[at]), Fate::Error, words);
            continue;
        }
        let (before, words) = command.words.split_at(at);
        let mut line = CommandLine {
            server: base(&words[0]).to_owned(),
            is_busybox: before.last().is_some_and(|word| base(word) == "busybox"),
            place,
            inputs,
        };
        line.convert(before, &words[1..], output);
    }
}

struct CommandLine<'i> {
    server: String,
    is_busybox: bool,
    place: String,
    inputs: &'i [Input],
}

impl CommandLine<'_> {
    /// Options that take a value.
    fn takes_value(&self, option: char) -> bool {
        let options = match self.server.as_str() {
            "tcpserver" => "cxBgublltI",
            _ => "ixtlucCbU/ZK",
        };
        options.contains(option)
    }

    fn convert(&mut self, before: &[String], words: &[String], output: &mut Output) {
        let mut options: Vec<(char, String)> = Vec::new();
        let mut words = words.iter();
        let mut rest: Vec<&String> = Vec::new();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-').filter(|it| !it.is_empty()) else {
                rest.push(word);
                break;
            };
            if letters == "-" {
                break;
            }
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                if !self.takes_value(letter) {
                    options.push((letter, String::new()));
                    continue;
                }
                let value = letters.as_str();
                let value = match value.is_empty() {
                    true => words.next().cloned().unwrap_or_default(),
                    false => value.to_owned(),
                };
                options.push((letter, value));
                break;
            }
        }
        rest.extend(words);
        let [host, port, program @ ..] = rest.as_slice() else {
            let words = "host and port are missing".to_owned();
            return output.note(&self.place, &self.server, Fate::Error, words);
        };
        if program.is_empty() {
            return output.note(
                &self.place,
                &self.server,
                Fate::Error,
                "the program is missing",
            );
        }
        let name: String = port
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
            .collect();
        let udp = self.server == "udpsvd";
        let name = if name.is_empty() { "service" } else { &name };
        let mut writer = Writer::new(name, if udp { "udp" } else { "tcp" }, &self.place);
        let w = &mut writer;
        let only_v6 = options.iter().any(|(option, _)| *option == '6');
        self.listen(w, host, port, udp, only_v6);
        self.program(w, program);
        self.before(w, before);
        for (option, value) in &options {
            self.option(w, *option, value);
        }
        let has_limit = options.iter().any(|(option, _)| *option == 'c');
        if !has_limit && !udp {
            let most = if self.server == "tcpserver" { 40 } else { 30 };
            w.draft.set("max_connections", Value::Number(most));
            w.kept(
                &self.place,
                "-c",
                format!("max_connections = {most}, the default of {}", self.server),
            );
        }
        w.draft.set("stderr", Value::text("log"));
        w.kept(
            &self.place,
            "standard error",
            "stderr = log: not to the client",
        );
        if w.draft.get("user").is_none() {
            w.draft.set("user", Value::text("root"));
            w.changed(
                &self.place,
                "user",
                "whoever ran it before is taken to be root: write a user with fewer rights",
            );
        }
        output.finish(writer);
    }

    fn listen(&self, w: &mut Writer, host: &str, port: &str, udp: bool, only_v6: bool) {
        let word = if udp { "udp" } else { "tcp" };
        let text = match host {
            "0" | "" if self.server == "tcpserver" && !only_v6 => format!("{word}4:{port}"),
            "0.0.0.0" => format!("{word}4:{port}"),
            "0" | "" if only_v6 => format!("{word}6:{port}"),
            "0" | "" | "::" if udp => format!("udp:{port}"),
            "0" | "" | "::" => port.to_owned(),
            host if host.contains(':') && udp => format!("udp:[{host}]:{port}"),
            host if host.contains(':') => format!("[{host}]:{port}"),
            host if udp => format!("udp:{host}:{port}"),
            host => format!("{host}:{port}"),
        };
        w.kept(&self.place, "host and port", format!("listen = {text}"));
        w.draft.set("listen", Value::Texts(vec![text]));
    }

    fn program(&self, w: &mut Writer, program: &[&String]) {
        let mut command: Vec<String> = program.iter().map(|word| (*word).clone()).collect();
        let words = format!("command = {}", command.join(" "));
        match command[0].starts_with('/') {
            true => w.kept(&self.place, "program", words),
            false => {
                let name = command[0].clone();
                command[0] = format!("/usr/bin/{}", base(&name));
                w.draft.set("argv0", Value::text(&name));
                w.changed(&self.place, "program", format!("{name} was looked for in PATH, and is written as {}: correct it if it is elsewhere", command[0]));
            }
        }
        w.draft.set("command", Value::Array(command));
        w.draft.set("no_new_privileges", Value::Flag(false));
    }

    /// `setuidgid USER`, `softlimit -m BYTES` and the like in front.
    fn before(&self, w: &mut Writer, words: &[String]) {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            match base(word) {
                "exec" | "busybox" => {}
                program @ ("setuidgid" | "envuidgid") => {
                    let user = words.next().cloned().unwrap_or_default();
                    w.kept(&self.place, program, format!("user = {user}"));
                    w.draft.set("user", Value::name_or_id(&user));
                    w.draft.set("supplementary_groups", Value::Array(Vec::new()));
                }
                "softlimit" => {
                    while words.peek().is_some_and(|word| word.starts_with('-')) {
                        let limit = words.next().cloned().unwrap_or_default();
                        let value = match limit.len() {
                            2 => words.next().cloned().unwrap_or_default(),
                            _ => limit.get(2..).unwrap_or_default().to_owned(),
                        };
                        self.softlimit(w, limit.get(..2).unwrap_or_default(), &value);
                    }
                }
                "env" => {
                    let mut env = Vec::new();
                    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
                        env.push((name.to_owned(), Value::text(value)));
                        words.next();
                    }
                    w.kept(&self.place, "env", "env");
                    w.draft.set("env", Value::Table(env));
                }
                other => w.lost(&self.place, other, "what this program does before the server starts is not known: the service may get more than it had"),
            }
        }
    }

    fn softlimit(&self, w: &mut Writer, option: &str, value: &str) {
        let names: &[&str] = match option {
            "-m" => &["data", "stack", "memlock", "as"],
            "-a" => &["as"],
            "-d" => &["data"],
            "-s" => &["stack"],
            "-l" => &["memlock"],
            "-f" => &["fsize"],
            "-c" => &["core"],
            "-o" => &["nofile"],
            "-p" => &["nproc"],
            "-t" => &["cpu"],
            _ => &[],
        };
        let Ok(number) = value
            .parse::<i64>()
            .map_err(drop)
            .and_then(|it| if names.is_empty() { Err(()) } else { Ok(it) })
        else {
            return w.dropped(
                &self.place,
                &format!("softlimit {option}"),
                "there is no such limit here",
            );
        };
        let mut limits = match w.draft.get("limits") {
            Some(Value::Table(limits)) => limits.clone(),
            _ => Vec::new(),
        };
        limits.retain(|(name, _)| !names.contains(&name.as_str()));
        limits.extend(
            names
                .iter()
                .map(|name| ((*name).to_owned(), Value::Number(number))),
        );
        w.draft.set("limits", Value::Table(limits));
        w.changed(
            &self.place,
            &format!("softlimit {option}"),
            format!("limits = {}, soft and hard", names.join(" ")),
        );
    }

    fn option(&self, w: &mut Writer, option: char, value: &str) {
        let place = self.place.as_str();
        let knob = format!("-{option}");
        let knob = knob.as_str();
        let number = || {
            value
                .parse::<i64>()
                .ok()
                .filter(|it| (1..=1_000_000).contains(it))
        };
        let is_tcpserver = self.server == "tcpserver";
        match (option, is_tcpserver) {
            ('c', _) => match number() {
                Some(count) => {
                    w.draft.set("max_connections", Value::Number(count));
                    w.kept(
                        place,
                        knob,
                        format!("max_connections = {count}, and more wait"),
                    );
                }
                None => w.lost(place, knob, format!("{value:?} is not a number")),
            },
            ('C', false) => self.per_source(w, value),
            ('b', _) => match number().filter(|it| *it <= 65535) {
                Some(count) => {
                    w.draft.set("backlog", Value::Number(count));
                    w.kept(place, knob, format!("backlog = {count}"));
                }
                None => w.dropped(place, knob, "not a number that the system takes"),
            },
            ('u', false) => self.user(w, value),
            ('u' | 'g', true) => {
                let key = if option == 'u' { "user" } else { "group" };
                w.draft.set(key, Value::name_or_id(value));
                w.draft
                    .set("supplementary_groups", Value::Array(Vec::new()));
                w.kept(place, knob, format!("{key} = {value}, and no other groups"));
            }
            ('U', true) if w.draft.get("user").is_some() => {
                w.kept(place, knob, "user, from envuidgid")
            }
            ('U', true) => w.lost(
                place,
                knob,
                "whose ids UID and GID hold is not known: write user",
            ),
            ('x', true) | ('x' | 'i', false) if self.is_busybox => {
                w.dropped(place, knob, "busybox ignores it")
            }
            ('x', true) => self.rules(w, value),
            ('x' | 'i', false) => w.lost(
                place,
                knob,
                "instructions of ipsvd cannot be read here: write allow and deny",
            ),
            ('X', true) => w.dropped(place, knob, "rules are in the table, and cannot be missing"),
            ('B', true) => w.lost(
                place,
                knob,
                "a greeting before the program's own cannot be sent: let the program send it",
            ),
            ('D', true) => {
                w.draft.set("nodelay", Value::Flag(true));
                w.kept(place, knob, "nodelay = true");
            }
            ('d', true) => w.kept(place, knob, "as where nothing is written"),
            ('h' | 'p' | 'r' | 't', true) | ('h' | 'p', false) => w.dropped(
                place,
                knob,
                "clients' names are not looked up: they delay the service and can be forged",
            ),
            ('H' | 'R' | 'P', true) => w.kept(place, knob, "names are never looked up"),
            ('l', _) => w.dropped(place, knob, "the local name is not in the environment"),
            ('E', false) => w.changed(place, knob, "programs get the variables all the same"),
            ('v' | 'q' | 'Q', _) => {
                w.changed(place, knob, "the log has a line for each connection")
            }
            ('1', true) => w.changed(place, knob, "the log tells the port"),
            ('4', true) | ('6', true) => w.kept(place, knob, "see listen"),
            ('o' | 'O', true) => w.dropped(
                place,
                knob,
                "the kernel drops source-routed packets by default",
            ),
            ('t', false) => w.dropped(place, knob, "there are no instruction files"),
            _ => w.lost(
                place,
                knob,
                format!("{} has no such option that is known", self.server),
            ),
        }
    }

    /// `COUNT` or `COUNT:MESSAGE`.
    fn per_source(&self, w: &mut Writer, value: &str) {
        let (count, message) = match value.split_once(':') {
            Some((count, message)) => (count, Some(message)),
            None => (value, None),
        };
        let Some(count) = count.parse::<i64>().ok().filter(|it| *it > 0) else {
            return w.lost(&self.place, "-C", format!("{value:?} is not a number"));
        };
        w.draft.set("max_per_source", Value::Number(count));
        w.kept(&self.place, "-C", format!("max_per_source = {count}"));
        if let Some(message) = message {
            let message = match self.is_busybox {
                true => message.to_owned(),
                false => message
                    .replace("\\r", "\r")
                    .replace("\\n", "\n")
                    .replace("\\\\", "\\"),
            };
            let text = Value::text(message.replace('%', "%%"));
            w.draft.set(
                "refusal",
                Value::Table(vec![("max_per_source".to_owned(), text)]),
            );
            w.kept(&self.place, "-C message", "refusal");
        }
    }

    /// `user[:group[:group…]]` of tcpsvd; a colon before it says that they are numbers.
    fn user(&self, w: &mut Writer, value: &str) {
        let mut names = value.trim_start_matches(':').split(':');
        let user = names.next().unwrap_or_default();
        w.draft.set("user", Value::name_or_id(user));
        if let Some(group) = names.next() {
            w.draft.set("group", Value::name_or_id(group));
        }
        w.draft.set(
            "supplementary_groups",
            Value::Array(names.map(str::to_owned).collect()),
        );
        w.kept(
            &self.place,
            "-u",
            format!("user and groups {value}, and no others"),
        );
    }

    fn rules(&self, w: &mut Writer, cdb: &str) {
        let stem = base(cdb).trim_end_matches(".cdb");
        let mut candidates = self
            .inputs
            .iter()
            .filter(|input| Format::of(input) == Format::Tcprules);
        let all: Vec<&Input> = candidates.by_ref().collect();
        let named = all.iter().find(|input| {
            base(&input.name).split('.').next() == stem.split('.').next()
                || base(&input.name) == stem
        });
        let found = named.or(match all.as_slice() {
            [only] => Some(only),
            _ => None,
        });
        let Some(rules) = found else {
            let words = format!(
                "{cdb} holds rules in a form for programs: name the text that it was made of on the command line too"
            );
            return w.lost(&self.place, "-x", &words);
        };
        let read = tcprules::read(rules);
        for (place, rule, reason) in &read.lost {
            w.lost(place, rule, reason);
        }
        if !read.env.is_empty() {
            let env = read
                .env
                .iter()
                .map(|(name, value)| (name.clone(), Value::text(value)));
            w.draft.set("env", Value::Table(env.collect()));
            w.kept(&rules.name, "variables", "env");
        }
        // Its clients are IPv4 ones.
        let v4 = super::sets::Set::all_v4();
        match read.allowed.intersection(&v4) == v4 {
            true => w.kept(
                &rules.name,
                "-x",
                "everybody gets in, as where nothing is written",
            ),
            false => w.let_in(
                &rules.name,
                "-x",
                &read.allowed,
                &super::sets::Set::default(),
            ),
        }
    }
}
