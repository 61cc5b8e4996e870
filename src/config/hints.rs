//! What to say about a key that does not exist: the words of other superservers, of later
//! versions, of other sections, and slips of the pen.
//!
//! A hint never names a key that would be rejected; a test checks that.

use super::keys::{self, Key, Part};
use super::words::{one_of, similar};

/// What a word of another world is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// This key, and what is different about it.
    Key(&'static str, &'static str),
    /// Nothing yet: what it was about, and what to do until then.
    Later(&'static str),
    /// Nothing: why not.
    Nothing(&'static str),
}

use Meaning::{Key as Is, Later, Nothing};

const ADDRESSES: &str = "addresses and prefixes, [\"192.0.2.0/24\", \"::1\"]";
const RATE: &str = "a burst of 200 in 2 seconds is rate = \"100/s burst 200\"";
const ARGUMENTS: &str = "the program and its arguments are one array";
const INCLUDE: &str = "a pattern of file names, include = [\"services.d/*.toml\"]";
const ADDRESS: &str = "address and port are one string, \"127.0.0.1:79\"";

/// Words, in small letters, with what they are here.
const WORDS: &[(&str, Meaning)] = &[
    // xinetd.conf(5)
    ("server", Is("command", "the first element is the program")),
    ("server_args", Is("command", ARGUMENTS)),
    (
        "socket_type",
        Is("listen", "datagrams have a prefix, \"udp:69\""),
    ),
    (
        "protocol",
        Is(
            "listen",
            "the protocol is a prefix, \"udp:69\"; TCP needs none",
        ),
    ),
    ("port", Is("listen", "")),
    ("bind", Is("listen", ADDRESS)),
    ("interface", Is("listen", ADDRESS)),
    (
        "v6only",
        Is(
            "listen",
            "a bare port is IPv4 and IPv6; the prefixes tcp4: and tcp6: choose one",
        ),
    ),
    ("disable", Is("enabled", "disable = yes is enabled = false")),
    (
        "disabled",
        Is("enabled", "disabled = true is enabled = false"),
    ),
    ("enable", Is("enabled", "")),
    ("instances", Is("max_connections", "")),
    ("groups", Is("supplementary_groups", "")),
    ("passenv", Is("pass_env", "")),
    (
        "type",
        Is(
            "builtin",
            "for type = INTERNAL name the protocol, builtin = \"daytime\"; otherwise leave it out",
        ),
    ),
    ("id", Nothing("the name in [service.NAME] is the id")),
    ("includedir", Is("include", INCLUDE)),
    ("include_dir", Is("include", INCLUDE)),
    ("only_from", Is("allow", ADDRESSES)),
    ("no_access", Is("deny", ADDRESSES)),
    (
        "libwrap",
        Is(
            "allow",
            "hosts.allow is read by tcpd, which a command may begin with",
        ),
    ),
    (
        "access_times",
        Is("hours", "hours = [\"08:00-18:00\", \"22:00-23:00\"]"),
    ),
    ("per_source", Is("max_per_source", "")),
    ("cps", Is("rate", "cps = 50 10 is rate = \"50/s\"")),
    (
        "max_load",
        Nothing("max_connections limits what a service can do to the machine"),
    ),
    (
        "banner_success",
        Is(
            "banner",
            "the text itself, not a file: banner = \"hello\\r\\n\"",
        ),
    ),
    (
        "banner_fail",
        Is(
            "refusal",
            "the text itself, not a file: refusal = \"go away\\r\\n\"",
        ),
    ),
    (
        "deny_time",
        Nothing("an address is banned by hand, with oxinetd ban"),
    ),
    (
        "log_type",
        Nothing("the log of all services goes where [server] log says"),
    ),
    (
        "log_on_success",
        Nothing("every connection is logged, always with its duration and exit status"),
    ),
    ("log_on_failure", Nothing("every refusal is logged")),
    (
        "flags",
        Nothing("NAMEINARGS is argv0; the others have no counterpart"),
    ),
    ("mdns", Nothing("announcing services is left to avahi")),
    (
        "rpc_version",
        Nothing("Sun RPC services register themselves"),
    ),
    (
        "rpc_number",
        Nothing("Sun RPC services register themselves"),
    ),
    ("rlimit_as", Is("limits", "limits = { as = \"1G\" }")),
    ("rlimit_cpu", Is("limits", "limits = { cpu = \"10s\" }")),
    ("rlimit_data", Is("limits", "limits = { data = \"1G\" }")),
    ("rlimit_stack", Is("limits", "limits = { stack = \"8M\" }")),
    ("rlimit_files", Is("limits", "limits = { nofile = 256 }")),
    (
        "rlimit_rss",
        Nothing("Linux does not enforce it; limits = { as = \"1G\" } is near to it"),
    ),
    // systemd.socket(5), systemd.service(5)
    ("execstart", Is("command", ARGUMENTS)),
    (
        "accept",
        Is(
            "wait",
            "Accept=yes is wait = false, Accept=no is wait = true",
        ),
    ),
    ("listenstream", Is("listen", "")),
    (
        "listendatagram",
        Is(
            "listen",
            "datagrams have a prefix, \"udp:69\" or \"unix-dgram:/run/x\"",
        ),
    ),
    (
        "listensequentialpacket",
        Is("listen", "with a prefix, \"unix-seqpacket:/run/x\""),
    ),
    (
        "bindipv6only",
        Is(
            "listen",
            "a bare port is IPv4 and IPv6; the prefixes tcp4: and tcp6: choose one",
        ),
    ),
    ("maxconnections", Is("max_connections", "")),
    ("maxconnectionspersource", Is("max_per_source", "")),
    ("triggerlimitburst", Is("rate", RATE)),
    ("triggerlimitintervalsec", Is("rate", RATE)),
    ("polllimitburst", Is("rate", RATE)),
    ("polllimitintervalsec", Is("rate", RATE)),
    ("ipaddressallow", Is("allow", ADDRESSES)),
    ("ipaddressdeny", Is("deny", ADDRESSES)),
    ("supplementarygroups", Is("supplementary_groups", "")),
    ("workingdirectory", Is("directory", "")),
    ("rootdirectory", Is("chroot", "")),
    ("environment", Is("env", "env = { NAME = \"value\" }")),
    ("passenvironment", Is("pass_env", "")),
    ("nonewprivileges", Is("no_new_privileges", "")),
    (
        "standarderror",
        Is("stderr", "\"client\", \"log\", \"null\" or \"file:/PATH\""),
    ),
    (
        "standardinput",
        Is(
            "pass",
            "standard input is always the socket; \"listen_fds\" passes it as descriptor 3",
        ),
    ),
    (
        "standardoutput",
        Is(
            "pass",
            "standard output is always the socket; \"listen_fds\" passes it as descriptor 3",
        ),
    ),
    ("limitnofile", Is("limits", "limits = { nofile = 256 }")),
    ("limitnproc", Is("limits", "limits = { nproc = 64 }")),
    ("limitcpu", Is("limits", "limits = { cpu = \"10s\" }")),
    (
        "keepalivetimesec",
        Is("keepalive", "keepalive = { idle = \"2m\" }"),
    ),
    (
        "keepaliveintervalsec",
        Is("keepalive", "keepalive = { interval = \"10s\" }"),
    ),
    (
        "keepaliveprobes",
        Is("keepalive", "keepalive = { count = 4 }"),
    ),
    ("runtimemaxsec", Is("max_lifetime", "max_lifetime = \"1h\"")),
    ("timeoutstopsec", Is("grace", "grace = \"10s\"")),
    ("limitas", Is("limits", "limits = { as = \"1G\" }")),
    ("bindtodevice", Is("bind_device", "")),
    ("socketuser", Is("socket_user", "")),
    ("socketgroup", Is("socket_group", "")),
    ("socketmode", Is("socket_mode", "")),
    // words that come to mind
    ("allow_from", Is("allow", ADDRESSES)),
    ("allowed", Is("allow", ADDRESSES)),
    ("whitelist", Is("allow", ADDRESSES)),
    ("allowlist", Is("allow", ADDRESSES)),
    ("deny_from", Is("deny", ADDRESSES)),
    ("denied", Is("deny", ADDRESSES)),
    ("block", Is("deny", ADDRESSES)),
    ("blacklist", Is("deny", ADDRESSES)),
    ("denylist", Is("deny", ADDRESSES)),
    ("trusted", Is("exempt", ADDRESSES)),
    ("max_per_ip", Is("max_per_source", "")),
    ("max_per_client", Is("max_per_source", "")),
    ("max_connections_per_ip", Is("max_per_source", "")),
    ("rate_limit", Is("rate", "")),
    ("ratelimit", Is("rate", "")),
    ("burst", Is("rate", "rate = \"50/s burst 200\"")),
    ("rate_per_ip", Is("rate_per_source", "")),
    ("times", Is("hours", "")),
    ("deny_message", Is("refusal", "")),
    ("program", Is("command", ARGUMENTS)),
    ("exec", Is("command", ARGUMENTS)),
    ("executable", Is("command", ARGUMENTS)),
    ("path", Is("command", ARGUMENTS)),
    ("cmd", Is("command", "")),
    ("run", Is("command", "")),
    ("args", Is("command", ARGUMENTS)),
    ("arguments", Is("command", ARGUMENTS)),
    ("argv", Is("command", ARGUMENTS)),
    (
        "internal",
        Is("builtin", "name the protocol, builtin = \"daytime\""),
    ),
    ("address", Is("listen", ADDRESS)),
    ("addr", Is("listen", ADDRESS)),
    ("host", Is("listen", ADDRESS)),
    ("ip", Is("listen", ADDRESS)),
    ("ports", Is("listen", "")),
    ("socket", Is("listen", "a Unix socket is \"unix:/run/x\"")),
    ("unix", Is("listen", "a Unix socket is \"unix:/run/x\"")),
    ("udp", Is("listen", "the protocol is a prefix, \"udp:69\"")),
    ("tcp", Is("listen", "")),
    ("nowait", Is("wait", "nowait is wait = false")),
    ("uid", Is("user", "a number is a user id")),
    ("gid", Is("group", "a number is a group id")),
    ("cwd", Is("directory", "")),
    ("chdir", Is("directory", "")),
    ("workdir", Is("directory", "")),
    ("working_directory", Is("directory", "")),
    ("root", Is("chroot", "")),
    ("priority", Is("nice", "")),
    ("rlimits", Is("limits", "")),
    ("ulimit", Is("limits", "")),
    ("nofile", Is("limits", "limits = { nofile = 256 }")),
    ("nproc", Is("limits", "limits = { nproc = 64 }")),
    ("comment", Is("description", "")),
    (
        "name",
        Nothing("the name is part of the header, [service.NAME]"),
    ),
    ("max_clients", Is("max_connections", "")),
    ("max_child", Is("max_connections", "")),
    ("max_children", Is("max_connections", "")),
    (
        "limit",
        Is("max_connections", "or limits, for the program's resources"),
    ),
    ("concurrency", Is("max_connections", "")),
    (
        "timeout",
        Is(
            "idle_timeout",
            "of a connection that moves nothing; max_lifetime is for any",
        ),
    ),
    ("tls", Later("TLS")),
    // what later versions are to know
    ("oom_score_adj", Later("the out-of-memory score")),
    ("control_socket", Is("control", "")),
];

/// What to say about a key that `part` does not have.
pub(super) fn hint(name: &str, part: Part) -> String {
    meant(name, part).unwrap_or_else(|| format!("{} takes {}", part.header(), one_of(names(part))))
}

/// What a word that `part` does not have is known as, or was meant to be.
pub(super) fn meant(name: &str, part: Part) -> Option<String> {
    let word = name.to_lowercase().replace('-', "_");
    if let Some(key) = keys::find(&word, part) {
        return Some(format!("did you mean {}?", key.name));
    }
    if let Some(key) = keys::KEYS.iter().find(|key| key.name == word) {
        return Some(elsewhere(key, part));
    }
    if let Some((_, meaning)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Some(explain(*meaning, part));
    }
    similar(name, keys::keys_of(part).map(|key| key.name))
        .map(|name| format!("did you mean {name}?"))
}

fn names(part: Part) -> Vec<&'static str> {
    let mut names: Vec<&str> = keys::keys_of(part).map(|key| key.name).collect();
    names.sort_unstable();
    names
}

