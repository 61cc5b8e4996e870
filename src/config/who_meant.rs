//! What was probably meant by an entry of `allow`, `deny` or `exempt` that is none.

use super::mistake::Mistake;
use super::who::{masked, most_bits, parse};
use super::words::quoted;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FORMS: &str = "write an address, \"192.0.2.1\", a prefix, \"192.0.2.0/24\" or \"2001:db8::/32\", \
                     a user over Unix sockets, \"uid:1000\" or \"unix\" for all, or \"@/FILE\" with a list of these";

/// Says what is wrong with an entry, and what to write.
pub(super) fn explain(text: &str) -> Mistake {
    let guesses = [
        word, separated, user, file, negated, scope, port, pattern, prefix, range, number, name,
    ];
    guesses
        .iter()
        .find_map(|guess| guess(text))
        .unwrap_or_else(|| Mistake::new(format!("{} is not an address", quoted(text))).help(FORMS))
}

/// The entries that a mistake asks to be written as an array, for places that have none.
pub(super) fn several(mistake: &Mistake) -> Option<Vec<&str>> {
    let list = mistake
        .advice()?
        .strip_prefix("write [")?
        .strip_suffix(']')?;
    Some(
        list.split(", ")
            .map(|entry| entry.trim_matches('"'))
            .collect(),
    )
}

/// Words that stand for many clients elsewhere.
fn word(text: &str) -> Option<Mistake> {
    let shown = quoted(text);
    let wrong = |help: &str| Some(Mistake::new(format!("{shown} is not known here")).help(help));
    match text.to_ascii_lowercase().as_str() {
        "" => Some(Mistake::new("this entry is empty").help(FORMS)),
        "all" | "any" | "*" | "everyone" | "default" => {
            wrong("everybody is \"0.0.0.0/0\" and \"::/0\", and \"unix\" over Unix sockets")
        }
        "local" | "known" | "unknown" | "paranoid" | "except" => wrong(
            "this word goes by names of hosts, which can be forged: write addresses or prefixes",
        ),
        "localhost" => Some(
            Mistake::new("\"localhost\" is a name, and only addresses are compared")
                .help("write [\"127.0.0.0/8\", \"::1\"]"),
        ),
        _ => None,
    }
}

/// Several in one string.
fn separated(text: &str) -> Option<Mistake> {
    let is_space = |c: char| c == ',' || c.is_whitespace();
    let parts: Vec<&str> = text
        .split(is_space)
        .filter(|part| !part.is_empty())
        .collect();
    if !text.contains(is_space) {
        return None;
    }
    let mistake = Mistake::new("an entry is one address or prefix, without spaces and commas");
    let shown: Vec<String> = parts.iter().copied().map(quoted).collect();
    let are_right = !parts.is_empty() && parts.iter().all(|part| parse(part).is_some());
    Some(match (are_right, shown.as_slice()) {
        (true, [one]) => mistake.help(format!("write {one}")),
        (true, several) => mistake.help(format!("write [{}]", several.join(", "))),
        (false, _) => mistake.help(FORMS),
    })
}

fn user(text: &str) -> Option<Mistake> {
    let (kind, name) = text.split_once(':')?;
    match kind.to_ascii_lowercase().as_str() {
        "uid" | "user" => {}
        "gid" | "group" => {
            let message = "a client over a Unix socket is known by its user id only";
            return Some(Mistake::new(message).help("write \"uid:NUMBER\" for each user"));
        }
        "unix" => {
            let mistake = Mistake::new(format!("{} is not a client", quoted(text)));
            return Some(
                mistake.help("write \"unix\" for every user over Unix sockets, or \"uid:1000\""),
            );
        }
        _ => return None,
    }
    let mistake = Mistake::new(format!("{} is not a user id", quoted(name)));
    Some(mistake.help(match name.parse::<u32>() {
        Ok(uid) if uid < u32::MAX => format!("write \"uid:{uid}\""),
        Ok(_) => format!("an id is a number from 0 to {}", u32::MAX - 1),
        Err(_) => "write the number, \"uid:1000\"; `id -u NAME` tells it".to_owned(),
    }))
}

