//! Loop devices: files as block devices.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Context, check};
use crate::{KernelError, Result};

/// How a file is attached.
#[derive(Clone, Copy, Debug)]
pub struct Attach<'a> {
    /// The file.
    pub file: &'a Path,
    /// Nobody may write.
    pub read_only: bool,
    /// Go past the page cache.
    pub direct_io: bool,
    /// The device is freed when its last user closes it.
    pub auto_clear: bool,
}

/// An attached device.
#[derive(Debug)]
pub struct LoopDevice {
    /// `/dev/loopN`.
    pub path: PathBuf,
    /// The open device; with `auto_clear` the attachment lasts as long as somebody has it open or mounted.
    pub device: OwnedFd,
}

/// Other processes take free devices too; this often a free one is looked for.
const TRIES: u32 = 100;
const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LOOP_CLR_FD: u64 = 0x4C01;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// The argument of `LOOP_CONFIGURE`: struct loop_config with its struct loop_info64.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// Attaches a file to a free device.
pub fn attach(attach: &Attach<'_>) -> Result<LoopDevice> {
    let access = if attach.read_only { OFlags::RDONLY } else { OFlags::RDWR };
    let file = open(attach.file, access)?;
    let control = open(Path::new("/dev/loop-control"), OFlags::RDWR)?;
    for _ in 0..TRIES {
        let number = ioctl(&control, LOOP_CTL_GET_FREE, 0).during("find free loop device", attach.file)?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        make_node(&path, number as u32)?;
        let device = open(&path, access)?;
        match configure(&device, &file, attach) {
            Ok(()) => return Ok(LoopDevice { path, device }),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno).during("attach loop device to", attach.file),
        }
    }
    Err(KernelError::new("attach loop device to", attach.file.to_string_lossy(), Errno::BUSY))
}

/// Frees a device.
pub fn detach(path: &Path) -> Result<()> {
    let device = open(path, OFlags::RDONLY)?;
    ioctl(&device, LOOP_CLR_FD, 0).map(drop).during("detach loop device", path)
}

/// Where no udev makes nodes, the new device has none yet.
fn make_node(path: &Path, number: u32) -> Result<()> {
    const LOOP_MAJOR: u32 = 7;
    if path.exists() {
        return Ok(());
    }
    match crate::file::make_node(path, libc::S_IFBLK | 0o660, LOOP_MAJOR, number) {
        Err(error) if error.errno() != Errno::EXIST => Err(error),
        _ => Ok(()),
    }
}

fn configure(device: &OwnedFd, file: &OwnedFd, attach: &Attach<'_>) -> rustix::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: LoopConfig is plain data, for which all zeroes are valid.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    for (flag, wanted) in [
        (LO_FLAGS_READ_ONLY, attach.read_only),
        (LO_FLAGS_AUTOCLEAR, attach.auto_clear),
        (LO_FLAGS_DIRECT_IO, attach.direct_io),
    ] {
        config.flags |= if wanted { flag } else { 0 };
    }
    let name = attach.file.as_os_str().as_bytes();
    for (place, byte) in config.file_name.iter_mut().zip(name).take(63) {
        *place = *byte;
    }
    ioctl(device, LOOP_CONFIGURE, (&raw const config) as u64).map(drop)
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).during("open", path)
}

fn ioctl(fd: impl AsFd, request: u64, argument: u64) -> rustix::io::Result<i64> {
    // SAFETY: the requests of this file take an integer or a pointer to a LoopConfig that outlives the call.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request as _, argument) }.into())
}
