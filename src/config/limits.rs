//! `limits`: names and values of setrlimit(2)'s limits.

use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::Node;
use super::value::{seconds, size};
use super::words::{one_of, quoted, similar};
use crate::table::{Limit, Resource};

/// What a limit counts, and so how it may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Seconds,
    Pieces,
}

const RESOURCES: [(&str, Resource, Unit); 9] = [
    ("as", Resource::As, Unit::Bytes),
    ("core", Resource::Core, Unit::Bytes),
    ("cpu", Resource::Cpu, Unit::Seconds),
    ("data", Resource::Data, Unit::Bytes),
    ("fsize", Resource::Fsize, Unit::Bytes),
    ("memlock", Resource::Memlock, Unit::Bytes),
    ("nofile", Resource::Nofile, Unit::Pieces),
    ("nproc", Resource::Nproc, Unit::Pieces),
    ("stack", Resource::Stack, Unit::Bytes),
];

/// Reads the table that `limits` takes.
pub(super) fn read(node: Node) -> Result<Vec<Limit>, Mistakes> {
    all(node
        .entries()?
        .into_iter()
        .map(|(name, node)| limit(&name, node)))
}

/// `limits` of a service over those of `[defaults]`.
pub(super) fn merge(own: &[Limit], defaults: &[Limit]) -> Vec<Limit> {
    let is_own = |resource| own.iter().any(|limit| limit.resource == resource);
    let inherited = defaults.iter().filter(|limit| !is_own(limit.resource));
    own.iter().chain(inherited).copied().collect()
}

fn limit(name: &Located<&str>, node: Node) -> Result<Limit, Mistakes> {
    let found = RESOURCES.iter().find(|(known, ..)| *known == name.value);
    let (name, resource, unit) = found.ok_or_else(|| unknown(name))?;
    let values = match node.elements() {
        None => vec![amount(name, *unit, node)?],
        Some(pair) if pair.len() == 2 => {
            all(pair.into_iter().map(|node| amount(name, *unit, node)))?
        }
        Some(_) => {
            let mistake = Mistake::new(format!("{name} takes one limit, or two: [SOFT, HARD]"))
                .at(&node.place());
            return Err(mistake.into());
        }
    };
    let (soft, hard) = (values[0], values[values.len() - 1]);
    if soft > hard {
        let mistake = Mistake::new(format!("the soft limit of {name} is above the hard one"))
            .at(&node.place());
        return Err(mistake
            .help("write the lower one first: [SOFT, HARD]")
            .into());
    }
    Ok(Limit {
        resource: *resource,
        soft,
        hard,
    })
}

fn unknown(name: &Located<&str>) -> Mistakes {
    let names = RESOURCES.iter().map(|(name, ..)| *name);
    let help = match similar(name.value, names.clone()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("write {}", one_of(names)),
    };
    Mistake::new(format!("unknown limit {}", quoted(name.value)))
        .at(&name.place)
        .help(help)
        .into()
}

fn amount(name: &str, unit: Unit, node: Node) -> Result<u64, Mistakes> {
    if let Some(number) = node
        .as_integer()
        .and_then(|number| u64::try_from(number).ok())
    {
        return Ok(number);
    }
    let text = node.string().ok().map(|text| text.value);
    let value = match (text.as_deref(), unit) {
        (Some("unlimited"), _) => Some(u64::MAX),
        (Some(text), Unit::Bytes) => size(text),
        (Some(text), Unit::Seconds) => seconds(text),
        (_, Unit::Pieces) | (None, _) => None,
    };
    value.ok_or_else(|| {
        let (takes, example) = match unit {
            Unit::Bytes => (
                "bytes, as a number or like \"64K\", \"8M\" or \"1G\"",
                "\"1G\"",
            ),
            Unit::Seconds => (
                "seconds, as a number or like \"10s\" or \"1m30s\"",
                "\"10s\"",
            ),
            Unit::Pieces => ("a number", "256"),
        };
        Mistake::new(format!("{name} takes {takes}, or \"unlimited\""))
            .at(&node.place())
            .help(format!("for example: limits = {{ {name} = {example} }}"))
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_service_replace_those_of_the_defaults_one_by_one() {
        let limit = |resource, soft| Limit {
            resource,
            soft,
            hard: soft,
        };
        let defaults = [limit(Resource::Cpu, 1), limit(Resource::Core, 0)];
        let own = [limit(Resource::Cpu, 9)];
        assert_eq!(
            merge(&own, &defaults),
            [limit(Resource::Cpu, 9), limit(Resource::Core, 0)]
        );
    }
}
