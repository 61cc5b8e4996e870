//! A directory for one test, open to every user, removed at the end.

use super::ORDINARY_USER;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The directory. Not below `TMPDIR`, which some systems make private to the user: services run as
/// others.
#[derive(Debug)]
pub(crate) struct Directory(TempDir);

impl Directory {
    /// Makes an empty one.
    pub(crate) fn new() -> Directory {
        let directory = tempfile::Builder::new()
            .prefix("oxinetd-")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Directory(directory)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a name in it, as text.
    pub(crate) fn join(&self, name: &str) -> String {
        self.0
            .path()
            .join(name)
            .to_str()
            .expect("a UTF-8 path")
            .to_string()
    }

    /// Makes a directory in it, open to all, and says where.
    pub(crate) fn directory(&self, name: &str) -> String {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file that anyone may read.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        self.install(name, text.as_ref(), "0644")
    }

    /// Writes a program, usually a script, that anyone may run.
    pub(crate) fn program(&self, name: &str, text: &str) -> String {
        self.install(name, text.as_bytes(), "0755")
    }

    /// A copy of a program of the build that any user can reach.
    pub(crate) fn program_of_build(&self, from: &Path, name: &str) -> String {
        let to = self.join(name);
        if Path::new(&to).exists() || fs::hard_link(from, &to).is_ok() {
            return to;
        }
        let copied = Command::new("cp").arg(from).arg(&to).status().unwrap();
        assert!(copied.success(), "cannot copy {} to {to}", from.display());
        to
    }

    /// The path of the probe, in this directory.
    pub(crate) fn probe(&self) -> String {
        self.program_of_build(&probe_of_build(), "probe")
    }

    /// Gives the directory and all in it to the ordinary user of the tests.
    pub(crate) fn give_away(&self) {
        let owner = format!("{ORDINARY_USER}:{ORDINARY_USER}");
        // Not the files of the build that are linked here: they have another directory too.
        let given = Command::new("find")
            .arg(self.path())
            .args([
                "(", "-type", "d", "-o", "-links", "1", ")", "-exec", "chown", "-h",
            ])
            .args([&owner, "{}", "+"])
            .status()
            .unwrap();
        assert!(
            given.success(),
            "cannot give {} to {owner}",
            self.path().display()
        );
    }

    /// Another process does the writing. Were it this one, a child that another test forks at this
    /// moment would hold the file open for writing, and running it would fail with ETXTBSY.
    fn install(&self, name: &str, bytes: &[u8], mode: &str) -> String {
        let path = self.join(name);
        let mut install = Command::new("install")
            .args(["-m", mode, "/dev/stdin", &path])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        install
            .stdin
            .take()
            .expect("a pipe")
            .write_all(bytes)
            .unwrap();
        assert!(install.wait().unwrap().success(), "cannot write {path}");
        path
    }
}

/// Where cargo put the `probe` example.
fn probe_of_build() -> PathBuf {
    let probe = Path::new(super::OXINETD)
        .with_file_name("examples")
        .join("probe");
    assert!(
        probe.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test tests` needs `cargo build --examples` first",
        probe.display()
    );
    probe
}
