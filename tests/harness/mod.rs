//! Starts a real `oxinetd serve` for one test, talks to it, stops it and checks its accounts.
//!
//! ```text
//! let server = server().service("echo", r#"builtin = "echo""#).start();
//! server.connect("echo").send("hi").expect("hi");
//! server.stop();
//! ```
//!
//! Every server has a directory of its own, listens on ports that the kernel chose (tests learn them
//! from the `listening` lines), and inherits nothing from whoever runs the tests. Waiting is always
//! for something (a line, a byte, an exit) and ends with a panic that shows the log after
//! [`DEADLINE`]. Anything that goes wrong here panics: it is the test that failed.

#![allow(
    dead_code,
    unused_imports,
    reason = "a tool box: each test takes what it needs"
)]

mod accounts;
mod builder;
mod cgroup;
mod client;
mod control;
mod daemon;
mod directory;
mod hold;
mod intruder;
mod load;
mod log;
mod proc;
mod process;
mod procfs;
mod server;
mod skip;
mod strace;
mod tail;
mod udp;
mod world;

pub(crate) use accounts::Totals;
pub(crate) use builder::{Builder, Refused, server};
pub(crate) use cgroup::PidsGroup;
pub(crate) use client::{Client, Got};
pub(crate) use control::{Status, ask, next_line};
pub(crate) use daemon::{Daemon, oxinetd, signal};
pub(crate) use directory::Directory;
pub(crate) use hold::Hold;
pub(crate) use intruder::{Way, attempt, ordinary_process};
pub(crate) use load::Load;
pub(crate) use log::{Line, Log};
pub(crate) use proc::{
    cpu_time, descriptor_limit, limit_descriptors, listening_inode, open_descriptors, until,
};
pub(crate) use process::{
    Ran, become_user, before_exec, close_others, readable_until, run, run_with_input,
};
pub(crate) use procfs::{children, is_running, socket_inodes, status};
pub(crate) use server::Server;
pub(crate) use skip::{is_root, skip, without_root};
pub(crate) use strace::{Strace, lines_of, without_strace};
pub(crate) use udp::UdpClient;
pub(crate) use world::{free_port, in_own_network, without_control_groups, without_ipv6};

use std::time::Duration;

/// How long anything may take before the test has failed. Far more than needed: the machine may be
/// busy with other tests on a single processor.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What waits for nobody is over by then, on a busy machine too; what waits for a limit, or for somebody
/// who does nothing, is not.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

/// The id of an ordinary user that no machine is likely to have given to anybody.
pub(crate) const ORDINARY_USER: u32 = 61234;

/// The program under test.
pub(crate) const OXINETD: &str = env!("CARGO_BIN_EXE_oxinetd");
