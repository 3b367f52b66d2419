//! Requests on a container that exclude each other: one is carried out at a time, the others wait in order.

use std::time::Instant;

use ::runtime::{Deletion as Manner, Target};
use kernel::trace;
use model::{Error, Result};
use wire::api::event::{TaskCheckpointed, TaskPaused, TaskResumed, TaskStart};
use wire::api::task_v3 as api;

use crate::checkpoint;
use crate::container::{Key, Order, OrderVerb};
use crate::dispatch::{Answer, Asked, message, not_created};
use crate::job::{Given, Job, Output, Said};
use crate::launch::Launched;
use crate::log;
use crate::poller::Interest;
use crate::rootfs;
use crate::shim::{Alarm, Shim, Source, Working};
use crate::site::{Runtime, Site};
use crate::state::{Event, State, Verb};

/// Orders of one container that may wait.
const WAITING: usize = 64;

/// What the end of a job means.
#[derive(Debug)]
pub enum Purpose {
    /// A process was launched.
    Launch(Box<Launched>),
    /// An order of a container was carried out.
    Order(String, Box<Order>),
    /// The processes of a container whose first one is gone were killed.
    Sweep(String),
    /// The child has made the answer to a call.
    Answer(crate::container::Reply),
    /// A container frozen at its end was thawed.
    Thaw,
    /// What a failed creation left was taken away; now its caller hears of the failure.
    SweepUp(Box<FailedLaunch>),
}

/// A launch that failed.
#[derive(Debug)]
pub struct FailedLaunch {
    /// Of which process.
    pub key: Key,
    /// Whom to tell.
    pub reply: crate::container::Reply,
    /// Why.
    pub error: Error,
}

impl Shim {
    /// Enters a job under way.
    pub(crate) fn work(&mut self, job: Job, deadline: Option<Instant>, purpose: Purpose) -> Result<()> {
        let pid = job.pid;
        let watched = self.poller.add(&job, Interest::Read);
        let token = match watched {
            Ok(token) => token,
            Err(e) => {
                job.kill();
                return Err(Error::io("watch", "a runtime call", e));
            }
        };
        self.sources.insert(token, Source::Job(pid));
        let timer = deadline.map(|at| self.timers.set(at, Alarm::Job(pid)));
        self.jobs.insert(pid, Working { job, token, purpose, timer, overdue: false });
        Ok(())
    }

    /// A job's child has written, or closed its pipe.
    pub(crate) fn job_wrote(&mut self, pid: i32) {
        let Some(working) = self.jobs.get_mut(&pid) else { return };
        match working.job.collect() {
            Said::Part => {}
            Said::Nothing => {
                self.sources.remove(&working.token);
                self.poller.remove(&working.job);
            }
            Said::All => {
                if let Some(working) = self.jobs.remove(&pid) {
                    self.leaving.insert(pid);
                    self.job_done(working, 0);
                }
            }
        }
    }

    /// A job's child has said all, or was reaped.
    pub(crate) fn job_done(&mut self, working: Working, status: i32) {
        let Working { job, token, purpose, timer, overdue } = working;
        self.sources.remove(&token);
        self.poller.remove(&job);
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        let mut output = job.finish(status);
        if overdue && output.is_err() {
            output = Err(Error::new(model::Kind::DeadlineExceeded, "context deadline exceeded"));
        }
        match purpose {
            Purpose::Launch(launched) => self.launched(*launched, output),
            Purpose::Order(id, order) => self.ordered(&id, *order, output),
            Purpose::Sweep(id) => self.swept(&id, output),
            Purpose::Answer(reply) => self.answer(reply, output),
            Purpose::Thaw => {
                if let Err(error) = output {
                    log::warn(error.text());
                }
            }
            Purpose::SweepUp(failed) => {
                if let Err(error) = output {
                    log::warn(error.text());
                }
                self.launch_failed(*failed);
            }
        }
    }

    /// Takes an order: it is carried out when those before it are.
    pub(crate) fn order(&mut self, asked: Asked, id: &str, verb: OrderVerb) -> Answer {
        let container = self.containers.get_mut(id).ok_or_else(not_created)?;
        if container.orders.len() >= WAITING {
            return Err(Error::unavailable(format!("{WAITING} requests wait for container {id} already")));
        }
        container.orders.push_back(Order { reply: asked.reply, deadline: asked.deadline, verb });
        self.next_order(id);
        Ok(None)
    }

    /// Carries out the next order that may run; refuses those before it.
    pub(crate) fn next_order(&mut self, id: &str) {
        loop {
            let Some(container) = self.containers.get_mut(id).filter(|c| !c.busy) else { return };
            let Some(order) = container.orders.pop_front() else { return };
            let reply = order.reply;
            match self.carry_out(id, order) {
                Ok(()) => return,
                Err(error) => self.answer(reply, Err(error)),
            }
        }
    }

