//! Walks the tree of a file by types: takes the keys that are known, and reports all others.

use super::hints;
use super::keys::{self, Key, Part};
use super::mistake::{Located, Mistake, Mistakes, Place};
use super::source::Source;
use super::words::quoted;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where each key of a section was written.
pub(super) type Written = BTreeMap<&'static str, Place>;

/// A section that is being read.
pub(super) struct Section<'t> {
    source: &'t Arc<Source>,
    table: &'t DeTable<'t>,
    part: Part,
    #[cfg(test)]
    asked: Vec<&'static str>,
    written: Written,
    mistakes: Vec<Mistake>,
}

/// What remains of a section that was read.
pub(super) struct Finished {
    pub(super) written: Written,
    /// Whether there were keys that do not exist: the ones that were meant are missing only for us.
    pub(super) has_unknown: bool,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'t> Section<'t> {
    pub(super) fn new(source: &'t Arc<Source>, table: &'t DeTable<'t>, part: Part) -> Section<'t> {
        Section {
            source,
            table,
            part,
            #[cfg(test)]
            asked: Vec::new(),
            written: Written::new(),
            mistakes: Vec::new(),
        }
    }

    /// Takes the value of a key, or notes what is wrong with it. A key that does not belong in this
    /// part of the table is left to be reported with the unknown ones.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Node<'t>) -> Result<T, Mistakes>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.push(name);
        // Most keys of most sections are not written.
        let (word, value) = self.table.get_key_value(name)?;
        let key = keys::find(name, self.part)?;
        self.written
            .insert(name, Place::Text(self.source.clone(), word.span()));
        let node = Node {
            source: self.source,
            key,
            value,
        };
        read(node)
            .map_err(|mistakes| self.mistakes.extend(mistakes.0))
            .ok()
    }

    /// The names that were asked for, of this part of the table or not.
    #[cfg(test)]
    pub(super) fn asked(&self) -> &[&'static str] {
        &self.asked
    }

    /// Takes the elements of a value one by one: those that are right are kept, so that what is
    /// wrong with them otherwise is found too.
    pub(super) fn take_each<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Node<'t>) -> Result<Vec<Result<T, Mistakes>>, Mistakes>,
    ) -> Option<Vec<T>> {
        let results = self.take(name, read)?;
        let keep = |result: Result<T, Mistakes>| {
            result
                .map_err(|mistakes| self.mistakes.extend(mistakes.0))
                .ok()
        };
        Some(results.into_iter().filter_map(keep).collect())
    }

    /// Reports what nobody has taken.
    pub(super) fn finish(mut self) -> Finished {
        let mut has_unknown = false;
        for (word, value) in self.table {
            if !self.written.contains_key(word.get_ref().as_ref()) {
                has_unknown = true;
                let place = Place::Text(self.source.clone(), word.span());
                self.mistakes
                    .push(unknown(word.get_ref(), value.get_ref(), self.part).at(&place));
            }
        }
        Finished {
            written: self.written,
            has_unknown,
            mistakes: self.mistakes,
        }
    }
}

fn unknown(name: &str, value: &DeValue, part: Part) -> Mistake {
    let is_ours = keys::KEYS.iter().any(|key| key.name == name);
    let message = match is_ours {
        true => format!("{name} does not belong in {}", part.header()),
        false => format!("unknown key {}", quoted(name)),
    };
    let is_dotted_name = matches!(value, DeValue::Table(_)) && part == Part::Service && !is_ours;
    Mistake::new(message).help(match is_dotted_name {
        true => "a name that contains a dot is written in quotes: [service.\"a.b\"]".to_owned(),
        false => hints::hint(name, part),
    })
}

