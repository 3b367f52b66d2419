//! Every method of every service, asked by a program on containerd's own Go client (`compat/client`).

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::samples::{BUSYBOX, busybox};
use e2e::{Client, Kind, Program};

/// How long the program may take; each of its checks gives up by itself before.
const DEADLINE: Duration = Duration::from_secs(600);

/// No check of the program fails, on our daemon or, with `GANTRY_E2E_DAEMON=containerd`, on theirs.
#[test]
fn answer_like_containerd() -> Result<()> {
    let daemon = crate::start(Client::Ctr)?;
    let archive = daemon.dir().join("image.tar");
    busybox(BUSYBOX)?.write(&archive)?;
    let before = daemon.census();
    let mut program = Program::new(e2e::daemon::compat_dir().join("client")).deadline(DEADLINE);
    program = program.args(["-namespace", daemon.namespace()]);
    if daemon.kind() == Kind::Gantry {
        program = program.arg("-ours");
    }
    let ran = program.arg(daemon.address()).arg(&archive).arg(BUSYBOX).run()?;
    let failed: Vec<&str> = ran.lines().into_iter().filter(|line| line.starts_with("FAIL ")).collect();
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    // A program that stopped half-way fails no check either.
    ensure!(ran.code == 0 && ran.stdout.contains("ok leftovers/delete the namespace"), "{ran}");
    daemon.nothing_since(&before)?;
    daemon.finish()
}
