//! Every deletion is told, once, whatever the shim does with its last breath.

use crate::stage::{Peer, Stage, Told, our_shim, peers, until, within};
use model::events::Envelope;
use model::tasks::Runtime;
use rustix::process::{Signal, kill_process};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Shims of containerd: Debian's, and the one of 2.3 where it is there.
fn theirs() -> Vec<Peer> {
    let newer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/compat/containerd-shim-runc-v2");
    let newer = PathBuf::from(newer).canonicalize().ok();
    let newer = newer.map(|shim| Peer { shim, runtime: "" });
    [Peer::debian()].into_iter().chain(newer).collect()
}

/// Creates, starts and deletes a task that ends with 3; its init.
async fn live_and_die(stage: &Stage, id: &str) -> u32 {
    let pid = stage.create(id, &["/bin/sh", "-c", "exit 3"]).await.expect("create");
    let task = stage.task(id);
    within(task.start("")).await.expect("start");
    within(task.wait("")).await.expect("wait");
    assert_eq!(within(task.delete()).await.expect("delete").status, 3);
    pid
}

/// The exits and deletions of a task that were told, in their order.
fn ends(told: &[Told], id: &str) -> Vec<(String, u32)> {
    let of_it = told.iter().filter(|t| t.of == id);
    let ends = of_it.filter(|t| t.topic == "/tasks/exit" || t.topic == "/tasks/delete");
    ends.map(|t| (t.topic.clone(), t.status)).collect()
}

fn once() -> Vec<(String, u32)> {
    [("/tasks/exit".to_owned(), 3), ("/tasks/delete".to_owned(), 3)].into()
}

/// The daemon takes no event of the shim any more once a task's end has come.
#[tokio::test]
async fn what_the_shim_did_not_tell() {
    for lost in [&["/tasks/delete"][..], &["/tasks/exit", "/tasks/delete"]] {
        for peer in theirs() {
            let stage = Stage::new(&peer).await;
            stage.intercept(move |envelope| !lost.contains(&envelope.topic.as_str()));
            live_and_die(&stage, "t").await;
            assert_eq!(ends(&stage.rest(), "t"), once(), "{peer:?}: before the deletion is answered");
            stage.leave().await;
        }
    }
}

/// What the shim has told arrives when the daemon has told it, and the name is another task's.
#[tokio::test]
async fn words_that_come_late() {
    for peer in theirs() {
        let stage = Stage::new(&peer).await;
        let late: Arc<Mutex<Vec<Envelope>>> = Arc::default();
        stage.intercept({
            let late = Arc::clone(&late);
            move |envelope| {
                let ends = ["/tasks/exit", "/tasks/delete"].contains(&envelope.topic.as_str());
                if ends {
                    late.lock().expect("lock").push(envelope.clone());
                }
                !ends
            }
        });
        live_and_die(&stage, "t").await;
        stage.run("t").await;
        until(|| !late.lock().expect("lock").is_empty()).await;
        for envelope in late.lock().expect("lock").drain(..) {
            assert!(stage.shims.pass(envelope, drop).is_none(), "{peer:?}");
        }
        stage.intercept(|_| true);
        let told = stage.rest();
        assert_eq!(ends(&told, "t"), once(), "{peer:?}");
        stage.end("t").await;
        let told = [("/tasks/exit".to_owned(), 137), ("/tasks/delete".to_owned(), 137)];
        until(|| stage.shims.overview().is_empty()).await;
        assert_eq!(ends(&stage.rest(), "t"), told, "{peer:?}: the next of that name");
        stage.leave().await;
    }
}

/// A shim that has told of the deletion and dies before it answers.
#[tokio::test]
async fn a_death_after_the_last_word() {
    let stage = Stage::new(&Peer { shim: our_shim(), runtime: "" }).await;
    let pid = stage.create("d", &["/bin/sh", "-c", "exit 3"]).await.expect("create");
    within(stage.task("d").start("")).await.expect("start");
    within(stage.task("d").wait("")).await.expect("wait");
    let shim = stage.shim_pid("d").await;
    while stage.next().await.topic != "/tasks/exit" {}
    let deletion = wire::api::event::TaskDelete {
        container_id: "d".to_owned(),
        pid,
        exit_status: 3,
        ..Default::default()
    };
    let envelope = Envelope {
        timestamp: model::Timestamp::NEVER,
        namespace: stage.scope.namespace.to_string(),
        topic: "/tasks/delete".to_owned(),
        event: Some(wire::Any::pack(&deletion).into()),
    };
    assert!(stage.shims.pass(envelope, drop).is_some());
    kill_process(shim, Signal::KILL).expect("kill");
    until(|| !stage.shims.owns(&stage.scope.namespace, "d")).await;
    assert_eq!(ends(&stage.rest(), "d"), []);
    stage.leave().await;
}

/// A shim that goes on for others tells by itself.
#[tokio::test]
async fn a_shim_that_stays() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        for id in ["p1", "p2"] {
            crate::groups::run_in_pod(&stage, id).await;
        }
        stage.end("p1").await;
        let mut told = Vec::new();
        while told.last().is_none_or(|last: &Told| last.topic != "/tasks/delete") {
            told.push(stage.next().await);
        }
        stage.end("p2").await;
        until(|| stage.shims.overview().is_empty()).await;
        told.extend(stage.rest());
        for id in ["p1", "p2"] {
            let ends: Vec<_> = ends(&told, id).into_iter().map(|(topic, _)| topic).collect();
            assert_eq!(ends, ["/tasks/exit", "/tasks/delete"], "{peer:?}: {id}");
        }
        stage.leave().await;
    }
}

/// The shim of 2.3 lost one in four.
#[tokio::test]
async fn many_deletions() {
    for peer in theirs() {
        let stage = Stage::new(&peer).await;
        let cycles = std::env::var("GANTRY_TEST_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
        for n in 0..cycles {
            let id = format!("t{n}");
            live_and_die(&stage, &id).await;
            let ends = ends(&stage.rest(), &id);
            assert_eq!(ends, once(), "{peer:?}: {id}");
        }
        stage.leave().await;
        assert_eq!(stage.rest(), [], "{peer:?}: nothing comes late");
    }
}
