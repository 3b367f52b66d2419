//! Counters as version 1 keeps them.

use std::fs;

use super::super::Cgroup;
use super::super::file::Node;
use super::super::parse;
use super::super::rdma;
use super::super::stats::{
    BlkioEntryV1, BlkioV1, CpuUsageV1, CpuV1, HugetlbV1, MemoryEntryV1, MemoryV1, OomControlV1, Pids,
    StatsV1, ThrottlingV1,
};

/// Nanoseconds of one tick of `cpuacct.stat` (USER_HZ is 100 on every architecture this runs on).
const TICK: u64 = 10_000_000;

/// Reads all there is; what cannot be read is left out.
pub(in super::super) fn read(group: &Cgroup) -> StatsV1 {
    let memory = group.find("memory");
    StatsV1 {
        hugetlb: group.find("hugetlb").map(hugetlb).unwrap_or_default(),
        pids: group.find("pids").and_then(pids),
        cpu: cpu(group),
        memory: memory.and_then(memory_stat),
        blkio: group.find("blkio").map(blkio),
        rdma: group.find("rdma").and_then(rdma::stats),
        memory_oom_control: memory.and_then(oom_control),
    }
}

fn hugetlb(node: &Node) -> Vec<HugetlbV1> {
    let size = |pagesize: String| {
        let number = |what: &str| node.number(&format!("hugetlb.{pagesize}.{what}"));
        Some(HugetlbV1 {
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
            pagesize,
        })
    };
    page_sizes().into_iter().filter_map(size).collect()
}

/// Huge page sizes of the host, in the names the controller gives its files.
pub(in super::super) fn page_sizes() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let mut sizes: Vec<u64> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()
        })
        .collect();
    sizes.sort_unstable();
    sizes.into_iter().map(page_size_name).collect()
}

fn page_size_name(kilobytes: u64) -> String {
    match kilobytes {
        kb if kb >= 1 << 20 => format!("{}GB", kb >> 20),
        kb if kb >= 1 << 10 => format!("{}MB", kb >> 10),
        kb => format!("{kb}KB"),
    }
}

fn pids(node: &Node) -> Option<Pids> {
    let limit = node.number("pids.max")?;
    Some(Pids { current: node.number("pids.current")?, limit: if limit == u64::MAX { 0 } else { limit } })
}

fn cpu(group: &Cgroup) -> Option<CpuV1> {
    let throttling = group.find("cpu").and_then(|node| node.try_read("cpu.stat").ok());
    let usage = group.find("cpuacct").and_then(cpu_usage);
    if throttling.is_none() && usage.is_none() {
        return None;
    }
    Some(CpuV1 {
        usage: usage.unwrap_or_default(),
        throttling: throttling.map(|text| throttling_of(&text)).unwrap_or_default(),
    })
}

fn cpu_usage(node: &Node) -> Option<CpuUsageV1> {
    let mut usage = CpuUsageV1 { total: node.number("cpuacct.usage")?, ..CpuUsageV1::default() };
    for (key, ticks) in parse::pairs(&node.try_read("cpuacct.stat").ok()?) {
        match key {
            "user" => usage.user = ticks * TICK,
            "system" => usage.kernel = ticks * TICK,
            _ => {}
        }
    }
    let per_cpu = node.try_read("cpuacct.usage_percpu").ok()?;
    usage.per_cpu = per_cpu.split_whitespace().filter_map(parse::number).collect();
    Some(usage)
}

fn throttling_of(text: &str) -> ThrottlingV1 {
    let mut found = ThrottlingV1::default();
    for (key, value) in parse::pairs(text) {
        match key {
            "nr_periods" => found.periods = value,
            "nr_throttled" => found.throttled_periods = value,
            "throttled_time" => found.throttled_time = value,
            _ => {}
        }
    }
    found
}

fn memory_stat(node: &Node) -> Option<MemoryV1> {
    let mut memory = memory_of(&node.try_read("memory.stat").ok()?);
    memory.usage = memory_entry(node, "memory");
    memory.swap = memory_entry(node, "memory.memsw");
    memory.kernel = memory_entry(node, "memory.kmem");
    memory.kernel_tcp = memory_entry(node, "memory.kmem.tcp");
    Some(memory)
}

