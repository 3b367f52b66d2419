//! The messages that are shown as JSON: their fields by the names of the definition, in alphabetical order, zero values
//! left out.

use serde_json::{Map, Value};
use wire::api::{cgroups_v1, cgroups_v2, runc};

/// What has a form in JSON.
pub trait Json {
    /// The value; `Null` for what is left out of a message.
    fn json(&self) -> Value;
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Json for $kind {
            fn json(&self) -> Value {
                if *self == <$kind>::default() { Value::Null } else { Value::from(*self) }
            }
        })*
    };
}

numbers!(u32, u64, f64, bool);

impl Json for String {
    fn json(&self) -> Value {
        if self.is_empty() { Value::Null } else { Value::from(self.as_str()) }
    }
}

impl<T: Json> Json for Option<T> {
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Json::json)
    }
}

impl<T: Json> Json for Vec<T> {
    fn json(&self) -> Value {
        if self.is_empty() { Value::Null } else { self.iter().map(Json::json).collect() }
    }
}

macro_rules! messages {
    ($($package:ident::$message:ident { $($field:ident),* })*) => {
        $(impl Json for $package::$message {
            // The task API's address in the runtime options is deprecated, and still shown where it is set.
            #[allow(deprecated, reason = "a field is shown whatever its state")]
            fn json(&self) -> Value {
                let fields = [$((stringify!($field), self.$field.json())),*];
                let shown = fields.into_iter().filter(|(_, value)| !value.is_null());
                Value::Object(shown.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }
        })*
    };
}

messages! {
    cgroups_v1::Metrics { hugetlb, pids, cpu, memory, blkio, rdma, network, cgroup_stats, memory_oom_control }
    cgroups_v1::HugetlbStat { usage, max, failcnt, pagesize }
    cgroups_v1::PidsStat { current, limit }
    cgroups_v1::CpuStat { usage, throttling }
    cgroups_v1::CpuUsage { total, kernel, user, per_cpu }
    cgroups_v1::Throttle { periods, throttled_periods, throttled_time }
    cgroups_v1::MemoryStat { cache, rss, rss_huge, mapped_file, dirty, writeback, pg_pg_in, pg_pg_out, pg_fault, pg_maj_fault, inactive_anon, active_anon, inactive_file, active_file, unevictable, hierarchical_memory_limit, hierarchical_swap_limit, total_cache, total_rss, total_rss_huge, total_mapped_file, total_dirty, total_writeback, total_pg_pg_in, total_pg_pg_out, total_pg_fault, total_pg_maj_fault, total_inactive_anon, total_active_anon, total_inactive_file, total_active_file, total_unevictable, usage, swap, kernel, kernel_tcp }
    cgroups_v1::MemoryEntry { limit, usage, max, failcnt }
    cgroups_v1::MemoryOomControl { oom_kill_disable, under_oom, oom_kill }
    cgroups_v1::BlkIoStat { io_service_bytes_recursive, io_serviced_recursive, io_queued_recursive, io_service_time_recursive, io_wait_time_recursive, io_merged_recursive, io_time_recursive, sectors_recursive }
    cgroups_v1::BlkIoEntry { op, device, major, minor, value }
    cgroups_v1::RdmaStat { current, limit }
    cgroups_v1::RdmaEntry { device, hca_handles, hca_objects }
    cgroups_v1::NetworkStat { name, rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped }
    cgroups_v1::CgroupStats { nr_sleeping, nr_running, nr_stopped, nr_uninterruptible, nr_io_wait }
    cgroups_v2::Metrics { pids, cpu, memory, rdma, io, hugetlb, memory_events, network }
    cgroups_v2::PsiData { avg10, avg60, avg300, total }
    cgroups_v2::PsiStats { some, full }
    cgroups_v2::PidsStat { current, limit }
    cgroups_v2::CpuStat { usage_usec, user_usec, system_usec, nr_periods, nr_throttled, throttled_usec, psi, nr_bursts, burst_usec }
    cgroups_v2::MemoryStat { anon, file, kernel_stack, slab, sock, shmem, file_mapped, file_dirty, file_writeback, anon_thp, inactive_anon, active_anon, inactive_file, active_file, unevictable, slab_reclaimable, slab_unreclaimable, pgfault, pgmajfault, workingset_refault, workingset_activate, workingset_nodereclaim, pgrefill, pgscan, pgsteal, pgactivate, pgdeactivate, pglazyfree, pglazyfreed, thp_fault_alloc, thp_collapse_alloc, usage, usage_limit, swap_usage, swap_limit, max_usage, swap_max_usage, psi }
    cgroups_v2::MemoryEvents { low, high, max, oom, oom_kill, oom_group_kill }
    cgroups_v2::RdmaStat { current, limit }
    cgroups_v2::RdmaEntry { device, hca_handles, hca_objects }
    cgroups_v2::IoStat { usage, psi }
    cgroups_v2::IoEntry { major, minor, rbytes, wbytes, rios, wios }
    cgroups_v2::HugeTlbStat { current, max, pagesize, failcnt }
    cgroups_v2::NetworkStat { name, rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped }
    runc::Options { no_pivot_root, no_new_keyring, shim_cgroup, io_uid, io_gid, binary_name, root, systemd_cgroup, criu_image_path, criu_work_path, task_api_address, task_api_version }
    runc::ProcessDetails { exec_id }
}
