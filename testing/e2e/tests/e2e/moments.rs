//! Moments that are chosen: the daemon or a shim is killed or stopped right after a step that the trace tells of.
//!
//! The step's line in the file of `GANTRY_TRACE` is waited for; what is killed then is in the middle of the request.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::program::DEADLINE;
use e2e::samples::{self, BUSYBOX};
use e2e::{Census, Client, Daemon, Finished, Kind, Layer, Start};
use rustix::process::Signal;
use tempfile::TempPath;

use crate::crash::{end, nothing_since, remove, run_patient, signal};

/// A daemon whose steps can be waited for, with one container that must not notice anything.
struct Stage {
    daemon: Daemon,
    trace: TempPath,
    bystander: i32,
    before: Census,
}

/// A request under way.
type Asked = std::thread::JoinHandle<Result<Finished>>;

impl Stage {
    /// `None` where there is another daemon than ours.
    fn open() -> Result<Option<Self>> {
        if Kind::from_environment() != Kind::Gantry {
            return Ok(None);
        }
        let trace = tempfile::NamedTempFile::new()?.into_temp_path();
        let env = vec![("GANTRY_TRACE", trace.to_path_buf())];
        let daemon = Daemon::start_with(Start { client: Client::Ctr, env, ..Start::new() })?;
        daemon.import_busybox()?;
        let bystander = run_patient(&daemon, "bystander")?;
        let before = daemon.collected_census()?;
        Ok(Some(Self { daemon, trace, bystander, before }))
    }

    fn traced(&self) -> Result<String> {
        std::fs::read_to_string(&self.trace).with_context(|| format!("read {}", self.trace.display()))
    }

    /// Sends a request and returns as soon as it has made a step, of which nothing was told before.
    fn ask(&self, words: &[&str], step: &str) -> Result<Asked> {
        let already = self.traced()?.len();
        let program = self.daemon.client(words);
        let asked = std::thread::spawn(move || program.run());
        let late = Instant::now() + DEADLINE;
        while !self.traced()?[already..].lines().any(|line| line.contains(step)) {
            ensure!(Instant::now() < late, "{words:?} does not come to {step}");
            std::thread::yield_now();
        }
        Ok(asked)
    }

    /// The bystander goes on, and all else can be removed and leaves nothing.
    fn as_before(&self) -> Result<()> {
        let daemon = &self.daemon;
        ensure!(daemon.task_pid("bystander")? == self.bystander, "the bystander has another pid");
        let exec = daemon.ok(&["tasks", "exec", "--exec-id", "look", "bystander", "echo", "here"])?;
        ensure!(exec.stdout == "here\n", "{exec}");
        for id in daemon.ok(&["tasks", "ls", "-q"])?.lines() {
            if id != "bystander" {
                daemon.ok(&["tasks", "rm", "-f", id])?;
            }
        }
        for id in daemon.ok(&["containers", "ls", "-q"])?.lines() {
            if id != "bystander" {
                daemon.ok(&["containers", "rm", id])?;
            }
        }
        for lease in daemon.ok(&["leases", "ls", "-q"])?.lines() {
            daemon.ok(&["leases", "rm", "--sync", lease])?;
        }
        // A snapshot that was made for a container that never came is named by nobody but held by its label.
        for row in daemon.ok(&["snapshots", "ls"])?.rows() {
            if row.last() == Some(&"Active") && row[0] != "bystander" {
                daemon.ok(&["snapshots", "rm", row[0]])?;
            }
        }
        nothing_since(daemon, &self.before)
    }

    fn close(self) -> Result<()> {
        remove(&self.daemon, &["bystander"])?;
        self.daemon.finish()
    }
}

/// What a client said whose request was cut off.
fn cut_off(asked: Asked) -> Result<Finished> {
    asked.join().map_err(|_| anyhow::anyhow!("a panic"))?
}

