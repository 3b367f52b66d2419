//! `cargo xtask test`: everything the tests need, every test, a census before and after, one summary.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::Census;

use crate::build::{self, Profile};
use crate::workspace::{cargo, root};
use crate::{compat, packages};

/// What the test programs said in all.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
}

/// Installs, builds, tests, counts. Fails when a test failed or something was left behind.
pub fn run() -> Result<()> {
    let started = Instant::now();
    packages::install()?;
    compat::run()?;
    let dist = build::run(Profile::Debug)?;
    let before = Census::of_machine();
    let mut tally = Tally::default();
    tally.cargo_test(&dist)?;
    tally.nothing_left(&before);
    println!("\nsummary, after {:.0} s", started.elapsed().as_secs_f32());
    for failure in &tally.failures {
        println!("  failed: {failure}");
    }
    if tally.ignored > 0 {
        println!("  ignored: {}", tally.ignored);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        bail!("{} test(s) failed", tally.failed);
    }
    Ok(())
}

impl Tally {
    /// `cargo test --workspace`, its output passed on and read.
    fn cargo_test(&mut self, dist: &std::path::Path) -> Result<()> {
        let mut command = Command::new(cargo());
        command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--color", "never"]);
        command
            .env("GANTRY_DIST", dist)
            .env("RUST_LIB_BACKTRACE", "0")
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("start cargo test")?;
        let stdout = child.stdout.take().context("cargo test's output")?;
        for line in BufReader::new(stdout).lines() {
            let line = line.context("read cargo test's output")?;
            println!("{line}");
            self.read(&line);
        }
        let status = child.wait().context("wait for cargo test")?;
        if !status.success() && self.failed == 0 {
            self.fail(format!("cargo test itself ({status})"));
        }
        Ok(())
    }

    /// One line of the test harness's output.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let number = |word: &str| -> usize {
            let part = counts.split([';', '.']).map(str::trim).find_map(|p| p.strip_suffix(word));
            part.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
        self.ignored += number("ignored");
    }

    fn nothing_left(&mut self, before: &Census) {
        let after = Census::of_machine();
        println!("\nbefore: {before}\nafter:  {after}");
        let left = after.grown_since(before);
        if left.is_empty() {
            self.passed += 1;
            return;
        }
        self.fail(format!("{} thing(s) left behind", left.len()));
        for thing in left {
            println!("  left behind: {thing}");
        }
    }

    fn fail(&mut self, what: String) {
        self.failed += 1;
        self.failures.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_harness() {
        let mut tally = Tally::default();
        for line in [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (41, 1, 2));
        assert_eq!(tally.failures, ["a::c"]);
    }
}
