//! From creation to deletion.

use crate::stage::{Peer, Stage, Told, kill, our_shim, peers, within};
use model::tasks::{Exec, Runtime, Status};
use model::{Any, Kind};

fn told(topic: &str, of: &str, status: u32) -> Told {
    Told { topic: topic.to_owned(), of: of.to_owned(), status }
}

fn process(args: &[&str]) -> Any {
    let spec = serde_json::json!({
        "args": args, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 },
    });
    Any { type_url: model::any::PROCESS_URL.to_owned(), value: spec.to_string().into() }
}

#[tokio::test]
async fn a_task_lives_and_is_gone() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let pid = stage.create("one", &["/bin/sleep", "1000"]).await.expect("create");
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
        let again = stage.create("one", &["/bin/true"]).await.expect_err("there already");
        assert_eq!((again.kind(), again.text()), (Kind::AlreadyExists, "task one: already exists"));

        let task = stage.task("one");
        let created = within(task.state("")).await.expect("state");
        assert_eq!((created.status, created.pid, created.id.as_str()), (Status::Created, pid, "one"));
        assert!(created.exited_at.is_never());
        assert_eq!(within(task.start("")).await.expect("start"), pid);
        let waiter = tokio::spawn({
            let task = stage.task("one");
            async move { task.wait("").await }
        });

        let exec = Exec {
            exec_id: "e".to_owned(),
            spec: Some(process(&["/bin/sh", "-c", "exit 7"])),
            ..Exec::default()
        };
        within(task.exec(exec)).await.expect("exec");
        assert!(within(task.start("e")).await.expect("start exec") > 0);
        let exit = within(task.wait("e")).await.expect("wait exec");
        assert_eq!((exit.id.as_str(), exit.status), ("e", 7));
        let exit = within(task.delete_process("e")).await.expect("delete exec");
        assert_eq!((exit.id.as_str(), exit.status), ("e", 7));
        assert_eq!(within(task.pids()).await.expect("pids").iter().map(|p| p.pid).collect::<Vec<_>>(), [pid]);
        assert!(within(task.stats()).await.expect("stats").is_some());
        let refused = within(task.delete()).await.expect_err("it runs");
        assert!(refused.text().contains("cannot delete a running process"), "{refused:?}");

        within(task.kill(kill(9))).await.expect("kill");
        let exit = within(waiter).await.expect("joined").expect("wait");
        assert_eq!((exit.id.as_str(), exit.pid, exit.status), ("", pid, 137));
        assert_eq!(within(task.state("")).await.expect("state").status, Status::Stopped);
        let exit = within(task.delete()).await.expect("delete");
        assert_eq!((exit.pid, exit.status), (pid, 137));

        for expected in [
            told("/tasks/create", "one", 0),
            told("/tasks/start", "one", 0),
            told("/tasks/exec-added", "one/e", 0),
            told("/tasks/exec-started", "one/e", 0),
            told("/tasks/exit", "one/e", 7),
            told("/tasks/exit", "one", 137),
            told("/tasks/delete", "one", 137),
        ] {
            assert_eq!(stage.next().await, expected, "{peer:?}");
        }
        assert!(!stage.bundle("one").exists() && !stage.work("one").exists());
        assert!(!stage.shims.owns(&stage.scope.namespace, "one"));
        let absent = stage.shims.get(&stage.scope, "one").err().expect("gone");
        assert_eq!((absent.kind(), absent.text()), (Kind::NotFound, "task one not found"));
        stage.run("one").await;
        stage.end("one").await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_bundle_is_as_containerd_makes_it() {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        stage.create("b", &["/bin/true"]).await.expect("create");
        let bundle = stage.bundle("b");
        let spec = stage.container("b", &["/bin/true"]).spec.expect("spec").value;
        assert_eq!(std::fs::read(bundle.join("config.json")).expect("read"), spec);
        for (name, mode) in [
            ("", 0o700),
            ("config.json", 0o644),
            ("rootfs", 0o755),
            ("log", 0o700),
            ("shim-binary-path", 0o600),
            ("bootstrap.json", 0o644),
        ] {
            let meta = std::fs::metadata(bundle.join(name)).expect(name);
            assert_eq!(meta.mode() & 0o7777, mode, "{name}");
        }
        assert!(std::fs::metadata(bundle.join("log")).expect("log").file_type().is_fifo());
        let binary = std::fs::read_to_string(bundle.join("shim-binary-path")).expect("binary");
        assert_eq!(binary, peer.shim.display().to_string());
        let exit = within(stage.task("b").delete()).await.expect("delete a created task");
        assert_eq!(exit.status, 0);
        stage.leave().await;
    }
}

#[tokio::test]
async fn many_at_once() {
    for peer in peers() {
        let stage = std::sync::Arc::new(Stage::new(&peer).await);
        let mut all = tokio::task::JoinSet::new();
        for n in 0..6 {
            let stage = std::sync::Arc::clone(&stage);
            all.spawn(async move {
                let id = format!("c{n}");
                stage.run(&id).await;
                assert_eq!(stage.end(&id).await.status, 137);
            });
        }
        while let Some(done) = all.join_next().await {
            done.expect("a whole life");
        }
        assert!(stage.shims.list(&stage.scope.namespace).is_empty());
        stage.leave().await;
    }
}

/// The shim is started by a script that keeps what it finds in the bundle.
#[tokio::test]
async fn where_a_shim_will_listen_is_known_before() {
    use std::os::unix::fs::PermissionsExt;
    for in_group in [false, true] {
        let mut peer = Peer { shim: our_shim(), runtime: "" };
        let dir = tempfile::tempdir().expect("dir");
        let (script, seen) = (dir.path().join("shim"), dir.path().join("seen"));
        let text =
            format!("#!/bin/sh\ncp bootstrap.json {}\nexec {} \"$@\"\n", seen.display(), peer.shim.display());
        std::fs::write(&script, text).expect("write");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
        peer.shim = script;
        let stage = Stage::new(&peer).await;
        match in_group {
            false => drop(stage.run("k").await),
            true => crate::groups::run_in_pod(&stage, "k").await,
        }
        let socket = stage.socket("k").display().to_string();
        let seen = std::fs::read_to_string(&seen).expect("it is there before the shim is");
        assert_eq!(seen.contains(&format!("\"unix://{socket}\"")), !in_group, "{seen}");
        stage.end("k").await;
        stage.leave().await;
    }
}
