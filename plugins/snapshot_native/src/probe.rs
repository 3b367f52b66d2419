//! Whether trees can be copied below this directory without losing anything.

use model::{Error, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Tries what a copy needs: hard links, symbolic links, pipes.
///
/// # Errors
/// What the file system does not have, and what to do.
pub fn probe(root: &Path) -> Result<()> {
    let dir = root.join(format!("probe-{}", std::process::id()));
    let tried = try_all(&dir);
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|e| Error::io("remove", &dir, e))?;
    }
    tried.map_err(|e| {
        e.during("copies would lose something here: skip plugin; give the snapshotter a root_path on a Linux file system")
    })
}

fn try_all(dir: &Path) -> Result<()> {
    let path = |name: &str| dir.join(name);
    fs::create_dir_all(dir).map_err(|e| Error::io("mkdir", dir, e))?;
    fs::write(path("file"), "").map_err(|e| Error::io("write", path("file"), e))?;
    fs::hard_link(path("file"), path("link")).map_err(|e| Error::io("link", path("link"), e))?;
    symlink("file", path("symlink")).map_err(|e| Error::io("symlink", path("symlink"), e))?;
    kernel::file::make_fifo(&path("pipe"), 0o600).map_err(|e| Error::unknown(e.to_string()).with_source(e))
}
