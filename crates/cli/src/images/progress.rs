//! Progress of a transfer: redrawn bars on a terminal, plain lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::transfer::{Progress, ProgressSink};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;

/// Shows progress on standard error.
pub struct Shown {
    bars: Option<MultiProgress>,
    known: Mutex<BTreeMap<String, Known>>,
}

struct Known {
    event: String,
    bar: Option<ProgressBar>,
}

impl Shown {
    /// Bars if standard error is a terminal, lines if not.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, known: Mutex::new(BTreeMap::new()) }
    }

    fn bar(&self, progress: &Progress) -> Option<ProgressBar> {
        let bars = self.bars.as_ref()?;
        let style = ProgressStyle::with_template("{prefix:40!} {msg:12} {wide_bar} {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bars.add(ProgressBar::new(progress.total.max(0) as u64).with_style(style));
        bar.set_prefix(progress.name.clone());
        Some(bar)
    }
}

impl ProgressSink for Shown {
    fn report(&self, progress: Progress) {
        let Ok(mut known) = self.known.lock() else { return };
        let entry = known
            .entry(progress.name.clone())
            .or_insert_with(|| Known { event: String::new(), bar: self.bar(&progress) });
        if let Some(bar) = &entry.bar {
            bar.set_length(progress.total.max(0) as u64);
            bar.set_position(progress.progress.max(0) as u64);
            bar.set_message(progress.event.clone());
        } else if entry.event != progress.event {
            eprintln!("{}", format!("{} {}", progress.event, progress.name).trim_end());
        }
        entry.event = progress.event;
    }
}
