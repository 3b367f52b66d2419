//! Limits as version 1's files, in the order the kernel accepts.

use std::io;

use rustix::fs::OFlags;

use super::super::Cgroup;
use super::super::devices::Table;
use super::super::error::{Error, Result};
use super::super::file::{self, Node};
use super::super::resources::{BlockIo, Cpu, DeviceRule, Memory, Resources, Throttle};

/// The kernel's bounds for `cpu.shares`.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// Writes every limit that is there.
pub(in super::super) fn apply(group: &Cgroup, wanted: &Resources) -> Result<()> {
    if !wanted.unified.is_empty() {
        return Err(Error::invalid("invalid configuration: cannot use unified on cgroup v1"));
    }
    if let Some(rules) = &wanted.devices {
        devices(group, rules)?;
    }
    if has_memory(&wanted.memory) {
        memory(group.limiting("memory")?, &wanted.memory)?;
    }
    cpu(group, &wanted.cpu)?;
    cpuset(group, &wanted.cpu)?;
    if let Some(limit) = wanted.pids {
        group.limiting("pids")?.write("pids.max", &pids_text(limit))?;
    }
    block_io(group, &wanted.block_io)?;
    rest(group, wanted)
}

/// The content of `pids.max`; both versions.
pub(in super::super) fn pids_text(limit: i64) -> String {
    match limit {
        ..0 => "max".to_owned(),
        limit => limit.max(1).to_string(),
    }
}

fn devices(group: &Cgroup, rules: &[DeviceRule]) -> Result<()> {
    let table = Table::fold(rules)?;
    let node = group.limiting("devices")?;
    let (first, then) =
        if table.allow { ("devices.allow", "devices.deny") } else { ("devices.deny", "devices.allow") };
    // A group below a restricted one may not ask for everything, not even when it has it.
    let satisfied = table.allow && node.read("devices.list")?.trim() == "a *:* rwm";
    if !satisfied {
        node.write(first, "a")?;
    }
    if table.exceptions.is_empty() {
        return Ok(());
    }
    let list = node.open(then, OFlags::WRONLY).map_err(|e| Error::io("open", node.full().join(then), e))?;
    for exception in &table.exceptions {
        let line = exception.line();
        file::put(&list, &line).map_err(|e| node.write_error(then, &line, e))?;
    }
    Ok(())
}

fn has_memory(memory: &Memory) -> bool {
    let Memory { limit, reservation, swap, swappiness, disable_oom_killer, .. } = memory;
    [limit, reservation, swap].iter().any(|value| value.is_some_and(|v| v != 0))
        || swappiness.is_some()
        || *disable_oom_killer == Some(true)
}

