//! Memory and threads of a process as the kernel counts them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a process gets to become idle.
const IDLE: Duration = Duration::from_secs(3);

/// Proportional set size in KiB.
pub fn pss_kib(pid: i32) -> Result<u64> {
    rolled_up(pid, "Pss:")
}

/// Memory of its own that no file backs, in KiB: unlike [`pss_kib`] nobody else's coming and going changes it.
pub fn anonymous_kib(pid: i32) -> Result<u64> {
    rolled_up(pid, "Anonymous:")
}

fn rolled_up(pid: i32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let number = text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next());
    let number = number.with_context(|| format!("no {name} in {path}"))?;
    number.parse().with_context(|| format!("parse {number}"))
}

/// How many threads it has.
pub fn threads(pid: i32) -> Result<usize> {
    let path = format!("/proc/{pid}/task");
    Ok(std::fs::read_dir(&path).with_context(|| format!("list {path}"))?.count())
}

/// Waits until it has no more threads than when it was fresh, or for three seconds: then it is idle.
pub async fn idle(pid: i32, fresh: usize) -> Result<()> {
    let until = Instant::now() + IDLE;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while threads(pid)? > fresh && Instant::now() < until {
        tick.tick().await;
    }
    Ok(())
}
