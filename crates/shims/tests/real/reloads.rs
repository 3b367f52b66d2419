//! Daemons that go away and come back.

use crate::stage::{Stage, Told, freeze, is_running, peers, until, within};
use model::events::Envelope;
use model::tasks::{Runtime, Status};
use model::{ContainerId, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use shims::Reloaded;
use wire::api::event::TaskExit;

fn exits(told: Vec<Told>) -> Vec<(String, String, u32)> {
    told.into_iter()
        .filter(|t| t.topic == "/tasks/exit" || t.topic == "/tasks/delete")
        .map(|t| (t.topic, t.of, t.status))
        .collect()
}

#[tokio::test]
async fn running_tasks_are_found_again() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("r").await.state("")).await.expect("state").pid;
        stage.create("c", &["/bin/true"]).await.expect("create");
        stage.leave().await;
        std::fs::create_dir_all(stage.bundle("empty")).expect("mkdir");
        std::fs::create_dir_all(stage.bundle(".half-0/rootfs/rest")).expect("mkdir");
        std::fs::create_dir_all(stage.work(".half-1/rest")).expect("mkdir");
        std::fs::create_dir_all(stage.work("orphan")).expect("mkdir");
        assert_eq!(stage.come_back().await, Reloaded { kept: 2, removed: 1, unclear: 0 });
        assert!(!stage.bundle("empty").exists() && !stage.bundle(".half-0").exists());
        assert!(!stage.work(".half-1").exists());
        assert!(!stage.work("orphan").exists() && stage.work("r").exists());
        stage.shims.announce();
        let state = within(stage.task("r").state("")).await.expect("state");
        assert_eq!((state.status, state.pid), (Status::Running, pid));
        assert_eq!(within(stage.task("c").state("")).await.expect("state").status, Status::Created);
        assert_eq!(stage.end("r").await.pid, pid);
        within(stage.task("c").delete()).await.expect("delete");
        stage.leave().await;
    }
}

#[tokio::test]
async fn an_exit_while_the_daemon_was_away_is_told_once() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("x").await.state("")).await.expect("state").pid;
        stage.leave().await;
        stage.rest();
        let init = Pid::from_raw(pid.cast_signed()).expect("pid");
        kill_process(init, Signal::KILL).expect("kill");
        stage.stopped("x").await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 });
        stage.shims.announce();
        let id = ContainerId::new("x").expect("id").to_string();
        let late = TaskExit { container_id: id.clone(), id, pid, exit_status: 137, exited_at: None };
        let late = Envelope {
            timestamp: Timestamp::NEVER,
            namespace: stage.scope.namespace.to_string(),
            topic: "/tasks/exit".to_owned(),
            event: Some(wire::Any::pack(&late).into()),
        };
        assert!(stage.shims.pass(late, drop).is_none(), "the shim's own event comes too late");
        assert_eq!(exits(stage.rest()), [("/tasks/exit".to_owned(), "x".to_owned(), 137)]);
        stage.leave().await;
        stage.come_back().await;
        stage.shims.announce();
        let exit = within(stage.task("x").delete()).await.expect("delete");
        assert_eq!((exit.pid, exit.status), (pid, 137));
        while stage.next().await.topic != "/tasks/delete" {}
        stage.leave().await;
        assert_eq!(exits(stage.rest()), []);
    }
}

