//! Cloning a process into the right namespaces.
//!
//! New namespaces are made by the clone itself. A namespace that others are owned by, or that only children enter, has
//! to be dealt with before: pid and time namespaces are joined by the caller for the moment of the clone. When a user
//! namespace meets joined ones, a short-lived middle process joins everything with the rights of the host, the user
//! namespace last, and clones the real process as its sibling.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use kernel::cgroup::Entry;
use kernel::namespace::{self, Namespaces};
use kernel::pidfd;
use kernel::process::{Child, Clone, clear_ids_for_user, close_inherited, set_undumpable, wait_pid};
use kernel::procfs::ProcFs;
use oci::runtime::{LinuxNamespace, LinuxTimeOffset};

use crate::privileges::enter_group;
use crate::sync::{Channel, Message};
use crate::{Error, Parent, Result};

/// Namespaces to make and to join.
#[derive(Debug, Default)]
pub(crate) struct NamespacePlan {
    pub new: Namespaces,
    pub joined: Vec<(Namespaces, OwnedFd)>,
    pub offsets: BTreeMap<String, LinuxTimeOffset>,
}

impl NamespacePlan {
    /// Opens the files of namespaces to join.
    pub fn open(namespaces: &[LinuxNamespace], offsets: &BTreeMap<String, LinuxTimeOffset>) -> Result<Self> {
        let mut plan = Self { offsets: offsets.clone(), ..Self::default() };
        for wanted in namespaces {
            let Some(kind) = Namespaces::from_word(&wanted.kind) else { continue };
            if wanted.path.is_empty() {
                plan.new = plan.new.with(kind);
            } else {
                plan.joined.push((kind, namespace::open(Path::new(&wanted.path))?));
            }
        }
        Ok(plan)
    }

    /// Whether the process has a user namespace of its own or joins one.
    pub fn has_users(&self) -> bool {
        self.new.contains(Namespaces::USER) || self.joins(Namespaces::USER)
    }

    fn joins(&self, kind: Namespaces) -> bool {
        self.joined.iter().any(|joined| joined.0 == kind)
    }

    fn needs_middle(&self) -> bool {
        self.has_users() && !self.joined.is_empty()
    }

    /// What the new process joins itself, when no middle process has done it.
    pub fn join_rest(&self) -> Result<()> {
        if self.needs_middle() {
            return Ok(());
        }
        let for_parent = Namespaces::PID.with(Namespaces::TIME);
        let mut mine = self.joined.iter().filter(|(kind, _)| !for_parent.contains(*kind));
        mine.try_for_each(|(kind, file)| join(file, *kind))
    }

    /// What clone3 makes: cgroup namespaces come after the process is in its group, time namespaces have offsets first.
    fn cloned(&self) -> Namespaces {
        self.new.without(Namespaces::CGROUP).without(Namespaces::TIME)
    }
}

/// A process to clone.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    pub namespaces: &'a NamespacePlan,
    pub parent: Parent,
    pub entry: Option<&'a Entry>,
    /// The end of the new process.
    pub theirs: &'a Channel,
    /// The end of the caller.
    pub ours: &'a Channel,
}

