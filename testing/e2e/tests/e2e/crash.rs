//! The daemon is killed at random moments, shims are killed and stopped, files are damaged, the disk is full.
//!
//! `GANTRY_E2E_MOMENTS=50` makes the run with random moments a longer one, `GANTRY_E2E_SEED` repeats one of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::tasks::a_child_of;
use anyhow::{Context, Result, bail, ensure};
use e2e::program::DEADLINE;
use e2e::samples::{self, BUSYBOX};
use e2e::tar::Tar;
use e2e::{Census, Client, Daemon, Follower, Kind, Layer, Program};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A container that goes on until it is asked to end, and then ends with 5.
const PATIENT: &str = "trap 'exit 5' TERM; sleep 1000 & wait";
/// Containers that live through all moments.
const KEPT: [&str; 4] = ["kept-0", "kept-1", "kept-2", "kept-3"];
/// How many moments there are unless the environment asks for more.
const MOMENTS: usize = 8;

/// A daemon of ours, or nothing to be tested: what follows is about our files and our promises.
pub(crate) fn ours() -> Result<Option<Daemon>> {
    match Kind::from_environment() {
        Kind::Gantry => crate::start(Client::Ctr).map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn run_patient(daemon: &Daemon, id: &str) -> Result<i32> {
    daemon.ok(&["run", "-d", BUSYBOX, id, "sh", "-c", PATIENT])?;
    let pid = daemon.task_pid(id)?;
    // With a child the shell has set its trap.
    a_child_of(pid)?;
    Ok(pid)
}

pub(crate) fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("a pid")?;
    kill_process(pid, signal).with_context(|| format!("send {signal:?} to {pid:?}"))
}

/// Sends a signal and waits until the process has ended.
pub(crate) fn end(pid: i32, how: Signal) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let fd = pidfd_open(Pid::from_raw(pid).context("a pid")?, PidfdFlags::empty())?;
    signal(pid, how)?;
    let limit = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
    ensure!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit))? == 1, "{pid} goes on after {how:?}");
    Ok(())
}

pub(crate) fn remove(daemon: &Daemon, ids: &[&str]) -> Result<()> {
    for id in ids {
        daemon.ok(&["tasks", "rm", "-f", id])?;
        daemon.ok(&["containers", "rm", id])?;
    }
    Ok(())
}

/// Insists that a daemon, perhaps started anew meanwhile, holds nothing that it did not hold before. What is being
/// removed is given a moment: bytes go after the answer.
pub(crate) fn nothing_since(daemon: &Daemon, before: &Census) -> Result<()> {
    let itself = format!("process {} ", daemon.pid()?);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let after = daemon.collected_census()?;
        let mut left = after.grown_since(before);
        left.retain(|thing| !thing.starts_with(&itself));
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let (snapshots, containers) =
                (daemon.ok(&["snapshots", "ls"])?, daemon.ok(&["containers", "ls"])?);
            bail!("left behind: {left:#?}\n{snapshots}\n{containers}");
        }
    }
}

/// The bundle of a container.
pub(crate) fn bundle(daemon: &Daemon, id: &str) -> PathBuf {
    daemon.dir().join("state/io.containerd.runtime.v2.task").join(daemon.namespace()).join(id)
}

