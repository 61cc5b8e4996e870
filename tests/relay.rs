//! Clients that are passed on to another server, or to a program through pipes, by the worker.

mod redirect;
