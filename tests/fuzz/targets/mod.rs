//! Functions over arbitrary bytes, one for everything that is read from somebody else. Each panics
//! when what it looks at is wrong, and means nothing by returning.
//!
//! `fuzz/main.rs` gives them to a fuzzer, and the tests replay what that found.

mod builtins;
mod convert;
mod edit;
mod messages;
mod newline;
mod table;
mod values;

/// Looks at what becomes of the bytes.
pub(crate) type Target = fn(&[u8]);

/// By the names of their directories in `fuzz/corpus`.
pub(crate) const ALL: [(&str, Target); 25] = [
    ("table", table::table),
    ("inetd_conf", table::inetd_conf),
    ("address", values::address),
    ("duration", values::duration),
    ("hours", values::hours),
    ("rate", values::rate),
    ("access", values::access),
    ("request", messages::request),
    ("order", messages::order),
    ("report", messages::report),
    ("files", messages::files),
    ("list", messages::list),
    ("echo", builtins::echo),
    ("discard", builtins::discard),
    ("chargen", builtins::chargen),
    ("daytime", builtins::daytime),
    ("time", builtins::time),
    ("xinetd_conf", convert::xinetd_conf),
    ("old_inetd_conf", convert::old_inetd_conf),
    ("tcpserver", convert::tcpserver),
    ("tcprules", convert::tcprules),
    ("hosts_access", convert::hosts_access),
    ("systemd", convert::systemd),
    ("edit", edit::edit),
    ("newline", newline::newline),
];
