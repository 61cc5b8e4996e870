//! The kernel in our words: the only place with `unsafe` code and raw system calls.
//!
//! Each file covers one subject and leaves policy to its callers: nothing here logs, retries or
//! decides. Errors are the kernel's own [`nix::errno::Errno`].
#![allow(unsafe_code)]

pub mod address;
pub mod caller;
pub mod cgroup;
pub mod confine;
pub mod datagram;
pub mod destroyed;
pub mod fd;
pub mod handed;
pub mod holders;
pub mod limits;
pub mod names;
pub mod options;
pub mod pipe;
pub mod poll;
pub mod pty;
pub mod pulse;
pub mod queue;
pub mod signal;
pub mod socket;
pub mod socket_file;
pub mod spawn;
pub mod stream;
pub mod terminal;
pub mod time;
pub mod tree;
pub mod user;
pub mod wait;

pub use nix::errno::Errno;
