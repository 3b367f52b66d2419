//! The first process of a container, from the clone to the user's program.
//!
//! It is a copy of the runtime that never executes anything of the host. Until the root is changed it works on the
//! host's tree and trusts nothing in the container's; then it closes every descriptor of the host, takes on the
//! user's rights, says that it is ready, and sleeps until somebody writes to `exec.fifo`.
//!
//! `/proc/<pid>/exe` of the sleeping process is the runtime's own file. A container that shares its pid namespace, or
//! joins it before the start, cannot look there, because the process cannot be dumped; one that executes
//! `/proc/self/exe` gets a file that nobody can open for writing, if the runtime was started by
//! [`kernel::process::run_sealed`] (CVE-2019-5736).

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use kernel::cgroup::Entry;
use kernel::namespace::{self, Namespaces};
use kernel::process::{Program, clear_ids_for_user, exit_now, install_fd};
use kernel::procfs::ProcFs;
use kernel::{netns, process, pty, signal, trace};
use oci::runtime::{Hooks, Process, State};

use crate::hooks::{Batch, Environment};
use crate::privileges::{Filter, Settings, enter_group};
use crate::rootfs::{Plan, Tree};
use crate::spawn::NamespacePlan;
use crate::state::START;
use crate::sync::{Channel, Message};
use crate::{Error, Result, placement, program};

/// What a program that could not be executed leaves as exit status.
const EXEC_FAILED: i32 = 255;

/// Everything the first process needs, made ready by the runtime.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub id: &'a str,
    pub plan: Plan<'a>,
    pub process: &'a Process,
    pub namespaces: &'a NamespacePlan,
    pub entry: Option<&'a Entry>,
    pub channel: &'a Channel,
    pub fifo: &'a OwnedFd,
    /// Where the terminal goes, if there is one.
    pub console: Option<&'a OwnedFd>,
    pub filter: Option<Filter<'a>>,
    /// The state hooks read, with the process's number as it sees itself.
    pub state: State,
    /// Join a session keyring of its own.
    pub keyring: bool,
    pub preserve_fds: u32,
}

