//! Writes images as an archive that is an OCI layout and Docker's form in one. The same images give the same bytes.
//!
//! ```text
//! blobs/ blobs/<algorithm>/ blobs/<algorithm>/<hex>…  index.json  manifest.json  oci-layout
//! ```
//!
//! Every blob is verified while it is copied. Not here: manifests that refer to an image.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};

use oci::descriptor::ANNOTATION_IMAGE_NAME;
use oci::index::{INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, LayoutHeader};
use oci::{
    Descriptor, Digest, Digester, Index, Manifest, Matcher, Reference, manifest, media_type, reference,
};

use crate::error::Error;
use crate::layout::{DOCKER_FILE, DockerImage, LONGEST_DOCUMENT, blob_path, name_annotations};
use crate::tar::{Entry, Kind, Writer};

/// How many documents the index of one image may hold.
const MAX_DOCUMENTS: usize = 2000;

/// Where the blobs of the images are.
pub trait Source {
    /// The source's own error.
    type Error: From<Error>;

    /// Opens a blob; `None` if it is not there.
    fn open(&mut self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, Self::Error>;
    /// Notes about an image's manifest or index for `index.json`: where it came from.
    fn annotations(&mut self, _target: &Descriptor) -> Result<BTreeMap<String, String>, Self::Error> {
        Ok(BTreeMap::new())
    }
}

/// An image to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its full name; empty for none.
    pub name: String,
    /// Its manifest or index.
    pub target: Descriptor,
}

/// Which manifests of an index go into the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// Those that match.
    Matching(Matcher),
    /// All; Docker's list names the one that this matcher likes best.
    All(Matcher),
}

impl Platforms {
    fn matcher(&self) -> &Matcher {
        match self {
            Platforms::Matching(matcher) | Platforms::All(matcher) => matcher,
        }
    }
}

/// What to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The images, one entry a name.
    pub images: Vec<Image>,
    /// Which manifests of an index.
    pub platforms: Platforms,
    /// Leave out Docker's `manifest.json`.
    pub skip_docker_manifest: bool,
    /// Leave out layers that may not be distributed.
    pub skip_nondistributable: bool,
}

/// Writes the archive to `out`.
pub fn export<S: Source>(export: &Export, source: &mut S, out: &mut dyn Write) -> Result<(), S::Error> {
    let mut plan = Plan { export, source, blobs: BTreeMap::new(), seen: BTreeSet::new(), docker: Vec::new() };
    let mut index = Index { schema_version: 2, media_type: media_type::OCI_INDEX.into(), ..Index::default() };
    for image in &export.images {
        let mut target = image.target.clone();
        target.annotations.extend(plan.source.annotations(&target)?);
        if !image.name.is_empty() {
            target.annotations.extend(name_annotations(&image.name));
        }
        plan.add_image(&target)?;
        index.manifests.push(target);
    }
    plan.write(&index, out)
}

/// What goes into the archive, found by reading the documents.
struct Plan<'a, S> {
    export: &'a Export,
    source: &'a mut S,
    /// By path: the archive is in the order of names.
    blobs: BTreeMap<String, Descriptor>,
    /// The documents below the images that were read.
    seen: BTreeSet<Digest>,
    docker: Vec<(Digest, DockerImage)>,
}

