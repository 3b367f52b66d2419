//! The life of containers and of processes added to them.

use wire::api::event::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskPaused, TaskResumed, TaskStart,
};
use wire::api::process::Status;
use wire::api::runc::ProcessDetails;
use wire::api::task_v3 as api;

use crate::bench::Bench;
use crate::streams::{expect, reader};
use crate::with_runtimes;

with_runtimes! {
    from_create_to_delete => super::from_create_to_delete_by;
    added_processes => super::added_processes_by;
    signals => super::signals_by;
    pausing => super::pausing_by;
    pids_and_stats => super::pids_and_stats_by;
    shared_pids => super::shared_pids_by;
    deleting_a_created => super::deleting_a_created_by;
    updating => super::updating_by;
}

async fn from_create_to_delete_by(runtime: &str) {
    let mut bench = Bench::start(runtime, "exit 7").await;
    let pid = bench.create(|_| ()).await;
    let state = bench.state("").await;
    assert_eq!((state.status(), state.pid, state.id.as_str()), (Status::Created, pid, bench.id.as_str()));
    assert_eq!(state.exited_at.expect("year 1").seconds, -62_135_596_800);
    assert_eq!(bench.start_task().await, pid);
    let exit = bench.wait("").await;
    assert_eq!(exit.exit_status, 7);
    assert_eq!(bench.wait("").await, exit);
    let state = bench.state("").await;
    assert_eq!((state.status(), state.exit_status, state.exited_at), (Status::Stopped, 7, exit.exited_at));
    let deleted = bench.delete("").await;
    assert_eq!((deleted.pid, deleted.exit_status, deleted.exited_at), (pid, 7, exit.exited_at));

    let created: TaskCreate = bench.expect().await;
    assert_eq!(
        (created.container_id.as_str(), created.pid, created.rootfs.len()),
        (bench.id.as_str(), pid, 1)
    );
    assert_eq!(bench.expect::<TaskStart>().await.pid, pid);
    let exited: TaskExit = bench.expect().await;
    assert_eq!((exited.id.as_str(), exited.pid, exited.exit_status), (bench.id.as_str(), pid, 7));
    let gone: TaskDelete = bench.expect().await;
    assert_eq!((gone.pid, gone.exit_status, gone.exited_at), (pid, 7, exit.exited_at));
    bench.finish().await;
}

async fn added_processes_by(runtime: &str) {
    let mut bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    bench.add_exec("e1", "exit 3", |_| ()).await;
    let state = bench.state("e1").await;
    assert_eq!((state.status(), state.pid, state.id.as_str()), (Status::Created, 0, "e1"));
    let pid = bench.start_exec("e1").await;
    assert_eq!(bench.wait("e1").await.exit_status, 3);
    let deleted = bench.delete("e1").await;
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 3));
    assert!(!bench.bundle.join("e1.pid").exists());

    bench.add_exec("e2", "sleep 1000", |_| ()).await;
    let second = bench.start_exec("e2").await;
    bench.kill("", 9).await;
    assert_eq!(bench.wait("").await.exit_status, 137);

    bench.expect::<TaskCreate>().await;
    bench.expect::<TaskStart>().await;
    assert_eq!(bench.expect::<TaskExecAdded>().await.exec_id, "e1");
    assert_eq!(bench.expect::<TaskExecStarted>().await.pid, pid);
    let exited: TaskExit = bench.expect().await;
    assert_eq!((exited.id.as_str(), exited.pid, exited.exit_status), ("e1", pid, 3));
    assert_eq!(bench.expect::<TaskExecAdded>().await.exec_id, "e2");
    assert_eq!(bench.expect::<TaskExecStarted>().await.pid, second);
    assert_eq!(bench.expect::<TaskExit>().await.id, "e2", "added processes end before the first");
    let id = bench.id.clone();
    assert_eq!(bench.expect::<TaskExit>().await.id, id);
    bench.finish().await;
}

async fn signals_by(runtime: &str) {
    let bench =
        Bench::start(runtime, "trap 'exit 9' TERM; echo ready; while true; do sleep 0.05; done").await;
    let out = bench.fifo("out");
    let mut output = reader(&out);
    bench.create(|request| (request.stdout, request.stderr) = (out.clone(), out)).await;
    bench.kill("", 0).await;
    bench.start_task().await;
    // Before the trap stands the signal would be lost, as pid 1 takes none it has not asked for.
    expect(&mut output, "ready\n").await;
    bench.add_exec("e", "sleep 1000", |_| ()).await;
    bench.start_exec("e").await;
    bench.kill("e", 10).await;
    assert_eq!(bench.wait("e").await.exit_status, 128 + 10);
    let bad = api::KillRequest { id: bench.id.clone(), signal: 99, ..Default::default() };
    let error = bench.try_call::<()>("Kill", &bad).await.expect_err("no such signal");
    assert!(
        error.starts_with("Unknown: unknown error after kill: runc did not terminate successfully"),
        "{error}"
    );
    bench.kill("", 15).await;
    assert_eq!(bench.wait("").await.exit_status, 9);
    let again = api::KillRequest { id: bench.id.clone(), signal: 15, ..Default::default() };
    let error = bench.try_call::<()>("Kill", &again).await.expect_err("it is gone");
    assert_eq!(error, "NotFound: process already finished: not found");
    let all = api::KillRequest { id: bench.id.clone(), signal: 15, all: true, ..Default::default() };
    bench.call::<()>("Kill", &all).await;
    bench.finish().await;
}

