//! oxinetd beside its peers, and beside the bare loops that are the limit:
//!
//!     cargo bench --bench peers -- [TABLE…] [--only SERVER]… [--out DIR] [--rounds N] [--seconds S]
//!
//! Prints tables, each with the goals that it is to show; with `--out` they are written as Markdown,
//! and plots as SVG. `benches/peers/fetch` unpacks the peers; who is missing is left out, with that
//! said. Servers of one table run at once and are asked in turn, A B C … A B C, so that a slow
//! moment of the machine is everybody's; what counts is the ratio within a round. See
//! benches/README.md.

mod bare;
mod builtins;
mod candidates;
mod flood;
mod idle;
mod launch;
mod load;
mod machine;
mod reload;
mod report;
mod rounds;
mod rules;
mod server;
mod services;
mod sessions;
mod stats;
mod tiny;
mod unpacked;

use report::Report;

/// What the program that is started says.
pub(crate) const TOLD: &[u8] = b"ok\n";

/// How long it all takes.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    /// Of one server in one round.
    pub(crate) seconds: f64,
}

type Table = fn(&mut Report, Settings);

const TABLES: [(&str, Table); 8] = [
    ("launch", launch::table),
    ("builtins", builtins::table),
    ("services", services::table),
    ("sessions", sessions::table),
    ("idle", idle::table),
    ("rules", rules::table),
    ("reload", reload::table),
    ("flood", flood::table),
];

const USAGE: &str =
    "cargo bench --bench peers -- [TABLE…] [--only SERVER]… [--out DIR] [--rounds N] [--seconds S]";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == bare::HIDDEN) {
        bare::run(&words[1..]);
    }
    let mut settings = Settings {
        rounds: 9,
        seconds: 0.4,
    };
    let (mut out, mut named, mut only) = (None, Vec::new(), Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| wrong("a value is missing"));
        match word.as_str() {
            // Cargo adds it.
            "--bench" => {}
            "--only" => only.push(value()),
            "--out" => out = Some(value().into()),
            "--rounds" => settings.rounds = value().parse().unwrap_or_else(|_| wrong("--rounds")),
            "--seconds" => {
                settings.seconds = value().parse().unwrap_or_else(|_| wrong("--seconds"))
            }
            name if TABLES.iter().any(|(table, _)| *table == name) => named.push(word),
            _ => wrong(&word),
        }
    }
    // Thousands of clients are ours.
    let _ = oxinetd::sys::limits::raise_nofile();
    let mut report = Report::new(out, only);
    for (name, table) in TABLES {
        if named.is_empty() || named.iter().any(|word| word == name) {
            report.line(format!("On {}.", machine::description()));
            table(&mut report, settings);
            report.save(name);
        }
    }
}

fn wrong(what: &str) -> ! {
    let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    eprintln!("{what}\nusage: {USAGE}\ntables: {}", names.join(" "));
    std::process::exit(64)
}
