//! Create: makes a container up to the point where its program would start.

mod outside;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kernel::cgroup::{Cgroup, Entry, Version};
use kernel::process::is_single_threaded;
use kernel::{file, socket, trace};
use oci::runtime::LinuxResources;

use crate::bundle::Bundle;
use crate::init::Init;
use crate::privileges::Filter;
use crate::rootfs::{Plan, open_sources};
use crate::seccomp::{self, Program};
use crate::spawn::{NamespacePlan, Spawn};
use crate::state::Directory;
use crate::sync::Channel;
use crate::{Console, Error, Flags, Result, resources};

use outside::Outside;

/// Makes a container from a bundle.
#[derive(Debug)]
pub struct Create<'a> {
    /// Directory of all containers' states, for instance `/run/containerd/runc/<namespace>`.
    pub root: &'a Path,
    /// Name of the container.
    pub id: &'a str,
    /// Directory with `config.json`.
    pub bundle: &'a Path,
    /// Where the terminal's master goes.
    pub console: Console,
    /// File that receives the first process's id.
    pub pid_file: Option<&'a Path>,
    /// Seldom used settings.
    pub flags: Flags,
}

/// A container that was created.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its first process.
    pub pid: i32,
    /// Whether its pid namespace is its own, so that the kernel ends all processes with the first.
    pub private_pids: bool,
    /// Directories of its control group by controller.
    pub cgroups: BTreeMap<String, PathBuf>,
}

/// What is opened and made before the first process is cloned.
struct Parts {
    namespaces: NamespacePlan,
    program: Option<Program>,
    console: Option<OwnedFd>,
    fifo: OwnedFd,
    cgroup: Cgroup,
    entry: Entry,
}

