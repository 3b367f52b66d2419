//! Cleaning up disks after a sweep, and coming back to what had to be left.

use super::pressure::{Cleaned, Dirty, Pressure};
use crate::content::Content;
use crate::snapshots::Snapshotter;
use model::{Error, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the others wait for one disk. Its clean-up goes on without them.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// How soon what was left is looked at again.
const SOON: Duration = Duration::from_secs(1);
/// The longest pause before what was left is looked at again.
const RARELY: Duration = Duration::from_secs(10 * 60);

/// What is cleaned up.
pub(crate) struct Disks {
    pub(crate) content: Content,
    pub(crate) snapshotters: BTreeMap<String, Snapshotter>,
}

impl Disks {
    /// Removes from the dirty disks what has no row; returns how much. What is in use or cannot be removed leaves its
    /// disk dirty and nothing else undone.
    pub(super) async fn clean_up(&self, pressure: &Pressure, rest: &mut Rest) -> usize {
        let dirty = pressure.take_dirty();
        let mut removed = 0;
        let mut again = Dirty::default();
        for (name, snapshotter) in &self.snapshotters {
            if dirty.all || dirty.snapshotters.contains(name) {
                let swept = patiently(snapshotter.sweep_backend()).await;
                let cleaned = rest.judge(&format!("snapshotter {name}"), swept);
                removed += cleaned.removed;
                if cleaned.is_left {
                    again.snapshotters.insert(name.clone());
                }
            }
        }
        if dirty.all || dirty.content {
            let cleaned = rest.judge("content store", patiently(self.content.sweep_backend()).await);
            removed += cleaned.removed;
            again.content = cleaned.is_left;
        }
        rest.put_off(again.is_empty(), Instant::now());
        pressure.put_back(again);
        removed
    }
}

async fn patiently(sweep: impl Future<Output = Result<Cleaned>>) -> Result<Cleaned> {
    let late =
        |_| Error::deadline(format!("clean up: not done after {PATIENCE:?}, it goes on; look at the disk"));
    timeout(PATIENCE, sweep).await.unwrap_or_else(|e| Err(late(e)))
}

/// What clean-ups had to leave, and when it is looked at again.
#[derive(Debug, Default)]
pub(super) struct Rest {
    at: Option<Instant>,
    pause: Duration,
    /// The disks of which something cannot be removed, and what was logged of them.
    failing: BTreeMap<String, String>,
}

/// What came of a clean-up.
struct Judged {
    removed: usize,
    is_left: bool,
}

impl Rest {
    /// When to look again.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Logs a failure when it is news.
    fn judge(&mut self, disk: &str, cleaned: Result<Cleaned>) -> Judged {
        let cleaned = cleaned.unwrap_or_else(|e| Cleaned { failed: 1, error: Some(e), ..Cleaned::default() });
        match &cleaned.error {
            None => {
                if self.failing.remove(disk).is_some() {
                    tracing::info!(disk, "what could not be removed is gone");
                }
            }
            Some(error) if self.failing.get(disk).is_some_and(|known| known == error.text()) => {}
            Some(error) => {
                self.failing.insert(disk.to_owned(), error.text().to_owned());
                let left = cleaned.failed;
                tracing::warn!(disk, left, ?error, "cannot be removed; it is tried again, ever more rarely");
            }
        }
        Judged { removed: cleaned.removed, is_left: cleaned.claimed + cleaned.failed > 0 }
    }

    /// Nothing is left, or it is looked at again after a longer pause than the last.
    fn put_off(&mut self, is_done: bool, now: Instant) {
        if is_done {
            (self.at, self.pause) = (None, Duration::ZERO);
        } else if self.at.is_none_or(|at| at <= now) {
            self.pause = (self.pause * 2).clamp(SOON, RARELY);
            self.at = Some(now + self.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_looked_at_ever_more_rarely() {
        let (mut rest, mut now) = (Rest::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            rest.put_off(false, now);
            let at = rest.at().expect("something is left");
            // A run in between changes nothing.
            rest.put_off(false, now);
            assert_eq!(rest.at(), Some(at));
            pauses.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        rest.put_off(true, now);
        assert_eq!(rest.at(), None);
        rest.put_off(false, now);
        assert_eq!(rest.at(), Some(now + SOON));
    }

    #[test]
    fn a_failure_is_news_once() {
        let mut rest = Rest::default();
        let mut cleaned = Cleaned::default();
        cleaned.note(Ok(()));
        cleaned.note(Err(Error::unknown("remove /a: operation not permitted")));
        cleaned.note(Err(Error::unknown("remove /b: operation not permitted")));
        cleaned.note(Err(Error::not_found("c")));
        let judged = rest.judge("d", Ok(cleaned));
        assert_eq!((judged.removed, judged.is_left), (1, true));
        assert_eq!(rest.failing["d"], "remove /a: operation not permitted");
        let judged = rest.judge("d", Ok(Cleaned::default()));
        assert!(!judged.is_left && rest.failing.is_empty());
        assert!(rest.judge("d", Err(Error::unknown("read /: no"))).is_left);
    }
}
