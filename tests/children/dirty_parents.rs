//! The same report, and a living worker, whatever process starts the server.
//!
//! What a child inherits rightly (limits and the nice value, which the table leaves alone unless it
//! names them) stands beside the test as what it changes of `plain.txt`.

#![allow(
    clippy::unnecessary_cast,
    reason = "musl gives these numbers another type"
)]

use super::dirt::{self, Dirt};
use super::*;

/// Starts a server in a dirty world; the probe's report must differ from `plain.txt` in this only.
fn check_parent(dirt: Dirt, prepare: impl Fn(Builder) -> Builder, expected: &str) {
    if without_root("plain.txt is the report of a server that runs as root") {
        return;
    }
    // The log goes to a file: some have no standard error.
    let builder = probe_server("")
        .service("echo", "builtin = \"echo\"")
        .log_to_file();
    let server = prepare(builder.before_exec(dirt)).start();
    let session = Session::connect(&server);
    let found = changes(&plain(), &session.report(&server));
    assert!(found == expected, "expected:\n{expected}found:\n{found}");
    server
        .connect("echo")
        .send("alive")
        .expect("alive")
        .half_close()
        .expect_end();
    server.wait_end("echo");
    server.wait_end("probe");
}

/// A test for each: a name, the dirt, and what is rightly inherited.
macro_rules! parents {
    ($($name:ident: $dirt:expr $(, $changes:expr)?;)*) => {$(
        #[test]
        fn $name() {
            check_parent($dirt, |builder| builder, concat!($($changes)?));
        }
    )*};
}

/// A test for each: a name, and the variables of the server's environment.
macro_rules! environments {
    ($($name:ident: $($variable:literal = $value:expr),*;)*) => {$(
        #[test]
        fn $name() {
            let prepare = |builder: Builder| builder$(.env($variable, $value))*;
            check_parent(Box::new(|| Ok(())), prepare, "");
        }
    )*};
}

parents! {
    stdin_closed: dirt::closed(&[0]);
    stdout_closed: dirt::closed(&[1]);
    stderr_closed: dirt::closed(&[2]);
    stdin_and_stdout_closed: dirt::closed(&[0, 1]);
    stdin_and_stderr_closed: dirt::closed(&[0, 2]);
    stdout_and_stderr_closed: dirt::closed(&[1, 2]);
    all_standard_closed: dirt::closed(&[0, 1, 2]);
    standard_is_a_socket: dirt::standard(a_socket());
    standard_is_a_directory: dirt::standard(std::fs::File::open("/").unwrap().into());
    standard_does_not_block: dirt::nonblocking();
    two_hundred_fds: dirt::extra_fds(3, 200);
    a_high_fd: dirt::extra_fds(1000, 1);
    all_signals_blocked: dirt::all_blocked();
    sigpipe_ignored: dirt::ignored([libc::SIGPIPE]);
    sigchld_ignored: dirt::ignored([libc::SIGCHLD]);
    sighup_ignored: dirt::ignored([libc::SIGHUP]);
    all_signals_ignored: dirt::ignored(1..=64);
    signals_pending: dirt::pending(&[libc::SIGUSR2, libc::SIGCHLD, libc::SIGWINCH]);
    umask_of_nothing: dirt::umask(0);
    umask_of_everything: dirt::umask(0o777);
    few_descriptors: dirt::limit(libc::RLIMIT_NOFILE as u32, 64, 64),
        "-limit nofile 1024 4096\n+limit nofile 64 64\n";
    few_descriptors_at_first: dirt::limit(libc::RLIMIT_NOFILE as u32, 32, 4096),
        "-limit nofile 1024 4096\n+limit nofile 32 4096\n";
    small_stack: dirt::limit(libc::RLIMIT_STACK as u32, 256 << 10, 256 << 10),
        "-limit stack 8388608 16777216\n+limit stack 262144 262144\n";
    small_files: dirt::limit(libc::RLIMIT_FSIZE as u32, 1 << 20, 1 << 20),
        "-limit fsize unlimited unlimited\n+limit fsize 1048576 1048576\n";
    deleted_directory: dirt::deleted_directory();
    nice_parent: dirt::nice(5), "-nice 0\n+nice 5\n";
    own_session: dirt::own_session();
    own_process_group: dirt::own_process_group();
    controlling_terminal: dirt::controlling_terminal();
    supplementary_groups: dirt::groups(&[4, 20, 61237]);
    timers_running: dirt::timers();
    parent_death_signal: dirt::process_option(libc::PR_SET_PDEATHSIG, libc::SIGUSR2 as u64);
    no_new_privileges: dirt::process_option(libc::PR_SET_NO_NEW_PRIVS, 1);
    subreaper: dirt::process_option(libc::PR_SET_CHILD_SUBREAPER, 1);
    keep_capabilities: dirt::process_option(libc::PR_SET_KEEPCAPS, 1);
}

environments! {
    environment_of_a_loader: "LD_PRELOAD" = "/nowhere.so", "LD_LIBRARY_PATH" = "/nowhere";
    environment_of_systemd: "NOTIFY_SOCKET" = "@oxinetd-test-nobody-listens",
        "LISTEN_FDS" = "3", "LISTEN_PID" = "1", "LISTEN_FDNAMES" = "a:b:c",
        "WATCHDOG_USEC" = "1000", "JOURNAL_STREAM" = "1:2", "INVOCATION_ID" = "x";
    environment_of_a_shell: "IFS" = "x", "BASH_ENV" = "/nowhere", "ENV" = "/nowhere",
        "PATH" = "/nowhere", "HOME" = "/root", "USER" = "root", "TCPREMOTEIP" = "203.0.113.1";
    environment_of_ours: "OXINETD_SERVICE" = "other", "OXINETD_CONNECTION" = "1";
    environment_that_is_large: "LARGE" = &"x".repeat(100_000);
}

/// One end of a pair that nobody else has.
fn a_socket() -> std::os::fd::OwnedFd {
    std::os::unix::net::UnixStream::pair().unwrap().0.into()
}
