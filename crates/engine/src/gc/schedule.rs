//! When the collector runs: one owner task, woken by pressure, by the clock and by those who wait for a run.
//!
//! A request runs at once (after the configured delay). Pressure runs at the earliest after a pause in proportion to how
//! long runs take, so that collecting never takes more than its share of time. What a clean-up had to leave is looked at
//! again, ever more rarely, without a run. An idle daemon has no timer.

use super::clean::{Disks, Rest};
use super::graph::Collectible;
use super::pressure::{Gone, Pressure};
use super::sweep::{Swept, sweep};
use crate::database::Database;
use model::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A run is never taken to be shorter.
const SHORTEST_RUN: Duration = Duration::from_millis(5);
/// How many may wait for a run at a time.
const REQUESTS: usize = 256;

/// When to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// The share of time that runs may take, 0 to 0.5; 0 for no limit.
    pub pause_threshold: f64,
    /// This many removals run at once; 0 for never.
    pub deletion_threshold: u64,
    /// This many writes run, even without a removal; 0 for never.
    pub mutation_threshold: u64,
    /// How long a request waits for others.
    pub schedule_delay: Duration,
    /// When the first run is, after the start.
    pub startup_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pause_threshold: 0.02,
            deletion_threshold: 0,
            mutation_threshold: 100,
            schedule_delay: Duration::ZERO,
            startup_delay: Duration::from_millis(100),
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows removed.
    pub rows: usize,
    /// Blobs, ingests, directories and other resources removed.
    pub things: usize,
    /// How long writers had to wait for the mark and sweep.
    pub pause: Duration,
}

type Waiter = oneshot::Sender<Result<Stats>>;

/// The collector, for those who want something of it.
pub struct Collector {
    requests: mpsc::Sender<Waiter>,
    pressure: Arc<Pressure>,
    collectibles: Mutex<Vec<Arc<dyn Collectible>>>,
}

impl Collector {
    /// The collector, and where its task hears of requests.
    pub(crate) fn new(pressure: Arc<Pressure>) -> (Arc<Self>, Requests) {
        let (requests, received) = mpsc::channel(REQUESTS);
        (Arc::new(Self { requests, pressure, collectibles: Mutex::default() }), Requests(received))
    }

    /// Waits for a run that begins after this call, its clean-up included.
    ///
    /// # Errors
    /// Those of the run; `Unavailable` when the daemon is going down.
    pub async fn collect(&self) -> Result<Stats> {
        let gone = || Error::unavailable("the collector is stopped");
        let (waiter, answer) = oneshot::channel();
        self.requests.send(waiter).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Lets the collector look after things that live elsewhere.
    pub fn register(&self, collectible: Arc<dyn Collectible>) {
        self.collectibles.lock().unwrap_or_else(PoisonError::into_inner).push(collectible);
    }

    /// Asks for a run because something that held other things is gone; does not wait.
    pub fn notice_removal(&self) {
        self.pressure.removed(Gone::Holder);
    }

    pub(crate) fn pressure(&self) -> Arc<Pressure> {
        self.pressure.clone()
    }
}

/// Where the collector's task hears of requests.
pub(crate) struct Requests(mpsc::Receiver<Waiter>);

/// The owner task.
pub(crate) struct Task {
    pub(crate) config: Config,
    pub(crate) database: Arc<Database>,
    pub(crate) disks: Disks,
    pub(crate) collector: Arc<Collector>,
    pub(crate) requests: Requests,
}

/// How runs went so far.
#[derive(Default)]
struct History {
    runs: u32,
    spent: Duration,
    last: Option<Instant>,
}

impl History {
    /// How long to pause after a run.
    fn pause(&self, config: &Config) -> Duration {
        let share = config.pause_threshold.clamp(0.0, 0.5);
        if self.runs == 0 || share == 0.0 {
            return Duration::ZERO;
        }
        let average = (self.spent / self.runs).max(SHORTEST_RUN);
        average.mul_f64(1.0 / share - 1.0)
    }
}

impl Task {
    /// Runs until it is told to stop. A run that is under way then is not waited for: its write comes to its end or is
    /// none, and what its clean-up leaves is found by the first run after the next start.
    pub(crate) async fn run(self, stop: oneshot::Receiver<()>) {
        tokio::select! {
            biased;
            _ = stop => {}
            () = self.collect_for_ever() => {}
        }
    }

