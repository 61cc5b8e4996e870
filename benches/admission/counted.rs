//! What one connection costs whoever admits it, counted: instructions in user mode, and system calls.
//! No timing; what differs from run to run is how often it waits, and how old a program gets.

use crate::instructions::Instructions;
use crate::{Server, with_list};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than a refusal takes.
const PAUSE: Duration = Duration::from_millis(5);

/// Each of these with each of the keys.
const ACTIONS: [&str; 2] = ["command = [\"/bin/cat\"]", "builtin = \"echo\""];
const KEYS: [(&str, &str); 6] = [
    ("none", ""),
    ("1 prefix", "deny = \"192.0.2.1\""),
    ("100,000 prefixes", "deny = \"@list\""),
    ("all", ALL),
    ("refused", "allow = \"192.0.2.1\""),
    (
        "refused and told",
        "allow = \"192.0.2.1\"\nrefusal = \"no, %a\"",
    ),
];
const ALL: &str = "allow = \"127.0.0.0/8\"\ndeny = \"@list\"\nexempt = \"@list\"\n\
    max_per_source = 100\nrate = \"10000/s\"\nrate_per_source = \"1000/s\"\n\
    hours = \"mon-sun 00:00-24:00\"\nrefusal = \"no, %a\"";

/// Prints it.
pub(crate) fn table() {
    println!("\n| service | keys | instructions | system calls |\n|---|---|---|---|");
    let directory = with_list();
    let mut lacks = [None, None];
    for action in ACTIONS {
        for (called, keys) in KEYS {
            let body = format!("{action}\n{keys}");
            let server = Server::start(directory.path(), "counted", &body);
            visit(&server);
            let counts = [instructions(&server), calls(&server, directory.path())];
            let [instructions, calls] = counts.each_ref().map(|count| match count {
                Ok(count) => count.as_str(),
                Err(_) => "-",
            });
            println!("| {action} | {called} | {instructions} | {calls} |");
            lacks = counts.map(Result::err);
        }
    }
    for lack in lacks.into_iter().flatten() {
        println!("(-: {lack})");
    }
}

/// A client comes and goes, and whoever admits is done with it: if it was served, when the log says
/// so; of refusals that says a few only, so a pause must do.
fn visit(server: &Server) {
    let before = server.ended.load(Ordering::Relaxed);
    let mut client = server.connect("127.0.0.1");
    let mut told = [0; 2];
    // Who is refused may be gone already, or be told something else.
    let answer = client
        .write_all(b"hi")
        .and_then(|()| client.read_exact(&mut told));
    let is_served = answer.is_ok() && told == *b"hi";
    let _ = client.shutdown(Shutdown::Write);
    let _ = client.read_to_end(&mut Vec::new());
    drop(client);
    if !is_served {
        return std::thread::sleep(PAUSE);
    }
    while server.ended.load(Ordering::Relaxed) == before {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The middle one of some connections.
fn instructions(server: &Server) -> Result<String, String> {
    const CONNECTIONS: usize = 9;
    let counted = Instructions::of(server.admits)
        .map_err(|error| format!("cannot trace the server: {error}"))?;
    let mut counts: Vec<u64> = (0..CONNECTIONS)
        .map(|_| {
            let before = counted.count();
            visit(server);
            let mut last = before;
            while last != counted.count() {
                last = counted.count();
                std::thread::sleep(4 * PAUSE);
            }
            last - before
        })
        .collect();
    counts.sort_unstable();
    Ok(counts[CONNECTIONS / 2].to_string())
}

/// The mean of some connections.
fn calls(server: &Server, directory: &Path) -> Result<String, String> {
    const CONNECTIONS: u32 = 100;
    let trace = directory.join("trace");
    let mut strace = Command::new("strace")
        .args(["-e", "signal=none", "-p", &server.admits.to_string(), "-o"])
        .arg(&trace)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run strace: {error}"))?;
    let mut said = String::new();
    let mut stderr = BufReader::new(strace.stderr.take().expect("a pipe"));
    let _ = stderr.read_line(&mut said);
    if said.contains("attached") {
        (0..CONNECTIONS).for_each(|_| visit(server));
    }
    let pid = nix::unistd::Pid::from_raw(strace.id() as i32);
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGINT);
    let _ = strace.wait();
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    match text.lines().filter(|line| line.contains('(')).count() {
        0 => Err(said.trim().to_owned()),
        count => Ok(format!("{:.1}", count as f64 / f64::from(CONNECTIONS))),
    }
}