/// A value in the tree.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    source: &'t Arc<Source>,
    key: &'static Key,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Node<'t> {
    pub(super) fn place(&self) -> Place {
        Place::Text(self.source.clone(), self.value.span())
    }

    /// The name of the key that it is the value of, or within.
    pub(super) fn key_name(&self) -> &'static str {
        self.key.name
    }

    fn with<T>(&self, value: T) -> Located<T> {
        Located::new(value, self.place())
    }

    /// The mistake that this is not what the key takes.
    pub(super) fn wrong_type(&self) -> Mistakes {
        let Key {
            name,
            takes,
            example,
            ..
        } = self.key;
        let found = kind(self.value.get_ref());
        let message = format!("{name} takes {takes}, not {found}");
        let help = match (self.value.get_ref(), *takes) {
            (_, "true or false") => format!("write {name} = true or {name} = false"),
            (DeValue::String(text), _) if text.parse::<i64>().is_ok() => {
                format!("write it without quotes: {name} = {text}")
            }
            _ => format!("for example: {example}"),
        };
        Mistake::new(message).at(&self.place()).help(help).into()
    }

    pub(super) fn string(&self) -> Result<Located<String>, Mistakes> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(self.with(text.to_string())),
            _ => Err(self.wrong_type()),
        }
    }

    /// An element or entry that must be a string: numbers are asked to be put in quotes.
    pub(super) fn member_string(&self) -> Result<Located<String>, Mistakes> {
        let value = self.value.get_ref();
        let shown = match value {
            DeValue::String(text) => return Ok(self.with(text.to_string())),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => self.source.text().get(self.value.span()),
            DeValue::Array(_) | DeValue::Table(_) => None,
        };
        let message = format!("{} takes strings only, not {}", self.key.name, kind(value));
        let mistake = Mistake::new(message).at(&self.place());
        Err(match shown {
            Some(text) => mistake
                .help(format!("write it in quotes: \"{text}\""))
                .into(),
            None => mistake
                .help(format!("for example: {}", self.key.example))
                .into(),
        })
    }

    pub(super) fn boolean(&self) -> Result<Located<bool>, Mistakes> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(self.with(*value)),
            _ => Err(self.wrong_type()),
        }
    }

    /// An integer, however large; `None` for another type. What is beyond an i64 is its end.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        let value = i64::from_str_radix(integer.as_str(), integer.radix());
        let is_negative = integer.as_str().starts_with('-');
        Some(value.unwrap_or(if is_negative { i64::MIN } else { i64::MAX }))
    }

    pub(super) fn integer(&self, range: RangeInclusive<i64>) -> Result<Located<i64>, Mistakes> {
        let value = self.as_integer().ok_or_else(|| self.wrong_type())?;
        match range.contains(&value) {
            true => Ok(self.with(value)),
            false => Err(self.out_of_range(value)),
        }
    }

    fn out_of_range(&self, value: i64) -> Mistakes {
        let Key {
            name,
            takes,
            example,
            ..
        } = self.key;
        let mistake = Mistake::new(format!("{name} takes {takes}")).at(&self.place());
        mistake
            .help(match (*name, value) {
                ("max_connections", 0) => {
                    "to switch a service off, write: enabled = false".to_owned()
                }
                _ => format!("for example: {example}"),
            })
            .into()
    }

    /// The elements of an array.
    pub(super) fn elements(&self) -> Option<Vec<Node<'t>>> {
        let array = self.value.get_ref().as_array()?;
        Some(array.iter().map(|value| Node { value, ..*self }).collect())
    }

    /// The elements of an array, or the one value that is not in an array.
    pub(super) fn one_or_more(&self) -> Vec<Node<'t>> {
        self.elements().unwrap_or_else(|| vec![*self])
    }

    /// The names and values of a table, in the order in which they were written.
    pub(super) fn entries(&self) -> Result<Vec<(Located<&'t str>, Node<'t>)>, Mistakes> {
        let table = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wrong_type())?;
        let entry = |(word, value): (&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| {
            let place = Place::Text(self.source.clone(), word.span());
            (Located::new(text_of(word), place), Node { value, ..*self })
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|(name, _)| name.place.rank());
        Ok(entries)
    }
}

fn text_of<'t>(word: &'t Spanned<std::borrow::Cow<'_, str>>) -> &'t str {
    word.get_ref().as_ref()
}

/// A type, in words that follow "not".
pub(super) fn kind(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A part of a file as a place.
pub(super) fn place(source: &Arc<Source>, span: Range<usize>) -> Place {
    Place::Text(source.clone(), span)
}