fn file(text: &str) -> Option<Mistake> {
    let path = text.strip_prefix("file:").unwrap_or(text);
    path.starts_with('/').then(|| {
        let mistake = Mistake::new(format!("{} is not an address", quoted(text)));
        mistake.help(format!(
            "for the entries in a file write {}",
            quoted(&format!("@{path}"))
        ))
    })
}

fn negated(text: &str) -> Option<Mistake> {
    let rest = text.strip_prefix(['!', '-'])?;
    parse(rest)?;
    let mistake = Mistake::new(format!("{} is not an address", quoted(text)));
    Some(mistake.help(format!("for an exception write {} in deny", quoted(rest))))
}

fn scope(text: &str) -> Option<Mistake> {
    let (address, _) = text.split_once('%')?;
    address.trim_start_matches('[').parse::<Ipv6Addr>().ok()?;
    let address = address.trim_start_matches('[');
    let mistake = Mistake::new("an entry holds on every interface, so it names none");
    Some(mistake.help(format!("write \"{address}\"")))
}

fn port(text: &str) -> Option<Mistake> {
    let (address, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => text
            .split_once(':')
            .filter(|(_, port)| !port.contains(':'))?,
    };
    parse(address)?;
    let mistake = Mistake::new(match rest.is_empty() {
        true => "brackets are for addresses with a port",
        false => "a client's port means nothing, and the service's is in listen",
    });
    let bits = rest
        .strip_prefix('/')
        .map(|bits| format!("{address}/{bits}"));
    let form = bits.filter(|form| parse(form).is_some());
    Some(mistake.help(format!("write \"{}\"", form.as_deref().unwrap_or(address))))
}

/// `192.168.*`, `192.168.`, `192.168/16`: the part of an address that matters.
fn pattern(text: &str) -> Option<Mistake> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let has_stars = address.contains('*');
    let stem = address.trim_end_matches(['*', '.']);
    let is_open = has_stars || address.ends_with('.') || bits.is_some();
    let octets: Vec<u8> = stem
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    if !is_open || octets.len() > 3 {
        return None;
    }
    let mut full = [0; 4];
    full[..octets.len()].copy_from_slice(&octets);
    let bits = bits.map_or_else(|| (octets.len() * 8).to_string(), str::to_owned);
    let form = format!("{}/{bits}", Ipv4Addr::from(full));
    parse(&form)?;
    let mistake = Mistake::new(match has_stars {
        true => "an entry has no wildcards: a network is written as a prefix",
        false => "an IPv4 address has four numbers",
    });
    Some(mistake.help(format!("write \"{form}\"")))
}

/// A netmask, a length that does not fit, or bits behind the prefix.
fn prefix(text: &str) -> Option<Mistake> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = most_bits(address);
    if let (IpAddr::V4(_), Ok(mask)) = (address, bits.parse::<Ipv4Addr>()) {
        return Some(netmask(address, mask));
    }
    let plain: Option<u8> = bits.parse().ok().filter(|bits| *bits <= most);
    let Some(length) = plain else {
        let message = format!("{} is not the length of a prefix", quoted(bits));
        let help = format!("it is a number from 0 to {most}, the bits that clients have in common");
        return Some(Mistake::new(message).help(help));
    };
    let network = masked(address, length);
    let form = format!("{network}/{length}");
    Some(match network == address {
        true => Mistake::new(format!("{} is not the length of a prefix", quoted(bits)))
            .help(format!("write \"{form}\"")),
        false => {
            let message = format!("{address} has bits beyond the first {length}");
            Mistake::new(message).help(format!(
                "write \"{form}\" for the network, or \"{address}\" for the address alone"
            ))
        }
    })
}

