//! Bytes that connections of programs have moved, for services with `account = true`.

use crate::harness::*;

#[test]
fn what_a_connection_has_moved_is_in_its_end_record() {
    let server = server()
        .service("cat", "command = [\"/bin/cat\"]\naccount = true")
        .service(
            "hello",
            "command = [\"/bin/echo\", \"Hello World\"]\naccount = true",
        )
        .service("unasked", "command = [\"/bin/cat\"]")
        .start();
    for service in ["cat", "unasked"] {
        let client = server.connect(service);
        client.send([b'x'; 1000]).expect([b'x'; 1000]);
        client.half_close().expect_end();
    }
    assert_eq!(server.connect("hello").read_text(), "Hello World\n");

    let end = server.wait_end("cat");
    // The kernel counts the client's end as a byte.
    assert_eq!((end.number("received"), end.number("sent")), (1001, 1000));
    let end = server.wait_end("hello");
    assert_eq!((end.number("received"), end.number("sent")), (0, 12));
    let end = server.wait_end("unasked");
    assert_eq!((end.field("received"), end.field("sent")), (None, None));
    server.stop();
}

#[test]
fn an_end_that_the_kernel_does_not_tell_of_is_told_all_the_same() {
    let script = "sleep 60 & echo $!";
    let body = format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]\naccount = true");
    let server = server().service("a", &body).start();
    let client = server.connect("a");
    let pid: i32 = client.read_line().parse().expect("a pid");
    // The program has ended; its child holds the connection.
    let end = server.wait_end("a");
    assert_eq!((end.field("received"), end.field("sent")), (None, None));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    client.expect_end();
    server.stop();
}
