//! Lines that clients can cause: the first of each kind are written, the rest is counted.
//!
//! In a window of time the first lines of one kind and service are written; those after them are left
//! out and counted, and one line tells how many when the window ends. While a flood lasts the windows
//! double, so that it leaves a few lines however long it is; a window that left nothing out is the last.
//! Counters and the stream of events know nothing of this. The end of a program is never left out.
//!
//! Pure: time is passed in. There is state for services that were busy a moment ago, no others.

use crate::event::Event;
use crate::table::Refusal;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The first window of a flood, and the longest.
const WINDOW: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// Lines in a window that tell of trouble: more of the same say no more.
const FEW: u32 = 20;
/// Lines in a window that tell of a session: an honest busy hour should be whole.
const MANY: u32 = 2000;

/// What lines have in common that one line may tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    event: &'static str,
    reason: Option<Refusal>,
}

impl Kind {
    /// The service and kind of a line that clients can cause, and how many of them a window has.
    fn of<'a>(event: &Event<'a>) -> Option<(&'a str, Kind, u32)> {
        let (service, reason, lines) = match event {
            Event::Refused { session, reason } => (session.service, Some(*reason), FEW),
            Event::NotStarted { session, .. } => (session.service, None, FEW),
            Event::SocketDamaged { service, .. } | Event::DatagramDropped { service, .. } => {
                (*service, None, FEW)
            }
            Event::Started { session, .. }
            | Event::Began { session, .. }
            | Event::Finished { session, .. } => (session.service, None, MANY),
            _ => return None,
        };
        let event = event.name();
        Some((service, Kind { event, reason }, lines))
    }
}

#[derive(Debug)]
struct Window {
    kind: Kind,
    ends: Instant,
    length: Duration,
    written: u32,
    left_out: u64,
    /// When `left_out` was 0 for the last time.
    since: Instant,
}

impl Window {
    fn new(kind: Kind, now: Instant, length: Duration) -> Window {
        Window {
            kind,
            ends: now + length,
            length,
            written: 0,
            left_out: 0,
            since: now,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.ends <= now
    }

    /// Takes what was left out, if anything was.
    fn summary(&mut self, service: &str, now: Instant) -> Option<Summary> {
        let lines = std::mem::take(&mut self.left_out);
        let since = std::mem::replace(&mut self.since, now);
        (lines > 0).then(|| Summary {
            service: service.into(),
            kind: self.kind,
            lines,
            within: now.saturating_duration_since(since),
        })
    }
}

/// How many lines of one kind were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    service: Box<str>,
    kind: Kind,
    lines: u64,
    within: Duration,
}

impl Summary {
    /// The event that tells of it.
    pub(super) fn event(&self) -> Event<'_> {
        Event::LeftOut {
            service: &self.service,
            event: self.kind.event,
            reason: self.kind.reason,
            lines: self.lines,
            duration: self.within,
        }
    }
}

/// All windows that are open, by service.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    windows: HashMap<Box<str>, Vec<Window>>,
    /// When the first window ends that has left something out.
    due: Option<Instant>,
    /// When windows that are over and left nothing out are looked for again.
    next_sweep: Option<Instant>,
}

impl Limiter {
    /// Whether the event's line is to be written; if not, it is counted. Ask [`Limiter::due`] first.
    pub(super) fn admits(&mut self, event: &Event, now: Instant) -> bool {
        let Some((service, kind, lines)) = Kind::of(event) else {
            return true;
        };
        let window = self.window(service, kind, now);
        if window.written < lines {
            window.written += 1;
            return true;
        }
        window.left_out += 1;
        let ends = window.ends;
        self.due = Some(self.due.map_or(ends, |due| due.min(ends)));
        false
    }

