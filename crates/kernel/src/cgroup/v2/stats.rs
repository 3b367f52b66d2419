//! Counters as version 2 keeps them.

use super::super::file::Node;
use super::super::parse;
use super::super::rdma;
use super::super::stats::{
    CpuV2, HugetlbV2, IoEntryV2, IoV2, MemoryEventsV2, MemoryV2, Pids, Pressure, PressureData, StatsV2,
};
use super::super::v1::page_sizes;

/// Reads all there is; what cannot be read is left out.
pub(in super::super) fn read(node: &Node) -> StatsV2 {
    let pids = node
        .number("pids.current")
        .map(|current| Pids { current, limit: node.number("pids.max").unwrap_or(u64::MAX) });
    let cpu = node
        .try_read("cpu.stat")
        .ok()
        .map(|text| CpuV2 { psi: pressure(node, "cpu.pressure"), ..cpu_of(&text) });
    StatsV2 {
        pids,
        cpu,
        memory: memory(node),
        rdma: rdma::stats(node),
        io: io(node),
        hugetlb: hugetlb(node),
        memory_events: node.try_read("memory.events").ok().map(|text| events_of(&text)),
    }
}

fn pressure(node: &Node, name: &str) -> Option<Pressure> {
    node.try_read(name).ok().map(|text| pressure_of(&text))
}

fn pressure_of(text: &str) -> Pressure {
    let mut found = Pressure::default();
    for line in text.lines() {
        let data = match line.split_whitespace().next() {
            Some("some") => &mut found.some,
            Some("full") => &mut found.full,
            _ => continue,
        };
        *data = pressure_data(line);
    }
    found
}

fn pressure_data(line: &str) -> PressureData {
    let mut data = PressureData::default();
    for (key, value) in parse::words(line) {
        match key {
            "avg10" => data.avg10 = value.parse().unwrap_or(0.0),
            "avg60" => data.avg60 = value.parse().unwrap_or(0.0),
            "avg300" => data.avg300 = value.parse().unwrap_or(0.0),
            "total" => data.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    data
}

fn cpu_of(text: &str) -> CpuV2 {
    let mut cpu = CpuV2::default();
    for (key, value) in parse::pairs(text) {
        match key {
            "usage_usec" => cpu.usage_usec = value,
            "user_usec" => cpu.user_usec = value,
            "system_usec" => cpu.system_usec = value,
            "nr_periods" => cpu.nr_periods = value,
            "nr_throttled" => cpu.nr_throttled = value,
            "throttled_usec" => cpu.throttled_usec = value,
            "nr_bursts" => cpu.nr_bursts = value,
            "burst_usec" => cpu.burst_usec = value,
            _ => {}
        }
    }
    cpu
}

fn memory(node: &Node) -> Option<MemoryV2> {
    let memory = memory_of(&node.try_read("memory.stat").ok()?);
    let limit = |name| node.number(name).unwrap_or(u64::MAX);
    let count = |name| node.number(name).unwrap_or(0);
    Some(MemoryV2 {
        usage: count("memory.current"),
        usage_limit: limit("memory.max"),
        swap_usage: count("memory.swap.current"),
        swap_limit: limit("memory.swap.max"),
        max_usage: count("memory.peak"),
        swap_max_usage: count("memory.swap.peak"),
        psi: pressure(node, "memory.pressure"),
        ..memory
    })
}

fn memory_of(text: &str) -> MemoryV2 {
    let mut memory = MemoryV2::default();
    for (key, value) in parse::pairs(text) {
        if let Some(field) = memory_field(&mut memory, key) {
            // Newer kernels count some events for anonymous and file pages apart.
            *field += value;
        }
    }
    memory
}

fn memory_field<'a>(memory: &'a mut MemoryV2, key: &str) -> Option<&'a mut u64> {
    Some(match key {
        "anon" => &mut memory.anon,
        "file" => &mut memory.file,
        "kernel_stack" => &mut memory.kernel_stack,
        "slab" => &mut memory.slab,
        "sock" => &mut memory.sock,
        "shmem" => &mut memory.shmem,
        "file_mapped" => &mut memory.file_mapped,
        "file_dirty" => &mut memory.file_dirty,
        "file_writeback" => &mut memory.file_writeback,
        "anon_thp" => &mut memory.anon_thp,
        "inactive_anon" => &mut memory.inactive_anon,
        "active_anon" => &mut memory.active_anon,
        "inactive_file" => &mut memory.inactive_file,
        "active_file" => &mut memory.active_file,
        "unevictable" => &mut memory.unevictable,
        "slab_reclaimable" => &mut memory.slab_reclaimable,
        "slab_unreclaimable" => &mut memory.slab_unreclaimable,
        "pgfault" => &mut memory.pgfault,
        "pgmajfault" => &mut memory.pgmajfault,
        "workingset_refault" | "workingset_refault_anon" | "workingset_refault_file" => {
            &mut memory.workingset_refault
        }
        "workingset_activate" | "workingset_activate_anon" | "workingset_activate_file" => {
            &mut memory.workingset_activate
        }
        "workingset_nodereclaim" => &mut memory.workingset_nodereclaim,
        "pgrefill" => &mut memory.pgrefill,
        "pgscan" => &mut memory.pgscan,
        "pgsteal" => &mut memory.pgsteal,
        "pgactivate" => &mut memory.pgactivate,
        "pgdeactivate" => &mut memory.pgdeactivate,
        "pglazyfree" => &mut memory.pglazyfree,
        "pglazyfreed" => &mut memory.pglazyfreed,
        "thp_fault_alloc" => &mut memory.thp_fault_alloc,
        "thp_collapse_alloc" => &mut memory.thp_collapse_alloc,
        _ => return None,
    })
}

