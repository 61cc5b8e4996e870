//! `oxinetd list`: who is there.

use super::client::{Failure, Server, conclude, json_line};
use super::grid::{Cell, Column, Grid, Keeps, Screen};
use super::moments::length;
use super::output::put;
use crate::control::{Request, SessionStatus};
use crate::table::LifeLimit;
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;

/// List the live connections, and the programs that wait on a socket of their own.
///
/// For example: oxinetd list finger
#[derive(Debug, Args)]
pub(super) struct List {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl List {
    pub(super) fn run(self) -> ExitCode {
        conclude(self.show())
    }

    fn show(self) -> Result<ExitCode, Failure> {
        let request = Request::List {
            service: self.service,
        };
        let mut client = self.server.call()?;
        let text = if self.json {
            let (sessions, _) = client.all(&request)?;
            json_line(&All { sessions })
        } else {
            let (mut sessions, _) = client.all::<SessionStatus>(&request)?;
            // The eldest first.
            sessions.sort_by(|a, b| b.age.total_cmp(&a.age));
            table(&sessions, Screen::of_stdout())
        };
        put(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `--json`.
#[derive(Serialize)]
struct All {
    sessions: Vec<SessionStatus>,
}

const fn column(title: &'static str, right: bool, least: Option<usize>) -> Column {
    Column {
        title,
        right,
        least,
        keeps: Keeps::Start,
        dispensable: 0,
    }
}

const COLUMNS: [Column; 6] = [
    column("ID", true, None),
    column("SERVICE", false, Some(8)),
    column("PEER", false, Some(11)),
    column("PID", true, None),
    column("AGE", true, None),
    column("ENDING", false, None),
];

fn table(sessions: &[SessionStatus], screen: Screen) -> String {
    // Rare: the last column is there for those that are about to end only.
    let some_end = sessions.iter().any(|session| session.ending.is_some());
    let columns = &COLUMNS[..COLUMNS.len() - usize::from(!some_end)];
    let mut grid = Grid::new(columns);
    for session in sessions {
        let mut row: Vec<Cell> = vec![
            session.id.clone().into(),
            session.service.clone().into(),
            session.peer.clone().unwrap_or_else(|| "-".into()).into(),
            session
                .pid
                .map_or("-".to_owned(), |pid| pid.to_string())
                .into(),
            length(session.age as u64).into(),
        ];
        if some_end {
            row.push(session.ending.map_or("", LifeLimit::name).into());
        }
        grid.row(row);
    }
    grid.render(screen)
}
