//! The serving process: one loop, one thread, everything it owns.
//!
//! Readiness comes in by tokens ([`Source`]), time by alarms ([`Alarm`]); what they mean is written in the files of
//! the nouns: calls in `dispatch`, children in `exits` and `launch`, orders in `orders`, streams in `streams`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use kernel::process::Exit;
use kernel::signal::SignalFd;
use model::{Error, Result};
use ttrpc::server_sync::{Connection, accept};

use crate::container::{Container, Key, Reply};
use crate::events::{TaskEvent, envelope};
use crate::forward::{Forwarder, Link};
use crate::job::Job;
use crate::launch::Staged;
use crate::log;
use crate::orders::Purpose;
use crate::poller::{Interest, Poller, Token};
use crate::streams::Running;
use crate::timers::{TimerId, Timers};

/// How long events may take to leave when the shim is asked to end.
const FLUSH: Duration = Duration::from_secs(4);

/// How long no client is taken after one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// Who becomes ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Signals.
    Signals,
    /// A client connects.
    Listener,
    /// A client speaks, or can be answered.
    Connection,
    /// The daemon's event service.
    Forwarder,
    /// A job writes.
    Job(i32),
    /// One side of a pump.
    Pump(u32),
    /// All writers of an output fifo are gone.
    HangUp(Key),
    /// A logging program reports.
    Report(Key),
    /// A container runs out of memory.
    Oom(String),
}

/// What time brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Clients are taken again.
    Accept,
    /// The caller of a job gives up.
    Job(i32),
    /// Output is waited for no longer.
    Drain(Key),
    /// A client may have read on.
    Look(Key),
    /// Look whether a client has read what lay in the fifos of a process that is being removed.
    Reading(Key),
    /// A logging program did not report.
    Report(Key),
    /// A logging program is asked to end.
    LoggerEnd(i32),
    /// A logging program is made to end.
    LoggerKill(i32),
}

/// A child under way.
#[derive(Debug)]
pub struct Working {
    /// Its pipe and output.
    pub job: Job,
    /// The pipe's token.
    pub token: Token,
    /// What its end means.
    pub purpose: Purpose,
    /// Rings when its caller gives up.
    pub timer: Option<TimerId>,
    /// It has rung.
    pub overdue: bool,
}

/// A client and what is waited for on its socket.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    interest: Interest,
}

/// What a serving process is told at its birth.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of all containers.
    pub namespace: String,
    /// Path of the listening socket; removed in the end.
    pub socket: PathBuf,
    /// Path of the daemon's event service; empty discards events.
    pub events: String,
}

/// The serving process.
#[derive(Debug)]
pub struct Shim {
    /// Namespace of all containers.
    pub namespace: String,
    pub(crate) poller: Poller,
    pub(crate) sources: BTreeMap<Token, Source>,
    pub(crate) timers: Timers<Alarm>,
    pub(crate) containers: BTreeMap<String, Container>,
    /// Containers whose creation is under way.
    pub(crate) creating: Vec<String>,
    /// Those of them that the daemon gave up: they are taken away again, and the shim ends.
    pub(crate) abandoned: BTreeSet<String>,
    /// Launches that wait for a logging program.
    pub(crate) staged: BTreeMap<Key, Staged>,
    pub(crate) jobs: BTreeMap<i32, Working>,
    /// Children of jobs that are done, on their way out.
    pub(crate) leaving: BTreeSet<i32>,
    /// Processes of containers.
    pub(crate) pids: BTreeMap<i32, Key>,
    /// Logging programs.
    pub(crate) loggers: BTreeMap<i32, Key>,
    pub(crate) pumps: BTreeMap<u32, Running>,
    pub(crate) next_pump: u32,
    /// Children nobody knows yet: perhaps those of launches under way.
    pub(crate) strays: Vec<(Exit, SystemTime)>,
    clients: BTreeMap<Token, Client>,
    socket: PathBuf,
    listener: Option<UnixListener>,
    signals: SignalFd,
    forwarder: Forwarder,
    forwarding: Option<(Token, Link)>,
    /// When the shim ends even if events wait.
    ending: Option<Instant>,
}

