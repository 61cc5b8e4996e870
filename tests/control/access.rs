//! Who may call: root and the server's user act, the group looks, nobody else.

use super::*;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// Ids that no machine is likely to have given to anybody.
const GROUP: u32 = 61_240;
const MEMBER: u32 = 61_241;
const STRANGER: u32 = 61_242;

/// `oxinetd` with these words as this user, who is in these groups.
fn oxinetd_as(server: &Server, user: u32, groups: &'static [u32], words: &[&str]) -> Ran {
    use std::path::Path;
    let program = server
        .directory()
        .program_of_build(Path::new(OXINETD), "oxinetd");
    let mut command = Command::new(program);
    let control = server.directory().join("control");
    command
        .args(words)
        .args(["--control", &control])
        .env_clear();
    before_exec(
        &mut command,
        Box::new(move || {
            let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
            let groups: [Gid; 1] = [Gid::from_raw(groups.first().copied().unwrap_or(user))];
            setgroups(&groups)?;
            setresgid(gid, gid, gid)?;
            Ok(setresuid(uid, uid, uid)?)
        }),
    );
    run(&mut command)
}

fn mode(path: &str) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn without_the_group_only_ourselves_may_call() {
    if without_root("becomes other users") {
        return;
    }
    let server = server().service("a", CAT).as_user(ORDINARY_USER).start();
    assert_eq!(mode(&server.directory().join("control")), 0o600);
    let itself = oxinetd_as(&server, ORDINARY_USER, &[], &["pause", "a"]);
    assert_eq!(
        (itself.code, itself.stdout.as_str()),
        (Some(0), "paused a\n")
    );
    // We are root.
    act(&server, r#"{"do":"resume","service":"a"}"#);
    let stranger = oxinetd_as(&server, STRANGER, &[], &["status"]);
    assert_eq!(stranger.code, Some(77), "{}", stranger.stderr);
    let health = oxinetd_as(&server, STRANGER, &[], &["health"]);
    assert_eq!((health.code, health.stdout.as_str()), (Some(77), ""));
    assert!(
        health.stderr.contains("is not for you"),
        "{}",
        health.stderr
    );
    server.stop();
}

#[test]
fn members_of_the_group_look_and_do_not_act() {
    if without_root("a group of its own") {
        return;
    }
    let group = format!("root:x:0:\nnogroup:x:65534:\noxinetd:x:{GROUP}:\n");
    // The group is there for this server only.
    let mount = r#"mount --bind "$0" /etc/group && exec "$@""#;
    let builder = server().service("a", CAT);
    let file = builder.directory().file("group", group);
    let server = builder
        .wrapped_in(&["unshare", "-m", "/bin/sh", "-c", mount, &file])
        .start();
    let control = server.directory().join("control");
    assert_eq!(mode(&control), 0o660);
    assert_eq!(std::fs::symlink_metadata(&control).unwrap().gid(), GROUP);

    let look = oxinetd_as(&server, MEMBER, &[GROUP], &["status"]);
    assert_eq!(look.code, Some(0), "{}", look.stderr);
    for looks in [&["list"][..], &["health"], &["events"], &["metrics"]] {
        assert_eq!(
            oxinetd_as(&server, MEMBER, &[GROUP], looks).code,
            Some(0),
            "{looks:?}"
        );
    }
    for acts in [
        &["pause", "a"][..],
        &["reload"],
        &["kill", "--service", "a"],
        &["drain", "a"],
    ] {
        let act = oxinetd_as(&server, MEMBER, &[GROUP], acts);
        assert_eq!(act.code, Some(77), "{acts:?}: {}", act.stderr);
    }
    assert_eq!(state(&server, "a"), "listening");

    // Whoever gets past the file's mode is still told apart.
    std::fs::set_permissions(&control, PermissionsExt::from_mode(0o666)).unwrap();
    let stranger = oxinetd_as(&server, STRANGER, &[], &["status"]);
    assert_eq!((stranger.code, stranger.stdout.as_str()), (Some(69), ""));
    let line = server
        .log()
        .wait_for(|line| line.event() == "callers-refused");
    assert_eq!(line.number("uid"), u64::from(STRANGER));
    assert_eq!(server.status().server()["callers_refused"], 1);
    std::fs::set_permissions(&control, PermissionsExt::from_mode(0o660)).unwrap();
    server.stop();
}
