//! Rows and columns, as wide as the terminal: what gives way first, what is cut, what has a colour.
//!
//! Piped, nothing is cut and nothing has a colour: programs read it.

use crate::sys::terminal;
use std::fmt::Write;
use std::io::{IsTerminal, stdout};

/// What a text says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// All is well.
    Plain,
    /// Worth a look.
    Notice,
    /// Not well.
    Bad,
    /// Not in use.
    Faint,
    /// A title.
    Title,
}

/// One place of a row.
#[derive(Debug, Clone)]
pub(super) struct Cell(pub(super) String, pub(super) Tone);

/// Where the output goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Columns; `None` where nothing is to be cut.
    pub(super) width: Option<usize>,
    /// Whether colours are welcome (<https://no-color.org>).
    pub(super) colours: bool,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) right: bool,
    /// What it may be cut down to; `None` for what is never cut.
    pub(super) least: Option<usize>,
    /// Which part of a text that is cut stays.
    pub(super) keeps: Keeps,
    /// The higher, the sooner it is left out where there is no room; 0 for never.
    pub(super) dispensable: u8,
}

/// See [`Column::keeps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    Start,
    /// Of an address that is the port.
    End,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Between two columns.
const GAP: usize = 2;

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        text.to_owned().into()
    }
}

impl Screen {
    /// Standard output.
    pub(super) fn of_stdout() -> Screen {
        let is_terminal = stdout().is_terminal();
        let said = || std::env::var("COLUMNS").ok()?.parse().ok();
        let width = || terminal::columns(stdout()).or_else(said).unwrap_or(80);
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Screen {
            width: is_terminal.then(width),
            colours: is_terminal && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// The text in its tone.
    pub(super) fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Notice => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
            Tone::Title => 1,
        };
        match self.colours && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

impl Grid {
    pub(super) fn new(columns: &[Column]) -> Grid {
        Grid {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with as many cells as there are columns.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The whole, each line with its newline.
    pub(super) fn render(mut self, screen: Screen) -> String {
        let titles = self.columns.iter();
        let titles = titles.map(|column| Cell(column.title.into(), Tone::Title));
        self.rows.insert(0, titles.collect());
        let mut widths = self.widths();
        if let Some(room) = screen.width {
            while let Some(place) = self.give_way(&widths, room) {
                widths.remove(place);
                self.columns.remove(place);
                self.rows.iter_mut().for_each(|row| drop(row.remove(place)));
            }
            self.shrink(&mut widths, room);
        }
        let lines = self.rows.iter().map(|row| self.line(row, &widths, screen));
        lines.collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |place: usize| {
            let cells = self.rows.iter().map(|row| row[place].0.chars().count());
            cells.max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    /// The column to leave out, if they do not fit even when all are as narrow as they can be.
    fn give_way(&self, widths: &[usize], room: usize) -> Option<usize> {
        let least = self.columns.iter().zip(widths);
        let least = least.map(|(column, width)| column.least.map_or(*width, |it| it.min(*width)));
        if total(least) <= room {
            return None;
        }
        let ranks = self.columns.iter().map(|column| column.dispensable);
        let (place, rank) = ranks.enumerate().max_by_key(|(_, rank)| *rank)?;
        (rank > 0).then_some(place)
    }

    /// Narrows those that may be cut until all fit: the most dispensable first, then the widest.
    fn shrink(&self, widths: &mut [usize], room: usize) {
        while total(widths.iter().copied()) > room {
            let all = self.columns.iter().zip(widths.iter_mut());
            let wide = all.filter(|(column, width)| column.least.is_some_and(|it| it < **width));
            match wide.max_by_key(|(column, width)| (column.dispensable, **width)) {
                Some((_, width)) => *width -= 1,
                None => return,
            }
        }
    }

    fn line(&self, row: &[Cell], widths: &[usize], screen: Screen) -> String {
        let mut line = String::new();
        let last = row.iter().rposition(|cell| !cell.0.is_empty());
        for (place, Cell(text, tone)) in row.iter().enumerate().take(last.map_or(0, |it| it + 1)) {
            let (column, width) = (&self.columns[place], widths[place]);
            let text = match column.keeps {
                Keeps::Start => cut(text, width),
                Keeps::End => cut_start(text, width),
            };
            let pad = width - text.chars().count();
            let (before, after) = if column.right { (pad, 0) } else { (0, pad) };
            let after = if Some(place) == last { 0 } else { after + GAP };
            // Writing to a String cannot fail.
            let _ = write!(
                line,
                "{:before$}{}{:after$}",
                "",
                screen.paint(&text, *tone),
                ""
            );
        }
        line + "\n"
    }
}

fn total(widths: impl Iterator<Item = usize>) -> usize {
    let (count, sum) = widths.fold((0, 0), |(count, sum), width| (count + 1, sum + width));
    sum + GAP * usize::saturating_sub(count, 1)
}

/// At most so many characters, the last of them `…` where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// The same, with the first of them in its place.
fn cut_start(text: &str, width: usize) -> String {
    let surplus = text.chars().count().saturating_sub(width);
    match surplus {
        0 => text.to_owned(),
        _ => "…".chars().chain(text.chars().skip(surplus + 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column {
            title: "NAME",
            right: false,
            least: Some(4),
            keeps: Keeps::Start,
            dispensable: 0,
        },
        Column {
            title: "N",
            right: true,
            least: None,
            keeps: Keeps::Start,
            dispensable: 0,
        },
        Column {
            title: "WHERE",
            right: false,
            least: Some(5),
            keeps: Keeps::End,
            dispensable: 1,
        },
    ];

    fn grid() -> Grid {
        let mut grid = Grid::new(&COLUMNS);
        grid.row(vec!["a".into(), "1".into(), "127.0.0.1:80".into()]);
        grid.row(vec!["longest".into(), "100".into(), "".into()]);
        grid
    }

    fn at(width: Option<usize>) -> String {
        grid().render(Screen {
            width,
            colours: false,
        })
    }

    #[test]
    fn piped_nothing_is_cut() {
        let expected = "\
NAME       N  WHERE
a          1  127.0.0.1:80
longest  100
";
        assert_eq!(at(None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_what_matters_least_and_then_leaves_it_out() {
        let expected = "\
NAME       N  WHERE
a          1  ….1:80
longest  100
";
        assert_eq!(at(Some(20)), expected);
        let expected = "\
NAME      N
a         1
longe…  100
";
        assert_eq!(at(Some(11)), expected);
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut grid = Grid::new(&COLUMNS[..2]);
        grid.row(vec![Cell("x".into(), Tone::Bad), "1".into()]);
        let text = grid.render(Screen {
            width: Some(80),
            colours: true,
        });
        assert_eq!(
            text,
            "\x1b[1mNAME\x1b[0m  \x1b[1mN\x1b[0m\n\x1b[31mx\x1b[0m     1\n"
        );
    }
}
