//! `add`, `remove`, `enable` and `disable`: what becomes of the file itself.

use crate::harness::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

const TABLE: &str = "[service.a]\nlisten = 7001\nbuiltin = \"echo\"\n\n[service.b]\nlisten = 7002\nbuiltin = \"echo\"\n";
const DISABLED: &str = "[service.a]\nenabled = false\nlisten = 7001\nbuiltin = \"echo\"\n\n[service.b]\nlisten = 7002\nbuiltin = \"echo\"\n";

fn names(directory: &Directory) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn disable_a(path: &str) -> Ran {
    run(&mut oxinetd(&[
        "disable",
        "a",
        "--config",
        path,
        "--no-reload",
    ]))
}

/// As an ordinary user where the tests run as root.
fn disable_a_as_nobody(directory: &Directory, path: &str) -> Ran {
    let program = directory.program_of_build(std::path::Path::new(OXINETD), "oxinetd");
    let mut command = Command::new(program);
    command.args(["disable", "a", "--config", path]);
    if is_root() {
        become_user(&mut command, ORDINARY_USER);
    }
    run(&mut command)
}

#[test]
fn mode_owner_and_group_stay() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&path, Some(61234), Some(61235)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    disable_a(&path).ok();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert_eq!(after.mode() & 0o7777, 0o640);
    assert_ne!(after.ino(), before.ino(), "it is another file, renamed");
    assert_eq!(fs::read_to_string(&path).unwrap(), DISABLED);
    assert_eq!(names(&directory), ["t.toml"]);
}

#[test]
fn through_a_symbolic_link() {
    let directory = Directory::new();
    directory.directory("real");
    let target = directory.file("real/table", TABLE);
    let link = directory.join("t.toml");
    symlink("real/table", &link).unwrap();
    let ran = disable_a(&link).ok();
    assert_eq!(ran.stdout, format!("disabled service a: {link}:2\n"));
    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("real/table"));
    assert_eq!(fs::read_to_string(&target).unwrap(), DISABLED);
    assert_eq!(names(&directory), ["real", "t.toml"]);
}

#[test]
fn a_hard_link_is_refused() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    fs::hard_link(&path, directory.join("other")).unwrap();
    let ran = disable_a(&path);
    let expected = format!(
        "oxinetd disable: {path} has 2 names (hard links), of which only one would get the new text: edit it by \
         hand\n"
    );
    assert_eq!((ran.code, ran.stderr), (Some(71), expected));
    assert_eq!(fs::read_to_string(&path).unwrap(), TABLE);
}

#[test]
fn a_file_that_the_caller_may_not_write_is_refused() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    if !is_root() {
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    }
    let ran = disable_a_as_nobody(&directory, &path);
    let expected = format!("oxinetd disable: cannot write {path}: permission denied (EACCES)\n");
    assert_eq!((ran.code, ran.stderr), (Some(77), expected));
    assert_eq!(fs::read_to_string(&path).unwrap(), TABLE);
}

#[test]
fn a_directory_that_the_caller_may_not_write_is_refused() {
    if without_root("makes files of two users") {
        return;
    }
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    std::os::unix::fs::chown(&path, Some(ORDINARY_USER), None).unwrap();
    let ran = disable_a_as_nobody(&directory, &path);
    let expected = format!(
        "oxinetd disable: cannot write in {}: permission denied (EACCES)\n",
        directory.path().display()
    );
    assert_eq!((ran.code, ran.stderr), (Some(77), expected));
}

#[test]
fn an_owner_that_cannot_be_kept_is_a_refusal() {
    if without_root("makes files of two users") {
        return;
    }
    let directory = Directory::new();
    let own = directory.directory("own");
    let path = directory.file("own/t.toml", TABLE);
    fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
    std::os::unix::fs::chown(&path, None, Some(ORDINARY_USER)).unwrap();
    std::os::unix::fs::chown(&own, Some(ORDINARY_USER), None).unwrap();
    let ran = disable_a_as_nobody(&directory, &path);
    assert_eq!(ran.code, Some(77));
    let expected = format!(
        "oxinetd disable: cannot keep owner, group and mode (0:61234, 0664) of {path}: operation not permitted \
         (EPERM)"
    );
    assert_eq!(ran.stderr.lines().last(), Some(expected.as_str()));
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
}

#[test]
fn a_caller_without_rights_may_still_look() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    let program = directory.program_of_build(std::path::Path::new(OXINETD), "oxinetd");
    let mut command = Command::new(program);
    command.args(["disable", "a", "--dry-run", "--config", &path]);
    if is_root() {
        become_user(&mut command, ORDINARY_USER);
    }
    let ran = run(&mut command).ok();
    assert!(
        ran.stdout.ends_with("nothing was written (--dry-run)\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_stay() {
    let directory = Directory::new();
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let path = directory.file("t.toml", windows(TABLE));
    disable_a(&path).ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), windows(DISABLED));
    let words = [
        "add",
        "c",
        "--config",
        &path,
        "--listen",
        "7003",
        "--builtin",
        "echo",
    ];
    run(&mut oxinetd(&words)).ok();
    let added = "\n[service.c]\nlisten = 7003\nbuiltin = \"echo\"\n";
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        windows(&format!("{DISABLED}{added}"))
    );
}

#[test]
fn a_missing_newline_at_the_end_is_no_trap() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE.trim_end());
    let words = [
        "add",
        "c",
        "--config",
        &path,
        "--listen",
        "7003",
        "--builtin",
        "echo",
    ];
    run(&mut oxinetd(&words)).ok();
    let added = "\n[service.c]\nlisten = 7003\nbuiltin = \"echo\"\n";
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{TABLE}{added}")
    );
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let directory = Directory::new();
    let path = directory.join("t.toml");
    let ran = disable_a(&path);
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr
            .starts_with(&format!("{path}: there is no such file\n")),
        "{}",
        ran.stderr
    );
    assert_eq!(names(&directory), Vec::<String>::new());
}

/// Many at once: each either writes, or says that another did and to try again; nothing is lost.
#[test]
fn commands_at_the_same_time_lose_nothing() {
    let directory = Directory::new();
    let path = directory.file("t.toml", TABLE);
    let commands: Vec<_> = (0..8)
        .map(|n| {
            let path = path.clone();
            std::thread::spawn(move || {
                let (name, port) = (format!("n{n}"), format!("{}", 7100 + n));
                let words = [
                    "add",
                    &name,
                    "--config",
                    &path,
                    "--listen",
                    &port,
                    "--builtin",
                    "echo",
                ];
                let mut tries = 1;
                while run(&mut oxinetd(&words)).code != Some(0) {
                    tries += 1;
                    assert!(tries < 1000);
                }
                tries
            })
        })
        .collect();
    for command in commands {
        command.join().unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(TABLE));
    for n in 0..8 {
        let added = format!(
            "\n[service.n{n}]\nlisten = {}\nbuiltin = \"echo\"\n",
            7100 + n
        );
        assert_eq!(text.matches(&added).count(), 1, "{text}");
    }
    assert_eq!(names(&directory), ["t.toml"]);
}
