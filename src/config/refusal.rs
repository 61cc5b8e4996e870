//! The form of `refusal`: a text, or texts by reason.

use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::Node;
use super::words::{one_of, quoted, similar};
use crate::table::{Refusal, RefusalTexts};

/// What a text may have at most, in bytes, so that it always fits into a socket's buffer.
const LONGEST: usize = 512;

/// Reads a text for all reasons, or a table of them.
pub(super) fn read(node: Node) -> Result<RefusalTexts, Mistakes> {
    let mut texts = RefusalTexts::default();
    if let Ok(any) = node.string() {
        texts.any = Some(text(&any)?);
        return Ok(texts);
    }
    let add = |(name, node): (Located<&str>, Node)| {
        let text = text(&node.member_string()?)?;
        match reason(&name)? {
            Some(reason) => drop(texts.by_reason.insert(reason, text)),
            None => texts.any = Some(text),
        }
        Ok(())
    };
    all(node.entries()?.into_iter().map(add))?;
    Ok(texts)
}

/// The reason of this name; `None` for `any`.
fn reason(name: &Located<&str>) -> Result<Option<Refusal>, Mistake> {
    let found = Refusal::ALL
        .iter()
        .find(|reason| reason.name() == name.value);
    match found {
        Some(reason) => Ok(Some(*reason)),
        None if name.value == "any" => Ok(None),
        None => Err(unknown(name)),
    }
}

fn unknown(name: &Located<&str>) -> Mistake {
    let names = Refusal::ALL.iter().map(|reason| reason.name());
    let names = names.chain(["any"]);
    let mistake = Mistake::new(format!(
        "{} is no reason to refuse a client",
        quoted(name.value)
    ));
    mistake
        .at(&name.place)
        .help(match similar(name.value, names.clone()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("write {}", one_of(names)),
        })
}

fn text(text: &Located<String>) -> Result<String, Mistake> {
    let wrong = |message: String| Mistake::new(message).at(&text.place);
    if text.value.len() > LONGEST {
        let message = format!(
            "a refusal has at most {LONGEST} bytes, this one {}",
            text.value.len()
        );
        return Err(wrong(message).help("shorten it: it is sent to every client that is refused"));
    }
    match unknown_percent(&text.value) {
        None => Ok(text.value.clone()),
        Some(found) => Err(
            wrong(format!("{} has no meaning in a refusal", quoted(found)))
                .help("%a is the client's address, %s the service's name, and %% a percent sign"),
        ),
    }
}

/// The first `%` that stands for nothing, with the character after it.
fn unknown_percent(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let after = &rest[at + 1..];
        match after.chars().next() {
            Some('a' | 's' | '%') => rest = &after[1..],
            Some(c) => return Some(&rest[at..at + 1 + c.len_utf8()]),
            None => return Some(&rest[at..]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_things_stand_behind_a_percent_sign() {
        for right in ["", "no", "%a %s %%", "%%d", "100%%"] {
            assert_eq!(unknown_percent(right), None, "{right}");
        }
        for (wrong, found) in [("100%", "%"), ("a %d", "%d"), ("%%%é", "%é"), ("%A", "%A")] {
            assert_eq!(unknown_percent(wrong), Some(found), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_text_with_its_percent_signs_doubled_is_right(text in "\\PC{0,40}") {
            let _ = unknown_percent(&text);
            let doubled = text.replace('%', "%%");
            prop_assert_eq!(unknown_percent(&doubled), None);
        }
    }
}
