//! Control groups on the real kernel: every test makes its own below `/gantry-test-<pid>-<name>` and removes it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::*;

/// A group of one test, emptied and removed at its end.
pub(super) struct Group(Cgroup);

impl std::ops::Deref for Group {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.0.kill_all(libc::SIGKILL);
        self.0.remove().unwrap();
    }
}

fn path(name: &str) -> String {
    format!("/gantry-test-{}-{name}", std::process::id())
}

pub(super) fn group(name: &str) -> Group {
    Group(Cgroup::create(&path(name)).unwrap())
}

/// The same directory in the version 2 tree alone, treated as on a version 2 host.
fn unified(name: &str) -> Group {
    let group = Cgroup::create(&path(name)).unwrap();
    let (v1, v2): (Vec<Node>, Vec<Node>) = group.nodes.into_iter().partition(|n| !n.hierarchy.is_unified());
    Cgroup { version: Version::V1, nodes: v1 }.remove().unwrap();
    Group(Cgroup { version: Version::V2, nodes: v2 })
}

/// A shell that enters the group before it starts.
pub(super) fn shell(group: &Cgroup, script: &str) -> Child {
    let entry = Arc::new(group.entry().unwrap());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only openat(2) and write(2) are called.
    unsafe { command.pre_exec(move || entry.enter().and_then(|()| entry.enter_unified())) };
    command.spawn().unwrap()
}

pub(super) fn read(group: &Cgroup, controller: &str, name: &str) -> String {
    group.read_file(controller, name).unwrap().trim().to_owned()
}

pub(super) fn limits(change: impl FnOnce(&mut Resources)) -> Resources {
    let mut wanted = Resources::default();
    change(&mut wanted);
    wanted
}

#[test]
fn made_found_again_and_removed() {
    let name = path("made");
    let group = Cgroup::create(&format!("{name}/a/b")).unwrap();
    let paths = group.paths();
    assert!(paths.values().all(|p| p.is_dir() && p.ends_with(format!("{}/a/b", &name[1..]))), "{paths:?}");
    assert_eq!(paths.len(), group.nodes.iter().map(|n| n.hierarchy.controllers.len().max(1)).sum::<usize>());
    let again = Cgroup::load(&paths).unwrap();
    assert_eq!(again.paths(), paths);
    assert!(Cgroup::create(&format!("{name}/a/b")).is_ok(), "an empty group is taken");
    let top = Cgroup::load(&paths.iter().map(|(c, p)| (c.clone(), p.join("../.."))).collect()).unwrap();
    top.remove().unwrap();
    assert!(!again.exists() && !top.exists());
    again.remove().unwrap();
    assert_eq!(again.pids().unwrap(), [0_i32; 0]);
    assert_eq!(again.stats().unwrap(), None);
}

#[test]
fn a_group_with_processes_is_refused() {
    let group = group("busy");
    let child = shell(&group, "exec sleep 1000");
    let error = Cgroup::create(&path("busy")).unwrap_err();
    assert_eq!(error.to_string(), "container's cgroup is not empty: 1 process(es) found");
    assert!(group.exists());
    end(child, &group);
}

#[test]
fn a_frozen_group_is_refused() {
    let group = group("ice");
    group.freeze().unwrap();
    let error = Cgroup::create(&path("ice")).unwrap_err();
    assert_eq!(error.to_string(), "container's cgroup unexpectedly frozen");
    group.thaw().unwrap();
}

#[test]
fn the_topmost_group_is_never_stopped_or_ended() {
    let group = group("top");
    let top = group.paths().into_iter().map(|(name, path)| (name, path.join(".."))).collect();
    let top = Cgroup::load(&top).unwrap();
    // 0 is no signal: it would only ask whether it might be sent.
    for refused in [top.kill_all(0), top.freeze(), top.remove()] {
        assert!(refused.is_err());
    }
}

fn end(mut child: Child, group: &Cgroup) {
    group.kill_all(libc::SIGKILL).unwrap();
    child.wait().unwrap();
}

#[test]
fn relative_paths_start_at_the_own_group() {
    let name = path("relative");
    let own = Cgroup::of_pid(std::process::id().cast_signed()).unwrap().paths();
    let group = Group(Cgroup::create(&name[1..]).unwrap());
    for (controller, path) in group.paths() {
        assert_eq!(path, own[&controller].join(&name[1..]));
    }
    assert!(Cgroup::create("").is_err() && Cgroup::create("/..").is_err());
}

#[test]
fn entering_reaches_every_hierarchy() {
    for by_id in [false, true] {
        let group = group(if by_id { "add" } else { "enter" });
        let mut child = match by_id {
            false => shell(&group, "exec sleep 1000"),
            true => Command::new("/bin/sleep").arg("1000").spawn().unwrap(),
        };
        if by_id {
            group.add(child.id().cast_signed()).unwrap();
        }
        assert_eq!(Cgroup::of_pid(child.id().cast_signed()).unwrap().paths(), group.paths());
        assert_eq!(group.pids().unwrap(), [child.id().cast_signed()]);
        match group.stats().unwrap().unwrap() {
            Stats::V1(stats) => {
                assert_eq!(stats.pids, Some(Pids { current: 1, limit: 0 }));
                assert!(stats.memory.unwrap().usage.unwrap().limit > 0);
                assert!(stats.cpu.is_some() && stats.memory_oom_control.is_some());
            }
            Stats::V2(stats) => {
                assert_eq!(stats.pids, Some(Pids { current: 1, limit: u64::MAX }));
                assert_eq!(stats.memory.unwrap().usage_limit, u64::MAX);
                assert!(stats.cpu.is_some() && stats.memory_events.is_some());
            }
        }
        group.kill_all(libc::SIGKILL).unwrap();
        // Not yet waited for: a zombie does not keep the group.
        group.remove().unwrap();
        child.wait().unwrap();
    }
}

