//! `gantry content ingest`

use super::{digest, store};
use crate::{Context, Output, output};
use anyhow::{Context as _, Result};
use model::content::{self, Commit};
use oci::Digest;
use serde_json::json;

/// Make a blob of standard input. What ended early goes on under the same ref, from the same bytes.
#[derive(Debug, clap::Args)]
pub struct Ingest {
    /// The size it must have.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(i64).range(0..))]
    expected_size: i64,
    /// The digest it must have.
    #[arg(long)]
    expected_digest: Option<String>,
    /// The ref: a name for the ingest while it lasts.
    r#ref: String,
}

impl Ingest {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let expected = self.expected_digest.as_deref().map(digest).transpose()?;
        let done = self.ingest(cx, expected).await;
        let digest = done.with_context(|| format!("ingest {:?}", self.r#ref))?;
        if cx.output == Output::Json {
            output::json(&json!({"ref": self.r#ref, "digest": digest.to_string()}))?;
        }
        Ok(0)
    }

    /// The blob's digest. That it was there already is no error.
    async fn ingest(&self, cx: &Context, wanted: Option<Digest>) -> Result<Digest> {
        let (reference, total) = (self.r#ref.clone(), self.expected_size);
        let expected = wanted.as_ref().map(Digest::to_string).unwrap_or_default();
        let ingest = content::Ingest { reference, total, expected: expected.clone() };
        let mut writer = match (cx.services.content.writer(&cx.scope, ingest).await, wanted) {
            (Err(e), Some(wanted)) if e.is_already_exists() => return Ok(wanted),
            (opened, _) => opened?,
        };
        store::fill(&mut *writer, &mut tokio::io::stdin()).await?;
        let digest = writer.digest().await?;
        match writer.commit(Commit { size: total, expected, ..Commit::default() }).await {
            Err(e) if e.is_already_exists() => Ok(digest),
            other => Ok(other?),
        }
    }
}
