//! Whose `inetd.conf` it is: the forms are alike, and the same word means different things.

/// A program that reads inetd.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Debian's openbsd-inetd: `tcp` is IPv4 and IPv6, and update-inetd switches lines off.
    Debian,
    /// OpenBSD's own: `tcp` is IPv4.
    Openbsd,
    /// NetBSD's.
    Netbsd,
    /// FreeBSD's: `nowait/MAX/RATE/PER-CLIENT`, and login classes.
    Freebsd,
    /// That of GNU inetutils: `tcp6` is both families.
    Gnu,
    /// That of busybox.
    Busybox,
}

/// A dialect, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// The dialect.
    pub dialect: Dialect,
    /// What gave it away: a clause; `None` where it was told.
    pub because: Option<&'static str>,
}

impl Guess {
    pub(super) fn told(dialect: Dialect) -> Guess {
        Guess {
            dialect,
            because: None,
        }
    }
}

impl Dialect {
    /// All of them, by name.
    pub const ALL: [(&'static str, Dialect); 6] = [
        ("debian", Dialect::Debian),
        ("openbsd", Dialect::Openbsd),
        ("netbsd", Dialect::Netbsd),
        ("freebsd", Dialect::Freebsd),
        ("gnu", Dialect::Gnu),
        ("busybox", Dialect::Busybox),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut all = Dialect::ALL.iter();
        all.find(|(_, dialect)| *dialect == self)
            .map_or("debian", |(name, _)| name)
    }

    /// The one that the text gives away; Debian's where nothing does.
    pub(super) fn guess(text: &str) -> Guess {
        let because = |dialect, because| Guess {
            dialect,
            because: Some(because),
        };
        if text
            .lines()
            .any(|line| line.starts_with("#<off>#") || line.starts_with("#:"))
        {
            return because(Dialect::Debian, "update-inetd has left its marks in it");
        }
        if text.lines().any(|line| line.starts_with("#@")) {
            return because(Dialect::Freebsd, "it has IPsec policies (#@)");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some((dialect, why)) = given_away(&words) {
                return because(dialect, why);
            }
        }
        because(Dialect::Debian, "nothing in it is another's")
    }

    /// Whether a line that begins with a blank continues the one before.
    pub(super) fn continues_lines(self) -> bool {
        !matches!(self, Dialect::Gnu | Dialect::Busybox)
    }

    /// Whether words may be quoted.
    pub(super) fn has_quotes(self) -> bool {
        matches!(self, Dialect::Freebsd | Dialect::Netbsd | Dialect::Gnu)
    }
}

/// What only one dialect has.
fn given_away(words: &[&str]) -> Option<(Dialect, &'static str)> {
    if words.first() == Some(&".include") {
        return Some((Dialect::Netbsd, "it has a line .include"));
    }
    let [_, socket, protocol, wait, user, ..] = words else {
        return None;
    };
    let counts = wait.split_once('/').map(|(_, counts)| counts);
    match () {
        () if counts.is_some() => Some((Dialect::Freebsd, "it has a limit like nowait/10")),
        () if wait.contains(':') => Some((Dialect::Netbsd, "it has a limit like nowait:100")),
        () if user.contains('/') => Some((Dialect::Freebsd, "it has a login class")),
        () if socket.contains([':', ',']) => {
            Some((Dialect::Netbsd, "it has a socket type with options"))
        }
        () if *protocol == "tcp6only" || *protocol == "udp6only" => {
            Some((Dialect::Gnu, "it has the protocol tcp6only"))
        }
        () if protocol.contains(',') => Some((Dialect::Netbsd, "it has buffer sizes")),
        () => None,
    }
}
