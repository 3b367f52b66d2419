//! Questions about containers: state, list, ps.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use crate::state::{Directory, Status, from_io};
use crate::{Kind, Result};

/// What `state` and `list` tell of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Version of the specification of its bundle.
    pub oci_version: String,
    /// Name.
    pub id: String,
    /// First process; 0 when stopped.
    pub pid: i32,
    /// `created`, `running`, `paused` or `stopped`.
    pub status: String,
    /// Bundle directory.
    pub bundle: String,
    /// Root file system.
    pub rootfs: String,
    /// Time of creation, RFC 3339 with nanoseconds.
    pub created: String,
    /// Annotations of the bundle.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the owner of the state directory.
    pub owner: String,
}

/// Tells about one container.
pub fn state(root: &Path, id: &str) -> Result<Summary> {
    let directory = Directory::new(root, id)?;
    let record = directory.read()?;
    let status = record.status(&directory)?;
    let (bundle, annotations) = record.labels();
    let owner = std::fs::metadata(&directory.path).map(|found| user_name(found.uid())).unwrap_or_default();
    Ok(Summary {
        oci_version: record.config.version,
        id: record.id,
        pid: if status == Status::Stopped { 0 } else { record.init_process_pid },
        status: status.word().to_owned(),
        bundle,
        rootfs: record.config.rootfs,
        created: record.created,
        annotations,
        owner,
    })
}

/// Tells about all containers below `root`, by name.
pub fn list(root: &Path) -> Result<Vec<Summary>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(from_io("open", root, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| from_io("read directory", root, &error))?;
        match state(root, &entry.file_name().to_string_lossy()) {
            Ok(summary) => found.push(summary),
            // Being made or removed just now, or no container at all.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(found)
}

/// Ids of all processes of a container.
pub fn ps(root: &Path, id: &str) -> Result<Vec<i32>> {
    Ok(Directory::new(root, id)?.read()?.cgroup()?.pids()?)
}

/// The name of a user of the host; the number where there is none.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("#{uid}"))
}