/// A key that exists, but in another section.
fn elsewhere(key: &Key, part: Part) -> String {
    match (key.belongs_in(Part::Service), part) {
        (true, Part::Defaults) => format!(
            "{} is a service's own: write it in each [service.NAME]",
            key.name
        ),
        (true, _) => format!("{} belongs in [service.NAME]", key.name),
        (false, _) => format!("{} belongs in [server], in the main file", key.name),
    }
}

fn explain(meaning: Meaning, part: Part) -> String {
    match meaning {
        Is(name, note) => {
            let homes = [part, Part::Service, Part::Server];
            let found = homes
                .into_iter()
                .find_map(|home| Some((home, keys::find(name, home)?)));
            let Some((home, key)) = found else {
                return String::new();
            };
            let home = match home == part {
                true => String::new(),
                false => format!(", in {}", home.header()),
            };
            let note = if note.is_empty() {
                format!("for example {}", key.example)
            } else {
                note.to_owned()
            };
            format!("oxinetd calls this {name}{home}: {note}")
        }
        Later(what) => format!("this version does not offer {what}"),
        Nothing(why) => format!("leave it out: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_never_names_a_key_that_would_be_rejected() {
        for (word, meaning) in WORDS {
            if let Is(name, _) = meaning {
                assert!(
                    [Part::Service, Part::Server]
                        .iter()
                        .any(|part| keys::find(name, *part).is_some()),
                    "{word} names {name}"
                );
            }
        }
    }

    #[test]
    fn words_of_other_worlds_are_there_once_and_no_keys_of_ours() {
        let mut seen = std::collections::HashSet::new();
        for (word, _) in WORDS {
            assert!(seen.insert(word), "{word} twice");
            assert!(keys::find(word, Part::Service).is_none(), "{word} is a key");
            assert_eq!(*word, word.to_lowercase());
        }
    }

    #[test]
    fn each_way_to_miss_a_key_has_its_hint() {
        let hints = [
            ("comand", Part::Service, "did you mean command?"),
            (
                "Max-Connections",
                Part::Defaults,
                "did you mean max_connections?",
            ),
            (
                "port",
                Part::Service,
                "oxinetd calls this listen: for example listen = [13, \"udp:127.0.0.1:13\"]",
            ),
            (
                "ExecStart",
                Part::Service,
                "oxinetd calls this command: the program and its arguments are one array",
            ),
            (
                "uid",
                Part::Server,
                "oxinetd calls this user, in [service.NAME]: a number is a user id",
            ),
            (
                "name",
                Part::Service,
                "leave it out: the name is part of the header, [service.NAME]",
            ),
            (
                "BindToDevice",
                Part::Service,
                "oxinetd calls this bind_device: for example bind_device = \"eth0\"",
            ),
            (
                "listen",
                Part::Defaults,
                "listen is a service's own: write it in each [service.NAME]",
            ),
            (
                "log",
                Part::Service,
                "log belongs in [server], in the main file",
            ),
            (
                "colour",
                Part::Server,
                "[server] takes control, include, inetd_conf, log, log_address, log_format, max_connections, max_worker_connections, pid_file or worker_user",
            ),
        ];
        for (name, part, expected) in hints {
            assert_eq!(hint(name, part), expected);
        }
    }
}