/// The daemon is killed in the middle of an unpack, a commit of its database, a creation, an exec and a deletion: what
/// runs goes on, and nothing is left that cannot be removed.
#[test]
fn the_daemon_is_killed() -> Result<()> {
    let Some(mut stage) = Stage::open()? else { return Ok(()) };
    let mut recipe = samples::busybox_recipe("example.org/another:1")?;
    recipe.layers.push(Layer::plain(e2e::tar::Tar::new().file("more", 0o644, vec![7; 1 << 20])));
    let archive = stage.daemon.dir().join("another.tar");
    recipe.bake().write(&archive)?;
    let archive = archive.to_string_lossy().into_owned();
    let fifos = stage.daemon.dir().join("fifo").to_string_lossy().into_owned();
    let run = ["run", "-d", "--fifo-dir", &fifos, BUSYBOX, "one", "sleep", "1000"];
    let exec = ["tasks", "exec", "--fifo-dir", &fifos, "--exec-id", "e", "one", "echo", "in"];
    let delete = ["tasks", "rm", "-f", "one"];
    for (words, step, runs) in [
        (&["images", "import", &archive][..], "store.commit", false),
        (&["images", "import", &archive], "daemon.make-snapshot", false),
        (&["containers", "create", BUSYBOX, "one"], "store.commit", false),
        (&run, "daemon.make-bundle", false),
        (&run, "daemon.spawn", false),
        (&run, "job.mount-rootfs one", false),
        (&run, "runtime.clone one", false),
        (&exec, "job.exec e", true),
        (&delete, "job.delete", true),
        (&delete, "daemon.hide-bundle", true),
    ] {
        let at = || format!("{words:?}, killed after {step}");
        if runs {
            run_patient(&stage.daemon, "one").with_context(at)?;
        }
        let asked = stage.ask(words, step)?;
        stage.daemon.kill9()?;
        cut_off(asked).with_context(at)?;
        stage.daemon.launch().with_context(at)?;
        for image in stage.daemon.ok(&["images", "ls", "-q"])?.lines() {
            if image != BUSYBOX {
                stage.daemon.ok(&["images", "rm", image])?;
            }
        }
        stage.as_before().with_context(at)?;
        let again = stage.daemon.client(&["run", "--rm", BUSYBOX, "one", "sh", "-c", "exit 7"]);
        again.run()?.with_code(7).with_context(at)?;
    }
    stage.close()
}

const RUN: [&str; 6] = ["run", "--rm", BUSYBOX, "one", "sleep", "1000"];
const EXEC: [&str; 7] = ["tasks", "exec", "--exec-id", "e", "one", "sleep", "1000"];

/// A shim is killed in the middle of Create, Start and Exec: the client hears of it, others go on, the id is free.
#[test]
fn a_shim_is_killed() -> Result<()> {
    killed(&[(&RUN, "runtime.clone one"), (&RUN, "shim.start one"), (&EXEC, "job.exec e")])
}

/// The same before the container's state is noted.
#[test]
fn a_shim_is_killed_early() -> Result<()> {
    killed(&[(&RUN, "shim.bootstrap one"), (&RUN, "job.mount-rootfs one")])
}

fn killed(moments: &[(&[&str], &str)]) -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let daemon = &stage.daemon;
    for &(words, step) in moments {
        let at = || format!("{words:?}, its shim killed after {step}");
        if words == EXEC {
            run_patient(daemon, "one").with_context(at)?;
        }
        let asked = stage.ask(words, step)?;
        end(daemon.shim_pid("one").with_context(at)?, Signal::KILL)?;
        let said = cut_off(asked).with_context(at)?;
        ensure!(said.code != 0, "{}: {said}", at());
        stage.as_before().with_context(at)?;
        let again = daemon.client(&["run", "--rm", BUSYBOX, "one", "sh", "-c", "exit 7"]);
        again.run()?.with_code(7).with_context(at)?;
    }
    stage.close()
}

/// A shim is stopped in the middle of Create, Start and Exec: others go on, and when it goes on so does the request.
#[test]
fn a_shim_is_stopped() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let daemon = &stage.daemon;
    let run = ["run", "--rm", BUSYBOX, "one", "sh", "-c", "exit 9"];
    let exec = ["tasks", "exec", "--exec-id", "e", "one", "sh", "-c", "exit 9"];
    for (words, step) in [
        (&run[..], "shim.bootstrap one"),
        (&run, "job.mount-rootfs one"),
        (&run, "runtime.clone one"),
        (&exec, "daemon.request /containerd.services.tasks.v1.Tasks/Exec"),
    ] {
        let at = || format!("{words:?}, its shim stopped after {step}");
        if words == exec {
            run_patient(daemon, "one").with_context(at)?;
        }
        let asked = stage.ask(words, step)?;
        let shim = daemon.shim_pid("one").with_context(at)?;
        signal(shim, Signal::STOP)?;
        let others = (|| {
            let look = daemon.ok(&["tasks", "exec", "--exec-id", "look", "bystander", "echo", "here"])?;
            ensure!(look.stdout == "here\n", "{look}");
            daemon.ok(&["run", "--rm", BUSYBOX, "two", "true"])?;
            daemon.ok(&["images", "ls"])
        })();
        signal(shim, Signal::CONT)?;
        others.with_context(at)?;
        cut_off(asked)?.with_code(9).with_context(at)?;
        stage.as_before().with_context(at)?;
    }
    stage.close()
}
