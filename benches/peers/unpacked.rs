//! Where the programs of other superservers are: what `fetch` (or `tests/run`) has unpacked below the
//! build's directory, or else a message that says what to run. Used by the measurements here and by
//! the conformance suite in tests/.

use std::path::Path;
use std::process::Command;

/// A program of a package, run through the dynamic loader with the package's libraries, so that no
/// variable reaches what it starts.
pub(crate) fn unpacked(package: &str, path: &str) -> Result<Command, String> {
    let missing = || format!("{package} is missing: run benches/peers/fetch");
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let build = build.ok_or_else(missing)?;
    let roots = [build.join("peers").join(package), build.join("programs")];
    let root = roots.iter().find(|root| root.join(path).exists());
    let root = root.ok_or_else(missing)?;
    let program = root.join(path);
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .ok_or("no dynamic loader is known for this machine")?;
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries: Vec<String> = ["usr/lib", "lib"]
        .iter()
        .flat_map(|lib| [format!("{lib}/{triple}"), format!("{lib}/{triple}/systemd")])
        .map(|path| root.join(path).display().to_string())
        .collect();
    let mut command = Command::new(loader);
    command.args(["--library-path", &libraries.join(":")]);
    command.arg(program);
    Ok(command)
}