fn events_of(text: &str) -> MemoryEventsV2 {
    let mut events = MemoryEventsV2::default();
    for (key, value) in parse::pairs(text) {
        match key {
            "low" => events.low = value,
            "high" => events.high = value,
            "max" => events.max = value,
            "oom" => events.oom = value,
            "oom_kill" => events.oom_kill = value,
            "oom_group_kill" => events.oom_group_kill = value,
            _ => {}
        }
    }
    events
}

fn io(node: &Node) -> Option<IoV2> {
    let text = node.try_read("io.stat").ok()?;
    Some(IoV2 { usage: text.lines().filter_map(io_entry).collect(), psi: pressure(node, "io.pressure") })
}

fn io_entry(line: &str) -> Option<IoEntryV2> {
    let (major, minor) = parse::device(line.split_whitespace().next()?)?;
    let mut entry = IoEntryV2 { major, minor, ..IoEntryV2::default() };
    for (key, value) in parse::words(line) {
        let field = match key {
            "rbytes" => &mut entry.rbytes,
            "wbytes" => &mut entry.wbytes,
            "rios" => &mut entry.rios,
            "wios" => &mut entry.wios,
            _ => continue,
        };
        *field = parse::number(value)?;
    }
    Some(entry)
}

fn hugetlb(node: &Node) -> Vec<HugetlbV2> {
    let size = |pagesize: String| {
        let file = |what: &str| format!("hugetlb.{pagesize}.{what}");
        let events = node.try_read(&file("events")).unwrap_or_default();
        let failcnt = parse::pairs(&events).find(|(key, _)| *key == "max").map_or(0, |(_, value)| value);
        let (current, max) = (node.number(&file("current"))?, node.number(&file("max"))?);
        Some(HugetlbV2 { current, max, pagesize, failcnt })
    };
    page_sizes().into_iter().filter_map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lines() {
        let cpu =
            cpu_of("usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 1\nburst_usec 7\nnice_usec 1\n");
        let expected = CpuV2 {
            usage_usec: 5,
            user_usec: 3,
            system_usec: 2,
            nr_throttled: 1,
            burst_usec: 7,
            ..CpuV2::default()
        };
        assert_eq!(cpu, expected);
    }

    #[test]
    fn memory_lines() {
        let text = "anon 1\nfile_mapped 2\nworkingset_refault_anon 3\nworkingset_refault_file 4\nkernel 9\n";
        let expected = MemoryV2 { anon: 1, file_mapped: 2, workingset_refault: 7, ..MemoryV2::default() };
        assert_eq!(memory_of(text), expected);
    }

    #[test]
    fn pressure_lines() {
        let found = pressure_of(
            "some avg10=1.50 avg60=0.25 avg300=0.00 total=42\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=7\n",
        );
        assert_eq!(found.some, PressureData { avg10: 1.5, avg60: 0.25, avg300: 0.0, total: 42 });
        assert_eq!(found.full.total, 7);
    }

    #[test]
    fn io_lines() {
        let line = "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0";
        let expected = IoEntryV2 { major: 254, minor: 0, rbytes: 1, wbytes: 2, rios: 3, wios: 4 };
        assert_eq!(io_entry(line), Some(expected));
        assert_eq!(io_entry("254:0"), Some(IoEntryV2 { major: 254, ..IoEntryV2::default() }));
        assert_eq!(io_entry(""), None);
    }

    #[test]
    fn event_lines() {
        let events = events_of("low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n");
        let expected = MemoryEventsV2 { low: 0, high: 1, max: 2, oom: 3, oom_kill: 4, oom_group_kill: 5 };
        assert_eq!(events, expected);
    }
}
