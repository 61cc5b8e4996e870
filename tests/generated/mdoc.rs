//! Words in mdoc(7), the language of manual pages.

/// Text that stands for itself.
pub(super) fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('"', "\\(dq")
        .replace('\'', "\\(aq")
        .replace('`', "\\(ga");
    match text.starts_with('.') {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// An argument of a macro: one word for it, whatever is in it.
pub(super) fn argument(text: &str) -> String {
    format!("\"\\&{}\"", escaped(text))
}

/// How long a line may be, in bytes.
const WIDTH: usize = 78;

/// Words in lines.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in escaped(text).split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            out += &format!("{line}\n");
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        // At the beginning of a line a full stop would begin a macro.
        line += if line.is_empty() && word.starts_with('.') {
            "\\&"
        } else {
            ""
        };
        line += word;
    }
    out + &line + "\n"
}

/// Sentences, each on a line of its own as mdoc(7) asks.
pub(super) fn sentences(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.trim();
    while let Some(at) = end_of_sentence(rest) {
        out += &filled(&rest[..at]);
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() {
        out += &filled(rest);
    }
    out
}

/// After a full stop, where what follows begins a sentence.
fn end_of_sentence(text: &str) -> Option<usize> {
    let ends = text.match_indices(['.', '?', '!']).map(|(at, _)| at + 1);
    ends.into_iter().find(|end| {
        let next = text[*end..]
            .strip_prefix(' ')
            .and_then(|rest| rest.chars().next());
        next.is_some_and(|c| !c.is_lowercase())
    })
}

/// Paragraphs that empty lines part.
pub(super) fn paragraphs(text: &str) -> String {
    let parts: Vec<String> = text
        .split("\n\n")
        .map(|part| sentences(&part.replace('\n', " ")))
        .collect();
    parts.join(".Pp\n")
}

/// Lines as they are.
pub(super) fn literal(text: &str) -> String {
    let lines: String = text.lines().map(|line| escaped(line) + "\n").collect();
    format!(".Bd -literal -offset indent\n{lines}.Ed\n")
}
