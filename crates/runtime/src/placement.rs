//! Execution domain, NUMA policy and security labels of a process.

use kernel::procfs::ProcFs;
use kernel::{process, scheduling};
use oci::runtime::{Linux, LinuxMemoryPolicy, LinuxPersonality, Process};

use crate::{Error, Result};

const MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const FLAGS: [(&str, i32); 3] = [
    ("MPOL_F_STATIC_NODES", 1 << 15),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
];

/// Names of NUMA policies.
pub(crate) fn mode_names() -> Vec<String> {
    MODES.iter().map(|mode| mode.0.to_owned()).collect()
}

/// Names of their flags.
pub(crate) fn flag_names() -> Vec<String> {
    FLAGS.iter().map(|flag| flag.0.to_owned()).collect()
}

/// Sets what the bundle says for the whole container.
pub(crate) fn set(linux: &Linux) -> Result<()> {
    if let Some(domain) = linux.personality.as_ref().map(domain).transpose()? {
        process::set_personality(domain)?;
    }
    linux.memory_policy.as_ref().map_or(Ok(()), set_memory_policy)
}

/// The kernel's number of an execution domain.
pub(crate) fn domain(personality: &LinuxPersonality) -> Result<u64> {
    match personality.domain.as_str() {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => Err(Error::invalid(format!("invalid personality domain {other}"))),
    }
}

fn set_memory_policy(policy: &LinuxMemoryPolicy) -> Result<()> {
    let unknown = |what: &str, name: &str| Error::invalid(format!("invalid memory policy {what}: {name}"));
    let find = |table: &[(&str, i32)], name: &str| table.iter().find(|one| one.0 == name).map(|one| one.1);
    let mut mode = find(&MODES, &policy.mode).ok_or_else(|| unknown("mode", &policy.mode))?;
    for flag in &policy.flags {
        mode |= find(&FLAGS, flag).ok_or_else(|| unknown("flag", flag))?;
    }
    let mut mask = Vec::new();
    if !policy.nodes.is_empty() {
        let nodes = scheduling::parse_list(&policy.nodes).ok_or_else(|| unknown("nodes", &policy.nodes))?;
        for node in nodes {
            let word = node as usize / 64;
            mask.resize(mask.len().max(word + 1), 0_u64);
            mask[word] |= 1 << (node % 64);
        }
    }
    scheduling::set_memory_policy(mode, &mask)
        .map_err(|error| Error::unknown(format!("failed to set memory policy: {}", error.text())))
}

/// Sets the AppArmor profile and SELinux label that the next execution takes on.
pub(crate) fn set_labels(process: &Process) -> Result<()> {
    let profile = process.apparmor_profile.as_str();
    if !profile.is_empty() {
        let proc = ProcFs::open()?;
        let line = format!("exec {profile}");
        let written = proc
            .write("self/attr/apparmor/exec", line.as_bytes())
            .or_else(|_| proc.write("self/attr/exec", line.as_bytes()));
        written.map_err(|error| {
            Error::unknown(format!(
                "unable to apply apparmor profile: apparmor failed to apply profile: {error}"
            ))
        })?;
    }
    if !process.selinux_label.is_empty() {
        ProcFs::open()?
            .write("self/attr/exec", process.selinux_label.as_bytes())
            .map_err(|error| Error::from(error).during("can't set process label"))?;
    }
    Ok(())
}
