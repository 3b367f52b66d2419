//! Exec: starts one more process in a running container.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use kernel::cgroup::Entry;
use kernel::namespace::{self, Namespaces};
use kernel::process::{Child, Program, clear_ids_for_user, exit_now, is_single_threaded, wait_pid};
use kernel::procfs::ProcFs;
use kernel::{pidfd, process, scheduling, signal, trace};
use oci::runtime::{ContainerProcessState, Process};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::PidfdGetfdFlags;

use crate::bundle::check_process;
use crate::create::connect;
use crate::init::use_terminal;
use crate::placement;
use crate::privileges::{Filter, Settings, enter_group, set_limits};
use crate::rootfs::{hand_over, open_master};
use crate::spawn::{NamespacePlan, Spawn};
use crate::state::{Directory, Record, from_io, replace_file};
use crate::sync::{Channel, Message};
use crate::{Console, Error, Flags, Parent, Result, seccomp};

/// What a program that could not be executed leaves as exit status.
const EXEC_FAILED: i32 = 255;

/// Starts one more process in a container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// Directory of all containers' states.
    pub root: &'a Path,
    /// Name of the container.
    pub id: &'a str,
    /// What to run.
    pub process: &'a Process,
    /// Where the terminal's master goes.
    pub console: Console,
    /// File that receives the process id.
    pub pid_file: Option<&'a Path>,
    /// Seldom used settings.
    pub flags: Flags,
}

/// What the new process needs.
struct Inside<'a> {
    exec: &'a Exec<'a>,
    record: &'a Record,
    /// The container's first process.
    init: OwnedFd,
    entry: Entry,
    /// Kinds of namespaces of the container, without pid.
    kinds: Namespaces,
    console: Option<OwnedFd>,
    filter: Option<Filter<'a>>,
    channel: &'a Channel,
}

