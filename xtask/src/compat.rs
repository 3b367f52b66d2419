//! `cargo xtask compat`: the real containerd's programs, the real runc and a test program on containerd's client, built
//! from the Go module in `compat/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::run as run_command;
use crate::workspace;

const CONTAINERD: &str = "github.com/containerd/containerd/v2/cmd";
const RUNC: &str = "github.com/opencontainers/runc";

/// Builds `ctr`, `containerd`, `containerd-shim-runc-v2`, `runc` and `client` and answers the folder they lie in. Go's
/// own cache makes a second run a matter of a second.
pub fn run() -> Result<PathBuf> {
    let out = workspace::target().join("compat");
    std::fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    for name in ["ctr", "containerd", "containerd-shim-runc-v2"] {
        run_command(go(&out.join(name)).arg(format!("{CONTAINERD}/{name}")))?;
    }
    run_command(go(&out.join("runc")).args(["-tags", "seccomp", RUNC]))?;
    run_command(go(&out.join("client")).arg("./client"))?;
    Ok(out)
}

fn go(out: &std::path::Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(workspace::root().join("compat")).args(["build", "-trimpath", "-o"]).arg(out);
    command
}
