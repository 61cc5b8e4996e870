//! What a table means: whole tables in, facts out.

use super::*;
use crate::table::{
    Acl, AclEntry, Action, Client, Control, Hours, List, LogAddress, Pass, Program, Rate, Refusal,
    RefusalTexts, Rules, SourcePrefix, Span, Stderr, WhenFull, Who,
};
use std::collections::BTreeMap;

/// Loads a table as root would, from a directory with these files; the first is the table.
fn load_files(files: &[(&str, &str)], privileged: bool) -> Result<Loaded, Mistakes> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let uid = if privileged { 0 } else { 3_999_999_999 };
    let env = BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]);
    let host = Host {
        privileged,
        uid,
        gid: 7,
        groups: vec![7],
        lowest_port: 0,
        env,
        handed: None,
    };
    load(&directory.path().join(files[0].0), &host)
}

fn table(text: &str) -> Table {
    load_files(&[("t.toml", text)], true)
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.0[0]))
        .table
}

/// One service, with a listener and a command unless they are written.
fn service(keys: &str) -> Service {
    let listen = if keys.contains("listen =") {
        ""
    } else {
        "listen = 7\n"
    };
    let mut table = table(&format!(
        "[service.x]\n{listen}command = [\"/bin/sh\", \"-c\"]\n{keys}"
    ));
    table.services.remove(0)
}

fn program(service: &Service) -> &Program {
    let Action::Exec(program) = &service.action else {
        panic!("no program")
    };
    program
}

fn messages(result: Result<Loaded, Mistakes>) -> Vec<String> {
    result
        .unwrap_err()
        .0
        .iter()
        .map(|mistake| mistake.message().to_owned())
        .collect()
}

#[test]
fn a_service_that_says_little_gets_the_defaults() {
    let service = service("");
    assert_eq!(
        (service.wait, service.pass, &service.stderr),
        (false, Pass::Stdio, &Stderr::Client)
    );
    assert_eq!(
        (
            service.max_connections,
            service.enabled,
            &service.unavailable
        ),
        (128, true, &None)
    );
    let expected = Program {
        path: "/bin/sh".into(),
        argv: vec!["/bin/sh".into(), "-c".into()],
        identity: 0,
        identity_by_default: true,
        umask: 0o22,
        nice: None,
        directory: "/".into(),
        chroot: None,
        env: vec![],
        limits: vec![],
        no_new_privileges: true,
    };
    assert_eq!(*program(&service), expected);
    let server = table("[service.x]\nlisten = 7\nbuiltin = \"echo\"").server;
    assert_eq!(
        (server.log, server.log_format, server.log_address),
        (LogSink::Stderr, LogFormat::Text, LogAddress::Full)
    );
    assert_eq!(
        (server.max_connections, server.max_worker_connections),
        (10_000, 4096)
    );
}

#[test]
fn datagrams_are_waited_for_and_passed_sockets_have_no_client() {
    assert!(service("listen = \"udp:7\"").wait);
    assert!(service("listen = \"unix-dgram:/run/x\"").wait);
    assert!(service("wait = true").wait);
    assert_eq!(service("pass = \"listen_fds\"").stderr, Stderr::Log);
    assert_eq!(service("wait = true").stderr, Stderr::Client);
    assert!(service("listen = [7, \"udp:7\"]\nwait = true").wait);
}

#[test]
fn only_root_keeps_setuid_programs() {
    assert!(!program(&service("user = \"root\"")).no_new_privileges);
    assert!(program(&service("user = \"root\"\nno_new_privileges = true")).no_new_privileges);
    assert!(!program(&service("no_new_privileges = false")).no_new_privileges);
}

#[test]
fn argument_zero_can_be_chosen() {
    let service = service("argv0 = \"-sh\"");
    assert_eq!(
        (
            program(&service).path.as_str(),
            program(&service).argv[0].as_str()
        ),
        ("/bin/sh", "-sh")
    );
}

