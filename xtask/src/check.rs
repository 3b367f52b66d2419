//! `cargo xtask check`: the house rules, in seconds, before the build; fmt and clippy come last.
//!
//! A rule is a function from facts to findings. Facts are read once: `cargo metadata`, the list of files, and the
//! syntax of every Rust file. A finding is one line that begins with a path.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::run as run_command;
use crate::workspace::{self, Metadata, cargo, root};

mod counts;
mod levels;
mod licences;
mod names;
mod shape;
mod sizes;
mod source;
mod text;

/// How much to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Only what takes a second.
    Fast,
    /// Also fmt and clippy.
    Whole,
}

/// What the rules look at.
struct House {
    metadata: Metadata,
    files: Vec<PathBuf>,
    sources: Vec<source::Source>,
}

/// Runs every rule, prints the counts, and fails when anything was found.
pub fn run(extent: Extent) -> Result<()> {
    let house = read()?;
    let rules: [(&str, Vec<String>); 9] = [
        ("levels", levels::check(&house.metadata)),
        ("crates", shape::check(&house.metadata, &house.files)),
        ("sizes", sizes::check(&house.sources)),
        ("names", names::check(&house)),
        ("unsafe", source::check_unsafe(&house.sources)),
        ("first lines", source::check_first_lines(&house.sources)),
        ("licences", licences::check(&house.metadata)?),
        ("texts", text::check(&house.files)?),
        ("generated code", generated()),
    ];
    let mut found = 0;
    for (rule, findings) in rules {
        println!(
            "{rule}: {}",
            if findings.is_empty() { "clean".to_owned() } else { findings.len().to_string() }
        );
        for finding in &findings {
            println!("  {finding}");
        }
        found += findings.len();
    }
    counts::print(&house.sources);
    if extent == Extent::Whole {
        found += finish_with_tools();
    }
    if found > 0 {
        bail!("{found} finding(s)");
    }
    println!("check: clean");
    Ok(())
}

fn read() -> Result<House> {
    let files = workspace::files()?;
    let sources = source::read_all(&files)?;
    Ok(House { metadata: workspace::metadata()?, files, sources })
}

fn generated() -> Vec<String> {
    match crate::codegen::run(true) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("{error:#}; run `cargo xtask codegen`")],
    }
}

/// fmt and clippy; each counts as one finding, its own words stand above.
fn finish_with_tools() -> usize {
    let mut fmt = Command::new(cargo());
    fmt.args(["fmt", "--all", "--", "--check"]).current_dir(root());
    let mut clippy = Command::new(cargo());
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--"]);
    clippy.args(["-D", "warnings", "-D", "clippy::undocumented_unsafe_blocks"]).current_dir(root());
    let mut failed = 0;
    for mut command in [fmt, clippy] {
        if let Err(error) = run_command(&mut command) {
            println!("  {error:#}");
            failed += 1;
        }
    }
    failed
}

/// Reads a file of the workspace, given relative to its root.
fn read_text(file: &Path) -> Result<String> {
    let path = root().join(file);
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
