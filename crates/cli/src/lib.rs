//! The command line's verbs, one file each, with `ctr`'s words.
//!
//! A verb is a `clap` struct with a `run` that takes the [`Context`]: model traits and how to print. It cannot tell
//! whether a daemon or something else stands behind the traits. Some things need the daemon's machine and say so where
//! they are done: the fifos of foreground tasks, the accounts of an image, the devices of the host. Not here:
//! connecting (that is `bin/gantry`'s).

mod accounts;
mod completion;
mod containers;
mod content;
mod context;
mod deprecations;
mod events;
mod images;
mod info;
mod leases;
mod man;
mod mounts;
mod namespaces;
mod output;
mod plugins;
mod run;
mod snapshots;
mod tasks;
mod terminal;
mod version;

pub use context::{Context, Services};
pub use output::{Output, explain};

use anyhow::anyhow;
use clap::{ArgAction, Parser, Subcommand};
use model::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// Drives gantryd, or any daemon that speaks containerd's API.
#[derive(Debug, Parser)]
#[command(
    name = "gantry",
    version,
    propagate_version = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Cli {
    /// The daemon's socket.
    #[arg(long, short, env = "CONTAINERD_ADDRESS", default_value = "/run/containerd/containerd.sock")]
    pub address: PathBuf,
    /// The namespace of every name.
    #[arg(long, short, global = true, env = "CONTAINERD_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// How to print: table or json.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Give up on the whole command after this time (90, 90s, 1m30s); 0 waits.
    #[arg(long, global = true, value_parser = parse_duration, default_value = "0")]
    pub timeout: Duration,
    /// Give up on connecting after this time; 0 is ten seconds.
    #[arg(long, global = true, value_parser = parse_duration, default_value = "0")]
    pub connect_timeout: Duration,
    /// The time that new image records and layers tell instead of now, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS", hide = true)]
    source_date_epoch: Option<String>,
    /// Tell more of what went wrong.
    #[arg(long)]
    pub debug: bool,
    /// Print the version.
    #[arg(long, short, action = ArgAction::Version)]
    version: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The time that new image records and layers tell instead of now. Many programs go by this variable: one that is
    /// empty is none, and one that is no number is complained of and left out.
    pub fn source_date(&self) -> Option<Timestamp> {
        let text = self.source_date_epoch.as_deref().filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(seconds) => Some(Timestamp { seconds, nanos: 0 }),
            Err(e) => {
                output::complain(&anyhow!("SOURCE_DATE_EPOCH {text:?} is left out: {e}"));
                None
            }
        }
    }
}

/// Reads `90`, `90s`, `1m30s` or `500ms`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    duration.try_into().map_err(|_| "a time to wait cannot be negative".into())
}

/// The nouns.
#[derive(Debug, Subcommand)]
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
    #[command(visible_alias = "snapshot")]
    Snapshots(snapshots::Snapshots),
    /// Work with leases.
    #[command(subcommand)]
    Leases(leases::Leases),
    /// See what is in use and will go away.
    #[command(subcommand)]
    Deprecations(deprecations::Deprecations),
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
    /// Print the script that lets a shell complete gantry's words.
    Completion(completion::Completion),
    /// Write the manual into a directory.
    Man(man::Man),
}

impl Command {
    /// Does what needs no daemon; `None` for everything else.
    pub fn alone(&self) -> Option<anyhow::Result<u8>> {
        match self {
            Command::Completion(verb) => Some(verb.run()),
            Command::Man(verb) => Some(verb.run()),
            _ => None,
        }
    }

    /// Whether it shows deprecations itself, so that nobody need warn of them.
    pub fn shows_deprecations(&self) -> bool {
        matches!(self, Command::Deprecations(_))
    }

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
            Command::Deprecations(noun) => noun.run(context).await,
            Command::Containers(noun) => noun.run(context).await,
            Command::Tasks(noun) => noun.run(context).await,
            Command::Run(verb) => verb.run(context).await,
            Command::Events(verb) => verb.run(context).await,
            Command::Completion(verb) => verb.run(),
            Command::Man(verb) => verb.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_source_date_that_is_none_stops_nothing() {
        for (text, expected) in [("", None), ("soon", None), ("5", Some(5))] {
            let cli = Cli::try_parse_from(["gantry", &format!("--source-date-epoch={text}"), "version"]);
            let date = cli.unwrap_or_else(|e| panic!("{text:?}: {e}")).source_date();
            assert_eq!(date.map(|at| at.seconds), expected, "{text:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [("0", 0), ("90", 90_000), ("1m30s", 90_000), ("500ms", 500), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "-1s", "soon"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
