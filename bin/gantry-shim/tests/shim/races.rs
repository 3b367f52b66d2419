//! What happens while something else is under way, held there by a brake.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use ttrpc::client::{Client, Invocation};
use wire::api::task_v3 as api;

use crate::bench::{Bench, PATIENCE, config};

const SHIM: &str = env!("CARGO_BIN_EXE_gantry-shim");

/// Our runtime as a program of its own that stops at the end of one verb.
struct Brake {
    reached: pipe::Receiver,
    go: std::fs::File,
    program: String,
}

impl Drop for Brake {
    /// A failed test lets go, so that what is left can be taken away.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.program);
        let _ = std::os::unix::fs::symlink(SHIM, &self.program);
        let _ = self.go.write_all(b"go\n");
    }
}

impl Brake {
    fn on(verb: &str, bench: &mut Bench) -> Self {
        let (reached, go) = (bench.fifo("reached"), bench.fifo("go"));
        // It has the fifo open before it is let go: what is written there does not go with the writer.
        let script = format!(
            "#!/bin/sh\n{SHIM} oci \"$@\"\nstatus=$?\n\
             for word; do [ $word = {verb} ] && exec 3<> {go} && echo > {reached} && read go <&3; done\nexit $status\n"
        );
        bench.runtime = program(bench.dir.path(), "gantry-oci", &script);
        let reached = pipe::OpenOptions::new().read_write(true).open_receiver(reached).expect("open");
        let go = std::fs::OpenOptions::new().read(true).write(true).open(go).expect("open");
        Self { reached, go, program: bench.runtime.clone() }
    }

    /// Waits until the verb is done but for its end, which `call` is not answered before.
    async fn reach<T: std::fmt::Debug>(
        &mut self,
        bench: &Bench,
        call: &mut (impl Future<Output = T> + Unpin),
    ) {
        let reached = async {
            self.reached.read_u8().await.expect("read");
            // What the shim has answered by now comes before this.
            bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
        };
        tokio::select! {
            answer = &mut *call => panic!("{answer:?} came too early"),
            reached = tokio::time::timeout(PATIENCE, reached) => reached.expect("in time"),
        }
        assert!(is_pending(call).await, "the answer came too early");
    }
}

async fn is_pending<F: Future + Unpin>(call: &mut F) -> bool {
    tokio::time::timeout(Duration::ZERO, call).await.is_err()
}

fn program(dir: &Path, name: &str, script: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, script).expect("write");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    path.to_str().expect("utf-8").to_owned()
}

