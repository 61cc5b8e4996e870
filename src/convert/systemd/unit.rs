//! Unit files, see systemd.syntax(7), and the words of `ExecStart`.

use super::super::Input;

/// An assignment.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: String,
}

/// A unit.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) assignments: Vec<Assignment>,
    /// Without `#`.
    pub(super) comments: Vec<String>,
    /// What is no assignment: place and words.
    pub(super) wrong: Vec<(String, String)>,
}

impl Unit {
    pub(super) fn read(input: &Input) -> Unit {
        let mut unit = Unit::default();
        let mut section = String::new();
        let mut lines = input.text.lines().zip(1..);
        while let Some((first, number)) = lines.next() {
            let place = format!("{}:{number}", input.name);
            let mut line = first.trim().to_owned();
            if line.starts_with(['#', ';']) {
                unit.comments.push(line[1..].to_owned());
                continue;
            }
            while line.ends_with('\\') {
                line.pop();
                match lines.next() {
                    Some((next, _)) if next.trim_start().starts_with(['#', ';']) => line.push('\\'),
                    Some((next, _)) => line = format!("{line} {}", next.trim()),
                    None => break,
                }
            }
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.to_owned();
                continue;
            }
            match line.split_once('=') {
                Some((key, value)) => unit.assignments.push(Assignment {
                    section: section.clone(),
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                    place,
                }),
                None => unit.wrong.push((place, "this is no assignment".to_owned())),
            }
        }
        unit
    }

    /// The last assignment of a key.
    pub(super) fn last(&self, section: &str, key: &str) -> Option<&Assignment> {
        self.all(section, key).into_iter().next_back()
    }

    /// All assignments of a key that are in force: an empty one takes back those before it.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<&Assignment> {
        let mut all = Vec::new();
        for it in self
            .assignments
            .iter()
            .filter(|it| it.section == section && it.key == key)
        {
            match it.value.is_empty() {
                true => all.clear(),
                false => all.push(it),
            }
        }
        all
    }
}

/// A boolean of systemd.
pub(super) fn is_yes(value: &str) -> bool {
    ["1", "yes", "y", "true", "t", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// The words of a command line; `None` where a quote is not closed. Specifiers are as they were.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, text.chars());
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (_, '\\') => {
                let c = match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    's' => ' ',
                    c => c,
                };
                word.get_or_insert_default().push(c);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') if word.as_ref().is_none_or(String::is_empty) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}