/// Numbers that nobody chose; the same seed gives the same ones.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var("GANTRY_E2E_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
        println!("GANTRY_E2E_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A daemon that is killed again and again, and what must not change meanwhile.
struct Ordeal {
    daemon: Daemon,
    random: Random,
    pids: BTreeMap<String, i32>,
    before: Census,
    /// How often the exit of a container was told, by its id.
    told: BTreeMap<String, usize>,
    /// How long the daemon took to be ready again, at most.
    slowest: Duration,
    cycles: usize,
    interrupted: usize,
}

/// SIGKILL at random moments of a loop of `run --rm`: no pid changes, no exit is lost or told twice, nothing is left
/// over, and the interrupted id can be used again.
#[test]
fn killed_at_random_moments() -> Result<()> {
    let Some(daemon) = ours()? else { return Ok(()) };
    let moments =
        std::env::var("GANTRY_E2E_MOMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MOMENTS);
    daemon.import_busybox()?;
    daemon.ok(&["run", "--rm", BUSYBOX, "first", "true"])?;
    let pids =
        KEPT.iter().map(|id| Ok((String::from(*id), run_patient(&daemon, id)?))).collect::<Result<_>>()?;
    let before = daemon.collected_census()?;
    let (random, told) = (Random::new(), BTreeMap::new());
    let slowest = Duration::ZERO;
    let mut ordeal = Ordeal { daemon, random, pids, before, told, slowest, cycles: 0, interrupted: 0 };
    // Whether a moment falls into a cycle is chance: as many more as it takes until half of them did.
    for moment in 0..moments * 4 {
        if moment >= moments && ordeal.interrupted * 2 >= moments {
            break;
        }
        ordeal.moment(moment).with_context(|| format!("moment {moment}"))?;
    }
    ordeal.not_told_again()?;
    let Ordeal { daemon, told, slowest, cycles, interrupted, .. } = ordeal;
    println!("{moments} moments, {cycles} whole cycles, {interrupted} interrupted, ready within {slowest:?}");
    ensure!(told.values().all(|times| *times == 1), "exits told not once: {told:#?}");
    ensure!(interrupted * 2 >= moments, "only {interrupted} of {moments} moments fell into a cycle");
    end_kept(&daemon)?;
    daemon.finish()
}

impl Ordeal {
    fn moment(&mut self, number: usize) -> Result<()> {
        let leaver = format!("leaver-{number}");
        let pid = run_patient(&self.daemon, &leaver)?;
        let interrupted = self.interrupt(number)?;
        end(pid, Signal::TERM)?;
        let mut events = self.again()?;
        let exit = |line: &str| line.contains("/tasks/exit") && line.contains(&format!("{leaver:?}"));
        let line = events.within(DEADLINE, "exit of the leaver", exit)?;
        ensure!(line.contains("\"exit_status\":5") && line.contains(&format!("\"pid\":{pid}")), "{line}");
        self.listed_as_before()?;
        let listed = self.daemon.ok(&["tasks", "ls"])?;
        ensure!(listed.row(&leaver)?[1..] == [pid.to_string().as_str(), "STOPPED"], "{listed}");
        self.daemon.client(&["tasks", "rm", &leaver]).run()?.warns("exit code 5")?;
        self.daemon.ok(&["containers", "rm", &leaver])?;
        for id in interrupted {
            self.use_again(&id).with_context(|| format!("after the interrupted {id}"))?;
        }
        nothing_since(&self.daemon, &self.before)?;
        self.count(&mut events)?;
        events.kill()
    }

    /// Runs containers in a loop and kills the daemon somewhere in it. Gives the last two ids: the one that
    /// was under way, and the one before, for a client whose clean-up fails may end well.
    fn interrupt(&mut self, number: usize) -> Result<Vec<String>> {
        // A cycle takes about 100 ms with a debug build; the first of them lets the others start.
        let delay = Duration::from_millis(self.random.below(500));
        let stop = AtomicBool::new(false);
        let fifos = self.daemon.dir().join("fifo").to_string_lossy().into_owned();
        let (send, finished) = channel();
        std::thread::scope(|scope| {
            // A client of its own, for the daemon is about to be borrowed.
            let clients = (0..1000).map(|cycle| format!("loop-{number}-{cycle}"));
            let programs: Vec<(String, Program)> = clients
                .take(64)
                .map(|id| {
                    // A client that is not let finish leaves its fifos.
                    let run = ["run", "--rm", "--fifo-dir", &fifos, BUSYBOX, &id, "true"];
                    let run = self.daemon.client(&run).deadline(DEADLINE);
                    (id, run)
                })
                .collect();
            let stop = &stop;
            let looped = scope.spawn(move || {
                let (mut ids, mut failed) = (Vec::new(), false);
                for (id, program) in programs {
                    if failed || stop.load(Ordering::Acquire) {
                        break;
                    }
                    failed = program.run().map_or(true, |ran| ran.code != 0);
                    ids.push(id);
                    let _ = send.send(());
                }
                (ids.split_off(ids.len().saturating_sub(2)), failed)
            });
            self.cycles += until(&finished, Instant::now() + delay);
            ensure!(!looped.is_finished(), "the loop failed while the daemon was well: {:?}", looped.join());
            self.daemon.kill9()?;
            stop.store(true, Ordering::Release);
            let (ids, failed) = looped.join().map_err(|_| anyhow::anyhow!("the loop panicked"))?;
            self.interrupted += usize::from(failed);
            Ok(ids)
        })
    }

    /// Starts the daemon again and follows its events from the first moment on.
    fn again(&mut self) -> Result<Follower> {
        let began = Instant::now();
        self.daemon.launch()?;
        self.slowest = self.slowest.max(began.elapsed());
        self.daemon.follow(&["events"])
    }

    fn listed_as_before(&self) -> Result<()> {
        for (id, pid) in &self.pids {
            let now = self.daemon.task_pid(id)?;
            ensure!(now == *pid, "{id} had pid {pid} and has {now}");
            ensure!(Path::new(&format!("/proc/{pid}")).exists(), "{id} ({pid}) has died");
        }
        let exec = self.daemon.ok(&["tasks", "exec", "--exec-id", "look", KEPT[0], "echo", "here"])?;
        ensure!(exec.stdout == "here\n", "{exec}");
        Ok(())
    }

    /// Removes what the client would have removed, then uses the id again.
    fn use_again(&self, id: &str) -> Result<()> {
        let (daemon, absent) = (&self.daemon, ["not found"]);
        for words in [&["tasks", "rm", "-f", id], &["containers", "rm", id][..]] {
            let removed = daemon.client(words).run()?;
            let fine = removed.code == 0 || absent.iter().any(|word| removed.stderr.contains(word));
            ensure!(fine, "{removed}");
        }
        for lease in daemon.ok(&["leases", "ls", "-q"])?.lines() {
            daemon.ok(&["leases", "rm", "--sync", lease])?;
        }
        // A creation that was cut off may be cleaned up after beside the start; until then its name is taken.
        let (bundle, late) = (bundle(daemon, id), Instant::now() + DEADLINE);
        while bundle.exists() {
            ensure!(Instant::now() < late, "{} stays", bundle.display());
            std::thread::yield_now();
        }
        daemon.client(&["run", "--rm", BUSYBOX, id, "sh", "-c", "exit 7"]).run()?.with_code(7)?;
        Ok(())
    }

    /// Counts the exits of the leavers among everything told so far.
    fn count(&mut self, events: &mut Follower) -> Result<()> {
        // Whatever is on its way comes before the answer to this.
        let probe = format!("{}-{}", std::process::id(), self.told.len());
        self.daemon.ok(&["namespaces", "label", self.daemon.namespace(), &format!("counted={probe}")])?;
        events.line_with(&["/namespaces/update", &probe])?;
        for line in events.seen().iter().filter(|line| line.contains("/tasks/exit")) {
            let id = line.split('"').find(|word| word.starts_with("leaver-"));
            if let Some(id) = id {
                *self.told.entry(id.to_owned()).or_default() += 1;
            }
        }
        Ok(())
    }

    /// An exit that was told is not told by the next daemon, although its task is still there.
    fn not_told_again(&mut self) -> Result<()> {
        let pid = run_patient(&self.daemon, "leaver-last")?;
        self.daemon.kill9()?;
        end(pid, Signal::TERM)?;
        for _ in 0..2 {
            let mut events = self.again()?;
            if self.told.contains_key("leaver-last") {
                // The shim tells it again after a second or so, if it does.
                let exit = |line: &str| line.contains("/tasks/exit") && line.contains("leaver-last");
                let again = events.within(Duration::from_millis(2500), "a second telling", exit);
                ensure!(again.is_err(), "told again: {again:?}");
            } else {
                events.line_with(&["/tasks/exit", "leaver-last", "\"exit_status\":5"])?;
            }
            self.count(&mut events)?;
            events.kill()?;
            self.daemon.kill9()?;
        }
        self.daemon.launch()?;
        remove(&self.daemon, &["leaver-last"])
    }
}

/// Waits until a moment and counts what comes before it.
fn until(finished: &Receiver<()>, moment: Instant) -> usize {
    let mut count = 0;
    while finished.recv_timeout(moment.saturating_duration_since(Instant::now())).is_ok() {
        count += 1;
    }
    count
}

/// The kept containers are still under control: they end when asked, with their own code.
fn end_kept(daemon: &Daemon) -> Result<()> {
    for id in KEPT {
        let mut events = daemon.events()?;
        daemon.ok(&["tasks", "kill", id])?;
        events.line_with(&["/tasks/exit", id, "\"exit_status\":5"])?;
        events.kill()?;
        daemon.client(&["tasks", "rm", id]).run()?.warns("exit code 5")?;
        daemon.ok(&["containers", "rm", id])?;
    }
    Ok(())
}

/// Ready again with a hundred containers, and all of them there. How soon is told, not judged: this is a debug build on a
/// busy machine; the promise of 300 ms is the release build's.
#[test]
fn a_hundred_containers() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    let ids: Vec<String> = (0..100).map(|number| format!("c{number}")).collect();
    std::thread::scope(|scope| {
        let halves = ids.chunks(25).map(|part| {
            let programs: Vec<Program> =
                part.iter().map(|id| daemon.client(&["run", "-d", BUSYBOX, id, "sleep", "1000"])).collect();
            scope.spawn(move || programs.into_iter().try_for_each(|program| program.succeed().map(drop)))
        });
        let halves: Vec<_> = halves.collect();
        halves.into_iter().try_for_each(|half| half.join().map_err(|_| anyhow::anyhow!("a panic"))?)
    })?;
    let pids = |daemon: &Daemon| -> Result<BTreeMap<String, String>> {
        let listed = daemon.ok(&["tasks", "ls"])?;
        ensure!(listed.rows().iter().all(|row| row.last() == Some(&"RUNNING")), "{listed}");
        Ok(listed.rows().iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect())
    };
    let before = pids(&daemon)?;
    ensure!(before.len() == 100, "{} run", before.len());
    let mut times = Vec::new();
    for _ in 0..3 {
        daemon.kill9()?;
        let began = Instant::now();
        daemon.launch()?;
        times.push(began.elapsed());
        ensure!(pids(&daemon)? == before, "other pids after the restart");
    }
    println!("ready again with 100 containers after {times:?}");
    std::thread::scope(|scope| {
        let parts: Vec<_> = ids
            .chunks(25)
            .map(|part| {
                let programs: Vec<Program> =
                    part.iter().map(|id| daemon.client(&["tasks", "rm", "-f", id])).collect();
                scope.spawn(move || programs.into_iter().try_for_each(|program| program.succeed().map(drop)))
            })
            .collect();
        parts.into_iter().try_for_each(|part| part.join().map_err(|_| anyhow::anyhow!("a panic"))?)
    })?;
    daemon.finish()
}

/// A shim that dies while the daemon is away: its container is ended, told dead once, and its name is free again.
#[test]
fn a_shim_dies_while_the_daemon_is_away() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    let bystander = run_patient(&daemon, "bystander")?;
    let before = daemon.collected_census()?;
    run_patient(&daemon, "one")?;
    let shim = daemon.shim_pid("one")?;
    daemon.kill9()?;
    end(shim, Signal::KILL)?;
    daemon.launch()?;
    let mut events = daemon.follow(&["events"])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":137"])?;
    events.line_with(&["/tasks/delete", "\"one\""])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.row("one").is_err(), "it is still listed");
    ensure!(daemon.task_pid("bystander")? == bystander);
    daemon.ok(&["tasks", "start", "-d", "one"])?;
    remove(&daemon, &["one"])?;
    let lost = |line: &String| line.contains("/tasks/exit") && line.contains("\"exit_status\":255");
    ensure!(!events.seen().iter().any(lost), "an exit is lost: {:#?}", events.seen());
    events.kill()?;
    nothing_since(&daemon, &before)?;
    remove(&daemon, &["bystander"])?;
    daemon.finish()
}

