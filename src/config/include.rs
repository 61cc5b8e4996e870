//! `[server] include`: from patterns to files.

use super::file::reason;
use super::mistake::{Located, Mistake};
use super::words::quoted;
use std::io;
use std::path::{Path, PathBuf};

/// The files that a pattern stands for, sorted by name. `base` is the directory of the table. A
/// directory that does not exist is only a warning: packages and people make it later.
pub(super) fn expand(pattern: &Located<String>, base: &Path) -> Result<Vec<PathBuf>, Mistake> {
    expand_text(&pattern.value, base).map_err(|mistake| mistake.at(&pattern.place))
}

fn expand_text(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, Mistake> {
    // The directory keeps its slash: that of "/x.toml" is "/".
    let (directory, last) = pattern.split_at(pattern.rfind('/').map_or(0, |slash| slash + 1));
    if has_wildcard(directory) {
        return Err(
            Mistake::new("only the last part of a path can have * and ?")
                .help("name each directory: include = [\"a/*.toml\", \"b/*.toml\"]"),
        );
    }
    let directory = if directory.is_empty() {
        base.to_owned()
    } else {
        base.join(directory)
    };
    match has_wildcard(last) {
        true => matching(&directory, last),
        false => one(directory.join(last), pattern),
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// A file that was named must be there.
fn one(path: PathBuf, pattern: &str) -> Result<Vec<PathBuf>, Mistake> {
    if path.is_dir() {
        let help = format!(
            "write {}",
            quoted(&format!("{}/*.toml", pattern.trim_end_matches('/')))
        );
        return Err(Mistake::new(format!("{} is a directory", quoted(pattern))).help(help));
    }
    if !pattern.ends_with(".toml") {
        return Err(
            Mistake::new("only files whose names end in .toml are included")
                .help("rename the file"),
        );
    }
    match path.metadata() {
        Ok(_) => Ok(vec![path]),
        Err(error) => Err(Mistake::new(format!(
            "cannot include {}: {}",
            quoted(pattern),
            reason(&error)
        ))
        .help("a name is relative to the directory of this file; one with * may match nothing")),
    }
}

/// Regular files that match, without those that editors and package managers leave behind.
fn matching(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Mistake> {
    let cannot_read = |error: io::Error| {
        let shown = quoted(&directory.display().to_string());
        Mistake::new(format!(
            "cannot read the directory {shown}: {}",
            reason(&error)
        ))
    };
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let help =
                "make it or correct the path, which is relative to the directory of this file";
            return Err(cannot_read(error).help(help).warning());
        }
        entries => entries.map_err(cannot_read)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(cannot_read)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let fits = name.ends_with(".toml") && !name.starts_with('.') && matches(pattern, &name);
        if fits && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a name fits a pattern with `*` and `?`, in time proportional to the product of lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // After the last star: where to go on in the pattern, and how much of the name it has taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((after, taken)) = star else {
                    return false;
                };
                star = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*", ""),
            ("a*b*c", "aXbXbc"),
            ("?é", "xé"),
            ("**", "a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.toml", "a.tom"),
            ("a*b", "ac"),
            ("?", ""),
            ("?", "ab"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        let hostile = "*a".repeat(50) + "b";
        assert!(!matches(&hostile, &"a".repeat(200)));
    }

    #[test]
    fn files_come_sorted_without_debris() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "b.toml",
            "a.toml",
            ".c.toml",
            "d.toml~",
            "e.toml.dpkg-old",
            "f.conf",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("g.toml")).unwrap();
        std::os::unix::fs::symlink("/none", directory.path().join("h.toml")).unwrap();
        let expand = |pattern| expand_text(pattern, directory.path());
        let expected = [
            directory.path().join("a.toml"),
            directory.path().join("b.toml"),
        ];
        assert_eq!(expand("*").unwrap(), expected);
        assert_eq!(expand("x*.toml").unwrap(), Vec::<PathBuf>::new());
        assert!(expand("none/*.toml").unwrap_err().is_warning());
        assert!(expand("none.toml").is_err());
        assert!(expand("*/x.toml").is_err());
        assert!(expand("g.toml").is_err());
        assert!(expand("f.conf").is_err());
    }
}
