//! Opens a file of the table, or of a list that it names, and reads it once: what is checked is what
//! is read.
//!
//! Only regular files of a sane size are read, and opening never blocks. A file that others may
//! write is a mistake or a warning, by the state of the descriptor that was opened.

use super::host::Host;
use super::mistake::{Mistake, Mistakes, Place};
use super::source::Source;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What differs between the files that are read.
struct Kind {
    /// The largest that is read, in bytes.
    largest: u64,
    /// What to do about one that is larger.
    smaller: &'static str,
    /// What to do about one that is not there.
    missing: &'static str,
    /// What to do about a directory.
    directory: &'static str,
    /// What whoever can write it decides.
    power: &'static str,
}

const TABLE: Kind = Kind {
    largest: 16 << 20,
    smaller: "a table is small; split a large one with [server] include",
    missing: "create it or correct its name; another table is named by --config FILE, or check FILE",
    directory: "name a file in it; [server] include takes \"DIRECTORY/*.toml\"",
    power: "what is run",
};

const LIST: Kind = Kind {
    largest: 96 << 20,
    smaller: "join neighbours to larger prefixes, or leave it to a firewall",
    missing: "create it or correct its name, which is relative to the directory of the table",
    directory: "name each file in it",
    power: "who gets in",
};

/// With more bytes than this that are not UTF-8, a file is not text at all.
const MOST_BAD_BYTES: usize = 100;

/// A file's text, and what is wrong with the file without being a reason to stop reading it.
pub(super) struct Opened {
    pub(super) source: Arc<Source>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
    /// Device and inode: two paths with the same ones are one file.
    pub(super) inode: (u64, u64),
}

/// Reads a file of the table. `order` is its rank when mistakes are sorted.
pub(super) fn read(path: &Path, order: u32, host: &Host) -> Result<Opened, Mistakes> {
    read_kind(path, order, host, &TABLE)
}

/// Reads a file that `allow`, `deny` or `exempt` names.
pub(super) fn read_list(path: &Path, order: u32, host: &Host) -> Result<Opened, Mistakes> {
    read_kind(path, order, host, &LIST)
}

fn read_kind(path: &Path, order: u32, host: &Host, kind: &Kind) -> Result<Opened, Mistakes> {
    let name = path.display().to_string();
    read_text(path, kind)
        .map_err(|mistake| unread(&name, order, mistake))
        .map(|(metadata, text, bad)| {
            let source = Arc::new(Source::new(name, text, order));
            let mistakes = bad
                .into_iter()
                .map(|span| not_utf8(&source, span))
                .collect();
            let inode = (metadata.dev(), metadata.ino());
            let mut opened = Opened {
                source,
                mistakes,
                warnings: Vec::new(),
                inode,
            };
            check_safety(&mut opened, &metadata, host, kind);
            opened
        })
}

fn unread(name: &str, order: u32, mistake: Mistake) -> Mistakes {
    let source = Arc::new(Source::new(name.to_owned(), String::new(), order));
    mistake.at(&Place::File(source)).into()
}

/// The text, and where in it bytes were that are not UTF-8.
fn read_text(path: &Path, kind: &Kind) -> Result<(Metadata, String, Vec<Range<usize>>), Mistake> {
    // O_NONBLOCK: a FIFO without a writer would hold us for ever.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let (file, metadata) = open
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
        .map_err(|error| cannot_read(&error, kind))?;
    check_type(&metadata, kind)?;
    let bytes = contents(file, kind)?;
    let (text, bad) = decode(&bytes)?;
    Ok((metadata, text, bad))
}

fn cannot_read(error: &io::Error, kind: &Kind) -> Mistake {
    let mistake = Mistake::new(match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => format!("cannot read this file: {}", reason(error)),
    });
    match error.kind() {
        io::ErrorKind::NotFound => mistake.help(kind.missing),
        io::ErrorKind::PermissionDenied => mistake.help("run as root, or let this user read it"),
        _ => mistake,
    }
}

/// The system's words, without the number that the standard library adds.
pub(super) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => crate::sys::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

fn check_type(metadata: &Metadata, kind: &Kind) -> Result<(), Mistake> {
    let file_type = metadata.file_type();
    let what = match () {
        () if file_type.is_file() => return Ok(()),
        () if file_type.is_dir() => "a directory",
        () if file_type.is_fifo() => "a FIFO",
        () if file_type.is_socket() => "a socket",
        () => "a device",
    };
    let mistake = Mistake::new(format!("this is {what}, not a file"));
    Err(match file_type.is_dir() {
        true => mistake.help(kind.directory),
        false => mistake.help("only regular files are read"),
    })
}