/// A stopped shim answers nobody: whoever asks for its task is told within the deadline, others are not held up, and
/// when it goes on nothing was lost. A restart meanwhile does not end it.
#[test]
fn a_stopped_shim() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    let pid = run_patient(&daemon, "one")?;
    run_patient(&daemon, "two")?;
    let shim = daemon.shim_pid("one")?;
    signal(shim, Signal::STOP)?;
    let checked = (|| {
        let asked = daemon.client(&["tasks", "kill", "one"]);
        let asking = std::thread::spawn(move || asked.refuse(&["deadline exceeded"]).map(drop));
        let exec = daemon.ok(&["tasks", "exec", "--exec-id", "e", "two", "echo", "goes on"])?;
        ensure!(exec.stdout == "goes on\n", "{exec}");
        ensure!(!asking.is_finished(), "it was refused at once, or the others waited for it");
        daemon.ok(&["run", "--rm", BUSYBOX, "three", "true"])?;
        asking.join().map_err(|_| anyhow::anyhow!("a panic"))??;
        let listed = daemon.ok(&["tasks", "ls"])?;
        ensure!(listed.row("two").is_ok(), "{listed}");
        daemon.kill9()?;
        daemon.launch()?;
        daemon.task_pid("two").map(drop)
    })();
    signal(shim, Signal::CONT)?;
    checked?;
    ensure!(daemon.task_pid("one")? == pid);
    remove(&daemon, &["one", "two"])?;
    daemon.finish()
}