impl Shim {
    /// Serves a listening socket. Signals SIGCHLD, SIGTERM and SIGINT are blocked from here on.
    pub fn new(settings: Settings, listener: UnixListener) -> Result<Self> {
        let signals = SignalFd::open(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGUSR1])
            .map_err(|e| Error::unknown(e.to_string()))?;
        let poller = Poller::new().map_err(|e| Error::io("open", "epoll", e))?;
        let mut shim = Self {
            namespace: settings.namespace,
            poller,
            sources: BTreeMap::new(),
            timers: Timers::default(),
            containers: BTreeMap::new(),
            creating: Vec::new(),
            abandoned: BTreeSet::new(),
            staged: BTreeMap::new(),
            jobs: BTreeMap::new(),
            leaving: BTreeSet::new(),
            pids: BTreeMap::new(),
            loggers: BTreeMap::new(),
            pumps: BTreeMap::new(),
            next_pump: 0,
            strays: Vec::new(),
            clients: BTreeMap::new(),
            socket: settings.socket,
            listener: None,
            signals,
            forwarder: Forwarder::new(&settings.events),
            forwarding: None,
            ending: None,
        };
        let watched = |e| Error::io("watch", "the shim's socket", e);
        let token = shim.poller.add(&shim.signals, Interest::Read).map_err(watched)?;
        shim.sources.insert(token, Source::Signals);
        let token = shim.poller.add(&listener, Interest::Read).map_err(watched)?;
        shim.sources.insert(token, Source::Listener);
        shim.listener = Some(listener);
        Ok(shim)
    }

    /// Runs until the shim is told to end.
    pub fn run(&mut self) -> Result<()> {
        while !self.is_done() {
            let ready = self.poller.wait(self.patience()).map_err(|e| Error::io("wait", "epoll", e))?;
            for token in ready {
                self.handle(token);
            }
            let now = Instant::now();
            while let Some(alarm) = self.timers.ring(now) {
                self.alarm(alarm);
            }
            self.forward(now);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let Some(until) = self.ending else { return false };
        let quiet = self.forwarder.is_empty() && self.clients.values().all(|c| !c.connection.wants_write());
        quiet || Instant::now() >= until
    }

    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let left = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        [self.timers.wait(now), left(self.forwarder.deadline()), left(self.ending)]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle(&mut self, token: Token) {
        // A source that went away in the same round is no longer known.
        let Some(source) = self.sources.get(&token).cloned() else { return };
        match source {
            Source::Signals => self.take_signals(),
            Source::Listener => self.take_clients(),
            Source::Connection => self.serve(token),
            Source::Forwarder => {}
            Source::Job(pid) => self.job_wrote(pid),
            Source::Pump(id) => self.run_pump(id),
            Source::HangUp(key) => {
                self.sources.remove(&token);
                self.hung_up(&key);
            }
            Source::Report(key) => self.report(&key),
            Source::Oom(id) => self.out_of_memory(&id),
        }
    }

    fn alarm(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Accept => self.watch_listener(Interest::Read),
            Alarm::Job(pid) => {
                if let Some(working) = self.jobs.get_mut(&pid) {
                    working.overdue = true;
                    working.job.kill();
                }
            }
            Alarm::Drain(key) => {
                if let Some(deletion) = self.process(&key).and_then(|p| p.deletion.as_mut()) {
                    deletion.overdue = true;
                }
                self.advance_deletion(&key);
            }
            Alarm::Look(key) => self.look(&key),
            Alarm::Reading(key) => self.advance_deletion(&key),
            Alarm::Report(key) => self.give_up_report(&key),
            Alarm::LoggerEnd(pid) => self.end_logger(pid, libc::SIGTERM),
            Alarm::LoggerKill(pid) => self.end_logger(pid, libc::SIGKILL),
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(number)) = self.signals.read() {
            match number {
                libc::SIGTERM | libc::SIGINT => self.end(),
                libc::SIGUSR1 => self.describe(),
                // Signals of one kind melt into one; children are counted by reaping.
                _ => {}
            }
        }
        self.reap();
    }

    /// Stops taking clients; the loop ends when answers and events have left. The socket goes first, so that nobody
    /// joins a shim that ends.
    pub(crate) fn end(&mut self) {
        if let Some(listener) = self.listener.take() {
            remove_socket(&self.socket);
            self.poller.remove(&listener);
        }
        self.ending.get_or_insert_with(|| Instant::now() + FLUSH);
    }

    /// Whether the shim has been told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    fn describe(&self) {
        let counts = [
            ("containers", self.containers.len()),
            ("clients", self.clients.len()),
            ("jobs", self.jobs.len()),
            ("timers", self.timers.count()),
            ("pumps", self.pumps.len()),
            ("sources", self.sources.len()),
        ];
        log::warn(&format!("asked for the state: {counts:?}"));
    }

    fn take_clients(&mut self) {
        loop {
            let Some(listener) = &self.listener else { return };
            match accept(listener) {
                Ok(Some(connection)) => {
                    let Ok(token) = self.poller.add(&connection, Interest::Read) else { continue };
                    self.sources.insert(token, Source::Connection);
                    self.clients.insert(token, Client { connection, interest: Interest::Read });
                }
                Ok(None) => return,
                Err(e) => {
                    // Mostly want of descriptors: the client stays in the queue, which would wake the loop for ever.
                    log::error(&format!("no client is taken for {PAUSE:?}: accept: {e}"));
                    self.watch_listener(Interest::HangUp);
                    self.timers.set(Instant::now() + PAUSE, Alarm::Accept);
                    return;
                }
            }
        }
    }

    fn watch_listener(&mut self, interest: Interest) {
        let Some(listener) = &self.listener else { return };
        let token = self.sources.iter().find(|(_, source)| **source == Source::Listener);
        if let Some((token, _)) = token
            && let Err(e) = self.poller.modify(listener, *token, interest)
        {
            log::error(Error::io("watch", &self.socket, e).text());
        }
    }

    fn serve(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        let calls = match client.connection.write_ready().and_then(|()| client.connection.read_ready()) {
            Ok(calls) => calls,
            Err(_) => return self.drop_client(token),
        };
        for call in calls {
            self.dispatch(token, call);
        }
        match self.clients.get(&token) {
            Some(client) if client.connection.is_ended() => self.drop_client(token),
            _ => self.watch_client(token),
        }
    }

    fn drop_client(&mut self, token: Token) {
        self.sources.remove(&token);
        if let Some(client) = self.clients.remove(&token) {
            self.poller.remove(&client.connection);
        }
        for container in self.containers.values_mut() {
            container.init.waiters.retain(|reply| reply.connection != token);
            for exec in container.execs.values_mut() {
                exec.waiters.retain(|reply| reply.connection != token);
            }
        }
    }

    fn watch_client(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        let wanted = Interest::new(client.connection.wants_read(), client.connection.wants_write());
        if wanted != client.interest && self.poller.modify(&client.connection, token, wanted).is_ok() {
            client.interest = wanted;
        }
    }

    /// Answers a call; a client that is gone is no error.
    pub(crate) fn answer(&mut self, reply: Reply, result: Result<Vec<u8>>) {
        let Some(client) = self.clients.get_mut(&reply.connection) else { return };
        let result = result.map(Bytes::from).map_err(|e| wire::status::to_ttrpc(&e));
        match client.connection.respond(reply.stream_id, result) {
            Ok(()) => self.watch_client(reply.connection),
            Err(_) => self.drop_client(reply.connection),
        }
    }

    /// Tells the daemon.
    pub(crate) fn publish<E: TaskEvent>(&mut self, event: &E) {
        self.forwarder.push(envelope(&self.namespace, event));
    }

    fn forward(&mut self, now: Instant) {
        self.forwarder.step(now);
        let wanted = self.forwarder.connection();
        if wanted.map(|(_, link)| link) == self.forwarding.map(|(_, link)| link) {
            return;
        }
        let old = self.forwarding.take();
        if let (Some((fd, link)), Some((token, was))) = (wanted, old)
            && link.number == was.number
            && self.poller.modify(fd, token, Interest::new(true, link.write)).is_ok()
        {
            self.forwarding = Some((token, link));
            return;
        }
        if let Some((token, _)) = old {
            self.sources.remove(&token);
        }
        if let Some((fd, link)) = wanted
            && let Ok(token) = self.poller.add(fd, Interest::new(true, link.write))
        {
            self.sources.insert(token, Source::Forwarder);
            self.forwarding = Some((token, link));
        }
    }

    /// A process by its key.
    pub(crate) fn process(&mut self, key: &Key) -> Option<&mut crate::container::Process> {
        self.containers.get_mut(&key.container)?.process(&key.exec)
    }
}

/// Removes a socket's file; one that is gone is no error.
pub fn remove_socket(path: &Path) {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => log::warn(Error::io("remove", path, e).text()),
        _ => {}
    }
}

/// Sends a signal to a child of ours that is not reaped yet, so that its number cannot mean another.
pub(crate) fn signal(pid: i32, number: i32) {
    if let Err(error) = kernel::process::kill(pid, number) {
        log::warn(&error.to_string());
    }
}