impl Spawn<'_> {
    /// Clones; the child runs `run`.
    pub fn spawn(&self, run: impl FnOnce() -> i32) -> Result<Child> {
        if !self.namespaces.new.contains(Namespaces::PID) {
            // Others can see the new process before it is one of theirs.
            set_undumpable()?;
        }
        let run = || {
            // A copy of the caller's end kept here would hide the caller's death. Failing, it changes nothing else.
            let _ = close_inherited(self.ours);
            run()
        };
        if self.namespaces.needs_middle() {
            return self.spawn_through_middle(run);
        }
        let wanted = Namespaces::PID.with(Namespaces::TIME);
        let joined = self.namespaces.joined.iter().filter(|(kind, _)| wanted.contains(*kind));
        let joined: Vec<_> = joined.map(|(kind, file)| (*kind, file)).collect();
        let back = Way::open(self.namespaces, &joined)?;
        for (kind, file) in joined {
            join(file, kind)?;
        }
        make_time_namespace(self.namespaces)?;
        let child = self.clone_into(self.parent == Parent::CallersParent).spawn(run);
        back.go()?;
        Ok(child?)
    }

    fn clone_into(&self, sibling: bool) -> Clone<'_> {
        Clone {
            namespaces: self.namespaces.cloned(),
            sibling,
            cgroup: self.entry.and_then(|entry| entry.unified()),
        }
    }

    fn spawn_through_middle(&self, run: impl FnOnce() -> i32) -> Result<Child> {
        let sibling = self.parent == Parent::CallersParent;
        let middle = Clone { sibling, ..Clone::default() }.spawn(|| match self.be_middle(run) {
            Ok(()) => 0,
            Err(error) => {
                let _ = self.theirs.send(&Message::Failed(error.to_string()));
                1
            }
        })?;
        let answer = self.ours.receive();
        if sibling {
            pidfd::wait_end(&middle.pidfd, None)?;
        } else {
            wait_pid(middle.pid)?;
        }
        match answer? {
            Some(Message::Cloned(pid)) => Ok(Child { pid, pidfd: pidfd::open(pid)? }),
            Some(Message::Failed(text)) => Err(Error::unknown(text)),
            _ => Err(Error::unknown("the process that joins namespaces ended early")),
        }
    }

    /// The middle process: with the host's rights everything can be joined, so the user namespace comes last.
    fn be_middle(&self, run: impl FnOnce() -> i32) -> Result<()> {
        if let Some(entry) = self.entry {
            entry
                .enter_unified()
                .map_err(|error| Error::unknown(format!("unable to apply cgroup configuration: {error}")))?;
            enter_group(entry)?;
        }
        make_time_namespace(self.namespaces)?;
        for (kind, file) in self.namespaces.joined.iter().filter(|(kind, _)| *kind != Namespaces::USER) {
            join(file, *kind)?;
        }
        for (kind, file) in self.namespaces.joined.iter().filter(|(kind, _)| *kind == Namespaces::USER) {
            join(file, *kind)?;
            clear_ids_for_user()?;
        }
        let clone = Clone { namespaces: self.namespaces.cloned(), sibling: true, cgroup: None };
        let child = clone.spawn(run)?;
        self.theirs.send(&Message::Cloned(child.pid))
    }
}

fn join(file: &OwnedFd, kind: Namespaces) -> Result<()> {
    let word = Namespaces::KINDS.iter().find(|known| known.0 == kind).map_or("", |known| known.1);
    namespace::join(file.as_fd(), kind)
        .map_err(|error| Error::unknown(format!("failed to join {word} namespace: {}", error.text())))
}

/// Makes a time namespace for the caller's next children, with the offsets of the plan.
fn make_time_namespace(plan: &NamespacePlan) -> Result<()> {
    if !plan.new.contains(Namespaces::TIME) {
        return Ok(());
    }
    namespace::unshare(Namespaces::TIME)?;
    if plan.offsets.is_empty() {
        return Ok(());
    }
    let line = |(clock, offset): (&String, &LinuxTimeOffset)| {
        format!("{clock} {} {}\n", offset.secs, offset.nanosecs)
    };
    let lines: String = plan.offsets.iter().map(line).collect();
    Ok(ProcFs::open()?.write("self/timens_offsets", lines.as_bytes())?)
}

/// The way back to the caller's own namespaces for children.
struct Way {
    own: Vec<(Namespaces, OwnedFd)>,
}

impl Way {
    fn open(plan: &NamespacePlan, joined: &[(Namespaces, &OwnedFd)]) -> Result<Self> {
        let mut kinds: Vec<Namespaces> = joined.iter().map(|(kind, _)| *kind).collect();
        if plan.new.contains(Namespaces::TIME) {
            kinds.push(Namespaces::TIME);
        }
        let open = |kind: Namespaces| -> Result<(Namespaces, OwnedFd)> {
            let name = if kind == Namespaces::PID { "pid" } else { "time" };
            Ok((kind, namespace::open(Path::new(&format!("/proc/self/ns/{name}")))?))
        };
        Ok(Self { own: kinds.into_iter().map(open).collect::<Result<_>>()? })
    }

    fn go(self) -> Result<()> {
        self.own.iter().try_for_each(|(kind, file)| join(file, *kind))
    }
}
