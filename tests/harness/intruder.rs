//! A process of another user that tries to get at one that runs.

#![allow(unsafe_code, reason = "ptrace and open, between fork and exec")]

use super::process::{become_user, before_exec};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

/// A way to read or change another process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// PTRACE_ATTACH.
    Attach,
    /// PTRACE_SEIZE.
    Seize,
    /// Opening this file of /proc/PID, for reading and writing where that may be.
    Open(&'static str),
    /// process_vm_readv(2) of one byte at this address.
    Read(usize),
    /// pidfd_getfd(2) of this descriptor.
    TakeDescriptor(i32),
}

/// A user's attempt: the errno it failed with, or `Ok` when he is in.
pub(crate) fn attempt(uid: u32, way: Way, pid: i32) -> io::Result<()> {
    let path = match way {
        Way::Open(file) => format!("/proc/{pid}/{file}"),
        _ => String::new(),
    };
    let path = CString::new(path).expect("a path without a zero byte");
    let mut command = Command::new("/bin/true");
    become_user(&mut command, uid);
    // Whatever fails before the exec comes back as the error of the spawn.
    before_exec(&mut command, Box::new(move || try_it(way, pid, &path)));
    command.spawn()?.wait().map(drop)
}

fn try_it(way: Way, pid: i32, path: &CString) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: system calls with numbers, a C string, and a buffer of ours; each only succeeds or not.
    let result = unsafe {
        match way {
            Way::Attach => libc::ptrace(libc::PTRACE_ATTACH, pid, none, none),
            Way::Seize => libc::ptrace(libc::PTRACE_SEIZE, pid, none, none),
            Way::Open(file) => {
                let flags = if file == "mem" {
                    libc::O_RDWR
                } else {
                    libc::O_RDONLY
                };
                libc::open(path.as_ptr(), flags).into()
            }
            Way::Read(address) => {
                let mut byte = 0_u8;
                let here = libc::iovec {
                    iov_base: (&raw mut byte).cast(),
                    iov_len: 1,
                };
                let there = libc::iovec {
                    iov_base: address as *mut libc::c_void,
                    iov_len: 1,
                };
                libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) as i64
            }
            Way::TakeDescriptor(number) => {
                let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
                libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0)
            }
        }
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A process of this user that has nothing to hide: a `cat` that has answered, to be killed by whoever
/// made it. What is not over with its exec is still closed to others.
pub(crate) fn ordinary_process(uid: u32) -> io::Result<Child> {
    const PR_SET_PTRACER: i32 = 0x5961_6d61;
    let mut command = Command::new("/bin/cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    become_user(&mut command, uid);
    before_exec(
        &mut command,
        Box::new(|| {
            // Where Yama forbids to trace a stranger: this one allows it. Elsewhere it does nothing.
            // SAFETY: takes numbers only.
            unsafe { libc::prctl(PR_SET_PTRACER, -1_isize as usize, 0, 0, 0) };
            Ok(())
        }),
    );
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.as_mut(), child.stdout.as_mut());
    stdin.expect("a pipe").write_all(b"x")?;
    stdout.expect("a pipe").read_exact(&mut [0])?;
    Ok(child)
}
