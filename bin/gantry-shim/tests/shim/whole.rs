//! The program as a whole: groups, the death of a shim, its other commands.

use std::process::{Command, Stdio};

use prost::Message;
use ttrpc::client::Client;
use wire::api::task_v3 as api;
use wire::api::types::RuntimeInfo;

use crate::bench::{Bench, call_start, config, creation, make_bundle, unique};
use crate::with_runtimes;

with_runtimes! {
    a_slow_creation_holds_up_nobody => super::a_slow_creation_holds_up_nobody_by;
    an_overdue_creation_leaves_nothing => super::an_overdue_creation_leaves_nothing_by;
    events_wait_for_the_daemon => super::events_wait_for_the_daemon_by;
    running_out_of_memory_is_told => super::running_out_of_memory_is_told_by;
    containers_of_a_group_share_a_shim => super::containers_of_a_group_share_a_shim_by;
    delete_cleans_up_after_a_dead_shim => super::delete_cleans_up_after_a_dead_shim_by;
    a_second_version_client_is_served_too => super::a_second_version_client_is_served_too_by;
}

/// A configuration whose creation takes as long as this hook, which shows what it is for in its environment.
fn slow_to_create(id: &str, hook: &[&str]) -> serde_json::Value {
    let mut config = config(id, "sleep 1000");
    let arguments = [&["busybox"], hook].concat();
    config["hooks"]["createRuntime"] = serde_json::json!([
        {"path": "/bin/busybox", "args": arguments, "env": [format!("HOOK_OF={id}")]}
    ]);
    config
}

/// While a container is being created every other call is answered.
async fn a_slow_creation_holds_up_nobody_by(runtime: &str) {
    let bench = Bench::start(runtime, "").await;
    let fifo = bench.fifo("hook");
    let config = slow_to_create(&bench.id, &["cat", &fifo]);
    std::fs::write(bench.bundle.join("config.json"), config.to_string()).expect("write");
    // Opened when the hook has opened it too, which ends when this is closed.
    let hook = tokio::task::spawn_blocking(|| std::fs::OpenOptions::new().write(true).open(fifo));
    let mut creating = Box::pin(bench.create(|_| ()));
    let asking = async {
        let hook = hook.await.expect("join").expect("open");
        for _ in 0..20 {
            bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
        }
        hook
    };
    let hook = tokio::select! {
        _ = &mut creating => panic!("created before the hook has ended"),
        hook = asking => hook,
    };
    drop(hook);
    creating.await;
    bench.finish().await;
}

/// A creation nobody waits for any longer is taken back.
async fn an_overdue_creation_leaves_nothing_by(runtime: &str) {
    let id = unique();
    let bench = Bench::start_with(runtime, id.clone(), slow_to_create(&id, &["sleep", "1000"])).await;
    let invocation = ttrpc::client::Invocation {
        service: "containerd.task.v3.Task".into(),
        method: "Create".into(),
        payload: bench.creation().encode_to_vec().into(),
        timeout: Some(std::time::Duration::from_millis(500)),
        ..Default::default()
    };
    bench.client.call(invocation).await.expect_err("too slow");
    std::fs::write(bench.bundle.join("config.json"), config(&id, "exit 0").to_string()).expect("write");
    let again = async {
        while bench.try_call::<api::CreateTaskResponse>("Create", &bench.creation()).await.is_err() {}
    };
    tokio::time::timeout(crate::bench::PATIENCE, again).await.expect("the id is free again");
    let hook_ended = async {
        while has_hook(&id) {
            bench.state("").await;
        }
    };
    tokio::time::timeout(crate::bench::PATIENCE, hook_ended).await.expect("the hook is ended");
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    bench.finish().await;
}

fn has_hook(id: &str) -> bool {
    let mark = format!("HOOK_OF={id}\0").into_bytes();
    let environment = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("environ")).ok();
    let mut all = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(environment);
    all.any(|environment| environment == mark)
}

