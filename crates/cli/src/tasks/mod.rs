//! `gantry tasks`

mod attach;
mod exec;
mod io;
mod kill;
mod list;
mod metrics;
mod pause;
mod process;
mod ps;
mod remove;
mod start;

pub(crate) use io::remove_fifos;
pub(crate) use start::Options as StartOptions;

use crate::Context;
use anyhow::Result;
use model::tasks::Status;

/// Work with tasks.
#[derive(Debug, clap::Subcommand)]
pub enum Tasks {
    /// Attach to a running task's input and output.
    Attach(attach::Attach),
    /// Remove stopped tasks.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
    /// Run a further process in a task.
    Exec(exec::Exec),
    /// Send a signal.
    Kill(kill::Kill),
    /// List tasks.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show a task's statistics.
    #[command(visible_alias = "metric")]
    Metrics(metrics::Metrics),
    /// Freeze a task.
    Pause(pause::Pause),
    /// Thaw a task.
    Resume(pause::Resume),
    /// List a task's processes.
    Ps(ps::Ps),
    /// Start a container's task.
    Start(start::Start),
}

impl Tasks {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Tasks::Attach(verb) => verb.run(cx).await,
            Tasks::Remove(verb) => verb.run(cx).await,
            Tasks::Exec(verb) => verb.run(cx).await,
            Tasks::Kill(verb) => verb.run(cx).await,
            Tasks::List(verb) => verb.run(cx).await,
            Tasks::Metrics(verb) => verb.run(cx).await,
            Tasks::Pause(verb) => verb.run(cx).await,
            Tasks::Resume(verb) => verb.run(cx).await,
            Tasks::Ps(verb) => verb.run(cx).await,
            Tasks::Start(verb) => verb.run(cx).await,
        }
    }
}

/// The word for a state, in capitals as tables have it.
pub(crate) fn word(status: Status) -> &'static str {
    match status {
        Status::Unknown => "UNKNOWN",
        Status::Created => "CREATED",
        Status::Running => "RUNNING",
        Status::Stopped => "STOPPED",
        Status::Paused => "PAUSED",
        Status::Pausing => "PAUSING",
    }
}
