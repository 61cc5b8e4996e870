//! Tables of other superservers become ours: the texts and reports beside `convert/*`, the rule that
//! nobody gets in who did not before, and (in `convert/peers`) the same world in the peers themselves.

mod peers;
mod rules;

use crate::harness::*;
use oxinetd::config::{Host, Mistake, Mistakes, load_text};
use oxinetd::convert::{Converted, Fate, Files, Hosts, Input, Options, convert};
use oxinetd::table::Table;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file only.
struct Issue;

impl Files for Issue {
    fn read(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/issue") => Ok("100% ours\n".into()),
            _ => Err("no such file or directory".into()),
        }
    }

    fn list(&self, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }
}

fn input(name: &str, text: &str) -> Input {
    Input {
        name: name.into(),
        text: text.into(),
    }
}

/// Converts texts, with hosts.allow and hosts.deny where they are named; else there are none.
fn converted(inputs: &[Input], allow: Option<&str>, deny: Option<&str>) -> Converted {
    let hosts = Hosts {
        allow: input("hosts.allow", allow.unwrap_or_default()),
        deny: input("hosts.deny", deny.unwrap_or_default()),
        are_named: allow.or(deny).is_some(),
    };
    convert_with(inputs, Some(&hosts))
}

fn convert_with(inputs: &[Input], hosts: Option<&Hosts>) -> Converted {
    convert(
        inputs,
        &Options {
            dialect: None,
            hosts,
            files: &Issue,
            is_drop_in: false,
        },
    )
}

fn load(text: &str) -> Result<Table, Mistakes> {
    load_text("converted.toml", text, &Host::of_root()).map(|loaded| loaded.table)
}

/// The table as root would load it.
#[track_caller]
fn loaded(text: &str) -> Table {
    load(text).unwrap_or_else(|mistakes| panic!("{}\n{text}", mistakes.0[0]))
}

/// What is wrong with a table otherwise than with the machine: users and ports of packages that are
/// not installed here, and nothing that is on.
fn wrong(table: &str) -> Vec<String> {
    let mistakes = load(table).err().unwrap_or_default().0;
    let is_wrong = |mistake: &&Mistake| {
        let is_empty = mistake.message() == "no service in this table is enabled";
        !mistake.is_of_machine() && !is_empty
    };
    mistakes
        .iter()
        .filter(is_wrong)
        .map(Mistake::to_string)
        .collect()
}

/// The sources, by the stem of their names: `NAME.EXTENSION`, several with one stem together.
fn sources() -> BTreeMap<String, Vec<Input>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert");
    let mut sources: BTreeMap<String, Vec<Input>> = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir()
            || name.ends_with(".toml")
            || name.ends_with(".report")
            || name.ends_with(".rs")
        {
            continue;
        }
        let stem = name.split(['.', '@']).next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        sources.entry(stem).or_default().push(input(&name, &text));
    }
    for inputs in sources.values_mut() {
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    sources
}

