//! `cargo xtask test`: everything the tests need, every test, a census before and after, the tests of control groups
//! again on a machine that has only version 2 of them, one summary.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::Census;

use crate::build::{self, Profile};
use crate::workspace::{cargo, root};
use crate::{compat, packages, vm};

/// What the test programs said in all.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    /// Before the names of tests that fail: on which machine.
    machine: &'static str,
    notes: Vec<String>,
}

/// `cargo xtask vm`: the step `vm` alone. Fails where the machine cannot be had, too.
pub fn run_vm() -> Result<()> {
    let started = Instant::now();
    if let Some(reason) = vm::refusal() {
        bail!("vm: {reason}");
    }
    let dist = build::run(Profile::Debug)?;
    let mut tally = Tally::default();
    tally.on_version_2(&dist);
    tally.summary(started)
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
    tally.on_version_2(&dist);
    tally.summary(started)
}

impl Tally {
    /// Prints it. Fails when something failed.
    fn summary(&self, started: Instant) -> Result<()> {
        println!("\nsummary, after {:.0} s", started.elapsed().as_secs_f32());
        for failure in &self.failures {
            println!("  failed: {failure}");
        }
        for note in &self.notes {
            println!("  {note}");
        }
        if self.ignored > 0 {
            println!("  ignored: {}", self.ignored);
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("{} test(s) failed", self.failed);
        }
        Ok(())
    }

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
            self.failures.push(format!("{}{name}", self.machine));
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

    /// The step `vm`. Where the machine cannot be had, that is said and fails nothing.
    fn on_version_2(&mut self, dist: &std::path::Path) {
        println!("\nvm: a machine with nothing but version 2 of control groups");
        if let Some(reason) = vm::refusal() {
            self.notes.push(format!("vm: not run: {reason}"));
            return;
        }
        let (started, passed, failed) = (Instant::now(), self.passed, self.failed);
        self.machine = "vm: ";
        let done = vm::run(dist, |line| self.read(line));
        self.machine = "";
        if let Err(error) = done {
            self.fail(format!("vm: {error:#}"));
        }
        let (passed, failed) = (self.passed - passed, self.failed - failed);
        let seconds = started.elapsed().as_secs_f32();
        self.notes.push(format!("vm: {passed} passed, {failed} failed, {seconds:.0} s"));
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
