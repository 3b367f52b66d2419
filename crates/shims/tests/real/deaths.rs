//! Shims that die, and shims that hang.

use crate::stage::{Stage, Told, freeze, is_running, kill, peers, until, within};
use model::Kind;
use model::tasks::{Runtime, Status};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use std::time::{Duration, Instant};

/// A request is longer than this and an answer to an event is shorter, bytes.
const REQUEST: u64 = 40;

/// How much at most lies unread in one of a process' sockets, bytes.
fn unread(pid: Pid) -> u64 {
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd");
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("descriptors");
    let numbers = numbers.flatten().filter_map(|fd| fd.file_name().to_str()?.parse().ok());
    let files = numbers.filter_map(|n| pidfd_getfd(&process, n, PidfdGetfdFlags::empty()).ok());
    files.filter_map(|file| rustix::io::ioctl_fionread(file).ok()).max().unwrap_or(0)
}

fn task_events(told: Vec<Told>) -> Vec<(String, u32)> {
    told.into_iter()
        .filter(|t| t.topic == "/tasks/exit" || t.topic == "/tasks/delete")
        .map(|t| (t.topic, t.status))
        .collect()
}

async fn until_deleted(stage: &Stage) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        let next = stage.next().await;
        let last = next.topic == "/tasks/delete";
        all.push(next);
        if last {
            return all;
        }
    }
}

#[tokio::test]
async fn a_dead_shim_is_cleaned_up_after() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let task = stage.run("d").await;
        let init = within(task.state("")).await.expect("state").pid;
        let socket = stage.socket("d");
        let waiter = tokio::spawn({
            let task = stage.task("d");
            async move { task.wait("").await }
        });
        kill_process(stage.shim_pid("d").await, Signal::KILL).expect("kill");
        let told = task_events(until_deleted(&stage).await);
        assert_eq!(told, [("/tasks/exit".to_owned(), 137), ("/tasks/delete".to_owned(), 137)]);
        let waited = within(waiter).await.expect("joined").expect_err("no answer");
        assert_eq!((waited.kind(), waited.text()), (Kind::Unknown, "ttrpc: closed"));
        assert!(stage.shims.get(&stage.scope, "d").is_err_and(|e| e.is_not_found()));
        assert!(!stage.bundle("d").exists() && !stage.work("d").exists());
        assert!(!is_running(rustix::process::Pid::from_raw(init.cast_signed()).expect("pid")));
        let _ = std::fs::remove_file(socket);

        stage.run("d").await;
        stage.end("d").await;
        let again = task_events(until_deleted(&stage).await);
        assert_eq!(again, [("/tasks/exit".to_owned(), 137), ("/tasks/delete".to_owned(), 137)]);
        stage.leave().await;
        assert_eq!(task_events(stage.rest()), []);
    }
}

#[tokio::test]
async fn an_exit_that_was_told_is_not_told_again() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        stage.create("t", &["/bin/sh", "-c", "exit 3"]).await.expect("create");
        let socket = stage.socket("t");
        within(stage.task("t").start("")).await.expect("start");
        while stage.next().await.topic != "/tasks/exit" {}
        kill_process(stage.shim_pid("t").await, Signal::KILL).expect("kill");
        let told = task_events(until_deleted(&stage).await);
        assert_eq!(told, [("/tasks/delete".to_owned(), 3)]);
        let _ = std::fs::remove_file(socket);
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_shim_that_dies_while_its_task_is_deleted() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let task = stage.run("g").await;
        let (socket, pid) = (stage.socket("g"), stage.shim_pid("g").await);
        within(task.kill(kill(9))).await.expect("kill");
        within(task.wait("")).await.expect("wait");
        freeze(pid).await;
        let deletion = tokio::spawn(async move { task.delete().await });
        // Its request is on its way: it lies in the frozen shim's socket.
        until(|| unread(pid) > REQUEST).await;
        kill_process(pid, Signal::KILL).expect("kill");
        let exit = within(deletion).await.expect("joined").expect("it is deleted after all");
        assert_eq!(exit.status, 137);
        assert!(!stage.bundle("g").exists());
        let told = task_events(until_deleted(&stage).await);
        assert_eq!(told.last(), Some(&("/tasks/delete".to_owned(), 137)));
        let _ = std::fs::remove_file(socket);
        stage.leave().await;
    }
}

#[tokio::test]
async fn whoever_waits_is_told_that_the_daemon_stops() {
    let stage = Stage::new(&crate::stage::Peer::debian()).await;
    let task = stage.run("w").await;
    let waiter = tokio::spawn(async move { task.wait("").await });
    // The question is on its way once another one has been answered.
    within(stage.task("w").state("")).await.expect("state");
    stage.shims.stop();
    let told = within(waiter).await.expect("joined").expect_err("no exit");
    assert_eq!((told.kind(), told.text()), (Kind::Unavailable, "the daemon is stopping: unavailable"));
    let task = stage.task("w");
    within(task.kill(kill(9))).await.expect("others are served until the end");
    stage.stopped("w").await;
    within(task.delete()).await.expect("delete");
    stage.leave().await;
}

#[tokio::test]
async fn a_bundle_that_cannot_be_removed_costs_no_exit() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let task = stage.run("b").await;
        within(task.kill(kill(9))).await.expect("kill");
        within(task.wait("")).await.expect("wait");
        // A mount point cannot be renamed.
        let work = stage.work("b");
        rustix::mount::mount_bind(&work, &work).expect("bind");
        let exit = within(task.delete()).await;
        rustix::mount::unmount(&work, rustix::mount::UnmountFlags::DETACH).expect("unmount");
        assert_eq!(exit.expect("delete").status, 137);
        assert!(!stage.shims.owns(&stage.scope.namespace, "b") && work.exists());
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_stuck_shim_delays_nobody_else() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        stage.limits.state = Duration::from_millis(700);
        stage.limits.stats = Duration::from_millis(50);
        stage.leave().await;
        stage.come_back().await;
        stage.shims.announce();
        let (stuck, other) = (stage.run("stuck").await, stage.run("other").await);
        let pid = stage.shim_pid("stuck").await;
        freeze(pid).await;
        let begun = Instant::now();
        let (late, state) = within(async { tokio::join!(stuck.state(""), other.state("")) }).await;
        assert!(begun.elapsed() >= stage.limits.state && begun.elapsed() < Duration::from_secs(10));
        let late = late.expect_err("no answer");
        assert_eq!((late.kind(), late.text()), (Kind::DeadlineExceeded, "context deadline exceeded"));
        assert_eq!(state.expect("state").status, Status::Running);
        let late = within(stuck.stats()).await.expect_err("no answer");
        assert_eq!(late.kind(), Kind::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(10), "counting has a limit of its own");
        stage.end("other").await;
        stage.run("third").await;
        stage.end("third").await;
        kill_process(pid, Signal::CONT).expect("continue");
        assert_eq!(within(stuck.state("")).await.expect("state").status, Status::Running);
        stage.end("stuck").await;
        until(|| !is_running(pid)).await;
        stage.leave().await;
    }
}
