//! What a container is made of: the flags of `run` and `containers create`, and the record they become.

use super::remap::{self, Mapping};
use super::{host, parse};
use crate::context::parse_labels;
use crate::images::{self, Unpacked};
use crate::{Context, accounts, output, terminal};
use anyhow::{Context as _, Result, bail, ensure};
use client::words::RuncOptions;
use model::containers::{Container, RuntimeChoice};
use model::snapshots::Prepare;
use model::{Any, Labels, Scope};
use oci::Digest;
use oci::config::RunConfig;
use oci::runtime::LinuxDevice;
use spec::Accounts;
use std::path::{Path, PathBuf};

/// The runtime of containers that name none.
const RUNC: &str = "io.containerd.runc.v2";
/// The period of `--cpus`, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// The share of CPU time of containers that are run at once.
const CPU_SHARES: u64 = 1024;
/// The label that says which signal stops a container.
pub(crate) const STOP_SIGNAL: &str = "io.containerd.image.config.stop-signal";

const NO_ID: &str = "container id must be provided";

/// What a container is made of.
#[derive(Debug, clap::Args)]
#[group(skip)]
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
    /// Pass a device of the host through, by its path, or all of a directory's.
    #[arg(long)]
    device: Vec<PathBuf>,
    /// Use the host's network.
    #[arg(long)]
    net_host: bool,
    /// Give it all of the host's powers.
    #[arg(long)]
    privileged: bool,
    /// Give a privileged container no devices of the host.
    #[arg(long)]
    privileged_without_host_devices: bool,
    /// Put it into a sandbox that runs.
    #[arg(long)]
    sandbox: Option<String>,
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
    /// CPU time per period, in microseconds; -1 for no limit.
    #[arg(long, conflicts_with = "cpus", allow_negative_numbers = true, default_value_t = -1)]
    cpu_quota: i64,
    /// The period, in microseconds; 0 for the kernel's.
    #[arg(long, conflicts_with = "cpus", default_value_t = 0)]
    cpu_period: u64,
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
    /// Allow only the system calls that ordinary programs need.
    #[arg(long)]
    seccomp: bool,
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
    /// Let the snapshotter map the ids of a user namespace, by labels, instead of copying the files.
    #[arg(long, requires = "uidmap")]
    remap_labels: bool,
    /// The most open files.
    #[arg(long)]
    rlimit_nofile: Option<u64>,
    /// The runtime's name or a shim's path.
    #[arg(long, default_value = RUNC)]
    runtime: String,
    /// Another OCI runtime's binary.
    #[arg(long)]
    runc_binary: Option<String>,
    /// Where it keeps its state.
    #[arg(long)]
    runc_root: Option<String>,
    /// Let systemd make the cgroups; --cgroup is then SLICE:PREFIX:NAME.
    #[arg(long, requires = "cgroup")]
    runc_systemd_cgroup: bool,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// The image for this platform instead of the machine's.
    #[arg(long)]
    platform: Option<String>,
    /// Labels for its snapshot, key=value.
    #[arg(long)]
    snapshotter_label: Vec<String>,
    /// Image (or directory with --rootfs, or nothing with --config), container id, command and arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "IMAGE|ROOTFS ID [COMMAND"
    )]
    words: Vec<String>,
}

/// Where a container's root file system comes from, and what that says about the container.
#[derive(Default)]
struct Root {
    image: String,
    labels: Labels,
    run: RunConfig,
    /// The snapshot under the container's own; none for a directory.
    chain_id: Option<Digest>,
    /// The directory; empty for an image.
    path: String,
    accounts: Accounts,
}

impl Options {
    /// With what `run` sets and `containers create` leaves open.
    pub(crate) fn for_run(mut self) -> Self {
        self.cpu_shares.get_or_insert(CPU_SHARES);
        self
    }

