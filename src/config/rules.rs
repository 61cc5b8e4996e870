//! The admission keys of a service or `[defaults]` as they were written.

use super::hours;
use super::mistake::{Located, Mistake, Mistakes, all};
use super::rate;
use super::reader::{Node, Section};
use super::refusal;
use super::value;
use super::who;
use super::words::quoted;
use crate::table::{Hours, Rate, RefusalTexts, SourcePrefix, WhenFull};

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct RulesEntry {
    pub(super) allow: Option<Vec<Located<who::Entry>>>,
    pub(super) deny: Option<Vec<Located<who::Entry>>>,
    pub(super) exempt: Option<Vec<Located<who::Entry>>>,
    pub(super) when_full: Option<WhenFull>,
    pub(super) max_per_source: Option<u32>,
    pub(super) source_prefix: Option<SourcePrefix>,
    pub(super) rate: Option<Rate>,
    pub(super) rate_per_source: Option<Rate>,
    pub(super) hours: Option<Hours>,
    pub(super) refusal: Option<RefusalTexts>,
}

pub(super) fn read_keys(s: &mut Section) -> RulesEntry {
    RulesEntry {
        allow: s.take("allow", entries),
        deny: s.take("deny", entries),
        exempt: s.take("exempt", entries),
        when_full: s.take("when_full", |node| value::when_full(&node.string()?)),
        max_per_source: s.take("max_per_source", super::entry::max_connections),
        source_prefix: s.take("source_prefix", source_prefix),
        rate: s.take("rate", rate::read),
        rate_per_source: s.take("rate_per_source", rate::read),
        hours: s.take("hours", hours::read),
        refusal: s.take("refusal", refusal::read),
    }
}

fn entries(node: Node) -> Result<Vec<Located<who::Entry>>, Mistakes> {
    let elements = node.one_or_more().into_iter();
    all(elements.map(|node| who::entry(&node.string()?)))
}

fn source_prefix(node: Node) -> Result<SourcePrefix, Mistakes> {
    let mut prefix = SourcePrefix::default();
    let entries = node.entries()?.into_iter();
    let set = |(name, node): (Located<&str>, Node)| match name.value {
        "v4" => bits(name.value, &node, 32).map(|bits| prefix.v4 = bits),
        "v6" => bits(name.value, &node, 128).map(|bits| prefix.v6 = bits),
        other => Err(Mistake::new(format!("{} is not known here", quoted(other)))
            .at(&name.place)
            .help("write v4 or v6: source_prefix = { v4 = 24, v6 = 56 }")
            .into()),
    };
    all(entries.map(set)).map(|_| prefix)
}

fn bits(family: &str, node: &Node, most: u8) -> Result<u8, Mistakes> {
    let bits = node.as_integer().and_then(|bits| u8::try_from(bits).ok());
    bits.filter(|bits| (1..=most).contains(bits))
        .ok_or_else(|| {
            Mistake::new(format!("{family} takes an integer from 1 to {most}"))
            .at(&node.place())
            .help(format!(
                "the bits of an address that tell one source from another; {most} for each address"
            ))
            .into()
        })
}
