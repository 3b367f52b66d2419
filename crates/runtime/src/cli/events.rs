//! `events`: counters now and then, and running out of memory when it happens.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use kernel::cgroup::{
    BlkioEntryV1, Cgroup, CpuV2, MemoryEntryV1, MemoryV1, MemoryV2, OomWatch, Stats, StatsV1, StatsV2,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Map, Value, json};

use super::arguments::{Count, Flag, Order, Parsed};
use super::{Failure, Globals, Outcome, Verb, print};

pub(super) const EVENTS: Verb = Verb {
    name: "events",
    usage: "[command options] <container-id>",
    about: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
    flags: &[
        Flag::value(&["interval"], "time between statistics (default: 5s)"),
        Flag::switch(&["stats"], "display the container's stats then exit"),
    ],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: events,
};

fn events(globals: &Globals, parsed: Parsed) -> Outcome {
    let id = parsed.word(0);
    let interval = interval(parsed.value("interval").unwrap_or("5s"))?;
    let summary = crate::state(&globals.root, id)?;
    if summary.status == "stopped" {
        return Err(Failure::new(format!("container with id {id} is not running")));
    }
    let group = Cgroup::of_pid(summary.pid)?;
    if parsed.has("stats") {
        print_stats(id, &group)?;
        return Ok(0);
    }
    let init = kernel::pidfd::open(summary.pid)?;
    let mut oom = group.oom_watch()?;
    let mut next = Instant::now() + interval;
    loop {
        if wait(&oom, &init, next.saturating_duration_since(Instant::now()))? {
            return Ok(0);
        }
        for _ in 0..oom.read()? {
            print(&format!("{}\n", json!({"type": "oom", "id": id})));
        }
        if Instant::now() >= next {
            print_stats(id, &group)?;
            next += interval;
        }
    }
}

/// A positive duration such as `5s`, `100ms` or `1m30s`.
fn interval(text: &str) -> Result<Duration, Failure> {
    let found = parse_duration(text)
        .ok_or_else(|| Failure::new(format!("invalid value {text:?} for flag -interval: parse error")))?;
    if found.is_zero() { Err(Failure::new("duration interval must be greater than 0")) } else { Ok(found) }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit].parse().ok()?;
        let end = rest[unit..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| unit + at);
        let seconds = match &rest[unit..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(total)
}

/// Waits for an event; true when the container has ended.
fn wait(oom: &OomWatch, init: impl AsFd, timeout: Duration) -> Result<bool, Failure> {
    let mut fds = [PollFd::new(&init, PollFlags::IN), PollFd::new(oom, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).map_err(|e| Failure::new(e.to_string()))?;
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!fds[0].revents().is_empty()),
        Err(e) => Err(Failure::new(format!("poll: {}", std::io::Error::from(e)))),
    }
}

fn print_stats(id: &str, group: &Cgroup) -> Result<(), Failure> {
    let data = match group.stats()? {
        None => return Ok(()),
        Some(Stats::V1(stats)) => version_1(&stats, group),
        Some(Stats::V2(stats)) => version_2(&stats, group),
    };
    print(&format!("{}\n", json!({"type": "stats", "id": id, "data": data})));
    Ok(())
}

/// Leaves out numbers that are 0, as Go does for most.
fn sparse(fields: &[(&str, u64)]) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(_, value)| *value != 0)
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect()
}