#[test]
fn each_table_and_report_is_as_written() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differences = Vec::new();
    let sources = sources();
    for (stem, all) in &sources {
        let is_hosts = |input: &&Input| {
            input.name.ends_with(".hosts-allow") || input.name.ends_with(".hosts-deny")
        };
        let hosts = |end: &str| {
            all.iter()
                .find(|input| input.name.ends_with(end))
                .map(|input| input.text.as_str())
        };
        let inputs: Vec<Input> = all
            .iter()
            .filter(|input| !is_hosts(input))
            .cloned()
            .collect();
        let made = converted(&inputs, hosts(".hosts-allow"), hosts(".hosts-deny"));
        assert_eq!(wrong(&made.table), Vec::<String>::new());
        for (end, text) in [("toml", made.table), ("report", made.report.to_string())] {
            let path = format!("{}/tests/convert/{stem}.{end}", env!("CARGO_MANIFEST_DIR"));
            if update {
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                differences.push(format!("{stem}.{end} is not what is written now:\n{text}"));
            }
        }
    }
    assert!(sources.len() >= 7, "only {:?}", sources.keys());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_command_writes_the_table_and_reports_what_it_cannot_keep() {
    let directory = Directory::new();
    let good = directory.file(
        "inetd.conf",
        "7 stream tcp nowait root internal\n9 stream tcp nowait root /bin/cat cat\n",
    );
    let said = run(Command::new(OXINETD).args(["convert", &good]));
    assert_eq!(said.code, Some(65), "{}", said.stderr);
    assert!(
        said.stdout
            .contains("[service.9]\nlisten = 9\ncommand = [\"/bin/cat\"]\n"),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr
            .contains("ERROR: line: oxinetd has no built-in service \"7\""),
        "{}",
        said.stderr
    );
    let said = run(Command::new(OXINETD).args(["convert", "--dialect", "vms", &good]));
    assert_eq!(said.code, Some(64));
    assert!(
        said.stderr
            .contains("the dialects are debian, openbsd, netbsd, freebsd, gnu, busybox"),
        "{}",
        said.stderr
    );
    let said = run(Command::new(OXINETD).args(["convert", "/none"]));
    assert_eq!(said.code, Some(64));
    assert!(
        said.stderr
            .contains("cannot read /none: no such file or directory"),
        "{}",
        said.stderr
    );
}

const NO_HOSTS: [&str; 4] = ["--hosts-allow", "/dev/null", "--hosts-deny", "/dev/null"];

#[test]
fn a_folder_of_xinetd_is_read_as_includedir_reads_it() {
    let directory = Directory::new();
    let block = |port: u16| {
        format!(
            "service s{port}\n{{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n port = {port}\n}}\n"
        )
    };
    let conf = format!(
        "defaults\n{{\n only_from = 192.0.2.0\n}}\nincludedir {}\n",
        directory.join("xinetd.d")
    );
    fs::create_dir(directory.join("xinetd.d")).unwrap();
    directory.file("xinetd.d/b", block(8002));
    directory.file("xinetd.d/a", block(8001));
    directory.file("xinetd.d/c.dpkg-old", block(8003));
    let conf = directory.file("xinetd.conf", conf);
    let said = run(Command::new(OXINETD)
        .args(["convert", &conf])
        .args(NO_HOSTS));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let table = loaded(&said.stdout);
    let names: Vec<&str> = table
        .services
        .iter()
        .map(|service| &*service.name)
        .collect();
    assert_eq!(names, ["s8001", "s8002"]);
    assert!(
        said.stdout
            .contains("[defaults]\nallow = \"192.0.2.0/24\"\nno_new_privileges = false\n"),
        "{}",
        said.stdout
    );
}

/// Found by fuzzing: TOML has no numbers that begin with a zero, so the whole table could not be read.
#[test]
fn a_port_that_is_no_number_of_toml_is_written_as_text() {
    let block = |port: &str| {
        format!(
            "service s\n{{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n port = {port}\n}}\n"
        )
    };
    for (port, written) in [
        ("610", "listen = 610\n"),
        ("0", "listen = 0\n"),
        ("0610", "listen = \"0610\"\n"),
        ("00", "listen = \"00\"\n"),
        (
            "99999999999999999999",
            "listen = \"99999999999999999999\"\n",
        ),
    ] {
        let made = converted(&[input("xinetd.conf", &block(port))], None, None);
        assert!(made.table.contains(written), "{}", made.table);
    }
}

/// Found by fuzzing, as above: TOML takes no key twice.
#[test]
fn of_a_variable_that_is_set_twice_the_last_holds() {
    let inputs = [
        input("x.socket", "[Socket]\nListenStream=7\nAccept=yes\n"),
        input(
            "x@.service",
            "[Service]\nExecStart=/bin/cat\nEnvironment=A=1 B=2\nEnvironment=A=3\n",
        ),
    ];
    let made = converted(&inputs, None, None);
    assert!(
        made.table.contains("\nenv = { A = \"3\", B = \"2\" }\n"),
        "{}",
        made.table
    );
}

