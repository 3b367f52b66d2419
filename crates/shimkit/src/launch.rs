//! Launching a process: a container's first by Create, an added one by Start.
//!
//! Streams are opened, a logging program (if one takes them) is waited for, then a child calls the runtime. What it
//! made is entered here when the child is reaped, with the exits that came before anybody knew whose they were.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::runtime::{Console, Created, Deletion};
use bytes::Bytes;
use kernel::mount::Mount;
use kernel::trace;
use model::{Error, Result};
use oci::runtime::Process as Document;

use crate::container::{Container, Exited, Key, Process, Reply};
use crate::dispatch::{Asked, not_created};
use crate::job::{Given, Job};
use crate::log;
use crate::orders::{FailedLaunch, Purpose};
use crate::rootfs;
use crate::shim::{Alarm, Shim, Source, signal};
use crate::site::Site;
use crate::state::Event;
use crate::stdio::console::{self, ConsoleEnd, Theirs};
use crate::stdio::logger::{Logger, Report};
use crate::stdio::open::{Kept, Opened, READY_SECS};
use crate::stdio::target::Request;
use crate::streams::Moving;
use crate::timers::TimerId;

/// A process to be launched.
#[derive(Debug)]
pub struct Launch {
    /// Which.
    pub key: Key,
    /// Who asked.
    pub asked: Asked,
    /// Its container.
    pub site: Site,
    /// Its streams as they were asked for.
    pub request: Request,
    /// Its streams.
    pub opened: Opened,
    /// What the runtime is asked for.
    pub what: What,
}

/// A launch that waits for its logging program.
#[derive(Debug)]
pub struct Staged {
    launch: Launch,
    /// Rings when that program took too long.
    timer: TimerId,
}

/// What the runtime is asked for.
#[derive(Debug)]
pub enum What {
    /// A new container.
    Create(Box<Creation>),
    /// One more process, as JSON.
    Exec(Bytes),
}

/// What a new container is made of.
#[derive(Debug)]
pub struct Creation {
    /// Mounts that make its root file system.
    pub rootfs: Vec<wire::api::types::Mount>,
    /// Content of `options.json`.
    pub options_json: String,
    /// Content of `runtime`.
    pub program: String,
}

/// A launch whose child is under way.
#[derive(Debug)]
pub struct Launched {
    /// Which process.
    pub key: Key,
    /// Who asked.
    pub reply: Reply,
    site: Site,
    request: Request,
    kept: Kept,
    console: Option<ConsoleEnd>,
    what: What,
}

impl Shim {
    /// Launches a process once its logging program, if any, is ready.
    pub(crate) fn launch(&mut self, mut launch: Launch) -> Result<()> {
        if let Some(logger) = &mut launch.opened.kept.logger {
            self.loggers.insert(logger.pid, launch.key.clone());
            if let Some(ready) = &logger.ready {
                let token = self
                    .poller
                    .add(ready, crate::poller::Interest::Read)
                    .map_err(|e| Error::io("watch", "the logging binary", e))?;
                self.sources.insert(token, Source::Report(launch.key.clone()));
                let until = Instant::now() + Duration::from_secs(READY_SECS);
                let timer = self.timers.set(until, Alarm::Report(launch.key.clone()));
                self.staged.insert(launch.key.clone(), Staged { launch, timer });
                return Ok(());
            }
        }
        self.launch_now(launch)
    }

    /// A logging program has written or gone.
    pub(crate) fn report(&mut self, key: &Key) {
        let Some(staged) = self.staged.get_mut(key) else { return };
        let Some(logger) = &mut staged.launch.opened.kept.logger else { return };
        match logger.report() {
            Report::Pending => {}
            Report::Ready => {
                if let Some(launch) = self.unstage(key) {
                    let (key, reply) = (launch.key.clone(), launch.asked.reply);
                    if let Err(error) = self.launch_now(launch) {
                        self.launch_failed(FailedLaunch { key, reply, error });
                    }
                }
            }
            Report::Dead => self.give_up_report(key),
        }
    }

    /// A logging program will not report any more.
    pub(crate) fn give_up_report(&mut self, key: &Key) {
        if let Some(launch) = self.unstage(key) {
            if let Some(logger) = &launch.opened.kept.logger {
                self.kill_logger(logger.pid);
            }
            let failed = FailedLaunch { key: key.clone(), reply: launch.asked.reply, error: Logger::dead() };
            self.launch_failed(failed);
        }
    }

    fn unstage(&mut self, key: &Key) -> Option<Launch> {
        self.sources.retain(|_, source| *source != Source::Report(key.clone()));
        let Staged { launch, timer } = self.staged.remove(key)?;
        // Left to ring, it would mean the next process of that name.
        self.timers.cancel(timer);
        Some(launch)
    }

