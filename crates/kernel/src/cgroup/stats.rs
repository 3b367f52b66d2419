//! What the kernel counts for a group, as plain values.
//!
//! The fields are those of containerd's two `Metrics` messages, in their order and under their names. Left out is what does
//! not come from the group's files: network counters, and version 1's `cgroup_stats`.

/// Counters of a group in its version's shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Stats {
    /// Version 1, also on a hybrid host.
    V1(Box<StatsV1>),
    /// Version 2.
    V2(Box<StatsV2>),
}

/// `io.containerd.cgroups.v1.Metrics`; a part without its controller is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct StatsV1 {
    pub hugetlb: Vec<HugetlbV1>,
    pub pids: Option<Pids>,
    pub cpu: Option<CpuV1>,
    pub memory: Option<MemoryV1>,
    pub blkio: Option<BlkioV1>,
    pub rdma: Option<RdmaStat>,
    pub memory_oom_control: Option<OomControlV1>,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct HugetlbV1 {
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
    pub pagesize: String,
}

/// Tasks. No limit is 0 in version 1 and the largest number in version 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct Pids {
    pub current: u64,
    pub limit: u64,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct CpuV1 {
    pub usage: CpuUsageV1,
    pub throttling: ThrottlingV1,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct CpuUsageV1 {
    pub total: u64,
    pub kernel: u64,
    pub user: u64,
    pub per_cpu: Vec<u64>,
}

/// How often and for how many nanoseconds the quota was used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct ThrottlingV1 {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
}

/// Memory; `total_` includes the groups below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct MemoryV1 {
    pub cache: u64,
    pub rss: u64,
    pub rss_huge: u64,
    pub mapped_file: u64,
    pub dirty: u64,
    pub writeback: u64,
    pub pg_pg_in: u64,
    pub pg_pg_out: u64,
    pub pg_fault: u64,
    pub pg_maj_fault: u64,
    pub inactive_anon: u64,
    pub active_anon: u64,
    pub inactive_file: u64,
    pub active_file: u64,
    pub unevictable: u64,
    pub hierarchical_memory_limit: u64,
    pub hierarchical_swap_limit: u64,
    pub total_cache: u64,
    pub total_rss: u64,
    pub total_rss_huge: u64,
    pub total_mapped_file: u64,
    pub total_dirty: u64,
    pub total_writeback: u64,
    pub total_pg_pg_in: u64,
    pub total_pg_pg_out: u64,
    pub total_pg_fault: u64,
    pub total_pg_maj_fault: u64,
    pub total_inactive_anon: u64,
    pub total_active_anon: u64,
    pub total_inactive_file: u64,
    pub total_active_file: u64,
    pub total_unevictable: u64,
    pub usage: Option<MemoryEntryV1>,
    pub swap: Option<MemoryEntryV1>,
    pub kernel: Option<MemoryEntryV1>,
    pub kernel_tcp: Option<MemoryEntryV1>,
}

/// One kind of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct MemoryEntryV1 {
    pub limit: u64,
    pub usage: u64,
    pub max: u64,
    pub failcnt: u64,
}

/// The killer's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct OomControlV1 {
    pub oom_kill_disable: u64,
    pub under_oom: u64,
    pub oom_kill: u64,
}

/// Block devices. Only CFQ counts all of them; without it the first two come from the throttling layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct BlkioV1 {
    pub io_service_bytes_recursive: Vec<BlkioEntryV1>,
    pub io_serviced_recursive: Vec<BlkioEntryV1>,
    pub io_queued_recursive: Vec<BlkioEntryV1>,
    pub io_service_time_recursive: Vec<BlkioEntryV1>,
    pub io_wait_time_recursive: Vec<BlkioEntryV1>,
    pub io_merged_recursive: Vec<BlkioEntryV1>,
    pub io_time_recursive: Vec<BlkioEntryV1>,
    pub sectors_recursive: Vec<BlkioEntryV1>,
}

/// One operation on one device; `device` is its name below `/dev`, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct BlkioEntryV1 {
    pub op: String,
    pub device: String,
    pub major: u64,
    pub minor: u64,
    pub value: u64,
}

/// RDMA; both versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct RdmaStat {
    pub current: Vec<RdmaEntry>,
    pub limit: Vec<RdmaEntry>,
}

/// One RDMA device; no limit is the largest number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct RdmaEntry {
    pub device: String,
    pub hca_handles: u32,
    pub hca_objects: u32,
}

/// `io.containerd.cgroups.v2.Metrics`; a part without its controller is absent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct StatsV2 {
    pub pids: Option<Pids>,
    pub cpu: Option<CpuV2>,
    pub memory: Option<MemoryV2>,
    pub rdma: Option<RdmaStat>,
    pub io: Option<IoV2>,
    pub hugetlb: Vec<HugetlbV2>,
    pub memory_events: Option<MemoryEventsV2>,
}

/// How long tasks waited: shares in percent, total in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct PressureData {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

/// Pressure on one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct Pressure {
    pub some: PressureData,
    pub full: PressureData,
}

/// Processor time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct CpuV2 {
    pub usage_usec: u64,
    pub user_usec: u64,
    pub system_usec: u64,
    pub nr_periods: u64,
    pub nr_throttled: u64,
    pub throttled_usec: u64,
    pub psi: Option<Pressure>,
    pub nr_bursts: u64,
    pub burst_usec: u64,
}

/// Memory in bytes and events; no limit is the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct MemoryV2 {
    pub anon: u64,
    pub file: u64,
    pub kernel_stack: u64,
    pub slab: u64,
    pub sock: u64,
    pub shmem: u64,
    pub file_mapped: u64,
    pub file_dirty: u64,
    pub file_writeback: u64,
    pub anon_thp: u64,
    pub inactive_anon: u64,
    pub active_anon: u64,
    pub inactive_file: u64,
    pub active_file: u64,
    pub unevictable: u64,
    pub slab_reclaimable: u64,
    pub slab_unreclaimable: u64,
    pub pgfault: u64,
    pub pgmajfault: u64,
    pub workingset_refault: u64,
    pub workingset_activate: u64,
    pub workingset_nodereclaim: u64,
    pub pgrefill: u64,
    pub pgscan: u64,
    pub pgsteal: u64,
    pub pgactivate: u64,
    pub pgdeactivate: u64,
    pub pglazyfree: u64,
    pub pglazyfreed: u64,
    pub thp_fault_alloc: u64,
    pub thp_collapse_alloc: u64,
    pub usage: u64,
    pub usage_limit: u64,
    pub swap_usage: u64,
    pub swap_limit: u64,
    pub max_usage: u64,
    pub swap_max_usage: u64,
    pub psi: Option<Pressure>,
}

/// `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct MemoryEventsV2 {
    pub low: u64,
    pub high: u64,
    pub max: u64,
    pub oom: u64,
    pub oom_kill: u64,
    pub oom_group_kill: u64,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct IoV2 {
    pub usage: Vec<IoEntryV2>,
    pub psi: Option<Pressure>,
}

/// One block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct IoEntryV2 {
    pub major: u64,
    pub minor: u64,
    pub rbytes: u64,
    pub wbytes: u64,
    pub rios: u64,
    pub wios: u64,
}

/// Huge pages of one size, in bytes; no limit is the largest number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the message")]
pub struct HugetlbV2 {
    pub current: u64,
    pub max: u64,
    pub pagesize: String,
    pub failcnt: u64,
}
