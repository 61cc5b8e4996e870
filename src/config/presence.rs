//! Whether a program and its directories are there: warnings, since they may come later.

use super::file::reason;
use super::mistake::{Located, Mistake};
use super::words::quoted;
use crate::sys::Errno;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where absolute paths begin for the program.
#[derive(Clone, Copy)]
pub(super) struct Root<'p>(pub(super) Option<&'p str>);

impl Root<'_> {
    /// Opens a path as the program would see it.
    fn open(self, path: &str, flags: i32) -> io::Result<File> {
        let path = match self.0 {
            Some(root) => resolve_inside(Path::new(root), Path::new(path))?,
            None => PathBuf::from(path),
        };
        // O_NONBLOCK: what is there may be a FIFO.
        let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags).open(path)
    }

    fn inside(self) -> String {
        self.0
            .map(|root| format!(" inside {}", quoted(root)))
            .unwrap_or_default()
    }
}

/// Follows links as after chroot(2): one to `/bin` means the one inside the root. openat2(2) could
/// do this, but old kernels and sandboxes lack it.
fn resolve_inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    const MOST_LINKS: usize = 40;
    let mut inside = PathBuf::new();
    let mut links = 0;
    let mut rest: VecDeque<OsString> = path
        .components()
        .map(|part| part.as_os_str().to_owned())
        .collect();
    while let Some(part) = rest.pop_front() {
        match part.as_encoded_bytes() {
            b"/" => inside.clear(),
            b"." => {}
            b".." => drop(inside.pop()),
            _ => inside.push(&part),
        }
        let Ok(target) = root.join(&inside).read_link() else {
            continue;
        };
        // The root itself may be a link: that one was followed before.
        if inside.as_os_str().is_empty() {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::ELOOP.into());
        }
        inside.pop();
        for part in target.components().rev() {
            rest.push_front(part.as_os_str().to_owned());
        }
    }
    Ok(root.join(inside))
}

/// Says why a program could not be run now, as far as can be seen without running it.
pub(super) fn check(program: &Located<String>, root: Root) -> Option<Mistake> {
    let warn = |message: String, help: &str| {
        Some(
            Mistake::new(message)
                .at(&program.place)
                .help(help)
                .warning(),
        )
    };
    let shown = quoted(&program.value);
    let file = match root.open(&program.value, libc::O_PATH) {
        Ok(file) => file,
        Err(error) if cannot_tell(&error) => return None,
        Err(error) => {
            let message = format!(
                "cannot find the program {shown}{}: {}",
                root.inside(),
                reason(&error)
            );
            let help = match words_apart(&program.value, root) {
                Some(words) => format!("write each argument as a string of its own: {words}"),
                None => "install it or correct the path; until then clients get nothing".to_owned(),
            };
            return warn(message, &help);
        }
    };
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() {
        return warn(
            format!("{shown} is not a program"),
            "name the program's file",
        );
    }
    if metadata.mode() & 0o111 == 0 {
        return warn(
            format!("{shown} may not be executed"),
            "for example: chmod +x FILE",
        );
    }
    let interpreter = match beginning(root, &program.value)? {
        Beginning::Script(interpreter) => interpreter,
        Beginning::Text => {
            return warn(
                format!("{shown} is a script without a #! line"),
                "its first line says what runs it, for example #!/bin/sh",
            );
        }
        Beginning::Other => return None,
    };
    match root.open(&interpreter, libc::O_PATH) {
        Err(error) if !cannot_tell(&error) => {
            let message = format!(
                "the script {shown} needs {}{}: {}",
                quoted(&interpreter),
                root.inside(),
                reason(&error)
            );
            match interpreter.ends_with('\r') {
                true => warn(
                    message,
                    "its lines end in \\r\\n as on Windows: sed -i 's/\\r$//' FILE",
                ),
                false => warn(message, "install it or correct the script's first line"),
            }
        }
        _ => None,
    }
}

/// A program and its arguments that were written as one string, where the program is there.
fn words_apart(command: &str, root: Root) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (program, arguments) = words.split_first()?;
    root.open(program, libc::O_PATH)
        .ok()
        .filter(|_| !arguments.is_empty())?;
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    Some(words.join(", "))
}

