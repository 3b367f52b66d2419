//! Stopping and resuming all processes of a group.
//!
//! Version 1's freezer may stay in `FREEZING` for as long as processes fork or wait uninterruptibly, and gives no event: the
//! request is repeated, with a thaw in between now and then, as nothing else helps. Version 2 tells through `cgroup.events`.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use super::error::{Error, Result};
use super::file::{self, Node, Pauses};
use super::parse;
use super::tree;

/// How long freezing may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Version 1: after so many looks in vain the group is thawed for a moment.
const PATIENCE: u32 = 50;

/// Version 1: freezes, and gives up with the group thawed.
pub(super) fn freeze_v1(node: &Node) -> Result<()> {
    let mut pauses = Pauses::until(DEADLINE);
    for round in 1_u32.. {
        node.write("freezer.state", "FROZEN")?;
        if node.read("freezer.state")?.trim() == "FROZEN" {
            return Ok(());
        }
        if round.is_multiple_of(PATIENCE) {
            node.write("freezer.state", "THAWED")?;
        }
        if round > 3 && !pauses.pause() {
            break;
        }
    }
    node.write("freezer.state", "THAWED")?;
    Err(Error::Deadline { step: "freeze", path: node.full() })
}

/// Version 1: thaws.
pub(super) fn thaw_v1(node: &Node) -> Result<()> {
    node.write("freezer.state", "THAWED")
}

/// Version 1: whether the group is frozen or about to be.
pub(super) fn is_frozen_v1(node: &Node) -> Result<bool> {
    match node.try_read("freezer.state") {
        Ok(state) => Ok(state.trim() != "THAWED"),
        Err(e) if tree::gone(&e) => Ok(false),
        Err(e) => Err(Error::io("read", node.full().join("freezer.state"), e)),
    }
}

/// Version 2: freezes, and gives up with the group thawed.
pub(super) fn freeze_v2(node: &Node) -> Result<()> {
    node.write("cgroup.freeze", "1")?;
    if wait_for(node, "frozen", 1)? {
        return Ok(());
    }
    node.write("cgroup.freeze", "0")?;
    Err(Error::Deadline { step: "freeze", path: node.full() })
}

/// Version 2: thaws.
pub(super) fn thaw_v2(node: &Node) -> Result<()> {
    node.write("cgroup.freeze", "0")?;
    if wait_for(node, "frozen", 0)? {
        return Ok(());
    }
    Err(Error::Deadline { step: "thaw", path: node.full() })
}

/// Version 2: whether the group was asked to freeze.
pub(super) fn is_frozen_v2(node: &Node) -> Result<bool> {
    match node.try_read("cgroup.freeze") {
        Ok(state) => Ok(state.trim() == "1"),
        Err(e) if tree::gone(&e) => Ok(false),
        Err(e) => Err(Error::io("read", node.full().join("cgroup.freeze"), e)),
    }
}

/// Waits until `cgroup.events` says `key value`; false when that takes too long.
fn wait_for(node: &Node, key: &str, value: u64) -> Result<bool> {
    let name = "cgroup.events";
    let events = node.open(name, OFlags::RDONLY).map_err(|e| Error::io("open", node.full().join(name), e))?;
    let pauses = Pauses::until(DEADLINE);
    loop {
        if read_key(&events, key) == Some(value) {
            return Ok(true);
        }
        let left = pauses.left();
        if left.is_zero() {
            return Ok(false);
        }
        file::wait(&mut [PollFd::new(&events, PollFlags::PRI)], left);
    }
}

fn read_key(events: &OwnedFd, key: &str) -> Option<u64> {
    let mut buffer = [0; 256];
    let length = rustix::io::pread(events, &mut buffer, 0).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).ok()?;
    parse::pairs(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}