#[test]
fn defaults_apply_where_they_can() {
    let table = table(
        r#"
        [defaults]
        wait = false
        pass = "listen_fds"
        stderr = "client"
        umask = "077"
        pass_env = ["TZ"]
        env = { A = "default" }
        [service.datagrams]
        listen = "udp:7"
        command = ["/bin/sh"]
        pass = "stdio"
        [service.passed]
        listen = 7
        command = ["/bin/sh"]
        env = { A = "own" }
        [service.builtin]
        listen = 8
        builtin = "echo"
    "#,
    );
    let [datagrams, passed, builtin] = table.services.as_slice() else {
        panic!()
    };
    assert_eq!(
        (datagrams.wait, datagrams.pass, &datagrams.stderr),
        (true, Pass::Stdio, &Stderr::Client)
    );
    assert_eq!(
        (passed.wait, passed.pass, &passed.stderr),
        (false, Pass::ListenFds, &Stderr::Log)
    );
    assert_eq!((builtin.wait, builtin.pass), (false, Pass::Stdio));
    assert_eq!(program(passed).umask, 0o77);
    let expected = [
        ("TZ".to_owned(), "UTC".to_owned()),
        ("A".to_owned(), "own".to_owned()),
    ];
    assert_eq!(program(passed).env, expected);
}

#[test]
fn services_that_run_as_the_same_user_share_an_identity() {
    let table = table(
        r#"
        [service.a]
        listen = 7
        command = ["/bin/sh"]
        [service.b]
        listen = 8
        command = ["/bin/sh"]
        user = "nobody"
        [service.c]
        listen = 9
        command = ["/bin/sh"]
        user = "root"
    "#,
    );
    let identities: Vec<(u32, bool)> = table
        .services
        .iter()
        .map(|service| {
            (
                program(service).identity,
                program(service).identity_by_default,
            )
        })
        .collect();
    assert_eq!(identities, [(0, true), (0, false), (1, false)]);
    assert_eq!(table.identities.len(), 2);
}

#[test]
fn without_rights_a_service_for_another_user_is_not_offered_and_the_rest_is() {
    let text = "[service.a]\nlisten = 7\ncommand = [\"/bin/sh\"]\nuser = \"root\"\n\
                [service.b]\nlisten = 8\ncommand = [\"/bin/sh\"]\n\
                [service.c]\nlisten = 9\ncommand = [\"/bin/sh\"]\nchroot = \"/\"\n";
    let table = load_files(&[("t.toml", text)], false).unwrap().table;
    let unavailable: Vec<bool> = table
        .services
        .iter()
        .map(|service| service.unavailable.is_some())
        .collect();
    assert_eq!(unavailable, [true, false, true]);
    assert_eq!(table.server.worker, None);
    let own = &table.identities[0];
    assert_eq!(
        (own.uid, own.gid, own.groups.as_slice()),
        (3_999_999_999, 7, &[7][..])
    );
}

const ECHO: &str = "builtin = \"echo\"\n";

#[test]
fn included_services_come_after_those_of_the_main_file_in_the_order_of_files() {
    let main = format!(
        "[server]\ninclude = [\"d/*.toml\", \"d/a.toml\", \"*.toml\"]\n[service.z]\nlisten = 1\n{ECHO}[service.m]\nlisten = 2\n{ECHO}"
    );
    let b = format!("[service.b]\nlisten = 4\n{ECHO}");
    let a = format!("[service.c]\nlisten = 3\n{ECHO}");
    let loaded = load_files(
        &[("t.toml", &main), ("d/b.toml", &b), ("d/a.toml", &a)],
        true,
    )
    .unwrap();
    let names: Vec<&str> = loaded
        .table
        .services
        .iter()
        .map(|service| &*service.name)
        .collect();
    assert_eq!(names, ["z", "m", "c", "b"]);
}

#[test]
fn a_later_entry_replaces_an_earlier_one_only_when_it_says_so() {
    let main = format!("[server]\ninclude = \"d/*.toml\"\n[service.x]\nlisten = 1\n{ECHO}");
    let again = format!("[service.x]\nlisten = 2\n{ECHO}");
    let files = [("t.toml", main.as_str()), ("d/a.toml", again.as_str())];
    assert_eq!(
        messages(load_files(&files, true)),
        ["service x is here for the second time"]
    );
    let over = again.clone() + "override = true\n";
    let files = [("t.toml", main.as_str()), ("d/a.toml", over.as_str())];
    let table = load_files(&files, true).unwrap().table;
    assert_eq!(table.services.len(), 1);
    assert_eq!(table.services[0].endpoints[0].to_string(), "0.0.0.0:2");
}

