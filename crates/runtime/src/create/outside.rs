//! The runtime's side of a create, after the clone: maps, limits, the record, hooks, and the first process's messages.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::cgroup::Stats;
use kernel::namespace::Namespaces;
use kernel::process::{Child, wait_pid};
use kernel::procfs::{self, ProcFs};
use kernel::{namespace, netns, pidfd, trace, userns};
use oci::runtime::{ContainerProcessState, Hook, Hooks, LinuxSeccomp, State};
use rustix::process::PidfdGetfdFlags;

use super::{Create, Parts};
use crate::bundle::Bundle;
use crate::hooks::{Batch, Environment};
use crate::privileges::set_limits;
use crate::rootfs::ranges;
use crate::state::{Config, Directory, NamespaceRecord, Record, SeccompRecord, now, replace_file};
use crate::sync::{Channel, Message};
use crate::{Error, Parent, Result, placement, seccomp};

/// What the runtime keeps in hand while the first process gets ready.
pub(super) struct Outside<'a> {
    create: &'a Create<'a>,
    bundle: &'a Bundle,
    directory: &'a Directory,
    parts: &'a Parts,
    record: Record,
}

impl<'a> Outside<'a> {
    pub fn new(
        create: &'a Create<'a>,
        bundle: &'a Bundle,
        directory: &'a Directory,
        parts: &'a Parts,
    ) -> Result<Self> {
        let mut labels: Vec<String> =
            bundle.spec.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.push(format!("bundle={}", bundle.path.display()));
        let profile = bundle.linux.seccomp.as_ref();
        let seccomp = parts.program.as_ref().map(|program| SeccompRecord {
            flags: program.flags(),
            listener_path: profile.map(|one| one.listener_path.clone()).unwrap_or_default(),
            listener_metadata: profile.map(|one| one.listener_metadata.clone()).unwrap_or_default(),
        });
        let config = Config {
            version: bundle.spec.oci_version.clone(),
            rootfs: bundle.rootfs.to_string_lossy().into_owned(),
            labels,
            namespaces: bundle.linux.namespaces.iter().filter_map(namespace_record).collect(),
            poststop: bundle.spec.hooks.as_ref().map(|hooks| hooks.poststop.clone()).unwrap_or_default(),
            seccomp,
            personality: bundle.linux.personality.as_ref().map(placement::domain).transpose()?,
            ..Config::of_process(&bundle.process)
        };
        let record = Record {
            id: create.id.to_owned(),
            created: now(),
            config,
            cgroup_paths: parts.cgroup.paths(),
            ..Record::default()
        };
        Ok(Self { create, bundle, directory, parts, record })
    }

    /// The state as hooks inside of the container read it: there the first process is number 1.
    pub fn state_inside(&self) -> State {
        self.record.hook_state("creating", 1)
    }

    /// Sees the first process through. On failure it is dead afterwards.
    pub fn attend(&mut self, child: Child, channel: &Channel) -> Result<i32> {
        let attended = self.follow(&child, channel).and_then(|()| self.conclude(child.pid));
        if let Err(error) = attended {
            self.put_down(&child);
            return Err(error);
        }
        Ok(child.pid)
    }

    fn follow(&mut self, child: &Child, channel: &Channel) -> Result<()> {
        let starting = |error: Error| error.during("unable to start container process");
        trace::during("runtime.note", self.create.id, || self.note(child.pid))?;
        self.help(child, channel).map_err(starting)?;
        let during_init = |error: Error| starting(error.during("error during container init"));
        loop {
            match channel.receive()? {
                Some(Message::Ready) => return Ok(()),
                Some(Message::Hooks) => {
                    self.run_runtime_hooks(child.pid).map_err(during_init)?;
                    channel.send(&Message::Go)?;
                }
                Some(Message::Limits) => {
                    set_limits(child.pid, &self.bundle.process.rlimits).map_err(during_init)?;
                    channel.send(&Message::Go)?;
                }
                Some(Message::Listener(number)) => {
                    self.pass_listener(child, number).map_err(starting)?;
                    channel.send(&Message::Go)?;
                }
                Some(Message::Failed(text)) => return Err(during_init(Error::unknown(text))),
                Some(Message::Go | Message::Cloned(_)) | None => return Err(starting(self.ended_early())),
            }
        }
    }

    /// Why the process is gone without a word, as far as its control group knows.
    fn ended_early(&self) -> Error {
        let kills = match self.parts.cgroup.stats() {
            Ok(Some(Stats::V1(stats))) => stats.memory_oom_control.map_or(0, |control| control.oom_kill),
            Ok(Some(Stats::V2(stats))) => stats.memory_events.map_or(0, |events| events.oom_kill),
            _ => 0,
        };
        if kills > 0 {
            return Error::unknown("container init was OOM-killed (memory limit too low?)");
        }
        Error::unknown("the process ended before it was ready").during("error during container init")
    }