/// A bundle removed by hand: its task can be removed still, others go on.
#[test]
fn a_bundle_removed_by_hand() -> Result<()> {
    let Some(daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    run_patient(&daemon, "two")?;
    let before = daemon.collected_census()?;
    run_patient(&daemon, "one")?;
    let bundle = bundle(&daemon, "one");
    Program::new("umount").arg("-l").arg(bundle.join("rootfs")).succeed()?;
    std::fs::remove_dir_all(&bundle)?;
    daemon.task_pid("one")?;
    remove(&daemon, &["one"])?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    nothing_since(&daemon, &before)?;
    remove(&daemon, &["two"])?;
    daemon.finish()
}

/// A damaged database: the daemon does not start, and says which file it is and what to do.
#[test]
fn a_damaged_database() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    daemon.stop()?;
    let file = daemon.dir().join("root/io.gantry.metadata.v1.redb/meta.redb");
    let sound = std::fs::read(&file)?;
    let half = sound.len() / 2;
    let mut holes = sound.clone();
    holes[4096..].fill(0xa5);
    for bytes in [&b"not a database"[..], &sound[..half], &holes, &[0; 100_000]] {
        std::fs::write(&file, bytes)?;
        let log = daemon.log().len();
        let refused = Program::from(daemon.command()?).run()?;
        let text = daemon.log().split_off(log);
        ensure!(refused.code != 0, "it started with {} bytes of rubbish", bytes.len());
        let file = file.to_string_lossy();
        let words = [&*file, "damaged", "backup"];
        let said = format!("{text}{}{}", refused.stdout, refused.stderr);
        ensure!(words.iter().all(|word| said.contains(word)), "{words:?} expected in {said}");
        ensure!(!said.contains("panicked"), "{said}");
    }
    std::fs::write(&file, &sound)?;
    daemon.launch()?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.finish()
}

