//! The keys in mdoc(7), from their list.

use super::mdoc::{argument, sentences};
use oxinetd::config::keys::{KEYS, Key, Section};

/// Those of `[server]`.
pub(super) fn of_server() -> String {
    list(|key| key.section == Section::Server)
}

/// Those of services, and of `[defaults]`.
pub(super) fn of_services() -> String {
    list(|key| key.section != Section::Server)
}

fn list(is_wanted: impl Fn(&Key) -> bool) -> String {
    let items: String = KEYS.iter().filter(|key| is_wanted(key)).map(item).collect();
    format!(".Bl -tag -width Ds\n{items}.El\n")
}

fn item(key: &Key) -> String {
    let mut out = format!(".It Ic {} No = Ar {}\n", key.name, argument(key.takes));
    out += &sentences(key.help);
    if let Some(where_not) = restriction(key) {
        out += &sentences(where_not);
    }
    out += &format!(".Pp\n{}", sentences(&format!("Default: {}.", key.default)));
    out += &format!(".Dl {}\n", argument(key.example));
    out
}

fn restriction(key: &Key) -> Option<&'static str> {
    match (key.section, key.is_for_programs) {
        (Section::Service, false) => Some("Not in [defaults]."),
        (Section::Service, true) => Some("Not in [defaults]; for services with a command."),
        (Section::ServiceOrDefaults, true) => Some("For services with a command."),
        _ => None,
    }
}
