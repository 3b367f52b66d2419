//! Bars: one row for each object of a transfer, drawn over the last drawing.
//!
//! A drawing is text: up to where the last one began, the rows anew, each cut to the terminal's width. The cursor rests
//! below the rows and is never hidden, so whoever interrupts the program finds the terminal as it was. Rows that do
//! not fit the terminal's height are counted instead; the last drawing has them all.

use super::progress::printable;
use crate::output::binary_size;
use model::transfer::Progress;
use std::fmt::Write;
use std::time::Instant;

/// The widest column of names.
const NAMES: usize = 60;
/// The widths of the other columns.
const STATE: usize = 14;
const NUMBERS: usize = 30;
/// The narrowest bar worth drawing, and the widest.
const BAR: (usize, usize) = (5, 40);
/// The narrowest headline beside its numbers.
const HEADLINE: usize = 20;

/// The rows, and what is on the terminal of them.
pub struct Bars {
    since: Instant,
    headline: String,
    rows: Vec<Row>,
    /// The widths of the lines of the last drawing.
    drawn: Vec<usize>,
}

struct Row {
    name: String,
    label: String,
    event: String,
    depth: usize,
    done: i64,
    size: i64,
    /// When it began to move, and where it stood then.
    moved: Option<(Instant, i64)>,
}

impl Bars {
    /// No rows yet.
    pub fn new(since: Instant) -> Self {
        Self { since, headline: String::new(), rows: Vec::new(), drawn: Vec::new() }
    }

    /// Takes news.
    pub fn report(&mut self, progress: &Progress, now: Instant) {
        if progress.name.is_empty() {
            self.headline = printable(&progress.event);
            return;
        }
        let at = self.find(progress);
        let row = &mut self.rows[at];
        row.event = printable(&progress.event);
        row.done = progress.progress.max(0);
        row.size = progress.total.max(0);
        if row.is_moving() && row.moved.is_none() {
            row.moved = Some((now, row.done));
        }
    }

    /// The row of an object; a new one comes below what it is part of.
    fn find(&mut self, progress: &Progress) -> usize {
        if let Some(at) = self.rows.iter().position(|row| row.name == progress.name) {
            return at;
        }
        let parent = self.rows.iter().position(|row| progress.parents.contains(&row.name));
        let (at, depth) = match parent {
            None => (self.rows.len(), 0),
            Some(parent) => {
                let depth = self.rows[parent].depth;
                let below = self.rows[parent + 1..].iter().take_while(|row| row.depth > depth).count();
                (parent + 1 + below, depth + 1)
            }
        };
        let name = progress.name.clone();
        let label = format!("{}{}", "  ".repeat(depth), printable(&short(&name)));
        let event = String::new();
        self.rows.insert(at, Row { name, label, event, depth, done: 0, size: 0, moved: None });
        at
    }

    /// The next drawing, for a terminal of so many columns and rows.
    pub fn frame(&mut self, now: Instant, (columns, height): (usize, usize)) -> String {
        let room = height.saturating_sub(2).max(1);
        let mut shown: Vec<&Row> = self.rows.iter().collect();
        if shown.len() > room {
            shown.retain(|row| row.is_moving());
            shown.truncate(room.saturating_sub(1));
        }
        let hidden = self.rows.len() - shown.len();
        let mut lines = self.lines(&shown, now, columns);
        if hidden > 0 {
            lines.push(format!("  and {hidden} more"));
        }
        self.over(lines, now, columns)
    }

    /// The drawing that stays.
    pub fn last_frame(&mut self, now: Instant, columns: usize) -> String {
        let shown: Vec<&Row> = self.rows.iter().collect();
        let lines = self.lines(&shown, now, columns);
        self.over(lines, now, columns)
    }

    fn lines(&self, shown: &[&Row], now: Instant, columns: usize) -> Vec<String> {
        let widest = shown.iter().filter(|row| row.size > 0).map(|row| width(&row.label)).max().unwrap_or(0);
        let names = widest.min(NAMES).min(columns / 2);
        shown.iter().map(|row| row.line(now, (names, columns))).collect()
    }

