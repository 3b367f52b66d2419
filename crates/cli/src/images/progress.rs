//! Progress of a transfer: bars on a terminal, elsewhere one line for each change, one JSON object for each event, or
//! nothing.

use super::bars::Bars;
use crate::{Context, Output, terminal};
use anyhow::{Context as _, Result};
use model::transfer::{Progress, ProgressSink};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// How often bars are drawn.
const TICK: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Bars on a terminal, JSON with --output json, lines elsewhere.
    Auto,
    /// A bar for each object, drawn in place.
    Tty,
    /// A line for each change.
    Plain,
    /// A JSON object for each event, one a line.
    Json,
    /// Nothing.
    None,
}

/// The flag of all transfers.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Flag {
    /// How to show progress.
    #[arg(long, value_enum, default_value_t = Form::Auto)]
    progress: Form,
}

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Out,
    /// Standard error, where standard output is for something else.
    Err,
}

/// Shows progress.
pub struct Shown {
    to: To,
    state: Mutex<State>,
}

struct State {
    style: Style,
    failed: Option<io::Error>,
}

enum Style {
    Bars(Bars),
    /// What was told of each object last.
    Lines(BTreeMap<String, String>),
    Json,
    Silent,
}

impl Flag {
    /// Progress as the flag and the terminal want it.
    pub fn shown(self, cx: &Context, to: To) -> Shown {
        let style = match self.progress {
            Form::Tty => Style::Bars(Bars::new(Instant::now())),
            Form::Plain => Style::Lines(BTreeMap::new()),
            Form::Json => Style::Json,
            Form::None => Style::Silent,
            Form::Auto if cx.output == Output::Json => Style::Json,
            Form::Auto if to.is_terminal() => Style::Bars(Bars::new(Instant::now())),
            Form::Auto => Style::Lines(BTreeMap::new()),
        };
        Shown { to, state: Mutex::new(State { style, failed: None }) }
    }
}

impl To {
    /// A terminal that can move its cursor.
    fn is_terminal(self) -> bool {
        let able = std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        able && match self {
            To::Out => io::stdout().is_terminal(),
            To::Err => io::stderr().is_terminal(),
        }
    }

    /// Columns and rows; those of an old terminal where there is none.
    fn size(self) -> (usize, usize) {
        let size = match self {
            To::Out => terminal::size_of(io::stdout()),
            To::Err => terminal::size_of(io::stderr()),
        };
        size.map_or((80, 24), |(columns, rows)| (columns.into(), rows.into()))
    }

    fn write(self, text: &str) -> io::Result<()> {
        let mut to: Box<dyn Write> = match self {
            To::Out => Box::new(io::stdout().lock()),
            To::Err => Box::new(io::stderr().lock()),
        };
        to.write_all(text.as_bytes())?;
        to.flush()
    }
}

impl Shown {
    /// Does the work and shows how far it is, to its last state.
    ///
    /// # Errors
    /// Those of the work, then those of showing it.
    pub async fn watch<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                _ = ticks.tick() => self.draw(false),
            }
        };
        self.draw(true);
        let done = done?;
        self.state().failed.take().map_or(Ok(done), |e| Err(e).context("show progress"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, last: bool) {
        let mut state = self.state();
        if let Style::Bars(bars) = &mut state.style {
            let text = match last {
                true => bars.last_frame(Instant::now(), self.to.size().0),
                false => bars.frame(Instant::now(), self.to.size()),
            };
            state.write(self.to, &text);
        }
    }
}

impl State {
    fn write(&mut self, to: To, text: &str) {
        if self.failed.is_none() && !text.is_empty() {
            self.failed = to.write(text).err();
        }
    }
}

impl ProgressSink for Shown {
    fn report(&self, progress: Progress) {
        let mut state = self.state();
        let text = match &mut state.style {
            Style::Bars(bars) => return bars.report(&progress, Instant::now()),
            Style::Lines(known) => line(known, &progress),
            Style::Json => object(&progress),
            Style::Silent => return,
        };
        state.write(self.to, &text);
    }
}

/// A line for what is new.
fn line(known: &mut BTreeMap<String, String>, progress: &Progress) -> String {
    let Progress { event, name, .. } = progress;
    if !name.is_empty() && known.insert(name.clone(), event.clone()).as_ref() == Some(event) {
        return String::new();
    }
    let text = format!("{event} {name}");
    format!("{}\n", printable(text.trim_end()))
}

/// News as programs read it.
#[derive(serde::Serialize)]
struct Object<'a> {
    event: &'a str,
    name: &'a str,
    digest: Option<&'a str>,
    size: i64,
    done: i64,
    parents: &'a [String],
}

fn object(progress: &Progress) -> String {
    let Progress { event, name, parents, progress: done, total, descriptor } = progress;
    let digest = descriptor.as_ref().map(|of| of.digest.as_str());
    let size = descriptor.as_ref().map_or(*total, |of| of.size.max(*total));
    let object = Object { event, name, digest, size, done: *done, parents };
    // Texts and numbers always are JSON.
    serde_json::to_string(&object).map(|text| text + "\n").unwrap_or_default()
}

/// A text that cannot play tricks with a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(event: &str, name: &str) -> Progress {
        Progress { event: event.into(), name: name.into(), ..Progress::default() }
    }

    #[test]
    fn a_line_for_each_change() {
        let mut known = BTreeMap::new();
        let told = [
            ("Importing", "", "Importing\n"),
            ("waiting", "layer-1", "waiting layer-1\n"),
            ("waiting", "layer-1", ""),
            ("waiting", "layer-2", "waiting layer-2\n"),
            ("complete", "layer-1", "complete layer-1\n"),
            ("saved", "x\u{1b}[2J", "saved x?[2J\n"),
        ];
        for (event, name, text) in told {
            assert_eq!(line(&mut known, &news(event, name)), text);
        }
    }

    #[test]
    fn an_object_for_each_event() {
        let text = object(&Progress { progress: 3, total: 9, ..news("downloading", "layer-1") });
        let expected =
            r#"{"event":"downloading","name":"layer-1","digest":null,"size":9,"done":3,"parents":[]}"#;
        assert_eq!(text, format!("{expected}\n"));
    }
}
