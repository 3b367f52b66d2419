//! Side-by-side measurements: gantry, the containerd of `compat/`, Debian's; one client, one run, one table.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Client, Daemon, Kind, Start};

mod memory;
mod peer;
mod spec;
mod table;

use peer::Peer;
use table::{Column, Row};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    cycles: usize,
    containers: usize,
}

const WHOLE: Effort = Effort { rounds: 6, cycles: 20, containers: 50 };
const QUICK: Effort = Effort { rounds: 2, cycles: 10, containers: 10 };

/// One daemon under measurement.
struct Contender {
    daemon: Daemon,
    peer: Peer,
    column: Column,
}

#[tokio::main]
async fn main() -> Result<()> {
    let effort = if std::env::args().any(|a| a == "--quick") { QUICK } else { WHOLE };
    let mut contenders = Vec::new();
    for (kind, title) in [
        (Kind::Gantry, "gantry"),
        (Kind::Containerd, "containerd 2.3"),
        (Kind::Debian, "Debian's containerd"),
    ] {
        if kind.program(&e2e::daemon::dist()).exists() {
            contenders.push(enter(kind, title).await.with_context(|| title.to_owned())?);
        }
    }
    for round in 0..effort.rounds {
        for place in 0..contenders.len() {
            let place = if round % 2 == 0 { place } else { contenders.len() - 1 - place };
            contenders[place].round(effort).await?;
        }
    }
    for contender in &mut contenders {
        contender.memory(effort.containers).await?;
    }
    table::print(&contenders.iter().map(|c| &c.column).collect::<Vec<_>>());
    for contender in contenders {
        drop(contender.peer);
        contender.daemon.finish()?;
    }
    Ok(())
}

async fn enter(kind: Kind, title: &str) -> Result<Contender> {
    let daemon = Daemon::start_with(Start { kind, client: Client::Ctr, log_level: "info", ..Start::new() })?;
    daemon.import_busybox()?;
    let peer = Peer::connect(&daemon).await?;
    let mut contender = Contender { column: Column::new(title), peer, daemon };
    let idle = memory::pss_kib(i32::try_from(contender.daemon.pid()?)?)?;
    contender.column.set(Row::DaemonIdle, idle as f64 / 1024.0);
    // The first cycle pays for what later ones find in the cache.
    contender.peer.cycle("warm").await?;
    Ok(contender)
}

impl Contender {
    /// A few cycles, a few execs, a few seconds of four workers.
    async fn round(&mut self, effort: Effort) -> Result<()> {
        for number in 0..effort.cycles {
            let spent = self.peer.cycle(&format!("cycle-{number}")).await?;
            self.column.add(Row::Cycle, spent);
        }
        self.peer.stay("host").await?;
        for number in 0..effort.cycles {
            let spent = self.peer.exec("host", &format!("exec-{number}")).await?;
            self.column.add(Row::Exec, spent);
        }
        self.peer.leave("host").await?;
        let rate = self.workers(Duration::from_secs(2)).await?;
        self.column.add_number(Row::Workers, rate);
        Ok(())
    }

    async fn workers(&self, time: Duration) -> Result<f64> {
        let started = std::time::Instant::now();
        let workers = (0..4).map(|worker| {
            let mut peer = self.peer.clone();
            tokio::spawn(async move {
                let mut done = 0u32;
                while started.elapsed() < time {
                    peer.cycle(&format!("worker-{worker}-{done}")).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        });
        let mut done = 0;
        for worker in workers.collect::<Vec<_>>() {
            done += worker.await??;
        }
        Ok(f64::from(done) / started.elapsed().as_secs_f64())
    }

    /// Shim and daemon with many containers at once.
    async fn memory(&mut self, containers: usize) -> Result<()> {
        let ids: Vec<String> = (0..containers).map(|n| format!("stay-{n}")).collect();
        let mut shims = 0;
        for id in &ids {
            self.peer.stay(id).await?;
        }
        for id in &ids {
            shims += memory::pss_kib(self.daemon.shim_pid(id)?)?;
        }
        self.column.set(Row::Shim, shims as f64 / 1024.0 / containers as f64);
        let daemon = memory::pss_kib(i32::try_from(self.daemon.pid()?)?)?;
        self.column.set(Row::DaemonBusy, daemon as f64 / 1024.0);
        for id in &ids {
            self.peer.leave(id).await?;
        }
        Ok(())
    }
}