    /// The window that is open for this kind, or a new one.
    fn window(&mut self, service: &str, kind: Kind, now: Instant) -> &mut Window {
        if !self.windows.contains_key(service) {
            self.sweep(now);
            self.windows.insert(service.into(), Vec::new());
        }
        let windows = self.windows.get_mut(service).expect("just inserted");
        let index = match windows.iter().position(|window| window.kind == kind) {
            Some(index) => {
                if windows[index].is_over(now) {
                    windows[index] = Window::new(kind, now, WINDOW.0);
                }
                index
            }
            None => {
                windows.push(Window::new(kind, now, WINDOW.0));
                windows.len() - 1
            }
        };
        &mut windows[index]
    }

    /// When [`Limiter::end_windows`] has something to tell; `None` while nothing was left out.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What was left out in windows that are over. For those a longer one begins.
    pub(super) fn end_windows(&mut self, now: Instant) -> Vec<Summary> {
        let mut summaries = Vec::new();
        self.due = None;
        for (service, windows) in &mut self.windows {
            for window in windows {
                if window.left_out > 0 && window.is_over(now) {
                    summaries.extend(window.summary(service, now));
                    let length = (window.length * 2).min(WINDOW.1);
                    *window = Window::new(window.kind, now, length);
                } else if window.left_out > 0 {
                    self.due = Some(self.due.map_or(window.ends, |due| due.min(window.ends)));
                }
            }
        }
        summaries.sort_by(|a, b| a.service.cmp(&b.service));
        summaries
    }

    /// What was left out so far; the windows stay open.
    pub(super) fn tell(&mut self, now: Instant) -> Vec<Summary> {
        let mut summaries = Vec::new();
        for (service, windows) in &mut self.windows {
            let told = windows.iter_mut().filter_map(|it| it.summary(service, now));
            summaries.extend(told);
        }
        self.due = None;
        summaries.sort_by(|a, b| a.service.cmp(&b.service));
        summaries
    }