impl Init<'_> {
    /// Runs the first process; never returns to the caller's code.
    pub fn run(&self) -> i32 {
        let ready = self.prepare().and_then(|()| self.close_host()).and_then(|()| self.finish());
        match ready {
            Ok(program) => self.start(&program),
            Err(error) => {
                // Nobody is left to tell when this fails.
                let _ = self.channel.send(&Message::Failed(error.to_string()));
                exit_now(1)
            }
        }
    }

    /// Everything that needs the host's tree.
    fn prepare(&self) -> Result<()> {
        signal::reset();
        signal::die_of(&[libc::SIGHUP, libc::SIGINT, libc::SIGTERM]);
        trace::during("init.enter-cgroups", self.id, || self.entry.map_or(Ok(()), enter_group))?;
        self.namespaces.join_rest()?;
        if self.namespaces.has_users() || !self.plan.linux.net_devices.is_empty() {
            self.channel.wait_go()?;
        }
        if self.namespaces.has_users() {
            clear_ids_for_user()?;
        } else {
            self.set_oom_score()?;
        }
        if self.namespaces.new.contains(Namespaces::CGROUP) {
            namespace::unshare(Namespaces::CGROUP)?;
        }
        process::new_session()?;
        if self.keyring {
            process::join_session_keyring(&format!("_ses.{}", self.id))
                .map_err(|error| Error::from(error).during("unable to join session keyring"))?;
        }
        trace::during("init.network", self.id, || self.name_host())?;
        process::set_umask(0);
        let tree = trace::during("init.root", self.id, || Tree::begin(&self.plan))?;
        trace::during("init.mounts", self.id, || tree.fill())?;
        if let Some(socket) = self.console {
            let terminal = tree.make_console(socket)?;
            use_terminal(&terminal)?;
        }
        self.run_hooks()?;
        trace::during("init.masks", self.id, || tree.close_up())?;
        placement::set_labels(self.process)?;
        trace::during("init.pivot", self.id, || tree.enter())
    }

    fn set_oom_score(&self) -> Result<()> {
        match self.process.oom_score_adj {
            Some(score) => Ok(ProcFs::open()?.write("self/oom_score_adj", score.to_string().as_bytes())?),
            None => Ok(()),
        }
    }

    /// Names of the host and its devices.
    fn name_host(&self) -> Result<()> {
        if self.namespaces.new.contains(Namespaces::NETWORK) {
            netns::set_loopback_up()?;
        }
        for (name, device) in &self.plan.linux.net_devices {
            netns::set_up(if device.name.is_empty() { name } else { &device.name })?;
        }
        if !self.plan.spec.hostname.is_empty() {
            process::set_hostname(&self.plan.spec.hostname)?;
        }
        if !self.plan.spec.domainname.is_empty() {
            process::set_domainname(&self.plan.spec.domainname)?;
        }
        Ok(())
    }

    /// Has the runtime run the hooks that belong outside, then runs those that belong here.
    fn run_hooks(&self) -> Result<()> {
        let Some(hooks) = &self.plan.spec.hooks else { return Ok(()) };
        if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
            self.channel.send(&Message::Hooks)?;
            self.channel.wait_go()?;
        }
        let batch = Batch {
            name: "createContainer",
            hooks: &hooks.create_container,
            directory: self.plan.rootfs,
            environment: Environment::Given(&[]),
        };
        batch.run(&self.state)
    }

    /// Leaves no descriptor of the host open but those that are still needed or were asked for.
    fn close_host(&self) -> Result<()> {
        trace::stop();
        let mut keep: Vec<RawFd> = vec![self.channel.as_fd().as_raw_fd(), self.fifo.as_raw_fd()];
        keep.extend((3..).take(self.preserve_fds as usize));
        process::close_all_except(&keep)?;
        Ok(())
    }

    /// Takes on the user's rights and reports.
    fn finish(&self) -> Result<Program> {
        process::set_undumpable()?;
        placement::set(self.plan.linux)?;
        let settings = Settings {
            process: self.process,
            filter: self.filter,
            user_namespace: self.namespaces.has_users(),
            channel: self.channel,
        };
        let program = settings.take_on()?;
        self.channel.send(&Message::Ready)?;
        Ok(program)
    }

    /// Sleeps until the start, then becomes the program.
    fn start(&self, program: &Program) -> i32 {
        let mut byte = [0; 1];
        match rustix::io::retry_on_intr(|| rustix::io::read(self.fifo, &mut byte)) {
            Ok(1) if byte == *START => {}
            _ => return EXEC_FAILED,
        }
        if let Err(error) = self.run_start_hooks() {
            eprintln!("{error}");
            return EXEC_FAILED;
        }
        eprintln!("{}", program.execute());
        EXEC_FAILED
    }

    /// Runs the hooks that belong to the program: with its rights and environment.
    fn run_start_hooks(&self) -> Result<()> {
        let hooks = self.plan.spec.hooks.as_ref().map_or(&[][..], |hooks: &Hooks| &hooks.start_container);
        if hooks.is_empty() {
            return Ok(());
        }
        let environment = program::environment(&self.process.env, self.process.user.uid)?;
        let batch = Batch {
            name: "startContainer",
            hooks,
            directory: Path::new(&self.process.cwd),
            environment: Environment::Given(&environment),
        };
        batch.run(&State { status: "created".into(), ..self.state.clone() })
    }
}

/// Makes a terminal the standard streams and the controlling terminal.
pub(crate) fn use_terminal(terminal: &OwnedFd) -> Result<()> {
    pty::set_controlling(terminal)?;
    (0..=2).try_for_each(|number| install_fd(terminal, number)).map_err(Error::from)
}
