//! One daemon under measurement.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use e2e::{Daemon, Kind};

use crate::peer::Peer;
use crate::table::{Column, Row};
use crate::{memory, pid, stage};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How many rounds there are.
    pub rounds: usize,
    /// Cycles and execs of a round.
    pub cycles: usize,
    /// Containers that run at once when memory is measured.
    pub containers: usize,
    /// What the image that is pulled unpacks to, in bytes; 0 for none.
    pub image: usize,
}

/// What everybody does in turns.
#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// A whole cycle.
    Cycle,
    /// A container to run execs in.
    Stay,
    /// An exec in it.
    Exec,
    /// Its end.
    Leave,
    /// Two seconds of four workers.
    Workers,
}

/// One daemon under measurement.
pub struct Contender {
    daemon: Daemon,
    peer: Peer,
    column: Column,
}

impl Contender {
    /// Starts a daemon and gives it an image.
    pub async fn enter(kind: Kind, dist: PathBuf, title: &str) -> Result<Self> {
        let daemon = Daemon::start_with(stage::start(kind, dist))?;
        let mut column = Column::new(title);
        column.set(Row::DaemonFresh, memory::pss_kib(pid(&daemon)?)? as f64 / 1024.0);
        let fresh = memory::threads(pid(&daemon)?)?;
        daemon.import_busybox()?;
        let mut peer = Peer::connect(&daemon).await?;
        memory::idle(pid(&daemon)?, fresh).await?;
        column.set(Row::DaemonIdle, memory::pss_kib(pid(&daemon)?)? as f64 / 1024.0);
        // The first cycle pays for what later ones find in the cache.
        peer.cycle("warm").await?;
        Ok(Self { daemon, peer, column })
    }

    /// Ends the daemon, insists that nothing is left, and gives what was measured.
    pub fn finish(self) -> Result<Column> {
        drop(self.peer);
        self.daemon.finish()?;
        Ok(self.column)
    }

    /// One measurement.
    pub async fn turn(&mut self, what: Turn) -> Result<()> {
        match what {
            Turn::Cycle => {
                let spent = self.peer.cycle("cycle").await?;
                self.column.add(Row::Cycle, spent);
            }
            Turn::Stay => self.peer.stay("host").await?,
            Turn::Exec => {
                let spent = self.peer.exec("host", "exec").await?;
                self.column.add(Row::Exec, spent);
            }
            Turn::Leave => self.peer.leave("host").await?,
            Turn::Workers => {
                let rate = self.workers(Duration::from_secs(2)).await?;
                self.column.add_number(Row::Workers, rate);
            }
        }
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
    pub async fn memory(&mut self, containers: usize) -> Result<()> {
        let ids: Vec<String> = (0..containers).map(|n| format!("stay-{n}")).collect();
        let mut shims = 0;
        for id in &ids {
            self.peer.stay(id).await?;
        }
        for id in &ids {
            shims += memory::pss_kib(self.daemon.shim_pid(id)?)?;
        }
        self.column.set(Row::Shim, shims as f64 / 1024.0 / containers as f64);
        let daemon = memory::pss_kib(pid(&self.daemon)?)?;
        self.column.set(Row::DaemonBusy, daemon as f64 / 1024.0);
        for id in &ids {
            self.peer.leave(id).await?;
        }
        Ok(())
    }
}
