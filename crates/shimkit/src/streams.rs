//! Streams of running processes: pumps in the loop and terminals.

use kernel::pty::{Blocking, set_blocking};
use model::{Error, Result};
use std::os::fd::OwnedFd;

use crate::container::Key;
use crate::log;
use crate::poller::{Interest, Token};
use crate::pump::{Method, Pump, Waiting};
use crate::shim::{Shim, Source};
use crate::stdio::open::{TerminalEnds, duplicate};

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
        let method = Method::to(&ends.stdout);
        let output = Pump::new(duplicate(&master)?, ends.stdout, method);
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

    /// Whether output of a process is still being moved.
    pub(crate) fn has_output(&self, key: &Key) -> bool {
        self.pumps.values().any(|running| running.key == *key && running.direction == Direction::Out)
    }

    /// Ends all pumps of a container's processes.
    pub(crate) fn end_container_pumps(&mut self, id: &str) {
        let keys = self.pumps.values().map(|running| running.key.clone());
        let of_it: Vec<Key> = keys.filter(|key| key.container == id).collect();
        for key in of_it {
            self.end_pumps(&key, None);
        }
    }

    /// Ends the pumps of a process.
    pub(crate) fn end_all_pumps(&mut self, key: &Key) {
        self.end_pumps(key, None);
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
}
