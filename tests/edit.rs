//! `add`, `remove`, `enable` and `disable`: what they write, what they refuse, what they say.

use crate::harness::*;

/// A table by hand: comments everywhere, and nothing aligned.
const TABLE: &str = r#"# The table of this host.

[server]
include = "more/*.toml"   # the others

# Greets.
[service.hello]
listen = "127.0.0.1:7001"     # only from here
command = ["/bin/echo", "hi"] # a program

# Says what time it is;
# nobody needs it.
[service.daytime]
  listen = "127.0.0.1:7002"

  builtin = "daytime"
# listen = 13

# The end.
"#;

const INCLUDED: &str =
    "service.time.listen = '127.0.0.1:7003'\nservice.time.builtin = 'time' # RFC 868\n";

/// A directory with both files.
struct Tables(Directory);

impl Tables {
    fn new() -> Tables {
        Tables::with(TABLE)
    }

    fn with(text: &str) -> Tables {
        let directory = Directory::new();
        directory.file("t.toml", text);
        directory.directory("more");
        directory.file("more/a.toml", INCLUDED);
        Tables(directory)
    }

    /// A command in the directory, with messages that do not depend on where that is.
    fn run(&self, words: &[&str]) -> Ran {
        let mut command = oxinetd(&[words[0], "--config", "t.toml"]);
        command.args(&words[1..]).current_dir(self.0.path());
        command.env("OXINETD_CONTROL", "/nonexistent/control");
        run(&mut command)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.0.join("t.toml")).unwrap()
    }

    fn included(&self) -> String {
        std::fs::read_to_string(self.0.join("more/a.toml")).unwrap()
    }

    /// The command refuses, with this status and last line, and writes nothing.
    #[track_caller]
    fn refuses(&self, words: &[&str], code: i32, last: &str) -> String {
        let (text, included) = (self.text(), self.included());
        let ran = self.run(words);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().last(), Some(last));
        assert_eq!(ran.stdout, "");
        assert_eq!((self.text(), self.included()), (text, included));
        ran.stderr
    }
}

const HINT: &str = "no server answers at /nonexistent/control; run \"oxinetd reload\" (or send SIGHUP) to put it in force\n";

#[test]
fn added_at_the_end() {
    let tables = Tables::new();
    let words = [
        "add",
        "cat",
        "--listen",
        "127.0.0.1:7009",
        "udp:127.0.0.1:7009",
        "--user",
        "33",
    ];
    let more = [
        "--set",
        "wait = true",
        "--set",
        "limits.core = 0",
        "--",
        "/bin/sh",
        "-c",
        "echo \"hi\"",
    ];
    let ran = tables.run(&[&words[..], &more].concat()).ok();
    assert_eq!(ran.stdout, format!("added service cat: t.toml:21\n{HINT}"));
    let expected = r#"
[service.cat]
listen = ["127.0.0.1:7009", "udp:127.0.0.1:7009"]
command = ["/bin/sh", "-c", 'echo "hi"']
user = 33
wait = true
limits.core = 0
"#;
    assert_eq!(tables.text(), format!("{TABLE}{expected}"));
}

#[test]
fn removed_with_its_comments() {
    let tables = Tables::new();
    let ran = tables.run(&["remove", "daytime"]).ok();
    assert_eq!(
        ran.stdout,
        format!("removed service daytime: t.toml:11\n{HINT}")
    );
    let (before, after) = (
        TABLE.find("# Says").unwrap(),
        TABLE.find("# listen = 13").unwrap(),
    );
    assert_eq!(
        tables.text(),
        format!("{}{}", &TABLE[..before], &TABLE[after..])
    );
}

#[test]
fn disabled_and_enabled() {
    let tables = Tables::new();
    let ran = tables.run(&["disable", "daytime"]).ok();
    assert_eq!(
        ran.stdout,
        format!("disabled service daytime: t.toml:14\n{HINT}")
    );
    let expected = TABLE.replace(
        "[service.daytime]\n",
        "[service.daytime]\n  enabled = false\n",
    );
    assert_eq!(tables.text(), expected);
    let again = tables.run(&["disable", "daytime"]).ok();
    assert_eq!(
        again.stdout,
        "service daytime is disabled already: t.toml\n"
    );
    let ran = tables.run(&["enable", "daytime", "--no-reload"]).ok();
    assert_eq!(ran.stdout, "enabled service daytime: t.toml:14\n");
    assert_eq!(tables.text(), TABLE);
    let again = tables.run(&["enable", "daytime"]).ok();
    assert_eq!(again.stdout, "service daytime is enabled already: t.toml\n");
}

