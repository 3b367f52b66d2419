//! Streams of running processes: pumps in the loop, terminals, and the wait for the last output.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use kernel::pty::{Blocking, set_blocking};
use model::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::api::event::TaskDelete;
use wire::api::task_v3 as api;

use crate::container::{Deletion, Key, Process, Reply};
use crate::dispatch::not_created;
use crate::job::Output;
use crate::log;
use crate::orders::pass;
use crate::poller::{Interest, Token};
use crate::pump::{Method, Pump, Waiting};
use crate::queries::exit_fields;
use crate::shim::{Alarm, Shim, Source};
use crate::state::Event;
use crate::stdio::open::{TerminalEnds, duplicate, writer_of};

/// How long a removal waits for output to be taken.
const DRAIN: Duration = Duration::from_secs(10);

/// Unread output that does not hold up a removal, bytes: one pipe's worth, which a client that has the fifo open
/// can still read afterwards.
const LEFT_BEHIND: u64 = 64 << 10;

/// How often unread output is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long a logging program may go on after the end of output before it is asked to end.
const LOGGER_GRACE: Duration = Duration::from_secs(1);

/// How long after that it is made to end.
const LOGGER_PATIENCE: Duration = Duration::from_secs(12);

/// What has to be moved for a process.
#[derive(Debug)]
pub struct Moving {
    /// Pumps of output.
    pub pumps: Vec<Pump>,
    /// The client's side of a terminal and its master.
    pub terminal: Option<(TerminalEnds, OwnedFd)>,
}

/// A pump in the loop. One of its two ends is watched at a time, so that a hang-up of the other makes no noise.
#[derive(Debug)]
pub struct Running {
    pump: Pump,
    key: Key,
    direction: Direction,
    watched: Option<(Token, Waiting)>,
}

/// Which way a pump moves bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// To the process.
    In,
    /// From the process.
    Out,
}

impl Shim {
    /// Sets the streams of a launched process going.
    pub(crate) fn attach(&mut self, key: &Key, moving: Moving) {
        for pump in moving.pumps {
            self.add_pump(key, pump, Direction::Out);
        }
        let Some((ends, master)) = moving.terminal else { return };
        if let Err(error) = self.attach_terminal(key, ends, master) {
            log::error(error.during("failed to start console copy").text());
        }
    }

    fn attach_terminal(&mut self, key: &Key, ends: TerminalEnds, master: OwnedFd) -> Result<()> {
        set_blocking(&master, Blocking::No).map_err(|e| Error::unknown(e.to_string()))?;
        let output = Pump::new(duplicate(&master)?, ends.stdout, Method::Copy);
        self.add_pump(key, output, Direction::Out);
        if let Some(stdin) = ends.stdin {
            let input = Pump::new(stdin, duplicate(&master)?, Method::Copy);
            self.add_pump(key, input, Direction::In);
        }
        if let Some(process) = self.process(key) {
            process.console = Some(master);
        }
        Ok(())
    }

    fn add_pump(&mut self, key: &Key, pump: Pump, direction: Direction) {
        let id = self.next_pump;
        self.next_pump += 1;
        self.pumps.insert(id, Running { pump, key: key.clone(), direction, watched: None });
        self.run_pump(id);
    }

    /// Moves what can be moved and watches for more.
    pub(crate) fn run_pump(&mut self, id: u32) {
        let Some(running) = self.pumps.get_mut(&id) else { return };
        let waiting = running.pump.run();
        if running.watched.is_some_and(|(_, was)| was == waiting) {
            return;
        }
        self.unwatch_pump(id);
        let Some(running) = self.pumps.get_mut(&id) else { return };
        let added = match waiting {
            Waiting::Source => self.poller.add(running.pump.source(), Interest::Read),
            Waiting::Sink => self.poller.add(running.pump.sink(), Interest::Write),
            Waiting::Ended => return self.end_pump(id),
        };
        match added {
            Ok(token) => {
                running.watched = Some((token, waiting));
                self.sources.insert(token, Source::Pump(id));
            }
            Err(error) => {
                log::error(&format!("a stream cannot be watched: {error}"));
                self.end_pump(id);
            }
        }
    }

