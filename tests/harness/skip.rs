//! Tests that cannot run everywhere: they say why, past the capture of the test runner, and pass.

use std::io::Write;

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says that this test was skipped, and why.
pub(crate) fn skip(why: &str) {
    let test = std::thread::current()
        .name()
        .unwrap_or("a test")
        .to_string();
    // `eprintln` would be captured, and nobody would learn what was not tested.
    // One write: other tests say such things at the same time.
    let _ = std::io::stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}

/// True, after saying so, when a test that needs root cannot run:
/// `if without_root("changes users") { return }`.
pub(crate) fn without_root(why: &str) -> bool {
    if !is_root() {
        skip(&format!("needs root: {why}"));
    }
    !is_root()
}