fn memory(node: &Node, memory: &Memory) -> Result<()> {
    memory_and_swap(node, memory)?;
    if let Some(reservation) = memory.reservation.filter(|v| *v != 0) {
        node.write("memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if memory.disable_oom_killer == Some(true) {
        node.write("memory.oom_control", "1")?;
    }
    match memory.swappiness {
        None => Ok(()),
        Some(value @ 0..=100) => node.write("memory.swappiness", &value.to_string()),
        Some(value) => {
            Err(Error::invalid(format!("invalid memory swappiness value: {value} (valid range is 0-100)")))
        }
    }
}

/// Memory may never exceed memory and swap together, so which one goes first depends on what is there.
fn memory_and_swap(node: &Node, memory: &Memory) -> Result<()> {
    let limit = memory.limit.filter(|v| *v != 0);
    let mut swap = memory.swap.filter(|v| *v != 0);
    if limit == Some(-1) && swap.is_none() && node.number("memory.memsw.limit_in_bytes").is_some() {
        swap = Some(-1);
    }
    if let (true, Some(limit)) = (memory.check_before_update, limit.filter(|v| *v > 0)) {
        check_usage(node, limit, swap)?;
    }
    match (limit, swap) {
        (Some(limit), Some(-1)) => {
            set_swap(node, -1)?;
            set_limit(node, limit)
        }
        (Some(limit), Some(swap)) => match set_limit(node, limit) {
            Err(error) if error.errno() == Some(libc::EINVAL) => {
                set_swap(node, swap)?;
                set_limit(node, limit)
            }
            other => other.and_then(|()| set_swap(node, swap)),
        },
        (Some(limit), None) => set_limit(node, limit),
        (None, Some(swap)) => set_swap(node, swap),
        (None, None) => Ok(()),
    }
}

fn check_usage(node: &Node, limit: i64, swap: Option<i64>) -> Result<()> {
    let usage = node.number("memory.usage_in_bytes").unwrap_or(0);
    if usage >= limit.unsigned_abs() {
        return Err(Error::invalid(format!("rejecting memory limit {limit} because of the usage {usage}")));
    }
    let both = node.number("memory.memsw.usage_in_bytes").unwrap_or(0);
    match swap {
        Some(swap) if swap > 0 && both >= swap.unsigned_abs() => {
            Err(Error::invalid(format!("rejecting memory+swap limit {swap} because of the usage {both}")))
        }
        _ => Ok(()),
    }
}

fn set_limit(node: &Node, limit: i64) -> Result<()> {
    let Err(error) = node.write("memory.limit_in_bytes", &limit.to_string()) else { return Ok(()) };
    if error.errno() != Some(libc::EBUSY) {
        return Err(error);
    }
    let usage = node.number("memory.usage_in_bytes").unwrap_or(0);
    let peak = node.number("memory.max_usage_in_bytes").unwrap_or(0);
    Err(Error::invalid(format!(
        "unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"
    )))
}

fn set_swap(node: &Node, swap: i64) -> Result<()> {
    node.write("memory.memsw.limit_in_bytes", &swap.to_string())
}

fn cpu(group: &Cgroup, cpu: &Cpu) -> Result<()> {
    let values = (
        cpu.shares.filter(|v| *v != 0),
        cpu.quota.filter(|v| *v != 0),
        cpu.period.filter(|v| *v != 0),
        cpu.rt_runtime.filter(|v| *v != 0),
        cpu.rt_period.filter(|v| *v != 0),
    );
    if values == (None, None, None, None, None) && cpu.burst.is_none() && cpu.idle.is_none() {
        return Ok(());
    }
    let node = group.limiting("cpu")?;
    let (shares, quota, period, rt_runtime, rt_period) = values;
    if let Some(period) = rt_period {
        node.write("cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = rt_runtime {
        node.write("cpu.rt_runtime_us", &runtime.to_string())?;
    }
    // Shares cannot be changed while the group is idle.
    if let Some(idle @ 0) = cpu.idle {
        node.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = shares {
        set_shares(node, shares)?;
    }
    set_bandwidth(node, (period, quota), cpu.burst)?;
    match cpu.idle {
        Some(idle) if idle != 0 => node.write("cpu.idle", &idle.to_string()),
        _ => Ok(()),
    }
}

fn set_shares(node: &Node, shares: u64) -> Result<()> {
    node.write("cpu.shares", &shares.to_string())?;
    if shares > *SHARES.end() {
        return Err(Error::invalid(format!("the maximum allowed cpu-shares is {}", SHARES.end())));
    }
    if shares < *SHARES.start() {
        return Err(Error::invalid(format!("the minimum allowed cpu-shares is {}", SHARES.start())));
    }
    Ok(())
}

/// The kernel refuses a step that exceeds its parent's ratio or leaves a burst above the quota: the refused one is
/// tried again after the others.
fn set_bandwidth(node: &Node, (period, quota): (Option<u64>, Option<i64>), burst: Option<u64>) -> Result<()> {
    let steps = [
        ("cpu.cfs_burst_us", burst.map(|v| v.to_string())),
        ("cpu.cfs_period_us", period.map(|v| v.to_string())),
        ("cpu.cfs_quota_us", quota.map(|v| v.to_string())),
    ];
    let mut refused: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &steps {
        let Some(value) = value else { continue };
        match node.try_write(name, value) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => refused.push((name, value)),
            Err(e) => return Err(node.write_error(name, value, e)),
        }
    }
    refused.into_iter().rev().try_for_each(|(name, value)| node.write(name, value))
}

fn cpuset(group: &Cgroup, cpu: &Cpu) -> Result<()> {
    for (name, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            group.limiting("cpuset")?.write(name, value)?;
        }
    }
    Ok(())
}

fn block_io(group: &Cgroup, io: &BlockIo) -> Result<()> {
    if *io == BlockIo::default() {
        return Ok(());
    }
    let node = group.limiting("blkio")?;
    if let Some(weight) = io.weight.filter(|v| *v != 0) {
        write_weight(node, ["blkio.weight", "blkio.bfq.weight"], &weight.to_string())?;
    }
    if let Some(weight) = io.leaf_weight.filter(|v| *v != 0) {
        node.write("blkio.leaf_weight", &weight.to_string())?;
    }
    for device in &io.weight_device {
        let line = |weight: u16| format!("{}:{} {weight}", device.major, device.minor);
        if let Some(weight) = device.weight.filter(|v| *v != 0) {
            write_weight(node, ["blkio.weight_device", "blkio.bfq.weight_device"], &line(weight))?;
        }
        if let Some(weight) = device.leaf_weight.filter(|v| *v != 0) {
            node.write("blkio.leaf_weight_device", &line(weight))?;
        }
    }
    throttle(node, "blkio.throttle.read_bps_device", &io.read_bps)?;
    throttle(node, "blkio.throttle.write_bps_device", &io.write_bps)?;
    throttle(node, "blkio.throttle.read_iops_device", &io.read_iops)?;
    throttle(node, "blkio.throttle.write_iops_device", &io.write_iops)
}

/// Weights belong to the I/O scheduler, which names its files: CFQ's are tried before BFQ's.
fn write_weight(node: &Node, [cfq, bfq]: [&str; 2], value: &str) -> Result<()> {
    match node.try_write(cfq, value) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => node.write(bfq, value),
        Err(e) => Err(node.write_error(cfq, value, e)),
    }
}

fn throttle(node: &Node, name: &str, devices: &[Throttle]) -> Result<()> {
    devices.iter().try_for_each(|d| node.write(name, &format!("{}:{} {}", d.major, d.minor, d.rate)))
}

fn rest(group: &Cgroup, wanted: &Resources) -> Result<()> {
    for (size, limit) in &wanted.hugetlb {
        let node = group.limiting("hugetlb")?;
        node.write(&format!("hugetlb.{size}.limit_in_bytes"), &limit.to_string())?;
        reserve(node, &format!("hugetlb.{size}.rsvd.limit_in_bytes"), *limit)?;
    }
    if let Some(class) = wanted.net_class.filter(|v| *v != 0) {
        group.limiting("net_cls")?.write("net_cls.classid", &class.to_string())?;
    }
    for (name, priority) in &wanted.net_priorities {
        group.limiting("net_prio")?.write("net_prio.ifpriomap", &format!("{name} {priority}"))?;
    }
    super::super::rdma(group, &wanted.rdma)
}

/// Reservations are limited too where the kernel can.
pub(in super::super) fn reserve(node: &Node, name: &str, limit: u64) -> Result<()> {
    match node.try_write(name, &limit.to_string()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(node.write_error(name, &limit.to_string(), e)),
        _ => Ok(()),
    }
}
