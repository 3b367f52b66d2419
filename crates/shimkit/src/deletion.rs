//! Removals: the runtime's part and the wait for the last output go on side by side.
//!
//! Output is taken when all writers of the fifos are gone and all pumps have ended; clients are then given a moment to
//! read it, and so is a logging program. After ten seconds a removal waits for output no longer.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use model::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::api::event::TaskDelete;
use wire::api::task_v3 as api;

use crate::container::{Deletion, Key, Process, Reply};
use crate::dispatch::not_created;
use crate::job::Output;
use crate::log;
use crate::orders::pass;
use crate::poller::Interest;
use crate::queries::exit_fields;
use crate::shim::{Alarm, Shim, Source};
use crate::state::Event;
use crate::stdio::open::writer_of;

/// How long a removal waits for output to be taken.
const DRAIN: Duration = Duration::from_secs(10);

/// Unread output that does not hold up a removal, bytes: one pipe's worth, which a client that has the fifo open
/// can still read afterwards.
const LEFT_BEHIND: u64 = 64 << 10;

/// How often unread output is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long a removal waits for a client to read what lies in the fifos: some, `ctr` among them, read no more once they
/// have its answer.
const READING: Duration = Duration::from_millis(100);

/// How often it is looked whether they have.
const READING_STEP: Duration = Duration::from_millis(1);

/// How long a logging program may go on after the end of output before it is asked to end.
const LOGGER_GRACE: Duration = Duration::from_secs(1);

/// How long after that it is made to end.
const LOGGER_PATIENCE: Duration = Duration::from_secs(12);

impl Shim {
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
            read_by: None,
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
        let pumping = self.has_output(key);
        let Some(process) = self.process(key) else { return };
        let Some(deletion) = process.deletion.as_ref().filter(|deletion| deletion.removed) else { return };
        if !deletion.overdue {
            if pumping || !process.kept.late.is_empty() {
                return;
            }
            if process.kept.readers.iter().any(|reader| !is_hung_up(reader)) {
                return self.watch_hang_up(key);
            }
            if self.is_being_read(key) {
                return;
            }
        }
        let Some(process) = self.process(key) else { return };
        match process.kept.logger.as_ref().map(|logger| logger.pid) {
            Some(pid) => self.end_logging(key, pid),
            None => self.finish_deletion(key),
        }
    }

    /// Whether clients are given time yet to read what lies in the fifos. Nothing tells when they have.
    fn is_being_read(&mut self, key: &Key) -> bool {
        let Some(process) = self.process(key).filter(|p| p.kept.readers.iter().any(has_unread)) else {
            return false;
        };
        let Some(deletion) = process.deletion.as_mut() else { return false };
        let now = Instant::now();
        if now >= *deletion.read_by.get_or_insert(now + READING) {
            return false;
        }
        self.timers.set(now + READING_STEP, Alarm::Reading(key.clone()));
        true
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
        self.end_all_pumps(key);
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
        self.end_all_pumps(key);
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
        self.end_container_pumps(id);
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

fn has_unread(reader: &OwnedFd) -> bool {
    rustix::io::ioctl_fionread(reader).is_ok_and(|unread| unread > 0)
}

fn is_hung_up(reader: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(reader, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut watched, Some(&now)), Ok(1..)) && watched[0].revents().contains(PollFlags::HUP)
}