    /// Makes the record and its snapshot; `scope` holds a lease. Nothing is left behind on an error.
    pub(crate) async fn create(&self, cx: &Context, scope: &Scope) -> Result<Container> {
        let (mut container, chain_id) = match &self.config {
            Some(path) => (self.configured(path)?, None),
            None => self.composed(cx, scope).await?,
        };
        container.labels.extend(parse_labels(&self.label)?);
        container.runtime = self.runtime();
        container.sandbox = self.sandbox.clone().unwrap_or_default();
        let Some(chain_id) = chain_id else {
            return Ok(cx.services.containers.create(scope, container).await?);
        };
        let snapshots = cx.snapshotter(&self.snapshotter);
        let key = container.id.clone();
        let (parent, labels) = self.snapshot(cx, scope, &chain_id).await?;
        snapshots.prepare(scope, Prepare { key: key.clone(), parent, labels }).await?;
        container.snapshotter.clone_from(&self.snapshotter);
        container.snapshot_key.clone_from(&key);
        match cx.services.containers.create(scope, container).await {
            Ok(container) => Ok(container),
            Err(e) => {
                snapshots.remove(scope, &key).await.unwrap_or_else(|second| output::complain(&second.into()));
                Err(e.into())
            }
        }
    }

    /// The parent and the labels of the container's own snapshot.
    async fn snapshot(&self, cx: &Context, scope: &Scope, chain_id: &Digest) -> Result<(String, Labels)> {
        let mut labels = parse_labels(&self.snapshotter_label)?;
        let mapping = self.mapping()?;
        let mut parent = chain_id.to_string();
        if self.remap_labels {
            labels.extend(remap::labels(&mapping));
        } else if !mapping.uids.is_empty() {
            let image = remap::Image { snapshotter: &self.snapshotter, chain_id };
            parent = remap::ensure(cx, scope, image, &mapping).await?;
        }
        Ok((parent, labels))
    }

    fn mapping(&self) -> Result<Mapping> {
        let read = |texts: &[String]| texts.iter().map(|m| parse::id_mapping(m)).collect::<Result<_>>();
        Ok(Mapping { uids: read(&self.uidmap)?, gids: read(&self.gidmap)? })
    }

    /// A record around a spec that is there already.
    fn configured(&self, path: &Path) -> Result<Container> {
        let [id] = &self.words[..] else {
            bail!("with spec config file, only container id should be provided")
        };
        ensure!(!id.is_empty(), NO_ID);
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice::<oci::runtime::Spec>(&text)
            .with_context(|| format!("spec {}", path.display()))?;
        let spec = Some(Any { type_url: model::any::SPEC_URL.into(), value: text.into() });
        Ok(Container { id: id.clone(), spec, ..Container::default() })
    }

    /// A record from an image or a directory, and the snapshot it is to stand on.
    async fn composed(&self, cx: &Context, scope: &Scope) -> Result<(Container, Option<Digest>)> {
        let [source, id, args @ ..] = &self.words[..] else {
            bail!("image and container id are required: IMAGE ID [COMMAND]")
        };
        ensure!(!id.is_empty(), NO_ID);
        ensure!(!source.starts_with('-'), "unknown flag {source:?}; --help shows those there are");
        let root = match self.rootfs {
            true => directory(source)?,
            false => self.image(cx, scope, source).await?,
        };
        let spec = serde_json::to_vec(&self.spec(cx, (id, args), &root)?)?;
        let spec = Some(Any { type_url: model::any::SPEC_URL.into(), value: spec.into() });
        let container = Container {
            id: id.clone(),
            image: root.image,
            labels: root.labels,
            spec,
            ..Container::default()
        };
        Ok((container, root.chain_id))
    }

    async fn image(&self, cx: &Context, scope: &Scope, name: &str) -> Result<Root> {
        let wanted = images::Wanted::new(name, &self.snapshotter, self.platform.as_deref())?;
        let Unpacked { image, config, chain_id } = images::unpack(cx, scope, &wanted).await?;
        let mut labels = config.config.labels.clone();
        labels.extend(image.labels);
        labels.retain(|key, _| !model::labels::is_reserved(key));
        let signal = &config.config.stop_signal;
        labels.insert(STOP_SIGNAL.into(), if signal.is_empty() { "SIGTERM".into() } else { signal.clone() });
        let user = self.user.as_ref().unwrap_or(&config.config.user);
        let accounts = match accounts::are_needed(user) {
            true => accounts::of_image(cx, scope, (&self.snapshotter, &chain_id)).await?,
            false => Accounts::default(),
        };
        let chain_id = Some(chain_id);
        Ok(Root { image: image.name, labels, run: config.config, chain_id, path: String::new(), accounts })
    }

