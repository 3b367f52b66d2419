//! gantryd: the daemon. Arguments, configuration, boot; all else is in the crates.

mod boot;
mod config;
mod flight;
mod lock;
mod log;
mod notify;
mod plugins;
mod report;
mod serve;
mod socket;

use anyhow::{Context, Result, bail};
use config::Presence;
use lexopt::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The release of containerd whose behaviour clients find here.
pub const CONTAINERD_VERSION: &str = "2.3.4";
/// Who answers.
pub const REVISION: &str = concat!("gantry-", env!("CARGO_PKG_VERSION"));

/// How many pools of memory threads share.
const ARENAS: i32 = 2;
/// Blocks of memory from this size on go back to the kernel as soon as they are freed, bytes.
const LARGE: i32 = 256 << 10;
/// How many threads serve requests at most; the disk has threads of its own.
const WORKERS: usize = 4;
/// How long the end of the process waits for disk work that nobody waits for any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

const HELP: &str = "\
gantryd: a container daemon with containerd's API

Usage: gantryd [options]                run the daemon
       gantryd [options] config dump     print the configuration in force
       gantryd config default            print the defaults

Options:
  -c, --config FILE      configuration [/etc/containerd/config.toml, may be absent]
  -a, --address PATH     the socket
      --root DIR         data that outlives a reboot [/var/lib/containerd]
      --state DIR        data that does not [/run/containerd]
  -l, --log-level LEVEL  trace, debug, info, warn, error, fatal or panic
  -v, --version          print the version
  -h, --help             print this
";

/// The command line.
#[derive(Debug, Default)]
struct Arguments {
    config: Option<PathBuf>,
    address: Option<String>,
    root: Option<PathBuf>,
    state: Option<PathBuf>,
    log_level: Option<String>,
    words: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantryd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(arguments) = parse(lexopt::Parser::from_env())? else { return Ok(()) };
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {}
        ["config", "default"] => return print(&config::dump(&config::Config::default())?),
        ["config", "dump"] => return print(&config::dump(&configure(&arguments)?.config)?),
        _ => bail!("unknown command {:?}; see gantryd --help", words.join(" ")),
    }
    let loaded = configure(&arguments)?;
    log::start(&loaded.config.debug.level, &loaded.config.debug.format)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    kernel::trace::open();
    if !(kernel::memory::limit_arenas(ARENAS) && kernel::memory::map_blocks_from(LARGE)) {
        tracing::warn!("the allocator keeps memory as it likes");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_keep_alive(Duration::from_secs(1))
        // The disk's threads end after a second without work: a good time to tidy up after them.
        .on_thread_stop(kernel::memory::trim)
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let open_files = kernel::process::raise_open_files().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files stays as it is");
        None
    });
    let ended = runtime.block_on(boot::run(loaded.config, open_files));
    runtime.shutdown_timeout(LAST_WORDS);
    ended
}

/// Half as many threads as there are processors, at least one, up to [`WORKERS`]. A request is mostly a way through
/// several tasks, each done at once: threads that hand them on to each other spend more time on waking up than they win.
/// With two processors one thread is faster than two, by 1.5 ms of the 20 ms that a container takes from its creation to
/// its removal.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).clamp(1, WORKERS))
}

fn print(text: &str) -> Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

/// Reads the arguments; nothing for one that only prints.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Arguments>> {
    let mut arguments = Arguments::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("config") => arguments.config = Some(parser.value()?.into()),
            Short('a') | Long("address") => arguments.address = Some(parser.value()?.string()?),
            Long("root") => arguments.root = Some(parser.value()?.into()),
            Long("state") => arguments.state = Some(parser.value()?.into()),
            Short('l') | Long("log-level") => arguments.log_level = Some(parser.value()?.string()?),
            Short('v') | Long("version") => {
                return print(&format!(
                    "gantryd {} (containerd {CONTAINERD_VERSION})\n",
                    env!("CARGO_PKG_VERSION")
                ))
                .map(|()| None);
            }
            Short('h') | Long("help") => return print(HELP).map(|()| None),
            Value(word) => arguments.words.push(word.string()?),
            other => bail!("{}; see gantryd --help", other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

/// The configuration with the command line on top.
fn configure(arguments: &Arguments) -> Result<config::Loaded> {
    let (path, presence) = match &arguments.config {
        Some(path) => (path.clone(), Presence::Required),
        None => (config::DEFAULT_PATH.into(), Presence::Optional),
    };
    let mut loaded = config::load(&path, presence)?;
    let config = &mut loaded.config;
    if let Some(address) = &arguments.address {
        config.plugins.grpc.address.clone_from(address);
    }
    for (given, kept) in [(&arguments.root, &mut config.root), (&arguments.state, &mut config.state)] {
        if let Some(path) = given {
            *kept = std::path::absolute(path).with_context(|| format!("path {}", path.display()))?;
        }
    }
    if let Some(level) = &arguments.log_level {
        config.debug.level.clone_from(level);
    }
    if config.root == config.state
        || config.root.as_os_str().is_empty()
        || config.state.as_os_str().is_empty()
    {
        bail!(
            "root ({}) and state ({}) must be two different directories",
            config.root.display(),
            config.state.display()
        );
    }
    Ok(loaded)
}
