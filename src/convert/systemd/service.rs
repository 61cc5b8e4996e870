//! `[Service]`: the directives of systemd.service(5) and systemd.exec(5) that matter to a program on
//! a socket.

use super::super::draft::Value;
use super::super::report::Fate;
use super::super::writer::Writer;
use super::unit::{self, Assignment, Unit, is_yes};

pub(super) fn write(w: &mut Writer, service: &Unit, accept: bool) {
    let last = |key: &str| service.last("Service", key).map(|it| it.value.as_str());
    match service.last("Service", "ExecStart") {
        Some(it) => command(w, it),
        None => w.lost(&w.draft.place.clone(), "ExecStart", "there is no program"),
    }
    let is_stdio = last("StandardInput") == Some("socket");
    if !is_stdio {
        w.draft.set("pass", Value::text("listen_fds"));
    }
    if !accept {
        w.draft.set("wait", Value::Flag(true));
    }
    let is_dynamic = last("DynamicUser").is_some_and(is_yes);
    if last("User").is_none() && !is_dynamic {
        w.draft.set("user", Value::text("root"));
        w.kept(
            &w.draft.place.clone(),
            "User",
            "user = root, systemd's default",
        );
    }
    w.draft.set(
        "no_new_privileges",
        Value::Flag(last("NoNewPrivileges").is_some_and(is_yes)),
    );
    let stderr = match last("StandardError").or(last("StandardOutput").filter(|it| *it != "socket"))
    {
        Some("socket") => "client",
        Some("null") => "null",
        Some("journal" | "syslog" | "kmsg") => "log",
        None | Some("inherit") if is_stdio => "client",
        _ => "log",
    };
    w.draft.set("stderr", Value::text(stderr));
    let mut env = Vec::new();
    for it in service.all("Service", "Environment") {
        for word in unit::words(&it.value).unwrap_or_default() {
            if let Some((name, value)) = word.split_once('=') {
                env.push((name.to_owned(), Value::text(value)));
            }
        }
        w.kept(&it.place, "Environment", "env");
    }
    if !env.is_empty() {
        w.draft.set("env", Value::Table(env));
    }
    for it in service
        .assignments
        .iter()
        .filter(|it| it.section == "Service")
    {
        directive(w, it);
    }
}

fn command(w: &mut Writer, it: &Assignment) {
    let text = it.value.trim_start_matches(['-', '!', '+', ':', '|']);
    let (text, has_argv0) = match text.strip_prefix('@') {
        Some(rest) => (rest.trim_start_matches(['-', '!', '+', ':']), true),
        None => (text, false),
    };
    let Some(mut words) = unit::words(text).filter(|words| !words.is_empty()) else {
        return w.lost(
            &it.place,
            "ExecStart",
            "a quote is not closed, or nothing is there",
        );
    };
    if has_argv0 && words.len() > 1 {
        let argv0 = words.remove(1);
        w.draft.set("argv0", Value::text(argv0));
    }
    let is_computed = |word: &String| {
        word.replace("%%", "").contains('%') || word.replace("$$", "").contains('$')
    };
    if let Some(word) = words.iter().find(|word| is_computed(word)) {
        let words = format!(
            "systemd puts something else in the place of {word}: write it out, or read the variables of the connection"
        );
        w.lost(&it.place, "ExecStart", words);
    }
    let mut words: Vec<String> = words
        .iter()
        .map(|word| word.replace("%%", "%").replace("$$", "$"))
        .collect();
    if !words[0].starts_with('/') {
        words[0] = format!("/usr/bin/{}", words[0]);
    }
    w.kept(
        &it.place,
        "ExecStart",
        format!("command = {}", words.join(" ")),
    );
    w.draft.set("command", Value::Array(words));
}

