//! Requests that are refused, with the texts clients know.

use prost::Message;
use wire::api::task_v3 as api;
use wire::api::types::Descriptor;

use crate::bench::Bench;
use crate::with_runtimes;

with_runtimes! {
    unknown_containers_and_processes => super::unknown_containers_and_processes_by;
    what_the_state_forbids => super::what_the_state_forbids_by;
    what_makes_no_sense => super::what_makes_no_sense_by;
    streams_that_are_not_there => super::streams_that_are_not_there_by;
    an_exec_that_cannot_start_stays_and_fails_the_same_way_again => super::an_exec_that_cannot_start_stays_and_fails_the_same_way_again_by;
}

async fn refused(bench: &Bench, method: &str, request: &impl Message) -> String {
    bench.try_call::<()>(method, request).await.expect_err(method)
}

fn of(id: &str) -> api::StateRequest {
    api::StateRequest { id: id.to_owned(), ..Default::default() }
}

async fn unknown_containers_and_processes_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    for method in
        ["State", "Start", "Delete", "Pids", "Pause", "Resume", "Kill", "Exec", "Update", "Wait", "Stats"]
    {
        let text = refused(&bench, method, &of("nobody")).await;
        assert_eq!(text, "NotFound: container not created: not found", "{method}");
    }
    let connected: api::ConnectResponse = bench.call("Connect", &of("nobody")).await;
    assert_eq!((connected.task_pid, connected.shim_pid), (0, bench.shim_pid));
    assert_eq!(refused(&bench, "Nonsense", &of("x")).await, "Unimplemented: method Nonsense");
    bench.create(|_| ()).await;
    let nobody = api::StateRequest { id: bench.id.clone(), exec_id: "e".into() };
    for method in ["State", "Start", "Delete", "Wait"] {
        let text = refused(&bench, method, &nobody).await;
        assert_eq!(text, "NotFound: process does not exist e: not found", "{method}");
    }
    bench.finish().await;
}

async fn what_the_state_forbids_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    let me = of(&bench.id);
    assert_eq!(refused(&bench, "Pause", &me).await, "Unknown: cannot pause task in created state");
    assert_eq!(refused(&bench, "Resume", &me).await, "Unknown: cannot resume task in created state");
    bench.start_task().await;
    assert_eq!(refused(&bench, "Start", &me).await, "Unknown: cannot start a running process");
    assert_eq!(refused(&bench, "Delete", &me).await, "Unknown: cannot delete a running process");
    assert_eq!(refused(&bench, "Resume", &me).await, "Unknown: cannot resume a running process");
    bench.kill("", 9).await;
    bench.wait("").await;
    assert_eq!(refused(&bench, "Start", &me).await, "Unknown: cannot start a stopped process");
    assert_eq!(refused(&bench, "Pause", &me).await, "Unknown: cannot pause a stopped container");
    let exec = api::ExecProcessRequest {
        id: bench.id.clone(),
        exec_id: "e".into(),
        spec: Some(wire::Any::json("", "{}")),
        ..Default::default()
    };
    assert_eq!(refused(&bench, "Exec", &exec).await, "Unknown: cannot exec in a stopped state");
    bench.finish().await;
}

async fn what_makes_no_sense_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    let mut creation = bench.creation();
    creation.options = Some(wire::Any::pack(&Descriptor::default()));
    let text = refused(&bench, "Create", &creation).await;
    assert!(text.starts_with("InvalidArgument: "), "{text}");
    bench.create(|_| ()).await;
    let again = refused(&bench, "Create", &bench.creation()).await;
    assert!(again.starts_with("AlreadyExists: "), "{again}");
    let no_spec = api::ExecProcessRequest { id: bench.id.clone(), exec_id: "e".into(), ..Default::default() };
    assert!(refused(&bench, "Exec", &no_spec).await.starts_with("InvalidArgument: "));
    let no_resources = api::UpdateTaskRequest { id: bench.id.clone(), ..Default::default() };
    assert!(refused(&bench, "Update", &no_resources).await.starts_with("InvalidArgument: "));
    bench.add_exec("e", "true", |_| ()).await;
    let twice = api::ExecProcessRequest { spec: Some(wire::Any::json("", "{}")), ..no_spec };
    assert_eq!(refused(&bench, "Exec", &twice).await, "AlreadyExists: id e: already exists");
    let kill = api::KillRequest { id: bench.id.clone(), exec_id: "e".into(), signal: 9, all: false };
    let text = refused(&bench, "Kill", &kill).await;
    assert_eq!(text, "FailedPrecondition: process not created: failed precondition");
    bench.delete("e").await;
    bench.finish().await;
}

async fn streams_that_are_not_there_by(runtime: &str) {
    let bench = Bench::start(runtime, "true").await;
    let copy = "Unknown: failed to start io pipe copy: unable to copy pipes: containerd-shim: opening file";
    let table = [
        (["", "/x/out", ""], format!("{copy} \"/x/out\" failed: open /x/out: no such file or directory")),
        (["", "fifo:///p", "fifo:///p"], format!("{copy} \"fifo:///p\" failed: open fifo:///p: no such file or directory")),
        (["/x/in", "", ""], format!("{copy} \"\" failed: open : no such file or directory")),
        (
            ["/x/in", "/dev/null", "/dev/null"],
            "Unknown: failed to open stdin fifo /x/in: stat /x/in: no such file or directory".to_owned(),
        ),
        (
            ["", "npipe:///x", ""],
            "Unknown: failed to create init process I/O: unknown STDIO scheme npipe".to_owned(),
        ),
        (
            ["", "binary:///x/logger", ""],
            "Unknown: failed to create init process I/O: failed to start binary process: fork/exec /x/logger: no such file or directory".to_owned(),
        ),
        (
            ["", "binary-v2:///bin/true", ""],
            "Unknown: failed to create init process I/O: logging binary did not call ready (it may have crashed or exited prematurely)".to_owned(),
        ),
    ];
    for ([stdin, stdout, stderr], expected) in table {
        let mut creation = bench.creation();
        (creation.stdin, creation.stdout, creation.stderr) = (stdin.into(), stdout.into(), stderr.into());
        assert_eq!(refused(&bench, "Create", &creation).await, expected);
    }
    let mut creation = bench.creation();
    creation.terminal = true;
    let text = refused(&bench, "Create", &creation).await;
    assert_eq!(text, "Unknown: failed to start console copy: stat : no such file or directory");
    bench.finish().await;
}

async fn an_exec_that_cannot_start_stays_and_fails_the_same_way_again_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    bench
        .add_exec("e", "true", |request| {
            let process =
                serde_json::json!({"args": ["/no/such/program"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
            request.spec = Some(wire::Any::json(wire::typeurl::OCI_PROCESS, process.to_string()));
        })
        .await;
    let start = api::StartRequest { id: bench.id.clone(), exec_id: "e".into() };
    let text = refused(&bench, "Start", &start).await;
    assert!(text.starts_with("Unknown: OCI runtime exec failed: exec failed: "), "{text}");
    assert_eq!(refused(&bench, "Start", &start).await, text);
    let state = bench.state("e").await;
    assert_eq!((state.pid, state.status), (0, 1));
    assert_eq!(bench.wait("e").await.exit_status, 0);
    bench.delete("e").await;
    bench.finish().await;
}
