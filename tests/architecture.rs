//! The shape of the source and of what is shipped, checked as text: which module may use which, where
//! unsafe code may be, that every file says what it is for, and that every table anyone may copy is
//! right.

use crate::harness::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The module list of `src/lib.rs`, lowest first. A module may use itself and those before it.
#[test]
fn dependencies_point_down() {
    let layers = layers();
    assert!(layers.len() > 5, "src/lib.rs lists {layers:?}");
    let mut wrong = Vec::new();
    for (file, code) in code_of(&["src"]) {
        let Some(own) =
            layer_of(&file).and_then(|name| layers.iter().position(|layer| *layer == name))
        else {
            continue;
        };
        for used in modules_used(&code) {
            match layers.iter().position(|layer| *layer == used) {
                Some(layer) if layer <= own => {}
                Some(_) => wrong.push(format!("{}: {} uses {used}", file.display(), layers[own])),
                None => wrong.push(format!("{}: crate::{used} is no module", file.display())),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the order of src/lib.rs:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn unsafe_code_is_in_sys_and_explained() {
    let mut wrong = Vec::new();
    for (file, code) in code_of(&["src"]) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in code
            .lines()
            .enumerate()
            .filter(|(_, line)| has_word(line, "unsafe"))
        {
            let place = format!("{}:{}: {}", file.display(), n + 1, line.trim());
            if layer_of(&file) != Some("sys".into()) {
                wrong.push(format!("{place}\n    unsafe code belongs in src/sys"));
            } else if line.contains("unsafe {") && !explained(&lines, n) {
                wrong.push(format!("{place}\n    no SAFETY comment above"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the statement that contains this line has a SAFETY comment before it: clippy insists on
/// one for each block, and knows better where statements begin. This sees what clippy was told to skip.
fn explained(lines: &[&str], n: usize) -> bool {
    lines[n.saturating_sub(8)..=n]
        .iter()
        .any(|line| line.contains("SAFETY:"))
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = code_of(&["src", "tests", "benches"]);
    let silent: Vec<_> = files
        .iter()
        .filter(|(file, _)| !fs::read_to_string(file).unwrap().starts_with("//! "))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert!(
        silent.is_empty(),
        "does not begin with a `//!` comment: {silent:?}"
    );
}

/// `services.toml`, every example, and every table of the README. A program or directory that this
/// machine lacks is no mistake of the table.
#[test]
fn every_shipped_table_is_right() {
    let shipped = [
        "services.toml",
        "packaging/services.toml",
        "packaging/container/services.toml",
    ];
    let mut tables: Vec<(String, String)> =
        shipped.map(|name| (name.to_string(), read(name))).into();
    for file in files(&root().join("packaging/examples"), "toml") {
        tables.push((
            file.display().to_string(),
            fs::read_to_string(&file).unwrap(),
        ));
    }
    for (n, block) in toml_blocks(&read("README.md")).into_iter().enumerate() {
        tables.push((format!("README.md, table {}", n + 1), block));
    }
    assert!(tables.len() > 10, "only {} tables were found", tables.len());
    for (name, text) in tables {
        let directory = Directory::new();
        let path = directory.file("services.toml", installed_everywhere(&text));
        let said = run(Command::new(OXINETD).args(["check", &path]).env_clear());
        assert!(
            said.code == Some(0),
            "{name}: {}{}",
            said.stdout,
            said.stderr
        );
    }
}

/// The table with programs that are everywhere in place of its own.
fn installed_everywhere(table: &str) -> String {
    let mut out = String::new();
    let mut rest = table;
    while let Some(at) = rest.find("command = [") {
        let quote = at + rest[at..].find('"').expect("a program");
        let end = quote + 1 + rest[quote + 1..].find('"').expect("the end of a program");
        out += &rest[..quote];
        out += "\"/bin/sh\"";
        rest = &rest[end + 1..];
    }
    out + rest
}

fn toml_blocks(text: &str) -> Vec<String> {
    let after = text.split("```toml\n").skip(1);
    after
        .map(|block| block.split("```").next().unwrap_or_default().to_string())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Files below a directory, sorted.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every Rust file below these directories, with comments and literals blanked.
fn code_of(directories: &[&str]) -> Vec<(PathBuf, String)> {
    let files = directories
        .iter()
        .flat_map(|directory| files(&root().join(directory), "rs"));
    files
        .map(|file| (file.clone(), blanked(&fs::read_to_string(&file).unwrap())))
        .collect()
}

fn layers() -> Vec<String> {
    let lines = read("src/lib.rs");
    let names = lines
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(String::from).collect()
}

/// `config` for `src/config/file.rs` and `src/config.rs`; none for `lib.rs` and `main.rs`.
fn layer_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = Path::new(inside.components().next()?.as_os_str())
        .file_stem()?
        .to_str()?;
    (first != "lib" && first != "main").then(|| first.to_string())
}

/// The first names after `crate::`, also of `crate::{a, b::c}`.
fn modules_used(code: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => used.push(name(rest)),
            Some(group) => used.extend(top_level(group).iter().map(|part| name(part))),
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

/// The parts between the commas of a group, up to its closing brace.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|part| part == word)
}

/// The text with comments and literals as spaces; lines stay where they are.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = comment_or_literal(rest);
        let (taken, blank) = match length {
            0 => (rest.chars().next().map_or(1, char::len_utf8), false),
            length => (length, true),
        };
        for c in rest[..taken].chars() {
            out.push(if blank && c != '\n' { ' ' } else { c });
        }
        rest = &rest[taken..];
    }
    out
}

/// How many bytes a comment or literal that begins here has; 0 when none does.
fn comment_or_literal(text: &str) -> usize {
    let until = |from: usize, end: &str| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
        if raw[hashes..].starts_with('"') {
            return until(hashes + 2, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    match text.as_bytes() {
        [b'"', ..] => end_of_quoted(text, b'"'),
        // A character, not a lifetime.
        [b'\'', b'\\', ..] => end_of_quoted(text, b'\''),
        [b'\'', ..] => match text.char_indices().nth(2) {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        _ => 0,
    }
}

fn end_of_quoted(text: &str, quote: u8) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn the_reader_of_sources_sees_code_only() {
    let code = blanked(
        "a // unsafe\n\"crate::log\" 'x' '\"' b'\\'' r#\"unsafe \"\"# &'a T /* x\ny */ end",
    );
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>(),
        ["a", "b", "&'a", "T", "end"]
    );
    assert_eq!(code.lines().count(), 3);
    let used = modules_used("use crate::{sys::fd::{raise, Fd}, table::Table}; crate::log::x()");
    assert_eq!(used, ["sys", "table", "log"]);
    assert!(has_word("  unsafe {", "unsafe") && !has_word("deny(unsafe_code)", "unsafe"));
    let table = "a\ncommand = [\n    \"/x/y\", \"-i\"]\nb";
    assert_eq!(
        installed_everywhere(table),
        "a\ncommand = [\n    \"/bin/sh\", \"-i\"]\nb"
    );
}
