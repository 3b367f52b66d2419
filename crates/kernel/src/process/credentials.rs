//! User, groups, privileges and keys of the calling process.

use std::ffi::CString;

use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{Gid, Uid};

use crate::Result;
use crate::error::{Context, check};

/// Numeric user and groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
}

impl Identity<'_> {
    /// Takes on supplementary groups, then the group, then the user.
    pub fn take_on(&self) -> Result<()> {
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups).during("setgroups", "")?;
        self.take_on_ids()
    }

    /// Takes on the group, then the user; the supplementary groups stay.
    pub fn take_on_ids(&self) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::thread::set_thread_res_gid(gid, gid, gid).during("setgid", "")?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).during("setuid", "")
    }
}

/// Becomes user and group 0 of the user namespace, without supplementary groups where that is allowed.
pub fn clear_ids_for_user() -> Result<()> {
    match rustix::thread::set_thread_groups(&[]) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(errno).during("setgroups", ""),
    }
    Identity::default().take_on_ids()
}

/// Keeps (or no longer keeps) the permitted capabilities when the user changes.
pub fn keep_capabilities(keep: Option<()>) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep.is_some()).during("prctl PR_SET_KEEPCAPS", "")
}

/// Forbids gaining privileges by exec, for good.
pub fn set_no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).during("prctl PR_SET_NO_NEW_PRIVS", "")
}

/// Keeps other processes of the same user out of this one's memory and `/proc` directory until the next exec.
pub fn set_undumpable() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).during("prctl PR_SET_DUMPABLE", "")
}

/// Joins (or makes) the session keyring called `name` and lets the user search it.
///
/// Kernels without keyrings are no error.
pub fn join_session_keyring(name: &str) -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    const SETPERM: libc::c_int = 5;
    // Possessor: everything. User: view, read, search.
    const PERMISSION: u32 = 0x3f0b_0000;
    let name = CString::new(name).map_err(|_| Errno::INVAL).during("join session keyring", name)?;
    // SAFETY: `name` is a C string that outlives the call.
    let ring = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    let ring = match check(ring) {
        Ok(ring) => ring,
        Err(Errno::NOSYS) => return Ok(()),
        Err(errno) => return Err(errno).during("join session keyring", ""),
    };
    // SAFETY: plain integers.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, ring, PERMISSION) };
    check(answer).map(drop).during("keyctl setperm", "")
}
