//! `listen = "systemd:NAME"`: the sockets of that name, in place of the name.
//!
//! Only the server knows what it was handed. For others (a check by hand) such an element stands for no
//! socket, and is right.

use super::document::ServiceEntry;
use super::host::Host;
use super::listen::{Target, Wanted};
use super::mistake::{Located, Mistake};
use super::words::quoted;
use crate::sys::handed::Facts;

/// Puts the sockets in; returns a mistake for each name that stands for none.
pub(super) fn put_in(services: &mut [ServiceEntry], host: &Host) -> Vec<Mistake> {
    let Some(handed) = &host.handed else {
        return Vec::new();
    };
    let mut mistakes = Vec::new();
    for service in services {
        if let Some(elements) = &mut service.entry.listen {
            let written = std::mem::take(elements);
            for element in written {
                elements.extend(meant(element, handed, &mut mistakes));
            }
        }
    }
    mistakes
}

fn meant(
    element: Located<Wanted>,
    handed: &[Facts],
    mistakes: &mut Vec<Mistake>,
) -> Vec<Located<Wanted>> {
    let Target::Handed(name, _) = &element.value.target else {
        return vec![element];
    };
    let found: Vec<Located<Wanted>> = handed
        .iter()
        .filter(|facts| facts.name == *name)
        .map(|facts| {
            let wanted = Wanted {
                transport: facts.transport,
                target: Target::Handed(name.clone(), Some(facts.address.clone())),
            };
            Located::new(wanted, element.place.clone())
        })
        .collect();
    if found.is_empty() {
        mistakes.push(missing(name, handed).at(&element.place));
    }
    found
}

fn missing(name: &str, handed: &[Facts]) -> Mistake {
    let names: Vec<String> = handed.iter().map(|facts| quoted(&facts.name)).collect();
    let has = match names.is_empty() {
        true => "none at all".to_owned(),
        false => format!("only {}", names.join(", ")),
    };
    Mistake::new(format!(
        "systemd has handed over no socket called {}, {has}",
        quoted(name)
    ))
    .help(
        "a .socket unit with Service=oxinetd.service hands over sockets under its own name, or that of \
         FileDescriptorName=, when the server is started: systemctl enable --now NAME.socket, then systemctl \
         restart oxinetd",
    )
}
