//! Progress of a transfer: bars for what has a size and lines for the rest on a terminal, lines alone elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use model::transfer::{Progress, ProgressSink};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;

/// Shows progress on standard error.
pub struct Shown {
    bars: Option<MultiProgress>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What was told of an object last.
#[derive(Default)]
struct Known {
    event: String,
    bar: Option<ProgressBar>,
}

impl Shown {
    /// Bars if standard error is a terminal.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, known: Mutex::new(BTreeMap::new()) }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            // Above the bars, if there are any.
            Some(bars) if bars.println(text).is_ok() => {}
            _ => eprintln!("{text}"),
        }
    }
}

impl ProgressSink for Shown {
    fn report(&self, progress: Progress) {
        let Ok(mut known) = self.known.lock() else { return };
        let entry = known.entry(progress.name.clone()).or_default();
        match &self.bars {
            Some(bars) if progress.total > 0 => {
                let bar = entry.bar.get_or_insert_with(|| bars.add(bar(&progress.name)));
                bar.set_length(progress.total.cast_unsigned());
                bar.set_position(progress.progress.max(0).cast_unsigned());
                bar.set_message(progress.event.clone());
                if progress.progress >= progress.total {
                    bar.finish_and_clear();
                }
            }
            _ if entry.event != progress.event => {
                self.line(format!("{} {}", progress.event, progress.name).trim_end());
            }
            _ => {}
        }
        entry.event = progress.event;
    }
}

fn bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:40!} {msg:12} {wide_bar} {bytes}/{total_bytes}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()).with_finish(ProgressFinish::AndClear)
}