    /// Lines as a drawing over the last one.
    fn over(&mut self, mut lines: Vec<String>, now: Instant, columns: usize) -> String {
        let columns = columns.max(2);
        if !self.headline.is_empty() {
            lines.push(self.summary(now, columns));
        }
        // A terminal that was made narrower has broken the old lines.
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let mut text = match up {
            0 => String::new(),
            up => format!("\x1b[{up}A\r"),
        };
        self.drawn.clear();
        for line in &lines {
            let line = cut(line, columns - 1);
            self.drawn.push(width(&line));
            text.push_str(&line);
            text.push_str("\x1b[K\n");
        }
        if up > 0 {
            text.push_str("\x1b[J");
        }
        text
    }

    /// The headline and the numbers of the whole; the headline gives way.
    fn summary(&self, now: Instant, columns: usize) -> String {
        let seconds = now.duration_since(self.since).as_secs_f64();
        let total: i64 = self.rows.iter().map(|row| row.done).sum();
        let moved = self.rows.iter().filter(|row| row.event != "already exists");
        let moved: i64 = moved.map(|row| row.done).sum();
        let rate = moved as f64 / seconds.max(0.001);
        let (total, rate) = (binary_size(total), binary_size(rate as i64));
        let numbers = format!("  elapsed: {seconds:.1} s  total: {total}  ({rate}/s)");
        match (columns - 1).saturating_sub(width(&numbers)) {
            room if width(&self.headline) <= room => self.headline.clone() + &numbers,
            room if room >= HEADLINE => cut(&self.headline, room - 3) + "..." + &numbers,
            _ => self.headline.clone(),
        }
    }
}

impl Row {
    fn is_moving(&self) -> bool {
        matches!(self.event.as_str(), "downloading" | "uploading" | "reading" | "extracting")
            && (self.event == "extracting" || self.done < self.size)
    }

    /// The row as a line: name, state, bar, numbers.
    fn line(&self, now: Instant, (names, columns): (usize, usize)) -> String {
        if self.size == 0 {
            return format!("{}  {}", self.label, self.event);
        }
        let mut line = pad(&self.label, names);
        let _ = write!(line, "  {:<STATE$} ", self.event);
        let room = columns.saturating_sub(names + 2 + STATE + 3 + NUMBERS + 1);
        let bar = if room < BAR.0 { 0 } else { room.min(BAR.1) };
        let done = self.done.min(self.size);
        if bar > 0 {
            let full = (done as u128 * bar as u128 / self.size as u128) as usize;
            let _ = write!(line, "[{}{}] ", "=".repeat(full), " ".repeat(bar - full));
        }
        let numbers = match (self.is_moving() && done < self.size, self.moved) {
            (true, Some((since, from))) => {
                let seconds = now.duration_since(since).as_secs_f64();
                let rate = if seconds < 0.1 { 0.0 } else { (done - from) as f64 / seconds };
                format!("{}/{}  {}/s", binary_size(done), binary_size(self.size), binary_size(rate as i64))
            }
            _ => binary_size(self.size),
        };
        line + &numbers
    }
}

/// An object's name as people know it: its kind and the beginning of its digest.
fn short(name: &str) -> String {
    let kinds = ["manifest", "index", "layer", "config", "attestation", "unknown"];
    let Some((kind, digest)) = name.split_once('-').filter(|(kind, _)| kinds.contains(kind)) else {
        return name.to_owned();
    };
    // A name may stand in front of the digest.
    match digest.rsplit_once("sha256:") {
        Some((_, hex)) => format!("{kind} {}", hex.get(..12).unwrap_or(hex)),
        None => name.to_owned(),
    }
}

/// How many columns a text takes at most: what is not ASCII may be wide.
fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// As much of a text as fits.
fn cut(text: &str, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| {
        let fits = columns_of(*c) <= left;
        left = left.saturating_sub(columns_of(*c));
        fits
    };
    text.chars().take_while(fits).collect()
}