fn version_1(stats: &StatsV1, group: &Cgroup) -> Value {
    let pids = stats.pids.unwrap_or_default();
    let hugetlb: BTreeMap<&str, Value> = stats
        .hugetlb
        .iter()
        .map(|h| (h.pagesize.as_str(), json!({"usage": h.usage, "max": h.max, "failcnt": h.failcnt})))
        .collect();
    json!({
        "cpu": cpu_1(stats, group),
        "cpuset": cpuset(group),
        "memory": stats.memory.as_ref().map(|m| memory_1(m, group)).unwrap_or_else(|| json!({})),
        "pids": sparse(&[("current", pids.current), ("limit", pids.limit)]),
        "blkio": stats.blkio.as_ref().map(blkio).unwrap_or_else(|| json!({})),
        "hugetlb": hugetlb,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

fn cpu_1(stats: &StatsV1, group: &Cgroup) -> Value {
    let cpu = stats.cpu.clone().unwrap_or_default();
    let mut usage = sparse(&[("total", cpu.usage.total)]);
    let (user, kernel) = per_cpu(&group.read_file("cpuacct", "cpuacct.usage_all").unwrap_or_default());
    for (key, values) in [("percpu", &cpu.usage.per_cpu), ("percpu_kernel", &kernel), ("percpu_user", &user)]
    {
        if !values.is_empty() {
            usage.insert(key.to_owned(), values.clone().into());
        }
    }
    usage.insert("kernel".to_owned(), cpu.usage.kernel.into());
    usage.insert("user".to_owned(), cpu.usage.user.into());
    let throttling = sparse(&[
        ("periods", cpu.throttling.periods),
        ("throttledPeriods", cpu.throttling.throttled_periods),
        ("throttledTime", cpu.throttling.throttled_time),
    ]);
    json!({"usage": usage, "throttling": throttling})
}

/// `cpuacct.usage_all`: a header, then a line of number, user and system per CPU.
fn per_cpu(text: &str) -> (Vec<u64>, Vec<u64>) {
    let line = |line: &str| {
        let mut words = line.split_whitespace().skip(1).map(str::parse::<u64>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    text.lines().skip(1).filter_map(line).unzip()
}

fn cpuset(group: &Cgroup) -> Value {
    let read = |name: &str| group.read_file("cpuset", &format!("cpuset.{name}")).unwrap_or_default();
    let mut found = Map::new();
    for name in ["cpus", "mems"] {
        let list = number_list(read(name).trim());
        if !list.is_empty() {
            found.insert(name.to_owned(), list.into());
        }
    }
    for name in [
        "cpu_exclusive",
        "mem_hardwall",
        "mem_exclusive",
        "memory_migrate",
        "memory_spread_page",
        "memory_spread_slab",
        "memory_pressure",
        "sched_load_balance",
        "sched_relax_domain_level",
    ] {
        found.insert(name.to_owned(), read(name).trim().parse::<i64>().unwrap_or(0).into());
    }
    found.into()
}

/// `0-2,5` as numbers.
fn number_list(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

fn memory_1(memory: &MemoryV1, group: &Cgroup) -> Value {
    let mut found = sparse(&[("cache", memory.cache)]);
    for (key, entry) in [
        ("usage", memory.usage),
        ("swap", memory.swap),
        ("kernel", memory.kernel),
        ("kernelTCP", memory.kernel_tcp),
    ] {
        found.insert(key.to_owned(), entry_1(&entry.unwrap_or_default()));
    }
    found.insert("raw".to_owned(), raw(group));
    found.into()
}

fn entry_1(entry: &MemoryEntryV1) -> Value {
    let mut found = sparse(&[("limit", entry.limit), ("usage", entry.usage), ("max", entry.max)]);
    found.insert("failcnt".to_owned(), entry.failcnt.into());
    found.into()
}

/// All of `memory.stat`.
fn raw(group: &Cgroup) -> Value {
    let text = group.read_file("memory", "memory.stat").unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse::<u64>().ok()?.into()))
    };
    Value::Object(text.lines().filter_map(line).collect())
}

fn blkio(blkio: &kernel::cgroup::BlkioV1) -> Value {
    let lists = [
        ("ioServiceBytesRecursive", &blkio.io_service_bytes_recursive),
        ("ioServicedRecursive", &blkio.io_serviced_recursive),
        ("ioQueueRecursive", &blkio.io_queued_recursive),
        ("ioServiceTimeRecursive", &blkio.io_service_time_recursive),
        ("ioWaitTimeRecursive", &blkio.io_wait_time_recursive),
        ("ioMergedRecursive", &blkio.io_merged_recursive),
        ("ioTimeRecursive", &blkio.io_time_recursive),
        ("sectorsRecursive", &blkio.sectors_recursive),
    ];
    let entry = |e: &BlkioEntryV1| {
        let mut found = sparse(&[("major", e.major), ("minor", e.minor), ("value", e.value)]);
        if !e.op.is_empty() {
            found.insert("op".to_owned(), e.op.clone().into());
        }
        Value::Object(found)
    };
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    Value::Object(lists.map(|(key, list)| (key.to_owned(), list.iter().map(entry).collect())).collect())
}

fn version_2(stats: &StatsV2, group: &Cgroup) -> Value {
    let pids = stats.pids.unwrap_or_default();
    let limit = if pids.limit == u64::MAX { 0 } else { pids.limit };
    let hugetlb: BTreeMap<&str, Value> = stats
        .hugetlb
        .iter()
        .map(|h| (h.pagesize.as_str(), json!({"usage": h.current, "failcnt": h.failcnt})))
        .collect();
    json!({
        "cpu": cpu_2(&stats.cpu.unwrap_or_default()),
        "cpuset": {},
        "memory": stats.memory.as_ref().map(|m| memory_2(m, group)).unwrap_or_else(|| json!({})),
        "pids": sparse(&[("current", pids.current), ("limit", limit)]),
        "blkio": io_2(stats),
        "hugetlb": hugetlb,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// In nanoseconds, as version 1 has them.
fn cpu_2(cpu: &CpuV2) -> Value {
    let mut usage = sparse(&[("total", cpu.usage_usec * 1000)]);
    usage.insert("kernel".to_owned(), (cpu.system_usec * 1000).into());
    usage.insert("user".to_owned(), (cpu.user_usec * 1000).into());
    let throttling = sparse(&[
        ("periods", cpu.nr_periods),
        ("throttledPeriods", cpu.nr_throttled),
        ("throttledTime", cpu.throttled_usec * 1000),
    ]);
    json!({"usage": usage, "throttling": throttling})
}

fn memory_2(memory: &MemoryV2, group: &Cgroup) -> Value {
    let mut found = sparse(&[("cache", memory.file)]);
    let entry = |limit, usage, max| entry_1(&MemoryEntryV1 { limit, usage, max, failcnt: 0 });
    found.insert("usage".to_owned(), entry(memory.usage_limit, memory.usage, memory.max_usage));
    found.insert("swap".to_owned(), entry(memory.swap_limit, memory.swap_usage, memory.swap_max_usage));
    found.insert("raw".to_owned(), raw(group));
    found.into()
}

fn io_2(stats: &StatsV2) -> Value {
    let usage = stats.io.as_ref().map(|io| io.usage.as_slice()).unwrap_or_default();
    let list = |read: fn(&kernel::cgroup::IoEntryV2) -> [(&'static str, u64); 2]| -> Vec<Value> {
        let lines = usage.iter().flat_map(|e| read(e).map(|(op, value)| (e.major, e.minor, op, value)));
        lines
            .map(
                |(major, minor, op, value)| json!({"major": major, "minor": minor, "op": op, "value": value}),
            )
            .collect()
    };
    if usage.is_empty() {
        return json!({});
    }
    json!({
        "ioServiceBytesRecursive": list(|e| [("Read", e.rbytes), ("Write", e.wbytes)]),
        "ioServicedRecursive": list(|e| [("Read", e.rios), ("Write", e.wios)]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("5s", Some(5000)),
            ("100ms", Some(100)),
            ("1m30s", Some(90_000)),
            ("0.5h", Some(1_800_000)),
            ("5", None),
            ("s", None),
            ("", None),
            ("5x", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
        assert!(interval("0s").is_err());
    }

    #[test]
    fn lists_and_tables() {
        assert_eq!(number_list("0-2,5"), [0, 1, 2, 5]);
        assert!(number_list("").is_empty());
        assert_eq!(per_cpu("cpu user system\n0 1 2\n1 3 4\n"), (vec![1, 3], vec![2, 4]));
    }
}
