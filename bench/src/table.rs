//! The table: one column for each daemon, one row for each figure.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Milliseconds of one whole cycle.
    Cycle,
    /// Milliseconds of one exec.
    Exec,
    /// Cycles per second with four workers.
    Workers,
    /// MiB of one shim.
    Shim,
    /// MiB of the daemon after its start.
    DaemonFresh,
    /// MiB of the daemon that holds an image and no container.
    DaemonIdle,
    /// MiB of the daemon with many.
    DaemonBusy,
    /// Seconds to pull and unpack the large image, gzip.
    PullGzip,
    /// The same as zstd.
    PullZstd,
}

const ROWS: [(Row, &str); 9] = [
    (Row::Cycle, "cycle, p50 ms"),
    (Row::Exec, "exec, p50 ms"),
    (Row::Workers, "cycles per second, 4 workers"),
    (Row::Shim, "shim PSS, MiB"),
    (Row::DaemonFresh, "daemon PSS fresh, MiB"),
    (Row::DaemonIdle, "daemon PSS after import, MiB"),
    (Row::DaemonBusy, "daemon PSS busy, MiB"),
    (Row::PullGzip, "pull and unpack, gzip, s"),
    (Row::PullZstd, "pull and unpack, zstd, s"),
];

/// Everything measured of one daemon.
#[derive(Debug)]
pub struct Column {
    title: String,
    samples: BTreeMap<Row, Vec<f64>>,
}

impl Column {
    /// An empty column.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), samples: BTreeMap::new() }
    }

    /// One more duration, kept in milliseconds.
    pub fn add(&mut self, row: Row, spent: Duration) {
        self.add_number(row, spent.as_secs_f64() * 1000.0);
    }

    /// One more sample.
    pub fn add_number(&mut self, row: Row, number: f64) {
        self.samples.entry(row).or_default().push(number);
    }

    /// The only sample.
    pub fn set(&mut self, row: Row, number: f64) {
        self.samples.insert(row, vec![number]);
    }

    /// Takes in what was measured elsewhere.
    pub fn join(&mut self, other: Self) {
        self.samples.extend(other.samples);
    }

    fn median(&self, row: Row) -> Option<f64> {
        let mut samples = self.samples.get(&row)?.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied()
    }
}

/// How many times better the first figure is than another: less time and memory is better, and a higher rate.
fn advantage(row: Row, first: f64, other: f64) -> f64 {
    if row == Row::Workers { first / other } else { other / first }
}

/// Prints all columns; behind each figure but the first column's, how many times better the first is.
pub fn print(columns: &[Column]) {
    let titles: Vec<String> = columns.iter().map(|c| format!("{:>24}", c.title)).collect();
    println!("{:<30}{}", "", titles.concat());
    for (row, name) in ROWS {
        let first = columns.first().and_then(|c| c.median(row));
        let cells: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| match (column.median(row), first) {
                (Some(number), Some(first)) if place > 0 => {
                    format!("{:>24}", format!("{number:.2} ({:.1}×)", advantage(row, first, number)))
                }
                (Some(number), _) => format!("{number:>24.2}"),
                (None, _) => format!("{:>24}", "-"),
            })
            .collect();
        println!("{name:<30}{}", cells.concat());
    }
}

/// Writes the figures as JSON: for each row and daemon the value, and how many times better the first column's is.
pub fn write(columns: &[Column], file: &Path) -> Result<()> {
    let mut document = Map::new();
    for (row, name) in ROWS {
        let first = columns.first().and_then(|c| c.median(row));
        let mut cells = Map::new();
        for column in columns {
            if let Some(number) = column.median(row) {
                let ratio = first.map(|first| advantage(row, first, number));
                cells.insert(column.title.clone(), json!({ "value": number, "ratio": ratio }));
            }
        }
        document.insert(name.to_owned(), Value::Object(cells));
    }
    let text = format!("{:#}\n", Value::Object(document));
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
