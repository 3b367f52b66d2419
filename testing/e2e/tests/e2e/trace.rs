//! The trace that `GANTRY_TRACE` switches on.

use anyhow::{Context, Result, ensure};
use e2e::{Client, Daemon, Kind, Start};

/// One container leaves steps of everybody who took part, and no descriptor of the file in the container.
#[test]
fn everybody_tells_of_a_container() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let env = vec![("GANTRY_TRACE", file.path().to_owned())];
    let daemon =
        Daemon::start_with(Start { kind: Kind::Gantry, client: Client::Gantry, env, ..Start::new() })?;
    daemon.import_busybox()?;
    let run = ["run", "--rm", e2e::samples::BUSYBOX, "traced", "ls", "-l", "/proc/self/fd"];
    let listed = daemon.ok(&run)?;
    let name = file.path().file_name().context("a name")?.to_string_lossy().into_owned();
    ensure!(!listed.to_string().contains(&name), "the container has the trace: {listed}");
    daemon.finish()?;
    let text = std::fs::read_to_string(file.path())?;
    for step in [
        "daemon.request",
        "store.commit",
        "daemon.start-shim traced",
        "shim.bootstrap traced",
        "job.mount-rootfs traced",
        "runtime.clone traced",
        "init.pivot traced",
        "shim.start traced",
        "runtime.remove-cgroups traced",
        "daemon.hide-bundle",
    ] {
        ensure!(text.lines().any(|line| line.contains(step)), "no {step} in\n{text}");
    }
    Ok(())
}