    fn launch_now(&mut self, launch: Launch) -> Result<()> {
        let Launch { key, asked, site, request, opened: Opened { ends, kept }, what } = launch;
        let (console, theirs) = match request.terminal {
            true => console::pair(&site).map(|(end, console)| (Some(end), console))?,
            false => (None, Theirs::None),
        };
        let given = Given { ends: Some(&ends), extra: theirs.fd() };
        let spawned = Job::spawn(&given, || match &what {
            What::Create(creation) => create(&site, creation, theirs.console()?),
            What::Exec(document) => exec(&site, &key.exec, document, theirs.console()?),
        });
        match spawned {
            Ok(job) => {
                let launched = Launched { key, reply: asked.reply, site, request, kept, console, what };
                self.work(job, asked.deadline, Purpose::Launch(Box::new(launched)))
            }
            Err(error) => {
                if let Some(logger) = &kept.logger {
                    self.kill_logger(logger.pid);
                }
                Err(error)
            }
        }
    }

    /// Enters what a launch has made.
    pub(crate) fn launched(&mut self, launched: Launched, output: Result<Vec<u8>>) {
        let made = output.and_then(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let made = Made::parse(&text).ok_or_else(|| Error::internal("the runtime told no process"))?;
            let console = launched.console.as_ref().map(ConsoleEnd::receive).transpose()?;
            if launched.key.is_init() && self.abandoned.contains(&launched.key.container) {
                return Err(Error::cancelled("create"));
            }
            Ok((made, console))
        });
        match made {
            Ok((made, console)) => self.enter(launched, made, console),
            Err(error) => {
                if let Some(logger) = &launched.kept.logger {
                    self.kill_logger(logger.pid);
                }
                let failed = FailedLaunch { key: launched.key, reply: launched.reply, error };
                match launched.what {
                    What::Create(_) => self.sweep_up(launched.site, failed),
                    What::Exec(_) => self.launch_failed(failed),
                }
            }
        }
    }

    pub(crate) fn launch_failed(&mut self, failed: FailedLaunch) {
        let FailedLaunch { key, reply, error } = failed;
        let key = &key;
        let mut is_abandoned = false;
        if key.is_init() {
            self.creating.retain(|id| *id != key.container);
            is_abandoned = self.abandoned.remove(&key.container);
        }
        let text = error.text().to_owned();
        let kind = error.kind();
        if let Some(process) = self.process(key).filter(|_| !key.is_init()) {
            process.starting = false;
            process.failure = Some(Error::new(kind, text));
            let waiters = std::mem::take(&mut process.waiters);
            for waiter in waiters {
                self.answer(waiter, Ok(crate::queries::wait_response(None)));
            }
        }
        self.answer(reply, Err(error));
        self.forget_strays();
        self.release_init_exit(&key.container);
        if is_abandoned {
            self.end_if_idle();
        }
    }

    /// Takes away what a failed or overdue creation may have left. Its caller hears of the failure only then: the next
    /// task of that name, in another shim, is not to lose its root to this.
    fn sweep_up(&mut self, site: Site, failed: FailedLaunch) {
        let (key, reply) = (failed.key.clone(), failed.reply);
        let work = || {
            let _ = site.delete(Deletion::Force);
            rootfs::unmount(&site.bundle)?;
            Ok(Vec::new())
        };
        let swept = Job::spawn(&Given::default(), work)
            .and_then(|job| self.work(job, None, Purpose::SweepUp(Box::new(failed))));
        if let Err(error) = swept {
            log::error(error.text());
            self.launch_failed(FailedLaunch { key, reply, error });
        }
    }

    fn enter(&mut self, launched: Launched, made: Made, console: Option<OwnedFd>) {
        let Launched { key, reply, site, request, mut kept, what, .. } = launched;
        let pid = made.pid;
        let (pumps, terminal) = (std::mem::take(&mut kept.pumps), kept.terminal.take());
        let moving = Moving { pumps, terminal: terminal.zip(console) };
        match what {
            What::Create(creation) => {
                self.pids.insert(pid, key.clone());
                let mut init = Process::recorded(request, Bytes::new());
                (init.pid, init.kept) = (pid, kept);
                self.creating.retain(|id| *id != key.container);
                self.containers.insert(key.container.clone(), container(site, init, &made));
                self.watch_memory(&key.container);
                self.attach(&key, moving);
                self.created(&key, reply, creation.rootfs);
            }
            What::Exec(_) => {
                let Some(process) = self.process(&key) else {
                    let logger = kept.logger.map(|logger| logger.pid);
                    return self.disown(pid, logger, reply);
                };
                if process.input_closed {
                    kept.stdin_holder = None;
                }
                (process.pid, process.kept, process.starting) = (pid, kept, false);
                process.state = process.state.next(Event::Started).unwrap_or(process.state);
                process.document = Bytes::new();
                self.pids.insert(pid, key.clone());
                self.attach(&key, moving);
                self.exec_started(&key, reply);
            }
        }
        self.meet_stray(pid);
        self.release_held(&key);
    }

    /// Ends a process whose container was removed while it was being added.
    fn disown(&mut self, pid: i32, logger: Option<i32>, reply: Reply) {
        if !self.strays.iter().any(|(exit, _)| exit.pid == pid) {
            signal(pid, libc::SIGKILL);
        }
        if let Some(logger) = logger {
            self.kill_logger(logger);
        }
        self.answer(reply, Err(not_created()));
        self.forget_strays();
    }

    /// An exit that was noticed before its process was known.
    fn meet_stray(&mut self, pid: i32) {
        if let Some(index) = self.strays.iter().position(|(exit, _)| exit.pid == pid) {
            let (exit, at) = self.strays.swap_remove(index);
            self.process_exited(pid, Exited { status: exit.status as u32, at });
        }
        self.forget_strays();
    }

    /// Without launches under way no unknown child can become a known one.
    fn forget_strays(&mut self) {
        let launching = self.jobs.values().any(|working| matches!(working.purpose, Purpose::Launch(_)));
        if !launching {
            self.strays = Vec::new();
        }
    }

    /// Sends a logging program away that has nothing to log.
    pub(crate) fn kill_logger(&mut self, pid: i32) {
        if self.loggers.contains_key(&pid) {
            signal(pid, libc::SIGKILL);
        }
    }
}

