//! The registry client against Debian's registry, and against servers that do what networks and liars do.

mod broken;
mod hosts;
mod letters;
mod real;
mod secrets;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use model::content::Reader;
use model::registries::{
    Access, Body, Credential, Credentials, Push, Question, Registries, Repository, Sent,
};
use model::transfer::Registry;
use model::{Error, Labels};
use oci::{Descriptor, Digest, media_type};
use std::sync::{Arc, Mutex};

/// How a repository is opened in a test.
#[derive(Default)]
struct Open {
    reference: String,
    host_dir: String,
    default_scheme: String,
    headers: Labels,
    credentials: Option<Arc<Answering>>,
}

impl Open {
    fn of(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), ..Self::default() }
    }

    /// With somebody who answers every question so.
    fn answering(self, credential: Credential) -> (Self, Arc<Answering>) {
        let answering = Arc::new(Answering { credential, asked: Mutex::default() });
        (Self { credentials: Some(answering.clone()), ..self }, answering)
    }

    async fn open(self) -> model::Result<Arc<dyn Repository>> {
        let registries = registry::Registries::new("containerd/2.3.4")?;
        let registry = Registry {
            reference: self.reference,
            host_dir: self.host_dir,
            default_scheme: self.default_scheme,
            headers: self.headers,
            auth_stream: String::new(),
        };
        let credentials = self.credentials.map(|c| c as Arc<dyn Credentials>);
        registries.open(Access { registry, credentials }).await
    }
}

/// Somebody who always gives the same answer.
struct Answering {
    credential: Credential,
    asked: Mutex<Vec<Question>>,
}

impl Answering {
    fn asked(&self) -> Vec<Question> {
        self.asked.lock().expect("no panic holds it").clone()
    }
}

#[async_trait]
impl Credentials for Answering {
    async fn ask(&self, question: Question) -> model::Result<Credential> {
        self.asked.lock().expect("no panic holds it").push(question);
        Ok(self.credential.clone())
    }
}

fn ada() -> Credential {
    Credential::Basic { username: e2e::registry::USERNAME.into(), secret: e2e::registry::PASSWORD.into() }
}

async fn read(body: &mut dyn Body) -> model::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A blob in memory.
struct Memory(Bytes);

#[async_trait]
impl Reader for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read_at(&self, offset: u64, max: usize) -> model::Result<Bytes> {
        let from = (offset as usize).min(self.0.len());
        Ok(self.0.slice(from..(from + max).min(self.0.len())))
    }
}

/// A push of bytes under a media type; `root` is what the reference will stand for.
fn push(descriptor: &Descriptor, bytes: &[u8], root: &Digest) -> Push {
    Push {
        descriptor: descriptor.clone(),
        root: root.clone(),
        reader: Arc::new(Memory(Bytes::copy_from_slice(bytes))),
        labels: Labels::new(),
        sent: Sent::default(),
    }
}

/// A blob's descriptor and its bytes, a few pieces long.
fn blob(seed: u8) -> (Descriptor, Vec<u8>) {
    let bytes: Vec<u8> =
        (0..1_500_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8 ^ seed).collect();
    (Descriptor::of(media_type::OCI_LAYER, &bytes), bytes)
}

/// A manifest of one config and one layer.
fn manifest(config: &Descriptor, layer: &Descriptor) -> (Descriptor, Vec<u8>) {
    let manifest = oci::Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: String::new(),
        config: config.clone(),
        layers: vec![layer.clone()],
        subject: None,
        annotations: Default::default(),
    };
    let json = to_json(&manifest);
    (Descriptor::of(media_type::OCI_MANIFEST, &json), json)
}

fn to_json(manifest: &oci::Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("a manifest is JSON")
}

/// The text of a refusal.
fn refusal<T>(result: model::Result<T>) -> Result<Error> {
    result.err().context("it was not refused")
}

/// A `hosts.toml` for every host, in a directory.
fn hosts_dir(text: &str) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("_default"))?;
    std::fs::write(dir.path().join("_default/hosts.toml"), text)?;
    Ok(dir)
}

fn path(dir: &tempfile::TempDir) -> String {
    dir.path().to_string_lossy().into_owned()
}