/// Whoever gets hold of the program through a container's first process cannot write to it (CVE-2019-5736): its place
/// is refused before anything else is looked at, as that it is being executed just now.
#[tokio::test]
async fn the_program_is_sealed() {
    let bench = Bench::start("", "true").await;
    let pid = bench.create(|_| ()).await;
    let opened = std::fs::OpenOptions::new().write(true).truncate(true).open(format!("/proc/{pid}/exe"));
    assert_eq!(opened.expect_err("sealed").kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    bench.finish().await;
}

/// A hook that does not read the state, more than a pipe holds, does no harm.
#[tokio::test]
async fn a_hook_need_not_read() {
    let id = unique();
    let mut config = slow_to_create(&id, &["true"]);
    config["annotations"]["long"] = "x".repeat(1 << 20).into();
    let bench = Bench::start_with("", id, config).await;
    bench.create(|_| ()).await;
    bench.finish().await;
}

/// Events wait for a daemon that is away.
async fn events_wait_for_the_daemon_by(runtime: &str) {
    let mut bench = Bench::start(runtime, "exit 0").await;
    bench.create(|_| ()).await;
    bench.expect::<wire::api::event::TaskCreate>().await;
    bench.stop_daemon().await;
    bench.start_task().await;
    bench.wait("").await;
    bench.restart_daemon();
    bench.expect::<wire::api::event::TaskStart>().await;
    bench.expect::<wire::api::event::TaskExit>().await;
    bench.finish().await;
}

/// A container that takes more memory than it may is told about.
async fn running_out_of_memory_is_told_by(runtime: &str) {
    let id = unique();
    let mut config = config(&id, "dd if=/dev/zero of=/dev/null bs=200M count=1; exit 0");
    config["linux"]["resources"]["memory"]["limit"] = (20 << 20).into();
    let mut bench = Bench::start_with(runtime, id, config).await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let mut topics = Vec::new();
    while topics.last().is_none_or(|topic| topic != "/tasks/oom") {
        topics.push(bench.event().await.0);
    }
    bench.wait("").await;
    bench.finish().await;
}

const SHIM: &str = env!("CARGO_BIN_EXE_gantry-shim");

async fn containers_of_a_group_share_a_shim_by(runtime: &str) {
    let id = unique();
    let mut first = config(&id, "sleep 1000");
    first["annotations"]["io.kubernetes.cri.sandbox-id"] = id.clone().into();
    let bench = Bench::start_with(runtime, id.clone(), first.clone()).await;
    bench.create(|_| ()).await;
    let second = format!("{id}-b");
    let mut config = config(&second, "exit 4");
    config["annotations"] = first["annotations"].clone();
    let bundle = make_bundle(bench.dir.path(), &second, &config);
    let result = call_start(bench.dir.path(), &bundle, &second, runtime);
    assert_eq!(result.address, format!("unix://{}", bench.address.display()));
    let request = creation(bench.dir.path(), &bundle, &second, runtime);
    bench.call::<api::CreateTaskResponse>("Create", &request).await;
    bench
        .call::<api::StartResponse>("Start", &api::StartRequest { id: second.clone(), ..Default::default() })
        .await;
    let exit: api::WaitResponse =
        bench.call("Wait", &api::WaitRequest { id: second.clone(), ..Default::default() }).await;
    assert_eq!(exit.exit_status, 4);
    bench
        .call::<api::DeleteResponse>(
            "Delete",
            &api::DeleteRequest { id: second.clone(), ..Default::default() },
        )
        .await;
    bench.call::<()>("Shutdown", &api::ShutdownRequest { id: second, now: false }).await;
    assert_eq!(
        bench.state("").await.pid,
        bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest { id }).await.task_pid
    );
    bench.finish().await;
}

async fn delete_cleans_up_after_a_dead_shim_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    let pid = bench.create(|_| ()).await;
    bench.start_task().await;
    Command::new("kill").args(["-9", &bench.shim_pid.to_string()]).status().expect("kill");
    bench.client.closed().await;
    let output = Command::new(SHIM)
        .args([
            "-namespace",
            "bench",
            "-address",
            bench.dir.path().join("daemon.sock").to_str().expect("utf-8"),
        ])
        .args(["-id", &bench.id, "-bundle", bench.bundle.to_str().expect("utf-8"), "delete"])
        .current_dir(&bench.bundle)
        .stdin(Stdio::null())
        .output()
        .expect("delete");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = api::DeleteResponse::decode(&output.stdout[..]).expect("answer");
    assert_eq!((answer.pid, answer.exit_status), (pid, 137));
    assert!(!bench.address.exists());
    let alive = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(alive.is_empty() || alive.contains(") Z "), "{alive}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!mounts.contains(bench.bundle.to_str().expect("utf-8")));
}

async fn a_second_version_client_is_served_too_by(runtime: &str) {
    let bench = Bench::start(runtime, "true").await;
    let client = Client::connect(&bench.address).await.expect("connect");
    let invocation = ttrpc::client::Invocation {
        service: "containerd.task.v2.Task".into(),
        method: "Connect".into(),
        ..Default::default()
    };
    let answer = client.call(invocation).await.expect("answer");
    assert_eq!(api::ConnectResponse::decode(answer).expect("answer").shim_pid, bench.shim_pid);
    bench.finish().await;
}

#[test]
fn version_and_info() {
    let output = Command::new(SHIM).arg("-v").output().expect("-v");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Version:"));
    let output = Command::new(SHIM).arg("-info").stdin(Stdio::null()).output().expect("-info");
    let info = RuntimeInfo::decode(&output.stdout[..]).expect("info");
    assert_eq!(info.name, "io.containerd.runc.v2");
    let features = info.features.expect("features");
    assert_eq!(features.type_url, wire::typeurl::OCI_FEATURES);
    let features: serde_json::Value = serde_json::from_slice(&features.value).expect("json");
    assert!(features["ociVersionMax"].is_string());
    let output = Command::new(SHIM).arg("-nonsense").output().expect("run");
    assert!(!output.status.success());
}