/// Says why a program could not start in this directory.
pub(super) fn check_directory(directory: &Located<String>, root: Root) -> Option<Mistake> {
    match root.open(&directory.value, libc::O_PATH | libc::O_DIRECTORY) {
        Err(error) if !cannot_tell(&error) => {
            let shown = quoted(&directory.value);
            let message = format!(
                "cannot find the directory {shown}{}: {}",
                root.inside(),
                reason(&error)
            );
            Some(
                Mistake::new(message)
                    .at(&directory.place)
                    .help("make it; until then clients get nothing")
                    .warning(),
            )
        }
        _ => None,
    }
}

enum Beginning {
    /// `#!` and this path.
    Script(String),
    /// Text of another kind, which the kernel does not run.
    Text,
    Other,
}

fn beginning(root: Root, path: &str) -> Option<Beginning> {
    let mut bytes = Vec::new();
    root.open(path, 0)
        .ok()?
        .take(256)
        .read_to_end(&mut bytes)
        .ok()?;
    let Some(line) = bytes.strip_prefix(b"#!") else {
        let is_text = bytes
            .iter()
            .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'));
        return Some(if is_text {
            Beginning::Text
        } else {
            Beginning::Other
        });
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let interpreter = line
        .trim_matches([' ', '\t'])
        .split([' ', '\t'])
        .next()
        .unwrap_or_default();
    Some(match interpreter.starts_with('/') {
        true => Beginning::Script(interpreter.to_owned()),
        false => Beginning::Other,
    })
}

/// Errors that say nothing about the program: mostly a directory that we may not look into although
/// the program's user may.
fn cannot_tell(error: &io::Error) -> bool {
    let known = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG];
    !error
        .raw_os_error()
        .is_some_and(|number| known.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::super::mistake::Place;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn message(path: &str, root: Option<&str>) -> Option<String> {
        let program = Located::new(path.to_owned(), Place::Nowhere);
        check(&program, Root(root)).map(|mistake| mistake.message().to_owned())
    }

    #[test]
    fn what_the_kernel_would_not_run_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        write(Path::new(&path("plain")), "#!/bin/sh\n", 0o644);
        write(Path::new(&path("orphan")), "#! /none/sh -e\n", 0o755);
        write(Path::new(&path("windows")), "#!/bin/sh\r\necho\r\n", 0o755);
        write(Path::new(&path("bare")), "echo\n", 0o755);
        write(Path::new(&path("right")), "#!/bin/sh\n", 0o755);
        let shown = |name: &str| quoted(&path(name));
        assert_eq!(
            message(&path("plain"), None),
            Some(format!("{} may not be executed", shown("plain")))
        );
        assert_eq!(
            message(&path("orphan"), None),
            Some(format!(
                "the script {} needs \"/none/sh\": no such file or directory",
                shown("orphan")
            ))
        );
        assert!(
            message(&path("windows"), None)
                .unwrap()
                .contains("\"/bin/sh\\r\"")
        );
        assert_eq!(
            message(&path("bare"), None),
            Some(format!("{} is a script without a #! line", shown("bare")))
        );
        assert_eq!(message(&path("right"), None), None);
        assert_eq!(
            message("/bin", None),
            Some("\"/bin\" is not a program".into())
        );
    }

    #[test]
    fn paths_in_a_new_root_stay_inside_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        write(&directory.path().join("bin/real"), "\x7fELF", 0o755);
        std::os::unix::fs::symlink("../../../bin/real", directory.path().join("bin/link")).unwrap();
        std::os::unix::fs::symlink("/bin/link", directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/loop", directory.path().join("loop")).unwrap();
        assert_eq!(message("/link", Some(root)), None);
        assert!(
            message("/loop", Some(root))
                .unwrap()
                .ends_with("too many symbolic links encountered")
        );
        assert!(
            message("/bin/sh", Some(root))
                .unwrap()
                .starts_with("cannot find the program \"/bin/sh\" inside ")
        );
    }
}
