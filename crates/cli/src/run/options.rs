//! What a container is made of: the flags of `run` and `containers create`, and the record they become.

use crate::context::{RuncOptions, parse_labels};
use crate::images::{self, Unpacked};
use crate::{Context, terminal};
use anyhow::{Context as _, Result, bail, ensure};
use model::containers::{Container, RuntimeChoice};
use model::snapshots::Prepare;
use model::{Any, Labels, Scope};
use oci::config::RunConfig;
use oci::runtime::{LinuxIdMapping, Mount};
use std::path::PathBuf;

/// The label that says which signal stops a container.
const STOP_SIGNAL: &str = "io.containerd.image.config.stop-signal";

/// What a container is made of.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A spec as a JSON file, instead of all other flags.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// The working directory.
    #[arg(long)]
    cwd: Option<String>,
    /// Environment, KEY=value.
    #[arg(long)]
    env: Vec<String>,
    /// A file with one KEY=value a line.
    #[arg(long)]
    env_file: Option<PathBuf>,
    /// Labels, key=value; they become annotations too.
    #[arg(long)]
    label: Vec<String>,
    /// Annotations, key=value.
    #[arg(long)]
    annotation: Vec<String>,
    /// type=TYPE,src=SOURCE,dst=DESTINATION,options=a:b
    #[arg(long)]
    mount: Vec<String>,
    /// Use the host's network.
    #[arg(long)]
    net_host: bool,
    /// Give it all of the host's powers.
    #[arg(long)]
    privileged: bool,
    /// Make the root file system read-only.
    #[arg(long)]
    read_only: bool,
    /// Give it a terminal.
    #[arg(long, short)]
    tty: bool,
    /// Join a namespace, TYPE:PATH.
    #[arg(long)]
    with_ns: Vec<String>,
    /// Let programs gain privileges on exec.
    #[arg(long)]
    allow_new_privs: bool,
    /// The most memory, in bytes.
    #[arg(long, default_value_t = 0)]
    memory_limit: u64,
    /// How many CPUs' worth of time.
    #[arg(long, default_value_t = 0.0)]
    cpus: f64,
    /// The relative share of CPU time.
    #[arg(long)]
    cpu_shares: Option<u64>,
    /// CPU time per period, in microseconds.
    #[arg(long, conflicts_with = "cpus", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// The period, in microseconds.
    #[arg(long)]
    cpu_period: Option<u64>,
    /// The CPUs it may use.
    #[arg(long)]
    cpuset_cpus: Option<String>,
    /// The memory nodes it may use.
    #[arg(long)]
    cpuset_mems: Option<String>,
    /// Capabilities to add.
    #[arg(long)]
    cap_add: Vec<String>,
    /// Capabilities to drop.
    #[arg(long)]
    cap_drop: Vec<String>,
    /// A seccomp profile as a JSON file.
    #[arg(long)]
    seccomp_profile: Option<PathBuf>,
    /// The host's name inside.
    #[arg(long)]
    hostname: Option<String>,
    /// name|uid[:group|gid]
    #[arg(long, short)]
    user: Option<String>,
    /// The first argument is a directory, not an image.
    #[arg(long)]
    rootfs: bool,
    /// Do not use pivot_root.
    #[arg(long)]
    no_pivot: bool,
    /// Mount propagation of the root file system.
    #[arg(long)]
    rootfs_propagation: Option<String>,
    /// The cgroup's path.
    #[arg(long)]
    cgroup: Option<String>,
    /// User ids inside, CONTAINER:HOST:SIZE.
    #[arg(long, requires = "gidmap")]
    uidmap: Vec<String>,
    /// Group ids inside, CONTAINER:HOST:SIZE.
    #[arg(long, requires = "uidmap")]
    gidmap: Vec<String>,
    /// The most open files.
    #[arg(long)]
    rlimit_nofile: Option<u64>,
    /// The runtime's name or a shim's path.
    #[arg(long, default_value = "io.containerd.runc.v2")]
    runtime: String,
    /// Another OCI runtime's binary.
    #[arg(long)]
    runc_binary: Option<String>,
    /// Where it keeps its state.
    #[arg(long)]
    runc_root: Option<String>,
    /// Let systemd make the cgroups.
    #[arg(long)]
    runc_systemd_cgroup: bool,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Image (or directory with --rootfs, or nothing with --config), container id, command and arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "IMAGE ID [COMMAND"
    )]
    words: Vec<String>,
}

/// Where a container's root file system comes from.
struct Root {
    image: String,
    labels: Labels,
    run: RunConfig,
    snapshot_key: String,
    path: String,
}

