//! `hosts.allow` and `hosts.deny`, see hosts_access(5) and hosts_options(5): who gets in to a daemon.
//!
//! The first line that fits a client decides, in hosts.allow and then in hosts.deny; where none
//! does it gets in. So the clients that a line decides about are those that none before it has.
//! Patterns of names cannot be kept: oxinetd never asks for a client's name.
//!
//! Without the files nobody knows whom they refuse: an error for a service that asked them.

use super::Input;
use super::report::Fate;
use super::sets::Set;
use super::shell::continued;
use super::writer::{Output, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Both files. One that is not there is empty: it has no rules.
#[derive(Debug, Default)]
pub struct Hosts {
    /// `hosts.allow`.
    pub allow: Input,
    /// `hosts.deny`.
    pub deny: Input,
    /// Whether somebody has asked for them to be converted. Those of the machine hold for what asked
    /// them by itself; where tcpd does, it goes on.
    pub are_named: bool,
}

/// Who gets in, or why that cannot be said in addresses.
pub(super) type Judged = Result<Set, Vec<String>>;

impl Hosts {
    /// Who gets in to the daemon.
    pub(super) fn judge(&self, daemon: &str) -> Judged {
        let (mut undecided, mut allowed, mut lost) = (Set::everybody(), Set::default(), Vec::new());
        for (file, allows) in [(&self.allow, true), (&self.deny, false)] {
            for rule in rules(file) {
                match rule.clients(daemon) {
                    Ok(None) => {}
                    Ok(Some(set)) => {
                        let decided = undecided.intersection(&set);
                        if rule.verdict.unwrap_or(allows) {
                            allowed = allowed.union(&decided);
                        }
                        undecided = undecided.without(&set);
                    }
                    Err(reason) => lost.push(format!("{}: {reason}", rule.place)),
                }
            }
        }
        match lost.is_empty() {
            true => Ok(allowed.union(&undecided)),
            false => Err(lost),
        }
    }
}

/// Whom a service refused whose superserver asked both files itself, about this daemon. The service
/// is off where that cannot be said.
pub(super) fn refused(w: &mut Writer, hosts: Option<&Hosts>, daemon: &str, place: &str) -> Set {
    let knob = knob(daemon);
    let Some(hosts) = hosts else {
        let words = "they are not known: name them with --hosts-allow and --hosts-deny (/dev/null where there were none)";
        w.lost(place, &knob, words);
        return Set::default();
    };
    w.asked_hosts = true;
    match hosts.judge(daemon) {
        Ok(allowed) => allowed.complement(),
        Err(lost) => {
            for reason in lost {
                w.lost(place, &knob, format!("{reason}{}", instead(w)));
            }
            Set::default()
        }
    }
}

/// Says, once, that what was asked at each connection is a copy now.
pub(super) fn remark(hosts: Option<&Hosts>, output: &mut Output) {
    let Some(hosts) = hosts.filter(|_| output.asked_hosts) else {
        return;
    };
    let has_rules = [&hosts.allow, &hosts.deny]
        .iter()
        .any(|file| !rules(file).is_empty());
    let (fate, words) = match has_rules {
        true => (
            Fate::Changed,
            "read once: what changes there later has to be written in allow and deny",
        ),
        false => (Fate::Kept, "there is no rule in them"),
    };
    let names = format!("{} and {}", hosts.allow.name, hosts.deny.name);
    output.note(&names, "tcp_wrappers", fate, words);
}

/// Whether a program asks both files itself, about the program that its own name says.
pub(super) fn is_tcpd(path: &str) -> bool {
    base(path) == "tcpd"
}

/// The name of a program without its folder.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What the report calls both files.
pub(super) fn knob(daemon: &str) -> String {
    format!("hosts.allow and hosts.deny for {daemon}")
}

/// What can do what `allow` and `deny` cannot.
fn instead(w: &Writer) -> &'static str {
    match w.draft.has_program() && !w.waits() {
        true => ": write addresses, or let tcpd ask (see examples/tcpd.toml)",
        false => ": write addresses",
    }
}

/// A line.
struct Rule {
    place: String,
    daemons: Vec<String>,
    clients: Vec<String>,
    /// What the options `allow` and `deny` say.
    verdict: Option<bool>,
    /// An option that does something else with a client.
    other: Option<String>,
}

fn rules(input: &Input) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (line, number) in continued(input.text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        rules.push(rule(&line, format!("{}:{number}", input.name)));
    }
    rules
}

fn rule(line: &str, place: String) -> Rule {
    let mut fields = fields(line).into_iter();
    let list = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        let words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (daemons, clients) = (list(fields.next()), list(fields.next()));
    let (mut verdict, mut other) = (None, None);
    for option in fields {
        let option = option.trim();
        let word = option.split([' ', '\t', '=']).next().unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            "allow" => verdict = Some(true),
            "deny" => verdict = Some(false),
            "" | "severity" | "keepalive" | "linger" => {}
            _ => other = Some(option.to_owned()),
        }
    }
    Rule {
        place,
        daemons,
        clients,
        verdict,
        other,
    }
}