async fn pausing_by(runtime: &str) {
    let mut bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let id = bench.id.clone();
    bench.call::<()>("Pause", &api::PauseRequest { id: id.clone() }).await;
    assert_eq!(bench.state("").await.status(), Status::Paused);
    let error = bench.try_call::<()>("Pause", &api::PauseRequest { id: id.clone() }).await;
    assert_eq!(error.expect_err("paused"), "Unknown: cannot pause a paused container");
    bench.call::<()>("Resume", &api::ResumeRequest { id: id.clone() }).await;
    assert_eq!(bench.state("").await.status(), Status::Running);
    bench.call::<()>("Pause", &api::PauseRequest { id: id.clone() }).await;
    bench.kill("", 9).await;
    assert_eq!(bench.wait("").await.exit_status, 137);
    bench.expect::<TaskCreate>().await;
    bench.expect::<TaskStart>().await;
    bench.expect::<TaskPaused>().await;
    bench.expect::<TaskResumed>().await;
    bench.expect::<TaskPaused>().await;
    bench.expect::<TaskExit>().await;
    bench.finish().await;
}

async fn pids_and_stats_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    let pid = bench.create(|_| ()).await;
    bench.start_task().await;
    bench.add_exec("e", "sleep 1000", |_| ()).await;
    let added = bench.start_exec("e").await;
    let answer: api::PidsResponse = bench.call("Pids", &api::PidsRequest { id: bench.id.clone() }).await;
    let details = |of: u32| {
        let info = answer.processes.iter().find(|p| p.pid == of).expect("listed").info.clone();
        info.map(|any| any.unpack::<ProcessDetails>().expect("type").expect("bytes").exec_id)
    };
    assert_eq!((details(pid), details(added)), (None, Some("e".to_owned())));
    let stats: api::StatsResponse = bench.call("Stats", &api::StatsRequest { id: bench.id.clone() }).await;
    let stats = stats.stats.expect("stats");
    let current = match stats.unpack::<wire::api::cgroups_v1::Metrics>() {
        Some(metrics) => metrics.expect("bytes").pids.expect("pids").current,
        None => {
            let metrics = stats.unpack::<wire::api::cgroups_v2::Metrics>().expect("a known type");
            metrics.expect("bytes").pids.expect("pids").current
        }
    };
    assert!(current >= 2, "{current}");
    bench.finish().await;
}

/// Without a pid namespace of its own the rest of a container has to be killed.
async fn shared_pids_by(runtime: &str) {
    let id = crate::bench::unique();
    let mut config = crate::bench::config(&id, "sleep 1000 & exit 0");
    config["linux"]["namespaces"] = serde_json::json!([{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]);
    let bench = Bench::start_with(runtime, id, config).await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    let empty = async {
        let request = api::PidsRequest { id: bench.id.clone() };
        while !bench.call::<api::PidsResponse>("Pids", &request).await.processes.is_empty() {}
    };
    tokio::time::timeout(crate::bench::PATIENCE, empty).await.expect("killed processes go");
    bench.finish().await;
}

async fn deleting_a_created_by(runtime: &str) {
    let mut bench = Bench::start(runtime, "true").await;
    let pid = bench.create(|_| ()).await;
    let deleted = bench.delete("").await;
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 0));
    assert_eq!(deleted.exited_at.expect("year 1").seconds, -62_135_596_800);
    bench.expect::<TaskCreate>().await;
    let mut deletions = 0;
    while deletions == 0 {
        let (topic, _) = bench.event().await;
        deletions += u32::from(topic == "/tasks/delete");
    }
    bench.finish().await;
}

async fn updating_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let resources = wire::Any::json(wire::typeurl::OCI_LINUX_RESOURCES, r#"{"pids":{"limit":77}}"#);
    let request =
        api::UpdateTaskRequest { id: bench.id.clone(), resources: Some(resources), ..Default::default() };
    bench.call::<()>("Update", &request).await;
    let stats: api::StatsResponse = bench.call("Stats", &api::StatsRequest { id: bench.id.clone() }).await;
    let stats = stats.stats.expect("stats");
    let limit = match stats.unpack::<wire::api::cgroups_v1::Metrics>() {
        Some(metrics) => metrics.expect("bytes").pids.expect("pids").limit,
        None => {
            let metrics = stats.unpack::<wire::api::cgroups_v2::Metrics>().expect("a known type");
            metrics.expect("bytes").pids.expect("pids").limit
        }
    };
    assert_eq!(limit, 77);
    bench.finish().await;
}
