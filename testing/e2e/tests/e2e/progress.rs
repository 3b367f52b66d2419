//! What is seen of a transfer on its way, by programs and by people at a terminal; and what they may type.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::registry::wire::Wire;
use e2e::registry::{PASSWORD, Settings, USERNAME};
use e2e::samples::{self, BUSYBOX};
use e2e::terminal::OnTerminal;
use serde_json::Value;

use crate::registry_words::{filled, gantry, nothing_came_of_it};

/// One JSON object for each event, one a line; lines; nothing.
#[test]
fn progress_for_programs() -> Result<()> {
    let daemon = gantry()?;
    let (registry, one) = filled(&Settings::default())?;
    let told = daemon.ok(&["images", "pull", "--progress", "json", &one])?;
    let events = told.lines().into_iter().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    ensure!(events[0]["event"].as_str().is_some_and(|e| e.starts_with("Resolving from")), "{told}");
    for event in &events {
        let keys: Vec<&String> = event.as_object().context("an object")?.keys().collect();
        ensure!(keys.len() == 6 && event["done"].is_i64() && event["parents"].is_array(), "{event}");
    }
    let chain = daemon.ok(&["images", "pull", "--progress", "none", "--print-chainid", &one])?;
    let top = daemon.ok(&["images", "usage", &one])?.rows()[0][0].to_owned();
    ensure!(chain.stdout == format!("image chain ID: {top}\n"), "{chain}");
    let layers = events.iter().filter(|e| e["event"] == "extracted");
    let whole = layers.filter(|e| {
        e["done"] == e["size"]
            && e["digest"].as_str().is_some_and(|d| e["name"] == format!("layer-{d}"))
            && e["parents"][0].as_str().is_some_and(|p| p.starts_with("manifest-sha256:"))
    });
    // A real containerd may say it twice.
    let whole: BTreeSet<&str> = whole.filter_map(|e| e["name"].as_str()).collect();
    ensure!(whole.len() == 2, "{told}");

    let two = registry.reference("team/two:2");
    let pushed = daemon.ok(&["--output", "json", "images", "push", &two, &one])?;
    ensure!(pushed.lines().iter().all(|line| line.starts_with('{')), "{pushed}");
    let lines = daemon.ok(&["images", "push", "--progress", "plain", &registry.reference("c:1"), &one])?;
    let mut sorted = lines.lines();
    sorted.sort_unstable();
    sorted.dedup();
    ensure!(sorted.len() == lines.lines().len(), "a line for each change: {lines}");
    ensure!(lines.stdout.contains("waiting layer-sha256:") && !lines.stdout.contains('\x1b'), "{lines}");
    ensure!(daemon.ok(&["images", "pull", "--progress", "none", &two])?.stdout.is_empty());
    daemon.refuses(&["images", "pull", "--progress", "loud", &two], &["loud"])?;

    let path = daemon.dir().join("image.tar");
    samples::busybox(BUSYBOX)?.write(&path)?;
    let path = path.to_string_lossy();
    let told = daemon.ok(&["images", "import", "--progress", "json", &path])?;
    let events = told.lines().into_iter().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let read = events.iter().find(|e| e["event"] == "read").context("the archive is read")?;
    ensure!(read["name"] == *path && read["done"] == read["size"], "{read}");
    ensure!(events.iter().any(|e| e["event"] == "saved" && e["name"] == BUSYBOX), "{told}");
    daemon.finish()
}

/// The lines of the last drawing, as a person sees them.
fn last_drawing(text: &str) -> Vec<String> {
    let from = text.rfind("A\r").map_or(0, |at| at + 2);
    text[from..]
        .replace("\x1b[K", "")
        .replace("\x1b[J", "")
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Bars on a terminal, cut to its width; the last state stays.
#[test]
fn progress_for_people() -> Result<()> {
    let daemon = gantry()?;
    let (_registry, one) = filled(&Settings::default())?;
    for columns in [120, 40] {
        let pulling = OnTerminal::start(daemon.client(&["images", "pull", &one]), (columns, 24))?;
        let (code, text) = pulling.end()?;
        ensure!(code == 0, "{text}");
        let lines = last_drawing(&text);
        ensure!(lines.len() == 6, "image, manifest, config, two layers, summary: {lines:#?}");
        ensure!(lines[0].starts_with(&one) && lines[1].starts_with("  manifest "), "{lines:#?}");
        ensure!(lines.iter().all(|line| line.chars().count() < columns.into()), "{lines:#?}");
        ensure!(lines[5].starts_with("Completed pull from OCI"), "{lines:#?}");
        ensure!(!text.contains("\x1b[?"), "the terminal is changed: {text:?}");
        daemon.ok(&["images", "rm", "--sync", &one])?;
    }
    daemon.finish()
}

/// What Ctrl-C does.
fn interrupt(program: &OnTerminal) -> Result<()> {
    let pid = rustix::process::Pid::from_child(program.child());
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::INT)?)
}

/// Interrupted in the middle of a layer, it leaves neither an image nor a terminal that is not as it was.
#[test]
fn an_interrupted_pull() -> Result<()> {
    let daemon = gantry()?;
    let (registry, _) = filled(&Settings::default())?;
    let wire = Wire::to(&registry.address())?;
    wire.limit(Some(200 << 10));
    let reference = format!("{}/team/one:1", wire.address());
    let mut pulling = OnTerminal::start(daemon.client(&["images", "pull", &reference]), (100, 24))?;
    wire.wait_until_it_stands()?;
    pulling.until("  layer ")?;
    interrupt(&pulling)?;
    let (code, text) = pulling.end()?;
    ensure!(code == 130, "{code}: {text}");
    ensure!(!text.contains("\x1b[?") && text.contains('['), "{text:?}");
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "an image came of it");
    wire.limit(None);
    daemon.ok(&["images", "pull", &reference])?;
    daemon.finish()
}

/// Interrupted while it reads the archive, an import gives its lease back.
#[test]
fn an_interrupted_import() -> Result<()> {
    let daemon = gantry()?;
    let mut importing = OnTerminal::start(daemon.client(&["images", "import", "-"]), (100, 24))?;
    importing.until("Importing")?;
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().len() == 1, "no lease while it reads");
    interrupt(&importing)?;
    let (code, text) = importing.end()?;
    ensure!(code == 1 && text.contains("interrupted"), "{code}: {text}");
    nothing_came_of_it(&daemon)?;
    daemon.finish()
}

/// A password that is left out is asked for, and is not seen.
#[test]
fn a_password_is_typed() -> Result<()> {
    let daemon = gantry()?;
    let (_registry, one) = filled(&Settings { passwords: true, ..Settings::default() })?;
    let words = ["images", "pull", "--user", USERNAME, "--progress", "plain", &one];
    for (typed, expected) in [(PASSWORD, 0), ("wrong", 1)] {
        let mut pulling = OnTerminal::start(daemon.client(&words), (100, 24))?;
        pulling.until("password of \"ada\": ")?;
        pulling.types(&format!("{typed}\r"))?;
        let (code, text) = pulling.end()?;
        ensure!(code == expected && !text.contains(typed), "{code}: {text}");
    }
    let mut pulling = OnTerminal::start(daemon.client(&words), (100, 24))?;
    pulling.until("password of \"ada\": ")?;
    pulling.types("sec\x03")?;
    let (code, text) = pulling.end()?;
    ensure!(code == 1 && text.contains("interrupted"), "{code}: {text}");
    daemon.finish()
}