/// Found by fuzzing: the product was computed before it was known to be small.
#[test]
fn an_hour_that_is_none_is_an_error() {
    let block = ASKS.replace(" port = 7\n", " port = 7\n access_times = 9999:00-10:00\n");
    let made = converted(&[input("xinetd.conf", &block)], None, None);
    let error = "ERROR: s: access_times: these are no times from HH:MM to a later HH:MM";
    assert!(made.report.to_string().contains(error), "{}", made.report);
}

/// One service without a place to listen would keep all the others from being offered.
#[test]
fn a_service_that_no_server_could_load_is_a_comment_and_an_error() {
    let service = input("x@.service", "[Service]\nExecStart=/bin/cat\n");
    let socket = |name, port| {
        let text = format!("[Socket]\nAccept=yes\nListenStream={port}\n");
        input(name, &text)
    };
    let other = Input {
        name: "y@.service".into(),
        ..service.clone()
    };
    let inputs = [
        socket("x.socket", "7\u{1}"),
        service,
        socket("y.socket", "9"),
        other,
    ];
    let made = converted(&inputs, None, None);
    let table = loaded(&made.table);
    assert_eq!((table.services.len(), &*table.services[0].name), (1, "y"));
    assert_eq!((made.report.services, made.report.off), (1, 0));
    let comment = "\n# NOT OFFERED, since listen: \"7\\u{1}\" is not a port\n# [service.x]\n# listen = \"7\\u0001\"\n";
    assert!(made.table.contains(comment), "{}", made.table);
    let report = made.report.to_string();
    let error = "\nx.socket: ERROR: x: listen: \"7\\u{1}\" is not a port; the service is written as a comment\n";
    assert!(report.contains(error), "{report}");
}

#[test]
fn whatever_the_loader_refuses_is_no_part_of_a_table() {
    let block = |lines: &str| {
        format!(
            "service s\n{{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n{lines}\n}}\n"
        )
    };
    for (lines, key) in [
        (" port = 0610", "listen"),
        (" port = 7\n env = A=\0", "env"),
        (" port = 7\n env = =1", "env"),
        (" port = 7\n passenv = \0", "pass_env"),
        (" port = 7\n server_args = \0", "command"),
        (" port = 7\n bind = [", "listen"),
        (" port = 7\n cps = 2000000000 1", "rate"),
    ] {
        let made = converted(&[input("xinetd.conf", &block(lines))], None, None);
        assert!(!made.table.contains("\n[service.s]"), "{}", made.table);
        assert!(made.table.contains("\n# [service.s]\n"), "{}", made.table);
        let errors = made
            .report
            .notes
            .iter()
            .filter(|note| note.fate == Fate::Error);
        let knobs: Vec<&str> = errors.map(|note| note.knob.as_str()).collect();
        assert_eq!(knobs, [key], "{}", made.report);
    }
}

#[test]
fn of_two_services_on_one_port_the_second_is_a_comment() {
    let line = "discard stream tcp nowait root internal\n";
    let made = converted(&[input("inetd.conf", &line.repeat(2))], None, None);
    assert_eq!(loaded(&made.table).services.len(), 1, "{}", made.table);
    let error =
        "inetd.conf:2: ERROR: discard-tcp: listen: service discard listens on 0.0.0.0:9 already";
    assert!(made.report.to_string().contains(error), "{}", made.report);
}

#[test]
fn a_log_that_no_server_could_write_is_left_out() {
    let conf = "defaults\n{\n log_type = FILE var/log/x\n}\n".to_owned() + ASKS;
    let made = converted(&[input("xinetd.conf", &conf)], None, None);
    assert_eq!(loaded(&made.table).services.len(), 1, "{}", made.table);
    assert!(!made.table.contains("[server]"), "{}", made.table);
    assert!(
        made.report
            .to_string()
            .contains("\nxinetd.conf: ERROR: log: "),
        "{}",
        made.report
    );
}