#[test]
fn enabled_against_the_defaults() {
    let table = "defaults.enabled = false\n[service.a]\nenabled = true\nlisten = 7001\nbuiltin = \"echo\"\n\
                 [service.b]\nlisten = 7002\nbuiltin = \"echo\"\n";
    let tables = Tables::with(table);
    tables.run(&["enable", "b"]).ok();
    let expected = table.replace("[service.b]\n", "[service.b]\nenabled = true\n");
    assert_eq!(tables.text(), expected);
    let ran = tables.run(&["disable", "b"]).ok();
    assert!(ran.stdout.starts_with("disabled"), "{}", ran.stdout);
    tables.run(&["enable", "b"]).ok();
    assert_eq!(tables.text(), expected);
}

#[test]
fn in_an_included_file() {
    let tables = Tables::new();
    let ran = tables.run(&["disable", "time"]).ok();
    assert_eq!(
        ran.stdout,
        format!("disabled service time: more/a.toml:1\n{HINT}")
    );
    assert_eq!(
        tables.included(),
        format!("service.time.enabled = false\n{INCLUDED}")
    );
    tables.run(&["enable", "time"]).ok();
    assert_eq!(
        (tables.text().as_str(), tables.included().as_str()),
        (TABLE, INCLUDED)
    );
    tables.run(&["remove", "time"]).ok();
    assert_eq!(
        (tables.text().as_str(), tables.included().as_str()),
        (TABLE, "")
    );
}

#[test]
fn the_entry_that_counts_is_the_last() {
    let tables = Tables::new();
    let override_of = "[service.hello]\noverride = true\nlisten = 7004\nbuiltin = \"echo\"\n";
    tables.0.file("more/b.toml", override_of);
    tables.refuses(
        &["remove", "hello"],
        78,
        "oxinetd remove: service \"hello\" is in t.toml and again in more/b.toml, so that without the one \
         the other would be offered: edit them by hand",
    );
    let ran = tables.run(&["disable", "hello"]).ok();
    assert!(ran.stdout.contains("more/b.toml:2\n"), "{}", ran.stdout);
}

#[test]
fn the_shipped_table_stays_as_it_is() {
    let shipped = include_str!("../services.toml");
    let tables = Tables::with(shipped);
    for name in [
        "hello", "message", "cat", "daytime", "time", "echo", "discard", "chargen",
    ] {
        if name != "time" {
            tables.run(&["disable", name]).ok();
            let header = format!("[service.{name}]\n");
            let expected = shipped.replace(&header, &format!("{header}enabled = false\n"));
            assert_eq!(tables.text(), expected);
            tables.run(&["enable", name]).ok();
            assert_eq!(tables.text(), shipped);
        }
    }
    let words = [
        "add",
        "new",
        "--listen",
        "127.0.0.1:7777",
        "--builtin",
        "echo",
    ];
    tables.run(&words).ok();
    let new = "\n[service.new]\nlisten = \"127.0.0.1:7777\"\nbuiltin = \"echo\"\n";
    assert_eq!(tables.text(), format!("{shipped}{new}"));
    tables.run(&["remove", "new"]).ok();
    assert_eq!(tables.text(), shipped);
}

#[test]
fn mistakes_are_shown_and_nothing_is_written() {
    let tables = Tables::new();
    let words = [
        "add",
        "x",
        "--listen",
        "7001",
        "--builtin",
        "ehco",
        "--set",
        "colour = 1",
    ];
    let said = tables.refuses(
        &words,
        78,
        "oxinetd add: nothing was written: the table would have 3 mistakes",
    );
    assert!(
        said.contains(
            "t.toml:22:10: 0.0.0.0:7001 includes 127.0.0.1:7001, where service hello listens\n   22 | listen = 7001\n"
        ),
        "{said}"
    );
    assert!(said.contains("did you mean \"echo\"?"), "{said}");
    assert!(
        said.contains("t.toml:24:1: unknown key \"colour\"\n"),
        "{said}"
    );
    tables.refuses(
        &["add", "a b", "--listen", "7009", "--builtin", "echo"],
        78,
        "oxinetd add: nothing was written: the table would have 1 mistake",
    );
}

