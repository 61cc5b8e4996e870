//! Many programs that live on, and one service that is busy: what does each of them cost?

use super::candidates::{Action, Candidate, OXINETD, PEERS, Service};
use super::load::{self, Pace, Talk};
use super::machine::{self, wait_until};
use super::report::{Report, grouped};
use super::rounds;
use super::server::Server;
use super::stats::Spread;
use super::tiny::Tiny;
use super::{Settings, TOLD};
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const BUSY: u16 = 2001;
const HELD: u16 = 2002;
const LEVELS: [usize; 3] = [100, 1_000, 9_000];
const CLIENTS: usize = 16;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report.title("sessions: many that live on beside a busy service, 16 clients");
    report.line(
        "Each with and without the sessions in turn, by two servers of a kind. The sessions are those of \
         a second service; reaped is the time from the last client's leave until no child is left.",
    );
    let tiny = Tiny::build();
    report.head(&[
        "server",
        "sessions",
        "opened/s",
        "served/s",
        "× that without",
        "bytes a session",
        "reaped ms",
    ]);
    let mut left_out = Vec::new();
    let (mut goal, mut lines) = (None, Vec::new());
    // Those with a table can have a second service.
    for candidate in [&OXINETD].into_iter().chain(&PEERS[..5]) {
        let mut points = Vec::new();
        for level in LEVELS {
            match beside(candidate, &tiny, level, settings) {
                Ok(found) => {
                    report.row(&found.cells(candidate.name, level));
                    points.push((level as f64, found.rate));
                    if candidate.name == OXINETD.name && level == LEVELS[2] {
                        goal = Some(found);
                    }
                }
                Err(why) => left_out.push(format!("{} with {level}: {why}", candidate.name)),
            }
        }
        lines.push((candidate.name.to_owned(), points));
    }
    report.line("");
    for why in left_out {
        report.line(format!("Left out: {why}."));
    }
    let goal = goal.as_ref();
    report.goal(
        "beside 9,000 to without",
        0.95,
        goal.and_then(|it| it.ratio),
    );
    report.ceiling("bytes a session", 300.0, goal.map(|it| it.bytes));
    let reaped = goal.and_then(|it| it.reaped);
    report.ceiling(
        "all reaped within (ms)",
        1_000.0,
        reaped.map(|it| it.as_secs_f64() * 1e3),
    );
    report.lines(
        "sessions",
        "programs started a second beside live sessions, 16 clients",
        "live sessions",
        &lines,
    );
}

struct Found {
    opened: f64,
    rate: f64,
    ratio: Option<Spread>,
    bytes: f64,
    reaped: Option<Duration>,
}

impl Found {
    fn cells(&self, name: &str, level: usize) -> [String; 7] {
        [
            name.into(),
            level.to_string(),
            grouped(self.opened),
            grouped(self.rate),
            self.ratio.map_or("-".into(), |it| it.to_string()),
            format!("{:.0}", self.bytes),
            self.reaped.map_or("never".into(), |it| {
                format!("{:.0}", it.as_secs_f64() * 1e3)
            }),
        ]
    }
}

fn beside(
    candidate: &Candidate,
    tiny: &Tiny,
    level: usize,
    settings: Settings,
) -> Result<Found, String> {
    let mut held = Service::program(HELD, &[]);
    held.action = Action::Program(tiny.waits.clone());
    held.keys = format!("max_connections = {}", 2 * level);
    let mut busy = Service::program(BUSY, &[]);
    busy.action = Action::Program(tiny.answers.clone());
    let services = [busy, held];
    let without = Server::start(candidate, &services)?;
    let with = Server::start(candidate, &services)?;
    let talk = Talk::Told(TOLD);
    // What a server takes when it has work at all is not the sessions'.
    load::run(with.at(BUSY), CLIENTS, settings.seconds, Pace::Closed, talk);
    let before = machine::private_dirty(&with.pids);
    let since = Instant::now();
    let clients = open_all(&with, level)?;
    let opened = level as f64 / since.elapsed().as_secs_f64();
    // Until all are old.
    std::thread::sleep(Duration::from_millis(500));
    let bytes = (machine::private_dirty(&with.pids) as f64 - before as f64) * 1024.0 / level as f64;
    let courses = rounds::run(&[&with, &without], settings, |server| {
        load::run(
            server.at(BUSY),
            CLIENTS,
            settings.seconds,
            Pace::Closed,
            talk,
        )
    });
    for client in &clients {
        let _ = client.shutdown(Shutdown::Both);
    }
    drop(clients);
    let helpers = with.pids.len();
    let reaped = wait_until(Duration::from_secs(10), || {
        machine::with_children(with.pids[0]).len() <= helpers
    });
    if !with.is_alive() {
        return Err("it has ended".into());
    }
    Ok(Found {
        opened,
        rate: courses[0].rate(),
        ratio: Spread::of_ratios(&courses[0].rates, &courses[1].rates),
        bytes,
        reaped,
    })
}

/// All live at once: each has been answered by its program. Sixteen at a time, or short queues overflow.
fn open_all(server: &Server, level: usize) -> Result<Vec<TcpStream>, String> {
    let share = |first: usize| {
        let numbers = (first..level).step_by(CLIENTS);
        numbers.map(|number| open_one(server, number)).collect()
    };
    let parts: Result<Vec<Vec<TcpStream>>, String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|first| scope.spawn(move || share(first)))
            .collect();
        let threads = threads.into_iter();
        threads.map(|it| it.join().expect("a client")).collect()
    });
    Ok(parts?.into_iter().flatten().collect())
}

fn open_one(server: &Server, number: usize) -> Result<TcpStream, String> {
    let failed = |what: &str| format!("session {number}: {what}");
    let mut client = load::open(server.at(HELD), load::own(number % 250)).map_err(failed)?;
    let mut told = [0; TOLD.len()];
    match client.read_exact(&mut told) {
        Ok(()) if told == *TOLD => Ok(client),
        Ok(()) => Err(failed("wrong")),
        Err(error) => Err(failed(&error.to_string())),
    }
}