fn container(site: Site, init: Process, made: &Made) -> Container {
    Container {
        site,
        init,
        execs: Default::default(),
        private_pids: made.private_pids,
        swept: false,
        busy: false,
        orders: Default::default(),
        cgroup: made.cgroup.clone(),
        oom: None,
    }
}

/// In the child: makes the bundle ready, mounts the root file system and creates the container.
fn create(site: &Site, creation: &Creation, console: Console) -> Result<Vec<u8>> {
    let id = site.id.as_str();
    trace::during("job.fill-bundle", id, || {
        rootfs::prepare(&site.bundle, &creation.options_json, &creation.program)
    })?;
    let mount = |m: &wire::api::types::Mount| Mount {
        kind: m.r#type.clone(),
        source: m.source.clone(),
        target: m.target.clone(),
        options: m.options.clone(),
    };
    let mounts: Vec<Mount> = creation.rootfs.iter().map(mount).collect();
    trace::during("job.mount-rootfs", id, || rootfs::mount(&site.bundle, &mounts))?;
    match trace::during("job.create", id, || site.create(console)) {
        Ok(created) => Ok(Made::of(&created).to_text().into_bytes()),
        Err(error) => match rootfs::unmount(&site.bundle) {
            Ok(()) => Err(error),
            Err(second) => Err(error.beside(second)),
        },
    }
}

/// In the child: adds a process.
fn exec(site: &Site, exec_id: &str, json: &[u8], console: Console) -> Result<Vec<u8>> {
    let mut document: Document =
        serde_json::from_slice(json).map_err(|e| Error::unknown(format!("read process: {e}")))?;
    document.terminal = !matches!(console, Console::None);
    let pid = trace::during("job.exec", exec_id, || site.exec(exec_id, &document, console))?;
    Ok(Made { pid, ..Made::default() }.to_text().into_bytes())
}

/// What the child tells of what it made.
#[derive(Debug, Default, PartialEq, Eq)]
struct Made {
    pid: i32,
    private_pids: bool,
    /// Directories of the control group, a line each: `controller=/path`.
    cgroup: String,
}

impl Made {
    fn of(created: &Created) -> Self {
        let line = |(controller, path): (&String, &PathBuf)| format!("{controller}={}\n", path.display());
        let cgroup = created.cgroups.iter().map(line).collect();
        Self { pid: created.pid, private_pids: created.private_pids, cgroup }
    }

    fn to_text(&self) -> String {
        let private = if self.private_pids { "private-pids\n" } else { "shared-pids\n" };
        format!("{}\n{private}{}", self.pid, self.cgroup)
    }

    fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once('\n')?;
        let (private, cgroup) = rest.split_once('\n')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
        Some(Self { pid, private_pids: private == "private-pids", cgroup: cgroup.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_survives_the_pipe() {
        let cgroup = "memory=/sys/fs/cgroup/memory/a b\n=/sys/fs/cgroup/u\n".to_owned();
        let made = Made { pid: 7, private_pids: true, cgroup };
        assert_eq!(Made::parse(&made.to_text()), Some(made));
        assert_eq!(Made::parse("0\n\n"), None);
    }
}
