//! The attributes that stand by themselves, one after the other.

use super::super::draft::Value;
use super::super::writer::Writer;
use super::service::Service;
use super::settings::Setting;

/// What happens beyond `cps`.
pub(super) fn beyond(values: &[String]) -> String {
    let pause = values.get(1).map_or("some", String::as_str);
    format!(
        "beyond it clients wait or are refused for a moment, and the service is not closed for {pause} s"
    )
}

impl Service<'_> {
    /// The attributes that stand by themselves.
    pub(super) fn attribute(&self, w: &mut Writer, name: &str, it: &Setting) {
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
            | "only_from" | "no_access" | "libwrap" | "banner" | "banner_success"
            | "banner_fail" => {}
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
            "instances" | "per_source" if w.is_without_connections() && !it.is_own => {}
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
                    match it.is_own {
                        true => w.changed(
                            place,
                            name,
                            format!("rate = {count}/s: {}", beyond(&it.values)),
                        ),
                        false => w.kept(place, name, format!("rate = {count}/s")),
                    }
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
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then(|| hour * 60 + minute)
        };
        let shown = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let span = |text: &String| {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (time(from)?, time(to)?);
            // The last minute belongs to it.
            (from < to).then(|| format!("{}-{}", shown(from), shown(to + 1)))
        };
        let spans: Option<Vec<String>> = it.values.iter().map(span).collect();
        match spans.filter(|spans| !spans.is_empty()) {
            _ if w.waits() => w.lost(
                &it.place,
                "access_times",
                "the program takes its clients itself, so oxinetd cannot refuse any",
            ),
            Some(spans) => {
                w.kept(
                    &it.place,
                    "access_times",
                    format!("hours = {}", spans.join(" ")),
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
}
