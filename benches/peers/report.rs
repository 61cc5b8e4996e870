//! Tables as Markdown, plots as SVG: on standard output, and in a folder where one is asked for.

use crate::stats::Spread;
use std::fmt::Write;
use std::path::PathBuf;

/// Where results go.
pub(crate) struct Report {
    out: Option<PathBuf>,
    /// Which servers to measure: all, if none is named.
    only: Vec<String>,
    /// Of the table so far.
    text: String,
}

impl Report {
    pub(crate) fn new(out: Option<PathBuf>, only: Vec<String>) -> Report {
        if let Some(out) = &out {
            std::fs::create_dir_all(out).expect("the folder for results");
        }
        Report {
            out,
            only,
            text: String::new(),
        }
    }

    /// Whether a server is to be measured.
    pub(crate) fn wants(&self, server: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == server)
    }

    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        let _ = writeln!(self.text, "{}", line.as_ref());
    }

    pub(crate) fn title(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    pub(crate) fn head(&mut self, columns: &[&str]) {
        self.line(format!("| {} |", columns.join(" | ")));
        self.line(format!("|{}", "---|".repeat(columns.len())));
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.line(format!("| {} |", cells.join(" | ")));
    }

    /// A goal beside what was reached; `None` where it could not be measured.
    pub(crate) fn goal(&mut self, what: &str, at_least: f64, reached: Option<Spread>) {
        let verdict = |spread: Spread| match spread.middle >= at_least {
            true => "met",
            false => "**missed**",
        };
        let reached = match reached {
            Some(spread) => format!("{spread}: {}", verdict(spread)),
            None => "not measured".into(),
        };
        self.line(format!("- goal: {what} at least {at_least}: {reached}"));
    }

    /// The same where little is good.
    pub(crate) fn ceiling(&mut self, what: &str, at_most: f64, reached: Option<f64>) {
        let reached = match reached {
            Some(value) if value <= at_most => format!("{value:.2}: met"),
            Some(value) => format!("{value:.2}: **missed**"),
            None => "not measured".into(),
        };
        self.line(format!("- goal: {what} at most {at_most}: {reached}"));
    }

    /// Ends a table: its text goes to a file of this name.
    pub(crate) fn save(&mut self, name: &str) {
        let text = std::mem::take(&mut self.text);
        self.write(&format!("{name}.md"), text.trim_start());
    }

    /// Bars, longest first, ours in another colour.
    pub(crate) fn bars(&mut self, name: &str, title: &str, bars: &[(String, f64)]) {
        let mut bars = bars.to_vec();
        bars.retain(|(_, value)| value.is_finite());
        bars.sort_by(|a, b| b.1.total_cmp(&a.1));
        let Some(longest) = bars.first().map(|(_, value)| *value) else {
            return;
        };
        let height = 50 + 24 * bars.len();
        let mut svg = open_svg(640, height, title);
        for (place, (label, value)) in bars.iter().enumerate() {
            let y = 40 + 24 * place;
            let width = (value / longest * 370.0).max(1.0);
            let _ = write!(
                svg,
                "<text x=\"190\" y=\"{}\" text-anchor=\"end\">{label}</text>\n\
                 <rect x=\"200\" y=\"{y}\" width=\"{width:.0}\" height=\"16\" fill=\"{}\"/>\n\
                 <text x=\"{:.0}\" y=\"{}\">{}</text>\n",
                y + 13,
                colour(label, 0),
                205.0 + width,
                y + 13,
                grouped(*value),
            );
        }
        svg.push_str("</svg>\n");
        self.write(&format!("{name}.svg"), &svg);
    }

    /// Lines over a logarithmic axis, named at their ends.
    pub(crate) fn lines(
        &mut self,
        name: &str,
        title: &str,
        axis: &str,
        lines: &[(String, Vec<(f64, f64)>)],
    ) {
        let points = || lines.iter().flat_map(|(_, points)| points);
        let right = points().map(|(x, _)| x.log10()).fold(1.0, f64::max);
        let top = points().map(|(_, y)| *y).fold(1.0, f64::max);
        let place =
            |(x, y): &(f64, f64)| (70.0 + x.log10() / right * 380.0, 330.0 - y / top * 280.0);
        let mut svg = open_svg(640, 380, title);
        let mut ticks: Vec<f64> = points().map(|(x, _)| *x).collect();
        ticks.sort_unstable_by(f64::total_cmp);
        ticks.dedup();
        for x in ticks {
            let (at, _) = place(&(x, 0.0));
            let _ = writeln!(
                svg,
                "<text x=\"{at:.0}\" y=\"348\" text-anchor=\"middle\">{}</text>",
                grouped(x)
            );
        }
        for part in [0.0, 0.5, 1.0] {
            let y = 330.0 - part * 280.0;
            let _ = write!(
                svg,
                "<line x1=\"70\" x2=\"450\" y1=\"{y}\" y2=\"{y}\" stroke=\"#8886\"/>\n\
                 <text x=\"64\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                y + 4.0,
                grouped(top * part)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"260\" y=\"368\" text-anchor=\"middle\">{axis}</text>"
        );
        // Names of lines that end together are moved apart.
        let mut ends: Vec<(usize, f64)> = lines
            .iter()
            .enumerate()
            .filter_map(|(number, (_, points))| Some((number, place(points.last()?).1)))
            .collect();
        ends.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut last = 0.0;
        for (number, y) in ends {
            let (label, points) = &lines[number];
            let path: Vec<String> = points
                .iter()
                .map(place)
                .map(|(x, y)| format!("{x:.0},{y:.0}"))
                .collect();
            let (x, _) = place(points.last().expect("it has an end"));
            let colour = colour(label, number);
            last = f64::max(y + 4.0, last + 15.0);
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
                 <text x=\"{:.0}\" y=\"{last:.0}\" fill=\"{colour}\">{label}</text>\n",
                path.join(" "),
                x + 8.0,
            );
        }
        svg.push_str("</svg>\n");
        self.write(&format!("{name}.svg"), &svg);
    }

    fn write(&self, name: &str, text: &str) {
        if let Some(out) = &self.out {
            std::fs::write(out.join(name), text).expect("a file of results");
        }
    }
}

fn open_svg(width: usize, height: usize, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">{title}</text>\n"
    )
}

fn colour(label: &str, number: usize) -> &'static str {
    const OTHERS: [&str; 6] = [
        "#4878a8", "#6b9e5e", "#8a6bb0", "#b08a3c", "#5aa0a0", "#a06080",
    ];
    match label {
        _ if label.starts_with("oxinetd") => "#d1495b",
        _ if label.starts_with("bare") => "#999",
        _ => OTHERS[number % OTHERS.len()],
    }
}

/// 12345.6 as "12,346".
pub(crate) fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 && digit != '-' {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
