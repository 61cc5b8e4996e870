//! Sockets that outlive a server: handed over by whoever starts it, and stored with the service manager.
//!
//! The other side is the test: it hands sockets over as systemd does, and keeps what it is told to. That a
//! real systemd does the same is tried in `packaging/tests/systemd`.
#![allow(unsafe_code, reason = "descriptors go from hand to hand")]

use crate::harness::*;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::fs::File;
use std::io::IoSliceMut;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};

/// Has a server start with these sockets as its descriptors 3 and up, under these names.
fn handing(builder: Builder, sockets: &[(OwnedFd, &str)]) -> Builder {
    let numbers: Vec<RawFd> = sockets.iter().map(|(fd, _)| fd.as_raw_fd()).collect();
    let names: Vec<&str> = sockets.iter().map(|(_, name)| *name).collect();
    let count = numbers.len().to_string();
    // First out of the way of each other, and of the descriptor that tells of readiness.
    let script = r#"
import os, sys
count, names, numbers, command = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4:]
at = command.index("--ready-fd") + 1
ready = os.dup2(int(command[at]), 900)
moved = [os.dup2(int(number), 901 + n) for n, number in enumerate(numbers)]
for n, number in enumerate(moved):
    os.dup2(number, 3 + n)
command[at] = str(ready)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"#;
    let numbers_text: Vec<String> = numbers.iter().map(RawFd::to_string).collect();
    let words = [
        "/usr/bin/python3",
        "-c",
        script,
        &count,
        &names.join(":"),
        &numbers_text.join(","),
    ];
    builder.wrapped_in(&words).before_exec(move || {
        for number in &numbers {
            // SAFETY: clears close-on-exec of a descriptor that the test holds open.
            unsafe { libc::fcntl(*number, libc::F_SETFD, 0) };
        }
        Ok(())
    })
}

fn without_python() -> bool {
    let is_missing = !std::path::Path::new("/usr/bin/python3").exists();
    if is_missing {
        skip("python3 is not installed");
    }
    is_missing
}

#[test]
fn a_named_socket_is_taken_with_what_waits_in_it() {
    if without_python() {
        return;
    }
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let waiting = Client::connect(&address);
    let table = r#"
        [service.greeting]
        listen = "systemd:greeting"
        command = ["/bin/echo", "hello"]
        wait = false
        [service.clock]
        listen = ["systemd:clock", "127.0.0.1:0"]
        builtin = "daytime"
    "#;
    let sockets = [(tcp.into(), "greeting"), (udp.into(), "clock")];
    let server = handing(server().table(table), &sockets).start();
    assert_eq!(waiting.read_text(), "hello\n");
    assert_eq!(Client::connect(&address).read_text(), "hello\n");
    assert!(server.addresses("clock")[0].starts_with("udp:127.0.0.1:"));
    server.stop();
}

#[test]
fn a_name_that_nobody_hands_over_is_a_mistake_for_a_server() {
    let body = "listen = \"systemd:nobody\"\ncommand = [\"/bin/cat\"]";
    let refused = server().service("missing", body).refused();
    assert_eq!(refused.code, Some(78));
    let expected = "systemd has handed over no socket called \"nobody\", none at all";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[test]
fn a_socket_that_no_service_takes_is_told_of_and_kept_for_a_reload() {
    if without_python() {
        return;
    }
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let table = "[service.other]\nlisten = \"127.0.0.1:0\"\nbuiltin = \"echo\"\n";
    let sockets = [(tcp.into(), "spare")];
    let server = handing(server().table(table), &sockets).start();
    drop(sockets);
    let is_told = |line: &Line| line.0.contains("called spare, and no service takes it");
    server.log().wait_for(is_told);
    let with = format!("{table}[service.spare]\nlisten = \"systemd:spare\"\nbuiltin = \"echo\"\n");
    for _ in 0..2 {
        // It comes and goes: the socket is kept either way.
        server.reload_with(&with);
        let client = Client::connect(&address);
        client.send("hi").expect("hi").half_close().expect_end();
        server.reload_with(table);
    }
    server.stop();
}

/// What a service manager is told until now: texts, and the sockets that came with them.
fn told(manager: &UnixDatagram) -> Vec<(String, Vec<OwnedFd>)> {
    let mut all = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let mut space = cmsg_space!([RawFd; 253]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let Ok(message) = recvmsg::<()>(manager.as_raw_fd(), &mut parts, Some(&mut space), flags)
        else {
            return all;
        };
        let mut sockets = Vec::new();
        for control in message.cmsgs().unwrap() {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just made these descriptors for us.
                sockets.extend(
                    numbers
                        .into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        let length = message.bytes;
        all.push((
            String::from_utf8_lossy(&bytes[..length]).into_owned(),
            sockets,
        ));
    }
}

#[test]
fn what_listens_is_stored_and_goes_on_with_the_next_server() {
    if without_python() {
        return;
    }
    let directory = Directory::new();
    let path = directory.join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let socket = directory.join("echo");
    let table = format!(
        "[service.hello]\nlisten = [\"127.0.0.1:0\", \"unix:{socket}\"]\ncommand = [\"/bin/echo\", \"hello\"]\n"
    );
    let first = server().table(&table).env("NOTIFY_SOCKET", &path).start();
    let address = first.addresses("hello")[0].clone();
    first.stop();
    let mut stored = Vec::new();
    let mut texts = Vec::new();
    for (text, sockets) in told(&manager) {
        texts.push(text.lines().next().unwrap_or_default().to_string());
        stored.extend(sockets);
    }
    assert_eq!(
        texts,
        ["READY=1", "FDSTOREREMOVE=1", "FDSTORE=1", "STOPPING=1"]
    );
    assert_eq!(stored.len(), 2);

    // Nobody serves now, and clients are not turned away.
    let waiting = [
        Client::connect(&address),
        Client::connect(&format!("unix:{socket}")),
    ];
    let sockets: Vec<(OwnedFd, &str)> = stored.into_iter().map(|fd| (fd, "oxinetd")).collect();
    let again = table.replace("127.0.0.1:0", &address);
    let second = handing(server().table(&again).env("NOTIFY_SOCKET", &path), &sockets).start();
    drop(sockets);
    for client in waiting {
        assert_eq!(client.read_text(), "hello\n");
    }
    // The table no longer names them: they are closed, and not kept.
    second.reload_with("[service.other]\nlisten = \"127.0.0.1:0\"\nbuiltin = \"echo\"\n");
    let told = told(&manager);
    let (_, last) = told
        .iter()
        .rev()
        .find(|(text, _)| text.starts_with("FDSTORE=1"))
        .unwrap();
    assert_eq!(last.len(), 1);
    assert!(!std::path::Path::new(&socket).exists());
    second.stop();
}

#[test]
fn what_is_no_socket_that_listens_is_left_out() {
    if without_python() {
        return;
    }
    let directory = Directory::new();
    let unix = UnixListener::bind(directory.join("x")).unwrap();
    let sockets = [
        (File::open("/dev/null").unwrap().into(), "null"),
        (unix.into(), "unix"),
    ];
    let body = "listen = \"systemd:unix\"\ncommand = [\"/bin/echo\", \"hello\"]";
    let server = handing(server().service("x", body), &sockets).start();
    let client = Client::connect(&format!("unix:{}", directory.join("x")));
    assert_eq!(client.read_text(), "hello\n");
    server.stop();
    // It is the other side's, file and all.
    assert!(std::path::Path::new(&directory.join("x")).exists());
}
