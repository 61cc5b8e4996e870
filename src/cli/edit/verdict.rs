//! Whether a text may take the place of a file's: it must bring no new mistake, and must say the same
//! as before about everything but the service.

use super::Failure;
use super::document::Document;
use super::outline::{Statement, outline};
use super::tables::Tables;
use crate::cli::SOFTWARE;
use crate::cli::check::summary;
use crate::config::{Loaded, Mistake, Mistakes, Replacement, load_draft};
use crate::table::Control;

/// What is to be said about a text that may be written.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// New warnings.
    pub(super) warnings: Vec<Mistake>,
    /// How many mistakes stay that were there before.
    pub(super) old_mistakes: usize,
    /// Where the table's server has its control socket, if the table says so.
    pub(super) control: Option<Control>,
}

/// Loads the table with this text in the place of the file's.
pub(super) fn check(
    tables: &Tables,
    document: &Document,
    new: &str,
    name: &str,
) -> Result<Verdict, Failure> {
    if others(&document.text, name) != others(new, name) {
        let message = "this would change more than the service, which is a mistake of oxinetd's: nothing was written";
        return Err(Failure::new(SOFTWARE, message));
    }
    let replacement = Replacement {
        inode: document.inode,
        text: new,
    };
    let candidate = load_draft(&tables.path, &tables.host, Some(replacement)).result;
    let present = &tables.present;
    match candidate {
        Ok(loaded) => {
            let known = present.as_ref().map_or(&[][..], |loaded| &loaded.warnings);
            let warnings = only_new(loaded.warnings, known);
            Ok(Verdict {
                warnings,
                old_mistakes: 0,
                control: loaded.table.server.control,
            })
        }
        Err(mistakes) => {
            let known = present
                .as_ref()
                .err()
                .map_or(&[][..], |mistakes| &mistakes.0);
            let count = mistakes.0.len();
            let new = only_new(mistakes.0, known);
            match new.is_empty() {
                true => Ok(Verdict {
                    warnings: Vec::new(),
                    old_mistakes: count,
                    control: None,
                }),
                false => Err(refusal(new, present)),
            }
        }
    }
}

fn refusal(new: Vec<Mistake>, present: &Result<Loaded, Mistakes>) -> Failure {
    let count = summary(new.len());
    let message = match present {
        Ok(_) => format!("nothing was written: the table would have {count}"),
        Err(_) => {
            format!("nothing was written: the table would have {count} more than it has already")
        }
    };
    Failure::mistakes(message, new)
}

/// Those that are not known. Their lines may have moved.
fn only_new(found: Vec<Mistake>, known: &[Mistake]) -> Vec<Mistake> {
    let is_same = |a: &Mistake, b: &Mistake| {
        a.message() == b.message() && a.place().file() == b.place().file()
    };
    let mut known: Vec<&Mistake> = known.iter().collect();
    let is_new = |mistake: &Mistake| match known.iter().position(|old| is_same(old, mistake)) {
        Some(at) => {
            known.remove(at);
            false
        }
        None => true,
    };
    found.into_iter().filter(is_new).collect()
}

/// All pairs that are not the service's: path and value.
pub(super) fn others(text: &str, name: &str) -> Option<Vec<(Vec<String>, String)>> {
    fn collect(
        text: &str,
        statements: &[Statement],
        path: &[&str],
        out: &mut Vec<(Vec<String>, String)>,
    ) {
        for statement in statements
            .iter()
            .filter(|statement| !statement.is_below(path))
        {
            match &statement.value {
                Some(value) if value.entries.is_none() || !statement.is_above(path) => {
                    out.push((statement.path.clone(), text[value.span.clone()].to_owned()));
                }
                _ => collect(text, statement.entries(), path, out),
            }
        }
    }
    let mut out = Vec::new();
    collect(text, &outline(text)?, &["service", name], &mut out);
    Some(out)
}
