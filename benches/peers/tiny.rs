//! The programs that are started: as small as can be, so that the server's part shows.

use std::path::Path;
use std::process::Command;

/// Built from tiny.c; without a compiler programs that every system has.
pub(crate) struct Tiny {
    /// Answers [`super::TOLD`].
    pub(crate) answers: Vec<String>,
    /// Answers likewise, and waits for the client's end.
    pub(crate) waits: Vec<String>,
    /// What there is to say about it.
    pub(crate) note: &'static str,
}

impl Tiny {
    pub(crate) fn build() -> Tiny {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/tiny.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny");
        let is_built = Command::new("gcc")
            .args(["-O2", "-static", "-nostdlib", "-o"])
            .arg(&program)
            .arg(source)
            .status()
            .is_ok_and(|status| status.success());
        let program = program.display().to_string();
        match is_built {
            true => Tiny {
                answers: vec![program.clone()],
                waits: vec![program, "wait".into()],
                note: "a static program of 9 kB that writes three bytes",
            },
            false => Tiny {
                answers: vec!["/bin/echo".into(), "ok".into()],
                waits: vec!["/bin/sh".into(), "-c".into(), "echo ok; exec cat".into()],
                note: "/bin/echo, since there is no gcc",
            },
        }
    }
}
