//! What holds for a service: its own attributes over the defaults, with `=`, `+=` and `-=`.

use super::syntax::{Attribute, Op, Section};
use std::collections::BTreeMap;

/// Attributes that are sets of values.
const SETS: [&str; 6] = [
    "only_from",
    "no_access",
    "log_on_success",
    "log_on_failure",
    "passenv",
    "env",
];

/// Attributes that accept several lines all the same.
const REPEATED: [&str; 3] = ["access_times", "enabled", "disabled"];

/// The values of an attribute, and where the last of them was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    pub(super) values: Vec<String>,
    pub(super) place: String,
    /// Whether the service says it itself.
    pub(super) is_own: bool,
}

/// Attributes by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(BTreeMap<String, Setting>);

impl Settings {
    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }

    /// The first value.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.get(name)?.values.first().map(String::as_str)
    }

    /// All of them, in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0
            .iter()
            .map(|(name, setting)| (name.as_str(), setting))
    }

    /// Applies a block. Returns what is wrong with it.
    pub(super) fn extend(&mut self, section: &Section, is_defaults: bool) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        for setting in self.0.values_mut() {
            setting.is_own = false;
        }
        for attribute in &section.attributes {
            if let Err(words) = self.apply(attribute, is_defaults) {
                wrong.push((attribute.place.clone(), words));
            }
        }
        wrong
    }

    fn apply(&mut self, attribute: &Attribute, is_defaults: bool) -> Result<(), String> {
        let Attribute {
            name,
            op,
            values,
            place,
        } = attribute;
        let is_set = SETS.contains(&name.as_str());
        let known = self.0.entry(name.clone()).or_default();
        let was_own = known.is_own;
        let op = match op {
            // In the defaults = adds to a set.
            Op::Set if is_defaults && is_set => Op::Add,
            op => *op,
        };
        if op != Op::Set && !is_set && !REPEATED.contains(&name.as_str()) {
            return Err(format!("{name} is no set: only = is for it"));
        }
        known.is_own = !is_defaults;
        match op {
            // The first one holds.
            Op::Set if was_own && !is_set && !REPEATED.contains(&name.as_str()) => return Ok(()),
            Op::Set if was_own && REPEATED.contains(&name.as_str()) => {
                known.values.extend(values.iter().cloned())
            }
            Op::Set => known.values = values.clone(),
            Op::Add => known.values.extend(values.iter().cloned()),
            Op::Remove => {
                for value in values {
                    if !known.values.contains(value) {
                        let words = match known.values.as_slice() {
                            [] => "there is none".to_owned(),
                            values => format!("that is not among {}", values.join(" ")),
                        };
                        return Err(format!("{name} -= {value}: {words}"));
                    }
                    known.values.retain(|it| it != value);
                }
            }
        }
        known.place = place.clone();
        Ok(())
    }
}