fn contents(file: File, kind: &Kind) -> Result<Vec<u8>, Mistake> {
    let mut bytes = Vec::new();
    file.take(kind.largest + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot_read(&error, kind))?;
    match bytes.len() as u64 > kind.largest {
        true => Err(Mistake::new(format!(
            "this file is larger than {} MiB",
            kind.largest >> 20
        ))
        .help(kind.smaller)),
        false => Ok(bytes),
    }
}

/// Drops a byte order mark, and replaces what is not UTF-8.
fn decode(bytes: &[u8]) -> Result<(String, Vec<Range<usize>>), Mistake> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (mut text, mut bad) = (String::with_capacity(bytes.len()), Vec::new());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            let start = text.len();
            text.push(char::REPLACEMENT_CHARACTER);
            bad.push(start..text.len());
        }
    }
    if bad.len() > MOST_BAD_BYTES || bytes.contains(&0) {
        return Err(Mistake::new("this is not a text file")
            .help("write it in UTF-8 (editors may save \"Unicode\" as UTF-16)"));
    }
    Ok((text, bad))
}

fn not_utf8(source: &Arc<Source>, span: Range<usize>) -> Mistake {
    Mistake::new("this character is not UTF-8")
        .at(&Place::Text(source.clone(), span))
        .help("save the file as UTF-8, for example: iconv -f latin1 -t utf-8 OLD > NEW")
}

/// Whoever can write the table can run programs with our rights.
fn check_safety(opened: &mut Opened, metadata: &Metadata, host: &Host, kind: &Kind) {
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let name = opened.source.name();
    let about = |message: String, help: String| {
        Mistake::new(message)
            .at(&Place::File(opened.source.clone()))
            .help(help)
    };
    let anyone = mode & 0o002 != 0;
    if anyone {
        let mistake = about(
            format!("anyone may write this file (mode {:04o})", mode & 0o7777),
            format!("chmod o-w {name}"),
        );
        match host.privileged {
            true => opened.mistakes.push(mistake),
            false => opened.warnings.push(mistake.warning()),
        }
    }
    if mode & 0o020 != 0 && !anyone {
        let message = format!("its group may write this file (mode {:04o})", mode & 0o7777);
        opened
            .warnings
            .push(about(message, format!("chmod g-w {name}")).warning());
    }
    if owner != 0 && owner != host.uid {
        let message = format!(
            "this file belongs to user id {owner}, who decides {}",
            kind.power
        );
        opened
            .warnings
            .push(about(message, format!("chown {} {name}", host.uid)).warning());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    fn host(privileged: bool) -> Host {
        let uid = crate::sys::user::credentials().uid;
        Host {
            privileged,
            uid,
            gid: 0,
            lowest_port: 0,
            groups: Vec::new(),
            env: BTreeMap::new(),
            handed: None,
        }
    }

    fn message_for(path: &Path) -> String {
        let Err(mistakes) = read(path, 0, &host(true)) else {
            panic!("{path:?} was read")
        };
        mistakes.0[0].message().to_owned()
    }

    #[test]
    fn only_regular_files_are_read_and_nothing_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(
            message_for(directory.path()),
            "this is a directory, not a file"
        );
        assert_eq!(message_for(&fifo), "this is a FIFO, not a file");
        assert_eq!(
            message_for(Path::new("/dev/null")),
            "this is a device, not a file"
        );
        assert_eq!(
            message_for(&directory.path().join("none")),
            "there is no such file"
        );
        assert_eq!(
            message_for(Path::new("/dev/null/x")),
            "cannot read this file: not a directory"
        );
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(TABLE.largest + 1).unwrap();
        assert_eq!(message_for(file.path()), "this file is larger than 16 MiB");
    }

    #[test]
    fn a_file_that_others_may_write_is_a_mistake_only_for_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = |mode, privileged| {
            file.as_file()
                .set_permissions(std::fs::Permissions::from_mode(mode))
                .unwrap();
            let opened = read(file.path(), 0, &host(privileged)).ok().unwrap();
            (opened.mistakes.len(), opened.warnings.len())
        };
        assert_eq!(found(0o644, true), (0, 0));
        assert_eq!(found(0o666, true), (1, 0));
        assert_eq!(found(0o666, false), (0, 1));
        assert_eq!(found(0o664, true), (0, 1));
    }

    #[test]
    fn text_is_utf8_with_or_without_a_byte_order_mark() {
        assert_eq!(decode(b"\xEF\xBB\xBFa").unwrap(), ("a".into(), vec![]));
        let (text, invalid) = decode(b"a\xE9b").unwrap();
        assert_eq!((text.as_str(), invalid.len()), ("a\u{FFFD}b", 1));
        assert_eq!(invalid[0], 1..4);
        assert!(decode(b"\xFF\xFEa\0").is_err());
        assert!(decode(&[0xFF; 101]).is_err());
    }
}
