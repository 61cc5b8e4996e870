//! Rules of tcprules(1): of the rules that fit a client the one with the longest address decides,
//! and of two for the same address the first. Where none fits the client gets in.

use super::report::Fate;
use super::sets::Set;
use super::writer::Output;
use super::{Format, Input, hosts};
use std::net::Ipv4Addr;

/// Whether a line looks like a rule.
pub(super) fn is_rule(line: &str) -> bool {
    let instructions = line.split_once(':').map(|(_, instructions)| instructions);
    instructions.is_some_and(|it| {
        let word = it.split(',').next().unwrap_or_default().trim_end();
        word == "allow" || word == "deny"
    })
}

/// What rules say.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Who gets in.
    pub(super) allowed: Set,
    /// Variables that all clients get.
    pub(super) env: Vec<(String, String)>,
    /// Rules that cannot be kept: place, rule and reason.
    pub(super) lost: Vec<(String, String, String)>,
}

struct Rule {
    bits: u8,
    first: Ipv4Addr,
    last: Ipv4Addr,
    allows: bool,
}

/// Reads rules.
pub(super) fn read(input: &Input) -> Rules {
    let (mut rules, mut read) = (Vec::new(), Rules::default());
    for (line, number) in input.text.lines().zip(1..) {
        // Blanks at the end are cut, as tcprules does.
        let line = line.trim_end_matches([' ', '\t', '\n']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut lose = |reason: &str| {
            let place = format!("{}:{number}", input.name);
            read.lost.push((place, line.to_owned(), reason.to_owned()));
        };
        let Some((address, instructions)) = line.split_once(':') else {
            lose("this is not a rule");
            continue;
        };
        let (word, variables) = match instructions.split_once(',') {
            Some((word, variables)) => (word, variables),
            None => (instructions, ""),
        };
        let allows = match word {
            "allow" => true,
            "deny" => false,
            _ => {
                lose("a rule says allow or deny");
                continue;
            }
        };
        let Some(rule) = address_of(address) else {
            lose(
                "oxinetd knows clients by their addresses, not by names or what an ident server says",
            );
            continue;
        };
        if allows && !variables.is_empty() {
            match env(variables).filter(|_| address.is_empty()) {
                Some(env) => read.env = env,
                None => lose("variables are the same for all clients of a service"),
            }
        }
        rules.push(Rule { allows, ..rule });
    }
    let allowing = rules.iter().filter(|rule| rule.allows).count();
    if allowing > 1 && !read.env.is_empty() {
        read.env.clear();
        let reason = "variables are the same for all clients of a service";
        read.lost.push((
            input.name.clone(),
            "the rule for everybody".to_owned(),
            reason.to_owned(),
        ));
    }
    read.allowed = allowed(rules);
    read
}

fn allowed(mut rules: Vec<Rule>) -> Set {
    // Stable: of two rules for an address the first stays first.
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.bits));
    let (mut undecided, mut allowed) = (Set::everybody(), Set::default());
    for rule in rules {
        let set = match rule.bits {
            0 => Set::everybody(),
            _ => Set::range_v4(rule.first, rule.last),
        };
        if rule.allows {
            allowed = allowed.union(&undecided.intersection(&set));
        }
        undecided = undecided.without(&set);
    }
    allowed.union(&undecided)
}

/// `1.2.3.4`, `1.2.`, `1.2.3.4-9`, `1.2-3.` or nothing.
fn address_of(text: &str) -> Option<Rule> {
    let rule = |bits, first, last| {
        Some(Rule {
            bits,
            first,
            last,
            allows: false,
        })
    };
    if text.is_empty() {
        return rule(0, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    }
    let Some((head, tail)) = text.split_once('-') else {
        let (address, bits) = one(text)?;
        return rule(
            bits,
            address,
            Ipv4Addr::from_bits(address.to_bits() | u32::MAX.checked_shr(bits.into()).unwrap_or(0)),
        );
    };
    // The range is of the last octet before the dash.
    let (before, low) = head
        .rsplit_once('.')
        .map_or(("", head), |(before, low)| (before, low));
    let dot = if tail.ends_with('.') { "." } else { "" };
    let high = tail.trim_end_matches('.');
    let (low, high): (u8, u8) = (low.parse().ok()?, high.parse().ok()?);
    if low > high {
        return None;
    }
    let join = |octet: u8| match before {
        "" => format!("{octet}{dot}"),
        before => format!("{before}.{octet}{dot}"),
    };
    let ((first, bits), (last, _)) = (one(&join(low))?, one(&join(high))?);
    rule(
        bits,
        first,
        Ipv4Addr::from_bits(last.to_bits() | u32::MAX.checked_shr(bits.into()).unwrap_or(0)),
    )
}

fn one(text: &str) -> Option<(Ipv4Addr, u8)> {
    match text.parse() {
        Ok(address) => Some((address, 32)),
        Err(_) => hosts::dotted_prefix(text),
    }
}

/// `A="x",B='y'`: any character may be the quote.
fn env(text: &str) -> Option<Vec<(String, String)>> {
    let (mut env, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let quote = after.chars().next()?;
        let (value, after) = after[quote.len_utf8()..].split_once(quote)?;
        env.push((name.to_owned(), value.to_owned()));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(env)
}

/// Rules without a tcpserver say nothing about any service.
pub(super) fn check_use(input: &Input, inputs: &[Input], output: &mut Output) {
    if !inputs
        .iter()
        .any(|other| Format::of(other) == Format::Tcpserver)
    {
        let words = "rules belong to a tcpserver: name the file with its command line too";
        output.note(&input.name, "tcprules", Fate::Error, words);
    }
}
