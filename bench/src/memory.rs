//! Memory of a process as the kernel shares it out.

use anyhow::{Context, Result};

/// Proportional set size in KiB.
pub fn pss_kib(pid: i32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line =
        text.lines().find_map(|l| l.strip_prefix("Pss:")).with_context(|| format!("no Pss in {path}"))?;
    let number = line.split_whitespace().next().context("an empty Pss")?;
    number.parse().with_context(|| format!("parse {number}"))
}