fn memory_entry(node: &Node, prefix: &str) -> Option<MemoryEntryV1> {
    let number = |what: &str| node.number(&format!("{prefix}.{what}"));
    Some(MemoryEntryV1 {
        limit: number("limit_in_bytes")?,
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

fn memory_of(text: &str) -> MemoryV1 {
    let mut memory = MemoryV1::default();
    for (key, value) in parse::pairs(text) {
        if let Some(field) = memory_field(&mut memory, key) {
            *field = value;
        }
    }
    memory
}

fn memory_field<'a>(memory: &'a mut MemoryV1, key: &str) -> Option<&'a mut u64> {
    Some(match key {
        "cache" => &mut memory.cache,
        "rss" => &mut memory.rss,
        "rss_huge" => &mut memory.rss_huge,
        "mapped_file" => &mut memory.mapped_file,
        "dirty" => &mut memory.dirty,
        "writeback" => &mut memory.writeback,
        "pgpgin" => &mut memory.pg_pg_in,
        "pgpgout" => &mut memory.pg_pg_out,
        "pgfault" => &mut memory.pg_fault,
        "pgmajfault" => &mut memory.pg_maj_fault,
        "inactive_anon" => &mut memory.inactive_anon,
        "active_anon" => &mut memory.active_anon,
        "inactive_file" => &mut memory.inactive_file,
        "active_file" => &mut memory.active_file,
        "unevictable" => &mut memory.unevictable,
        "hierarchical_memory_limit" => &mut memory.hierarchical_memory_limit,
        "hierarchical_memsw_limit" => &mut memory.hierarchical_swap_limit,
        "total_cache" => &mut memory.total_cache,
        "total_rss" => &mut memory.total_rss,
        "total_rss_huge" => &mut memory.total_rss_huge,
        "total_mapped_file" => &mut memory.total_mapped_file,
        "total_dirty" => &mut memory.total_dirty,
        "total_writeback" => &mut memory.total_writeback,
        "total_pgpgin" => &mut memory.total_pg_pg_in,
        "total_pgpgout" => &mut memory.total_pg_pg_out,
        "total_pgfault" => &mut memory.total_pg_fault,
        "total_pgmajfault" => &mut memory.total_pg_maj_fault,
        "total_inactive_anon" => &mut memory.total_inactive_anon,
        "total_active_anon" => &mut memory.total_active_anon,
        "total_inactive_file" => &mut memory.total_inactive_file,
        "total_active_file" => &mut memory.total_active_file,
        "total_unevictable" => &mut memory.total_unevictable,
        _ => return None,
    })
}

fn oom_control(node: &Node) -> Option<OomControlV1> {
    let mut control = OomControlV1::default();
    for (key, value) in parse::pairs(&node.try_read("memory.oom_control").ok()?) {
        match key {
            "oom_kill_disable" => control.oom_kill_disable = value,
            "under_oom" => control.under_oom = value,
            "oom_kill" => control.oom_kill = value,
            _ => {}
        }
    }
    Some(control)
}

fn blkio(node: &Node) -> BlkioV1 {
    let entries = |name: &str| node.try_read(name).map(|text| blkio_entries(&text)).unwrap_or_default();
    let mut found = BlkioV1 {
        io_service_bytes_recursive: entries("blkio.io_service_bytes_recursive"),
        io_serviced_recursive: entries("blkio.io_serviced_recursive"),
        io_queued_recursive: entries("blkio.io_queued_recursive"),
        io_service_time_recursive: entries("blkio.io_service_time_recursive"),
        io_wait_time_recursive: entries("blkio.io_wait_time_recursive"),
        io_merged_recursive: entries("blkio.io_merged_recursive"),
        io_time_recursive: entries("blkio.time_recursive"),
        sectors_recursive: entries("blkio.sectors_recursive"),
    };
    if found == BlkioV1::default() {
        found.io_service_bytes_recursive = entries("blkio.throttle.io_service_bytes");
        found.io_serviced_recursive = entries("blkio.throttle.io_serviced");
    }
    name_devices(&mut found);
    found
}

/// Lines of `major:minor operation value`, or without an operation.
fn blkio_entries(text: &str) -> Vec<BlkioEntryV1> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = parse::device(words.next()?)?;
        let (second, third) = (words.next()?, words.next());
        let (op, value) = third.map_or(("", second), |value| (second, value));
        Some(BlkioEntryV1 {
            op: op.to_owned(),
            device: String::new(),
            major,
            minor,
            value: parse::number(value)?,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// Fills in names from `/proc/partitions`.
fn name_devices(found: &mut BlkioV1) {
    let lists = [
        &mut found.io_service_bytes_recursive,
        &mut found.io_serviced_recursive,
        &mut found.io_queued_recursive,
        &mut found.io_service_time_recursive,
        &mut found.io_wait_time_recursive,
        &mut found.io_merged_recursive,
        &mut found.io_time_recursive,
        &mut found.sectors_recursive,
    ];
    if lists.iter().all(|list| list.is_empty()) {
        return;
    }
    let partitions = fs::read_to_string("/proc/partitions").unwrap_or_default();
    for entry in lists.into_iter().flatten() {
        entry.device = device_name(&partitions, (entry.major, entry.minor)).unwrap_or_default();
    }
}

fn device_name(partitions: &str, (major, minor): (u64, u64)) -> Option<String> {
    partitions.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let found = words.next()?.parse() == Ok(major) && words.next()?.parse() == Ok(minor);
        found.then(|| words.nth(1).map(|name| format!("/dev/{name}"))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_lines() {
        let memory =
            memory_of("cache 1\nshmem 5\npgpgin 2\nhierarchical_memsw_limit 3\ntotal_unevictable 4\n");
        let expected = MemoryV1 {
            cache: 1,
            pg_pg_in: 2,
            hierarchical_swap_limit: 3,
            total_unevictable: 4,
            ..MemoryV1::default()
        };
        assert_eq!(memory, expected);
    }

    #[test]
    fn block_lines() {
        let found = blkio_entries("8:0 Read 10\n8:0 Total 10\n8:16 7\nTotal 10\n");
        let shown: Vec<_> = found.iter().map(|e| (e.major, e.minor, e.op.as_str(), e.value)).collect();
        assert_eq!(shown, [(8, 0, "Read", 10), (8, 0, "Total", 10), (8, 16, "", 7)]);
        let partitions = "major minor  #blocks  name\n\n   8        0  100 sda\n 254        1   99 vda1\n";
        assert_eq!(device_name(partitions, (254, 1)).as_deref(), Some("/dev/vda1"));
        assert_eq!(device_name(partitions, (254, 0)), None);
    }

    #[test]
    fn page_size_names() {
        for (kilobytes, name) in [(64, "64KB"), (2048, "2MB"), (1 << 20, "1GB")] {
            assert_eq!(page_size_name(kilobytes), name);
        }
    }

    #[test]
    fn throttling_lines() {
        let found = throttling_of("nr_periods 3\nnr_throttled 2\nthrottled_time 9\nnr_bursts 1\n");
        assert_eq!(found, ThrottlingV1 { periods: 3, throttled_periods: 2, throttled_time: 9 });
    }
}
