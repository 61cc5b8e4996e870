//! Command lines of tcpserver(1), tcpsvd(8) and udpsvd(8), alone or in a script, behind programs
//! that prepare for them.

use super::Input;
use super::draft::Value;
use super::report::Fate;
use super::shell::{Command, commands};
use super::writer::{Output, Writer};

mod options;
mod prepare;

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
}