/// It may be known where the table is served; `oxinetd check` tells there.
#[test]
fn a_name_that_this_machine_does_not_know_is_written() {
    let block = ASKS.replace("user = root", "user = nobody-of-this-name");
    let made = converted(&[input("xinetd.conf", &block)], None, None);
    let mistakes = load(&made.table).unwrap_err().0;
    assert!(mistakes[0].is_of_machine(), "{}", mistakes[0]);
    assert_eq!(made.report.count(Fate::Error), 0, "{}", made.report);
}

/// What cannot be kept of a rule switches its service off, and is an error.
#[test]
fn no_rule_is_lost() {
    let block = |attribute: &str| {
        format!(
            "service s\n{{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n port = 7\n {attribute}\n}}\n"
        )
    };
    let lost = [
        block("only_from = .example.org"),
        block("no_access = bad.example.org"),
        block("no_access = 192.0.2.0 some-net"),
        block("flags = IDONLY"),
        block("access_times = 22:00-6:00"),
        block("only_from -= 192.0.2.1"),
        block("only_from = 192.0.2.{1,x}"),
        block("only_from = 192.0.2.1").replace("wait = no", "wait = yes"),
    ];
    for text in &lost {
        let made = converted(&[input("xinetd.conf", text)], None, None);
        assert!(made.report.count(Fate::Error) > 0, "{text}{}", made.report);
        assert!(made.table.contains("\nenabled = false\n"), "{}", made.table);
    }
    let conf = [input(
        "inetd.conf",
        "7 stream tcp nowait root /usr/sbin/tcpd /bin/cat\n",
    )];
    // tcpd goes on reading what allow and deny cannot say.
    let made = converted(&conf, Some("ALL: .example.org"), Some("ALL: ALL"));
    assert!(
        made.table
            .contains("command = [\"/usr/sbin/tcpd\"]\nargv0 = \"/bin/cat\"\n"),
        "{}",
        made.table
    );
    let run = "exec tcpserver -x /etc/tcp.smtp.cdb 0 25 /bin/cat\n";
    for (rules, errors) in [
        (None, 1),
        (Some("=.example.org:allow\n:deny\n"), 1),
        (Some("192.0.2.:allow,A=\"b\"\n:deny\n"), 1),
        (Some("192.0.2.:allow\n:deny\n"), 0),
    ] {
        let mut inputs = vec![input("run", run)];
        inputs.extend(rules.map(|text| input("tcp.smtp", text)));
        let made = converted(&inputs, None, None);
        assert_eq!(made.report.count(Fate::Error), errors, "{}", made.report);
        assert_eq!(
            made.table.contains("\nenabled = false\n"),
            errors > 0,
            "{}",
            made.table
        );
    }
}

const ASKS: &str = "service s\n{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n port = 7\n}\n";

