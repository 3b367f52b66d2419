//! Limits of version 2 on a kernel where nothing is left to version 1.

use super::super::tests::{char_rule, finished, group, limits, read, shell};
use super::super::{Cgroup, Cpu, Memory, Pids, Resources, Stats, Throttle, Version};

#[test]
#[ignore = "needs a machine with version 2 alone: cargo xtask vm"]
fn memory_limits_change_in_both_directions() {
    const M: i64 = 1 << 20;
    let group = group("memory");
    let set = |limit, swap| {
        group.apply(&limits(|r| r.memory = Memory { limit, swap, ..Memory::default() })).unwrap();
    };
    let max = "max".to_owned();
    let table = [
        ((Some(64 * M), None), ((64 * M).to_string(), max.clone())),
        ((Some(32 * M), Some(64 * M)), ((32 * M).to_string(), (32 * M).to_string())),
        ((Some(128 * M), Some(128 * M)), ((128 * M).to_string(), "0".to_owned())),
        ((Some(64 * M), Some(-1)), ((64 * M).to_string(), max.clone())),
        ((Some(-1), None), (max.clone(), max)),
    ];
    for ((limit, swap), expected) in table {
        set(limit, swap);
        let shown = (read(&group, "", "memory.max"), read(&group, "", "memory.swap.max"));
        assert_eq!(shown, expected, "{limit:?} {swap:?}");
    }
    group.apply(&limits(|r| r.memory.reservation = Some(8 * M))).unwrap();
    assert_eq!(read(&group, "", "memory.low"), (8 * M).to_string());
    let error = group.apply(&limits(|r| r.memory.swap = Some(M))).unwrap_err().to_string();
    assert_eq!(error, "unable to set swap limit without memory limit");
}

#[test]
#[ignore = "needs a machine with version 2 alone: cargo xtask vm"]
fn processor_and_task_limits() {
    let group = group("cpu");
    let cpu = Cpu {
        shares: Some(512),
        quota: Some(20_000),
        period: Some(50_000),
        burst: Some(10_000),
        cpus: "0".into(),
        mems: "0".into(),
        ..Cpu::default()
    };
    group.apply(&limits(|r| (r.cpu, r.pids) = (cpu, Some(0)))).unwrap();
    let files = [
        ("cpu.weight", "59"),
        ("cpu.max", "20000 50000"),
        ("cpu.max.burst", "10000"),
        ("cpuset.cpus.effective", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "1"),
    ];
    for (name, expected) in files {
        assert_eq!(read(&group, "", name), expected, "{name}");
    }
    group.apply(&limits(|r| r.cpu = Cpu { quota: Some(5000), burst: Some(0), ..Cpu::default() })).unwrap();
    assert_eq!(read(&group, "", "cpu.max"), "5000 50000");
    group.apply(&limits(|r| (r.cpu.quota, r.pids, r.cpu.idle) = (Some(-1), Some(-1), Some(1)))).unwrap();
    assert_eq!(read(&group, "", "cpu.max"), "max 50000");
    assert_eq!((read(&group, "", "pids.max"), read(&group, "", "cpu.idle")), ("max".into(), "1".into()));
    group.apply(&limits(|r| (r.cpu.idle, r.cpu.shares) = (Some(0), Some(1024)))).unwrap();
    assert_eq!(read(&group, "", "cpu.weight"), "100");
}

#[test]
#[ignore = "needs a machine with version 2 alone: cargo xtask vm"]
fn block_device_limits_and_files_by_name() {
    let numbers = std::fs::read_to_string("/sys/block/vda/dev").unwrap();
    let (major, minor) = numbers.trim().split_once(':').unwrap();
    let throttle =
        |rate| vec![Throttle { major: major.parse().unwrap(), minor: minor.parse().unwrap(), rate }];
    let group = group("io");
    let by_name = [("memory.high", "4194304"), ("cpu.weight", "7")];
    let wanted = limits(|r| {
        r.block_io.read_bps = throttle(1 << 20);
        r.block_io.write_iops = throttle(99);
        r.unified = by_name.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    });
    group.apply(&wanted).unwrap();
    assert_eq!(
        read(&group, "", "io.max"),
        format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=99")
    );
    for (name, value) in by_name {
        assert_eq!(read(&group, "", name), value);
    }
    let error = |change: fn(&mut Resources)| group.apply(&limits(change)).unwrap_err().to_string();
    assert_eq!(
        error(|r| drop(r.unified.insert("nosuch.file".into(), "1".into()))),
        "unified resource \"nosuch.file\" can't be set: controller \"nosuch\" not available"
    );
}

/// A group deep down has every controller, and the directories above it hand them on.
#[test]
#[ignore = "needs a machine with version 2 alone: cargo xtask vm"]
fn controllers_are_handed_down() {
    assert_eq!(super::super::version().unwrap(), Version::V2);
    let top = group("deep");
    let deep = Cgroup::create(&format!("/gantry-test-{}-deep/a/b", std::process::id())).unwrap();
    let on = |group: &Cgroup, file| -> Vec<String> {
        read(group, "", file).split_whitespace().map(str::to_owned).collect()
    };
    for wanted in ["cpu", "cpuset", "io", "memory", "pids"].map(str::to_owned) {
        assert!(on(&deep, "cgroup.controllers").contains(&wanted), "{wanted}");
        assert!(on(&top, "cgroup.subtree_control").contains(&wanted), "{wanted}");
        assert!(!on(&deep, "cgroup.subtree_control").contains(&wanted), "{wanted}");
    }
}

#[test]
#[ignore = "needs a machine with version 2 alone: cargo xtask vm"]
fn devices_and_counters() {
    let group = group("counters");
    let wanted = limits(|r| {
        r.devices = Some(vec![char_rule(true, (1, 3), "rw")]);
        (r.pids, r.memory.limit) = (Some(9), Some(64 << 20));
    });
    group.apply(&wanted).unwrap();
    assert!(finished(shell(&group, "exec 3<>/dev/null && ! (exec 3</dev/zero)")));
    // Changed limits leave the devices alone.
    group.apply(&limits(|r| r.pids = Some(10))).unwrap();
    assert!(finished(shell(&group, "exec 3<>/dev/null && ! (exec 3</dev/zero)")));
    let Some(Stats::V2(stats)) = group.stats().unwrap() else { panic!("version 2 expected") };
    assert_eq!(stats.pids, Some(Pids { current: 0, limit: 10 }));
    let memory = stats.memory.unwrap();
    assert_eq!(memory.usage_limit, 64 << 20);
    assert!(memory.pgfault > 0 && stats.cpu.unwrap().usage_usec > 0);
    assert_eq!(stats.memory_events.unwrap().oom_kill, 0);
}
