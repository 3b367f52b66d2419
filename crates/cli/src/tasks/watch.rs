//! Standing by a foreground process: signals and window sizes go in, its exit status comes out.

use crate::{Context, terminal};
use anyhow::Result;
use model::tasks::{Exit, Kill, Resize};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals passed on to a process without a terminal, by their numbers.
const FORWARDED: [i32; 9] = [1, 2, 3, 10, 12, 14, 15, 18, 28];

/// A process being watched.
pub struct Watch<'a> {
    /// How to reach the daemon.
    pub cx: &'a Context,
    /// The container.
    pub id: &'a str,
    /// The process; empty for the first one.
    pub exec_id: &'a str,
    /// Whether it has this process' terminal.
    pub terminal: bool,
}

impl Watch<'_> {
    /// Waits for the process to end, passing signals and window sizes on meanwhile.
    ///
    /// # Errors
    /// The daemon is gone.
    pub async fn run(&self) -> Result<Exit> {
        let exit = self.cx.services.tasks.wait(&self.cx.scope, self.id, self.exec_id);
        tokio::pin!(exit);
        let mut signals = Vec::new();
        for number in FORWARDED {
            signals.push((number, signal(SignalKind::from_raw(number))?));
        }
        self.resize().await;
        loop {
            tokio::select! {
                exit = &mut exit => return Ok(exit?),
                number = any(&mut signals) => self.pass(number).await,
            }
        }
    }

    async fn pass(&self, number: i32) {
        if self.terminal && number == SignalKind::window_change().as_raw_value() {
            return self.resize().await;
        }
        let kill = Kill { exec_id: self.exec_id.into(), signal: number as u32, all: false };
        if let Err(e) = self.cx.services.tasks.kill(&self.cx.scope, self.id, kill).await
            && !e.is_not_found()
        {
            eprintln!("gantry: signal {number} could not be passed on: {e}");
        }
    }

    async fn resize(&self) {
        let Some((width, height)) = terminal::size().filter(|_| self.terminal) else { return };
        let resize = Resize { exec_id: self.exec_id.into(), width: width.into(), height: height.into() };
        if let Err(e) = self.cx.services.tasks.resize(&self.cx.scope, self.id, resize).await {
            eprintln!("gantry: the terminal could not be resized: {e}");
        }
    }
}

async fn any(signals: &mut [(i32, Signal)]) -> i32 {
    std::future::poll_fn(|task| {
        for (number, signal) in signals.iter_mut() {
            if signal.poll_recv(task).is_ready() {
                return std::task::Poll::Ready(*number);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