#[tokio::test]
async fn a_shim_that_died_while_the_daemon_was_away() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("x").await.state("")).await.expect("state").pid;
        let (socket, shim) = (stage.socket("x"), stage.shim_pid("x").await);
        stage.leave().await;
        stage.rest();
        kill_process(shim, Signal::KILL).expect("kill");
        until(|| !is_running(shim)).await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 1, unclear: 0 });
        stage.shims.announce();
        let of = || "x".to_owned();
        let expected = [("/tasks/exit".to_owned(), of(), 137), ("/tasks/delete".to_owned(), of(), 137)];
        assert_eq!(exits(stage.rest()), expected);
        assert!(!stage.bundle("x").exists() && !stage.work("x").exists());
        assert!(!stage.shims.owns(&stage.scope.namespace, "x"));
        assert!(!is_running(Pid::from_raw(pid.cast_signed()).expect("pid")));
        let _ = std::fs::remove_file(socket);
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_stuck_shim_is_kept() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        stage.limits.load = std::time::Duration::from_millis(300);
        stage.run("s").await;
        let shim = stage.shim_pid("s").await;
        stage.leave().await;
        freeze(shim).await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 });
        kill_process(shim, Signal::CONT).expect("continue");
        assert_eq!(stage.end("s").await.status, 137);
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_shim_without_its_task_is_ended() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let task = stage.run("l").await;
        let shim = stage.shim_pid("l").await;
        within(task.kill(crate::stage::kill(9))).await.expect("kill");
        within(task.wait("")).await.expect("wait");
        // As if the daemon had died between the shim's answer and the shim's end.
        within(task.delete_process("")).await.expect("delete in the shim only");
        stage.leave().await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 1, unclear: 0 });
        assert!(!stage.bundle("l").exists());
        until(|| !is_running(shim)).await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_no_death() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("u").await.state("")).await.expect("state").pid;
        let socket = stage.socket("u");
        stage.leave().await;
        let (file, aside) = (stage.bundle("u").join("bootstrap.json"), stage.bundle("u").join("aside"));
        let read = std::fs::read_to_string(&file).expect("read");
        // A file that cannot be read, and a socket that nobody can say anything of.
        std::fs::rename(&file, &aside).expect("rename");
        std::fs::create_dir(&file).expect("mkdir");
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 0, unclear: 1 });
        assert!(stage.shims.owns(&stage.scope.namespace, "u") && stage.work("u").exists());
        let taken = stage.create("u", &["/bin/true"]).await.expect_err("the name is taken");
        assert_eq!(taken.text(), "task u: already exists");
        stage.leave().await;
        std::fs::remove_dir(&file).expect("rmdir");
        let socket = socket.display().to_string();
        std::fs::write(&file, read.replace(&socket, &format!("{}/below", aside.display()))).expect("write");
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 0, unclear: 1 });
        stage.leave().await;
        std::fs::rename(&aside, &file).expect("rename");
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 });
        let state = within(stage.task("u").state("")).await.expect("state");
        assert_eq!((state.status, state.pid), (Status::Running, pid));
        stage.end("u").await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_dead_shim_that_cannot_be_cleaned_up_after() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        stage.run("f").await;
        let (socket, shim) = (stage.socket("f"), stage.shim_pid("f").await);
        stage.leave().await;
        stage.rest();
        kill_process(shim, Signal::KILL).expect("kill");
        until(|| !is_running(shim)).await;
        let binary = stage.bundle("f").join("shim-binary-path");
        let path = std::fs::read(&binary).expect("read");
        std::fs::write(&binary, "/bin/false").expect("write");
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 1, unclear: 0 });
        stage.shims.announce();
        let told =
            |status| ["/tasks/exit", "/tasks/delete"].map(|topic| (topic.to_owned(), "f".to_owned(), status));
        assert_eq!(exits(stage.rest()), told(255));
        assert!(stage.bundle("f").exists() && stage.work("f").exists());
        stage.leave().await;
        std::fs::write(&binary, path).expect("write");
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 1, unclear: 0 });
        stage.shims.announce();
        assert_eq!(exits(stage.rest()), [], "it was told before");
        assert!(!stage.bundle("f").exists() && !stage.work("f").exists());
        let _ = std::fs::remove_file(socket);
        stage.leave().await;
    }
}

/// Removes what can be removed of a bundle, as people do.
fn tear_down(bundle: &std::path::Path, rest: bool) {
    let rootfs = bundle.join("rootfs");
    if !rest {
        rustix::mount::unmount(&rootfs, rustix::mount::UnmountFlags::DETACH).expect("unmount");
        return std::fs::remove_dir_all(bundle).expect("remove");
    }
    for entry in std::fs::read_dir(bundle).expect("list").flatten().filter(|e| e.path() != rootfs) {
        std::fs::remove_file(entry.path()).expect("remove");
    }
}

#[tokio::test]
async fn a_shim_without_its_bundle_is_taken_in_again() {
    for (peer, rest) in peers().into_iter().flat_map(|peer| [(peer.clone(), true), (peer, false)]) {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("s").await.state("")).await.expect("state").pid;
        let shim = stage.shim_pid("s").await;
        stage.leave().await;
        stage.rest();
        tear_down(&stage.bundle("s"), rest);
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 }, "{peer:?} {rest}");
        stage.shims.announce();
        let state = within(stage.task("s").state("")).await.expect("state");
        assert_eq!((state.status, state.pid), (Status::Running, pid));
        stage.leave().await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 }, "once more");
        stage.shims.announce();
        assert_eq!(stage.end("s").await.pid, pid);
        until(|| !is_running(shim)).await;
        assert!(!stage.bundle("s").exists() && !stage.work("s").exists());
        let of = || "s".to_owned();
        let expected = [("/tasks/exit".to_owned(), of(), 137), ("/tasks/delete".to_owned(), of(), 137)];
        assert_eq!(exits(stage.rest()), expected, "{peer:?} {rest}");
        stage.run("s").await;
        stage.end("s").await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn another_daemon_s_shim_is_let_alone() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        let pid = within(stage.run("s").await.state("")).await.expect("state").pid;
        stage.leave().await;
        // It has the same address, so the same name for the socket.
        stage.state = "another";
        assert_eq!(stage.come_back().await, Reloaded { kept: 0, removed: 1, unclear: 0 }, "{peer:?}");
        assert!(!stage.shims.owns(&stage.scope.namespace, "s"));
        stage.leave().await;
        stage.state = "state";
        assert_eq!(stage.come_back().await, Reloaded { kept: 1, removed: 0, unclear: 0 });
        let state = within(stage.task("s").state("")).await.expect("state");
        assert_eq!((state.status, state.pid), (Status::Running, pid));
        stage.end("s").await;
        stage.leave().await;
    }
}
