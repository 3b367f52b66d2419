//! Limits of version 1 on the real kernel.

use super::super::file::Node;
use super::super::tests::{char_rule, finished, group, limits, read, shell};
use super::super::{Access, Cpu, DeviceKind, DeviceRule, Memory, Resources, Throttle, tree};

#[test]
fn memory_limits_change_in_both_directions() {
    const M: i64 = 1 << 20;
    let group = group("memory");
    let set = |limit, swap| {
        group
            .apply(&limits(|r| r.memory = Memory { limit, swap, ..Memory::default() }))
            .map_err(|e| e.to_string())
    };
    let shown = || {
        let number = |name| read(&group, "memory", name).parse::<i64>().unwrap() / M;
        (number("memory.limit_in_bytes"), number("memory.memsw.limit_in_bytes"))
    };
    let endless = i64::MAX / M;
    let table = [
        ((Some(64 * M), None), (64, endless)),
        ((Some(32 * M), Some(64 * M)), (32, 64)),
        ((Some(128 * M), Some(256 * M)), (128, 256)),
        ((Some(16 * M), Some(16 * M)), (16, 16)),
        ((Some(64 * M), Some(-1)), (64, endless)),
        ((Some(-1), None), (endless, endless)),
        ((None, None), (endless, endless)),
    ];
    for ((limit, swap), expected) in table {
        set(limit, swap).unwrap();
        assert_eq!(shown(), expected, "{limit:?} {swap:?}");
    }
    let more = limits(|r| {
        r.memory.reservation = Some(8 * M);
        r.memory.disable_oom_killer = Some(true);
        r.memory.swappiness = Some(7);
    });
    group.apply(&more).unwrap();
    assert_eq!(read(&group, "memory", "memory.soft_limit_in_bytes"), (8 * M).to_string());
    assert_eq!(read(&group, "memory", "memory.swappiness"), "7");
    assert!(read(&group, "memory", "memory.oom_control").starts_with("oom_kill_disable 1"));
    let error = group.apply(&limits(|r| r.memory.swappiness = Some(101))).unwrap_err().to_string();
    assert_eq!(error, "invalid memory swappiness value: 101 (valid range is 0-100)");
}

#[test]
fn processor_and_task_limits() {
    let group = group("cpu");
    let wanted = limits(|r| {
        r.cpu = Cpu {
            shares: Some(512),
            quota: Some(20_000),
            period: Some(50_000),
            burst: Some(10_000),
            cpus: "0".into(),
            mems: "0".into(),
            ..Cpu::default()
        };
        r.pids = Some(0);
    });
    group.apply(&wanted).unwrap();
    let files = [
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpu", "cpu.cfs_burst_us", "10000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "1"),
    ];
    for (controller, name, expected) in files {
        assert_eq!(read(&group, controller, name), expected, "{name}");
    }
    // A smaller quota than the burst, and back to unlimited.
    group.apply(&limits(|r| r.cpu = Cpu { quota: Some(5000), burst: Some(0), ..Cpu::default() })).unwrap();
    assert_eq!(read(&group, "cpu", "cpu.cfs_quota_us"), "5000");
    group.apply(&limits(|r| (r.cpu.quota, r.pids, r.cpu.idle) = (Some(-1), Some(-1), Some(1)))).unwrap();
    assert_eq!(read(&group, "cpu", "cpu.cfs_quota_us"), "-1");
    assert_eq!(read(&group, "pids", "pids.max"), "max");
    assert_eq!(read(&group, "cpu", "cpu.idle"), "1");
    group.apply(&limits(|r| (r.cpu.idle, r.cpu.shares) = (Some(0), Some(100)))).unwrap();
    assert_eq!(read(&group, "cpu", "cpu.shares"), "100");
    let error = group.apply(&limits(|r| r.cpu.shares = Some(1 << 20))).unwrap_err().to_string();
    assert_eq!(error, "the maximum allowed cpu-shares is 262144");
}

#[test]
fn block_device_limits() {
    let Some(numbers) = std::fs::read_dir("/sys/block").unwrap().find_map(|entry| {
        let numbers = std::fs::read_to_string(entry.unwrap().path().join("dev")).ok()?;
        numbers.trim().split_once(':').map(|(a, b)| (a.parse::<i64>().unwrap(), b.parse::<i64>().unwrap()))
    }) else {
        return;
    };
    let group = group("blkio");
    let throttle = |rate| vec![Throttle { major: numbers.0, minor: numbers.1, rate }];
    let wanted = limits(|r| {
        r.block_io.weight = Some(300);
        r.block_io.read_bps = throttle(1 << 20);
        r.block_io.write_iops = throttle(99);
    });
    group.apply(&wanted).unwrap();
    let line = |rate: u64| format!("{}:{} {rate}", numbers.0, numbers.1);
    assert_eq!(read(&group, "blkio", "blkio.throttle.read_bps_device"), line(1 << 20));
    assert_eq!(read(&group, "blkio", "blkio.throttle.write_iops_device"), line(99));
    assert_eq!(read(&group, "blkio", "blkio.bfq.weight"), "300");
}

#[test]
fn what_the_host_cannot_limit_is_refused() {
    let group = group("refused");
    let error = |change: fn(&mut Resources)| group.apply(&limits(change)).unwrap_err().to_string();
    assert_eq!(
        error(|r| r.hugetlb = vec![("2MB".into(), 1)]),
        "cannot set hugetlb limit: container could not join or create cgroup"
    );
    assert_eq!(
        error(|r| r.net_class = Some(1)),
        "cannot set net_cls limit: container could not join or create cgroup"
    );
    assert_eq!(
        error(|r| drop(r.unified.insert("memory.high".into(), "1".into()))),
        "invalid configuration: cannot use unified on cgroup v1"
    );
    let file = group.paths()["cpuset"].join("cpuset.cpus");
    let expected = format!("failed to write \"4095\": write {}: ", file.display());
    assert!(error(|r| r.cpu.cpus = "4095".into()).starts_with(&expected));
}

#[test]
fn devices_of_version_1() {
    let group = group("devices");
    group.apply(&limits(|r| r.devices = Some(vec![char_rule(true, (1, 3), "rw")]))).unwrap();
    assert_eq!(read(&group, "devices", "devices.list"), "c 1:3 rw");
    let child = shell(&group, "exec 3<>/dev/null && ! (exec 3</dev/zero)");
    assert!(finished(child), "only the null device may be used");
    let all =
        DeviceRule { allow: true, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL };
    group.apply(&limits(|r| r.devices = Some(vec![all]))).unwrap();
    assert_eq!(read(&group, "devices", "devices.list"), "a *:* rwm");
}

/// Somebody else has just made the directory above, and not yet filled its cpuset.
#[test]
fn a_cpuset_below_one_that_is_not_filled_yet() {
    let group = group("unfilled");
    let cpuset = group.nodes.iter().find(|node| node.hierarchy.has("cpuset")).unwrap();
    let above = cpuset.full().join("above");
    std::fs::create_dir(&above).unwrap();
    assert_eq!(std::fs::read_to_string(above.join("cpuset.cpus")).unwrap().trim(), "");
    let child = Node::new(cpuset.hierarchy, format!("{}/above/child", cpuset.path));
    tree::make(&child, &super::inherit).unwrap();
    for name in ["cpuset.cpus", "cpuset.mems"] {
        assert_eq!(child.read(name).unwrap(), cpuset.read(name).unwrap(), "{name}");
    }
}
