//! Running other programs: their output goes straight to the terminal, a failure names the command.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Runs a command to its end and insists on exit code 0.
pub fn run(command: &mut Command) -> Result<()> {
    let line = e2e::program::line_of(command);
    println!("+ {line}");
    let started = Instant::now();
    let status = command.status().with_context(|| format!("start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    println!("  done in {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}
