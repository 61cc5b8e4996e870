//! The integration tests: the real binary, real sockets, real children. One module per topic.
//!
//! [`harness`] starts a server for each test and checks its accounts at the end of every one; the
//! `probe` example is the child that tells what it was given. Nothing is shared between tests, so
//! they run in parallel. A test that needs root, or a program that is not installed, says so and
//! is skipped (see `harness::skip`).

mod account;
mod admission;
mod architecture;
mod bad_tables;
mod children;
mod conformance;
mod connections;
mod control;
mod convert;
mod edit;
mod edit_files;
mod fuzz;
mod generated;
mod guard;
mod handed;
mod hanging_exec;
mod harness;
mod inetd_conf;
mod judging;
mod life;
mod listening;
mod log;
mod privacy;
mod real_programs;
mod reaping;
mod relay;
mod reload;
mod run_command;
mod scale;
mod shipped_table;
mod shortage;
mod spawn_rungs;
mod spawn_steps;
mod stopping;
mod waiting;
mod worker;
mod wrap;
