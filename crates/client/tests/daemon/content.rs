//! Blobs and the write stream.

use super::{Stage, refused};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use model::content::{Commit, Content, Ingest, Writer};
use model::{Kind, Labels, Mask, Scope};
use oci::Digest;

fn ingest(reference: &str) -> Ingest {
    Ingest { reference: reference.into(), ..Ingest::default() }
}

/// Opens an ingest. A daemon learns only after a while that the writer before was dropped.
async fn reopen(client: &dyn Content, scope: &Scope, reference: &str) -> Result<Box<dyn Writer>> {
    let late = std::time::Instant::now() + e2e::program::DEADLINE;
    loop {
        match client.writer(scope, ingest(reference)).await {
            Err(e) if e.kind() == Kind::Unavailable && std::time::Instant::now() < late => {
                tokio::task::yield_now().await;
            }
            other => return Ok(other?),
        }
    }
}

#[tokio::test]
async fn a_blob_and_its_life() -> Result<()> {
    let stage = Stage::open().await?;
    let scope = &stage.leased().await?;
    let client: &dyn Content = &stage.client;
    // More than one message in, more than one message out.
    let data: Bytes = (0..20_000_000_u32).map(|n| (n / 7) as u8).collect::<Vec<_>>().into();
    let mut writer = client.writer(scope, ingest("a")).await?;
    writer.write(data.slice(..10_000_000)).await?;
    let status = writer.status().await?;
    assert_eq!((status.reference.as_str(), status.offset), ("a", 10_000_000));
    assert_eq!(client.status(scope, "a").await?.offset, 10_000_000);
    writer.write(data.slice(10_000_000..)).await?;
    let expected = Digest::of(&data);
    assert_eq!(writer.digest().await?, expected);
    let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
    let commit = Commit { size: data.len() as i64, expected: expected.to_string(), labels };
    assert_eq!(writer.commit(commit).await?, expected);
    assert!(client.statuses(scope, &[]).await?.is_empty());

    let reader = client.reader(scope, &expected).await?;
    assert_eq!(reader.size(), data.len() as u64);
    assert_eq!(reader.read_at(0, data.len() + 5).await?, data);
    assert_eq!(reader.read_at(19_999_990, 100).await?, data.slice(19_999_990..));
    assert_eq!(reader.read_at(3, 4).await?, data.slice(3..7));
    assert!(reader.read_at(data.len() as u64, 1).await?.is_empty());

    let mut info = client.info(scope, &expected).await?;
    info.labels = Labels::from([("c".to_owned(), "d".to_owned())]);
    let info = client.update(scope, info, Mask(vec!["labels.c".into()])).await?;
    assert_eq!(info.labels.len(), 2);
    assert_eq!(client.list(scope, &["labels.c==d".into()]).await?, [info]);
    let again = Ingest { expected: expected.to_string(), ..ingest("b") };
    let error = client.writer(scope, again).await.err().context("the blob is there")?;
    assert!(error.is_already_exists(), "{error}");
    client.delete(scope, &expected).await?;
    let error = client.reader(scope, &expected).await.err().context("the blob is gone")?;
    assert!(error.is_not_found() && error.text().contains(expected.as_str()), "{error}");
    stage.finish().await
}

#[tokio::test]
async fn an_ingest_is_resumed_truncated_refused_and_dropped() -> Result<()> {
    let stage = Stage::open().await?;
    let scope = &stage.leased().await?;
    let client: &dyn Content = &stage.client;
    let mut writer = client.writer(scope, ingest("r")).await?;
    writer.write("abc".into()).await?;
    let held = client.writer(scope, ingest("r")).await.err().context("somebody writes")?;
    assert_eq!(held.kind(), Kind::Unavailable);
    drop(writer);

    let mut writer = reopen(client, scope, "r").await?;
    assert_eq!(writer.status().await?.offset, 3);
    writer.write("def".into()).await?;
    assert_eq!(writer.digest().await?, Digest::of(b"abcdef"));
    writer.truncate().await?;
    writer.write("xyz".into()).await?;
    assert_eq!(writer.digest().await?, Digest::of(b"xyz"));
    let wrong = Commit { expected: Digest::of(b"other").to_string(), ..Commit::default() };
    assert_eq!(refused(writer.commit(wrong).await)?.kind(), Kind::FailedPrecondition);
    assert_eq!(refused(writer.write("more".into()).await)?.kind(), Kind::Unavailable);
    drop(writer);

    let mut writer = reopen(client, scope, "r").await?;
    assert_eq!(writer.status().await?.offset, 3);
    drop(writer);
    // While a daemon closes the writer it may still be writing what it knows of the ingest.
    let late = std::time::Instant::now() + e2e::program::DEADLINE;
    while let Err(error) = client.abort(scope, "r").await
        && !error.is_not_found()
    {
        assert!(std::time::Instant::now() < late, "the ingest cannot be dropped: {error}");
        tokio::task::yield_now().await;
    }
    assert!(refused(client.status(scope, "r").await)?.is_not_found());
    stage.finish().await
}