    /// Writes the record, so that whoever cleans up after a crash finds the control group and the process.
    fn note(&mut self, pid: i32) -> Result<()> {
        self.record.init_process_pid = pid;
        // A process that is gone already says why on the channel.
        self.record.init_process_start = procfs::stat(pid).map_or(0, |stat| stat.start);
        self.record.namespace_paths = Namespaces::KINDS
            .iter()
            .map(|(_, _, file)| (kind_name(file), format!("/proc/{pid}/ns/{file}")))
            .collect::<BTreeMap<_, _>>();
        self.directory.write(&self.record)
    }

    /// What only the host's rights can do for a process in a user namespace, and devices that move.
    fn help(&self, child: &Child, channel: &Channel) -> Result<()> {
        let linux = &self.bundle.linux;
        if !linux.net_devices.is_empty() {
            let target = namespace::open(Path::new(&format!("/proc/{}/ns/net", child.pid)))?;
            for (name, device) in &linux.net_devices {
                netns::move_device(name, &target, &device.name)?;
            }
        }
        if !self.parts.namespaces.has_users() {
            return if linux.net_devices.is_empty() { Ok(()) } else { channel.send(&Message::Go) };
        }
        let proc = ProcFs::open()?;
        if self.parts.namespaces.new.contains(Namespaces::USER) {
            userns::write_maps(&proc, child.pid, &ranges(&linux.uid_mappings), &ranges(&linux.gid_mappings))?;
        }
        if let Some(score) = self.bundle.process.oom_score_adj {
            proc.write(&format!("{}/oom_score_adj", child.pid), score.to_string().as_bytes())?;
        }
        channel.send(&Message::Go)
    }

    fn run_runtime_hooks(&self, pid: i32) -> Result<()> {
        let state = self.record.hook_state("creating", pid);
        let none = Hooks::default();
        let hooks = self.bundle.spec.hooks.as_ref().unwrap_or(&none);
        for (name, hooks) in [("prestart", &hooks.prestart), ("createRuntime", &hooks.create_runtime)] {
            self.batch(name, hooks).run(&state)?;
        }
        Ok(())
    }

    /// Takes the listener out of the process and hands it to whoever the profile names.
    fn pass_listener(&self, child: &Child, number: i32) -> Result<()> {
        let listener = rustix::process::pidfd_getfd(&child.pidfd, number, PidfdGetfdFlags::empty())
            .map_err(|errno| Error::unknown(format!("pidfd_getfd: {}", kernel::strerror(errno))))?;
        let none = LinuxSeccomp::default();
        let profile = self.bundle.linux.seccomp.as_ref().unwrap_or(&none);
        let state = ContainerProcessState {
            oci_version: self.record.config.version.clone(),
            fds: vec!["seccompFd".into()],
            pid: child.pid,
            metadata: profile.listener_metadata.clone(),
            state: self.record.hook_state("creating", child.pid),
        };
        seccomp::send_listener(Path::new(&profile.listener_path), &state, &listener)
    }

    /// After the process is ready: its number for others, and the hooks after it.
    fn conclude(&self, pid: i32) -> Result<()> {
        if let Some(path) = self.create.pid_file {
            replace_file(path, pid.to_string().as_bytes())?;
        }
        let Some(hooks) = &self.bundle.spec.hooks else { return Ok(()) };
        self.batch("poststart", &hooks.poststart).run(&self.record.hook_state("created", pid))
    }

    /// Ends the process and runs the hooks for the end.
    fn put_down(&self, child: &Child) {
        // The error that led here is the one to tell; what fails now fails silently.
        let _ = pidfd::kill(&child.pidfd, libc::SIGKILL);
        let _ = match self.create.flags.parent {
            Parent::Caller => wait_pid(child.pid).map(drop),
            Parent::CallersParent => pidfd::wait_end(&child.pidfd, None).map(drop),
        };
        let state = self.record.hook_state("stopped", 0);
        let _ = self.batch("poststop", &self.record.config.poststop).run(&state);
    }

    /// Hooks that run beside the container.
    fn batch<'b>(&'b self, name: &'b str, hooks: &'b [Hook]) -> Batch<'b> {
        Batch { name, hooks, directory: &self.bundle.path, environment: Environment::Runtime }
    }
}

fn namespace_record(namespace: &oci::runtime::LinuxNamespace) -> Option<NamespaceRecord> {
    let file = Namespaces::KINDS.iter().find(|kind| kind.1 == namespace.kind)?.2;
    Some(NamespaceRecord { kind: kind_name(file), path: namespace.path.clone() })
}

/// runc's name of a namespace kind, from its file name: `NEWNS`, `NEWPID`, …
fn kind_name(file: &str) -> String {
    if file == "mnt" { "NEWNS".into() } else { format!("NEW{}", file.to_uppercase()) }
}
