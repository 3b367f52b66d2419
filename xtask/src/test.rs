//! `cargo xtask test`: everything the tests need, every test, some of them again with a real containerd in our daemon's
//! place, a census before and after, the tests of control groups again on a machine that has only version 2 of them, one
//! summary.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::Census;

use crate::build::{self, Profile};
use crate::workspace::{cargo, root};
use crate::{compat, filters, packages, vm};

/// How many seconds `cargo test` may take, building included.
const DEADLINE: &str = "3600";

/// The exit code of `timeout` for a command that it ended.
const OVERRUN: i32 = 124;

/// What also runs against a real containerd, so that no test comes to expect what only we do: the test target, and
/// which of its tests.
const REFERENCE: [(&str, &str); 2] =
    [("daemon", ""), ("e2e", "events::with_ctr refusals::with_ctr specs::with_ctr tasks::with_ctr")];

/// What is tested: our build, or it with another's daemon.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    dist: &'a std::path::Path,
    /// For `GANTRY_E2E_DAEMON`.
    daemon: &'static str,
}

/// What the test programs said in all.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    /// Before the names of tests that fail: on which machine, with whose daemon.
    place: &'static str,
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
    tally.cargo_test(Run { dist: &dist, daemon: "gantry" }, &[])?;
    tally.on_containerd(&dist)?;
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

    /// `cargo test --workspace` with these words, its output passed on and read.
    fn cargo_test(&mut self, run: Run<'_>, words: &[&str]) -> Result<()> {
        let mut child = cargo_test(run, words).stdout(Stdio::piped()).spawn().context("start cargo test")?;
        let failed = self.failed;
        let stdout = child.stdout.take().context("cargo test's output")?;
        for line in BufReader::new(stdout).lines() {
            let line = line.context("read cargo test's output")?;
            println!("{line}");
            self.read(&line);
        }
        let status = child.wait().context("wait for cargo test")?;
        if status.code() == Some(OVERRUN) {
            self.fail(format!("{}cargo test took more than {DEADLINE} s and was ended", self.place));
        } else if !status.success() && self.failed == failed {
            self.fail(format!("{}cargo test itself ({status})", self.place));
        }
        Ok(())
    }

    /// The tests of [`REFERENCE`].
    fn on_containerd(&mut self, dist: &std::path::Path) -> Result<()> {
        println!("\ncontainerd: a real one in our daemon's place");
        self.place = "containerd: ";
        let run = Run { dist, daemon: "containerd" };
        for (target, arguments) in REFERENCE {
            let mut words = vec!["--test", target, "--"];
            let listed = vm::output(cargo_test(run, &words).args(["--list", "--format", "terse"]))?;
            filters::all_match(target, &listed, arguments)?;
            words.extend(arguments.split_whitespace());
            self.cargo_test(run, &words)?;
        }
        self.place = "";
        Ok(())
    }

    /// One line of the test harness's output.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED")) {
            self.failures.push(format!("{}{name}", self.place));
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
        self.place = "vm: ";
        let done = vm::run(dist, |line| self.read(line));
        self.place = "";
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

/// `cargo test --workspace`, which is ended when it takes too long: `timeout` also ends what it has started.
fn cargo_test(run: Run<'_>, words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "10", DEADLINE]).arg(cargo());
    command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--color", "never"]).args(words);
    command.env("GANTRY_DIST", run.dist).env("GANTRY_E2E_DAEMON", run.daemon).env("RUST_LIB_BACKTRACE", "0");
    command.current_dir(root()).stdin(Stdio::null());
    command
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