    async fn collect_for_ever(mut self) {
        let pressure = self.collector.pressure();
        let mut history = History::default();
        let mut rest = Rest::default();
        let mut waiters: Vec<Waiter> = Vec::new();
        let mut due = Some(Instant::now() + self.config.startup_delay);
        loop {
            let timer = async {
                match due.into_iter().chain(rest.at()).min() {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(waiter) = self.requests.0.recv() => {
                    waiters.push(waiter);
                    due = Some(earlier(due, Instant::now() + self.config.schedule_delay));
                    continue;
                }
                () = timer => {}
                () = pressure.changed() => {
                    due = self.after_pressure(due, &history, &pressure);
                    continue;
                }
            }
            if due.is_none_or(|at| at > Instant::now()) {
                self.disks.clean_up(&pressure, &mut rest).await;
                continue;
            }
            let answers: Vec<Waiter> = std::mem::take(&mut waiters);
            let result = self.collect(&pressure, &mut rest).await;
            history.runs += 1;
            history.spent += result.as_ref().map_or(SHORTEST_RUN, |stats| stats.pause);
            history.last = Some(Instant::now());
            due = match &result {
                Ok(_) => self.after_pressure(None, &history, &pressure),
                Err(error) => {
                    tracing::warn!(?error, "garbage collection failed");
                    Some(Instant::now() + history.pause(&self.config) + Duration::from_secs(1))
                }
            };
            for answer in answers {
                // Nobody may be waiting any more.
                let _ = answer.send(copy(&result));
            }
        }
    }

    /// When the next run is due, given what has happened.
    fn after_pressure(
        &self,
        due: Option<Instant>,
        history: &History,
        pressure: &Pressure,
    ) -> Option<Instant> {
        if !pressure.asks_for_run(self.config.mutation_threshold) {
            return due;
        }
        let soon = Instant::now() + self.config.schedule_delay;
        let forced =
            self.config.deletion_threshold > 0 && pressure.deletions() >= self.config.deletion_threshold;
        let rested = history.last.map_or(soon, |last| last + history.pause(&self.config));
        Some(earlier(due, if forced { soon } else { rested.max(soon) }))
    }

    /// One run, clean-up included. What cannot be cleaned up is no error: what was asked for has been done.
    async fn collect(&self, pressure: &Pressure, rest: &mut Rest) -> Result<Stats> {
        pressure.start_over();
        let collectibles = self.collector.collectibles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let write = self.database.write_unnoticed(move |tx| {
            let begun = std::time::Instant::now();
            sweep(tx, &collectibles).map(|swept| (swept, begun.elapsed()))
        });
        let (Swept { rows, dirty, resources }, pause) = write.await?;
        pressure.put_back(dirty);
        let mut things = 0;
        for (collectible, resource) in resources {
            match collectible.remove(&resource.namespace, &resource.id).await {
                Ok(()) => things += 1,
                // It is found again by the next run.
                Err(error) => {
                    tracing::warn!(
                        kind = collectible.kind(),
                        id = resource.id,
                        ?error,
                        "cannot be collected"
                    );
                }
            }
        }
        things += self.disks.clean_up(pressure, rest).await;
        tracing::debug!(rows, things, ?pause, "garbage collected");
        Ok(Stats { rows, things, pause })
    }
}

fn earlier(due: Option<Instant>, at: Instant) -> Instant {
    due.map_or(at, |due| due.min(at))
}

fn copy(result: &Result<Stats>) -> Result<Stats> {
    result.as_ref().map(|stats| *stats).map_err(|e| Error::new(e.kind(), e.text()))
}