#[test]
fn a_table_keeps_a_service() {
    let tables = Tables::with("[service.a]\nlisten = 7001\nbuiltin = \"echo\"\n");
    let last =
        |verb| format!("oxinetd {verb}: nothing was written: the table would have 1 mistake");
    let said = tables.refuses(&["disable", "a"], 78, &last("disable"));
    assert!(
        said.contains("no service in this table is enabled"),
        "{said}"
    );
    let said = tables.refuses(&["remove", "a"], 78, &last("remove"));
    assert!(said.contains("this table has no service"), "{said}");
}

#[test]
fn an_empty_table_gets_its_first_service() {
    let tables = Tables::with("");
    let ran = tables
        .run(&["add", "a", "--listen", "7001", "--builtin", "echo"])
        .ok();
    assert_eq!(ran.stdout, format!("added service a: t.toml:1\n{HINT}"));
    assert_eq!(
        tables.text(),
        "[service.a]\nlisten = 7001\nbuiltin = \"echo\"\n"
    );
}

#[test]
fn names_that_are_there_or_not() {
    let tables = Tables::new();
    tables.refuses(
        &["add", "time", "--listen", "7009", "--builtin", "echo"],
        64,
        "oxinetd add: there is a service \"time\" already: more/a.toml:1",
    );
    for verb in ["remove", "enable", "disable"] {
        let said = format!(
            "oxinetd {verb}: there is no service \"daytme\" in this table; did you mean daytime?"
        );
        tables.refuses(&[verb, "daytme"], 66, &said);
    }
}

#[test]
fn arguments_that_make_no_service() {
    let tables = Tables::new();
    tables.refuses(
        &["add", "x", "--listen", "7009", "--builtin", "echo", "--set", "description=hi"],
        64,
        "oxinetd add: --set description=hi: \"hi\" is not TOML; a text has quotes of its own: --set \
         'description=\"hi\"'",
    );
    tables.refuses(
        &["add", "x", "--listen", "7009", "--", "no-such-program"],
        64,
        "oxinetd add: no-such-program: no such program in PATH",
    );
    assert_eq!(tables.run(&["add", "x", "--listen", "7009"]).code, Some(64));
    let both = [
        "add",
        "x",
        "--listen",
        "7009",
        "--builtin",
        "echo",
        "--",
        "/bin/cat",
    ];
    assert_eq!(tables.run(&both).code, Some(64));
}

#[test]
fn mistakes_that_were_there_before_are_no_obstacle() {
    let broken =
        "\n[service.broken]\nlisten = 7005\n\n[service.odd]\nlisten = 7006\nbuiltin = \"odd\"\n";
    let tables = Tables::with(&(TABLE.to_owned() + broken));
    let ran = tables.run(&["disable", "hello"]);
    assert_eq!(ran.code, Some(78), "what was written is not in force");
    assert_eq!(ran.stdout, "disabled service hello: t.toml:8\n");
    let remark = "the table has 2 mistakes that it had before: no server loads it until that is corrected \
                  (see oxinetd check)\n";
    assert_eq!(ran.stderr, remark);
    tables.refuses(
        &["add", "x", "--listen", "7009", "--builtin", "odd"],
        78,
        "oxinetd add: nothing was written: the table would have 1 mistake more than it has already",
    );
    let ran = tables.run(&["remove", "broken"]);
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr.starts_with("the table has 1 mistake that"),
        "{}",
        ran.stderr
    );
    let ran = tables.run(&["remove", "odd"]).ok();
    assert_eq!(
        ran.stdout,
        format!("removed service odd: t.toml:22\n{HINT}")
    );
}

