//! `[server] inetd_conf` and `pid_file`: a classic table served live, and the conventions of
//! programs that write to it.

use crate::harness::*;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

/// A line that runs the shell's command as whoever runs the tests.
fn line(port: u16, command: &str) -> String {
    format!("{port} stream tcp4 nowait root {command}\n")
}

#[track_caller]
fn ask(port: u16) -> String {
    let client = Client::connect(&format!("127.0.0.1:{port}"));
    client.send("hi").half_close();
    client.read_text()
}

/// Waits for a line of the log that has these words.
#[track_caller]
fn said(server: &Server, words: &str) {
    server.log().wait_for(|line| line.0.contains(words));
}

fn table(builder: Builder) -> Builder {
    builder.table("[server]\ninetd_conf = \"{dir}/inetd.conf\"\npid_file = \"{dir}/pid\"\n")
}

#[test]
fn a_wrong_line_is_left_out_and_the_others_are_served() {
    if without_root("runs programs as other users") {
        return;
    }
    let (good, other) = (free_port(), free_port());
    let builder = table(server());
    let text = format!(
        "# a comment\n{}{other} strem tcp nowait root /bin/cat cat\n{other} stream tcp nowait no-such-user /bin/cat cat\n\
         no-such-port stream tcp nowait root /bin/cat cat\n",
        line(good, "/bin/cat cat")
    );
    builder.directory().file("inetd.conf", text);
    let server = builder.start();
    assert_eq!(ask(good), "hi");
    said(&server, "unknown socket type");
    said(&server, "there is no user");
    said(&server, "no TCP port named");
    said(&server, "ready services=1 listeners=1");
    server.settle();
    server.stop();
}

#[test]
fn a_reload_reads_it_again_and_a_mistake_changes_nothing_else() {
    if without_root("runs programs as other users") {
        return;
    }
    let ports = [free_port(), free_port()];
    let builder = table(server()).service("own", "builtin = \"echo\"");
    let conf = builder
        .directory()
        .file("inetd.conf", line(ports[0], "/bin/cat cat"));
    let server = builder.start();
    assert_eq!(ask(ports[0]), "hi");
    let second = line(ports[1], "/bin/sed sed s/^/second:/");
    fs::write(
        &conf,
        format!("{}{second}broken\n", line(ports[0], "/bin/cat cat")),
    )
    .unwrap();
    server.reload();
    assert_eq!([ask(ports[0]), ask(ports[1])], ["hi", "second:hi"]);
    // What update-inetd does to a line that it switches off.
    fs::write(
        &conf,
        format!("#<off># {}{second}", line(ports[0], "/bin/cat cat")),
    )
    .unwrap();
    server.reload();
    assert!(std::net::TcpStream::connect(("127.0.0.1", ports[0])).is_err());
    assert_eq!(ask(ports[1]), "second:hi");
    fs::remove_file(&conf).unwrap();
    server.reload();
    assert!(std::net::TcpStream::connect(("127.0.0.1", ports[1])).is_err());
    server.connect("own").send("hi").expect("hi");
    server.settle();
    server.stop();
}

#[test]
fn the_table_wins_by_name_and_by_address() {
    if without_root("runs programs as other users") {
        return;
    }
    let port = free_port();
    let listen = format!("listen = {port}\nbuiltin = \"discard\"");
    let builder = table(server()).service("own", &listen);
    let text = format!(
        "{}own stream tcp nowait root /bin/cat cat\n",
        line(port, "/bin/cat cat")
    );
    builder.directory().file("inetd.conf", text);
    let server = builder.start();
    assert_eq!(ask(port), "");
    said(&server, "service own is in the table too, which wins");
    said(&server, "service own listens");
    server.settle();
    server.stop();
}

#[test]
fn the_process_id_is_written_when_ready_and_removed_at_the_end() {
    if without_root("runs programs as other users") {
        return;
    }
    let builder = table(server());
    let (pid, precious) = (
        builder.directory().join("pid"),
        builder.directory().join("precious"),
    );
    builder
        .directory()
        .file("inetd.conf", line(free_port(), "/bin/cat cat"));
    fs::write(&precious, "1\n").unwrap();
    symlink(&precious, &pid).unwrap();
    let server = builder.start();
    let written = fs::read_to_string(&pid).unwrap();
    assert_eq!(written, format!("{}\n", server.pid()));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "1\n");
    let inode = fs::symlink_metadata(&pid).unwrap().ino();
    server.reload();
    assert_eq!(fs::symlink_metadata(&pid).unwrap().ino(), inode);
    server.signal(Signal::SIGTERM);
    server.log().wait_for(|line| line.event() == "stopped");
    assert!(!std::path::Path::new(&pid).exists());
    server.stop();
}

#[test]
fn a_table_that_anyone_may_write_is_not_served_by_root() {
    use std::os::unix::fs::PermissionsExt;
    if without_root("runs programs as other users") {
        return;
    }
    let port = free_port();
    let builder = table(server()).service("own", "builtin = \"echo\"");
    let conf = builder
        .directory()
        .file("inetd.conf", line(port, "/bin/cat cat"));
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o666)).unwrap();
    let server = builder.start();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    said(&server, "anyone may write this file");
    server.stop();
}