/// Where nobody knows whom hosts.deny refused, nobody gets in until somebody has said so.
#[test]
fn rules_of_tcp_wrappers_that_are_not_known_are_an_error() {
    let unknown = |name: &str, text: &str| convert_with(&[input(name, text)], None);
    let asks = [
        ("xinetd.conf", ASKS.to_owned(), "hosts.deny for cat:"),
        ("xinetd.conf", ASKS.replace("wait = no", "wait = yes"), "hosts.deny for cat:"),
        ("xinetd.conf", ASKS.replace(" user", " libwrap = dog\n user"), "hosts.deny for dog:"),
        ("xinetd.conf", "service daytime\n{\n id = day\n type = INTERNAL\n socket_type = stream\n wait = no\n}\n".into(), "hosts.deny for daytime:"),
        ("xinetd.conf", ASKS.replace("server = /bin/cat", "redirect = 192.0.2.1 80"), "hosts.deny for s:"),
        ("inetd.conf", "7 stream tcp nowait/10 root /bin/cat cat\n".into(), "hosts.deny for cat:"),
    ];
    for (name, text, knob) in &asks {
        let made = unknown(name, text);
        let report = made.report.to_string();
        assert_eq!(made.report.count(Fate::Error), 1, "{text}{report}");
        let said = format!(
            "{knob} they are not known: name them with --hosts-allow and --hosts-deny (/dev/null where there were none)"
        );
        assert!(report.contains(&said), "{text}{report}");
        assert!(made.table.contains("\nenabled = false\n"), "{}", made.table);
    }
    let asks_not = [
        (
            "xinetd.conf",
            ASKS.replace(" user", " flags = NOLIBWRAP\n user"),
        ),
        // They ask by themselves, as before.
        (
            "xinetd.conf",
            ASKS.replace(
                "/bin/cat",
                "/usr/sbin/tcpd\n flags = NAMEINARGS\n server_args = /bin/cat",
            ),
        ),
        (
            "inetd.conf",
            "7 stream tcp nowait root /usr/sbin/tcpd /bin/cat\n".into(),
        ),
        (
            "inetd.conf",
            "7 stream tcp nowait root /bin/cat cat\n".into(),
        ),
    ];
    for (name, text) in &asks_not {
        let made = unknown(name, text);
        assert_eq!(made.report.count(Fate::Error), 0, "{text}{}", made.report);
        assert!(!made.table.contains("enabled = false"), "{}", made.table);
    }
}

#[test]
fn a_name_in_hosts_allow_is_left_to_tcpd_or_an_error() {
    let names = (Some("cat: .example.org"), Some("ALL: ALL"));
    let made = converted(&[input("xinetd.conf", ASKS)], names.0, names.1);
    assert_eq!(made.report.count(Fate::Error), 1, "{}", made.report);
    let said = "xinetd.conf:1: ERROR: s: hosts.allow and hosts.deny for cat: hosts.allow:1: \".example.org\" is not about addresses: \
                write addresses, or let tcpd ask (see examples/tcpd.toml); the service is written with enabled = false";
    assert!(made.report.to_string().contains(said), "{}", made.report);
    assert!(made.table.contains("\nenabled = false\n"), "{}", made.table);
}

/// A table in /etc is this machine's, as hosts.allow and hosts.deny there are. Of any other the
/// command cannot know.
#[test]
fn a_table_in_etc_is_asked_about_in_etc() {
    if without_root("mounts files of its own in /etc") {
        return;
    }
    let directory = Directory::new();
    let conf = directory.file("xinetd.conf", ASKS);
    let said = run(Command::new(OXINETD).args(["convert", &conf]));
    assert_eq!(said.code, Some(65), "{}", said.stderr);
    assert!(
        said.stderr.contains("they are not known"),
        "{}",
        said.stderr
    );
    let said = run(Command::new(OXINETD)
        .args(["convert", &conf])
        .args(NO_HOSTS));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let said = run(Command::new(OXINETD).args(["convert", &conf, "--hosts-deny", "/dev/null"]));
    assert_eq!(said.code, Some(64), "{}", said.stderr);

    directory.file("hosts.deny", "cat: 192.0.2.0/24\n");
    let script = "mount -t tmpfs none /etc && cp \"$1\"/xinetd.conf /etc && cd /etc && \
                  \"$2\" convert xinetd.conf && echo 7 >inetd.conf && cp \"$1\"/hosts.deny /etc && \"$2\" convert xinetd.conf";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]);
    let said = run(command.arg(directory.path()).arg(OXINETD));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let (without, with) = said.stdout.rsplit_once("# Made by").unwrap();
    assert!(!without.contains("deny"), "{without}");
    assert!(with.contains("\ndeny = \"192.0.2.0/24\"\n"), "{with}");
    let remarks = said
        .stderr
        .matches("on this machine: /etc/inetd.conf has services too");
    assert_eq!(remarks.count(), 1, "{}", said.stderr);
    let copy = "/etc/hosts.allow and /etc/hosts.deny: changed: tcp_wrappers: read once";
    assert!(said.stderr.contains(copy), "{}", said.stderr);
}