fn netmask(address: IpAddr, mask: Ipv4Addr) -> Mistake {
    let mask = mask.to_bits();
    let length = mask.leading_ones() as u8;
    match mask.count_ones() == u32::from(length) {
        true => Mistake::new("a network is written with the length of its prefix")
            .help(format!("write \"{}/{length}\"", masked(address, length))),
        false => Mistake::new(format!("{} is not a netmask", Ipv4Addr::from(mask))).help(FORMS),
    }
}

/// `192.0.2.1-192.0.2.9`.
fn range(text: &str) -> Option<Mistake> {
    let (first, _) = text.split_once('-')?;
    first.parse::<IpAddr>().ok()?;
    let mistake = Mistake::new("an entry is a prefix, not a range");
    Some(
        mistake
            .help("write the prefixes that make it up, for example \"192.0.2.0/29\" for .0 to .7"),
    )
}

/// What some programs would read as an address.
fn number(text: &str) -> Option<Mistake> {
    let is_v6 = text.contains(':')
        && text
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b":./".contains(&b));
    let last = text
        .split('/')
        .next()?
        .trim_end_matches('.')
        .rsplit('.')
        .next()?;
    let is_v4 = last.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"./xX".contains(&b));
    let (family, help) = match (is_v6, is_v4) {
        (true, _) => (
            "IPv6",
            "it has eight groups of up to four hexadecimal digits, or :: once for zeros",
        ),
        (_, true) => (
            "IPv4",
            "it has four decimal numbers from 0 to 255, without leading zeros",
        ),
        _ => return None,
    };
    Some(Mistake::new(format!("{} is not an {family} address", quoted(text))).help(help))
}

fn name(text: &str) -> Option<Mistake> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
    text.bytes().all(allowed).then(|| {
        let message = format!("{} is a name, and only addresses are compared", quoted(text));
        Mistake::new(message).help(match text.starts_with(['.', '*']) {
            true => "a name can change and be forged: write the network's prefix, \"192.0.2.0/24\"".to_owned(),
            false => "a name can change and be forged: write addresses; `getent ahosts NAME` shows those it has now".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn advice(text: &str) -> String {
        explain(text).advice().unwrap_or_default().to_owned()
    }

    #[test]
    fn forms_of_other_worlds_are_told_apart() {
        let known = [
            ("10.0.0.0/255.0.0.0", "write \"10.0.0.0/8\""),
            ("10.1.2.3/255.255.0.0", "write \"10.1.0.0/16\""),
            ("192.168.*", "write \"192.168.0.0/16\""),
            ("192.168.*.*", "write \"192.168.0.0/16\""),
            ("192.168.", "write \"192.168.0.0/16\""),
            ("10/8", "write \"10.0.0.0/8\""),
            ("192.0.2.1:80", "write \"192.0.2.1\""),
            ("[::1]:80", "write \"::1\""),
            ("[2001:db8::]/32", "write \"2001:db8::/32\""),
            ("fe80::1%eth0", "write \"fe80::1\""),
            (
                "192.0.2.1, 192.0.2.2",
                "write [\"192.0.2.1\", \"192.0.2.2\"]",
            ),
            (" 192.0.2.1", "write \"192.0.2.1\""),
            ("localhost", "write [\"127.0.0.0/8\", \"::1\"]"),
            ("192.0.2.0/024", "write \"192.0.2.0/24\""),
            (
                "/etc/friends",
                "for the entries in a file write \"@/etc/friends\"",
            ),
            ("!192.0.2.1", "for an exception write \"192.0.2.1\" in deny"),
            ("uid:0100", "write \"uid:100\""),
        ];
        for (text, expected) in known {
            assert_eq!(advice(text), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_proposed_is_right(text in "[!\\[]?[0-9]{1,3}(\\.([0-9]{1,3}|\\*)){0,3}[\\]]?(/[0-9.]{1,4}|:80|%lo)?") {
            if parse(&text).is_none() {
                let advice = advice(&text);
                prop_assert!(!advice.is_empty());
                if let Some(form) = advice.strip_prefix("write \"").and_then(|rest| rest.strip_suffix('"')) {
                    prop_assert!(parse(form).is_some(), "{text}: {advice}");
                }
            }
        }
    }
}