pub(crate) fn resize(root: &Path, size: &str) -> Result<()> {
    let option = format!("remount,size={size}");
    Program::new("mount").args(["-o", &option]).arg(root).succeed().map(drop)
}

/// A full disk: an import says so, whether the blobs or the layers had no room, leaves nothing half made, and works as
/// soon as there is room.
#[test]
fn a_full_disk() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.stop()?;
    let root = daemon.dir().join("root");
    Program::new("mount").args(["-t", "tmpfs", "-o", "size=5m", "tmpfs"]).arg(&root).succeed()?;
    daemon.launch()?;
    let before = daemon.collected_census()?;
    let path = daemon.dir().join("image.tar");
    let large = || Tar::new().file("large", 0o644, vec![0; 8 << 20]);
    for layer in [Layer::plain(large()), Layer::gzip(large())?] {
        let mut recipe = samples::busybox_recipe(BUSYBOX)?;
        recipe.layers.push(layer);
        recipe.bake().write(&path)?;
        let path = path.to_string_lossy();
        for words in [&["images", "import", &path], &["images", "import", "--local", &path][..]] {
            // The first letter is large when the daemon unpacks.
            daemon.refuses(words, &["o space left on device"])?;
            // What the import had fetched is rubbish that fills the disk; a lease of a client's own is removed by hand.
            resize(&root, "300m")?;
            for lease in daemon.ok(&["leases", "ls", "-q"])?.lines() {
                daemon.ok(&["leases", "rm", lease])?;
            }
            let images = daemon.ok(&["images", "ls", "-q"])?;
            for image in images.lines() {
                // A client that unpacks by itself keeps what it has fetched.
                ensure!(words.contains(&"--local"), "an image came of it: {images}");
                daemon.ok(&["images", "rm", image])?;
            }
            nothing_since(&daemon, &before)?;
            resize(&root, "5m")?;
        }
    }
    resize(&root, "300m")?;
    daemon.ok(&["images", "import", &path.to_string_lossy()])?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.stop()?;
    Program::new("umount").arg(&root).succeed()?;
    daemon.launch()?;
    daemon.finish()
}

