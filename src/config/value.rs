//! Values that are written as text: choices, paths, modes, sizes, durations, names of variables.

use super::listen::LONGEST_UNIX;
use super::mistake::{Located, Mistake, Mistakes};
use super::reader::Node;
use super::words::{one_of, quoted, similar};
use crate::table::{Builtin, Control, LogAddress, LogFormat, LogSink, Pass, Stderr, WhenFull};

type Text = Located<String>;

/// A user or group: text is a name, a number is an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum NameOrId {
    Name(String),
    Id(u32),
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &Text, choices: &[(&'static str, T)]) -> Result<T, Mistake> {
    let found = choices.iter().find(|(word, _)| *word == text.value);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| not_one_of(text, choices.iter().map(|(word, _)| *word)))
}

fn not_one_of(text: &Text, words: impl Iterator<Item = &'static str> + Clone) -> Mistake {
    let shown: Vec<String> = words.clone().map(|word| format!("\"{word}\"")).collect();
    let mistake =
        Mistake::new(format!("{} is not known here", quoted(&text.value))).at(&text.place);
    let all = one_of(shown.iter().map(String::as_str));
    mistake.help(match similar(&text.value, words) {
        Some(word) => format!("did you mean \"{word}\"? It is one of {all}"),
        None => format!("write {all}"),
    })
}

pub(super) fn builtin(text: &Text) -> Result<Located<Builtin>, Mistakes> {
    let value = choice(
        text,
        &[
            ("echo", Builtin::Echo),
            ("discard", Builtin::Discard),
            ("chargen", Builtin::Chargen),
            ("daytime", Builtin::Daytime),
            ("time", Builtin::Time),
        ],
    )?;
    Ok(Located::new(value, text.place.clone()))
}

pub(super) fn pass(text: &Text) -> Result<Located<Pass>, Mistakes> {
    let value = choice(
        text,
        &[("stdio", Pass::Stdio), ("listen_fds", Pass::ListenFds)],
    )?;
    Ok(Located::new(value, text.place.clone()))
}

pub(super) fn when_full(text: &Text) -> Result<WhenFull, Mistakes> {
    Ok(choice(
        text,
        &[("queue", WhenFull::Queue), ("refuse", WhenFull::Refuse)],
    )?)
}

pub(super) fn log_format(text: &Text) -> Result<LogFormat, Mistakes> {
    Ok(choice(
        text,
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    )?)
}

pub(super) fn log_address(text: &Text) -> Result<LogAddress, Mistakes> {
    let choices = [
        ("full", LogAddress::Full),
        ("prefix", LogAddress::Prefix),
        ("none", LogAddress::None),
    ];
    Ok(choice(text, &choices)?)
}

/// Where commands reach the server.
pub(super) fn control(text: &Text) -> Result<Control, Mistakes> {
    if text.value == "none" {
        return Ok(Control::Off);
    }
    let (value, shown) = (text.value.as_str(), quoted(&text.value));
    let (message, help) = match () {
        () if value.starts_with("unix:") || value.starts_with('@') => (
            format!("{shown} is not a path"),
            "write the path of the socket alone, \"/run/oxinetd/control\"",
        ),
        () if !value.starts_with('/') => (
            format!("{shown} is not an absolute path"),
            "write the whole path, beginning with /, or \"none\" for no control socket",
        ),
        () if value.ends_with('/') => (
            format!("{shown} is a directory"),
            "the socket needs a name in it, \"/run/oxinetd/control\"",
        ),
        () if value.len() > LONGEST_UNIX => (
            format!(
                "the path of a socket has at most {LONGEST_UNIX} bytes, this one {}",
                value.len()
            ),
            "the kernel's limit, see unix(7): choose a shorter one",
        ),
        () => return Ok(Control::At(without_nul(text)?.value)),
    };
    Err(Mistake::new(message).at(&text.place).help(help).into())
}

pub(super) fn log_sink(text: &Text) -> Result<LogSink, Mistakes> {
    let words = ["stderr", "syslog", "file:/PATH"];
    Ok(match (file(text)?, text.value.as_str()) {
        (Some(path), _) => LogSink::File(path),
        (None, "stderr") => LogSink::Stderr,
        (None, "syslog") => LogSink::Syslog,
        _ => return Err(not_one_of(text, words.into_iter()).into()),
    })
}

