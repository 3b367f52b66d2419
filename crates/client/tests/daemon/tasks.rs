//! A task and everything that can be asked of it.

use super::{Stage, refused};
use anyhow::{Context as _, Result};
use e2e::samples::BUSYBOX;
use model::snapshots::Snapshotter;
use model::tasks::{Create, Exec, Io, Kill, Resize, Status, Tasks, Update};
use model::{Any, containers::Containers};

/// A container of the busybox image, made by the command line of the reference, and its root file system.
async fn container(stage: &Stage) -> Result<Create> {
    stage.daemon.import_busybox()?;
    stage.daemon.ok(&["containers", "create", BUSYBOX, "one", "sleep", "1000"])?;
    let rootfs = stage.client.snapshotter("overlayfs").mounts(&stage.scope, "one").await?;
    Ok(Create { container_id: "one".into(), rootfs, ..Create::default() })
}

#[tokio::test]
async fn a_task_and_its_life() -> Result<()> {
    let stage = Stage::open().await?;
    let create = container(&stage).await?;
    let (client, scope): (&dyn Tasks, _) = (&stage.client, &stage.scope);
    let pid = client.create(scope, create).await?;
    assert_eq!(client.get(scope, "one", "").await?.status, Status::Created);
    assert_eq!(client.start(scope, "one", "").await?, pid);
    let listed = client.list(scope).await?;
    assert_eq!((listed[0].container_id.as_str(), listed[0].process.status), ("one", Status::Running));

    let process = Containers::get(&stage.client, scope, "one").await?.spec.context("spec")?;
    let mut process: serde_json::Value = serde_json::from_slice(&process.value)?;
    let mut process = process["process"].take();
    process["args"] = serde_json::json!(["sh", "-c", "exit 4"]);
    let spec = Any { type_url: model::any::PROCESS_URL.into(), value: process.to_string().into() };
    client.exec(scope, "one", Exec { exec_id: "e".into(), io: Io::default(), spec: Some(spec) }).await?;
    assert!(client.start(scope, "one", "e").await? > 0);
    assert_eq!(client.wait(scope, "one", "e").await?.status, 4);
    let exit = client.delete_process(scope, "one", "e").await?;
    assert_eq!((exit.id.as_str(), exit.status), ("e", 4));

    assert!(client.pids(scope, "one").await?.iter().any(|p| p.pid == pid));
    let resources = r#"{"memory":{"limit":67108864}}"#;
    let resources = Any { type_url: model::any::RESOURCES_URL.into(), value: resources.into() };
    client.update(scope, "one", Update { resources: Some(resources), ..Update::default() }).await?;
    let metrics = client.metrics(scope, &["id==one".into()]).await?;
    let rows = client::words::metrics(metrics[0].data.as_ref().context("data")?);
    assert!(rows.iter().any(|(name, _)| *name == "pids.current"), "{rows:?}");
    assert!(rows.iter().any(|(_, value)| value == "67108864"), "{rows:?}");
    client.pause(scope, "one").await?;
    assert_eq!(client.get(scope, "one", "").await?.status, Status::Paused);
    client.resume(scope, "one").await?;
    client.close_stdin(scope, "one", "").await?;
    assert!(client.resize(scope, "one", Resize { width: 80, height: 24, ..Resize::default() }).await.is_ok());

    let error = refused(client.delete(scope, "one").await)?;
    assert!(error.text().contains("running"), "{error}");
    client.kill(scope, "one", Kill { signal: 9, all: true, ..Kill::default() }).await?;
    assert_eq!(client.wait(scope, "one", "").await?.status, 137);
    assert_eq!(client.get(scope, "one", "").await?.exit_status, 137);
    let exit = client.delete(scope, "one").await?;
    assert_eq!((exit.pid, exit.status), (pid, 137));
    assert!(refused(client.get(scope, "one", "").await)?.is_not_found());
    Containers::delete(&stage.client, scope, "one").await?;
    stage.finish().await
}