impl Create<'_> {
    /// Creates the container. On failure nothing of it is left.
    ///
    /// The error's text is what follows `runc create failed: ` or `runc run failed: `, which the callers know apart.
    pub fn run(self) -> Result<Created> {
        if !is_single_threaded() {
            return Err(Error::refused("a process with threads cannot create a container"));
        }
        let bundle = trace::during("runtime.read-spec", self.id, || Bundle::open(self.bundle, &self.flags))?;
        let console = connect(&self.console, bundle.process.terminal)?;
        let directory = Directory::new(self.root, self.id)?;
        trace::during("runtime.state-dir", self.id, || directory.make())?;
        let created = self.make(&bundle, &directory, console);
        if created.is_err() {
            // The first error is the one to tell.
            let _ = directory.remove();
        }
        created
    }

    fn make(&self, bundle: &Bundle, directory: &Directory, console: Option<OwnedFd>) -> Result<Created> {
        let namespaces = NamespacePlan::open(&bundle.linux.namespaces, &bundle.linux.time_offsets)?;
        let program = bundle.linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
        if let Some(program) = &program {
            std::fs::write(directory.seccomp(), program.code())
                .map_err(|error| crate::state::from_io("write", &directory.seccomp(), &error))?;
        }
        file::make_fifo(&directory.fifo(), 0o622)?;
        let fifo = file::open_fifo_both(&directory.fifo())?;
        let starting = |error: Error| error.during("unable to start container process");
        let applying = |error: Error| starting(error.during("unable to apply cgroup configuration"));
        let path = bundle.cgroup_path(self.id, &self.flags)?;
        directory.plan_cgroup(&Cgroup::named(&path).map_err(|e| applying(e.into()))?)?;
        let cgroup = trace::during("runtime.make-cgroups", self.id, || Cgroup::create(&path))
            .map_err(|e| applying(e.into()))?;
        let limiting = trace::begin();
        let made =
            resources::for_create(bundle.linux.resources.as_ref().unwrap_or(&LinuxResources::default()))
                .map_err(applying)
                .and_then(|limits| cgroup.apply(&limits).map_err(|e| starting(refused(e))))
                .and_then(|()| cgroup.entry().map_err(|e| applying(e.into())))
                .and_then(|entry| {
                    limiting.end("runtime.limits", self.id);
                    let parts = Parts { namespaces, program, console, fifo, cgroup: cgroup.clone(), entry };
                    self.clone_init(bundle, directory, &parts)
                });
        if made.is_err() {
            // The first error is the one to tell.
            let _ = cgroup.kill_all(libc::SIGKILL);
            let _ = cgroup.remove();
        }
        made
    }

    /// Clones the first process and sees it through until it is ready.
    fn clone_init(&self, bundle: &Bundle, directory: &Directory, parts: &Parts) -> Result<Created> {
        let user_namespace = parts.namespaces.has_users();
        let cgroups = parts.cgroup.paths();
        let plan = Plan {
            spec: &bundle.spec,
            linux: &bundle.linux,
            rootfs: &bundle.rootfs,
            bundle: &bundle.path,
            sources: open_sources(&bundle.spec, &bundle.path, user_namespace)?,
            cgroups: &cgroups,
            user_namespace,
            no_pivot: self.flags.no_pivot,
        };
        let (ours, theirs) = Channel::pair()?;
        let mut outside = Outside::new(self, bundle, directory, parts)?;
        let init = Init {
            id: self.id,
            plan,
            process: &bundle.process,
            namespaces: &parts.namespaces,
            entry: Some(&parts.entry),
            channel: &theirs,
            fifo: &parts.fifo,
            console: parts.console.as_ref(),
            filter: parts.program.as_ref().map(filter),
            state: outside.state_inside(),
            keyring: !self.flags.no_new_keyring,
            preserve_fds: self.flags.preserve_fds,
        };
        let spawn = Spawn {
            namespaces: &parts.namespaces,
            parent: self.flags.parent,
            entry: Some(&parts.entry),
            theirs: &theirs,
            ours: &ours,
        };
        let child = trace::during("runtime.clone", self.id, || spawn.spawn(|| init.run()))
            .map_err(|error| error.during("unable to start container process"))?;
        drop(init);
        // With this end closed here too, the death of the process shows as the end of the conversation.
        drop(theirs);
        let pid = trace::during("runtime.attend", self.id, || outside.attend(child, &ours))?;
        let mut namespaces = bundle.linux.namespaces.iter();
        let private_pids = namespaces.any(|one| one.kind == "pid" && one.path.is_empty());
        Ok(Created { pid, private_pids, cgroups })
    }
}

/// A limit that the kernel or the host refused. Version 1's cpusets are told of as if they were part of the way in, as a
/// group without them lets nobody in.
fn refused(error: kernel::cgroup::Error) -> Error {
    let cpuset = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("cpuset."));
    let of_cpuset = matches!(&error, kernel::cgroup::Error::Io { path, .. } if cpuset(path));
    if of_cpuset && kernel::cgroup::version().is_ok_and(|version| version != Version::V2) {
        return Error::from(error).during("unable to apply cgroup configuration");
    }
    Error::from(error)
        .during("error setting cgroup config for procHooks process")
        .during("error during container init")
}

/// A compiled filter as the kernel takes it.
pub(crate) fn filter(program: &Program) -> Filter<'_> {
    Filter { code: program.code(), flags: program.flags() }
}

/// The socket a terminal is sent through; refuses when a terminal has nowhere to go, or a socket gets none.
pub(crate) fn connect(console: &Console, terminal: bool) -> Result<Option<OwnedFd>> {
    match (console, terminal) {
        (Console::None, false) => Ok(None),
        (Console::None, true) => {
            Err(Error::invalid("cannot allocate tty if runc will detach without setting console socket"))
        }
        (_, false) => {
            Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty"))
        }
        (Console::Socket(path), true) => Ok(Some(socket::connect(path)?)),
        (Console::Fd(fd), true) => {
            let copy =
                fd.try_clone().map_err(|error| Error::unknown(format!("dup console socket: {error}")))?;
            Ok(Some(copy))
        }
    }
}
