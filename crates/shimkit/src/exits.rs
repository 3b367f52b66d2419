//! Children that have ended, and what follows: exits are told once, an added process's before the first one's, and
//! none before its start.

use std::time::SystemTime;

use wire::api::event::TaskExit;

use crate::container::{Exited, Key};
use crate::events::timestamp;
use crate::log;
use crate::orders::{Purpose, pass};
use crate::shim::{Shim, signal};
use crate::state::{Event, State};

/// Unknown children that are remembered while a launch is under way.
const STRAYS: usize = 256;
/// How a process ends that was killed, or whose child was.
const KILLED: u32 = 128 + libc::SIGKILL.unsigned_abs();

impl Shim {
    /// Reaps every child that has ended.
    pub(crate) fn reap(&mut self) {
        loop {
            match kernel::process::wait_any() {
                Ok(Some(exit)) => self.child_ended(exit),
                Ok(None) => return,
                Err(error) => return log::error(&error.to_string()),
            }
        }
    }

    fn child_ended(&mut self, exit: kernel::process::Exit) {
        let at = SystemTime::now();
        if let Some(working) = self.jobs.remove(&exit.pid) {
            return self.job_done(working, exit.status);
        }
        if self.leaving.remove(&exit.pid) {
            return;
        }
        if self.pids.contains_key(&exit.pid) {
            return self.process_exited(exit.pid, Exited { status: exit.status.unsigned_abs(), at });
        }
        if let Some(key) = self.loggers.remove(&exit.pid) {
            return self.logger_ended(&key);
        }
        let launching = self.jobs.values().any(|working| matches!(working.purpose, Purpose::Launch(_)));
        if launching && self.strays.len() < STRAYS {
            self.strays.push((exit, at));
        }
    }

    /// A process of a container has ended; whether that may be told yet is decided here.
    pub(crate) fn process_exited(&mut self, pid: i32, exited: Exited) {
        let Some(key) = self.pids.remove(&pid) else { return };
        if exited.status == KILLED {
            // Version 2 of control groups tells of a kill for memory up to 10 ms late: after the end, or never.
            self.out_of_memory(&key.container);
        }
        let Some(process) = self.process(&key) else { return };
        process.held = Some(exited);
        self.release_held(&key);
    }

    /// Tells an exit that was held, if nothing holds it any longer.
    pub(crate) fn release_held(&mut self, key: &Key) {
        if key.is_init() {
            return self.release_init_exit(&key.container);
        }
        let Some(process) = self.process(key) else { return };
        if process.starting {
            return;
        }
        let Some(exited) = process.held.take() else { return };
        self.tell_exit(key, exited);
        self.release_init_exit(&key.container);
    }

    /// Tells the first process's exit once all added ones have ended and nothing is left running.
    pub(crate) fn release_init_exit(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.init.held.is_none() || container.init.starting {
            return;
        }
        let sweeping =
            |working: &crate::shim::Working| matches!(&working.purpose, Purpose::Sweep(of) if of == id);
        if !container.private_pids && !container.swept {
            return self.sweep(id);
        }
        if container.has_running_execs() || self.jobs.values().any(sweeping) {
            return;
        }
        let Some(exited) = container.init.held.take() else { return };
        let paused = container.init.state == State::Paused;
        self.tell_exit(&Key::init(id), exited);
        if paused {
            self.thaw(id);
        }
    }

    fn tell_exit(&mut self, key: &Key, exited: Exited) {
        let Some(process) = self.process(key) else { return };
        if process.state != State::Deleted {
            pass(&mut process.state, Event::Exited);
        }
        process.exited = Some(exited);
        process.kept.stdin_holder = None;
        let pid = process.pid.unsigned_abs();
        let waiters = std::mem::take(&mut process.waiters);
        self.stop_input(key);
        self.hold_unread(key);
        self.publish(&TaskExit {
            container_id: key.container.clone(),
            id: key.id().to_owned(),
            pid,
            exit_status: exited.status,
            exited_at: Some(timestamp(exited.at)),
        });
        for waiter in waiters {
            self.answer(waiter, Ok(crate::queries::wait_response(Some(exited))));
        }
    }

    /// Asks or makes a logging program end, if it still runs.
    pub(crate) fn end_logger(&mut self, pid: i32, number: i32) {
        if self.loggers.contains_key(&pid) {
            signal(pid, number);
        }
    }

    fn logger_ended(&mut self, key: &Key) {
        if let Some(process) = self.process(key) {
            process.kept.logger = None;
        }
        self.advance_deletion(key);
    }
}