    fn carry_out(&mut self, id: &str, order: Order) -> Result<()> {
        let container = self.containers.get_mut(id).ok_or_else(not_created)?;
        container.init.state.admit_init(admission(&order.verb))?;
        let site = container.site.clone();
        if matches!(order.verb, OrderVerb::Start) && site.runtime == Runtime::Embedded {
            // It never waits, and a child only for it would cost more than it does.
            let started = trace::during("shim.start", id, || site.start());
            self.ordered(id, order, started.map(|()| Vec::new()));
            return Ok(());
        }
        let spawned = match &order.verb {
            OrderVerb::Start => spawn(|| site.start()),
            OrderVerb::Delete => spawn(|| remove(&site)),
            OrderVerb::Pause => spawn(|| site.pause()),
            OrderVerb::Resume => spawn(|| site.resume()),
            OrderVerb::Update(json) => spawn(|| site.update(json)),
            OrderVerb::Kill(number, target) => {
                let paused = container.init.state == State::Paused && *number == libc::SIGKILL;
                spawn(|| kill(&site, *number, *target, paused))
            }
            OrderVerb::Checkpoint(wanted) => spawn(|| checkpoint::dump(&site, wanted)),
        };
        let job = spawned?;
        let (reply, deadline) = (order.reply, order.deadline);
        let of = |verb| admission(&order.verb) == verb;
        let (starts, pauses, deletes) = (of(Verb::Start), of(Verb::Pause), of(Verb::Delete));
        self.work(job, deadline, Purpose::Order(id.to_owned(), Box::new(order)))?;
        // Only now: what is not under way never ends and would hold up all that comes after it.
        let container = self.containers.get_mut(id).ok_or_else(not_created)?;
        container.busy = true;
        container.init.starting |= starts;
        if pauses {
            pass(&mut container.init.state, Event::PauseBegun);
        }
        if deletes {
            self.begin_deletion(&Key::init(id), reply);
        }
        Ok(())
    }

    fn ordered(&mut self, id: &str, order: Order, output: Output) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.busy = false;
        let Order { reply, verb, .. } = order;
        let key = Key::init(id);
        match verb {
            OrderVerb::Start => {
                container.init.starting = false;
                let pid = container.init.pid;
                match output {
                    Ok(_) => {
                        pass(&mut container.init.state, Event::Started);
                        let pid = pid.unsigned_abs();
                        self.answer_message(reply, &api::StartResponse { pid });
                        self.publish(&TaskStart { container_id: id.to_owned(), pid });
                    }
                    Err(error) => self.answer(reply, Err(error)),
                }
                self.release_held(&key);
            }
            OrderVerb::Delete => return self.deletion_removed(&key, output),
            OrderVerb::Pause => {
                let event = if output.is_ok() { Event::Paused } else { Event::Resumed };
                // It may have exited meanwhile.
                if container.init.state == State::Pausing {
                    pass(&mut container.init.state, event);
                }
                if output.is_ok() {
                    self.publish(&TaskPaused { container_id: id.to_owned() });
                }
                self.answer(reply, output.map(|_| Vec::new()));
            }
            OrderVerb::Resume => {
                if output.is_ok() {
                    if container.init.state == State::Paused {
                        pass(&mut container.init.state, Event::Resumed);
                    }
                    self.publish(&TaskResumed { container_id: id.to_owned() });
                }
                self.answer(reply, output.map(|_| Vec::new()));
            }
            OrderVerb::Checkpoint(wanted) => {
                if output.is_ok() {
                    self.publish(&TaskCheckpointed { container_id: id.to_owned(), checkpoint: wanted.path });
                }
                self.answer(reply, output.map(|_| Vec::new()));
            }
            OrderVerb::Update(_) | OrderVerb::Kill(..) => self.answer(reply, output.map(|_| Vec::new())),
        }
        self.next_order(id);
    }

    pub(crate) fn answer_message(&mut self, reply: crate::container::Reply, answer: &impl prost::Message) {
        let answer = message(answer).map(Option::unwrap_or_default);
        self.answer(reply, answer);
    }

    /// Kills what is left of a container whose first process is gone, before that exit is told.
    pub(crate) fn sweep(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.swept = true;
        let site = container.site.clone();
        let spawned = spawn(|| site.kill(libc::SIGKILL, Target::All));
        let entered = spawned.and_then(|job| self.work(job, None, Purpose::Sweep(id.to_owned())));
        if let Err(error) = entered {
            self.swept(id, Err(error));
        }
    }

    fn swept(&mut self, id: &str, output: Output) {
        if let Err(error) = output.map_err(|e| e.during("failed to kill init's children"))
            && !error.is_not_found()
        {
            log::warn(error.text());
        }
        self.release_init_exit(id);
    }

    /// Thaws a container whose first process died frozen.
    pub(crate) fn thaw(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else { return };
        let site = container.site.clone();
        let spawned = spawn(|| site.resume());
        if let Err(error) = spawned.and_then(|job| self.work(job, None, Purpose::Thaw)) {
            log::warn(error.text());
        }
    }
}

/// Goes on to the next state; one that cannot follow is a mistake of ours that the log shows.
pub fn pass(state: &mut State, event: Event) {
    match state.next(event) {
        Ok(next) => *state = next,
        Err(refused) => log::error(Error::from(refused).text()),
    }
}

fn admission(verb: &OrderVerb) -> Verb {
    match verb {
        OrderVerb::Start => Verb::Start,
        OrderVerb::Delete => Verb::Delete,
        OrderVerb::Pause => Verb::Pause,
        OrderVerb::Resume => Verb::Resume,
        OrderVerb::Update(_) => Verb::Update,
        OrderVerb::Kill(_, Target::Init) => Verb::Kill,
        OrderVerb::Kill(_, Target::All) => Verb::KillAll,
        OrderVerb::Checkpoint(_) => Verb::Checkpoint,
    }
}

fn spawn(work: impl FnOnce() -> Result<()>) -> Result<Job> {
    Job::spawn(&Given::default(), || work().map(|()| Vec::new()))
}

fn remove(site: &Site) -> Result<()> {
    trace::during("job.delete", &site.id, || site.delete(Manner::Stopped))?;
    trace::during("job.unmount", &site.id, || rootfs::unmount(&site.bundle))
}

fn kill(site: &Site, number: i32, target: Target, paused: bool) -> Result<()> {
    let killed = site.kill(number, target);
    if paused {
        // A frozen process dies only when it is thawed.
        let _ = site.resume();
    }
    killed
}
