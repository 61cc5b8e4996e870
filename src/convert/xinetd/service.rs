//! What a block means: whether it is on, where it listens, what answers and as whom.

use super::super::Files;
use super::super::draft::Value;
use super::super::hosts::Hosts;
use super::super::report::Fate;
use super::super::writer::Writer;
use super::settings::Settings;
use super::syntax::Section;

/// The services that xinetd speaks itself, and oxinetd too.
const BUILTINS: [&str; 5] = ["echo", "discard", "chargen", "daytime", "time"];

/// A block with what holds for it.
pub(super) struct Service<'s> {
    pub(super) section: &'s Section,
    pub(super) settings: &'s Settings,
    pub(super) hosts: Option<&'s Hosts>,
    pub(super) files: &'s dyn Files,
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
        self.banners(w);
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

    pub(super) fn has(&self, name: &str, word: &str) -> bool {
        let setting = self.settings.get(name);
        setting.is_some_and(|it| {
            it.values
                .iter()
                .any(|value| value.eq_ignore_ascii_case(word))
        })
    }

    pub(super) fn place(&self, name: &str) -> &str {
        self.settings
            .get(name)
            .map_or(&self.section.place, |setting| &setting.place)
    }

    pub(super) fn is_internal(&self) -> bool {
        self.has("type", "INTERNAL")
    }

    pub(super) fn is_udp(&self) -> bool {
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
}
