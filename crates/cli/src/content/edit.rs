//! `gantry content edit`

use super::{copy, digest, store};
use crate::{Context, Output, context, output};
use anyhow::{Context as _, Result, bail, ensure};
use model::content::{Commit, Ingest};
use oci::Digest;
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

/// Edit a blob and print the digest of what it became. Nothing holds the new blob: name or label it soon.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// Not supported: check the result against a format.
    #[arg(long)]
    validate: Option<String>,
    /// The editor, as a shell command.
    #[arg(long, env = "EDITOR", default_value = "", hide_default_value = true)]
    editor: String,
    /// The blob's digest.
    digest: String,
}

impl Edit {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        ensure!(self.validate.is_none(), "validating the edit result is not supported: leave --validate out");
        ensure!(!self.editor.is_empty(), "an editor is required: set --editor or EDITOR");
        let before = digest(&self.digest)?;
        let draft = std::env::temp_dir().join(format!("gantry-edit-{}", context::unique()));
        let making = || format!("make {}", draft.display());
        let file =
            File::options().write(true).create_new(true).mode(0o600).open(&draft).with_context(making)?;
        let edited = self.edit(cx, &before, (&draft, file)).await;
        fs::remove_file(&draft).with_context(|| format!("remove {}", draft.display()))?;
        edited
    }

    async fn edit(&self, cx: &Context, before: &Digest, (draft, mut file): (&Path, File)) -> Result<u8> {
        copy(cx, before, &mut file).await?;
        drop(file);
        let code = self.open(draft)?;
        if code != 0 {
            eprintln!("gantry: the editor {:?} ended with {code}; nothing was changed", self.editor);
            return Ok(code);
        }
        let after = keep(cx, draft).await.with_context(|| format!("keep the edited {before}"))?;
        match cx.output {
            Output::Table => output::line(&after)?,
            Output::Json => output::json(&json!({"digest": after.to_string()}))?,
        }
        Ok(0)
    }

    /// Runs the editor; the value is its exit code.
    fn open(&self, draft: &Path) -> Result<u8> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{} \"$@\"", self.editor)).arg("sh").arg(draft);
        let ended = command.status().with_context(|| format!("run the editor {:?}", self.editor))?;
        match ended.code().map(u8::try_from) {
            Some(Ok(code)) => Ok(code),
            _ => bail!("the editor {:?} was killed ({ended}); nothing was changed", self.editor),
        }
    }
}

/// Makes a blob of a file. Errors: `AlreadyExists` when there is such a blob.
async fn keep(cx: &Context, draft: &Path) -> Result<Digest> {
    let mut file = tokio::fs::File::open(draft).await.with_context(|| format!("open {}", draft.display()))?;
    let reference = format!("edit-{}", context::unique());
    let mut writer = cx.services.content.writer(&cx.scope, Ingest { reference, ..Ingest::default() }).await?;
    store::fill(&mut *writer, &mut file).await?;
    Ok(writer.commit(Commit::default()).await?)
}
