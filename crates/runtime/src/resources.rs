//! Limits as `config.json` has them, made into those of a control group.

use kernel::cgroup::{
    Access, BlockIo, Cpu, DeviceKind, DeviceRule, DeviceWeight, Memory, Rdma, Resources, Throttle,
};
use oci::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxResources, LinuxThrottleDevice,
};

use crate::{Error, Result};

/// Limits of a new container. Whatever the rules for devices say, the usual ones stay usable: null, zero, full, random,
/// urandom, tty, the pseudo terminals, the tunnels of the network; and any node may be made.
pub fn for_create(wanted: &LinuxResources) -> Result<Resources> {
    let mut rules: Vec<DeviceRule> = wanted.devices.iter().map(device).collect::<Result<_>>()?;
    rules.extend(usual_devices());
    Ok(Resources { devices: Some(rules), ..for_update(wanted) })
}

/// Changed limits of a container. Devices are left as they are.
pub fn for_update(wanted: &LinuxResources) -> Resources {
    let network = wanted.network.as_ref();
    let priorities = network.map(|n| n.priorities.as_slice()).unwrap_or_default();
    let rdma = |(name, limit): (&String, &oci::runtime::LinuxRdma)| {
        (name.clone(), Rdma { hca_handles: limit.hca_handles, hca_objects: limit.hca_objects })
    };
    Resources {
        memory: wanted.memory.as_ref().map(memory).unwrap_or_default(),
        cpu: wanted.cpu.as_ref().map(cpu).unwrap_or_default(),
        pids: wanted.pids.as_ref().and_then(|pids| pids.limit),
        block_io: wanted.block_io.as_ref().map(block_io).unwrap_or_default(),
        hugetlb: wanted.hugepage_limits.iter().map(|h| (h.page_size.clone(), h.limit)).collect(),
        net_class: network.and_then(|n| n.class_id),
        net_priorities: priorities.iter().map(|p| (p.name.clone(), p.priority)).collect(),
        rdma: wanted.rdma.iter().map(rdma).collect(),
        devices: None,
        unified: wanted.unified.clone(),
    }
}

fn memory(memory: &LinuxMemory) -> Memory {
    Memory {
        limit: memory.limit,
        reservation: memory.reservation,
        swap: memory.swap,
        swappiness: memory.swappiness,
        disable_oom_killer: memory.disable_oom_killer,
        check_before_update: memory.check_before_update.unwrap_or(false),
    }
}

fn cpu(cpu: &LinuxCpu) -> Cpu {
    Cpu {
        shares: cpu.shares,
        quota: cpu.quota,
        burst: cpu.burst,
        period: cpu.period,
        rt_runtime: cpu.realtime_runtime,
        rt_period: cpu.realtime_period,
        cpus: cpu.cpus.clone(),
        mems: cpu.mems.clone(),
        idle: cpu.idle,
    }
}

fn block_io(io: &LinuxBlockIo) -> BlockIo {
    let weight = |d: &oci::runtime::LinuxWeightDevice| DeviceWeight {
        major: d.major,
        minor: d.minor,
        weight: d.weight,
        leaf_weight: d.leaf_weight,
    };
    BlockIo {
        weight: io.weight,
        leaf_weight: io.leaf_weight,
        weight_device: io.weight_device.iter().map(weight).collect(),
        read_bps: throttles(&io.throttle_read_bps_device),
        write_bps: throttles(&io.throttle_write_bps_device),
        read_iops: throttles(&io.throttle_read_iops_device),
        write_iops: throttles(&io.throttle_write_iops_device),
    }
}

fn throttles(devices: &[LinuxThrottleDevice]) -> Vec<Throttle> {
    devices.iter().map(|d| Throttle { major: d.major, minor: d.minor, rate: d.rate }).collect()
}

fn device(rule: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let kind = match rule.kind.as_str() {
        "" | "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" | "u" => DeviceKind::Char,
        other => return Err(Error::invalid(format!("invalid cgroup device type {other:?}"))),
    };
    let Some(access) = Access::parse(&rule.access).filter(|_| !rule.access.is_empty()) else {
        return Err(Error::invalid(format!("invalid cgroup device access {:?}", rule.access)));
    };
    Ok(DeviceRule { allow: rule.allow, kind, major: number(rule.major)?, minor: number(rule.minor)?, access })
}

