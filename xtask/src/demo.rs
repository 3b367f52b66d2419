//! `cargo xtask demo`: an image goes in, a container comes out, through our own daemon, shim and OCI runtime.
//!
//! Nothing is fetched and no other runtime is needed: the daemon's PATH is an empty folder. Every step shows its
//! command and what it printed; the first step that does not do what it says ends the demo with an error.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Daemon, Finished, Follower, Kind, Start, samples};

use crate::build::{self, Profile};

const IMAGE: &str = "example.org/gantry/hello:1";

/// Builds in release mode and plays the whole scenario in a private directory.
pub fn run() -> Result<()> {
    let dist = build::run(Profile::Release)?;
    let mut stage = Stage::open(&dist)?;
    let before = stage.daemon.census();
    stage.import(&dist)?;
    stage.run_once()?;
    stage.run_detached()?;
    stage.look_inside()?;
    stage.stop_it()?;
    stage.clean_up()?;
    let after = stage.daemon.census();
    let left = after.grown_since(&before);
    ensure!(left.is_empty(), "left behind: {left:#?}");
    stage.say("before and after", &format!("before: {before}\nafter:  {after}\nnothing is left"));
    stage.daemon.finish()?;
    println!("\nThe demo did all it says.");
    Ok(())
}

/// The daemon of the demo and the number of the step.
struct Stage {
    daemon: Daemon,
    events: Option<Follower>,
    step: usize,
}

impl Stage {
    fn open(dist: &Path) -> Result<Self> {
        let dist = dist.to_path_buf();
        let start = Start { kind: Kind::Gantry, client: Client::Gantry, dist, ..Start::new() };
        let daemon = Daemon::start_with(start)?;
        let events = Some(daemon.events()?);
        let mut stage = Self { daemon, events, step: 0 };
        let text = format!(
            "directory {}\nprocess   {}\nPATH      an empty folder: there is no runc and no crun to be found",
            stage.daemon.dir().display(),
            stage.daemon.pid()?
        );
        stage.say("a private daemon", &text);
        stage.show("what it is", &["version"])?;
        Ok(stage)
    }

    fn import(&mut self, dist: &Path) -> Result<()> {
        let archive = self.daemon.dir().join("hello.tar");
        samples::hello(IMAGE, &dist.join("hello"))?.write(&archive)?;
        self.show("an image goes in", &["images", "import", &archive.to_string_lossy()])?;
        let listed = self.show("the images", &["images", "ls"])?;
        contains(&listed, &[IMAGE])
    }

    fn run_once(&mut self) -> Result<()> {
        let args = ["run", "--rm", "--hostname", "first", IMAGE, "one", "/hello"];
        let ran = self.show("a container comes out", &args)?;
        let cgroup = format!("/{}/one", self.daemon.namespace());
        contains(
            &ran,
            &["pid namespace: pid:[", "my pid:        1", "hostname:      first", "uid=0", &cgroup],
        )?;
        let own = std::fs::read_link("/proc/self/ns/pid")?.display().to_string();
        ensure!(!ran.stdout.contains(&own), "the container shares our pid namespace {own}: {ran}");
        Ok(())
    }

    fn run_detached(&mut self) -> Result<()> {
        self.show("one that stays", &["run", "-d", "--hostname", "second", IMAGE, "two", "/hello", "stay"])?;
        let listed = self.show("the tasks", &["tasks", "ls"])?;
        contains(&listed, &["two", "RUNNING"])
    }

    fn look_inside(&mut self) -> Result<()> {
        let exec =
            self.show("a second process in it", &["tasks", "exec", "--exec-id", "look", "two", "/hello"])?;
        contains(&exec, &["hostname:      second", "processes:     2"])?;
        self.show("its processes", &["tasks", "ps", "two"])?;
        let metrics = self.show("its figures", &["tasks", "metrics", "two"])?;
        contains(&metrics, &["pids.current", "memory"])
    }

    fn stop_it(&mut self) -> Result<()> {
        self.show("stop", &["tasks", "kill", "--signal", "SIGKILL", "two"])?;
        let mut events = self.events.take().context("the events")?;
        events.until("exit of two", |l| l.contains("/tasks/exit") && l.contains("\"two\""))?;
        self.show("remove the task", &["tasks", "rm", "two"])?;
        self.show("remove the container", &["containers", "rm", "two"])?;
        events.until("removal of the container", |l| {
            l.contains("/containers/delete") && l.contains("\"two\"")
        })?;
        let seen = events.seen().join("\n");
        events.kill()?;
        self.say("the events of all this", &seen);
        Ok(())
    }

    fn clean_up(&mut self) -> Result<()> {
        self.show("remove the image", &["images", "rm", "--sync", IMAGE])?;
        let content = self.show("no content is left", &["content", "ls"])?;
        ensure!(!content.stdout.contains("sha256:"), "content is left: {content}");
        std::fs::remove_file(self.daemon.dir().join("hello.tar"))?;
        Ok(())
    }

    /// Runs `gantry` with these words, shows what it printed and insists on success.
    fn show(&mut self, title: &str, args: &[&str]) -> Result<Finished> {
        let finished = self.daemon.client(args).succeed().with_context(|| format!("step `{title}`"))?;
        let text = format!("$ gantry {}\n{}{}", args.join(" "), finished.stdout, finished.stderr);
        self.say(title, &text);
        Ok(finished)
    }

    fn say(&mut self, title: &str, text: &str) {
        self.step += 1;
        println!("\n{:2}. {title}", self.step);
        for line in text.trim_end().lines() {
            println!("      {line}");
        }
    }
}

fn contains(finished: &Finished, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(finished.stdout.contains(word), "no {word:?} in what was printed: {finished}");
    }
    Ok(())
}
