//! The server's log as it comes: lines, their fields, and waiting for one.

use super::DEADLINE;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// A line of the log, in text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) String);

impl Line {
    /// What happened: the words before the first `key=value`.
    pub(crate) fn event(&self) -> &str {
        let end = self
            .0
            .split(' ')
            .take_while(|word| !is_pair(word))
            .map(|word| word.len() + 1);
        self.0[..end.sum::<usize>().saturating_sub(1).min(self.0.len())].trim_end()
    }

    /// A field's value without its quotes; escapes stay as they are.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        let mut rest = self.0.as_str();
        loop {
            let (before, value) = rest.split_once('=')?;
            let word = before.rsplit(' ').next().unwrap_or(before);
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => split_quoted(quoted),
                None => value.split_once(' ').unwrap_or((value, "")),
            };
            if word == key {
                return Some(value);
            }
            rest = after;
        }
    }

    /// A field that is a number.
    pub(crate) fn number(&self, key: &str) -> u64 {
        let value = self
            .field(key)
            .unwrap_or_else(|| panic!("no {key}= in: {self}"));
        value
            .parse()
            .unwrap_or_else(|_| panic!("{key} is not a number in: {self}"))
    }

    /// Whether this event happened to this service.
    pub(crate) fn is(&self, event: &str, service: &str) -> bool {
        self.event() == event && self.field("service") == Some(service)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits at the closing quote.
fn split_quoted(text: &str) -> (&str, &str) {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn is_pair(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// A log file's lines begin with date and time, `2026-11-20 11:03:58 `.
fn without_stamp(line: &str) -> &str {
    let stamp = line
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || b"-: ".contains(byte));
    if stamp.count() == 20 {
        &line[20..]
    } else {
        line
    }
}

/// All lines so far, and more to come. Clones see the same log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<Line>,
    ended: bool,
}

impl Log {
    /// Follows a stream in a thread of its own, to its end.
    pub(crate) fn follow(stream: impl Read + Send + 'static) -> Log {
        let log = Log::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            writer.take_all(stream);
            writer.0.0.lock().unwrap().ended = true;
            writer.0.1.notify_all();
        });
        log
    }

    /// Follows a second stream, whose end does not end the log.
    pub(crate) fn also_follow(&self, stream: impl Read + Send + 'static) {
        let writer = self.clone();
        std::thread::spawn(move || writer.take_all(stream));
    }

    fn take_all(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            self.push(Line(without_stamp(&line).to_string()));
        }
    }

    fn push(&self, line: Line) {
        self.0.0.lock().unwrap().lines.push(line);
        self.0.1.notify_all();
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// A place in the log: how many lines there are now.
    pub(crate) fn mark(&self) -> usize {
        self.0.0.lock().unwrap().lines.len()
    }

    /// How many lines so far are such.
    pub(crate) fn count(&self, such: impl Fn(&Line) -> bool) -> usize {
        let guard = self.0.0.lock().unwrap();
        guard.lines.iter().filter(|line| such(line)).count()
    }

    /// The first such line of the whole log, waited for.
    #[track_caller]
    pub(crate) fn wait_for(&self, such: impl Fn(&Line) -> bool) -> Line {
        self.wait_after(0, such)
    }

    /// The first such line after a mark, waited for.
    #[track_caller]
    pub(crate) fn wait_after(&self, mark: usize, such: impl Fn(&Line) -> bool) -> Line {
        self.wait(|lines| lines.get(mark..)?.iter().find(|line| such(line)).cloned())
    }

    /// The first `n` such lines, waited for.
    #[track_caller]
    pub(crate) fn wait_for_many(&self, n: usize, such: impl Fn(&Line) -> bool) -> Vec<Line> {
        self.wait(|lines| {
            let found: Vec<Line> = lines
                .iter()
                .filter(|line| such(line))
                .take(n)
                .cloned()
                .collect();
            (found.len() == n).then_some(found)
        })
    }

    /// Waits until so many lines are such, for numbers too large to look at all of them each time.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, n: usize, such: impl Fn(&Line) -> bool) {
        let (mut seen, mut count) = (0, 0);
        self.wait(|lines| {
            count += lines[seen..].iter().filter(|line| such(line)).count();
            seen = lines.len();
            (count >= n).then_some(())
        })
    }

    /// Waits until the whole log is such. Asked again after each line.
    #[track_caller]
    pub(crate) fn wait_until(&self, mut such: impl FnMut(&[Line]) -> bool) {
        self.wait(|lines| such(lines).then_some(()));
    }

    /// Waits until whoever writes has closed it.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) {
        let deadline = Instant::now() + DEADLINE;
        let mut guard = self.0.0.lock().unwrap();
        while !guard.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // See `wait`: a panic in a drop would end all tests.
                drop(guard);
                panic!("the log was not closed: who has the server's stderr?");
            }
            guard = self.0.1.wait_timeout(guard, left).unwrap().0;
        }
    }

    #[track_caller]
    fn wait<T>(&self, mut find: impl FnMut(&[Line]) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut guard = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = find(&guard.lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || guard.ended {
                let why = if guard.ended {
                    "the server ended"
                } else {
                    "the time is up"
                };
                // The lock must not be poisoned: the server's drop reads the log too.
                drop(guard);
                panic!("the line that was waited for did not come, {why}");
            }
            guard = self.0.1.wait_timeout(guard, left).unwrap().0;
        }
    }
}

#[test]
fn fields_and_events_are_read() {
    let line = Line(r#"stderr service=a id=1.7 line="it is = \"so\"" last="#.to_string() + "1");
    assert_eq!(line.event(), "stderr");
    assert_eq!(line.field("id"), Some("1.7"));
    assert_eq!(line.field("line"), Some(r#"it is = \"so\""#));
    assert_eq!(line.field("last"), Some("1"));
    assert_eq!(line.field("so"), None);
    let line = Line("cannot start a: exec /x: no such file (ENOENT) peer=[::1]:5 id=2".into());
    assert_eq!(
        line.event(),
        "cannot start a: exec /x: no such file (ENOENT)"
    );
    assert_eq!(line.field("peer"), Some("[::1]:5"));
    assert_eq!(Line("stopped".into()).event(), "stopped");
}
