//! `oxinetd convert`: the tables of other superservers as a `services.toml`, and what became of each
//! of their knobs.

use super::output::finish;
use super::{DATA, USAGE};
use crate::config::inetd::Dialect;
use crate::config::{Host, Mistake, load_text};
use crate::convert::{Fate, Files, Format, Hosts, Input, Options, convert};
use clap::Args;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Convert the table of another superserver: services.toml to standard output, and a report.
///
/// Takes inetd.conf, xinetd.conf with what it includes (or a file of xinetd.d), command lines of
/// tcpserver, tcpsvd and udpsvd (with the text of their tcprules), and systemd's .socket with its
/// .service. Formats are recognised by what is in a file.
///
/// The report goes to standard error: a line for every knob that is kept, changed in meaning (how)
/// or dropped (why). What cannot be kept is an error in it, at its end. A rule about who gets in is
/// never lost: a service whose rule cannot be kept is written with enabled = false. One that no
/// server could load (its port is none) is written as a comment.
///
/// xinetd asks hosts.allow and hosts.deny too (see hosts_access(5)): what they say becomes allow and
/// deny. For a table in /etc they are those in /etc, for any other they have to be named. Where tcpd
/// is the program it stays, and goes on asking them, unless they are named.
///
/// Exits with 0, or 65 when the report has an error: the table is written all the same.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  oxinetd convert /etc/inetd.conf > services.toml\n  \
    oxinetd convert --drop-in /etc/xinetd.conf > /etc/oxinetd/services.d/xinetd.toml\n  \
    oxinetd convert old/xinetd.conf --hosts-allow old/hosts.allow --hosts-deny /dev/null > services.toml\n  \
    oxinetd convert /etc/service/smtpd/run /etc/tcp.smtp > services.toml\n  \
    oxinetd check"
)]
pub(super) struct Convert {
    /// What to convert; a directory stands for the files that xinetd's includedir takes, and the defaults of the xinetd.conf beside it hold for them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write a table for services.d, which the main one includes: services only, no [server] or [defaults].
    #[arg(long)]
    drop_in: bool,
    /// Leave out of the report what is kept.
    #[arg(long)]
    brief: bool,
    /// Whose inetd.conf it is, where that is not to be guessed: debian, openbsd, netbsd, freebsd, gnu, busybox.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    dialect: Option<Dialect>,
    /// The hosts.allow that xinetd or tcpd asks: its rules become allow and deny; /dev/null for none.
    #[arg(long, value_name = "FILE", requires = "hosts_deny")]
    hosts_allow: Option<PathBuf>,
    /// The hosts.deny that belongs to it; /dev/null for none.
    #[arg(long, value_name = "FILE", requires = "hosts_allow")]
    hosts_deny: Option<PathBuf>,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    let found = Dialect::ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, dialect)| *dialect).ok_or_else(|| {
        let names: Vec<&str> = Dialect::ALL.iter().map(|(name, _)| *name).collect();
        format!("the dialects are {}", names.join(", "))
    })
}

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        let words = |error: io::Error| reason(&error);
        if path == Path::new("/dev/null") {
            return Ok(String::new());
        }
        // Not a FIFO, which would keep us waiting, nor anything without end.
        let metadata = fs::metadata(path).map_err(words)?;
        if !metadata.is_file() {
            return Err("not a file".to_owned());
        }
        if metadata.len() > LARGEST {
            return Err("larger than 16 MiB".to_owned());
        }
        let bytes = fs::read(path).map_err(words)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, String> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| reason(&error))?,
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file())
            .collect();
        files.sort_unstable();
        Ok(files)
    }
}

impl Convert {
    /// Converts, and says what became of everything.
    pub(super) fn run(self) -> ExitCode {
        match self.sources() {
            Ok((inputs, hosts)) => self.convert(&inputs, hosts.as_ref()),
            Err(words) => {
                let _ = writeln!(io::stderr(), "oxinetd convert: {words}");
                USAGE.into()
            }
        }
    }

    fn convert(&self, inputs: &[Input], hosts: Option<&Hosts>) -> ExitCode {
        let options = Options {
            dialect: self.dialect,
            hosts,
            files: &Disk,
            is_drop_in: self.drop_in,
        };
        let converted = convert(inputs, &options);
        let errors = converted.report.count(Fate::Error);
        let mut stderr = io::stderr().lock();
        let _ = match self.brief {
            true => write!(stderr, "{:#}", converted.report),
            false => write!(stderr, "{}", converted.report),
        };
        let (table, remarks) = settle(&converted.table, self.drop_in);
        let remarks = remarks.into_iter().chain(self.inetd_conf_too(inputs));
        for words in remarks {
            let _ = writeln!(stderr, "\non this machine: {words}");
        }
        let _ = writeln!(stderr, "next: see Moving over in oxinetd(8)");
        let status = if errors > 0 { DATA } else { 0 };
        finish(&table, status)
    }

    fn sources(&self) -> Result<(Vec<Input>, Option<Hosts>), String> {
        let inputs: Result<Vec<Input>, String> =
            self.files.iter().map(|path| source(path)).collect();
        Ok((inputs?, self.hosts()?))
    }

