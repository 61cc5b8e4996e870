//! The programs before a server, which prepare the world for it: `setuidgid`, `softlimit`, `env`.

use super::super::draft::Value;
use super::super::writer::Writer;
use super::{CommandLine, base};

impl CommandLine<'_> {
    /// `setuidgid USER`, `softlimit -m BYTES` and the like in front.
    pub(super) fn before(&self, w: &mut Writer, words: &[String]) {
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
}
