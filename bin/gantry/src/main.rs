//! The command line: arguments, one connection, one verb.
//!
//! The exit code is the verb's: a task's exit code where a verb stands by a task, 1 for an error, 2 for arguments that
//! make no sense.

use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use cli::{Cli, Context, Services, explain};
use client::Client;
use model::plugins::Introspection;
use model::{Namespace, Scope};
use std::io::ErrorKind;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

/// How long connecting may take unless told otherwise.
const CONNECT: Duration = Duration::from_secs(10);
/// Set, it keeps the daemon's deprecation warnings off standard error.
const SUPPRESS: &str = "CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS";
/// What a program that wrote to a closed pipe ends with: 128 and SIGPIPE.
const BROKEN_PIPE: i32 = 141;

fn main() {
    let cli = Cli::parse();
    let debug = cli.debug;
    exit(match run(cli) {
        Ok(code) => i32::from(code),
        Err(e) if is_broken_pipe(&e) => BROKEN_PIPE,
        Err(e) => {
            eprintln!("gantry: {}", explain(&e));
            if debug {
                eprintln!("{e:?}");
            }
            1
        }
    })
}

fn run(cli: Cli) -> Result<u8> {
    if let Some(done) = cli.command.alone() {
        return done;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    let timeout = cli.timeout;
    let done = runtime.block_on(async {
        match timeout.is_zero() {
            true => drive(cli).await,
            false => tokio::time::timeout(timeout, drive(cli)).await.unwrap_or_else(|_| {
                Err(anyhow!("gave up after {} s, as --timeout says", timeout.as_secs_f64()))
            }),
        }
    });
    // A thread may hang in a read of standard input, and nobody is to wait for it.
    runtime.shutdown_background();
    done
}

async fn drive(cli: Cli) -> Result<u8> {
    let scope = Scope::new(Namespace::new(&cli.namespace).context("--namespace")?);
    let timeout = if cli.connect_timeout.is_zero() { CONNECT } else { cli.connect_timeout };
    let client = Arc::new(Client::connect(&cli.address, timeout).await?);
    let source_date = cli.source_date();
    let services = services(&client)?;
    let context = Context { services, scope, output: cli.output, source_date };
    let shown = cli.command.shows_deprecations();
    let code = cli.command.run(&context).await?;
    if !shown {
        warn(&client).await;
    }
    Ok(code)
}

fn services(client: &Arc<Client>) -> Result<Services> {
    let of_name = client.clone();
    let agent = concat!("gantry/", env!("CARGO_PKG_VERSION"));
    Ok(Services {
        namespaces: client.clone(),
        containers: client.clone(),
        images: client.clone(),
        content: client.clone(),
        leases: client.clone(),
        diff: client.clone(),
        events: client.clone(),
        tasks: client.clone(),
        transfer: client.clone(),
        streams: client.clone(),
        introspection: client.clone(),
        registries: Arc::new(registry::Registries::new(agent)?),
        snapshotter: Box::new(move |name| Arc::new(of_name.snapshotter(name))),
    })
}

/// Tells what the daemon says is deprecated. A daemon that cannot say is no error.
async fn warn(client: &Client) {
    if std::env::var(SUPPRESS).is_ok_and(|value| matches!(value.as_str(), "1" | "t" | "true" | "T" | "TRUE"))
    {
        return;
    }
    let Ok(server) = client.server().await else { return };
    for deprecation in server.deprecations {
        eprintln!("gantry: warning: {}", deprecation.message);
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