    /// Debian's xinetd offers what is in inetd.conf, too.
    fn inetd_conf_too(&self, inputs: &[Input]) -> Option<String> {
        let conf = Path::new("/etc/inetd.conf");
        let is_xinetd = |input: &Input| Format::of(input) == Format::Xinetd;
        let is_named = self
            .files
            .iter()
            .any(|path| absolute(path).is_ok_and(|path| path == conf));
        if is_named || !self.are_here() || !inputs.iter().any(is_xinetd) {
            return None;
        }
        let text = Disk.read(conf).ok()?;
        let has_services = text
            .lines()
            .any(|line| !line.trim().is_empty() && !line.starts_with('#'));
        has_services.then(|| {
            "/etc/inetd.conf has services too, which xinetd offers where it is started with -inetd_compat, as by Debian: \
             convert it as well, or have it served as it is, see inetd_conf in services.toml(5)".to_owned()
        })
    }

    /// Whether all that is converted is this machine's.
    fn are_here(&self) -> bool {
        let is_here = |path: &PathBuf| absolute(path).is_ok_and(|path| path.starts_with("/etc"));
        self.files.iter().all(is_here)
    }

    /// The files that are named; else this machine's, where all that is converted is this machine's.
    fn hosts(&self) -> Result<Option<Hosts>, String> {
        Ok(match (&self.hosts_allow, &self.hosts_deny) {
            (Some(allow), Some(deny)) => Some(Hosts {
                allow: input(allow)?,
                deny: input(deny)?,
                are_named: true,
            }),
            _ if self.are_here() => Some(Hosts {
                allow: input_if_there("/etc/hosts.allow")?,
                deny: input_if_there("/etc/hosts.deny")?,
                are_named: false,
            }),
            _ => None,
        })
    }
}

/// What a path means: a file, or what xinetd makes of a folder, or of a file in one, with the defaults
/// that stand beside it.
fn source(path: &Path) -> Result<Input, String> {
    let wrong = |error: io::Error| format!("{}: {}", path.display(), reason(&error));
    let (word, file) = match path.is_dir() {
        true => ("includedir", None),
        false => ("include", Some(input(path)?)),
    };
    let path = absolute(path).map_err(wrong)?;
    let folder = if file.is_some() {
        path.parent()
    } else {
        Some(path.as_path())
    };
    let conf = folder
        .and_then(Path::parent)
        .map(|above| above.join("xinetd.conf"));
    let is_part = |file: &Input| Format::of(file) == Format::Xinetd;
    let conf = conf.filter(|conf| conf.is_file() && file.as_ref().is_none_or(is_part));
    let include = format!("{word} {}\n", path.display());
    match (conf, file) {
        (Some(conf), _) => {
            let Input { name, text } = input(&conf)?;
            let is_kept = |line: &&str| !line.trim_start().starts_with("include");
            let kept = |line| Some(line).filter(is_kept).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(kept).collect();
            let text = format!("{}\n{include}", lines.join("\n"));
            Ok(Input { name, text })
        }
        (None, Some(file)) => Ok(file),
        (None, None) => Ok(Input {
            name: path.display().to_string(),
            text: include,
        }),
    }
}

fn input_if_there(path: &str) -> Result<Input, String> {
    match fs::exists(path) {
        Ok(false) => Ok(Input {
            name: path.to_owned(),
            text: String::new(),
        }),
        _ => input(Path::new(path)),
    }
}

fn input(path: &Path) -> Result<Input, String> {
    let name = path.display().to_string();
    match Disk.read(path) {
        Ok(text) => Ok(Input { name, text }),
        Err(reason) => Err(format!("cannot read {name}: {reason}")),
    }
}

/// The system's words, without the number that the standard library adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// Makes the table load here, as far as services are concerned that are off: what is wrong with
/// such a one (its user is not there, since its package is not) is no reason to offer nothing.
/// Returns the table, and what check says about the others.
fn settle(table: &str, is_drop_in: bool) -> (String, Vec<String>) {
    let host = Host::of_this_process();
    let check = |table: &str| load_text("services.toml", table, &host).err();
    let Some(mistakes) = check(table) else {
        return (table.to_owned(), Vec::new());
    };
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    let mut said = Vec::new();
    for mistake in &mistakes.0 {
        let at = mistake.place().line_and_column().map(|(line, _)| line - 1);
        let Some(section) = at.map(|at| section(&lines, at)) else {
            continue;
        };
        if lines[section.clone()]
            .iter()
            .any(|line| line == "enabled = false")
        {
            said.push(format!(
                "{} is off, and written as a comment: {}",
                lines[section.start],
                mistake.message()
            ));
            for line in &mut lines[section] {
                line.insert_str(0, "# ");
            }
        }
    }
    let table = lines.join("\n") + "\n";
    let left = check(&table).map(|mistakes| mistakes.0).unwrap_or_default();
    // What is wrong with it as a whole may be right in the table that includes it.
    let is_about_a_line = |it: &&Mistake| it.place().line_and_column().is_some();
    let left = left.iter().filter(|it| !is_drop_in || is_about_a_line(it));
    said.extend(left.map(ToString::to_string));
    (table, said)
}

/// The lines of the section that this one is in.
fn section(lines: &[String], at: usize) -> Range<usize> {
    let is_header = |line: &String| line.starts_with('[');
    let start = lines[..=at].iter().rposition(is_header).unwrap_or(at);
    let length = lines[start..].iter().position(String::is_empty);
    start..length.map_or(lines.len(), |length| start + length)
}
