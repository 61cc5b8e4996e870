//! The tables of other superservers. Whatever they say, what comes of them is a table of ours that can
//! be loaded, unless this machine has not the names in it, or there is nothing to offer.

use super::table::loaded;
use oxinetd::convert::{Files, Format, Hosts, Input, Options, convert};
use std::path::{Path, PathBuf};

pub(super) fn old_inetd_conf(bytes: &[u8]) {
    check_if(Format::Inetd, input("inetd.conf", &text(bytes)));
}

pub(super) fn xinetd_conf(bytes: &[u8]) {
    check_if(Format::Xinetd, input("xinetd.conf", &text(bytes)));
}

/// A script with command lines.
pub(super) fn tcpserver(bytes: &[u8]) {
    check_if(Format::Tcpserver, input("run", &text(bytes)));
}

/// Rules, for a tcpserver that asks them.
pub(super) fn tcprules(bytes: &[u8]) {
    let run = input(
        "run",
        "#!/bin/sh\nexec tcpserver -x rules.cdb 0 7 /bin/sh\n",
    );
    check(&[run, input("rules", &text(bytes))], None);
}

/// hosts.allow and, after an empty line, hosts.deny.
pub(super) fn hosts_access(bytes: &[u8]) {
    let text = text(bytes);
    let (allow, deny) = text.split_once("\n\n").unwrap_or((&text, ""));
    let hosts = Hosts {
        allow: input("hosts.allow", allow),
        deny: input("hosts.deny", deny),
        are_named: true,
    };
    let line = "echo stream tcp nowait root /usr/sbin/tcpd /bin/sh\n";
    check(&[input("inetd.conf", line)], Some(&hosts));
}

/// A socket and, after a line that says so, its service.
pub(super) fn systemd(bytes: &[u8]) {
    let text = text(bytes);
    let (socket, service) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let inputs = [input("x.socket", socket), input("x@.service", service)];
    check(&inputs, None);
}

fn check_if(format: Format, input: Input) {
    if Format::of(&input) == format {
        check(&[input], None);
    }
}

fn check(inputs: &[Input], hosts: Option<&Hosts>) {
    let options = Options {
        dialect: None,
        hosts,
        files: &Nothing,
        is_drop_in: false,
    };
    let converted = convert(inputs, &options);
    let (table, report) = (&converted.table, &converted.report);
    let offered = report.services - report.off;
    let mistakes = loaded(table).err().unwrap_or_default().0;
    for mistake in mistakes.iter().filter(|mistake| !mistake.is_of_machine()) {
        // About the table as a whole.
        let is_empty = offered == 0 && mistake.place().line_and_column().is_none();
        assert!(is_empty, "{mistake}\n{table}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn input(name: &str, text: &str) -> Input {
    Input {
        name: name.into(),
        text: text.into(),
    }
}

/// No file at all.
struct Nothing;

impl Files for Nothing {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("no such file or directory".into())
    }

    fn list(&self, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }
}
