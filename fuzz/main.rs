//! Feeds one of the targets in `tests/fuzz/targets` to libFuzzer; TARGET in the environment names it.
//!
//! One program for all of them: it is built once. Names of hosts are never looked up here, and what
//! would have asked for one is left out of the corpus, so that the replay asks nobody either.

#![no_main]

#[path = "../tests/fuzz/targets/mod.rs"]
mod targets;

use libfuzzer_sys::{Corpus, fuzz_target};
use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static HAS_ASKED: AtomicBool = AtomicBool::new(false);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    static TARGET: OnceLock<targets::Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("TARGET").unwrap_or_default();
        let found = targets::ALL.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("TARGET={name} is none of the targets")).1
    });
    target(bytes);
    match HAS_ASKED.swap(false, Ordering::Relaxed) {
        true => Corpus::Reject,
        false => Corpus::Keep,
    }
});

/// Stands in for the C library's getaddrinfo(3): there is no such host.
///
/// # Safety
///
/// Reads and writes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(_: *const u8, _: *const u8, _: *const u8, _: *mut u8) -> c_int {
    const EAI_NONAME: c_int = -2;
    HAS_ASKED.store(true, Ordering::Relaxed);
    EAI_NONAME
}
