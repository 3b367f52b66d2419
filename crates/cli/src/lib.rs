//! The command line's verbs, one file each, with `ctr`'s words.
//!
//! A verb is a `clap` struct with a `run` that takes the [`Context`]: model traits and how to print. It cannot tell
//! whether a daemon or something else stands behind the traits. Not here: connecting (that is `bin/gantry`'s) and
//! anything that must be on the daemon's machine, but for the fifos of foreground tasks.

mod containers;
mod content;
mod context;
mod events;
mod images;
mod info;
mod leases;
mod namespaces;
mod output;
mod plugins;
mod run;
mod snapshots;
mod tasks;
mod terminal;
mod version;

pub use context::{Context, Services, Words};
pub use output::Output;

use clap::{Parser, Subcommand};

/// Drives gantryd, or any daemon that speaks containerd's API.
#[derive(Debug, Parser)]
#[command(name = "gantry", version, propagate_version = true, infer_subcommands = false)]
pub struct Cli {
    /// The daemon's socket.
    #[arg(
        long,
        short,
        global = true,
        env = "CONTAINERD_ADDRESS",
        default_value = "/run/containerd/containerd.sock"
    )]
    pub address: String,
    /// The namespace of every name.
    #[arg(long, short, global = true, env = "CONTAINERD_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// How to print: table or json.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Give up on the whole command after this many seconds; 0 waits.
    #[arg(long, global = true, default_value_t = 0)]
    pub timeout: u64,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a noun stands on its own type")]
pub enum Command {
    /// Show the versions of client and daemon.
    Version(version::Version),
    /// Show what the daemon tells about itself.
    Info(info::Info),
    /// Look at plugins.
    #[command(subcommand, visible_alias = "plugin")]
    Plugins(plugins::Plugins),
    /// Work with namespaces.
    #[command(subcommand, visible_alias = "namespace", visible_alias = "ns")]
    Namespaces(namespaces::Namespaces),
    /// Work with images.
    #[command(subcommand, visible_alias = "image", visible_alias = "i")]
    Images(images::Images),
    /// Work with content.
    #[command(subcommand)]
    Content(content::Content),
    /// Work with snapshots.
    #[command(subcommand, visible_alias = "snapshot")]
    Snapshots(snapshots::Snapshots),
    /// Work with leases.
    #[command(subcommand)]
    Leases(leases::Leases),
    /// Work with containers.
    #[command(subcommand, visible_alias = "c", visible_alias = "container")]
    Containers(containers::Containers),
    /// Work with tasks.
    #[command(subcommand, visible_alias = "t", visible_alias = "task")]
    Tasks(tasks::Tasks),
    /// Run a container.
    Run(Box<run::Run>),
    /// Print events as they happen.
    #[command(visible_alias = "event")]
    Events(events::Events),
}

impl Command {
    /// Does it. The value is the process' exit code.
    ///
    /// # Errors
    /// What the daemon or the arguments say; printed by the caller as `gantry: <text>`.
    pub async fn run(self, context: &Context) -> anyhow::Result<u8> {
        match self {
            Command::Version(verb) => verb.run(context).await,
            Command::Info(verb) => verb.run(context).await,
            Command::Plugins(noun) => noun.run(context).await,
            Command::Namespaces(noun) => noun.run(context).await,
            Command::Images(noun) => noun.run(context).await,
            Command::Content(noun) => noun.run(context).await,
            Command::Snapshots(noun) => noun.run(context).await,
            Command::Leases(noun) => noun.run(context).await,
            Command::Containers(noun) => noun.run(context).await,
            Command::Tasks(noun) => noun.run(context).await,
            Command::Run(verb) => verb.run(context).await,
            Command::Events(verb) => verb.run(context).await,
        }
    }
}