    fn unwatch_pump(&mut self, id: u32) {
        let Some(running) = self.pumps.get_mut(&id) else { return };
        if let Some((token, waiting)) = running.watched.take() {
            self.sources.remove(&token);
            match waiting {
                Waiting::Source => self.poller.remove(running.pump.source()),
                _ => self.poller.remove(running.pump.sink()),
            }
        }
    }

    fn end_pump(&mut self, id: u32) {
        self.unwatch_pump(id);
        if let Some(running) = self.pumps.remove(&id) {
            self.advance_deletion(&running.key);
        }
    }

    fn end_pumps(&mut self, key: &Key, direction: Option<Direction>) {
        let meant =
            |running: &Running| running.key == *key && direction.is_none_or(|d| d == running.direction);
        let ids: Vec<u32> = self.pumps.iter().filter(|(_, r)| meant(r)).map(|(id, _)| *id).collect();
        for id in ids {
            self.unwatch_pump(id);
            self.pumps.remove(&id);
        }
    }

    /// Input of a process that has ended goes nowhere.
    pub(crate) fn stop_input(&mut self, key: &Key) {
        self.end_pumps(key, Some(Direction::In));
    }

    /// Begins a removal: the runtime's part is under way or not needed, output is waited for.
    pub(crate) fn begin_deletion(&mut self, key: &Key, reply: Reply) {
        let timer = self.timers.set(Instant::now() + DRAIN, Alarm::Drain(key.clone()));
        let Some(process) = self.process(key) else { return };
        process.deletion = Some(Deletion {
            reply,
            exited: process.exited,
            removed: false,
            overdue: false,
            timer,
            watching: false,
            ending_logger: false,
        });
    }

    /// The runtime has done its part of a removal, or failed.
    pub(crate) fn deletion_removed(&mut self, key: &Key, output: Output) {
        let Some(deletion) = self.process(key).and_then(|process| process.deletion.as_mut()) else { return };
        match output {
            Ok(_) => {
                deletion.removed = true;
                if let Some(container) = self.containers.get_mut(&key.container).filter(|_| key.is_init()) {
                    // Nothing else may begin on a container that is half gone.
                    container.busy = true;
                }
                self.advance_deletion(key);
            }
            Err(error) => {
                let (reply, timer) = (deletion.reply, deletion.timer);
                self.timers.cancel(timer);
                if let Some(process) = self.process(key) {
                    process.deletion = None;
                }
                self.answer(reply, Err(error));
                self.next_order(&key.container);
            }
        }
    }

    /// All writers of an output are gone.
    pub(crate) fn hung_up(&mut self, key: &Key) {
        let Some(container) = self.containers.get_mut(&key.container) else { return };
        if let Some(process) = container.process(&key.exec) {
            for reader in process.kept.readers.iter().filter(|reader| is_hung_up(reader)) {
                self.poller.remove(reader);
            }
        }
        self.advance_deletion(key);
    }

    /// Ends a removal when the runtime is done, output is taken (or waited for too long) and the logging program is gone.
    pub(crate) fn advance_deletion(&mut self, key: &Key) {
        let pumping = self.pumps.values().any(|r| r.key == *key && r.direction == Direction::Out);
        let Some(process) = self.process(key) else { return };
        let Some(deletion) = process.deletion.as_ref().filter(|deletion| deletion.removed) else { return };
        if !deletion.overdue {
            if pumping || !process.kept.late.is_empty() {
                return;
            }
            if process.kept.readers.iter().any(|reader| !is_hung_up(reader)) {
                return self.watch_hang_up(key);
            }
        }
        match process.kept.logger.as_ref().map(|logger| logger.pid) {
            Some(pid) => self.end_logging(key, pid),
            None => self.finish_deletion(key),
        }
    }

    /// Keeps fifos with much unread output open for readers that are still to come.
    pub(crate) fn hold_unread(&mut self, key: &Key) {
        let Some(process) = self.process(key) else { return };
        let full = process.kept.readers.iter().filter(|reader| is_brimful(reader));
        let late: Vec<OwnedFd> = full.filter_map(|reader| writer_of(reader).ok()).collect();
        if !late.is_empty() {
            process.kept.late = late;
            self.timers.set(Instant::now() + LOOK_AGAIN, Alarm::Look(key.clone()));
        }
    }

