//! What `gantry` tells of itself without a daemon: completion scripts and the manual.

use anyhow::{Context, Result, ensure};
use e2e::{Finished, Program};
use std::path::Path;

fn gantry(args: &[&str]) -> Result<Finished> {
    Program::new(e2e::daemon::dist().join("gantry")).args(args).succeed()
}

/// Whether a program is there; what is not tested says so.
fn found(program: &str) -> bool {
    let there = Program::new(program).arg("--version").run().is_ok_and(|finished| finished.code == 0);
    if !there {
        eprintln!("{program} is not installed: its part is not tested");
    }
    there
}

/// Every shell accepts its script, and bash completes with it.
#[test]
fn completion() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = dir.path().join(shell);
        let text = gantry(&["completion", shell])?.says(&["gantry", "snapshots", "prepare"])?;
        std::fs::write(&script, &text.bytes)?;
        if found(shell) {
            let parsed = Program::new(shell).arg("-n").arg(&script).succeed()?;
            ensure!(parsed.stderr.is_empty(), "{parsed}");
        }
    }
    for (words, expected) in [("gantry snap", "snapshots"), ("gantry content in", "ingest")] {
        let last = words.split(' ').next_back().unwrap_or_default();
        let ask = format!(
            "source \"$1\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _gantry gantry {last} gantry; echo \"${{COMPREPLY[@]}}\""
        );
        let answer =
            Program::new("bash").args(["-c", &ask, "bash"]).arg(dir.path().join("bash")).succeed()?;
        ensure!(answer.stdout.split_whitespace().any(|word| word == expected), "{words}: {answer}");
    }
    Program::new(e2e::daemon::dist().join("gantry")).args(["completion", "tcsh"]).refuse(&["tcsh"])?;
    Ok(())
}

/// Every command has a page, and the pages are clean.
#[test]
fn manual() -> Result<()> {
    let dir = tempfile::tempdir()?;
    gantry(&["man", &dir.path().to_string_lossy()])?;
    let mut waiting = vec![Vec::new()];
    let mut pages = 0;
    while let Some(words) = waiting.pop() {
        check_page(dir.path(), &words)?;
        pages += 1;
        for verb in verbs_of(&words)? {
            waiting.push([words.clone(), vec![verb]].concat());
        }
    }
    ensure!(pages > 60, "{pages} pages only");
    let written = std::fs::read_dir(dir.path())?.count();
    ensure!(written == pages, "{written} pages for {pages} commands");
    let main = std::fs::read_to_string(dir.path().join("gantry.1"))?;
    ensure!(main.contains("CONTAINERD_ADDRESS") && main.contains("gantry\\-snapshots(1)"), "{main}");
    let unwritable = Program::new(e2e::daemon::dist().join("gantry")).args(["man", "/proc/here"]);
    unwritable.refuse(&["/proc/here"])?;
    Ok(())
}

/// The commands below a command, as its help lists them.
fn verbs_of(words: &[String]) -> Result<Vec<String>> {
    let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
    args.push("-h");
    let help = gantry(&args)?;
    let listed = help.stdout.split("\nCommands:\n").nth(1).unwrap_or_default();
    let rows = listed.lines().take_while(|line| !line.is_empty());
    // A description that is broken goes on further to the right.
    let rows = rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs = rows.filter_map(|line| line.split_whitespace().next());
    Ok(verbs.filter(|verb| *verb != "help").map(String::from).collect())
}

fn check_page(dir: &Path, words: &[String]) -> Result<()> {
    let name = [vec!["gantry".to_owned()], words.to_vec()].concat().join("-");
    let page = dir.join(format!("{name}.1"));
    let text = std::fs::read_to_string(&page).with_context(|| format!("no page {}", page.display()))?;
    for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
        ensure!(text.contains(section), "{name}: no {section:?}");
    }
    if found("groff") {
        let read = Program::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).succeed()?;
        ensure!(read.stderr.is_empty(), "{read}");
    }
    Ok(())
}
