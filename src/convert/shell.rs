//! Words of a command line in a script: quotes and backslashes, but nothing that a shell computes.

/// A command of a script, and the line that it begins on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    /// What a shell would have to compute.
    pub(super) computed: Option<String>,
}

/// Lines, each with those that continue it after a backslash, and the number of its first, from 1.
pub(super) fn continued<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (String, usize)> {
    let mut lines = lines.zip(1..);
    std::iter::from_fn(move || {
        let (first, number) = lines.next()?;
        let mut line = first.to_owned();
        while line.ends_with('\\') {
            line.pop();
            match lines.next() {
                Some((next, _)) => line.push_str(next),
                None => break,
            }
        }
        Some((line, number))
    })
}

/// The commands of a script, as far as they are plain ones.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let joined = text.replace("\\\r\n", "\\\n");
    let mut commands = Vec::new();
    // One that is quoted may go on, too: rare, and left out.
    for (line, number) in continued(joined.split('\n')) {
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            commands.push(split(&line, number));
        }
    }
    commands
}

fn split(line: &str, number: usize) -> Command {
    let (mut words, mut word, mut computed) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' => words.extend(word.take()),
            '\'' => word
                .get_or_insert_default()
                .extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => word.extend(chars.next()),
                        '$' | '`' => computed = Some(c.to_string()),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '#' if word.is_none() => break,
            '$' | '`' | '*' | '?' | ';' | '|' | '&' | '(' | ')'
                if !is_redirection(word.as_deref(), c) =>
            {
                computed = Some(c.to_string());
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.retain(|word| !matches!(word.as_str(), "2>&1" | "1>&2" | ">&2"));
    Command {
        line: number,
        words,
        computed,
    }
}

/// `2>&1` and the like.
fn is_redirection(word: Option<&str>, c: char) -> bool {
    c == '&' && word.is_some_and(|word| word.ends_with('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let text = "#!/bin/sh\nexec tcpserver -v \\\n  0 'a b' \"c \\\" d\" e\\ f 2>&1\necho $X\n";
        let commands = commands(text);
        assert_eq!(
            commands[0].words,
            ["exec", "tcpserver", "-v", "0", "a b", "c \" d", "e f"]
        );
        assert_eq!((commands[0].line, &commands[0].computed), (2, &None));
        assert_eq!(commands[1].computed.as_deref(), Some("$"));
    }
}
