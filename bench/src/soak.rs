//! Many cycles and execs on one daemon: what it and a shim hold at the start and at the end.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::daemon::dist;
use e2e::{Daemon, Kind};

use crate::peer::Peer;
use crate::{memory, pid, stage};

/// How many cycles, and how many execs.
const TIMES: usize = 5000;
/// How many of each before the first look, so that what is made once is there.
const WARM: usize = 50;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Holding {
    pss: u64,
    anonymous: u64,
    files: usize,
    threads: usize,
}

impl Holding {
    fn of(pid: i32) -> Result<Self> {
        let count = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            Ok::<_, anyhow::Error>(fs::read_dir(&path).with_context(|| format!("list {path}"))?.count())
        };
        Ok(Self {
            pss: memory::pss_kib(pid)?,
            anonymous: memory::anonymous_kib(pid)?,
            files: count("fd")?,
            threads: memory::threads(pid)?,
        })
    }
}

/// Runs them and prints the two looks.
pub async fn run() -> Result<()> {
    let daemon = Daemon::start_with(stage::start(Kind::Gantry, dist()))?;
    let fresh = memory::threads(pid(&daemon)?)?;
    daemon.import_busybox()?;
    let mut peer = Peer::connect(&daemon).await?;
    peer.stay("host").await?;
    cycles(&mut peer, WARM).await?;
    run_execs(&mut peer, WARM).await?;
    let shim = daemon.shim_pid("host")?;
    let look = async || {
        memory::idle(pid(&daemon)?, fresh).await?;
        anyhow::Ok([Holding::of(pid(&daemon)?)?, Holding::of(shim)?])
    };
    let before = look().await?;
    let begun = Instant::now();
    cycles(&mut peer, TIMES).await?;
    let between = begun.elapsed();
    let after_cycles = look().await?;
    let begun = Instant::now();
    run_execs(&mut peer, TIMES).await?;
    let execs = begun.elapsed();
    let after = look().await?;
    println!(
        "{TIMES} cycles in {:.1} s, {TIMES} execs in {:.1} s",
        between.as_secs_f64(),
        execs.as_secs_f64()
    );
    println!("{:<26}{:>10}{:>16}{:>14}{:>10}", "", "PSS, KiB", "anonymous, KiB", "descriptors", "threads");
    for (when, looks) in [("at the start", before), ("after the cycles", after_cycles), ("at the end", after)]
    {
        for (who, held) in ["daemon", "shim"].into_iter().zip(looks) {
            println!(
                "{:<26}{:>10}{:>16}{:>14}{:>10}",
                format!("{who}, {when}"),
                held.pss,
                held.anonymous,
                held.files,
                held.threads
            );
        }
    }
    peer.leave("host").await?;
    drop(peer);
    daemon.finish()?;
    for (who, before, after) in [("daemon", before[0], after[0]), ("shim", before[1], after[1])] {
        let grown = after.files > before.files || after.threads > before.threads;
        ensure!(!grown, "the {who} holds more descriptors or threads than at the start");
    }
    Ok(())
}

async fn cycles(peer: &mut Peer, times: usize) -> Result<()> {
    for number in 0..times {
        peer.cycle(&format!("cycle-{number}")).await?;
    }
    Ok(())
}

async fn run_execs(peer: &mut Peer, times: usize) -> Result<()> {
    for number in 0..times {
        peer.exec("host", &format!("exec-{number}")).await?;
    }
    Ok(())
}