#[test]
fn a_table_for_services_d_has_services_only() {
    let conf = "defaults\n{\n log_type = SYSLOG daemon\n only_from = 192.0.2.0\n}\n".to_owned()
        + &ASKS
            .replace("service s", "service a")
            .replace("port = 7", "port = 9")
        + ASKS;
    let directory = Directory::new();
    let path = directory.file("xinetd.conf", conf);
    let command = ["convert", "--brief", "--drop-in", &path];
    let said = run(Command::new(OXINETD).args(command).args(NO_HOSTS));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(!said.stdout.contains("[server]"), "{}", said.stdout);
    assert!(!said.stdout.contains("[defaults]"), "{}", said.stdout);
    assert_eq!(
        said.stdout.matches("\nallow = \"192.0.2.0/24\"\n").count(),
        2
    );
    let log =
        "dropped: log_type: log belongs in the main table: write log = \"syslog\" in its [server]";
    assert!(said.stderr.contains(log), "{}", said.stderr);
    assert!(!said.stderr.contains(": kept: "), "{}", said.stderr);
    assert!(
        said.stderr
            .ends_with("next: see Moving over in oxinetd(8)\n"),
        "{}",
        said.stderr
    );
    directory.file(
        "services.toml",
        "[server]\ninclude = [\"converted.toml\"]\n",
    );
    directory.file("converted.toml", said.stdout);
    let said = run(Command::new(OXINETD).args(["check", &directory.join("services.toml")]));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

/// A user goes with its package: a service that is off must not keep the others from being offered.
#[test]
fn a_service_that_is_off_and_cannot_be_here_is_a_comment() {
    let block = ASKS.replace("user = root", "user = nobody-of-this-name\n disable = yes");
    let directory = Directory::new();
    let path = directory.file("xinetd.conf", block);
    let said = run(Command::new(OXINETD)
        .args(["convert", "--drop-in", &path])
        .args(NO_HOSTS));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stdout.contains("\n# [service.s]\n# enabled = false\n"),
        "{}",
        said.stdout
    );
    let remarks: Vec<&str> = said.stderr.split("on this machine: ").skip(1).collect();
    let expected = "[service.s] is off, and written as a comment: there is no user \"nobody-of-this-name\"\nnext: see Moving over in oxinetd(8)\n";
    assert_eq!(remarks, [expected]);
}

/// Who gets in to a service of xinetd.d is often said in xinetd.conf only.
#[test]
fn a_part_of_xinetd_d_has_the_defaults_beside_it() {
    let directory = Directory::new();
    fs::create_dir(directory.join("xinetd.d")).unwrap();
    let file = directory.file("xinetd.d/s", ASKS);
    let folder = directory.join("xinetd.d");
    let conf = "defaults\n{\n only_from = 192.0.2.0\n}\nincludedir /nowhere\n";
    directory.file("xinetd.conf", conf);
    for path in [&folder, &file] {
        let said = run(Command::new(OXINETD).args(["convert", path]).args(NO_HOSTS));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let rule = format!(
            "{}:3: kept: s: only_from: allow = 192.0.2.0/24\n",
            directory.join("xinetd.conf")
        );
        assert!(said.stderr.contains(&rule), "{}", said.stderr);
        assert!(
            said.stdout.contains("\nallow = \"192.0.2.0/24\"\n"),
            "{}",
            said.stdout
        );
        assert!(!said.stderr.contains("/nowhere"), "{}", said.stderr);
    }
    fs::remove_file(directory.join("xinetd.conf")).unwrap();
    let said = run(Command::new(OXINETD)
        .args(["convert", &folder])
        .args(NO_HOSTS));
    assert!(said.stdout.contains("[service.s]\n"), "{}", said.stdout);
    assert!(!said.stdout.contains("allow"), "{}", said.stdout);
}