impl<S: Source> Plan<'_, S> {
    fn add_image(&mut self, target: &Descriptor) -> Result<(), S::Error> {
        let best = if media_type::is_index(&target.media_type) {
            self.add_index(target)?
        } else if media_type::is_manifest(&target.media_type) {
            self.add_manifest(target)?;
            Some(target.clone())
        } else {
            return Err(Error::form(format!("only manifests may be exported: {}", target.media_type)).into());
        };
        let name = target.annotations.get(ANNOTATION_IMAGE_NAME);
        match (best, name) {
            (Some(best), Some(name)) if !self.export.skip_docker_manifest => self.add_to_docker(&best, name),
            _ => Ok(()),
        }
    }

    /// Adds an index and those of its manifests that are wanted, at every depth; returns its own one that is liked best.
    fn add_index(&mut self, target: &Descriptor) -> Result<Option<Descriptor>, S::Error> {
        let mut waiting = VecDeque::new();
        let best = self.open_index(target, &mut waiting)?;
        let mut count = 0;
        while let Some(next) = waiting.pop_front() {
            if !self.seen.insert(next.digest.clone()) {
                continue;
            }
            count += 1;
            if count > MAX_DOCUMENTS {
                let text = format!("index {}: more than {MAX_DOCUMENTS} documents", target.digest);
                return Err(Error::form(text).into());
            }
            if media_type::is_index(&next.media_type) {
                self.open_index(&next, &mut waiting)?;
            } else {
                self.add_manifest(&next)?;
            }
        }
        Ok(best)
    }

    /// Adds one index; its entries that are wanted wait.
    fn open_index(
        &mut self,
        target: &Descriptor,
        waiting: &mut VecDeque<Descriptor>,
    ) -> Result<Option<Descriptor>, S::Error> {
        let index =
            Index::parse(&self.read(target)?, &target.media_type).map_err(|e| Error::form(e.to_string()))?;
        self.add(target);
        let matcher = self.export.platforms.matcher();
        let all = matches!(self.export.platforms, Platforms::All(_));
        let best = matcher.select(&index.manifests).first().map(|d| (*d).clone());
        if best.is_none() && !all {
            return Err(Error::Missing("no manifest found for platform".into()).into());
        }
        let wanted = |child: &Descriptor| child.platform.as_ref().is_none_or(|p| matcher.matches(p));
        waiting.extend(index.manifests.into_iter().filter(|child| all || wanted(child)));
        Ok(best.filter(|d| media_type::is_manifest(&d.media_type)))
    }

    fn add_manifest(&mut self, target: &Descriptor) -> Result<(), S::Error> {
        let children = if media_type::is_manifest(&target.media_type) {
            let bytes = self.read(target)?;
            manifest::children(&target.media_type, &bytes).map_err(|e| Error::form(e.to_string()))?
        } else {
            Vec::new()
        };
        self.add(target);
        for child in children {
            let skip =
                self.export.skip_nondistributable && media_type::is_nondistributable(&child.media_type);
            if !skip {
                self.add(&child);
            }
        }
        Ok(())
    }

    fn add(&mut self, blob: &Descriptor) {
        self.blobs.insert(blob_path(&blob.digest), blob.clone());
    }

    /// Names an image in Docker's list. Of two names for one manifest the later one stays, as readers know it.
    fn add_to_docker(&mut self, target: &Descriptor, name: &str) -> Result<(), S::Error> {
        let bytes = self.read(target)?;
        let manifest = Manifest::parse(&bytes, &target.media_type).map_err(|e| Error::form(e.to_string()))?;
        let image = DockerImage {
            config: blob_path(&manifest.config.digest),
            repo_tags: Some(vec![familiar(name)]),
            layers: manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect(),
        };
        match self.docker.iter_mut().find(|(digest, _)| *digest == target.digest) {
            Some((_, known)) => *known = image,
            None => self.docker.push((target.digest.clone(), image)),
        }
        Ok(())
    }

    /// A document, whole. What only says that it is one may have any size.
    fn read(&mut self, blob: &Descriptor) -> Result<Vec<u8>, S::Error> {
        let mut bytes = Vec::new();
        let Some(data) = self.source.open(&blob.digest)? else { return Err(missing(blob).into()) };
        data.take(LONGEST_DOCUMENT + 1).read_to_end(&mut bytes).map_err(Error::Stream)?;
        if bytes.len() as u64 > LONGEST_DOCUMENT {
            return Err(Error::form(format!("blob {} is too large for a document", blob.digest)).into());
        }
        if blob.digest.algorithm().digest(&bytes) != blob.digest {
            return Err(damaged(blob).into());
        }
        Ok(bytes)
    }

    fn write(self, index: &Index, out: &mut dyn Write) -> Result<(), S::Error> {
        let mut tar = Writer::new(out);
        let mut directory = String::new();
        if !self.blobs.is_empty() {
            put_directory(&mut tar, "blobs/")?;
        }
        for (path, blob) in &self.blobs {
            let own = format!("blobs/{}/", blob.digest.algorithm());
            if directory != own {
                put_directory(&mut tar, &own)?;
                directory = own;
            }
            copy(self.source, &mut tar, path, blob)?;
        }
        put_json(&mut tar, INDEX_FILE, 0o644, index)?;
        if !self.export.skip_docker_manifest {
            let list: Vec<&DockerImage> = self.docker.iter().map(|(_, image)| image).collect();
            put_json(&mut tar, DOCKER_FILE, 0o644, &list)?;
        }
        let header = LayoutHeader { image_layout_version: LAYOUT_VERSION.into() };
        put_json(&mut tar, LAYOUT_FILE, 0o444, &header)?;
        tar.finish()?;
        Ok(())
    }
}

/// Copies one blob, verifying it.
fn copy<S: Source, W: Write>(
    source: &mut S,
    tar: &mut Writer<W>,
    path: &str,
    blob: &Descriptor,
) -> Result<(), S::Error> {
    let Some(data) = source.open(&blob.digest)? else { return Err(missing(blob).into()) };
    let size = u64::try_from(blob.size).map_err(|_| damaged(blob))?;
    let entry = Entry { size, ..Entry::new(Kind::Regular, path, 0o444) };
    let mut verified = Verified { inner: data, digester: Digester::new(blob.digest.algorithm()) };
    tar.append(&entry, &mut verified)?;
    let rest = io::copy(&mut verified, &mut io::sink()).map_err(Error::Stream)?;
    if rest > 0 || verified.digester.finish() != blob.digest {
        return Err(damaged(blob).into());
    }
    Ok(())
}

struct Verified<'a> {
    inner: Box<dyn Read + 'a>,
    digester: Digester,
}

impl Read for Verified<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(out)?;
        self.digester.update(&out[..len]);
        Ok(len)
    }
}

fn put_directory<W: Write>(tar: &mut Writer<W>, name: &str) -> Result<(), Error> {
    tar.append_bytes(&Entry::new(Kind::Directory, name, 0o755), b"")
}

fn put_json<W: Write, T: serde::Serialize>(
    tar: &mut Writer<W>,
    name: &str,
    mode: u32,
    document: &T,
) -> Result<(), Error> {
    let bytes = serde_json::to_vec(document).map_err(|e| Error::form(e.to_string()))?;
    let entry = Entry { size: bytes.len() as u64, ..Entry::new(Kind::Regular, name, mode) };
    tar.append_bytes(&entry, &bytes)
}

/// The name as Docker shows it; a name that is none of Docker's stays.
fn familiar(name: &str) -> String {
    let full = reference::normalize_docker(name).or_else(|_| Reference::parse(name));
    full.map_or_else(|_| name.to_owned(), |full| reference::familiar_docker(&full))
}

fn missing(blob: &Descriptor) -> Error {
    Error::Missing(format!("failed to get reader: content digest {}", blob.digest))
}

fn damaged(blob: &Descriptor) -> Error {
    Error::form(format!("blob {} is damaged", blob.digest))
}