/// Asks for nothing until something is so.
pub async fn until(bench: &Bench, mut is_so: impl FnMut() -> bool) {
    let asking = async {
        while !is_so() {
            bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("in time");
}

fn log(bench: &Bench) -> String {
    std::fs::read_to_string(bench.bundle.join("log")).expect("log")
}

/// Whoever hears of a failed creation may use the name again.
#[tokio::test]
async fn a_failed_creation_is_swept_up_before_its_answer() {
    let mut bench = Bench::start("", "").await;
    let mut config = config(&bench.id, "");
    config["process"]["args"] = serde_json::json!(["/no/such/program"]);
    std::fs::write(bench.bundle.join("config.json"), config.to_string()).expect("write");
    let mut brake = Brake::on("delete", &mut bench);
    let request = bench.creation();
    let mut creating = Box::pin(bench.try_call::<api::CreateTaskResponse>("Create", &request));
    brake.reach(&bench, &mut creating).await;
    drop(brake);
    creating.await.expect_err("no such program");
    bench.finish().await;
}

/// A container may be removed while a process is being added to it.
#[tokio::test]
async fn a_process_added_to_a_removed_container_is_answered_for() {
    let mut bench = Bench::start("", "sleep 1000").await;
    let mut brake = Brake::on("exec", &mut bench);
    bench.create(|_| ()).await;
    bench.add_exec("e", "sleep 1000", |_| ()).await;
    let request = api::StartRequest { id: bench.id.clone(), exec_id: "e".into() };
    let mut starting = Box::pin(bench.try_call::<api::StartResponse>("Start", &request));
    brake.reach(&bench, &mut starting).await;
    bench.delete("").await;
    drop(brake);
    assert_eq!(starting.await.expect_err("gone"), "NotFound: container not created: not found");
    bench.finish().await;
}

/// A stranger that gets the number of a process that is gone; `None` when somebody else was faster.
fn stranger(pid: u32) -> Option<Child> {
    loop {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("write");
        let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("spawn");
        if child.id() == pid {
            return Some(child);
        }
        child.kill().and_then(|()| child.wait()).expect("kill");
        if Path::new(&format!("/proc/{pid}")).exists() {
            return None;
        }
    }
}

/// The first process's exit is told after that of a process which is being started; until then its number is free.
#[tokio::test]
async fn a_reaped_process_is_not_signalled() {
    let bench = Bench::start("", "sleep 1000").await;
    let pid = bench.create(|_| ()).await;
    bench.start_task().await;
    let logger = bench.dir.path().join("logger.pid");
    let script = format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", logger.display());
    let uri = format!("binary-v2://{}", program(bench.dir.path(), "logger", &script));
    bench.add_exec("e", "true", |r| (r.stdout, r.stderr) = (uri.clone(), uri)).await;
    let request = api::StartRequest { id: bench.id.clone(), exec_id: "e".into() };
    let starting = bench.try_call::<api::StartResponse>("Start", &request);
    let killing = async {
        let logger_pid = || std::fs::read_to_string(&logger).unwrap_or_default().trim().to_owned();
        until(&bench, || !logger_pid().is_empty()).await;
        bench.kill("", 9).await;
        until(&bench, || !Path::new(&format!("/proc/{pid}")).exists()).await;
        let mut stranger = stranger(pid);
        let request = api::KillRequest { id: bench.id.clone(), signal: 9, ..Default::default() };
        let error = bench.try_call::<()>("Kill", &request).await.expect_err("it is gone");
        assert_eq!(error, "NotFound: process already finished: not found");
        if let Some(stranger) = &mut stranger {
            assert_eq!(stranger.try_wait().expect("wait"), None, "the stranger lives");
            stranger.kill().and_then(|()| stranger.wait()).expect("kill");
        }
        Command::new("kill").args(["-9", &logger_pid()]).status().expect("kill");
    };
    let (started, ()) = tokio::join!(starting, killing);
    started.expect_err("its logging program died");
    assert_eq!(bench.wait("").await.exit_status, 137);
    bench.finish().await;
}

/// Sets the shim's soft limit of open files.
fn limit_files(bench: &Bench, soft: &str) {
    let pid = format!("--pid={}", bench.shim_pid);
    let status = Command::new("prlimit").args([&pid, &format!("--nofile={soft}:")]).status();
    assert!(status.expect("prlimit").success());
}

/// Without descriptors to spare no client is taken, and the loop rests.
#[tokio::test]
async fn want_of_descriptors_makes_no_noise() {
    let bench = Bench::start("", "").await;
    let open = |number: &u32| Path::new(&format!("/proc/{}/fd/{number}", bench.shim_pid)).exists();
    limit_files(&bench, &(0..).find(|number| !open(number)).expect("a free one").to_string());
    let second = Client::connect(&bench.address).await.expect("connect");
    until(&bench, || log(&bench).contains("accept: ")).await;
    for _ in 0..100 {
        bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
    }
    let said = log(&bench).matches("accept: ").count();
    assert!(said < 50, "{said} times in 100 rounds");
    limit_files(&bench, "1024");
    let invocation = Invocation {
        service: "containerd.task.v3.Task".into(),
        method: "Connect".into(),
        timeout: Some(PATIENCE),
        ..Default::default()
    };
    second.call(invocation).await.expect("it is taken after all");
    bench.finish().await;
}

/// The alarm for a logging program that does not report is off once it has.
#[tokio::test]
async fn no_alarm_is_left_of_a_launch() {
    let bench = Bench::start("", "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let script = "#!/bin/sh\necho >&5; exec 5>&-; cat <&3\n";
    let uri = format!("binary-v2://{}", program(bench.dir.path(), "logger", script));
    bench.add_exec("e", "sleep 1000", |r| (r.stdout, r.stderr) = (uri.clone(), uri)).await;
    bench.start_exec("e").await;
    Command::new("kill").args(["-USR1", &bench.shim_pid.to_string()]).status().expect("kill");
    until(&bench, || log(&bench).contains("asked for the state")).await;
    let said = log(&bench).replace('\\', "");
    assert!(said.contains("(\"timers\", 0)"), "{said}");
    bench.finish().await;
}

/// Requests on one container are carried out one after the other, in their order.
#[tokio::test]
async fn orders_wait_for_each_other() {
    let mut bench = Bench::start("", "sleep 1000").await;
    let mut brake = Brake::on("pause", &mut bench);
    bench.create(|_| ()).await;
    bench.start_task().await;
    let (pause, resume) =
        (api::PauseRequest { id: bench.id.clone() }, api::ResumeRequest { id: bench.id.clone() });
    let mut pausing = Box::pin(bench.try_call::<()>("Pause", &pause));
    brake.reach(&bench, &mut pausing).await;
    let mut resuming = Box::pin(bench.try_call::<()>("Resume", &resume));
    assert!(is_pending(&mut resuming).await);
    bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
    assert!(is_pending(&mut resuming).await, "it waits for the pause");
    // There is an end to how many wait.
    let again = || Box::pin(bench.try_call::<()>("Resume", &resume));
    let mut others: Vec<_> = (0..63).map(|_| again()).collect();
    for other in &mut others {
        assert!(is_pending(other).await);
    }
    let error = bench.try_call::<()>("Resume", &resume).await.expect_err("one too many");
    assert!(error.contains("64 requests wait for container"), "{error}");
    drop(brake);
    pausing.await.expect("paused");
    resuming.await.expect("resumed after that");
    for other in others {
        assert_eq!(other.await.expect_err("not paused"), "Unknown: cannot resume a running process");
    }
    bench.finish().await;
}

/// What could not even begin keeps nobody waiting.
#[tokio::test]
async fn an_order_that_cannot_begin_is_over() {
    let bench = Bench::start("", "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    limit_files(&bench, "0");
    let pause = api::PauseRequest { id: bench.id.clone() };
    let error = bench.try_call::<()>("Pause", &pause).await.expect_err("no descriptor for a pipe");
    assert!(error.contains("pipe"), "{error}");
    limit_files(&bench, "1024");
    bench.call::<()>("Pause", &pause).await;
    bench.call::<()>("Resume", &api::ResumeRequest { id: bench.id.clone() }).await;
    bench.finish().await;
}

/// A process whose output is still awaited is removed once.
#[tokio::test]
async fn a_removal_under_way_is_not_begun_again() {
    let bench = Bench::start("", "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let out = bench.fifo("out");
    let _output = crate::streams::reader(&out);
    bench.add_exec("e", "sleep 1000 & exit 0", |r| (r.stdout, r.stderr) = (out.clone(), out)).await;
    bench.start_exec("e").await;
    bench.wait("e").await;
    let request = api::DeleteRequest { id: bench.id.clone(), exec_id: "e".into() };
    let mut deleting = Box::pin(bench.try_call::<api::DeleteResponse>("Delete", &request));
    assert!(is_pending(&mut deleting).await);
    let error = bench.try_call::<api::DeleteResponse>("Delete", &request).await.expect_err("under way");
    assert!(error.contains("process e is being deleted"), "{error}");
    bench.kill("", 9).await;
    deleting.await.expect("its output has ended");
    bench.finish().await;
}

/// A shim that is asked to end while it creates a container ends, and leaves nothing of it.
#[tokio::test]
async fn an_abandoned_creation_is_taken_back() {
    let mut bench = Bench::start("", "sleep 1000").await;
    let mut brake = Brake::on("create", &mut bench);
    let request = bench.creation();
    let mut creating = Box::pin(bench.try_call::<api::CreateTaskResponse>("Create", &request));
    brake.reach(&bench, &mut creating).await;
    bench.call::<()>("Shutdown", &api::ShutdownRequest { id: bench.id.clone(), now: false }).await;
    drop(brake);
    creating.await.expect_err("nobody wants it any more");
    tokio::time::timeout(PATIENCE, bench.client.closed()).await.expect("the shim ends");
    assert!(!bench.address.exists(), "the socket is removed");
    let group = format!("gantry-shim-test-{}", bench.id);
    let groups = std::fs::read_dir("/sys/fs/cgroup").expect("list").flatten();
    assert!(groups.into_iter().all(|one| !one.path().join(&group).exists()), "its groups are removed");
}

/// The daemon's clean-up after a start that it lost sight of ends a shim that serves nothing.
#[tokio::test]
async fn delete_ends_an_idle_shim() {
    let bench = Bench::start("", "").await;
    let daemon = bench.dir.path().join("daemon.sock");
    let mut delete = Command::new(SHIM);
    delete.args(["-namespace", "bench", "-id", &bench.id, "-address"]).arg(daemon).arg("-bundle");
    let deleted = delete.arg(&bench.bundle).arg("delete").current_dir(&bench.bundle).output();
    assert!(deleted.expect("run").status.success());
    tokio::time::timeout(PATIENCE, bench.client.closed()).await.expect("the shim ends");
    assert!(!bench.address.exists(), "the socket is removed");
}

/// With its container go those who wait for their turn, or for the end of a process that was never started.
#[tokio::test]
async fn nobody_waits_for_what_is_gone() {
    let mut bench = Bench::start("", "sleep 1000").await;
    let mut brake = Brake::on("delete", &mut bench);
    bench.create(|_| ()).await;
    bench.add_exec("e", "true", |_| ()).await;
    let wait = api::WaitRequest { id: bench.id.clone(), exec_id: "e".into() };
    let mut waiting = Box::pin(bench.try_call::<api::WaitResponse>("Wait", &wait));
    assert!(is_pending(&mut waiting).await);
    let delete = api::DeleteRequest { id: bench.id.clone(), ..Default::default() };
    let mut deleting = Box::pin(bench.try_call::<api::DeleteResponse>("Delete", &delete));
    brake.reach(&bench, &mut deleting).await;
    let pause = api::PauseRequest { id: bench.id.clone() };
    let mut pausing = Box::pin(bench.try_call::<()>("Pause", &pause));
    assert!(is_pending(&mut pausing).await);
    bench.call::<api::ConnectResponse>("Connect", &api::ConnectRequest::default()).await;
    drop(brake);
    deleting.await.expect("deleted");
    assert_eq!(pausing.await.expect_err("gone"), "NotFound: container not created: not found");
    waiting.await.expect("it never was, and is over");
    bench.finish().await;
}

/// Whoever waits for a process that cannot be started is answered; and in a container that has ended none can be.
#[tokio::test]
async fn nobody_waits_for_what_cannot_be() {
    let bench = Bench::start("", "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let absent = serde_json::json!({"args": ["/no/such/program"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
    let absent = wire::Any::json(wire::typeurl::OCI_PROCESS, absent.to_string());
    bench.add_exec("e", "", |request| request.spec = Some(absent)).await;
    let wait = api::WaitRequest { id: bench.id.clone(), exec_id: "e".into() };
    let mut waiting = Box::pin(bench.try_call::<api::WaitResponse>("Wait", &wait));
    assert!(is_pending(&mut waiting).await);
    let start = api::StartRequest { id: bench.id.clone(), exec_id: "e".into() };
    bench.try_call::<api::StartResponse>("Start", &start).await.expect_err("no such program");
    waiting.await.expect("it never was, and is over");
    bench.add_exec("late", "true", |_| ()).await;
    bench.kill("", 9).await;
    bench.wait("").await;
    let start = api::StartRequest { id: bench.id.clone(), exec_id: "late".into() };
    let error = bench.try_call::<api::StartResponse>("Start", &start).await.expect_err("too late");
    assert!(error.contains("init process is not running"), "{error}");
    bench.finish().await;
}