fn directive(w: &mut Writer, it: &Assignment) {
    let (place, key, value) = (it.place.as_str(), it.key.as_str(), it.value.as_str());
    match key {
        _ if value.is_empty() => {}
        "ExecStart" | "Environment" | "IPAddressAllow" | "IPAddressDeny" => {}
        "StandardInput" if value == "socket" => w.kept(place, key, "pass = stdio"),
        "StandardInput" => w.changed(
            place,
            key,
            "pass = listen_fds, and nothing on standard input",
        ),
        "StandardOutput" if matches!(value, "socket" | "inherit") => {
            w.kept(place, key, "as with pass = stdio")
        }
        "StandardOutput" => w.changed(
            place,
            key,
            "standard output is the client with pass = stdio, and the log otherwise",
        ),
        "StandardError" => w.kept(place, key, "see stderr"),
        "User" | "Group" => {
            let name = if key == "User" { "user" } else { "group" };
            w.draft.set(name, Value::name_or_id(value));
            w.kept(place, key, format!("{name} = {value}"));
        }
        "DynamicUser" if is_yes(value) => w.lost(
            place,
            key,
            "users are not made for a run: write a user of its own",
        ),
        "SupplementaryGroups" => w.lost(
            place,
            key,
            format!("write supplementary_groups with the user's own groups and {value}"),
        ),
        "WorkingDirectory" | "RootDirectory" if value.starts_with('/') => {
            let name = if key == "WorkingDirectory" {
                "directory"
            } else {
                "chroot"
            };
            w.draft.set(name, Value::text(value));
            w.kept(place, key, format!("{name} = {value}"));
        }
        "UMask" => match u32::from_str_radix(value, 8).ok().filter(|it| *it <= 0o777) {
            Some(mode) => {
                w.draft.set("umask", Value::text(format!("{mode:03o}")));
                w.kept(place, key, format!("umask = {mode:03o}"));
            }
            None => w.lost(place, key, "not a mode"),
        },
        "Nice" => match value
            .parse::<i64>()
            .ok()
            .filter(|it| (-20..=19).contains(it))
        {
            Some(nice) => {
                w.draft.set("nice", Value::Number(nice));
                w.kept(place, key, format!("nice = {nice}"));
            }
            None => w.lost(place, key, "not a number from -20 to 19"),
        },
        "PassEnvironment" => {
            let names = value.split_whitespace().map(str::to_owned).collect();
            w.draft.set("pass_env", Value::Array(names));
            w.kept(place, key, format!("pass_env = {value}"));
        }
        "NoNewPrivileges" => w.kept(place, key, format!("no_new_privileges = {}", is_yes(value))),
        "RuntimeMaxSec" => seconds(w, it),
        "KillMode" | "TimeoutStopSec" | "SendSIGHUP" | "CollectMode" | "Type"
        | "RemainAfterExit" | "Restart" => {
            w.dropped(
                place,
                key,
                "a program is left alone until its connection ends",
            );
        }
        "EnvironmentFile" => w.lost(place, key, format!("write the variables of {value} as env")),
        "ExecStartPre" | "ExecStartPost" | "ExecStopPost" | "ExecStop" | "ExecReload"
        | "ExecCondition" => {
            w.lost(
                place,
                key,
                "only the program itself is run: let it do this, or a script that runs both",
            );
        }
        key if key.starts_with("Limit") => limit(w, it),
        key if is_sandbox(key) => {
            w.note(
                place,
                key,
                Fate::Dropped,
                "the sandbox is not there: the program can do more than before",
            );
        }
        _ => w.dropped(place, key, "there is nothing like it here"),
    }
}

/// A protection of systemd.exec(5).
fn is_sandbox(key: &str) -> bool {
    [
        "Private",
        "Protect",
        "Restrict",
        "SystemCall",
        "Capability",
        "Memory",
        "ReadOnly",
        "ReadWrite",
        "Inaccessible",
        "Tasks",
        "CPU",
        "Device",
        "Lock",
        "Bind",
        "Temporary",
    ]
    .iter()
    .any(|prefix| key.starts_with(prefix))
}

fn seconds(w: &mut Writer, it: &Assignment) {
    let plain = it.value.trim_end_matches('s');
    match plain.parse::<u32>() {
        Ok(0) | Err(_) if it.value != "infinity" => {
            w.lost(&it.place, &it.key, "write it as max_lifetime")
        }
        Ok(seconds) => {
            w.draft
                .set("max_lifetime", Value::text(format!("{seconds}s")));
            w.kept(&it.place, &it.key, format!("max_lifetime = {seconds}s"));
        }
        Err(_) => w.kept(&it.place, &it.key, "no limit, as where nothing is written"),
    }
}

fn limit(w: &mut Writer, it: &Assignment) {
    const NAMES: [(&str, &str); 9] = [
        ("LimitAS", "as"),
        ("LimitCORE", "core"),
        ("LimitCPU", "cpu"),
        ("LimitDATA", "data"),
        ("LimitFSIZE", "fsize"),
        ("LimitMEMLOCK", "memlock"),
        ("LimitNOFILE", "nofile"),
        ("LimitNPROC", "nproc"),
        ("LimitSTACK", "stack"),
    ];
    let Some((_, name)) = NAMES.iter().find(|(key, _)| *key == it.key) else {
        return w.dropped(&it.place, &it.key, "there is no such limit here");
    };
    let one = |text: &str| match text {
        "infinity" => Some(Value::text("unlimited")),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().map(Value::Number)
        }
        text if text.ends_with(['K', 'M', 'G', 'T']) => Some(Value::text(text)),
        _ => None,
    };
    // Soft and hard: the hard one alone would be laxer, the soft one alone stricter.
    let first = it.value.split(':').next().unwrap_or_default();
    match one(first) {
        Some(value) => {
            let mut limits = match w.draft.get("limits") {
                Some(Value::Table(limits)) => limits.clone(),
                _ => Vec::new(),
            };
            limits.retain(|(known, _)| known != name);
            limits.push(((*name).to_owned(), value));
            w.draft.set("limits", Value::Table(limits));
            let fate = if it.value.contains(':') {
                Fate::Changed
            } else {
                Fate::Kept
            };
            w.note(
                &it.place,
                &it.key,
                fate,
                format!("limits.{name} = {first}, soft and hard"),
            );
        }
        None => w.lost(&it.place, &it.key, "write it as limits"),
    }
}