fn pad(text: &str, columns: usize) -> String {
    let mut text = cut(text, columns);
    let fill = columns - width(&text);
    text.extend(std::iter::repeat_n(' ', fill));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn news(event: &str, name: &str, (done, total): (i64, i64)) -> Progress {
        Progress {
            event: event.into(),
            name: name.into(),
            progress: done,
            total,
            parents: if name.starts_with("layer") { vec!["host/image:1".into()] } else { Vec::new() },
            descriptor: None,
        }
    }

    fn some(since: Instant) -> Bars {
        let mut bars = Bars::new(since);
        bars.report(&news("Pulling", "", (0, 0)), since);
        bars.report(&news("fetching image content", "host/image:1", (0, 0)), since);
        let layer = format!("layer-sha256:{}", "a".repeat(64));
        bars.report(&news("downloading", &layer, (0, 4 << 20)), since);
        bars.report(&news("downloading", &layer, (1 << 20, 4 << 20)), since + Duration::from_secs(1));
        bars.report(&news("waiting", "layer-sha256:bbb", (0, 1 << 10)), since);
        bars
    }

    #[test]
    fn names_are_short() {
        for (name, shown) in [
            ("layer-sha256:0123456789abcdef", "layer 0123456789ab"),
            ("manifest-1@sha256:0123456789abcdef", "manifest 0123456789ab"),
            ("config-sha256:0", "config 0"),
            ("layer-of-cake", "layer-of-cake"),
            ("my-host/a@sha256:0123456789abcdef", "my-host/a@sha256:0123456789abcdef"),
        ] {
            assert_eq!(short(name), shown);
        }
    }

    #[test]
    fn rows_are_drawn_over_rows() {
        let since = Instant::now();
        let mut bars = some(since);
        let now = since + Duration::from_secs(2);
        let first = bars.frame(now, (100, 24));
        let lines: Vec<&str> = first.lines().collect();
        assert_eq!(lines.len(), 4, "{first}");
        assert!(lines[0].starts_with("host/image:1"), "{first}");
        assert!(lines[1].starts_with("  layer aaaaaaaaaaaa  downloading    [=="), "{first}");
        assert!(lines[1].contains("1.0 MiB/4.0 MiB  512.0 KiB/s"), "{first}");
        assert!(lines[2].starts_with("  layer bbb           waiting        ["), "{first}");
        assert!(lines[3].starts_with("Pulling  elapsed: 2.0 s  total: 1.0 MiB  (512.0 KiB/s)"), "{first}");
        let second = bars.last_frame(now, 100);
        assert!(second.starts_with("\x1b[4A\r") && second.ends_with("\x1b[J"), "{second:?}");
    }

    #[test]
    fn the_headline_gives_way_to_its_numbers() {
        let since = Instant::now();
        let mut bars = Bars::new(since);
        bars.report(&news("Completed pull from OCI Registry (host/image:1)", "", (0, 0)), since);
        let numbers = "  elapsed: 0.0 s  total: 0.0 B  (0.0 B/s)";
        for (columns, headline) in [
            (120, format!("Completed pull from OCI Registry (host/image:1){numbers}")),
            (70, format!("Completed pull from OCI R...{numbers}")),
            (50, "Completed pull from OCI Registry (host/image:1)".into()),
        ] {
            assert_eq!(bars.summary(since, columns), headline);
        }
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let since = Instant::now();
        for columns in 0..140 {
            let mut bars = some(since);
            bars.report(&news("saved", "例え.test/ünï\x07code:1", (0, 0)), since);
            for line in bars.frame(since, (columns, 24)).split("\x1b[K\n") {
                assert!(!line.contains('\x07') && width(line) < columns.max(2), "{columns}: {line:?}");
            }
        }
    }

    #[test]
    fn a_low_terminal_shows_what_moves_and_the_end_shows_all() {
        let since = Instant::now();
        let mut bars = some(since);
        for number in 0..50 {
            bars.report(&news("complete", &format!("layer-sha256:{number}"), (1, 1)), since);
        }
        let frame = bars.frame(since, (80, 10));
        assert!(frame.contains("downloading") && frame.contains("and 52 more"), "{frame}");
        assert!(frame.lines().count() < 10, "{frame}");
        // Made narrow, the terminal has broken the lines of the last drawing.
        let broken: usize = bars.drawn.iter().map(|w| w.div_ceil(20).max(1)).sum();
        let last = bars.last_frame(since, 20);
        assert!(last.starts_with(&format!("\x1b[{broken}A")) && broken > 3, "{last:?}");
        assert_eq!(last.matches("\x1b[K\n").count(), 54);
    }
}
