//! What a block means: every attribute of xinetd.conf(5), one after the other.

use super::super::draft::Value;
use super::super::hosts::Hosts;
use super::super::report::Fate;
use super::super::sets::Set;
use super::super::writer::Writer;
use super::addresses;
use super::settings::{Setting, Settings};
use super::syntax::Section;

/// The services that xinetd speaks itself, and oxinetd too.
const BUILTINS: [&str; 5] = ["echo", "discard", "chargen", "daytime", "time"];

/// A block with what holds for it.
pub(super) struct Service<'s> {
    pub(super) section: &'s Section,
    pub(super) settings: &'s Settings,
    pub(super) hosts: &'s Hosts,
    pub(super) id: &'s str,
    /// Whether there was a service of this id before.
    pub(super) is_double: bool,
}

impl Service<'_> {
    /// The service; without keys where it cannot be offered.
    pub(super) fn write(&self) -> Writer {
        let protocol = if self.is_udp() { "udp" } else { "tcp" };
        let mut writer = Writer::new(&self.name(), protocol, &self.section.place);
        let w = &mut writer;
        self.enabled(w);
        if let Some((place, knob, words)) = self.impossible() {
            let fate = if w.draft.is_off {
                Fate::Dropped
            } else {
                Fate::Error
            };
            w.note(
                &place,
                &knob,
                fate,
                format!("{words}; the service is written as a comment"),
            );
            return writer;
        }
        self.listen(w);
        self.action(w);
        for (name, setting) in self.settings.iter() {
            self.attribute(w, name, setting);
        }
        if self.settings.get("instances").is_none() && !w.waits() && !w.is_without_connections() {
            w.changed(
                &self.section.place,
                "instances",
                "was no limit where none is written; max_connections, 128 by default, holds now",
            );
        }
        self.access(w);
        writer
    }

    fn name(&self) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let name: String = self
            .id
            .chars()
            .map(|c| if allowed(c) { c } else { '_' })
            .take(64)
            .collect();
        match name.trim_start_matches(['-', '.']) {
            "" => "service".to_owned(),
            name => name.to_owned(),
        }
    }

    fn has(&self, name: &str, word: &str) -> bool {
        let setting = self.settings.get(name);
        setting.is_some_and(|it| {
            it.values
                .iter()
                .any(|value| value.eq_ignore_ascii_case(word))
        })
    }

    fn place(&self, name: &str) -> &str {
        self.settings
            .get(name)
            .map_or(&self.section.place, |setting| &setting.place)
    }

    fn is_internal(&self) -> bool {
        self.has("type", "INTERNAL")
    }

    fn is_udp(&self) -> bool {
        match self.settings.one("socket_type") {
            Some(kind) => kind == "dgram",
            None => self
                .settings
                .one("protocol")
                .is_some_and(|protocol| protocol.starts_with("udp")),
        }
    }

    fn enabled(&self, w: &mut Writer) {
        let id = self.id.to_owned();
        let is_listed = |name: &str| self.settings.get(name).map(|it| it.values.contains(&id));
        let by = match () {
            () if self.has("disable", "yes") => Some(("disable", "yes")),
            () if is_listed("disabled") == Some(true) => Some(("disabled", "it is listed")),
            () if is_listed("enabled") == Some(false) => Some(("enabled", "it is not listed")),
            () if self.is_double => Some((
                "id",
                "there is one of this id already, and xinetd would not have offered this one",
            )),
            () => None,
        };
        if let Some((knob, words)) = by {
            w.draft.is_off = true;
            w.kept(self.place(knob), knob, format!("{words}: enabled = false"));
        }
    }

    /// Why it cannot be offered at all: place, knob and reason.
    fn impossible(&self) -> Option<(String, String, String)> {
        let why =
            |knob: &str, words: String| Some((self.place(knob).to_owned(), knob.to_owned(), words));
        let kind = self.settings.one("socket_type");
        let protocol =
            self.settings
                .one("protocol")
                .unwrap_or(if self.is_udp() { "udp" } else { "tcp" });
        match () {
            () if self.has("type", "RPC") => why(
                "type",
                "Sun RPC is not offered: start the server by itself, it registers with rpcbind"
                    .into(),
            ),
            () if self.has("type", "TCPMUX") || self.has("type", "TCPMUXPLUS") => why(
                "type",
                "TCPMUX is historic (RFC 7805): give the service a port".into(),
            ),
            () if self.has("flags", "SENSOR") => why(
                "flags",
                "SENSOR bans whoever connects: there is no trap here, see oxinetd ban".into(),
            ),
            () if kind.is_some_and(|kind| !matches!(kind, "stream" | "dgram")) => why(
                "socket_type",
                format!("{} is not offered", kind.unwrap_or_default()),
            ),
            () if !matches!(protocol, "tcp" | "udp" | "tcp6" | "udp6") => {
                why("protocol", format!("{protocol} is not offered"))
            }
            () if self.is_internal() && !BUILTINS.contains(&self.section.name.as_str()) => why(
                "type",
                format!(
                    "oxinetd has no built-in service {}; it has {}",
                    self.section.name,
                    BUILTINS.join(", ")
                ),
            ),
            () if !self.is_internal()
                && self.settings.get("redirect").is_none()
                && self.settings.one("server").is_none() =>
            {
                why("server", "there is no program".into())
            }
            () if self.is_udp() && self.has("wait", "no") && !self.is_internal() => why(
                "wait",
                "datagrams have no connection to hand over: xinetd does not offer this either"
                    .into(),
            ),
            () if self.settings.get("redirect").is_some() && self.is_udp() => {
                why("redirect", "datagrams are not passed on".into())
            }
            () => None,
        }
    }

    fn listen(&self, w: &mut Writer) {
        let port = self.settings.one("port").unwrap_or(&self.section.name);
        let word = if self.is_udp() { "udp" } else { "tcp" };
        let is_v6_protocol = self
            .settings
            .one("protocol")
            .is_some_and(|it| it.ends_with('6'));
        let (v4, v6) = (
            self.has("flags", "IPv4"),
            self.has("flags", "IPv6") || is_v6_protocol,
        );
        // Any value of v6only sets the option.
        let v6_only = self.settings.get("v6only").is_some_and(|it| it.is_own);
        let host = self.settings.one("bind").or(self.settings.one("interface"));
        let family = match (v4, v6) {
            (true, false) => "4",
            (false, true) if v6_only => "6",
            (false, false) if v6_only => "6",
            _ => "",
        };
        let prefix = match (family, self.is_udp()) {
            ("", false) => String::new(),
            (family, _) => format!("{word}{family}:"),
        };
        let plain = if self.is_udp() { "udp:" } else { "" };
        let text = match host {
            None => format!("{prefix}{port}"),
            Some(host) if host.contains(':') => format!("{plain}[{host}]:{port}"),
            Some(host)
                if host
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|it| it.is_unspecified()) =>
            {
                format!("{word}4:{port}")
            }
            Some(host) if host.parse::<std::net::Ipv4Addr>().is_ok() => {
                format!("{plain}{host}:{port}")
            }
            Some(host) => format!("{prefix}{host}:{port}"),
        };
        w.kept(&self.section.place, "service", format!("listen = {text}"));
        w.draft.set("listen", Value::Texts(vec![text]));
    }

    fn action(&self, w: &mut Writer) {
        if self.is_internal() {
            w.draft.set("builtin", Value::text(&self.section.name));
            return w.kept(
                self.place("type"),
                "type",
                format!("INTERNAL: builtin = {}", self.section.name),
            );
        }
        if let Some(redirect) = self.settings.get("redirect") {
            let (host, port) = (redirect.values.first(), redirect.values.get(1));
            let host = host.map_or("", String::as_str);
            let port = port.map_or("", String::as_str);
            let target = match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            };
            w.draft.set("redirect", Value::text(&target));
            return w.changed(
                &redirect.place,
                "redirect",
                format!(
                    "redirect = {target}, which keeps a direction open until both sides have ended"
                ),
            );
        }
        let server = self.settings.one("server").unwrap_or_default().to_owned();
        let args = self
            .settings
            .get("server_args")
            .map(|it| it.values.clone())
            .unwrap_or_default();
        let base = server.rsplit('/').next().unwrap_or_default().to_owned();
        let (argv0, args) = match (self.has("flags", "NAMEINARGS"), args.split_first()) {
            (true, Some((argv0, args))) => (argv0.clone(), args.to_vec()),
            _ => (base, args),
        };
        let mut command = vec![server];
        command.extend(args);
        w.kept(
            self.place("server"),
            "server",
            format!("command = {}, argv0 = {argv0}", command.join(" ")),
        );
        w.draft.set("command", Value::Array(command));
        w.draft.set("argv0", Value::text(argv0));
        w.draft.set("no_new_privileges", Value::Flag(false));
        if self.has("wait", "yes") && !self.is_udp() {
            w.draft.set("wait", Value::Flag(true));
        }
        self.identity(w);
    }

    fn identity(&self, w: &mut Writer) {
        let (user, group) = (self.settings.one("user"), self.settings.one("group"));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match user {
            None => {
                w.lost(&self.section.place, "user", "none is written, and xinetd would not have offered the service; here it runs as nobody");
            }
            Some(user) => {
                w.draft.set("user", Value::name_or_id(user));
                w.kept(self.place("user"), "user", format!("user = {user}"));
            }
        }
        // A number stands for the group of that number, too.
        if let Some(group) = group.or(user.filter(|user| is_number(user))) {
            w.draft.set("group", Value::name_or_id(group));
            w.kept(self.place("group"), "group", format!("group = {group}"));
        }
        if !self.has("groups", "yes") && (user.is_some() || group.is_some()) {
            w.draft
                .set("supplementary_groups", Value::Array(Vec::new()));
            w.kept(
                self.place("groups"),
                "groups",
                "supplementary_groups = [], as xinetd does unless told otherwise",
            );
        }
    }

    /// The attributes that stand by themselves.
    fn attribute(&self, w: &mut Writer, name: &str, it: &Setting) {
        let place = it.place.as_str();
        let value = it.values.first().map_or("", String::as_str);
        let number = || value.parse::<i64>().ok();
        let wrong = |w: &mut Writer| {
            w.lost(
                place,
                name,
                format!("{:?} is not understood", it.values.join(" ")),
            )
        };
        let unlimited = value.eq_ignore_ascii_case("UNLIMITED");
        let is_program = w.draft.has_program();
        match name {
            "disable" | "enabled" | "disabled" | "user" | "group" | "server" | "redirect"
            | "only_from" | "no_access" | "libwrap" => {}
            "log_type" if !it.is_own => {}
            "id" => w.kept(place, name, "the name in [service.NAME]"),
            "type" if self.is_internal() => {}
            "type" => w.kept(place, name, "a port needs no name"),
            "socket_type" | "protocol" | "port" | "bind" | "interface" => {
                w.kept(place, name, "see listen")
            }
            "server_args" => w.kept(place, name, "see command"),
            "groups" if self.has("groups", "yes") => w.kept(
                place,
                name,
                "the user's groups, as where nothing is written",
            ),
            "groups" => {}
            "flags" => self.flags(w, it),
            "wait" if self.is_internal() => w.kept(place, name, "as the protocol demands"),
            "wait" => w.kept(place, name, format!("wait = {}", value == "yes")),
            "instances" | "per_source" if w.is_without_connections() => {
                w.dropped(place, name, "datagrams have no connections");
            }
            "instances" if w.waits() => {
                w.kept(place, name, "one program at a time, as always with wait")
            }
            "instances" if unlimited => {
                w.draft.set("max_connections", Value::Number(10_000));
                w.changed(
                    place,
                    name,
                    "max_connections = 10000, as many as the server takes for all services",
                );
            }
            "instances" => match number().filter(|count| *count > 0) {
                Some(count) => {
                    w.draft
                        .set("max_connections", Value::Number(count.min(1_000_000)));
                    w.draft.set("when_full", Value::text("refuse"));
                    w.kept(
                        place,
                        name,
                        format!("max_connections = {count}, when_full = refuse"),
                    );
                }
                None => wrong(w),
            },
            "per_source" if unlimited => w.changed(
                place,
                name,
                "a fair share of max_connections holds for a client",
            ),
            "per_source" if w.waits() => {
                w.dropped(place, name, "the program takes its clients itself")
            }
            "per_source" => match number().filter(|count| *count > 0) {
                Some(count) => {
                    w.draft
                        .set("max_per_source", Value::Number(count.min(1_000_000)));
                    w.kept(place, name, format!("max_per_source = {count}"));
                }
                None => wrong(w),
            },
            "cps" => match number() {
                Some(0) => w.kept(place, name, "no rate"),
                Some(count) if count > 0 => {
                    w.draft.set("rate", Value::text(format!("{count}/s")));
                    w.changed(place, name, format!("rate = {count}/s: beyond it clients wait or are refused for a moment, and the service is not closed for {} s", it.values.get(1).map_or("some", String::as_str)));
                }
                _ => wrong(w),
            },
            "max_load" => w.dropped(
                place,
                name,
                "max_connections limits what a service can do to the machine",
            ),
            "nice" if !is_program => w.dropped(place, name, "there is no program"),
            "nice" => match number().filter(|nice| (-20..=19).contains(nice)) {
                Some(nice) => {
                    w.draft.set("nice", Value::Number(nice));
                    w.kept(place, name, format!("nice = {nice}"));
                }
                None => wrong(w),
            },
            "umask" if !is_program => w.dropped(place, name, "there is no program"),
            "umask" => match u32::from_str_radix(value, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
            {
                Some(mode) => {
                    // Without it, and with it: 022 is always there only in the first case.
                    w.draft.set("umask", Value::text(format!("{mode:03o}")));
                    w.kept(place, name, format!("umask = {mode:03o}"));
                }
                None => wrong(w),
            },
            "env" if is_program => self.env(w, it),
            "passenv" if is_program => {
                w.draft.set("pass_env", Value::Array(it.values.clone()));
                w.kept(place, name, format!("pass_env = {}", it.values.join(" ")));
            }
            "env" | "passenv" => w.dropped(place, name, "there is no program"),
            "access_times" => self.hours(w, it),
            "log_type" => w.dropped(place, name, "the log is one for all services, [server] log"),
            "log_on_success" | "log_on_failure" if !it.is_own => {}
            "log_on_success" | "log_on_failure" => self.log_on(w, name, it),
            "banner" | "banner_success" => w.lost(
                place,
                name,
                "a text before the program's own cannot be sent: let the program send it",
            ),
            "banner_fail" => w.changed(
                place,
                name,
                format!("refused clients are told nothing: write the text of {value} as refusal"),
            ),
            "rlimit_rss" => w.dropped(place, name, "it has no effect on Linux"),
            "rlimit_as" | "rlimit_data" | "rlimit_stack" | "rlimit_cpu" | "rlimit_files"
                if !is_program =>
            {
                w.dropped(place, name, "there is no program")
            }
            "rlimit_as" | "rlimit_data" | "rlimit_stack" | "rlimit_cpu" | "rlimit_files" => {
                self.limit(w, name, it)
            }
            "v6only" if self.has("flags", "IPv4") => w.dropped(place, name, "it is about IPv6"),
            "v6only" if it.is_own => {
                w.changed(place, name, "xinetd takes any value for yes: IPv6 only")
            }
            "v6only" => w.dropped(place, name, "it has no effect in defaults"),
            "deny_time" => w.dropped(place, name, "it is for SENSOR"),
            "mdns" => w.dropped(place, name, "xinetd ignores it"),
            "rpc_version" | "rpc_number" => w.dropped(place, name, "Sun RPC is not offered"),
            _ => w.dropped(place, name, "xinetd has no such attribute"),
        }
    }

    fn flags(&self, w: &mut Writer, it: &Setting) {
        for flag in &it.values {
            let knob = format!("flags {flag}");
            match flag.to_ascii_uppercase().as_str() {
                "NAMEINARGS" => w.kept(&it.place, &knob, "see argv0"),
                "IPV4" | "IPV6" => w.kept(&it.place, &knob, "see listen"),
                "NODELAY" if self.is_udp() => w.dropped(&it.place, &knob, "it is about TCP"),
                "NODELAY" => {
                    w.draft.set("nodelay", Value::Flag(true));
                    w.kept(&it.place, &knob, "nodelay = true");
                }
                "KEEPALIVE" => w.kept(&it.place, &knob, "as where nothing is written"),
                "REUSE" => w.kept(&it.place, &knob, "as always"),
                "NOLIBWRAP" => w.kept(&it.place, &knob, "hosts.allow and hosts.deny are not asked"),
                "NORETRY" => w.dropped(&it.place, &knob, "a client waits until a program can be started"),
                "IDONLY" => w.lost(&it.place, &knob, "clients without an ident server were refused, and oxinetd asks none"),
                "INTERCEPT" if self.is_internal() || !self.has("wait", "yes") => w.kept(&it.place, &knob, "it means nothing here"),
                "INTERCEPT" => w.lost(&it.place, &knob, "xinetd looked at each client of a wait service: let a firewall or the program do it"),
                "LABELED" => w.lost(&it.place, &knob, "the program ran with the client's SELinux level, which it does not here"),
                _ => w.dropped(&it.place, &knob, "xinetd has no such flag"),
            }
        }
    }

    fn env(&self, w: &mut Writer, it: &Setting) {
        let mut env: Vec<(String, Value)> = Vec::new();
        for value in &it.values {
            match value.split_once('=') {
                Some((name, value)) => {
                    env.retain(|(known, _)| known != name);
                    env.push((name.to_owned(), Value::text(value)));
                }
                None => w.dropped(&it.place, "env", format!("{value} has no value")),
            }
        }
        if !env.is_empty() {
            w.draft.set("env", Value::Table(env));
            w.kept(&it.place, "env", it.values.join(" "));
        }
    }

    fn hours(&self, w: &mut Writer, it: &Setting) {
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then(|| format!("{hour:02}:{minute:02}"))
        };
        let span = |text: &String| {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (time(from)?, time(to)?);
            (from < to).then(|| format!("{from}-{to}"))
        };
        let spans: Option<Vec<String>> = it.values.iter().map(span).collect();
        match spans.filter(|spans| !spans.is_empty()) {
            _ if w.waits() => w.lost(
                &it.place,
                "access_times",
                "the program takes its clients itself, so oxinetd cannot refuse any",
            ),
            Some(spans) => {
                w.changed(
                    &it.place,
                    "access_times",
                    format!(
                        "hours = {}, which ends with the beginning of the last minute",
                        spans.join(" ")
                    ),
                );
                w.draft.set("hours", Value::Texts(spans));
            }
            None => w.lost(
                &it.place,
                "access_times",
                "these are no times from HH:MM to a later HH:MM",
            ),
        }
    }

    fn log_on(&self, w: &mut Writer, name: &str, it: &Setting) {
        let words = match it.values.iter().any(|value| value == "USERID") {
            true => {
                "the log always tells of beginning, end and refusal; users' names at the client (USERID) are not asked for"
            }
            false => "the log always tells of beginning, end and refusal",
        };
        w.changed(&it.place, name, words);
    }

    fn limit(&self, w: &mut Writer, name: &str, it: &Setting) {
        let value = it.values.first().map_or("", String::as_str);
        let key = match name.trim_start_matches("rlimit_") {
            "files" => "nofile",
            key => key,
        };
        let digits = value.trim_end_matches(['k', 'K', 'm', 'M']);
        let factor = match value.strip_prefix(digits) {
            Some("") => Some(1),
            Some("k" | "K") => Some(1 << 10),
            Some("m" | "M") => Some(1 << 20),
            _ => None,
        };
        let number = digits
            .parse::<i64>()
            .ok()
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor));
        let limit = match value.eq_ignore_ascii_case("UNLIMITED") {
            true => Value::text("unlimited"),
            false => match number.filter(|number| *number >= 0) {
                Some(number) => Value::Number(number),
                None => {
                    return w.lost(&it.place, name, format!("{value:?} is not understood"));
                }
            },
        };
        let mut limits = match w.draft.get("limits") {
            Some(Value::Table(limits)) => limits.clone(),
            _ => Vec::new(),
        };
        limits.push((key.to_owned(), limit));
        w.draft.set("limits", Value::Table(limits));
        w.kept(&it.place, name, format!("limits.{key} = {value}"));
    }

    /// `only_from`, `no_access`, and hosts.allow and hosts.deny.
    fn access(&self, w: &mut Writer) {
        let (mut only, mut except) = (Set::everybody(), Set::default());
        let (mut place, mut knobs) = (self.section.place.clone(), Vec::new());
        for name in ["only_from", "no_access"] {
            let Some(it) = self.settings.get(name) else {
                continue;
            };
            // Without values only_from lets nobody in, and no_access refuses nobody.
            let mut set = Set::default();
            for value in &it.values {
                match addresses::read(value) {
                    Ok(found) => set = set.union(&found),
                    Err(words) => w.lost(&it.place, name, &words),
                }
                if value == "localhost" {
                    w.changed(&it.place, name, "localhost is written as 127.0.0.1 and ::1");
                }
            }
            match name {
                "only_from" => only = set,
                _ => except = set,
            }
            place.clone_from(&it.place);
            knobs.push(name.to_owned());
        }
        self.ask_hosts(w, &mut only, &mut knobs);
        if !knobs.is_empty() {
            w.let_in(&place, &knobs.join(" and "), &only, &except);
        }
    }

    fn ask_hosts(&self, w: &mut Writer, allowed: &mut Set, knobs: &mut Vec<String>) {
        if self.has("flags", "NOLIBWRAP") {
            return;
        }
        let argv0 = match w.draft.get("argv0") {
            Some(Value::Text(argv0)) => argv0.clone(),
            _ => self.section.name.clone(),
        };
        let base = argv0.rsplit('/').next().unwrap_or_default().to_owned();
        let daemon = self.settings.one("libwrap").map_or(base, str::to_owned);
        let place = self.place("libwrap").to_owned();
        match self.hosts.judge(&daemon) {
            None => w.changed(&place, "libwrap", format!("an xinetd with tcp_wrappers asks hosts.allow and hosts.deny about {daemon}: --hosts-allow and --hosts-deny make allow and deny of them")),
            Some(Err(lost)) => {
                for reason in lost {
                    w.lost(&place, &format!("libwrap {daemon}"), &reason);
                }
            }
            Some(Ok(set)) => {
                *allowed = allowed.intersection(&set);
                knobs.push(format!("hosts.allow and hosts.deny for {daemon}"));
            }
        }
    }
}
