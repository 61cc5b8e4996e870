//! Outcomes by case and server, as they are in `matrix.md`: read, written, and compared.

use super::all_cases;
use super::cases::TOPICS;
use super::peers::{OXINETD, PEERS};
use std::collections::BTreeMap;
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/matrix.md");

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// And how.
    Failed(String),
    /// And why.
    NotOffered(String),
    /// A matter of chance, and why; never compared.
    Varies(String),
}

impl Outcome {
    fn text(&self) -> String {
        let (mark, words) = match self {
            Outcome::Passed => ("✓", ""),
            Outcome::Failed(how) => ("✗", &**how),
            Outcome::NotOffered(why) => ("–", &**why),
            Outcome::Varies(why) => ("±", &**why),
        };
        format!("{mark} {}", words.replace('|', "/"))
            .trim()
            .to_owned()
    }

    fn parse(text: &str) -> Option<Outcome> {
        let (mark, words) = text.split_at_checked(text.chars().next()?.len_utf8())?;
        let words = words.trim().to_owned();
        match mark {
            "✓" => Some(Outcome::Passed),
            "✗" => Some(Outcome::Failed(words)),
            "–" => Some(Outcome::NotOffered(words)),
            "±" => Some(Outcome::Varies(words)),
            _ => None,
        }
    }
}

/// All outcomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Matrix(BTreeMap<(String, String), Outcome>);

impl Matrix {
    pub(super) fn set(&mut self, peer: &str, case: &str, outcome: Outcome) {
        let old = self.0.insert((peer.into(), case.into()), outcome);
        assert!(old.is_none(), "two cases are called {case:?}");
    }

    pub(super) fn of(&self, peer: &str, case: &str) -> Option<&Outcome> {
        self.0.get(&(peer.to_owned(), case.to_owned()))
    }

    /// Server, case and outcome.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&str, &str, &Outcome)> {
        let cells = self.0.iter();
        cells.map(|((peer, case), outcome)| (&**peer, &**case, outcome))
    }

    /// The file.
    pub(super) fn read() -> Matrix {
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        let cells = |line: &str| -> Vec<String> {
            let line = line.trim().trim_matches('|');
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let (mut matrix, mut head) = (Matrix::default(), Vec::new());
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let row = cells(line);
            if row.get(1).map(String::as_str) == Some(OXINETD.name) {
                head = row;
                continue;
            }
            for (peer, cell) in head.iter().zip(&row).skip(1) {
                if let Some(outcome) = Outcome::parse(cell) {
                    matrix.set(peer, &row[0], outcome);
                }
            }
        }
        matrix
    }

    /// Writes the file; a server that was not there keeps the column that it had.
    pub(super) fn write(&self, old: &Matrix) {
        let text = self.markdown(old);
        std::fs::write(FILE, &text).expect("matrix.md");
        // Past the capture of the test runner: whoever asked for it sees it.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }

    fn markdown(&self, old: &Matrix) -> String {
        let peers = std::iter::once(&OXINETD).chain(&PEERS);
        let names: Vec<&str> = peers.map(|peer| peer.name).collect();
        let mut text = String::from(HEAD);
        text += &self.counts(old, &names);
        for (topic, scenarios) in TOPICS {
            let rule = "|---".repeat(names.len() + 1);
            let _ = write!(
                text,
                "\n## {topic}\n\n| | {} |\n{rule}|\n",
                names.join(" | ")
            );
            for case in scenarios.iter().flat_map(|scenario| scenario.cases) {
                let _ = write!(text, "| {} ", case.name);
                for name in &names {
                    let outcome = self.of(name, case.name).or(old.of(name, case.name));
                    let cell = outcome.map_or("?".to_owned(), Outcome::text);
                    let _ = write!(text, "| {cell} ");
                }
                text += "|\n";
            }
        }
        text
    }

    fn counts(&self, old: &Matrix, names: &[&str]) -> String {
        let rule = "|---".repeat(4);
        let mut text = format!("| | passed | failed | not offered |\n{rule}|\n");
        for name in names {
            let outcomes: Vec<&Outcome> = all_cases()
                .filter_map(|case| self.of(name, case.name).or(old.of(name, case.name)))
                .collect();
            let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|it| is(it)).count();
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} |",
                count(|it| matches!(it, Outcome::Passed)),
                count(|it| matches!(it, Outcome::Failed(_) | Outcome::Varies(_))),
                count(|it| matches!(it, Outcome::NotOffered(_)))
            );
        }
        text
    }

    /// Where what was found is not what is known, in whichever direction.
    pub(super) fn differences(&self, found: &Matrix) -> Vec<String> {
        let mut wrong = Vec::new();
        for (peer, case, outcome) in found.cells() {
            let known = self.of(peer, case);
            let is_as_known = match (known, outcome) {
                (_, Outcome::Varies(_)) => true,
                (Some(known), found) => {
                    std::mem::discriminant(known) == std::mem::discriminant(found)
                }
                (None, _) => false,
            };
            if !is_as_known {
                let known = known.map_or("nothing".into(), Outcome::text);
                wrong.push(format!(
                    "{peer}: {case}: known is {known}, found was {}",
                    outcome.text()
                ));
            }
        }
        wrong
    }
}

const HEAD: &str = "# Which superserver does what\n\n\
    Made by `tests/conformance/run`, which fetches the peers from Debian's packages (busybox, which Debian builds\n\
    without inetd, from its source package) and asks all of them the same. `tests/run` checks oxinetd and those\n\
    that are unpacked against it: a failure that is not here fails the run, and so does one that is here and has\n\
    gone.\n\n\
    ✓ passed · ✗ failed, and how · – not offered, and why · ± now so, now so, and why; counted as failed\n\n\
    Each gets the table in its own words, with its own limits out of the way but where a row says \"default limits\".\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(outcome: Outcome) -> Matrix {
        let mut matrix = Matrix::default();
        matrix.set("xinetd", "case", outcome);
        matrix
    }

    #[test]
    fn what_is_known_is_no_difference_and_what_is_not_is() {
        let all = [
            Outcome::Passed,
            Outcome::Failed("a".into()),
            Outcome::NotOffered("b".into()),
        ];
        for known in &all {
            for found in &all {
                let differences = matrix(known.clone()).differences(&matrix(found.clone()));
                assert_eq!(differences.is_empty(), known == found, "{differences:?}");
            }
        }
        let other_words = matrix(Outcome::Failed("c".into()));
        assert!(matrix(all[1].clone()).differences(&other_words).is_empty());
        assert!(!Matrix::default().differences(&other_words).is_empty());
    }

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        let all = [
            Outcome::Passed,
            Outcome::Failed("how it was".into()),
            Outcome::NotOffered("why".into()),
            Outcome::Varies("chance".into()),
        ];
        for outcome in all {
            assert_eq!(Outcome::parse(&outcome.text()), Some(outcome));
        }
        assert_eq!(Outcome::parse("?"), None);
    }
}
