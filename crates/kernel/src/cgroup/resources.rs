//! Limits of a control group as plain values; absent means: leave as it is.

use std::collections::BTreeMap;

/// Everything that can be limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory.
    pub memory: Memory,
    /// Processor time and placement.
    pub cpu: Cpu,
    /// Most tasks: negative is unlimited, 0 counts as 1.
    pub pids: Option<i64>,
    /// Block devices.
    pub block_io: BlockIo,
    /// Huge pages, by page size such as `2MB`, in bytes.
    pub hugetlb: Vec<(String, u64)>,
    /// Class of packets sent (version 1 only).
    pub net_class: Option<u32>,
    /// Priority by interface (version 1 only).
    pub net_priorities: Vec<(String, u32)>,
    /// RDMA limits by device.
    pub rdma: BTreeMap<String, Rdma>,
    /// Device access: everything is denied but what these rules, in order, allow.
    pub devices: Option<Vec<DeviceRule>>,
    /// Version 2 only: file name to content, written as it is after all else.
    pub unified: BTreeMap<String, String>,
}

/// Memory limits in bytes; -1 is unlimited. Kernel memory cannot be limited on its own any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Hard limit.
    pub limit: Option<i64>,
    /// Soft limit.
    pub reservation: Option<i64>,
    /// Hard limit of memory and swap together.
    pub swap: Option<i64>,
    /// How eagerly to swap, 0 to 100 (version 1 only).
    pub swappiness: Option<u64>,
    /// Let processes wait instead of killing one (version 1 only).
    pub disable_oom_killer: Option<bool>,
    /// Refuse a limit below what is in use.
    pub check_before_update: bool,
}

/// Processor time and placement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Relative weight in version 1's measure, 2 to 262144; 0 leaves it.
    pub shares: Option<u64>,
    /// Microseconds per period; negative is unlimited, 0 leaves it.
    pub quota: Option<i64>,
    /// Microseconds that may be saved up.
    pub burst: Option<u64>,
    /// Microseconds; 0 leaves it.
    pub period: Option<u64>,
    /// Real-time microseconds per real-time period (version 1 only).
    pub rt_runtime: Option<i64>,
    /// Real-time period in microseconds (version 1 only).
    pub rt_period: Option<u64>,
    /// CPU list; empty leaves it.
    pub cpus: String,
    /// Memory node list; empty leaves it.
    pub mems: String,
    /// 1 makes all tasks idle-class.
    pub idle: Option<i64>,
}

/// Block device weights and throttles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// Weight, 10 to 1000; 0 leaves it.
    pub weight: Option<u16>,
    /// Weight against child groups (version 1 only); 0 leaves it.
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    pub weight_device: Vec<DeviceWeight>,
    /// Bytes read per second.
    pub read_bps: Vec<Throttle>,
    /// Bytes written per second.
    pub write_bps: Vec<Throttle>,
    /// Reads per second.
    pub read_iops: Vec<Throttle>,
    /// Writes per second.
    pub write_iops: Vec<Throttle>,
}

/// Weight of one block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceWeight {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Weight against child groups (version 1 only).
    pub leaf_weight: Option<u16>,
}

/// Throttle of one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// Limits of one RDMA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rdma {
    /// Handles.
    pub hca_handles: Option<u32>,
    /// Objects.
    pub hca_objects: Option<u32>,
}

/// What a device rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Every device there is; numbers and access are ignored.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// One rule of the device list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// Which devices.
    pub kind: DeviceKind,
    /// Major number; absent is any.
    pub major: Option<u32>,
    /// Minor number; absent is any.
    pub minor: Option<u32>,
    /// What the rule is about.
    pub access: Access,
}

/// A set of ways to use a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Access(pub(super) u8);

impl Access {
    /// Make a node of it.
    pub const MKNOD: Self = Self(1);
    /// Read from it.
    pub const READ: Self = Self(2);
    /// Write to it.
    pub const WRITE: Self = Self(4);
    /// All of the three.
    pub const ALL: Self = Self(7);

    /// Reads letters of `rwm`; any other letter gives `None`.
    pub fn parse(text: &str) -> Option<Self> {
        text.chars().try_fold(Self(0), |set, letter| match letter {
            'r' => Some(Self(set.0 | Self::READ.0)),
            'w' => Some(Self(set.0 | Self::WRITE.0)),
            'm' => Some(Self(set.0 | Self::MKNOD.0)),
            _ => None,
        })
    }

    /// The letters, in the kernel's order.
    pub(super) fn letters(self) -> String {
        [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::MKNOD, 'm')]
            .iter()
            .filter(|(bit, _)| self.0 & bit.0 != 0)
            .map(|(_, letter)| letter)
            .collect()
    }
}