impl Options {
    /// Makes the snapshot and the record; `scope` holds a lease.
    pub(crate) async fn create(&self, cx: &Context, scope: &Scope) -> Result<Container> {
        let mut labels = Labels::new();
        let mut container = Container::default();
        let spec = match &self.config {
            Some(path) => {
                let [id] = &self.words[..] else {
                    bail!("with spec config file, only container id should be provided")
                };
                container.id.clone_from(id);
                std::fs::read(path).with_context(|| format!("read {}", path.display()))?
            }
            None => {
                let [source, id, args @ ..] = &self.words[..] else {
                    bail!("image and container id are required: gantry run IMAGE ID [COMMAND]")
                };
                container.id.clone_from(id);
                let root = self.root(cx, scope, source, id).await?;
                let spec = self.spec(cx, id, args, &root)?;
                container.image = root.image;
                container.snapshot_key = root.snapshot_key;
                labels = root.labels;
                serde_json::to_vec(&spec)?
            }
        };
        labels.extend(parse_labels(&self.label)?);
        container.labels = labels;
        container.spec = Some(Any { type_url: model::any::SPEC_URL.into(), value: spec.into() });
        container.snapshotter =
            if container.snapshot_key.is_empty() { String::new() } else { self.snapshotter.clone() };
        container.runtime =
            RuntimeChoice { name: self.runtime.clone(), options: Some(self.runtime_options(cx)) };
        match cx.services.containers.create(scope, container.clone()).await {
            Ok(container) => Ok(container),
            Err(e) => {
                if !container.snapshot_key.is_empty() {
                    cx.snapshotter(&self.snapshotter).remove(scope, &container.snapshot_key).await?;
                }
                Err(e.into())
            }
        }
    }

    fn runtime_options(&self, cx: &Context) -> Any {
        cx.words.runtime_options(&RuncOptions {
            binary: self.runc_binary.clone().unwrap_or_default(),
            root: self.runc_root.clone().unwrap_or_default(),
            systemd_cgroup: self.runc_systemd_cgroup,
            no_pivot: self.no_pivot,
        })
    }

    async fn root(&self, cx: &Context, scope: &Scope, source: &str, id: &str) -> Result<Root> {
        if self.rootfs {
            let path = std::path::absolute(source).with_context(|| format!("rootfs {source}"))?;
            ensure!(path.is_dir(), "rootfs {} is no directory", path.display());
            let path = path.display().to_string();
            return Ok(Root {
                image: String::new(),
                labels: Labels::new(),
                run: RunConfig::default(),
                snapshot_key: String::new(),
                path,
            });
        }
        let Unpacked { image, config, chain_id } =
            images::unpack(cx, scope, source, &self.snapshotter).await?;
        let prepare = Prepare { key: id.into(), parent: chain_id.to_string(), labels: Labels::new() };
        cx.snapshotter(&self.snapshotter).prepare(scope, prepare).await?;
        let mut labels: Labels = config.config.labels.clone();
        labels.extend(image.labels.clone());
        labels.retain(|key, _| !model::labels::is_reserved(key));
        let signal = &config.config.stop_signal;
        labels.insert(STOP_SIGNAL.into(), if signal.is_empty() { "SIGTERM".into() } else { signal.clone() });
        Ok(Root {
            image: image.name,
            labels,
            run: config.config,
            snapshot_key: id.into(),
            path: String::new(),
        })
    }

    fn spec(&self, cx: &Context, id: &str, args: &[String], root: &Root) -> Result<oci::runtime::Spec> {
        let mut annotations = parse_labels(&self.label)?;
        annotations.extend(parse_labels(&self.annotation)?);
        let container = spec::Container {
            namespace: cx.scope.namespace.to_string(),
            id: id.into(),
            args: args.to_vec(),
            env: self.environment()?,
            cwd: self.cwd.clone().unwrap_or_default(),
            user: self.user.clone().unwrap_or_default(),
            terminal: self.tty.then(terminal::size),
            hostname: self.hostname.clone().unwrap_or_default(),
            mounts: self.mount.iter().map(|m| parse_mount(m)).collect::<Result<_>>()?,
            rootfs: root.path.clone(),
            read_only: self.read_only,
            privileged: self.privileged,
            net_host: self.net_host,
            join: self.with_ns.iter().map(|ns| parse_namespace(ns)).collect::<Result<_>>()?,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            allow_new_privs: self.allow_new_privs,
            annotations,
            resources: self.resources(),
            cgroup: self.cgroup.clone().unwrap_or_default(),
            devices: Vec::new(),
            seccomp: self.seccomp()?,
            rootfs_propagation: self.rootfs_propagation.clone().unwrap_or_default(),
            uid_mappings: self.uidmap.iter().map(|m| parse_mapping(m)).collect::<Result<_>>()?,
            gid_mappings: self.gidmap.iter().map(|m| parse_mapping(m)).collect::<Result<_>>()?,
        };
        Ok(container.build(&root.run, &accounts(&root.path)?, &host()?)?)
    }