pub(super) fn stderr(text: &Text) -> Result<Located<Stderr>, Mistakes> {
    let value = match (file(text)?, text.value.as_str()) {
        (Some(path), _) => Stderr::File(path),
        (None, "client") => Stderr::Client,
        (None, "log") => Stderr::Log,
        (None, "null") => Stderr::Null,
        _ => {
            return Err(
                not_one_of(text, ["client", "log", "null", "file:/PATH"].into_iter()).into(),
            );
        }
    };
    Ok(Located::new(value, text.place.clone()))
}

/// The path of `file:/PATH`.
fn file(text: &Text) -> Result<Option<String>, Mistakes> {
    if text.value.starts_with('/') {
        let mistake = Mistake::new("a file is written with the prefix file:").at(&text.place);
        return Err(mistake
            .help(format!("write {}", quoted(&format!("file:{}", text.value))))
            .into());
    }
    let Some(path) = text.value.strip_prefix("file:") else {
        return Ok(None);
    };
    absolute_path(&Located::new(path.to_owned(), text.place.clone())).map(|path| Some(path.value))
}

/// A path that begins with `/` and can be given to the kernel.
pub(super) fn absolute_path(text: &Text) -> Result<Text, Mistakes> {
    let shown = quoted(&text.value);
    if !text.value.starts_with('/') {
        let mistake = Mistake::new(format!("{shown} is not an absolute path")).at(&text.place);
        return Err(mistake
            .help("write the whole path, beginning with /")
            .into());
    }
    if text.value.len() >= libc::PATH_MAX as usize {
        let message = format!("this path is longer than {} bytes", libc::PATH_MAX - 1);
        return Err(Mistake::new(message).at(&text.place).into());
    }
    without_nul(text)
}

/// Text that the kernel takes: it would end at a zero byte.
pub(super) fn without_nul(text: &Text) -> Result<Text, Mistakes> {
    match text.value.contains('\0') {
        false => Ok(text.clone()),
        true => Err(
            Mistake::new("a zero byte cannot be passed to a program or to the system")
                .at(&text.place)
                .help("take \\u0000 out")
                .into(),
        ),
    }
}

/// Permission bits in octal.
pub(super) fn mode(text: &Text) -> Result<u32, Mistakes> {
    let digits = text.value.bytes().all(|byte| byte.is_ascii_digit()) && text.value.len() <= 4;
    let value = u32::from_str_radix(&text.value, 8)
        .ok()
        .filter(|mode| digits && *mode <= 0o777);
    value.ok_or_else(|| {
        Mistake::new(format!("{} is not a permission mask", quoted(&text.value)))
            .at(&text.place)
            .help("write octal digits from \"000\" to \"777\"")
            .into()
    })
}

/// The name of an environment variable that the administrator may set.
pub(super) fn variable(name: &Text) -> Result<Text, Mistakes> {
    let wrong =
        |message: String, help: &str| Err(Mistake::new(message).at(&name.place).help(help).into());
    let shown = quoted(&name.value);
    if name.value.is_empty() || name.value.contains(['=', '\0']) {
        return wrong(
            format!("{shown} cannot be the name of a variable"),
            "a name is not empty and has neither = nor a zero byte",
        );
    }
    if is_set_by_us(&name.value) {
        return wrong(
            format!("{shown} is set by oxinetd, to tell the program of its connection"),
            "take another name; PROTO, TCP…, UDP…, UNIX…, REMOTE_…, LISTEN_… and OXINETD_… are reserved",
        );
    }
    Ok(name.clone())
}

fn is_set_by_us(name: &str) -> bool {
    const PREFIXES: [&str; 6] = ["TCP", "UDP", "UNIX", "REMOTE_", "LISTEN_", "OXINETD_"];
    name == "PROTO" || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Bytes: `"4096"`, `"64K"`, `"1G"`, in powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, unit) = split_number(text)?;
    let shift = match unit {
        "" => 0,
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.checked_mul(1 << shift)
}

/// Seconds: `"30s"`, `"5m"`, `"1h30m"`.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit = match after.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return None,
        };
        // Units go down, each once: 1h30m, not 30m1h.
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &after[1..];
    }
    (last_unit != u64::MAX).then_some(total)
}

