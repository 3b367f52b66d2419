//! Standing by a process: it is started, signals and window sizes go in, output comes out, at last its exit status.

use super::io::Stdio;
use crate::{Context, Services, output, terminal};
use anyhow::Result;
use model::tasks::{Exit, Kill, Resize};
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are not passed on: those that stop this process, that tell of its own faults, or that the kernel
/// sends it for its own reasons.
const KEPT: [Number; 15] = [
    Number::ILL,
    Number::TRAP,
    Number::ABORT,
    Number::BUS,
    Number::FPE,
    Number::KILL,
    Number::SEGV,
    Number::PIPE,
    Number::CHILD,
    Number::STOP,
    Number::TSTP,
    Number::TTIN,
    Number::TTOU,
    Number::URG,
    Number::SYS,
];
/// The first signal that has only a number, and the last.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A process of a task.
#[derive(Clone, Copy)]
pub struct Process<'a> {
    /// How to reach the daemon.
    pub cx: &'a Context,
    /// The container.
    pub id: &'a str,
    /// The process; empty for the first one.
    pub exec_id: &'a str,
    /// Whether it has this process' terminal.
    pub terminal: bool,
}

impl Process<'_> {
    /// Starts it; what cannot be started is removed.
    ///
    /// # Errors
    /// What the shim says.
    pub async fn start(&self) -> Result<()> {
        match self.cx.services.tasks.start(&self.cx.scope, self.id, self.exec_id).await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.give_up(e.into()).await),
        }
    }

    /// Starts it, stands by it until it ends, and removes it.
    ///
    /// # Errors
    /// What the shim says: it was not started, and is removed. The inner error is that of a process that was started.
    pub async fn run(&self, stdio: &mut Stdio) -> Result<Result<Exit>> {
        let signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(e) => return Err(self.give_up(e.into()).await),
        };
        self.start().await?;
        Ok(self.stand_by(stdio, signals).await)
    }

    /// Removes it whatever becomes of the copying.
    async fn stand_by(&self, stdio: &mut Stdio, signals: Signals) -> Result<Exit> {
        let attached = match stdio.attach(self.close_stdin()) {
            Ok(attached) => attached,
            Err(e) => return Err(self.end(e).await),
        };
        let exit = self.watch(signals).await?;
        let copied = attached.finish().await;
        match (copied, self.remove().await) {
            (Ok(()), removed) => removed.map(|_| exit).map_err(Into::into),
            (Err(first), removed) => {
                removed.map(drop).unwrap_or_else(|second| output::complain(&second.into()));
                Err(first)
            }
        }
    }

    /// Removes what was made but is not started, for the reason given.
    pub async fn give_up(&self, reason: anyhow::Error) -> anyhow::Error {
        if let Err(second) = self.remove().await {
            output::complain(&second.into());
        }
        reason
    }

    /// Kills and removes a process that nobody can stand by, for the reason given.
    async fn end(&self, reason: anyhow::Error) -> anyhow::Error {
        let Services { tasks, .. } = &self.cx.services;
        let number = Number::KILL.as_raw().cast_unsigned();
        let kill = Kill { exec_id: self.exec_id.into(), signal: number, all: false };
        let killed = match tasks.kill(&self.cx.scope, self.id, kill).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => tasks.wait(&self.cx.scope, self.id, self.exec_id).await,
        };
        match killed {
            Ok(_) => self.give_up(reason).await,
            Err(second) => {
                output::complain(&second.into());
                reason
            }
        }
    }

    /// Waits for it to end, passing signals and window sizes on meanwhile.
    ///
    /// # Errors
    /// The daemon is gone.
    pub async fn watch(&self, mut signals: Signals) -> Result<Exit> {
        let exit = self.cx.services.tasks.wait(&self.cx.scope, self.id, self.exec_id);
        tokio::pin!(exit);
        self.resize().await;
        loop {
            tokio::select! {
                exit = &mut exit => return Ok(exit?),
                number = signals.next() => self.pass(number).await,
            }
        }
    }

    /// Tells the shim that there is no more input.
    pub fn close_stdin(&self) -> impl Future<Output = ()> + Send + 'static {
        let (tasks, scope) = (self.cx.services.tasks.clone(), self.cx.scope.clone());
        let (id, exec_id) = (self.id.to_owned(), self.exec_id.to_owned());
        async move {
            match tasks.close_stdin(&scope, &id, &exec_id).await {
                Err(e) if !e.is_not_found() => eprintln!("gantry: standard input could not be closed: {e}"),
                _ => {}
            }
        }
    }

    async fn remove(&self) -> model::Result<Exit> {
        let tasks = &self.cx.services.tasks;
        match self.exec_id {
            "" => tasks.delete(&self.cx.scope, self.id).await,
            exec_id => tasks.delete_process(&self.cx.scope, self.id, exec_id).await,
        }
    }

    async fn pass(&self, number: i32) {
        if self.terminal && number == SignalKind::window_change().as_raw_value() {
            return self.resize().await;
        }
        let kill = Kill { exec_id: self.exec_id.into(), signal: number.cast_unsigned(), all: false };
        match self.cx.services.tasks.kill(&self.cx.scope, self.id, kill).await {
            Err(e) if !e.is_not_found() => eprintln!("gantry: signal {number} could not be passed on: {e}"),
            _ => {}
        }
    }

    async fn resize(&self) {
        let Some((width, height)) = terminal::size().filter(|_| self.terminal) else { return };
        let resize = Resize { exec_id: self.exec_id.into(), width: width.into(), height: height.into() };
        // A size is a courtesy: a process that has just ended needs none.
        let _ = self.cx.services.tasks.resize(&self.cx.scope, self.id, resize).await;
    }
}

/// The signals that are passed on, from now on.
pub struct Signals(Vec<(i32, Signal)>);

impl Signals {
    /// Begins to listen; the signals no longer end this process.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn listen() -> std::io::Result<Self> {
        let each = |number: i32| Ok((number, signal(SignalKind::from_raw(number))?));
        let named = (1..32).filter(|number| !KEPT.iter().any(|kept| kept.as_raw() == *number));
        Ok(Self(named.chain(REAL_TIME).map(each).collect::<std::io::Result<_>>()?))
    }

    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|task| {
            let ready = self
                .0
                .iter_mut()
                .find_map(|(number, signal)| signal.poll_recv(task).is_ready().then_some(*number));
            ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}