#[test]
fn a_line_that_is_no_toml_hides_nothing_elsewhere() {
    let text = "[service.a]\nlisten 7\ncommand = [\"/bin/sh\"]\n\
                [service.b]\nlisten = 7\ncommand = [\"/bin/sh\"]\nuser = \"no-such-user\"\nwait = yes\n\
                [service.c]\nlisten = 99999\ncommand = [\"/bin/sh\"]\n\
                [service.d]\nlisten = 8\n";
    let expected = [
        "this line is not TOML",
        "\"yes\" is not a TOML value",
        "99999 is not a port",
        "service d does not say what it does",
    ];
    assert_eq!(messages(load_files(&[("t.toml", text)], true)), expected);
}

#[test]
fn a_second_value_is_never_overlooked() {
    let forms = [
        "listen = [\n[1],\n]\nlisten = 3",
        "listen = 1\nlisten = 3",
        "'listen' = 1\n\"listen\" = 3",
        "listen = 1\nlimits . cpu = 1\nlimits.cpu = 2",
        "listen = 1\nenv = { A = '1', A = '2' }",
        "listen = 1\nenv.A = '1'\n[service.x.env]\nA = '2'",
        "listen = 1\n[service.y]\n[service.x]\nuser = 'root'",
    ];
    for form in forms {
        let text = format!("[service.x]\ncommand = [\"/bin/sh\"]\n{form}\n");
        let messages = messages(load_files(&[("t.toml", &text)], true));
        assert!(
            messages
                .iter()
                .any(|message| message.ends_with("is here for the second time")),
            "{form}"
        );
    }
}

