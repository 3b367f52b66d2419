//! What is to happen at a time. Few are ever set, so a list does.

use std::time::{Duration, Instant};

/// Names a timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(u64);

/// Timers that carry a `T`.
#[derive(Debug)]
pub struct Timers<T> {
    set: Vec<(TimerId, Instant, T)>,
    next: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { set: Vec::new(), next: 0 }
    }
}

impl<T> Timers<T> {
    /// Sets a timer.
    pub fn set(&mut self, at: Instant, what: T) -> TimerId {
        let id = TimerId(self.next);
        self.next += 1;
        self.set.push((id, at, what));
        id
    }

    /// Takes a timer back; one that has rung is no error.
    pub fn cancel(&mut self, id: TimerId) {
        self.set.retain(|timer| timer.0 != id);
        if self.set.is_empty() {
            self.set = Vec::new();
        }
    }

    /// How many are set.
    pub fn count(&self) -> usize {
        self.set.len()
    }

    /// Time until the next one rings; `None` when none is set.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.set.iter().map(|timer| timer.1.saturating_duration_since(now)).min()
    }

    /// Takes the earliest one that is due.
    pub fn ring(&mut self, now: Instant) -> Option<T> {
        let due = self.set.iter().enumerate().filter(|(_, timer)| timer.1 <= now);
        let (index, _) = due.min_by_key(|(_, timer)| timer.1)?;
        Some(self.set.remove(index).2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_in_order_of_time_and_only_when_due() {
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        let mut timers = Timers::default();
        assert_eq!(timers.wait(start), None);
        timers.set(after(2), 'b');
        let cancelled = timers.set(after(1), 'x');
        timers.set(after(1), 'a');
        timers.set(after(9), 'z');
        timers.cancel(cancelled);
        assert_eq!(timers.wait(start), Some(Duration::from_secs(1)));
        assert_eq!(timers.ring(start), None);
        assert_eq!(
            [timers.ring(after(2)), timers.ring(after(2)), timers.ring(after(2))],
            [Some('a'), Some('b'), None]
        );
        assert_eq!(timers.wait(after(10)), Some(Duration::ZERO));
    }
}
