//! Printing: tables with `ctr`'s columns, JSON, sizes and ages for people.

use anyhow::Result;
use model::{Labels, Timestamp};
use std::io::Write;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A table: cells end at tab stops, each column as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    min_width: usize,
    padding: usize,
}

impl Table {
    /// A table with narrow columns.
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|h| (*h).into()).collect()], min_width: 1, padding: 1 }
    }

    /// A table with wide columns.
    pub fn wide(header: &[&str]) -> Self {
        Self { min_width: 4, padding: 4, ..Self::new(header) }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table as text, every row ending with a new line.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let widest =
                self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
            self.min_width.max(widest + self.padding)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&widths) {
                let fill = width - cell.chars().count();
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', fill));
            }
            text.push('\n');
        }
        text
    }

    /// Prints it.
    ///
    /// # Errors
    /// Standard output is gone.
    pub fn print(&self) -> Result<()> {
        print(&self.render())
    }
}

/// Writes to standard output.
///
/// # Errors
/// Standard output is gone.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// An error as people read it: the steps from the outside in. A text that holds its cause already ends it.
pub fn explain(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        parts.push(match cause.downcast_ref::<std::io::Error>() {
            Some(e) => model::error::os_text(e),
            None => cause.to_string(),
        });
        if cause.is::<model::Error>() {
            break;
        }
    }
    parts.join(": ")
}

/// Writes an error to standard error.
pub fn complain(error: &anyhow::Error) {
    eprintln!("gantry: {}", explain(error));
}

/// Writes a line.
///
/// # Errors
/// Standard output is gone.
pub fn line(text: impl std::fmt::Display) -> Result<()> {
    print(&format!("{text}\n"))
}

/// Prints JSON with four spaces of indentation.
///
/// # Errors
/// Standard output is gone.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    let mut bytes = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, form))?;
    line(String::from_utf8_lossy(&bytes))
}

/// Labels in one cell: `k=v,k=v`, `-` for none.
pub fn labels(labels: &Labels) -> String {
    if labels.is_empty() {
        return "-".into();
    }
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// Prints an object's labels.
///
/// # Errors
/// Standard output is gone.
pub fn print_labels(output: Output, of: &Labels) -> Result<()> {
    match output {
        Output::Table => line(labels(of)),
        Output::Json => json(of),
    }
}

/// A size in binary units: `1004.7 KiB`.
pub fn binary_size(bytes: i64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"], " ")
}

/// A size in decimal units: `1.028MB`.
pub fn decimal_size(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value >= 1000.0 { 0 } else { 3 - (value.max(1.0).log10() as usize) };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text };
    format!("{text}{}", units[unit])
}

fn scaled(bytes: i64, base: f64, units: &[&str], gap: &str) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{value:.1}{gap}{}", units[unit])
}

/// How long ago: `16 minutes`.
pub fn age(since: Timestamp) -> String {
    let now = Timestamp::from(std::time::SystemTime::now());
    let seconds = now.seconds.saturating_sub(since.seconds).max(0);
    let (count, unit) = match seconds {
        0 => return "Less than a second".into(),
        s @ 1..60 => (s, "second"),
        60..120 => return "About a minute".into(),
        s @ 120..3_600 => (s / 60, "minute"),
        3_600..7_200 => return "About an hour".into(),
        s @ 7_200..172_800 => (s / 3_600, "hour"),
        s @ 172_800..1_209_600 => (s / 86_400, "day"),
        s @ 1_209_600..5_184_000 => (s / 604_800, "week"),
        s @ 5_184_000..63_072_000 => (s / 2_592_000, "month"),
        s => (s / 31_536_000, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A time in the local zone, RFC 3339 to the second.
pub fn local_time(time: Timestamp) -> String {
    match jiff::Timestamp::new(time.seconds, 0) {
        Ok(t) => t
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
            .replace("+00:00", "Z"),
        Err(_) => time.to_rfc3339(),
    }
}

/// A time as `ctr` prints it beside events: `2026-01-02 15:04:05.006 +0000 UTC`.
pub fn event_time(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    format!("{} +0000 UTC", text.trim_end_matches('Z').replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["A", "LONGER"]);
        table.row(["value".into(), "x".into()]);
        assert_eq!(table.render(), "A     LONGER \nvalue x      \n");
    }

    #[test]
    fn times_of_events() {
        let time = Timestamp { seconds: 1_767_366_245, nanos: 6_000_000 };
        assert_eq!(event_time(time), "2026-01-02 15:04:05.006 +0000 UTC");
    }

    #[test]
    fn errors_are_told_once() {
        let io = || std::io::Error::from_raw_os_error(2);
        let error = anyhow::Error::new(model::Error::io("open", "/x", io())).context("read spec");
        assert_eq!(explain(&error), "read spec: open /x: no such file or directory");
        assert_eq!(
            explain(&anyhow::Error::new(io()).context("read /x")),
            "read /x: no such file or directory"
        );
    }

    #[test]
    fn sizes() {
        for (bytes, binary, decimal) in [
            (0, "0.0 B", "0B"),
            (1_028_000, "1003.9 KiB", "1.028MB"),
            (12_345, "12.1 KiB", "12.35kB"),
            (999, "999.0 B", "999B"),
        ] {
            assert_eq!((binary_size(bytes).as_str(), decimal_size(bytes).as_str()), (binary, decimal));
        }
    }
}