/// A device number; absent and -1 are any.
fn number(number: Option<i64>) -> Result<Option<u32>> {
    match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| Error::invalid(format!("invalid cgroup device number {number}"))),
    }
}

/// The rules every container gets after its own.
fn usual_devices() -> impl Iterator<Item = DeviceRule> {
    let rule = |kind, major, minor, access| DeviceRule { allow: true, kind, major, minor, access };
    let mknod = [DeviceKind::Char, DeviceKind::Block].map(|kind| rule(kind, None, None, Access::MKNOD));
    let numbers = [
        (1, Some(3)),
        (1, Some(8)),
        (1, Some(7)),
        (5, Some(0)),
        (1, Some(5)),
        (1, Some(9)),
        (136, None),
        (5, Some(2)),
        (10, Some(200)),
    ];
    let usual = move |(major, minor)| rule(DeviceKind::Char, Some(major), minor, Access::ALL);
    mknod.into_iter().chain(numbers.into_iter().map(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LinuxResources {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_limit_arrives() {
        let wanted = read(
            r#"{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": -1, "access": "rw"}],
            "memory": {"limit": 1, "reservation": 2, "swap": 3, "swappiness": 4, "disableOOMKiller": true, "checkBeforeUpdate": true},
            "cpu": {"shares": 1, "quota": -1, "period": 3, "burst": 4, "realtimeRuntime": 5, "realtimePeriod": 6, "cpus": "0", "mems": "1", "idle": 1},
            "pids": {"limit": 7}, "blockIO": {"weight": 8, "leafWeight": 9,
                "weightDevice": [{"major": 1, "minor": 2, "weight": 3, "leafWeight": 4}],
                "throttleReadBpsDevice": [{"major": 1, "minor": 2, "rate": 3}], "throttleWriteIOPSDevice": [{"major": 4, "minor": 5, "rate": 6}]},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 9}], "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 2}]},
            "rdma": {"x": {"hcaHandles": 1}}, "unified": {"memory.high": "5"}}"#,
        );
        let found = for_update(&wanted);
        assert_eq!(found.memory.swap, Some(3));
        assert!(found.memory.check_before_update);
        assert_eq!((found.cpu.burst, found.cpu.rt_period, found.cpu.idle), (Some(4), Some(6), Some(1)));
        assert_eq!((found.cpu.cpus.as_str(), found.cpu.mems.as_str(), found.pids), ("0", "1", Some(7)));
        assert_eq!(found.block_io.weight_device[0].leaf_weight, Some(4));
        assert_eq!(found.block_io.read_bps, [Throttle { major: 1, minor: 2, rate: 3 }]);
        assert_eq!(found.block_io.write_iops, [Throttle { major: 4, minor: 5, rate: 6 }]);
        assert_eq!(found.hugetlb, [("2MB".to_owned(), 9)]);
        assert_eq!((found.net_class, found.net_priorities.len()), (Some(1), 1));
        assert_eq!(found.rdma["x"].hca_handles, Some(1));
        assert_eq!(found.unified["memory.high"], "5");
        assert_eq!(found.devices, None);
        let devices = for_create(&wanted).unwrap().devices.unwrap();
        let own = DeviceRule {
            allow: true,
            kind: DeviceKind::Char,
            major: Some(10),
            minor: None,
            access: Access::parse("rw").unwrap(),
        };
        assert_eq!((devices[0].kind, devices[1], devices.len()), (DeviceKind::All, own, 13));
    }

    #[test]
    fn bad_device_rules_are_refused() {
        let table = [
            (
                r#"{"devices": [{"allow": true, "type": "x", "access": "r"}]}"#,
                "invalid cgroup device type \"x\"",
            ),
            (
                r#"{"devices": [{"allow": true, "type": "c", "access": "z"}]}"#,
                "invalid cgroup device access \"z\"",
            ),
            (r#"{"devices": [{"allow": true, "type": "c"}]}"#, "invalid cgroup device access \"\""),
            (
                r#"{"devices": [{"allow": true, "type": "c", "major": -2, "access": "r"}]}"#,
                "invalid cgroup device number -2",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(for_create(&read(text)).unwrap_err().to_string(), expected);
        }
    }
}