    /// Looks whether readers have come. Nothing tells when a client reads on.
    pub(crate) fn look(&mut self, key: &Key) {
        let Some(process) = self.process(key) else { return };
        if process.kept.readers.iter().any(is_brimful) {
            self.timers.set(Instant::now() + LOOK_AGAIN, Alarm::Look(key.clone()));
            return;
        }
        process.kept.late = Vec::new();
        self.advance_deletion(key);
    }

    fn end_logging(&mut self, key: &Key, pid: i32) {
        self.end_pumps(key, None);
        let Some(deletion) = self.process(key).and_then(|process| process.deletion.as_mut()) else { return };
        if !deletion.ending_logger {
            deletion.ending_logger = true;
            let grace = Instant::now() + LOGGER_GRACE;
            self.timers.set(grace, Alarm::LoggerEnd(pid));
            self.timers.set(grace + LOGGER_PATIENCE, Alarm::LoggerKill(pid));
        }
    }

    fn watch_hang_up(&mut self, key: &Key) {
        let Some(container) = self.containers.get_mut(&key.container) else { return };
        let Some(process) = container.process(&key.exec) else { return };
        let Some(deletion) = process.deletion.as_mut().filter(|deletion| !deletion.watching) else { return };
        deletion.watching = true;
        for reader in &process.kept.readers {
            if let Ok(token) = self.poller.add(reader, Interest::HangUp) {
                self.sources.insert(token, Source::HangUp(key.clone()));
            }
        }
    }

    fn finish_deletion(&mut self, key: &Key) {
        self.end_pumps(key, None);
        self.sources.retain(|_, source| *source != Source::HangUp(key.clone()));
        let Some(process) = self.process(key) else { return };
        let Some(deletion) = process.deletion.take() else { return };
        pass(&mut process.state, Event::Deleted);
        let pid = process.pid.unsigned_abs();
        let waiters = std::mem::take(&mut process.waiters);
        self.timers.cancel(deletion.timer);
        let (exit_status, exited_at) = exit_fields(deletion.exited);
        match key.is_init() {
            true => {
                let container_id = key.container.clone();
                self.publish(&TaskDelete { container_id, pid, exit_status, exited_at, ..Default::default() });
                self.remove_container(&key.container);
            }
            false => self.remove_exec(key),
        }
        for waiter in waiters {
            self.answer(waiter, Ok(crate::queries::wait_response(deletion.exited)));
        }
        self.answer_message(deletion.reply, &api::DeleteResponse { pid, exit_status, exited_at });
    }

    fn remove_container(&mut self, id: &str) {
        let Some(mut container) = self.containers.remove(id) else { return };
        if let Some((watch, token)) = container.oom.take() {
            self.sources.remove(&token);
            self.poller.remove(&watch);
        }
        let mut left: Vec<Process> = container.execs.into_values().collect();
        left.push(container.init);
        for exec in left.iter().filter(|p| !p.request.stdout.is_empty()) {
            if let Some(logger) = &exec.kept.logger {
                self.kill_logger(logger.pid);
            }
        }
        self.pids.retain(|_, key| key.container != id);
        let of_it: Vec<Key> =
            self.pumps.values().map(|r| r.key.clone()).filter(|key| key.container == id).collect();
        for key in of_it {
            self.end_pumps(&key, None);
        }
        for order in container.orders {
            self.answer(order.reply, Err(not_created()));
        }
        for waiter in left.into_iter().flat_map(|process| process.waiters) {
            self.answer(waiter, Ok(crate::queries::wait_response(None)));
        }
    }

    fn remove_exec(&mut self, key: &Key) {
        let Some(container) = self.containers.get_mut(&key.container) else { return };
        container.execs.remove(&key.exec);
        let pid_file = container.site.pid_file(&key.exec);
        match std::fs::remove_file(&pid_file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                log::warn(Error::io("remove", &pid_file, e).text());
            }
            _ => {}
        }
        self.release_init_exit(&key.container);
    }
}

/// Whether more is unread than a client may leave behind.
fn is_brimful(reader: &OwnedFd) -> bool {
    rustix::io::ioctl_fionread(reader).is_ok_and(|unread| unread > LEFT_BEHIND)
}

fn is_hung_up(reader: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(reader, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut watched, Some(&now)), Ok(1..)) && watched[0].revents().contains(PollFlags::HUP)
}
