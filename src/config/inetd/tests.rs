//! What lines mean, what is said about those that mean nothing, and that no text makes it panic.

use super::*;
use proptest::prelude::*;

fn conf_as(text: &str, dialect: Option<Dialect>) -> Conf {
    parse(
        &Arc::new(Source::new("inetd.conf".into(), text.into(), 0)),
        dialect,
    )
}

fn lines(conf: &Conf) -> Vec<&Line> {
    fn line(item: &Item) -> Option<&Line> {
        match item {
            Item::Service(line) => Some(line),
            _ => None,
        }
    }
    conf.items.iter().filter_map(line).collect()
}

/// A line in a form that is easy to compare.
fn shown(line: &Line) -> String {
    let listen: Vec<&str> = line.listen.iter().map(|text| text.value.as_str()).collect();
    let group = line
        .group
        .as_ref()
        .map_or(String::new(), |group| format!(":{}", group.value));
    let action = match &line.action {
        Act::Builtin(name) => format!("builtin {}", name.value),
        Act::Run { path, argv } => {
            let argv: Vec<&str> = argv.iter().map(|word| word.value.as_str()).collect();
            format!("{} {argv:?}", path.value)
        }
    };
    let wait = if line.wait { "wait" } else { "nowait" };
    let off = if line.enabled { "" } else { " off" };
    format!(
        "{} {} {wait} {}{group} {action}{off}",
        line.name,
        listen.join(","),
        line.user.value
    )
}

fn one(text: &str, dialect: Dialect) -> String {
    let conf = conf_as(text, Some(dialect));
    assert!(conf.mistakes.is_empty(), "{}", conf.mistakes[0]);
    shown(lines(&conf)[0])
}

fn messages(text: &str) -> Vec<String> {
    let conf = conf_as(text, None);
    conf.mistakes
        .iter()
        .map(|mistake| format!("{}: {}", mistake.place(), mistake.message()))
        .collect()
}

#[test]
fn a_line_says_where_how_as_whom_and_what() {
    use Dialect::{Busybox, Debian, Freebsd, Gnu, Netbsd, Openbsd};
    let forms = [
        (
            Debian,
            "finger stream tcp nowait nobody /usr/sbin/in.fingerd in.fingerd -w",
            r#"finger finger nowait nobody /usr/sbin/in.fingerd ["in.fingerd", "-w"]"#,
        ),
        (
            Openbsd,
            "finger stream tcp nowait nobody /usr/sbin/in.fingerd",
            r#"finger tcp4:finger nowait nobody /usr/sbin/in.fingerd ["in.fingerd"]"#,
        ),
        (
            Busybox,
            "79 stream tcp6 nowait nobody:mail /bin/f",
            r#"79 tcp6:79 nowait nobody:mail /bin/f []"#,
        ),
        (
            Debian,
            "talk dgram udp wait nobody.tty /usr/sbin/in.talkd in.talkd",
            r#"talk udp:talk wait nobody:tty /usr/sbin/in.talkd ["in.talkd"]"#,
        ),
        (
            Freebsd,
            "x.y stream tcp46 nowait/9/8/7 a.b:c/daemon /bin/f f",
            r#"x.y x.y nowait a.b:c /bin/f ["f"]"#,
        ),
        (
            Gnu,
            "daytime stream tcp6 nowait root internal",
            "daytime daytime nowait root builtin daytime",
        ),
        (
            Gnu,
            "daytime stream tcp6only nowait root internal",
            "daytime tcp6:daytime nowait root builtin daytime",
        ),
        (
            Debian,
            "127.0.0.1,[::1]:79 stream tcp nowait a /b c",
            r#"79 127.0.0.1:79,[::1]:79 nowait a /b ["c"]"#,
        ),
        (
            Debian,
            "localhost:tftp dgram udp wait a /b c",
            r#"tftp udp:localhost:tftp wait a /b ["c"]"#,
        ),
        (
            Debian,
            "/run/x.sock stream unix nowait a /b c",
            r#"x.sock unix:/run/x.sock nowait a /b ["c"]"#,
        ),
        (
            Gnu,
            "79 stream tcp nowait a /b 'c d' \"e'f\"",
            r#"79 tcp4:79 nowait a /b ["c d", "e'f"]"#,
        ),
        (
            Debian,
            "79 stream tcp nowait a /b 'c d'",
            r#"79 79 nowait a /b ["'c", "d'"]"#,
        ),
        (
            Debian,
            "#<off># 79 stream tcp nowait a /b c",
            r#"79 79 nowait a /b ["c"] off"#,
        ),
        (
            Netbsd,
            "79 stream tcp nowait:5 a\n\t/b c",
            r#"79 tcp4:79 nowait a /b ["c"]"#,
        ),
    ];
    for (dialect, text, expected) in forms {
        assert_eq!(one(text, dialect), expected, "{text}");
    }
}

