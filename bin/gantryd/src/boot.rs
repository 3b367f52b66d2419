//! Boot: a straight line from the configuration to ready, and back.
//!
//! config → lock → store → plugins by kind → engine → reload shims → faces → collector → ready → drain. What is made
//! first goes last. Containers are not part of it: they live in their shims and stay.

use crate::config::Config;
use crate::flight::Flights;
use crate::report::Report;
use crate::socket::{Owner, listen};
use crate::{CONTAINERD_VERSION, REVISION, lock, notify, plugins, serve};
use anyhow::{Context, Result};
use async_trait::async_trait;
use engine::content::Sharing;
use engine::diff::{Diffs, Durability};
use engine::events::Exchange;
use engine::plugins::{About, Plugins};
use engine::streams::Streams;
use engine::transfer::{self, Transfers};
use engine::{Engine, Parts};
use model::Namespace;
use shims::{Records, Setup, Shims};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

/// How long clients get to finish what they have begun when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// The longest directory of shims' sockets, bytes: a socket's name is 64 digits, and its path has an end.
const SOCKET_DIR: usize = 42;
/// How long exits that nobody saw wait for a subscriber after a start.
const AUDIENCE: Duration = Duration::from_secs(10);

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// What keeps it from starting, or a face that failed.
pub async fn run(config: Config, open_files: Option<u64>) -> Result<()> {
    let began = Instant::now();
    directories(&config)?;
    let _lock = lock::take(&config.root)?;
    let mut signals = Signals::take()?;
    clear_temporary(&config.root.join("tmpmounts"))?;
    let built = plugins::build(&config)?;
    let blobs = content::Store::open(config.root.join("io.containerd.content.v1.content"))?;
    let blobs: Arc<dyn model::content::Blobs> = Arc::new(blobs);
    let events = Exchange::new(Arc::new(wire::events::Payloads));
    let shims = Shims::new(setup(&config, open_files)?, {
        let events = events.clone();
        Arc::new(move |namespace: &Namespace, event| events.emit(namespace, &event))
    });
    let database = config.root.join("io.gantry.metadata.v1.redb/meta.redb");
    let engine = Engine::open(Parts {
        store: Arc::new(store::Store::open(&database)?),
        blobs: blobs.clone(),
        drivers: built.snapshots.clone(),
        runtime: Arc::new(shims.clone()),
        events: events.clone(),
        sharing: sharing(&config)?,
        gc: collection(&config)?,
    })
    .await?;
    let reloaded = shims.reload(Arc::new(Known(engine.containers.clone()))).await?;
    let (stop, stopped) = watch::channel(false);
    let services = services(&config, (&engine, &shims, stopped.clone()), built, blobs)?;

    let grpc = &config.plugins.grpc;
    let limits = grpc::Limits { receive: grpc.max_recv_message_size, send: grpc.max_send_message_size };
    let main = listen(Path::new(&grpc.address), Owner { uid: grpc.uid, gid: grpc.gid })?;
    let ttrpc = &config.plugins.ttrpc;
    let side = listen(Path::new(&config.ttrpc_address()), Owner { uid: ttrpc.uid, gid: ttrpc.gid })?;
    let report = Report { flights: Flights::default(), shims: shims.clone() };
    let routes = (grpc::routes(&services, limits), report.flights.clone());
    let mut faces = JoinSet::new();
    faces.spawn(serve::grpc(main, routes, stopped.clone()));
    faces.spawn(serve::ttrpc(side, events.clone(), shims.clone(), stopped));
    let announcing = tokio::spawn(announce(events, shims.clone()));
    notify::notify("READY=1");
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!(
        address = grpc.address,
        tasks = reloaded.kept,
        unclear = reloaded.unclear,
        "gantryd successfully booted in {seconds:.6}s"
    );

    let failed = until_stopped(&mut signals, &mut faces, &report).await;
    announcing.abort();
    notify::notify("STOPPING=1");
    tracing::info!("stopping; containers go on");
    let until = tokio::time::Instant::now() + DRAIN;
    stop.send_replace(true);
    // What has no end of its own: whoever waits for an exit, whoever listens to events.
    shims.stop();
    engine.events.close();
    if timeout_at(until, async { while faces.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("requests were still under way after {DRAIN:?} and are cut off");
    }
    faces.shutdown().await;
    if timeout_at(until, shims.close()).await.is_err() {
        tracing::warn!("bundles are still being removed; the next start goes on with it");
    }
    engine.close().await;
    failed.unwrap_or(Ok(()))
}

/// What the daemon is told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    report: Signal,
}