    fn environment(&self) -> Result<Vec<String>> {
        let mut env = Vec::new();
        if let Some(path) = &self.env_file {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            env.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty() && !l.starts_with('#'))
                    .map(String::from),
            );
        }
        env.extend(self.env.iter().cloned());
        Ok(env)
    }

    fn resources(&self) -> spec::Resources {
        let period = self.cpu_period.unwrap_or(100_000);
        let quota = match self.cpus > 0.0 {
            true => Some((self.cpus * period as f64) as i64),
            false => self.cpu_quota,
        };
        spec::Resources {
            memory_limit: (self.memory_limit > 0).then_some(self.memory_limit as i64),
            cpu_quota: quota,
            cpu_period: quota.map(|_| period).or(self.cpu_period),
            cpu_shares: self.cpu_shares,
            cpuset_cpus: self.cpuset_cpus.clone().unwrap_or_default(),
            cpuset_mems: self.cpuset_mems.clone().unwrap_or_default(),
            nofile: self.rlimit_nofile,
        }
    }

    fn seccomp(&self) -> Result<Option<oci::runtime::LinuxSeccomp>> {
        let Some(path) = &self.seccomp_profile else { return Ok(None) };
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Ok(Some(
            serde_json::from_slice(&text).with_context(|| format!("seccomp profile {}", path.display()))?,
        ))
    }
}

/// The accounts of a root file system that is a directory here; those of an image are not looked into.
fn accounts(rootfs: &str) -> Result<spec::Accounts> {
    let read = |name: &str| match rootfs {
        "" => String::new(),
        dir => std::fs::read_to_string(format!("{dir}/etc/{name}")).unwrap_or_default(),
    };
    Ok(spec::Accounts { passwd: read("passwd"), group: read("group") })
}

fn host() -> Result<spec::Host> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(spec::Host { capabilities: Vec::new(), devices: Vec::new(), hostname })
}

fn parse_mount(text: &str) -> Result<Mount> {
    let mut mount = Mount::default();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("type", value)) => mount.kind = value.into(),
            Some(("src" | "source", value)) => mount.source = value.into(),
            Some(("dst" | "destination" | "target", value)) => mount.destination = value.into(),
            Some(("options", value)) => mount.options = value.split(':').map(String::from).collect(),
            _ => bail!("--mount {text:?}: {part:?} is not one of type=, src=, dst=, options="),
        }
    }
    ensure!(!mount.destination.is_empty(), "--mount {text:?} has no dst=");
    Ok(mount)
}

fn parse_namespace(text: &str) -> Result<(String, String)> {
    let (kind, path) =
        text.split_once(':').with_context(|| format!("--with-ns {text:?} is not TYPE:PATH"))?;
    let known = ["pid", "network", "uts", "mount", "user", "ipc", "cgroup"];
    ensure!(known.contains(&kind), "--with-ns {text:?}: the type is not one of {}", known.join(", "));
    Ok((kind.into(), path.into()))
}

fn parse_mapping(text: &str) -> Result<LinuxIdMapping> {
    let numbers: Vec<u32> = text
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("id mapping {text:?}"))?;
    match numbers[..] {
        [container_id, host_id, size] => Ok(LinuxIdMapping { container_id, host_id, size }),
        _ => bail!("id mapping {text:?} is not CONTAINER:HOST:SIZE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_and_mappings_are_read() {
        let mount = parse_mount("type=bind,src=/a,dst=/b,options=rbind:ro").expect("mount");
        assert_eq!((mount.kind.as_str(), mount.options.len()), ("bind", 2));
        assert!(parse_mount("type=bind,src=/a").is_err());
        assert!(parse_mount("nonsense").is_err());
        assert_eq!(parse_mapping("0:1000:10").expect("mapping").host_id, 1000);
        assert!(parse_mapping("0:1000").is_err());
        assert!(parse_namespace("network:/proc/1/ns/net").is_ok());
        assert!(parse_namespace("net:/x").is_err());
    }
}
