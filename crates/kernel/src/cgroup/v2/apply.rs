//! Limits as version 2's files.

use std::io;

use super::super::Cgroup;
use super::super::devices::Table;
use super::super::error::{Error, Result};
use super::super::file::Node;
use super::super::resources::{BlockIo, Cpu, Memory, Resources, Throttle};
use super::super::v1::pids_text;
use super::super::v1::reserve;
use super::convert::{bandwidth_text, io_weight, limit_text, swap_of_both, weight_of_shares};
use super::filter;

/// Writes every limit that is there.
pub(in super::super) fn apply(group: &Cgroup, wanted: &Resources) -> Result<()> {
    let node = group.limiting("")?;
    if let Some(limit) = wanted.pids {
        node.write("pids.max", &pids_text(limit))?;
    }
    memory(node, &wanted.memory)?;
    block_io(node, &wanted.block_io)?;
    cpu(node, &wanted.cpu)?;
    if let Some(rules) = &wanted.devices {
        filter::attach(node, &Table::fold(rules)?)?;
    }
    for (name, value) in [("cpuset.cpus", &wanted.cpu.cpus), ("cpuset.mems", &wanted.cpu.mems)] {
        if !value.is_empty() {
            node.write(name, value)?;
        }
    }
    for (size, limit) in &wanted.hugetlb {
        node.write(&format!("hugetlb.{size}.max"), &limit.to_string())?;
        reserve(node, &format!("hugetlb.{size}.rsvd.max"), *limit)?;
    }
    super::super::rdma(group, &wanted.rdma)?;
    wanted.unified.iter().try_for_each(|(name, value)| unified(node, name, value))
}

fn memory(node: &Node, memory: &Memory) -> Result<()> {
    let limit = memory.limit.filter(|v| *v != 0);
    if let (true, Some(limit)) = (memory.check_before_update, limit.filter(|v| *v > 0)) {
        let usage = node.number("memory.current").unwrap_or(0);
        if usage >= limit.unsigned_abs() {
            return Err(Error::invalid(format!(
                "rejecting memory limit {limit} because of the usage {usage}"
            )));
        }
    }
    if let Some(swap) = swap_of_both(memory.swap, limit)? {
        match node.try_write("memory.swap.max", &limit_text(swap)) {
            // Without swap accounting there is nothing to limit.
            Err(e) if e.kind() == io::ErrorKind::NotFound && swap <= 0 => {}
            Err(e) => return Err(node.write_error("memory.swap.max", &limit_text(swap), e)),
            Ok(()) => {}
        }
    }
    if let Some(limit) = limit {
        node.write("memory.max", &limit_text(limit))?;
    }
    match memory.reservation.filter(|v| *v != 0) {
        Some(reservation) => node.write("memory.low", &limit_text(reservation)),
        None => Ok(()),
    }
}

fn cpu(node: &Node, cpu: &Cpu) -> Result<()> {
    // The weight cannot be changed while the group is idle.
    if let Some(idle @ 0) = cpu.idle {
        node.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = cpu.shares.filter(|v| *v != 0) {
        node.write("cpu.weight", &weight_of_shares(shares).to_string())?;
    }
    let burst = cpu.burst.map(|burst| burst.to_string());
    let (quota, period) = (cpu.quota.filter(|v| *v != 0), cpu.period.filter(|v| *v != 0));
    let mut burst_refused = false;
    if let Some(burst) = &burst {
        match node.try_write("cpu.max.burst", burst) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => burst_refused = true,
            Err(e) => return Err(node.write_error("cpu.max.burst", burst, e)),
            Ok(()) => {}
        }
    }
    if quota.is_some() || period.is_some() {
        let present = if quota.is_some() && period.is_some() { String::new() } else { node.read("cpu.max")? };
        node.write("cpu.max", &bandwidth_text(quota, period, &present))?;
    }
    if let (true, Some(burst)) = (burst_refused, &burst) {
        node.write("cpu.max.burst", burst)?;
    }
    match cpu.idle {
        Some(idle) if idle != 0 => node.write("cpu.idle", &idle.to_string()),
        _ => Ok(()),
    }
}

fn block_io(node: &Node, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight.filter(|v| *v != 0) {
        match node.try_write("io.bfq.weight", &weight.to_string()) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                node.write("io.weight", &io_weight(weight).to_string())?;
            }
            Err(e) => return Err(node.write_error("io.bfq.weight", &weight.to_string(), e)),
        }
    }
    for device in &io.weight_device {
        if let Some(weight) = device.weight.filter(|v| *v != 0) {
            node.write("io.bfq.weight", &format!("{}:{} {weight}", device.major, device.minor))?;
        }
    }
    for (key, throttles) in
        [("rbps", &io.read_bps), ("wbps", &io.write_bps), ("riops", &io.read_iops), ("wiops", &io.write_iops)]
    {
        for throttle in throttles {
            node.write("io.max", &io_max(key, throttle))?;
        }
    }
    Ok(())
}

/// A line of `io.max`; version 1's 0 means unlimited.
fn io_max(key: &str, throttle: &Throttle) -> String {
    let Throttle { major, minor, rate } = throttle;
    match rate {
        0 => format!("{major}:{minor} {key}=max"),
        rate => format!("{major}:{minor} {key}={rate}"),
    }
}

/// A file by name; the kernel takes such files line by line.
fn unified(node: &Node, name: &str, value: &str) -> Result<()> {
    if name.contains('/') {
        return Err(Error::invalid(format!("unified resource {name:?} must be a file name (no slashes)")));
    }
    for line in value.lines().filter(|line| !line.is_empty()) {
        match node.try_write(name, line) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let controller = name.split_once('.').map_or(name, |(controller, _)| controller);
                return Err(Error::invalid(format!(
                    "unified resource {name:?} can't be set: controller {controller:?} not available"
                )));
            }
            Err(e) => return Err(node.write_error(name, line, e)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles() {
        let of = |rate| Throttle { major: 8, minor: 16, rate };
        assert_eq!(io_max("rbps", &of(7)), "8:16 rbps=7");
        assert_eq!(io_max("wiops", &of(0)), "8:16 wiops=max");
    }
}
