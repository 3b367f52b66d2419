//! A snapshotter and the differ.

use super::{Stage, refused};
use anyhow::Result;
use bytes::Bytes;
use model::content::{Commit, Content, Ingest};
use model::diff::{Apply, Compare, Diff};
use model::images::Target;
use model::snapshots::{self, Kind, Prepare, Snapshotter};
use model::{Labels, Mask};
use oci::Digest;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

#[tokio::test]
async fn a_layer_becomes_a_snapshot_and_a_layer_again() -> Result<()> {
    let stage = Stage::open().await?;
    let scope = &stage.leased().await?;
    let content: &dyn Content = &stage.client;
    let diff: &dyn Diff = &stage.client;
    let overlay = stage.client.snapshotter("overlayfs");

    let layer = Bytes::from(e2e::tar::Tar::new().file("hello", 0o644, "world").finish());
    let mut writer = content.writer(scope, Ingest { reference: "l".into(), ..Ingest::default() }).await?;
    writer.write(layer.clone()).await?;
    let digest = writer.commit(Commit::default()).await?;
    let target = Target {
        media_type: TAR.into(),
        digest: digest.to_string(),
        size: layer.len() as i64,
        ..Target::default()
    };

    let prepare = |key: &str, parent: &str| Prepare {
        key: key.into(),
        parent: parent.into(),
        labels: Labels::from([("a".into(), "b".into())]),
    };
    let mounts = overlay.prepare(scope, prepare("active", "")).await?;
    assert_eq!(overlay.mounts(scope, "active").await?, mounts);
    let applied = diff.apply(scope, Apply { diff: target, mounts, ..Apply::default() }).await?;
    assert_eq!(applied.digest, Digest::of(&layer).to_string());
    assert!(overlay.usage(scope, "active").await?.size > 0);
    let commit =
        snapshots::Commit { name: "base".into(), key: "active".into(), ..snapshots::Commit::default() };
    overlay.commit(scope, commit).await?;
    assert_eq!(overlay.stat(scope, "base").await?.kind, Kind::Committed);
    assert!(refused(overlay.stat(scope, "active").await)?.is_not_found());

    let lower = overlay.view(scope, prepare("view", "base")).await?;
    let upper = overlay.prepare(scope, prepare("upper", "base")).await?;
    assert!(refused(overlay.remove(scope, "base").await)?.kind() == model::Kind::FailedPrecondition);
    let compare = Compare { lower, upper, media_type: TAR.into(), ..Compare::default() };
    let difference = diff.compare(scope, compare).await?;
    assert_eq!(difference.media_type, TAR);
    assert!(content.info(scope, &difference.parse_digest()?).await?.size >= 1024);

    let mut info = overlay.stat(scope, "upper").await?;
    assert_eq!((info.kind, info.parent.as_str()), (Kind::Active, "base"));
    info.labels = Labels::from([("c".into(), "d".into())]);
    assert_eq!(overlay.update(scope, info, Mask(vec!["labels.c".into()])).await?.labels.len(), 2);
    let names: Vec<_> = overlay.list(scope, &[]).await?.into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["base", "upper", "view"]);
    for key in ["upper", "view", "base"] {
        overlay.remove(scope, key).await?;
    }
    // A snapshotter need not know this one.
    if let Err(e) = overlay.cleanup(scope).await {
        assert_eq!(e.kind(), model::Kind::NotImplemented, "{e}");
    }
    let error = refused(stage.client.snapshotter("none").stat(scope, "x").await)?;
    assert!(error.text().contains("snapshotter not loaded: none"), "{error}");
    stage.finish().await
}