pub(super) fn char_rule(allow: bool, (major, minor): (u32, u32), access: &str) -> DeviceRule {
    DeviceRule {
        allow,
        kind: DeviceKind::Char,
        major: Some(major),
        minor: Some(minor),
        access: Access::parse(access).unwrap(),
    }
}

pub(super) fn finished(mut child: Child) -> bool {
    child.wait().unwrap().success()
}

#[test]
fn devices_of_version_2() {
    let group = unified("filter");
    let attach =
        |rules: &[DeviceRule]| v2::attach(&group.nodes[0], &devices::Table::fold(rules).unwrap()).unwrap();
    attach(&[char_rule(true, (1, 3), "rw")]);
    assert!(finished(shell(&group, "exec 3<>/dev/null && ! (exec 3</dev/zero)")));
    // The second filter takes the place of the first.
    attach(&[char_rule(true, (1, 5), "rw"), char_rule(true, (1, 3), "rw")]);
    assert!(finished(shell(&group, "exec 3</dev/zero && ! (exec 3</dev/urandom)")));
}

#[test]
fn freezing_stops_and_thawing_resumes() {
    for group in [group("freeze1"), unified("freeze2")] {
        let child = shell(&group, "while :; do :; done");
        assert!(!group.is_frozen().unwrap());
        group.freeze().unwrap();
        assert!(group.is_frozen().unwrap());
        let ticks = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id())).unwrap();
            stat.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let before = ticks();
        file::wait(&mut [], Duration::from_millis(30));
        assert_eq!(ticks(), before, "a frozen process does not run");
        group.thaw().unwrap();
        assert!(!group.is_frozen().unwrap());
        while ticks() == before {
            file::wait(&mut [], Duration::from_millis(1));
        }
        end(child, &group);
    }
}

#[test]
fn killing_reaches_every_process_even_frozen_ones() {
    for group in [group("kill1"), unified("kill2")] {
        let below = group.child("below");
        for node in &below.nodes {
            tree::make(node, &v1_cpuset).unwrap();
        }
        let mut children = [shell(&group, "sleep 1000 & exec sleep 1000"), shell(&below, "exec sleep 1000")];
        let mut looks = 0;
        while group.pids().unwrap().len() < 3 {
            file::wait(&mut [], Duration::from_millis(1));
            looks += 1;
            assert!(looks < 30_000, "only {:?} came", group.pids());
        }
        assert_eq!(below.pids().unwrap().len(), 1);
        group.freeze().unwrap();
        group.kill_all(libc::SIGKILL).unwrap();
        for child in &mut children {
            let process = crate::pidfd::open(child.id() as i32).unwrap();
            let ended = crate::pidfd::wait_end(&process, Some(Duration::from_secs(60))).unwrap();
            assert!(ended, "{} lives on, frozen: {:?}", child.id(), group.is_frozen());
            assert!(!child.wait().unwrap().success());
        }
        group.remove().unwrap();
        assert!(!below.exists());
    }
}

fn v1_cpuset(node: &Node) -> Result<()> {
    if node.hierarchy.has("cpuset") { v1::inherit(node) } else { Ok(()) }
}

#[test]
fn other_signals_leave_the_group_as_it_was() {
    let group = group("term");
    let mut child = shell(&group, "exec sleep 1000");
    group.kill_all(libc::SIGTERM).unwrap();
    child.wait().unwrap();
    assert!(!group.is_frozen().unwrap());
}

#[test]
fn running_out_of_memory_is_told() {
    let group = group("oom");
    group.apply(&limits(|r| (r.memory.limit, r.memory.swap) = (Some(8 << 20), Some(8 << 20)))).unwrap();
    let mut watch = group.oom_watch().unwrap();
    assert_eq!(watch.read().unwrap(), 0);
    let child = shell(&group, "head -c 64m /dev/zero | tail");
    let mut count = 0;
    while count == 0 {
        // Version 2 tells of reaching the limit before it tells of the kill.
        assert!(readable(&watch), "an event within the deadline");
        count = watch.read().unwrap();
    }
    finished(child);
    count = watch.read().unwrap();
    group.kill_all(libc::SIGKILL).unwrap();
    group.remove().unwrap();
    if group.version != Version::V2 {
        assert!(readable(&watch), "removal is an event too");
    }
    assert_eq!(watch.read().unwrap(), 0, "{count}");
    assert!(watch.is_removed());
}

fn readable(watch: &OomWatch) -> bool {
    let mut fds = [PollFd::new(watch, PollFlags::IN)];
    file::wait(&mut fds, Duration::from_secs(20));
    fds[0].revents().contains(PollFlags::IN)
}
