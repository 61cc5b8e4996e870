//! Random tables, written in every way: what is not about the service stays as it is.

use super::outline::outline;
use super::section::Section;
use super::text::{apply, hunks};
use super::{removal, switch, verdict};
use proptest::prelude::*;

const X: [&str; 2] = ["service", "x"];

/// A part of a table that ends with its line, with an `x` in it or without.
fn part() -> impl Strategy<Value = String> {
    let parts = [
        "[service.N]\nlisten = 7\n",
        "[service.N] # c\n# d\nlisten = [\n  7, # e\n\n  8,\n] # f\nuser = '''\n# g\n[service.x]\n'''\n",
        "  [ service . \"N\" ]\n  listen = 7\n\n  [ service . \"N\" . limits ]\n  core = 0\n",
        "[service.N.limits]\ncore = 0\n",
        "[service.N]\nuser = '''\na\n# b'''\n",
        "[server]\nlog = \"x\"\n",
        "[defaults]\nuser = \"x\"\n",
        "# c\n",
        "# c\n# d\n",
        "\n",
        "\n\n",
    ];
    let names = prop::sample::select(vec!["x", "y", "z.x", "limits"]);
    let quoted = |name: &str| match name.contains('.') {
        true => format!("'{name}'"),
        false => name.to_owned(),
    };
    (prop::sample::select(parts.to_vec()), names).prop_map(move |(part, name)| {
        match part.contains("\"N\"") {
            true => part.replace('N', name),
            false => part.replace('N', &quoted(name)),
        }
    })
}

/// Something in front of all headers, where there can be keys without one.
fn head() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "# top\n\n",
        "service.x.listen = 7\nservice.y.listen = 7 # c\n# d\nservice.x.user = \"a\"\n",
        "service.x = { listen = 7, limits = { core = 0 } }\nservice.y = { listen = 8 } # c\n",
        "[service]\n# c\ny = { listen = 8 }\n# d\nx = { listen = 7 }\n",
    ])
    .prop_map(str::to_owned)
}

/// Tables that are TOML, with either line end.
fn table() -> impl Strategy<Value = String> {
    (
        head(),
        prop::collection::vec(part(), 0..8),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(head, parts, returns, is_cut)| {
            let text = head + &parts.concat();
            let text = if returns {
                text.replace('\n', "\r\n")
            } else {
                text
            };
            let cut = if is_cut { text.trim_end() } else { &text };
            cut.to_owned()
        })
        .prop_filter("TOML", |text| outline(text).is_some())
}

/// Whether all lines of a text are lines of another one, in this order.
fn is_within(text: &str, other: &str) -> bool {
    let mut others = other.lines();
    text.lines().all(|line| others.any(|other| other == line))
}

proptest! {
    #[test]
    fn removal_takes_out_the_service_and_nothing_else(text in table()) {
        let edits = removal::remove(&text, &outline(&text).unwrap(), &X);
        let new = apply(&text, &edits);
        let left = outline(&new).expect("TOML");
        prop_assert!(!left.iter().any(|statement| statement.is_below(&X)), "{new}");
        prop_assert_eq!(verdict::others(&text, "x"), verdict::others(&new, "x"));
        prop_assert!(is_within(&new, &text), "{new}");
        let taken: usize = hunks(&text, &edits).iter().map(|hunk| hunk.removed.len()).sum();
        prop_assert_eq!(text.lines().count() - new.lines().count(), taken);
    }

    #[test]
    fn a_service_that_is_added_and_removed_leaves_no_trace(text in table()) {
        let ends_blank = text.lines().next_back().is_some_and(|line| line.is_empty());
        prop_assume!(text.is_empty() || text.ends_with('\n') && !ends_blank);
        let mut section = Section::new("new");
        section.listen(&["79".into()]);
        let new = apply(&text, &[section.append_to(&text)]);
        let found = outline(&new).expect("TOML");
        prop_assert_eq!(verdict::others(&text, "new"), verdict::others(&new, "new"));
        let edits = removal::remove(&new, &found, &["service", "new"]);
        prop_assert_eq!(apply(&new, &edits), text);
    }

    #[test]
    fn a_service_that_is_disabled_and_enabled_is_as_before(text in table()) {
        let found = outline(&text).unwrap();
        let edits = switch::write(&text, &found, &X, Some(false));
        let new = apply(&text, &edits);
        let found = outline(&new).expect("TOML");
        prop_assert_eq!(verdict::others(&text, "x"), verdict::others(&new, "x"));
        if edits.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(switch::written(&new, &found, &X), switch::Written::False);
        let edits = switch::write(&new, &found, &X, None);
        prop_assert_eq!(apply(&new, &edits), text);
    }
}
