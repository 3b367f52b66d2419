//! What the shim knows of its containers and their processes. No behaviour beyond looking up.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use ::runtime::Target;
use bytes::Bytes;
use model::Error;

use crate::oom::OomWatch;
use crate::poller::Token;
use crate::site::Site;
use crate::state::State;
use crate::stdio::open::Kept;
use crate::stdio::target::Request;
use crate::timers::TimerId;

/// Names a process: a container's first one, or one added to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The container's id.
    pub container: String,
    /// The exec id; empty for the first process.
    pub exec: String,
}

impl Key {
    /// A container's first process.
    pub fn init(container: &str) -> Self {
        Self { container: container.to_owned(), exec: String::new() }
    }

    /// Whether this is a container's first process.
    pub fn is_init(&self) -> bool {
        self.exec.is_empty()
    }

    /// What events and states call the process.
    pub fn id(&self) -> &str {
        if self.is_init() { &self.container } else { &self.exec }
    }
}

/// A call that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The connection's token.
    pub connection: Token,
    /// The call's number there.
    pub stream_id: u32,
}

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Exit code, or 128 + signal.
    pub status: u32,
    /// When it was noticed.
    pub at: SystemTime,
}

/// A removal under way.
#[derive(Debug)]
pub struct Deletion {
    /// Who asked.
    pub reply: Reply,
    /// How the process had ended when it was asked.
    pub exited: Option<Exited>,
    /// Whether the runtime has removed its part.
    pub removed: bool,
    /// Whether output is waited for no longer.
    pub overdue: bool,
    /// Rings when that time is over.
    pub timer: TimerId,
    /// Hang-up watches are in place.
    pub watching: bool,
    /// Until when clients may read what lies in the fifos, once output has ended.
    pub read_by: Option<Instant>,
    /// The logging program is being ended.
    pub ending_logger: bool,
}

/// A process.
#[derive(Debug)]
pub struct Process {
    /// Where it stands.
    pub state: State,
    /// Its number, 0 before it has one.
    pub pid: i32,
    /// Its streams as they were asked for.
    pub request: Request,
    /// Its client has said that no more input comes; it may say so before the process runs.
    pub input_closed: bool,
    /// What is kept of its streams.
    pub kept: Kept,
    /// The terminal's master.
    pub console: Option<OwnedFd>,
    /// How it ended.
    pub exited: Option<Exited>,
    /// An exit that may not be told yet.
    pub held: Option<Exited>,
    /// Its start is under way: exits are held until it is done.
    pub starting: bool,
    /// Why it could not be started.
    pub failure: Option<Error>,
    /// Calls that wait for its end.
    pub waiters: Vec<Reply>,
    /// Its removal.
    pub deletion: Option<Deletion>,
    /// Added processes: what to run, as JSON.
    pub document: Bytes,
}

impl Process {
    /// A process that is only recorded.
    pub fn recorded(request: Request, document: Bytes) -> Self {
        Self {
            state: State::Created,
            pid: 0,
            request,
            input_closed: false,
            kept: Kept::default(),
            console: None,
            exited: None,
            held: None,
            starting: false,
            failure: None,
            waiters: Vec::new(),
            deletion: None,
            document,
        }
    }
}

/// A request on a container that excludes others.
#[derive(Debug)]
pub struct Order {
    /// Who asked.
    pub reply: Reply,
    /// When nobody waits any longer.
    pub deadline: Option<Instant>,
    /// What is to be done.
    pub verb: OrderVerb,
}

/// What an order does.
#[derive(Debug)]
pub enum OrderVerb {
    /// Run the program.
    Start,
    /// Remove.
    Delete,
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Change limits, given as JSON.
    Update(Bytes),
    /// Send a signal through the runtime.
    Kill(i32, Target),
    /// Dump, as the options say.
    Checkpoint(Box<Checkpoint>),
}

/// A dump to be made.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where the image goes.
    pub path: String,
    /// How.
    pub options: wire::api::runc::CheckpointOptions,
}

/// A container.
#[derive(Debug)]
pub struct Container {
    /// It and its runtime.
    pub site: Site,
    /// Its first process.
    pub init: Process,
    /// Added processes by exec id.
    pub execs: BTreeMap<String, Process>,
    /// Its pid namespace is its own, so that the kernel ends all processes with the first.
    pub private_pids: bool,
    /// The remaining processes are being killed, or were.
    pub swept: bool,
    /// An order is being carried out.
    pub busy: bool,
    /// Orders that wait.
    pub orders: VecDeque<Order>,
    /// Directories of its control group, a line each: `controller=/path`.
    pub cgroup: String,
    /// Watch for memory running out.
    pub oom: Option<(OomWatch, Token)>,
}

impl Container {
    /// A process by exec id.
    pub fn process(&mut self, exec: &str) -> Option<&mut Process> {
        if exec.is_empty() { Some(&mut self.init) } else { self.execs.get_mut(exec) }
    }

    /// Whether added processes run or are being started.
    pub fn has_running_execs(&self) -> bool {
        self.execs.values().any(|exec| exec.starting || exec.state == State::Running)
    }

    /// The bundle directory.
    pub fn bundle(&self) -> &PathBuf {
        &self.site.bundle
    }
}