/// The parts between colons, those in brackets and behind backslashes not counted.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut depth, mut escaped) = (vec![String::new()], 0u32, false);
    for c in line.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !escaped => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(field) = fields.last_mut().filter(|_| !escaped) {
            field.push(c);
        }
    }
    fields
}

impl Rule {
    /// The clients that the line means, if it is about the daemon.
    fn clients(&self, daemon: &str) -> Result<Option<Set>, String> {
        if !matches_daemon(&self.daemons, daemon)? {
            return Ok(None);
        }
        let set = clients(&self.clients)?;
        match &self.other {
            Some(option) => Err(format!("nothing here does {option:?}")),
            None => Ok(Some(set)),
        }
    }
}

fn is_except(word: &str) -> bool {
    word.eq_ignore_ascii_case("EXCEPT")
}

/// `A EXCEPT B EXCEPT C` is A but not (B but not C).
fn matches_daemon(words: &[String], daemon: &str) -> Result<bool, String> {
    let end = words
        .iter()
        .position(|word| is_except(word))
        .unwrap_or(words.len());
    let mut found = false;
    for word in &words[..end] {
        if word.contains(['@', '*', '?']) {
            return Err(format!("{word:?} may mean this service or not"));
        }
        found |= word.eq_ignore_ascii_case("ALL") || word == daemon;
    }
    match words.get(end + 1..) {
        Some(rest) if found => Ok(!matches_daemon(rest, daemon)?),
        _ => Ok(found),
    }
}

fn clients(words: &[String]) -> Result<Set, String> {
    let end = words
        .iter()
        .position(|word| is_except(word))
        .unwrap_or(words.len());
    let mut set = Set::default();
    for word in &words[..end] {
        set = set.union(&client(word)?);
    }
    match words.get(end + 1..) {
        Some(rest) => Ok(set.without(&clients(rest)?)),
        None => Ok(set),
    }
}

fn client(word: &str) -> Result<Set, String> {
    if word.eq_ignore_ascii_case("ALL") {
        return Ok(Set::everybody());
    }
    if word == "localhost" {
        let v4 = Set::prefix(Ipv4Addr::LOCALHOST.into(), 32);
        return Ok(v4.union(&Set::prefix(Ipv6Addr::LOCALHOST.into(), 128)));
    }
    let by_name = || Err(format!("{word:?} is not about addresses"));
    if let Some(inside) = word.strip_prefix('[') {
        let Some((address, rest)) = inside.split_once(']') else {
            return by_name();
        };
        let bits = rest
            .strip_prefix('/')
            .map_or(Some(128), |bits| bits.parse().ok());
        return match (address.parse::<Ipv6Addr>(), bits) {
            (Ok(address), Some(bits)) => prefix(word, address.into(), bits),
            _ => by_name(),
        };
    }
    if let Some((address, mask)) = word.split_once('/') {
        let (Ok(address), Some(bits)) = (address.parse::<Ipv4Addr>(), bits_of(mask)) else {
            return by_name();
        };
        return prefix(word, address.into(), bits);
    }
    if let Ok(address) = word.parse::<Ipv4Addr>() {
        return prefix(word, address.into(), 32);
    }
    match dotted_prefix(word) {
        Some((address, bits)) => Ok(Set::prefix(address.into(), bits)),
        None => by_name(),
    }
}

/// Address bits beyond the mask make a pattern that no client fits: nobody has meant that.
fn prefix(word: &str, address: IpAddr, bits: u8) -> Result<Set, String> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits > most {
        return Err(format!("{word:?} has too many bits"));
    }
    let set = Set::prefix(address, bits);
    let is_network =
        set == Set::prefix(address, most) || set.prefixes()[0].starts_with(&format!("{address}/"));
    match is_network {
        true => Ok(set),
        false => Err(format!(
            "{word:?} has bits beyond its mask and fits nobody: write {}",
            set.prefixes()[0]
        )),
    }
}

/// `24` or `255.255.255.0`.
pub(super) fn bits_of(mask: &str) -> Option<u8> {
    if let Ok(bits) = mask.parse::<u8>() {
        return Some(bits).filter(|bits| *bits <= 32);
    }
    let mask = mask.parse::<Ipv4Addr>().ok()?.to_bits();
    (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some(mask.leading_ones() as u8)
}

/// `192.168.` and the like: whole octets, and a dot at the end.
pub(super) fn dotted_prefix(word: &str) -> Option<(Ipv4Addr, u8)> {
    let octets = word.strip_suffix('.')?.split('.');
    let octets: Option<Vec<u8>> = octets.map(|octet| octet.parse().ok()).collect();
    let octets = octets.filter(|octets| octets.len() < 4)?;
    let mut full = [0; 4];
    full[..octets.len()].copy_from_slice(&octets);
    Some((full.into(), 8 * octets.len() as u8))
}
