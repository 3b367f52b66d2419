//! A control group's counters as the two `Metrics` messages.

use kernel::cgroup::{
    BlkioEntryV1, BlkioV1, MemoryEntryV1, MemoryV1, MemoryV2, Pressure, PressureData, RdmaStat, Stats,
    StatsV1, StatsV2,
};
use wire::Any;
use wire::api::{cgroups_v1 as v1, cgroups_v2 as v2};

/// The message of the group's version.
pub fn pack(stats: Stats) -> Any {
    match stats {
        Stats::V1(stats) => Any::pack(&message_v1(*stats)),
        Stats::V2(stats) => Any::pack(&message_v2(*stats)),
    }
}

/// Builds a message from a value with fields of the same names.
macro_rules! same_fields {
    ($message:path, $from:expr, { $($field:ident),* $(,)? } $(, $name:ident: $value:expr)* $(,)?) => {{
        let from = $from;
        $message { $($field: from.$field,)* $($name: $value,)* }
    }};
}

fn message_v1(stats: StatsV1) -> v1::Metrics {
    let pids = stats.pids.map(|pids| same_fields!(v1::PidsStat, pids, { current, limit }));
    let cpu = stats.cpu.map(|cpu| v1::CpuStat {
        usage: Some(same_fields!(v1::CpuUsage, cpu.usage, { total, kernel, user, per_cpu })),
        throttling: Some(same_fields!(
            v1::Throttle,
            cpu.throttling,
            { periods, throttled_periods, throttled_time }
        )),
    });
    let page =
        |h: kernel::cgroup::HugetlbV1| same_fields!(v1::HugetlbStat, h, { usage, max, failcnt, pagesize });
    let oom = |o: kernel::cgroup::OomControlV1| same_fields!(v1::MemoryOomControl, o, { oom_kill_disable, under_oom, oom_kill });
    v1::Metrics {
        hugetlb: stats.hugetlb.into_iter().map(page).collect(),
        pids,
        cpu,
        memory: stats.memory.map(memory_v1),
        blkio: stats.blkio.map(blkio_v1),
        rdma: stats.rdma.map(rdma_v1),
        memory_oom_control: stats.memory_oom_control.map(oom),
        ..Default::default()
    }
}

fn memory_v1(memory: MemoryV1) -> v1::MemoryStat {
    let entry = |entry: Option<MemoryEntryV1>| {
        entry.map(|e| same_fields!(v1::MemoryEntry, e, { limit, usage, max, failcnt }))
    };
    let (usage, swap) = (entry(memory.usage), entry(memory.swap));
    let (kernel, kernel_tcp) = (entry(memory.kernel), entry(memory.kernel_tcp));
    same_fields!(
        v1::MemoryStat,
        memory,
        {
            cache, rss, rss_huge, mapped_file, dirty, writeback, pg_pg_in, pg_pg_out, pg_fault, pg_maj_fault,
            inactive_anon, active_anon, inactive_file, active_file, unevictable, hierarchical_memory_limit,
            hierarchical_swap_limit, total_cache, total_rss, total_rss_huge, total_mapped_file, total_dirty,
            total_writeback, total_pg_pg_in, total_pg_pg_out, total_pg_fault, total_pg_maj_fault,
            total_inactive_anon, total_active_anon, total_inactive_file, total_active_file, total_unevictable,
        },
        usage: usage, swap: swap, kernel: kernel, kernel_tcp: kernel_tcp,
    )
}

fn blkio_v1(blkio: BlkioV1) -> v1::BlkIoStat {
    let list = |entries: Vec<BlkioEntryV1>| {
        let entry = |e: BlkioEntryV1| same_fields!(v1::BlkIoEntry, e, { op, device, major, minor, value });
        entries.into_iter().map(entry).collect()
    };
    v1::BlkIoStat {
        io_service_bytes_recursive: list(blkio.io_service_bytes_recursive),
        io_serviced_recursive: list(blkio.io_serviced_recursive),
        io_queued_recursive: list(blkio.io_queued_recursive),
        io_service_time_recursive: list(blkio.io_service_time_recursive),
        io_wait_time_recursive: list(blkio.io_wait_time_recursive),
        io_merged_recursive: list(blkio.io_merged_recursive),
        io_time_recursive: list(blkio.io_time_recursive),
        sectors_recursive: list(blkio.sectors_recursive),
    }
}