    /// The options of the runc shim, for it and for whoever is given them on purpose.
    fn runtime(&self) -> RuntimeChoice {
        let options = RuncOptions {
            binary: self.runc_binary.clone().unwrap_or_default(),
            root: self.runc_root.clone().unwrap_or_default(),
            systemd_cgroup: self.runc_systemd_cgroup,
            no_pivot: self.no_pivot,
        };
        let wanted = self.runtime == RUNC || options != RuncOptions::default();
        let options = wanted.then(|| client::words::runc_options(&options));
        RuntimeChoice { name: self.runtime.clone(), options }
    }

    fn spec(&self, cx: &Context, (id, args): (&str, &[String]), root: &Root) -> Result<oci::runtime::Spec> {
        let mut annotations = parse_labels(&self.label)?;
        annotations.extend(parse_labels(&self.annotation)?);
        let mapping = self.mapping()?;
        let container = spec::Container {
            namespace: cx.scope.namespace.to_string(),
            id: id.into(),
            args: args.to_vec(),
            env: self.environment()?,
            cwd: self.cwd.clone().unwrap_or_default(),
            user: self.user.clone().unwrap_or_default(),
            terminal: self.tty.then(terminal::size),
            hostname: self.hostname.clone().unwrap_or_default(),
            mounts: self.mount.iter().map(|m| parse::mount(m)).collect::<Result<_>>()?,
            rootfs: root.path.clone(),
            read_only: self.read_only,
            privileged: self.privileged,
            net_host: self.net_host,
            join: self.with_ns.iter().map(|ns| parse::namespace(ns)).collect::<Result<_>>()?,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            allow_new_privs: self.allow_new_privs,
            annotations,
            resources: self.resources(),
            cgroup: self.cgroup.clone().unwrap_or_default(),
            devices: self.devices()?,
            seccomp: self.seccomp_profile.as_deref().map(parse::seccomp).transpose()?,
            rootfs_propagation: self.rootfs_propagation.clone().unwrap_or_default(),
            uid_mappings: mapping.uids,
            gid_mappings: mapping.gids,
        };
        let host = host::facts(self.privileged && !self.privileged_without_host_devices)?;
        let mut spec = container.build(&root.run, &root.accounts, &host)?;
        if let (true, None, Some(linux)) = (self.seccomp, &self.seccomp_profile, &mut spec.linux) {
            let process = spec.process.as_ref().and_then(|p| p.capabilities.as_ref());
            linux.seccomp = Some(spec::seccomp::profile(process.map_or(&[][..], |c| &c.bounding)));
        }
        Ok(spec)
    }

    fn devices(&self) -> Result<Vec<LinuxDevice>> {
        let found: Vec<_> = self.device.iter().map(|path| host::devices(path)).collect::<Result<_>>()?;
        Ok(found.concat())
    }

    fn environment(&self) -> Result<Vec<String>> {
        let file = self.env_file.as_deref().map(parse::env_file).transpose()?.unwrap_or_default();
        Ok(spec::merged_env(spec::merged_env(Vec::new(), &file), &self.env))
    }

    fn resources(&self) -> spec::Resources {
        let (quota, period) = match self.cpus > 0.0 {
            true => ((self.cpus * CPU_PERIOD as f64) as i64, CPU_PERIOD),
            false => (self.cpu_quota, self.cpu_period),
        };
        let bounded = quota != -1 || period != 0;
        spec::Resources {
            memory_limit: (self.memory_limit > 0).then_some(self.memory_limit as i64),
            cpu_quota: bounded.then_some(quota),
            cpu_period: bounded.then_some(period),
            cpu_shares: self.cpu_shares,
            cpuset_cpus: self.cpuset_cpus.clone().unwrap_or_default(),
            cpuset_mems: self.cpuset_mems.clone().unwrap_or_default(),
            nofile: self.rlimit_nofile,
        }
    }
}

/// A root file system that is a directory here.
fn directory(path: &str) -> Result<Root> {
    let path = std::path::absolute(path).with_context(|| format!("rootfs {path}"))?;
    ensure!(path.is_dir(), "rootfs {} is no directory", path.display());
    let accounts = accounts::of_root(&path)?;
    Ok(Root { path: path.display().to_string(), accounts, ..Root::default() })
}
