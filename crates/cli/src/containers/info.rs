//! `gantry containers info`

use crate::{Context, output};
use anyhow::Result;
use model::Any;
use model::containers::Container;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Show a container's record.
#[derive(Debug, clap::Args)]
pub struct Info {
    /// Its id.
    container: String,
    /// Only the OCI spec.
    #[arg(long)]
    spec: bool,
}

/// A record with the names and the order that `ctr` prints.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    #[serde(rename = "ID")]
    id: String,
    labels: BTreeMap<String, String>,
    image: String,
    runtime: Runtime,
    snapshot_key: String,
    snapshotter: String,
    created_at: String,
    updated_at: String,
    extensions: BTreeMap<String, Value>,
    #[serde(rename = "SandboxID")]
    sandbox: String,
    spec: Document,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Runtime {
    name: String,
    options: Option<Value>,
}

/// A spec in the order of the specification, or whatever else is there.
#[derive(Serialize)]
#[serde(untagged)]
enum Document {
    Spec(Box<oci::runtime::Spec>),
    Other(Option<Value>),
}

impl Info {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let container = cx.services.containers.get(&cx.scope, &self.container).await?;
        let shown = Shown::from(container);
        match self.spec {
            true => output::json(&shown.spec)?,
            false => output::json(&shown)?,
        }
        Ok(0)
    }
}

impl From<Container> for Shown {
    fn from(c: Container) -> Self {
        let options = c.runtime.options.as_ref().map(client::words::raw);
        let extensions = c.extensions.iter().map(|(name, any)| (name.clone(), client::words::raw(any)));
        Self {
            id: c.id,
            labels: c.labels,
            image: c.image,
            runtime: Runtime { name: c.runtime.name, options },
            snapshot_key: c.snapshot_key,
            snapshotter: c.snapshotter,
            created_at: c.created_at.to_rfc3339(),
            updated_at: c.updated_at.to_rfc3339(),
            extensions: extensions.collect(),
            sandbox: c.sandbox,
            spec: document(c.spec.as_ref()),
        }
    }
}

fn document(spec: Option<&Any>) -> Document {
    match spec.and_then(|any| serde_json::from_slice(&any.value).ok()) {
        Some(spec) => Document::Spec(spec),
        None => Document::Other(spec.map(client::words::json)),
    }
}