impl Exec<'_> {
    /// Starts the process and returns its id. The error's text is what follows `exec failed: `.
    pub fn run(self) -> Result<i32> {
        if !is_single_threaded() {
            return Err(Error::refused("a process with threads cannot start another in a container"));
        }
        check_process(self.process)?;
        let directory = Directory::new(self.root, self.id)?;
        let record = directory.read()?;
        let process = record.config.complete(self.process);
        Exec { process: &process, ..self }.run_in(&directory, &record)
    }

    fn run_in(self, directory: &Directory, record: &Record) -> Result<i32> {
        let Some(init) = record.init()? else {
            return Err(Error::refused("cannot exec in a stopped container"));
        };
        let cgroup = record.cgroup()?;
        if !self.flags.ignore_paused && cgroup.is_frozen()? {
            return Err(Error::refused(
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        let console = connect(&self.console, self.process.terminal)?;
        let code = match &record.config.seccomp {
            Some(_) => {
                let path = directory.seccomp();
                std::fs::read(&path).map_err(|error| from_io("read", &path, &error))?
            }
            None => Vec::new(),
        };
        let filter =
            record.config.seccomp.as_ref().map(|seccomp| Filter { code: &code, flags: seccomp.flags });
        let (ours, theirs) = Channel::pair()?;
        let entry = cgroup.entry_beside(record.init_process_pid)?;
        let inside = Inside {
            exec: &self,
            record,
            init,
            entry,
            kinds: kinds(record),
            console,
            filter,
            channel: &theirs,
        };
        let child = trace::during("runtime.clone", self.id, || self.clone_process(&inside, &ours))?;
        drop(inside);
        drop(theirs);
        let attending = trace::begin();
        let attended = self.attend(record, &child, &ours).and_then(|()| match self.pid_file {
            Some(path) => replace_file(path, child.pid.to_string().as_bytes()),
            None => Ok(()),
        });
        attending.end("runtime.attend", self.id);
        if attended.is_err() {
            self.put_down(&child);
        }
        attended.map(|()| child.pid)
    }

    fn clone_process(&self, inside: &Inside<'_>, ours: &Channel) -> Result<Child> {
        let mut plan = NamespacePlan::default();
        if inside.kinds.contains(Namespaces::PID) {
            let copy = inside.init.try_clone();
            let copy = copy.map_err(|error| Error::unknown(format!("dup pidfd: {error}")))?;
            plan.joined.push((Namespaces::PID, copy));
        }
        if let Some(affinity) = self.process.exec_cpu_affinity.as_ref().filter(|one| !one.initial.is_empty())
        {
            scheduling::set_cpus(0, &affinity.initial)?;
        }
        let spawn = Spawn {
            namespaces: &plan,
            parent: self.flags.parent,
            entry: Some(&inside.entry),
            theirs: inside.channel,
            ours,
        };
        spawn.spawn(|| inside.run()).map_err(starting)
    }

    /// Sees the process through until it is ready.
    fn attend(&self, record: &Record, child: &Child, channel: &Channel) -> Result<()> {
        if has_users(record) {
            if let Some(score) = self.process.oom_score_adj {
                let path = format!("{}/oom_score_adj", child.pid);
                ProcFs::open()?.write(&path, score.to_string().as_bytes())?;
            }
            channel.send(&Message::Go)?;
        }
        loop {
            match channel.receive()? {
                Some(Message::Ready) => return Ok(()),
                Some(Message::Limits) => {
                    set_limits(child.pid, &self.process.rlimits).map_err(starting)?;
                    channel.send(&Message::Go)?;
                }
                Some(Message::Listener(number)) => {
                    self.pass_listener(record, child, number).map_err(starting)?;
                    channel.send(&Message::Go)?;
                }
                Some(Message::Failed(text)) => return Err(starting(Error::unknown(text))),
                _ => return Err(starting(Error::unknown("the process ended before it was ready"))),
            }
        }
    }

    fn pass_listener(&self, record: &Record, child: &Child, number: i32) -> Result<()> {
        let listener = rustix::process::pidfd_getfd(&child.pidfd, number, PidfdGetfdFlags::empty())
            .map_err(|errno| Error::unknown(format!("pidfd_getfd: {}", kernel::strerror(errno))))?;
        let Some(profile) = &record.config.seccomp else { return Ok(()) };
        let state = ContainerProcessState {
            oci_version: record.config.version.clone(),
            fds: vec!["seccompFd".into()],
            pid: child.pid,
            metadata: profile.listener_metadata.clone(),
            state: record.hook_state("running", record.init_process_pid),
        };
        seccomp::send_listener(Path::new(&profile.listener_path), &state, &listener)
    }

    fn put_down(&self, child: &Child) {
        // The error that led here is the one to tell.
        let _ = pidfd::kill(&child.pidfd, libc::SIGKILL);
        let _ = match self.flags.parent {
            Parent::Caller => wait_pid(child.pid).map(drop),
            Parent::CallersParent => pidfd::wait_end(&child.pidfd, None).map(drop),
        };
    }
}

impl Inside<'_> {
    fn run(&self) -> i32 {
        match self.enter().and_then(|()| self.finish()) {
            Ok(program) => {
                eprintln!("{}", program.execute());
                EXEC_FAILED
            }
            Err(error) => {
                // Nobody is left to tell when this fails.
                let _ = self.channel.send(&Message::Failed(error.to_string()));
                exit_now(1)
            }
        }
    }

    /// Joins the container.
    fn enter(&self) -> Result<()> {
        signal::reset();
        trace::during("init.enter-cgroups", self.exec.id, || enter_group(&self.entry))?;
        let process = self.exec.process;
        let users = has_users(self.record);
        if users {
            self.channel.wait_go()?;
        } else if let Some(score) = process.oom_score_adj {
            ProcFs::open()?.write("self/oom_score_adj", score.to_string().as_bytes())?;
        }
        placement::set_labels(process)?;
        if let Some(affinity) = process.exec_cpu_affinity.as_ref().filter(|one| !one.last.is_empty()) {
            scheduling::set_cpus(0, &affinity.last)?;
        }
        let joining = trace::begin();
        namespace::join(&self.init, self.kinds.without(Namespaces::PID))
            .map_err(|error| Error::unknown(format!("failed to join namespaces: {}", error.text())))?;
        joining.end("init.join-namespaces", self.exec.id);
        if users {
            clear_ids_for_user()?;
        }
        process::new_session()?;
        if !self.exec.flags.no_new_keyring {
            process::join_session_keyring(&format!("_ses.{}", self.exec.id))
                .map_err(|error| Error::from(error).during("unable to join session keyring"))?;
        }
        if let Some(domain) = self.record.config.personality {
            process::set_personality(domain)?;
        }
        self.open_terminal()?;
        trace::stop();
        let mut keep: Vec<RawFd> = vec![self.channel.as_fd().as_raw_fd()];
        keep.extend((3..).take(self.exec.flags.preserve_fds as usize));
        Ok(process::close_all_except(&keep)?)
    }

    fn open_terminal(&self) -> Result<()> {
        let Some(socket) = &self.console else { return Ok(()) };
        let open = |path: &str| {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, path, flags, Mode::empty())
                .map_err(|errno| kernel::KernelError::new("open", path, errno))
        };
        let terminal = hand_over(open_master(open)?, socket, self.exec.process.console_size)?;
        use_terminal(&terminal)
    }

    fn finish(&self) -> Result<Program> {
        let process = self.exec.process;
        let settings = Settings {
            process,
            filter: self.filter,
            user_namespace: has_users(self.record),
            channel: self.channel,
        };
        let program = settings.take_on()?;
        self.channel.send(&Message::Ready)?;
        Ok(program)
    }
}

fn starting(error: Error) -> Error {
    error.during("unable to start container process")
}

/// The kinds of namespaces that the container does not share with the host.
fn kinds(record: &Record) -> Namespaces {
    let kind = |name: &str| {
        let is = |file: &str| {
            if file == "mnt" { name == "NEWNS" } else { name == format!("NEW{}", file.to_uppercase()) }
        };
        Namespaces::KINDS.iter().find(|kind| is(kind.2)).map(|kind| kind.0)
    };
    let namespaces = record.config.namespaces.iter().filter_map(|namespace| kind(&namespace.kind));
    namespaces.fold(Namespaces::NONE, Namespaces::with)
}

fn has_users(record: &Record) -> bool {
    kinds(record).contains(Namespaces::USER)
}