/// Waits until a process can write no more into its pipe.
fn waits_to_write(pid: i32) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let place = std::fs::read_to_string(format!("/proc/{pid}/wchan"))?;
        if place.ends_with("pipe_write") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{pid} does not wait to write but in {place:?}");
        std::thread::yield_now();
    }
}

/// A fifo that nobody reads: its container waits, others do not, and it can be ended and removed.
#[test]
fn a_fifo_that_nobody_reads() -> Result<()> {
    let Some(daemon) = ours()? else { return Ok(()) };
    daemon.import_busybox()?;
    let before = daemon.collected_census()?;
    let fifos = daemon.dir().join("fifo").to_string_lossy().into_owned();
    let script = "echo here; trap '' PIPE; yes & wait";
    let mut client = daemon.follow(&["run", "--fifo-dir", &fifos, BUSYBOX, "one", "sh", "-c", script])?;
    client.line_with(&["here"])?;
    let pid = i32::try_from(client.pid())?;
    signal(pid, Signal::STOP)?;
    let writer = a_child_of(daemon.task_pid("one")?)?;
    let began = Instant::now();
    let checked = (|| {
        waits_to_write(writer)?;
        daemon.ok(&["run", "--rm", BUSYBOX, "two", "true"])?;
        let exec = daemon.ok(&["tasks", "exec", "--exec-id", "e", "one", "echo", "in"])?;
        ensure!(exec.stdout == "in\n", "{exec}");
        daemon.ok(&["tasks", "kill", "-s", "KILL", "one"])?;
        let late = Instant::now() + DEADLINE;
        while daemon.ok(&["tasks", "ls"])?.row("one")?.last() != Some(&"STOPPED") {
            ensure!(Instant::now() < late, "it does not end");
        }
        daemon.client(&["tasks", "rm", "one"]).run()?.warns("137")?;
        daemon.ok(&["containers", "rm", "one"])
    })();
    signal(pid, Signal::KILL)?;
    checked?;
    println!("removed after {:?}", began.elapsed());
    drop(client);
    nothing_since(&daemon, &before)?;
    daemon.finish()
}