impl Signals {
    fn take() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            report: signal(SignalKind::user_defined1())?,
        })
    }
}

/// Waits for a signal to stop, or the end of a face: that is a failure.
async fn until_stopped(
    signals: &mut Signals,
    faces: &mut JoinSet<Result<()>>,
    report: &Report,
) -> Option<Result<()>> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return None,
            _ = signals.interrupt.recv() => return None,
            _ = signals.report.recv() => report.log().await,
            Some(face) = faces.join_next() => {
                return Some(face.context("a face ended early").and_then(|f| f));
            }
        }
    }
}

/// Tells what happened while no daemon was there, once somebody listens or nobody came in time.
async fn announce(events: Arc<Exchange>, shims: Shims) {
    // Either way it is told now.
    let _ = tokio::time::timeout(AUDIENCE, events.heard()).await;
    shims.announce();
}

fn directories(config: &Config) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for (path, mode) in [(&config.root, 0o700), (&config.state, 0o711)] {
        let step = || format!("make directory {}", path.display());
        std::fs::create_dir_all(path).with_context(step)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(step)?;
    }
    if config.oom_score != 0 {
        let path = "/proc/self/oom_score_adj";
        std::fs::write(path, config.oom_score.to_string())
            .with_context(|| format!("write {} to {path}", config.oom_score))?;
    }
    Ok(())
}

