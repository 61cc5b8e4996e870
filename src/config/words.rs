//! Small words that messages share.

/// A text as the administrator would write it, safe to print and never long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The word out of `known` that was probably meant.
pub fn similar<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = plain(word);
    let distance = |known: &str| strsim::damerau_levenshtein(&word, known);
    let nearest = known
        .into_iter()
        .map(|known| (distance(known), known))
        .min_by_key(|(distance, _)| *distance);
    nearest
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3).min(3))
        .map(|(_, known)| known)
}

/// `Max-Connections` is `max_connections`. Cut, since the comparison takes the product of lengths.
fn plain(word: &str) -> String {
    let short = word.chars().take(60);
    short
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// `a, b or c`.
pub(super) fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_matched_to_the_one_that_was_meant() {
        let known = ["listen", "command", "user", "max_connections"];
        assert_eq!(similar("lisetn", known), Some("listen"));
        assert_eq!(similar("Max-Connections", known), Some("max_connections"));
        assert_eq!(similar("usr", known), Some("user"));
        assert_eq!(similar("colour", known), None);
        assert_eq!(similar("", known), None);
    }

    #[test]
    fn texts_are_cut_and_escaped() {
        assert_eq!(quoted("a\n\u{1b}"), "\"a\\n\\u{1b}\"");
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}\"…", "é".repeat(60)));
    }

    #[test]
    fn lists_end_with_or() {
        assert_eq!(one_of(["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(["a"]), "a");
    }
}