#[test]
fn what_is_not_toml_is_not_edited() {
    let tables = Tables::with(&(TABLE.to_owned() + "listen 7\n"));
    for words in [
        &["disable", "hello"][..],
        &["add", "x", "--listen", "7009", "--builtin", "echo"],
    ] {
        let last = format!(
            "oxinetd {}: t.toml is not TOML: correct that first",
            words[0]
        );
        let said = tables.refuses(words, 78, &last);
        assert!(
            said.starts_with("t.toml:20:1: this line is not TOML\n"),
            "{said}"
        );
    }
}

#[test]
fn an_inline_table_of_services() {
    let inline = "service = { a = { listen = 7001, builtin = \"echo\" }, b = { listen = 7002, builtin = \"echo\" } } # c\n";
    let tables = Tables::with(inline);
    tables.run(&["disable", "a"]).ok();
    assert_eq!(
        tables.text(),
        inline.replace("\"echo\" }, b", "\"echo\", enabled = false }, b")
    );
    tables.run(&["enable", "a"]).ok();
    assert_eq!(tables.text(), inline);
    tables.run(&["remove", "a"]).ok();
    assert_eq!(
        tables.text(),
        "service = { b = { listen = 7002, builtin = \"echo\" } } # c\n"
    );
    tables.refuses(
        &["add", "c", "--listen", "7003", "--builtin", "echo"],
        78,
        "oxinetd add: t.toml has service = { … }, below which nothing can be added: write it as \
         [service.NAME] sections first",
    );
}

#[test]
fn a_dry_run_shows_lines_and_writes_nothing() {
    let tables = Tables::new();
    let ran = tables.run(&["disable", "daytime", "--dry-run"]).ok();
    assert_eq!(
        ran.stdout,
        "t.toml:14\n+  enabled = false\nnothing was written (--dry-run)\n"
    );
    let ran = tables.run(&["remove", "hello", "--dry-run"]).ok();
    let expected = "t.toml:6\n-# Greets.\n-[service.hello]\n-listen = \"127.0.0.1:7001\"     # only from here\n\
                    -command = [\"/bin/echo\", \"hi\"] # a program\n-\nnothing was written (--dry-run)\n";
    assert_eq!(ran.stdout, expected);
    assert_eq!(tables.text(), TABLE);
    tables.refuses(
        &[
            "add",
            "x",
            "--listen",
            "7001",
            "--builtin",
            "echo",
            "--dry-run",
        ],
        78,
        "oxinetd add: nothing was written: the table would have 1 mistake",
    );
}

#[test]
fn programs_read_json() {
    let tables = Tables::new();
    let json = |words: &[&str]| {
        let ran = tables.run(&[words, &["--json"]].concat());
        assert_eq!(ran.stderr, "");
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran.code.unwrap(), value)
    };
    let expected = serde_json::json!({
        "ok": true, "command": "disable", "service": "daytime", "file": "t.toml", "written": true,
        "changes": [{"line": 14, "removed": [], "added": ["  enabled = false"]}],
        "warnings": [], "old_mistakes": 0, "reloaded": false, "not_bound": [],
    });
    assert_eq!(json(&["disable", "daytime"]), (0, expected));
    let (code, value) = json(&["remove", "nothing"]);
    let expected = serde_json::json!({
        "ok": false, "command": "remove", "mistakes": [],
        "error": "there is no service \"nothing\" in this table",
    });
    assert_eq!((code, value), (66, expected));
    let (code, value) = json(&["add", "x", "--listen", "7009", "--builtin", "x"]);
    assert_eq!(
        (code, &value["mistakes"][0]["line"]),
        (78, &serde_json::json!(24))
    );
}

#[test]
fn a_server_reads_what_was_written() {
    let server = server()
        .service("hello", "command = [\"/bin/echo\", \"hi\"]")
        .start();
    let table = server.directory().join("services.toml");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let words = [
        "add",
        "bye",
        "--config",
        &table,
        "--listen",
        &address,
        "--",
        "/bin/echo",
        "bye",
    ];
    run(&mut oxinetd(&words)).ok();
    server.reload();
    assert_eq!(Client::connect(&address).read_text(), "bye\n");
    server.wait_end("bye");
    run(&mut oxinetd(&["disable", "bye", "--config", &table])).ok();
    server.reload();
    assert!(Client::try_connect(&address).is_err());
    assert_eq!(server.connect("hello").read_text(), "hi\n");
}
