//! The accounts of a root file system that is on this machine, read without ever leaving it.

use crate::{Context, context, mounts};
use anyhow::{Context as _, Result, ensure};
use kernel::path::{Root, descriptor_path};
use model::snapshots::Prepare;
use model::{Labels, Scope};
use oci::Digest;
use rustix::fs::{FileType, OFlags};
use spec::Accounts;
use std::io::Read;
use std::path::Path;

/// The largest file of accounts, in bytes.
const MAX_FILE: u64 = 10 << 20;

/// Whether a user (`name|uid[:group|gid]`, empty for root) cannot be resolved without accounts. Root by number, and
/// two numbers, can.
pub fn are_needed(user: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match user.split_once(':') {
        Some((user, group)) => !number(user) || !number(group),
        None => !user.is_empty() && user != "0",
    }
}

/// The accounts of an image: a read-only snapshot of it is mounted for the moment. `scope` holds a lease.
///
/// # Errors
/// The snapshot cannot be made or mounted (this has to be root on the daemon's machine).
pub async fn of_image(
    cx: &Context,
    scope: &Scope,
    (snapshotter, chain_id): (&str, &Digest),
) -> Result<Accounts> {
    let snapshots = cx.snapshotter(snapshotter);
    let key = format!("accounts-{}", context::unique());
    let view = Prepare { key: key.clone(), parent: chain_id.to_string(), labels: Labels::new() };
    let mounts = snapshots.view(scope, view).await?;
    let accounts = mounts::with(&mounts, of_root);
    snapshots.remove(scope, &key).await?;
    accounts.context("look for the user in the image")
}

/// The accounts of a directory that is a root file system.
///
/// # Errors
/// A file of accounts is no file, or is too large.
pub fn of_root(directory: &Path) -> Result<Accounts> {
    let root = Root::open(directory)?;
    Ok(Accounts { passwd: read(&root, "etc/passwd")?, group: read(&root, "etc/group")? })
}

/// A file's text; empty when it is not there.
fn read(root: &Root, path: &str) -> Result<String> {
    let Some(place) = root.find(Path::new(path))? else { return Ok(String::new()) };
    let stat = rustix::fs::fstat(&place).with_context(|| format!("stat {path}"))?;
    ensure!(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile, "{path} is no regular file");
    ensure!(stat.st_size.cast_unsigned() <= MAX_FILE, "{path} is larger than {MAX_FILE} bytes");
    let opening = || format!("read {path}");
    let file = rustix::fs::open(descriptor_path(&place), OFlags::RDONLY | OFlags::CLOEXEC, 0.into());
    let mut bytes = Vec::new();
    std::fs::File::from(file.with_context(opening)?)
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .with_context(opening)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_be_looked_up() {
        for (user, needed) in [
            ("", false),
            ("0", false),
            ("1000:1000", false),
            ("1000", true),
            ("root", true),
            ("app:10", true),
            ("1000:wheel", true),
        ] {
            assert_eq!(are_needed(user), needed, "{user:?}");
        }
    }

    #[test]
    fn nothing_is_read_outside_of_the_root() {
        let root = tempfile::tempdir().expect("temporary directory");
        let etc = root.path().join("etc");
        std::fs::create_dir(&etc).expect("mkdir");
        assert_eq!(of_root(root.path()).expect("no files").passwd, "");
        std::fs::write(root.path().join("real"), "inside").expect("write");
        std::os::unix::fs::symlink("/real", etc.join("passwd")).expect("link");
        std::os::unix::fs::symlink("/etc/group", etc.join("group")).expect("loop");
        assert!(of_root(root.path()).is_err(), "a link to itself");
        std::fs::remove_file(etc.join("group")).expect("remove");
        assert_eq!(of_root(root.path()).expect("a link inside").passwd, "inside");
        std::fs::create_dir(etc.join("group")).expect("mkdir");
        assert!(of_root(root.path()).is_err(), "a directory");
    }
}
