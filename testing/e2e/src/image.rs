//! Images as OCI archives, made in memory; also ones that lie, on purpose.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tar::Tar;

/// An OCI layer, not compressed.
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// An OCI layer, gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// One layer: its blob as shipped and the digest of its content.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Media type of the blob.
    pub media_type: &'static str,
    /// The blob.
    pub bytes: Vec<u8>,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
}

/// One blob of an archive under the name it claims.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The digest it claims to have, `sha256:…`.
    pub digest: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// An OCI archive about to be written; its parts may be bent before.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Every blob: layers first, then config, then manifest.
    pub blobs: Vec<Blob>,
    /// The top index.
    pub index: Value,
}

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its full reference.
    pub name: String,
    /// `os/architecture`.
    pub platform: (&'static str, &'static str),
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// The `config` object of the image configuration.
    pub config: Value,
}

impl Layer {
    /// An uncompressed layer.
    pub fn plain(tar: Tar) -> Self {
        let bytes = tar.finish();
        Self { media_type: LAYER_TAR, diff_id: digest_of(&bytes), bytes }
    }

    /// A gzip layer.
    pub fn gzip(tar: Tar) -> Result<Self> {
        let tar = tar.finish();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar).context("gzip a layer")?;
        let bytes = encoder.finish().context("finish a gzip layer")?;
        Ok(Self { media_type: LAYER_GZIP, bytes, diff_id: digest_of(&tar) })
    }
}

impl Recipe {
    /// Puts the archive together.
    pub fn bake(self) -> Archive {
        let (os, architecture) = self.platform;
        let diff_ids: Vec<&str> = self.layers.iter().map(|l| l.diff_id.as_str()).collect();
        let config = json!({
            "created": "2024-01-02T03:04:05Z",
            "os": os,
            "architecture": architecture,
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": [],
        });
        let mut blobs = Vec::new();
        let mut layers = Vec::new();
        for layer in self.layers {
            layers.push(push(&mut blobs, layer.media_type, layer.bytes));
        }
        let config = push(&mut blobs, CONFIG, config.to_string().into_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut descriptor = push(&mut blobs, MANIFEST, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({ "os": os, "architecture": architecture });
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        descriptor["annotations"] =
            json!({ "io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor] });
        Archive { blobs, index }
    }
}

impl Archive {
    /// The blob under a digest's place, counted from the first layer.
    pub fn layer(&mut self, number: usize) -> &mut Blob {
        &mut self.blobs[number]
    }

    /// The descriptor of the first manifest.
    pub fn manifest(&self) -> &Value {
        &self.index["manifests"][0]
    }

    /// Puts another archive's images beside this one's.
    pub fn add(&mut self, other: Self) {
        for blob in other.blobs {
            if !self.blobs.iter().any(|b| b.digest == blob.digest) {
                self.blobs.push(blob);
            }
        }
        if let (Some(all), Some(more)) =
            (self.index["manifests"].as_array_mut(), other.index["manifests"].as_array())
        {
            all.extend(more.iter().cloned());
        }
    }

    /// The archive as a tar stream.
    pub fn bytes(&self) -> Vec<u8> {
        let mut tar = Tar::new()
            .file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#)
            .dir("blobs")
            .dir("blobs/sha256")
            .file("index.json", 0o644, self.index.to_string());
        for blob in &self.blobs {
            tar = tar.file(&format!("blobs/{}", blob.digest.replace(':', "/")), 0o644, &blob.bytes);
        }
        tar.finish()
    }

    /// Writes the archive to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.bytes()).with_context(|| format!("write image archive {}", path.display()))
    }
}

/// `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

fn push(blobs: &mut Vec<Blob>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = digest_of(&bytes);
    let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
    if !blobs.iter().any(|b: &Blob| b.digest == digest) {
        blobs.push(Blob { digest, bytes });
    }
    descriptor
}