    /// Forgets windows that are over and have nothing to tell.
    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + WINDOW.0);
        self.windows.retain(|_, windows| {
            windows.retain(|window| window.left_out > 0 || !window.is_over(now));
            !windows.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnectionId, Session};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn session(service: &str) -> Session<'_> {
        let id = ConnectionId {
            worker: 0,
            number: 1,
        };
        Session {
            service,
            id,
            peer: None,
        }
    }

    fn refused(service: &str, reason: Refusal) -> Event<'_> {
        let session = session(service);
        Event::Refused { session, reason }
    }

    fn finished(service: &str) -> Event<'_> {
        Event::Finished {
            session: session(service),
            duration: SECOND,
            received: None,
            sent: None,
            reason: "eof",
        }
    }

    /// How many of so many such lines at this moment are written.
    fn written(limiter: &mut Limiter, event: &Event, lines: u32, now: Instant) -> usize {
        (0..lines).filter(|_| limiter.admits(event, now)).count()
    }

    fn told(summaries: Vec<Summary>) -> Vec<(String, &'static str, Option<Refusal>, u64, u64)> {
        let told = summaries.into_iter().map(|it| {
            let within = it.within.as_secs();
            (
                it.service.into(),
                it.kind.event,
                it.kind.reason,
                it.lines,
                within,
            )
        });
        told.collect()
    }

    #[test]
    fn the_first_lines_are_written_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        let event = refused("a", Refusal::Rate);
        assert_eq!(written(&mut limiter, &event, 20_000, start), 20);
        assert_eq!(limiter.due(), Some(start + 10 * SECOND));
        assert_eq!(limiter.end_windows(start + 9 * SECOND), []);
        assert_eq!(limiter.due(), Some(start + 10 * SECOND));
        assert_eq!(
            told(limiter.end_windows(start + 10 * SECOND)),
            [("a".into(), "refused", Some(Refusal::Rate), 19_980, 10)]
        );
        assert_eq!(limiter.due(), None);
    }

    #[test]
    fn each_service_reason_and_event_has_its_own() {
        let now = Instant::now();
        let mut limiter = Limiter::default();
        for service in ["a", "b"] {
            for reason in [Refusal::Rate, Refusal::Full] {
                assert_eq!(
                    written(&mut limiter, &refused(service, reason), 30, now),
                    20
                );
            }
            let began = Event::Began {
                accepted: false,
                session: session(service),
            };
            assert_eq!(written(&mut limiter, &began, 2001, now), 2000);
            assert_eq!(written(&mut limiter, &finished(service), 2002, now), 2000);
        }
        let lines: Vec<u64> = limiter.tell(now).iter().map(|it| it.lines).collect();
        assert_eq!(lines, [10, 10, 1, 2, 10, 10, 1, 2]);
    }

    #[test]
    fn the_end_of_a_program_is_never_left_out() {
        let now = Instant::now();
        let mut limiter = Limiter::default();
        let ended = Event::Ended {
            session: session("a"),
            pid: 1,
            status: crate::sys::wait::Status::Exited(0),
            duration: SECOND,
            cpu: SECOND,
            max_rss: Some(1),
            received: None,
            sent: None,
            limit: None,
            unjoined: None,
        };
        assert_eq!(written(&mut limiter, &ended, 100_000, now), 100_000);
        assert!(limiter.windows.is_empty());
    }

    #[test]
    fn the_windows_of_a_long_flood_double_up_to_five_minutes() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        let event = refused("a", Refusal::Rate);
        let mut lengths = Vec::new();
        for second in 0..1200 {
            let now = start + second * SECOND;
            if limiter.due().is_some_and(|due| due <= now) {
                lengths.extend(told(limiter.end_windows(now)).iter().map(|it| it.4));
            }
            written(&mut limiter, &event, 100, now);
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn after_a_quiet_window_all_is_as_in_the_beginning() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        let event = refused("a", Refusal::Rate);
        written(&mut limiter, &event, 100, start);
        assert_eq!(limiter.end_windows(start + 10 * SECOND).len(), 1);
        // The next one is twice as long, and leaves nothing out.
        let later = start + 29 * SECOND;
        assert_eq!(written(&mut limiter, &event, 20, later), 20);
        let later = start + 30 * SECOND;
        assert_eq!(written(&mut limiter, &event, 100, later), 20);
        assert_eq!(limiter.due(), Some(later + 10 * SECOND));
    }

    #[test]
    fn what_is_told_early_is_not_told_again() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        let event = finished("a");
        written(&mut limiter, &event, 2005, start);
        let early = start + 4 * SECOND;
        assert_eq!(told(limiter.tell(early)), [("a".into(), "end", None, 5, 4)]);
        assert_eq!((limiter.due(), limiter.tell(early)), (None, vec![]));
        // The window is the same one: nothing more is written in it.
        assert_eq!(written(&mut limiter, &event, 7, early), 0);
        assert_eq!(
            told(limiter.end_windows(start + 10 * SECOND)),
            [("a".into(), "end", None, 7, 6)]
        );
    }

    #[test]
    fn quiet_services_have_no_state() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        for n in 0..1000 {
            limiter.admits(&finished(&format!("s{n}")), start);
        }
        assert_eq!((limiter.windows.len(), limiter.due()), (1000, None));
        limiter.admits(&finished("other"), start + 10 * SECOND);
        assert_eq!(limiter.windows.len(), 1);
    }

    proptest! {
        /// Written and told are all there were, whatever comes when.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((0..3_usize, 0..50_u32, 0..30_u32), 0..100)) {
            let mut now = Instant::now();
            let mut limiter = Limiter::default();
            let (mut all, mut seen) = (0, 0);
            for (what, lines, seconds) in steps {
                now += seconds * SECOND;
                if limiter.due().is_some_and(|due| due <= now) {
                    seen += limiter.end_windows(now).iter().map(|it| it.lines).sum::<u64>();
                }
                if what == 0 {
                    seen += limiter.tell(now).iter().map(|it| it.lines).sum::<u64>();
                }
                let event = refused(["a", "b", "b"][what], Refusal::ALL[what]);
                all += u64::from(lines);
                seen += written(&mut limiter, &event, lines, now) as u64;
            }
            seen += limiter.tell(now).iter().map(|it| it.lines).sum::<u64>();
            prop_assert_eq!(seen, all);
        }
    }
}