/// Removes what an earlier daemon left mounted for a moment.
fn clear_temporary(dir: &Path) -> Result<()> {
    if dir.exists() {
        kernel::mount::unmount_recursive(dir, kernel::mount::Detach::Yes)
            .with_context(|| format!("unmount below {}", dir.display()))?;
        std::fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(())
}

fn sharing(config: &Config) -> Result<Sharing> {
    match config.plugins.metadata.content_sharing_policy.as_str() {
        "" | "shared" => Ok(Sharing::Shared),
        "isolated" => Ok(Sharing::Isolated),
        other => anyhow::bail!("content_sharing_policy = {other:?} is unknown; use shared or isolated"),
    }
}

fn collection(config: &Config) -> Result<engine::gc::Config> {
    let section = &config.plugins.gc;
    let duration = |text: &str| {
        crate::config::human_duration(text)
            .with_context(|| format!("gc scheduler: {text:?} is not a duration; write for example \"100ms\""))
    };
    Ok(engine::gc::Config {
        pause_threshold: section.pause_threshold.clamp(0.0, 0.5),
        deletion_threshold: section.deletion_threshold.max(0) as u64,
        mutation_threshold: section.mutation_threshold.max(0) as u64,
        schedule_delay: duration(&section.schedule_delay)?,
        startup_delay: duration(&section.startup_delay)?,
    })
}

/// What shims are told, and what is asked of them.
fn setup(config: &Config, open_files: Option<u64>) -> Result<Setup> {
    let pair = |entry: &String| {
        let (key, value) =
            entry.split_once('=').with_context(|| format!("shim env {entry:?} is not KEY=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    let section = &config.plugins.shims;
    let dir = &section.socket_dir;
    if !dir.is_empty() && (!dir.starts_with('/') || dir.len() > SOCKET_DIR) {
        anyhow::bail!(
            "io.containerd.shim.v1.manager: socket_dir = {dir:?} must be an absolute path of at most {SOCKET_DIR} bytes"
        );
    }
    Ok(Setup {
        root: config.root.clone(),
        state: config.state.clone(),
        grpc_address: config.plugins.grpc.address.clone(),
        ttrpc_address: config.ttrpc_address(),
        executable: std::env::current_exe().context("find the daemon's own executable")?,
        version: CONTAINERD_VERSION.into(),
        log_level: log_level(&config.debug.level),
        socket_dir: Some(dir.clone()).filter(|dir| !dir.is_empty()),
        env: section.env.iter().map(pair).collect::<Result<_>>()?,
        open_files,
        limits: shims::Limits {
            state: config.timeout("task.state")?,
            stats: config.timeout("metrics.shimstats")?,
            load: config.timeout("shim.load")?,
            cleanup: config.timeout("shim.cleanup")?,
            shutdown: config.timeout("shim.shutdown")?,
            ..shims::Limits::default()
        },
    })
}

fn log_level(level: &str) -> shims::LogLevel {
    match level {
        "trace" => shims::LogLevel::Trace,
        "debug" => shims::LogLevel::Debug,
        "warn" | "warning" => shims::LogLevel::Warn,
        "error" | "fatal" | "panic" => shims::LogLevel::Error,
        _ => shims::LogLevel::Info,
    }
}

fn services(
    config: &Config,
    (engine, shims, stopping): (&Engine, &Shims, serve::Stop),
    built: plugins::Built,
    blobs: Arc<dyn model::content::Blobs>,
) -> Result<grpc::Services> {
    let find = |name: &String| {
        built
            .differs
            .get(name)
            .cloned()
            .with_context(|| format!("diff-service: differ {name:?} is not built in"))
    };
    let drivers = config.plugins.diff.default.iter().map(find).collect::<Result<_>>()?;
    let durability = if config.plugins.diff.sync_fs { Durability::Always } else { Durability::Asked };
    let diff = Arc::new(Diffs::new(drivers, engine.content.clone(), blobs, durability));
    let streams = Arc::new(Streams::default());
    engine.collector.register(streams.clone());
    let section = &config.plugins.transfer;
    let limits = transfer::Limits {
        downloads: section.max_concurrent_downloads,
        uploads: section.max_concurrent_uploaded_layers,
    };
    let parts = transfer::Parts {
        diff: diff.clone(),
        streams: streams.clone(),
        registries: plugins::registries()?,
        phrases: Arc::new(wire::registries::Phrases),
        limits,
    };
    let transfer = Transfers::new(engine, parts);
    Ok(grpc::Services {
        namespaces: engine.namespaces.clone(),
        containers: engine.containers.clone(),
        images: engine.images.clone(),
        content: engine.content.clone(),
        snapshotters: engine.snapshotters.clone(),
        leases: engine.leases.clone(),
        sandboxes: engine.sandboxes.clone(),
        diff,
        events: engine.events.clone(),
        tasks: engine.tasks.clone(),
        transfer: Arc::new(transfer),
        accept: streams,
        introspection: Arc::new(Plugins::new(about(config, built.entries)?, Arc::new(shims.clone()))),
        stopping,
    })
}

fn about(config: &Config, built: Vec<engine::plugins::Entry>) -> Result<About> {
    use std::os::unix::fs::MetadataExt;
    Ok(About {
        version: CONTAINERD_VERSION.into(),
        revision: REVISION.into(),
        uuid: uuid(&config.root)?,
        pid: std::process::id().into(),
        pidns: std::fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino()),
        deprecations: Vec::new(),
        built,
    })
}

/// The daemon's random id, made once for a root.
fn uuid(root: &Path) -> Result<String> {
    let dir = root.join("io.containerd.grpc.v1.introspection");
    let path = dir.join("uuid");
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.len() == 36
    {
        return Ok(text);
    }
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("read a random uuid")?;
    std::fs::create_dir_all(&dir).with_context(|| format!("make directory {}", dir.display()))?;
    std::fs::write(&path, uuid.trim()).with_context(|| format!("write {}", path.display()))?;
    Ok(uuid.trim().into())
}

/// Container records, as far as shims that are found again need them.
struct Known(Arc<dyn model::containers::Containers>);

#[async_trait]
impl Records for Known {
    async fn runtime_of(&self, namespace: &Namespace, id: &str) -> model::Result<Option<String>> {
        match self.0.get(&model::Scope::new(namespace.clone()), id).await {
            Ok(container) => Ok(Some(container.runtime.name)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_shims_sockets() {
        let long = format!("/{}", "x".repeat(SOCKET_DIR));
        for (dir, taken) in
            [("", true), ("/run/s", true), (&long[..SOCKET_DIR], true), (&long, false), ("run/s", false)]
        {
            let mut config = Config::default();
            config.plugins.shims.socket_dir = dir.to_owned();
            match setup(&config, None) {
                Ok(setup) => assert!(taken && setup.socket_dir.unwrap_or_default() == dir, "{dir}"),
                Err(e) => assert!(!taken && e.to_string().contains("socket_dir"), "{dir}: {e}"),
            }
        }
    }
}