fn rdma_v1(rdma: RdmaStat) -> v1::RdmaStat {
    let list = |entries: Vec<kernel::cgroup::RdmaEntry>| {
        let entry = |e: kernel::cgroup::RdmaEntry| same_fields!(v1::RdmaEntry, e, { device, hca_handles, hca_objects });
        entries.into_iter().map(entry).collect()
    };
    v1::RdmaStat { current: list(rdma.current), limit: list(rdma.limit) }
}

fn message_v2(stats: StatsV2) -> v2::Metrics {
    let cpu = stats.cpu.map(|cpu| {
        let psi = pressure(cpu.psi);
        same_fields!(
            v2::CpuStat,
            cpu,
            {
                usage_usec, user_usec, system_usec, nr_periods, nr_throttled, throttled_usec, nr_bursts, burst_usec,
            },
            psi: psi,
        )
    });
    let io = stats.io.map(|io| {
        let entry = |e: kernel::cgroup::IoEntryV2| same_fields!(v2::IoEntry, e, { major, minor, rbytes, wbytes, rios, wios });
        v2::IoStat { usage: io.usage.into_iter().map(entry).collect(), psi: pressure(io.psi) }
    });
    let page =
        |h: kernel::cgroup::HugetlbV2| same_fields!(v2::HugeTlbStat, h, { current, max, pagesize, failcnt });
    let events = stats
        .memory_events
        .map(|e| same_fields!(v2::MemoryEvents, e, { low, high, max, oom, oom_kill, oom_group_kill }));
    v2::Metrics {
        pids: stats.pids.map(|pids| same_fields!(v2::PidsStat, pids, { current, limit })),
        cpu,
        memory: stats.memory.map(memory_v2),
        rdma: stats.rdma.map(rdma_v2),
        io,
        hugetlb: stats.hugetlb.into_iter().map(page).collect(),
        memory_events: events,
        ..Default::default()
    }
}

fn memory_v2(memory: MemoryV2) -> v2::MemoryStat {
    let psi = pressure(memory.psi);
    same_fields!(
        v2::MemoryStat,
        memory,
        {
            anon, file, kernel_stack, slab, sock, shmem, file_mapped, file_dirty, file_writeback, anon_thp,
            inactive_anon, active_anon, inactive_file, active_file, unevictable, slab_reclaimable,
            slab_unreclaimable, pgfault, pgmajfault, workingset_refault, workingset_activate,
            workingset_nodereclaim, pgrefill, pgscan, pgsteal, pgactivate, pgdeactivate, pglazyfree, pglazyfreed,
            thp_fault_alloc, thp_collapse_alloc, usage, usage_limit, swap_usage, swap_limit, max_usage,
            swap_max_usage,
        },
        psi: psi,
    )
}

fn rdma_v2(rdma: RdmaStat) -> v2::RdmaStat {
    let list = |entries: Vec<kernel::cgroup::RdmaEntry>| {
        let entry = |e: kernel::cgroup::RdmaEntry| same_fields!(v2::RdmaEntry, e, { device, hca_handles, hca_objects });
        entries.into_iter().map(entry).collect()
    };
    v2::RdmaStat { current: list(rdma.current), limit: list(rdma.limit) }
}

fn pressure(pressure: Option<Pressure>) -> Option<v2::PsiStats> {
    let data = |d: PressureData| Some(same_fields!(v2::PsiData, d, { avg10, avg60, avg300, total }));
    pressure.map(|p| v2::PsiStats { some: data(p.some), full: data(p.full) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_names() {
        let stats = StatsV1 {
            pids: Some(kernel::cgroup::Pids { current: 3, limit: 9 }),
            memory: Some(MemoryV1 {
                rss: 7,
                usage: Some(MemoryEntryV1 { limit: 5, ..Default::default() }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let any = pack(Stats::V1(Box::new(stats)));
        assert_eq!(any.type_url, "io.containerd.cgroups.v1.Metrics");
        let metrics = any.unpack::<v1::Metrics>().expect("type").expect("bytes");
        assert_eq!(metrics.pids.map(|p| (p.current, p.limit)), Some((3, 9)));
        let memory = metrics.memory.expect("memory");
        assert_eq!((memory.rss, memory.usage.map(|u| u.limit)), (7, Some(5)));
        let any = pack(Stats::V2(Box::default()));
        assert_eq!(any.type_url, "io.containerd.cgroups.v2.Metrics");
    }
}
