//! What the fuzzer found worth keeping, replayed: every file of `fuzz/corpus/TARGET` through the
//! function that the fuzzer calls. `fuzz/run` makes them; `fuzz/log.md` says how long it has looked.

mod targets;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn what_the_fuzzer_found_is_taken() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let files = files(&corpus.join(name));
        assert!(!files.is_empty(), "fuzz/corpus/{name} is empty");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            // Said only where the test fails: a target panics without naming its input.
            println!("{}", file.display());
            target(&bytes);
        }
    }
}

/// A directory that no target reads is a target that was renamed.
#[test]
fn every_corpus_has_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for directory in files(&corpus) {
        let name = directory.file_name().unwrap().to_str().unwrap();
        assert!(
            targets::ALL.iter().any(|(target, _)| *target == name),
            "fuzz/corpus/{name} has no target"
        );
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