#[test]
fn limits_stand_behind_wait() {
    let limits = |text: &str| {
        let conf = conf_as(&format!("79 stream tcp {text} a /b c"), None);
        let line = lines(&conf)[0];
        (
            line.rate,
            line.max_connections,
            line.rate_per_source,
            line.max_per_source,
        )
    };
    assert_eq!(limits("nowait.400"), (Some(400), None, None, None));
    assert_eq!(limits("wait.5"), (Some(5), None, None, None));
    assert_eq!(
        limits("nowait/10/20/3"),
        (None, Some(10), Some(20), Some(3))
    );
    assert_eq!(limits("nowait/0/20"), (None, None, Some(20), None));
}

#[test]
fn an_address_alone_holds_for_the_lines_below() {
    let conf = conf_as(
        "192.0.2.1:\n7 stream tcp nowait a /b c\n*:\n8 stream tcp nowait a /b c\n",
        None,
    );
    let listen: Vec<&str> = lines(&conf)
        .iter()
        .map(|line| line.listen[0].value.as_str())
        .collect();
    assert_eq!(listen, ["192.0.2.1:7", "8"]);
}

#[test]
fn every_mistake_of_every_line_is_told() {
    let text = "\
# comment
finger strem tcp nwait nobody fingerd
good stream tcp nowait a /b c
rstatd/1-3 dgram rpc/udp wait root /usr/sbin/rpc.rstatd rpc.rstatd
ftp stream tcp
qotd stream tcp nowait root internal
talk dgram udp nowait a /b c
";
    let expected = [
        "inetd.conf:2:8: unknown socket type \"strem\"",
        "inetd.conf:2:18: \"nwait\" is neither wait nor nowait",
        "inetd.conf:2:31: a program is written with its whole path, beginning with /",
        "inetd.conf:4:18: Sun RPC is not offered",
        "inetd.conf:5:1: wait or nowait is missing",
        "inetd.conf:6:29: oxinetd has no built-in service \"qotd\"",
        "inetd.conf:7:16: datagrams have no connection to hand over",
    ];
    assert_eq!(messages(text), expected);
    assert_eq!(lines(&conf_as(text, None)).len(), 1);
}

/// What would let in more than before is not served.
#[test]
fn what_protects_a_line_is_not_left_out() {
    let freebsd = |text: &str| {
        let conf = conf_as(text, Some(Dialect::Freebsd));
        let all = conf.mistakes.iter().map(|it| it.message().to_owned());
        (all.collect::<Vec<_>>(), lines(&conf).len())
    };
    let owner =
        "who may connect is decided by the socket's owner and mode (0200), which are not kept";
    assert_eq!(
        freebsd(":u:g:0600:/run/x stream unix nowait a /b c"),
        (vec![owner.into()], 0)
    );
    let policy = "the IPsec policy above (#@) is not kept";
    let text =
        "#@ in ipsec ah/require\n7 stream tcp nowait a /b c\n#@\n8 stream tcp nowait a /b c\n";
    assert_eq!(freebsd(text), (vec![policy.into()], 1));
}

#[test]
fn the_dialect_is_guessed() {
    let guesses = [
        ("#<off># 79 stream tcp nowait a /b c", Dialect::Debian),
        ("79 stream tcp nowait/5 a /b c", Dialect::Freebsd),
        ("79 stream tcp nowait:5 a /b c", Dialect::Netbsd),
        ("79 stream tcp6only nowait a /b c", Dialect::Gnu),
        ("", Dialect::Debian),
    ];
    for (text, expected) in guesses {
        assert_eq!(Dialect::guess(text).dialect, expected, "{text}");
    }
}

#[test]
fn lines_of_one_service_get_names_of_their_own() {
    let mut names = live::Names::default();
    let mut unique = |name, protocol| names.unique(name, protocol, |name| name == "taken");
    let made = [
        unique("echo", "tcp"),
        unique("echo", "udp"),
        unique("echo", "udp"),
        unique("taken", "tcp"),
    ];
    assert_eq!(made, ["echo", "echo-udp", "echo-udp-2", "taken-tcp"]);
}

fn any_dialect() -> impl Strategy<Value = Option<Dialect>> {
    (0..=Dialect::ALL.len()).prop_map(|n| Dialect::ALL.get(n).map(|(_, dialect)| *dialect))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "(\\PC{0,30}|[a-z0-9:./#<>'\" \t\n,*-]{0,80}){0,4}", dialect in any_dialect()) {
        let conf = conf_as(&text, dialect);
        for mistake in &conf.mistakes {
            let _ = mistake.to_string();
        }
    }

    #[test]
    fn fields_in_any_combination_never_panic(
        words in prop::collection::vec("(79|echo|h:79|[::1]:x|é:|/p|stream|dgram|tcp6?|udp|unix|rpc/udp|nowait(/9){0,3}|wait|nowait\\.9|a[.:/]b|internal|/b|'x y|\")", 0..9),
        dialect in any_dialect(),
    ) {
        let text = words.join(" ");
        let conf = conf_as(&text, dialect);
        // A line is a service, a mistake or an address for others, and never lost.
        let is_said = !conf.items.is_empty() || text.is_empty();
        prop_assert!(is_said);
        for line in lines(&conf) {
            prop_assert!(!line.listen.is_empty());
        }
    }
}