#[test]
fn endpoints_know_the_element_that_they_came_from() {
    let service = service("listen = [\"unix:@x\", 7, \"127.0.0.1:0\"]");
    let entries: Vec<(String, u16, bool)> = service
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.to_string(), endpoint.entry, endpoint.optional))
        .collect();
    let expected = [
        ("unix:@x".to_owned(), 0, false),
        ("0.0.0.0:7".to_owned(), 1, true),
        ("[::]:7".to_owned(), 1, true),
        ("127.0.0.1:0".to_owned(), 2, false),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn limits_are_read_in_their_units() {
    use crate::table::{Limit, Resource};
    let service = service("limits = { cpu = \"1m\", as = [\"1G\", \"unlimited\"], nofile = 9 }");
    let limit = |resource, soft, hard| Limit {
        resource,
        soft,
        hard,
    };
    let expected = [
        limit(Resource::Cpu, 60, 60),
        limit(Resource::As, 1 << 30, u64::MAX),
        limit(Resource::Nofile, 9, 9),
    ];
    assert_eq!(program(&service).limits, expected);
}

#[test]
fn every_example_in_the_list_of_keys_is_right() {
    use keys::{KEYS, Section};
    for key in KEYS {
        let text = match (key.section, key.name) {
            (Section::Server, _) => {
                format!("[server]\n{}\n[service.x]\nlisten = 7\n{ECHO}", key.example)
            }
            (_, "listen" | "builtin") => {
                let rest = if key.name == "listen" {
                    ECHO
                } else {
                    "listen = 7"
                };
                format!("[service.x]\n{}\n{rest}\n", key.example)
            }
            (_, "command" | "redirect") => format!("[service.x]\nlisten = 7\n{}\n", key.example),
            (_, "newline") => format!(
                "[service.x]\nlisten = 7\nstdio = \"pipe\"\ncommand = [\"/bin/sh\"]\n{}\n",
                key.example
            ),
            // Needs an entry before it.
            (_, "override") => continue,
            // Alone it leaves nothing to serve.
            (_, "enabled") => format!(
                "[service.x]\nlisten = 7\n{ECHO}{}\n[service.y]\nlisten = 8\n{ECHO}",
                key.example
            ),
            (_, name) => {
                let listen = match name.starts_with("socket_") {
                    true => "\"unix:/run/x\"",
                    false => "7",
                };
                format!(
                    "[service.x]\nlisten = {listen}\ncommand = [\"/bin/sh\"]\n{}\n",
                    key.example
                )
            }
        };
        let loaded = load_files(&[("t.toml", &text)], true);
        let unknown = |mistake: &Mistake| mistake.message().starts_with("there is no ");
        let mistakes = loaded.err().map(|mistakes| mistakes.0).unwrap_or_default();
        let wrong: Vec<String> = mistakes
            .iter()
            .filter(|m| !unknown(m))
            .map(Mistake::to_string)
            .collect();
        assert!(wrong.is_empty(), "{}: {}", key.name, wrong.join("\n"));
    }
}

#[test]
fn the_worker_user_is_only_missed_when_there_is_work_for_it() {
    let text = |body: &str| {
        format!("[server]\nworker_user = \"no-such-user\"\n[service.x]\nlisten = 7\n{body}")
    };
    let warnings = |body: &str| {
        load_files(&[("t.toml", &text(body))], true)
            .unwrap()
            .warnings
    };
    assert!(
        warnings("command = [\"/bin/sh\"]")
            .iter()
            .all(|warning| warning.place().line_and_column().is_none())
    );
    let expected = "user no-such-user does not exist: the worker runs as the unassigned id 65533";
    assert!(
        warnings(ECHO)
            .iter()
            .any(|warning| warning.message() == expected)
    );
}

/// The rules of each service, by index, and all rules.
fn rules(text: &str) -> (Vec<u32>, Vec<Rules>) {
    let table = table(text);
    let indices = table.services.iter().map(|service| service.rules);
    (indices.collect(), table.rules)
}

#[test]
fn services_share_rules_and_the_first_are_those_of_nothing_written() {
    let (indices, all) = rules(
        r#"
        [service.a]
        listen = 7
        builtin = "echo"
        when_full = "refuse"
        [service.b]
        listen = 8
        builtin = "echo"
        [service.c]
        listen = 9
        command = ["/bin/sh"]
        when_full = "refuse"
    "#,
    );
    assert_eq!(indices, [1, 0, 1]);
    let refuse = Rules {
        when_full: WhenFull::Refuse,
        ..Rules::default()
    };
    assert_eq!(all, [Rules::default(), refuse]);
}

#[test]
fn admission_keys_of_the_defaults_apply_where_they_can() {
    let (indices, all) = rules(
        r#"
        [defaults]
        when_full = "refuse"
        max_per_source = 3
        source_prefix = { v4 = 24 }
        rate = "5/s"
        rate_per_source = "1/s"
        hours = "00:00-24:00"
        refusal = "no"
        [service.own]
        listen = 7
        builtin = "echo"
        max_per_source = 4
        rate = "6/s"
        refusal = { full = "busy" }
        [service.datagrams]
        listen = "udp:7"
        builtin = "echo"
        [service.wait]
        listen = 8
        command = ["/bin/sh"]
        wait = true
    "#,
    );
    assert_eq!(indices, [1, 2, 3]);
    let rate = |count| Some(Rate::new(count, std::time::Duration::from_secs(1), None));
    let starts = Rules {
        rate: rate(5),
        ..Rules::default()
    };
    let datagrams = Rules {
        source_prefix: SourcePrefix { v4: 24, v6: 64 },
        rate_per_source: rate(1),
        hours: Some(Hours(vec![Span {
            days: 127,
            from: 0,
            to: 1440,
        }])),
        ..starts.clone()
    };
    let own = Rules {
        when_full: WhenFull::Refuse,
        max_per_source: Some(4),
        rate: rate(6),
        refusal: RefusalTexts {
            any: None,
            by_reason: BTreeMap::from([(Refusal::Full, "busy".to_owned())]),
        },
        ..datagrams.clone()
    };
    assert_eq!(all[1..], [own, datagrams, starts]);
}

/// An entry of a list: which, whom, and the line that it is on.
fn acl_entry(list: List, who: Who, file: u32, line: u32) -> AclEntry {
    AclEntry {
        list,
        who,
        file,
        line,
    }
}

fn prefix(address: &str, bits: u8) -> Who {
    Who::Prefix(address.parse().unwrap(), bits)
}

const ACCESS: &str = r#"
[defaults]
allow = ["192.0.2.0/24", "@friends"]
deny = "uid:7"
[service.a]
listen = 7
builtin = "echo"
[service.b]
listen = 8
builtin = "echo"
deny = []
[service.c]
listen = 9
builtin = "echo"
allow = "@friends"
deny = []
[service.d]
listen = 10
builtin = "echo"
allow = "@friends"
deny = []
exempt = "::1"
[service.e]
listen = 11
builtin = "echo"
deny = []
allow = "@friends"
[service.wait]
listen = "udp:12"
command = ["/bin/sh"]
"#;

#[test]
fn lists_are_shared_and_know_where_they_were_written() {
    let loaded = load_files(
        &[
            ("t.toml", ACCESS),
            ("friends", "# ours\n2001:db8::/32\nunix\n"),
        ],
        true,
    );
    let table = loaded.unwrap().table;
    let indices: Vec<u32> = table.services.iter().map(|service| service.rules).collect();
    assert_eq!(indices, [1, 2, 3, 4, 3, 0]);
    let acls = table.rules.iter().map(|rules| rules.acl);
    assert!(acls.eq([None, Some(0), Some(1), Some(2), Some(3)]));
    assert_eq!(table.rules[3].when_full, WhenFull::Queue);
    assert_eq!(table.rules[4].when_full, WhenFull::Refuse);
    let names = |names: &[&str]| {
        let directory = table.acls[0].files[0].strip_suffix("t.toml").unwrap();
        let names = names.iter().map(|name| format!("{directory}{name}"));
        names.collect::<Vec<String>>()
    };
    use List::{Allow, Deny, Exempt};
    let friends = |file| {
        [
            acl_entry(Allow, prefix("2001:db8::", 32), file, 2),
            acl_entry(Allow, Who::Local, file, 3),
        ]
    };
    let own = acl_entry(Allow, prefix("192.0.2.0", 24), 0, 3);
    let [first, second] = friends(1);
    let both = names(&["t.toml", "friends"]);
    let deny = acl_entry(Deny, Who::Uid(7), 0, 4);
    let expected = Acl::new(both.clone(), vec![own, first, second, deny]);
    assert_eq!(table.acls[0], expected);
    assert_eq!(table.acls[1], Acl::new(both, vec![own, first, second]));
    let expected = Acl::new(names(&["friends"]), friends(0).to_vec());
    assert_eq!(table.acls[2], expected);
    let exempt = acl_entry(Exempt, prefix("::1", 128), 1, 22);
    let entries = [friends(0).as_slice(), &[exempt]].concat();
    let expected = Acl::new(names(&["friends", "t.toml"]), entries);
    assert_eq!(table.acls[3], expected);
    assert_eq!(table.acls.len(), 4);
    // Lists that differ in places only are equal: those are asked for.
    let ip = |text: &str| Client::Ip(text.parse().unwrap());
    let place = |acl: usize, entry: Option<AclEntry>| {
        let entry = entry.unwrap();
        let file = &table.acls[acl].files[entry.file as usize];
        (file.rsplit('/').next().unwrap(), entry.line)
    };
    let by = |acl: usize, client| place(acl, table.acls[acl].judge(client).by);
    assert_eq!(by(0, ip("192.0.2.7")), ("t.toml", 3));
    assert_eq!(by(0, ip("2001:db8::1")), ("friends", 2));
    assert_eq!(by(0, Client::Uid(7)), ("t.toml", 4));
    assert_eq!(by(3, Client::Uid(8)), ("friends", 3));
    let exempt = table.acls[3].judge(ip("::1")).exempt_by;
    assert_eq!(place(3, exempt), ("t.toml", 22));
}

#[test]
fn a_list_that_anyone_may_write_is_a_mistake() {
    use std::os::unix::fs::PermissionsExt;
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), "192.0.2.1\n").unwrap();
    let path = list.path().to_str().unwrap();
    let text = format!("[service.x]\nlisten = 7\n{ECHO}deny = \"@{path}\"\n");
    let found = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        list.as_file().set_permissions(mode).unwrap();
        load_files(&[("t.toml", &text)], true)
    };
    assert_eq!(
        messages(found(0o666)),
        ["anyone may write this file (mode 0666)"]
    );
    assert_eq!(found(0o644).unwrap().table.acls.len(), 1);
}

#[test]
fn the_control_socket_is_unsaid_or_off_or_somewhere() {
    let control = |line: &str| {
        let text = format!("[server]\n{line}\n[service.x]\nlisten = 7\n{ECHO}");
        table(&text).server.control
    };
    assert_eq!(control(""), None);
    assert_eq!(control("control = \"none\""), Some(Control::Off));
    assert_eq!(
        control("control = \"/run/x\""),
        Some(Control::At("/run/x".into()))
    );
}

#[test]
fn bytes_are_counted_where_a_tcp_connection_is_given_away() {
    assert!(service("account = true").account);
    assert!(!service("").account);
    let table = table(
        r#"
        [defaults]
        account = true
        [service.tcp]
        listen = [7, "unix:@x"]
        command = ["/bin/sh"]
        [service.unix]
        listen = "unix:@y"
        command = ["/bin/sh"]
        [service.wait]
        listen = 8
        command = ["/bin/sh"]
        wait = true
        [service.echo]
        listen = 9
        builtin = "echo"
    "#,
    );
    let counted = table.services.iter().map(|service| service.account);
    assert!(counted.eq([true, false, false, false]));
}
