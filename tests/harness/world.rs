//! Networks of our own, and machines that lack something. Unsafe for the system calls that nix has
//! behind features which the program does not need.

#![allow(unsafe_code, reason = "system calls that nix lacks here")]

use super::{Builder, run, skip};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port on which nothing listens, for tables that must name one. No two calls of one process
/// return the same, and the kernel gives none of them to clients.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 11_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 97) as u16 * 200;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let both =
            |ip: &str| TcpListener::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port)).is_ok();
        if both("0.0.0.0") && both("::") {
            return port;
        }
    }
}

/// Runs a test in a thread whose network is its own: no address but loopback, every port free.
/// What the thread starts lives there too. Skips the test where that is not allowed.
pub(crate) fn in_own_network(test: impl FnOnce() + Send + 'static) {
    let name = std::thread::current()
        .name()
        .unwrap_or("a test")
        .to_string();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // SAFETY: takes a number, and changes this thread only.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return skip("needs root: a network of its own");
        }
        run(Command::new("ip").args(["link", "set", "lo", "up"])).ok();
        test();
    });
    if let Err(panic) = thread.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// Has the server live on a machine whose kernel has no IPv6: socket(AF_INET6) fails with
/// EAFNOSUPPORT, for it and all that it starts.
pub(crate) fn without_ipv6(builder: Builder) -> Builder {
    builder.before_exec(|| {
        let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
        let equal = |value, otherwise| {
            instruction(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                otherwise,
                value,
            )
        };
        let end = |value| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value);
        // struct seccomp_data: the call's number at 0, its first argument at 16.
        let mut program = [
            load(0),
            equal(libc::SYS_socket as u32, 3),
            load(16),
            equal(libc::AF_INET6 as u32, 1),
            end(libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32),
            end(libc::SECCOMP_RET_ALLOW),
        ];
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: the program outlives the calls, and its length is as said.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const filter,
                ) == 0
        };
        if done {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    })
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Has the server live on a machine without control groups of version 2: what is mounted of them is
/// gone, for it and all that it starts. As an ordinary user it has none that are its own anyway.
pub(crate) fn without_control_groups(builder: Builder) -> Builder {
    if !super::is_root() {
        return builder;
    }
    let hide = "mount --make-rprivate / && for group in $(findmnt -n -l -t cgroup2 -o TARGET); do umount -l $group; done && exec \"$@\"";
    builder.wrapped_in(&["unshare", "--mount", "/bin/sh", "-c", hide, "sh"])
}
