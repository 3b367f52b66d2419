//! Several tasks in one shim.

use crate::stage::{Stage, Told, kill, peers, within};
use model::containers::Container;
use model::tasks::{Create, Runtime, Status};
use rustix::process::{Signal, kill_process};
use shims::Reloaded;
use std::time::{Duration, Instant};

/// A container of a pod: the annotation says so.
pub fn put_in_pod(container: &mut Container) {
    let spec = container.spec.as_mut().expect("spec");
    let mut json: serde_json::Value = serde_json::from_slice(&spec.value).expect("json");
    json["annotations"] = serde_json::json!({ "io.kubernetes.cri.sandbox-id": "pod" });
    spec.value = json.to_string().into();
}

/// Creates and starts a container of a pod.
pub async fn run_in_pod(stage: &Stage, id: &str) {
    let mut container = stage.container(id, &["/bin/sleep", "1000"]);
    put_in_pod(&mut container);
    within(stage.shims.create(&stage.scope, &container, &stage.request(id))).await.expect("create");
    within(stage.task(id).start("")).await.expect("start");
}

#[tokio::test]
async fn a_pod_shares_a_shim_and_its_death() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        for id in ["p1", "p2", "p3"] {
            run_in_pod(&stage, id).await;
        }
        assert_eq!(stage.socket("p1"), stage.socket("p2"));
        let shim = stage.shim_pid("p1").await;
        assert_eq!(stage.shim_pid("p3").await, shim);
        let begun = Instant::now();
        assert_eq!(stage.end("p2").await.status, 137);
        assert!(begun.elapsed() < Duration::from_secs(2), "nobody waits for a shim that stays");
        assert_eq!(within(stage.task("p1").state("")).await.expect("state").status, Status::Running);
        stage.rest();
        let socket = stage.socket("p1");
        kill_process(shim, Signal::KILL).expect("kill");
        let mut told: Vec<Told> = Vec::new();
        for _ in 0..4 {
            told.push(stage.next().await);
        }
        for id in ["p1", "p3"] {
            let of: Vec<_> =
                told.iter().filter(|t| t.of == id).map(|t| (t.topic.as_str(), t.status)).collect();
            assert_eq!(of, [("/tasks/exit", 137), ("/tasks/delete", 137)]);
        }
        assert!(stage.shims.list(&stage.scope.namespace).is_empty());
        let _ = std::fs::remove_file(socket);
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_task_joins_the_shim_of_its_sandbox() {
    for peer in peers() {
        let mut stage = Stage::new(&peer).await;
        stage.run("box").await;
        let text = std::fs::read_to_string(stage.bundle("box").join("bootstrap.json")).expect("bootstrap");
        let endpoint: serde_json::Value = serde_json::from_str(&text).expect("json");
        let api_address = format!("ttrpc+{}", endpoint["address"].as_str().expect("address"));
        let api_version = u32::try_from(endpoint["version"].as_u64().expect("version")).expect("small");

        let mut container = stage.container("guest", &["/bin/sleep", "1000"]);
        container.sandbox = "box".to_owned();
        let request = Create { api_address, api_version, ..stage.request("guest") };
        within(stage.shims.create(&stage.scope, &container, &request)).await.expect("create");
        within(stage.task("guest").start("")).await.expect("start");
        assert_eq!(stage.shim_pid("guest").await, stage.shim_pid("box").await);
        assert_eq!(std::fs::read_to_string(stage.bundle("guest").join("sandbox")).expect("file"), "box");
        assert!(!stage.bundle("guest").join("shim-binary-path").exists());

        stage.leave().await;
        assert_eq!(stage.come_back().await, Reloaded { kept: 2, removed: 0, unclear: 0 });
        let guest = stage.task("guest");
        assert_eq!(within(guest.state("")).await.expect("state").status, Status::Running);
        within(guest.kill(kill(9))).await.expect("kill");
        within(guest.wait("")).await.expect("wait");
        within(guest.delete()).await.expect("delete");
        assert!(!stage.bundle("guest").exists());
        assert_eq!(within(stage.task("box").state("")).await.expect("state").status, Status::Running);
        stage.end("box").await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn a_sandbox_that_is_not_there() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        for sandbox in ["nobody", "../../escape"] {
            let mut container = stage.container("alone", &["/bin/sleep", "1000"]);
            container.sandbox = sandbox.to_owned();
            let request = stage.request("alone");
            within(stage.shims.create(&stage.scope, &container, &request))
                .await
                .expect("it gets a shim of its own");
            assert!(stage.bundle("alone").join("shim-binary-path").exists());
            within(stage.task("alone").start("")).await.expect("start");
            stage.end("alone").await;
        }
        stage.leave().await;
    }
}
