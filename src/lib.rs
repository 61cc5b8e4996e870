//! oxinetd: any program that speaks over stdin and stdout as a network service.
//!
//! # The processes
//!
//! The **supervisor** has the privileges: it listens, accepts, admits, launches, reaps and keeps the
//! accounts, and reads no byte that a client sent. The **loader** is a child that turns
//! `services.toml` into a [`table::Table`], or into every mistake in it, and ends. The **worker** is
//! an unprivileged child that speaks the built-in protocols.
//!
//! # The life of a connection
//!
//! `Listener → Connection → Permit | Refusal → Child | LaunchFailure → Exit → Event`: each consumes
//! the one before, so nothing is counted twice and nothing is lost.
//!
//! # The layers
//!
//! Each module uses only those above it in this list; `tests/architecture.rs` checks that.

/// The kernel in our words; the only unsafe code.
pub mod sys;

/// Facts: the table, resolved.
pub mod table;

/// Everything that can happen, once.
pub mod event;

/// Text to table, or all mistakes.
pub mod config;

/// Policy: who gets in.
pub mod admission;

/// The built-in protocols, as pure state machines.
pub mod builtin;

/// Mechanism: a service and a connection to a running program.
pub mod launch;

/// Mechanism: a client that is not let in is told why.
pub mod refuse;

/// The words between commands, supervisor and worker.
pub mod control;

/// Events as lines, and where the lines go.
pub mod log;

/// The unprivileged process.
pub mod worker;

/// The loop, and what it owns.
pub mod supervisor;

/// Tables of other superservers to ours, with a report.
pub mod convert;

/// The commands.
pub mod cli;