/// A duration from one second to `most` seconds that is a key's value.
pub(super) fn duration(node: &Node, most: u64) -> Result<u64, Mistakes> {
    if node.as_integer().is_none() {
        // A value of another type is told what the key takes.
        node.string()?;
    }
    member_duration(node.key_name(), node, most)
}

/// The same within a key's value.
pub(super) fn member_duration(name: &str, node: &Node, most: u64) -> Result<u64, Mistakes> {
    let text = node.string().map(|text| text.value).ok();
    let value = text.as_deref().and_then(seconds);
    let is_right = |value: &u64| (1..=most).contains(value);
    value.filter(is_right).ok_or_else(|| {
        let range = format!(
            "{name} takes a duration from \"1s\" to \"{}\"",
            shown_seconds(most)
        );
        let help = match node.as_integer() {
            Some(number) => format!("write the unit too: \"{number}s\" or \"{number}m\""),
            None => "a duration is \"30s\", \"5m\", \"1h30m\" or \"2d\"".to_owned(),
        };
        Mistake::new(range).at(&node.place()).help(help).into()
    })
}

/// Seconds in the largest unit that fits.
fn shown_seconds(seconds: u64) -> String {
    let units = [("d", 86400), ("h", 3600), ("m", 60)];
    let unit = units.iter().find(|(_, length)| seconds % length == 0);
    unit.map_or(format!("{seconds}s"), |(name, length)| {
        format!("{}{name}", seconds / length)
    })
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// The rule that [`is_service_name`] checks, in words.
pub(super) const NAME_RULE: &str =
    "a name has up to 64 of a-z, A-Z, 0-9, dot, - and _, and does not begin with . or -";

/// Whether a service may be called this.
pub(super) fn is_service_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mistake::Place;

    fn text(value: &str) -> Text {
        Located::new(value.to_owned(), Place::Nowhere)
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let sizes = [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65_536),
            ("1G", 1_073_741_824),
            ("16777215T", 18446742974197923840),
        ];
        for (written, bytes) in sizes {
            assert_eq!(size(written), Some(bytes), "{written}");
        }
        for wrong in [
            "",
            "K",
            "1.5G",
            "-1",
            "1 K",
            "1KB",
            "16777216T",
            "99999999999999999999",
            "1é",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_add_up() {
        for (written, expected) in [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86400)] {
            assert_eq!(seconds(written), Some(expected), "{written}");
        }
        for wrong in [
            "",
            "30",
            "s",
            "1m1m",
            "30m1h",
            "1.5h",
            "-1s",
            "10 s",
            "1é",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn masks_are_octal_digits() {
        assert_eq!(mode(&text("022")).unwrap(), 0o22);
        assert_eq!(mode(&text("0777")).unwrap(), 0o777);
        for wrong in ["", "8", "1777", "0o22", "+22", "-1", "00022"] {
            assert!(mode(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn standard_error_goes_to_a_word_or_a_file() {
        assert_eq!(stderr(&text("log")).unwrap().value, Stderr::Log);
        assert_eq!(
            stderr(&text("file:/x")).unwrap().value,
            Stderr::File("/x".into())
        );
        for wrong in ["", "logs", "file:", "file:x", "/x", "file:/x\0y"] {
            assert!(stderr(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_that_describe_the_connection_are_ours() {
        for ours in [
            "PROTO",
            "TCPREMOTEIP",
            "UDPLOCALIP",
            "UNIXREMOTEEUID",
            "REMOTE_ADDR",
            "LISTEN_FDS",
            "OXINETD_SERVICE",
        ] {
            assert!(variable(&text(ours)).is_err(), "{ours}");
        }
        for theirs in ["PROTOCOL", "REMOTE", "TZ", "TERM", "a b"] {
            assert!(variable(&text(theirs)).is_ok(), "{theirs}");
        }
    }

    #[test]
    fn service_names_are_short_and_plain() {
        let longest = "a".repeat(64);
        for right in ["a", "git-daemon", "a.b_c", "9", longest.as_str()] {
            assert!(is_service_name(right), "{right}");
        }
        let too_long = "a".repeat(65);
        for wrong in ["", "-a", ".a", "a b", "ä", "a/b", too_long.as_str()] {
            assert!(!is_service_name(wrong), "{wrong}");
        }
    }
}
