//! Reads an image archive: an OCI layout or Docker's form, packed or not.
//!
//! Blobs go to a [`Sink`] while they stream by; nothing is kept but their digests and the few documents that say what they
//! are. What comes back is an index of the images in the archive; Docker's archives have none, so one is made. Not here:
//! naming images in a store ([`crate::layout::image_name`] says which name an entry has), GC labels.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Cursor, Read};

use oci::index::{INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, LayoutHeader};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, media_type, reference};

use crate::decompress::{Decompressor, MAGIC_LEN, Packing};
use crate::error::Error;
use crate::layout::{DOCKER_FILE, DockerImage, LONGEST_DOCUMENT, name_annotations};
use crate::stream::Ahead;
use crate::tar::{Entry, Kind, Reader};

/// Where the blobs of an archive go.
pub trait Sink {
    /// The sink's own error.
    type Error: From<Error>;

    /// Takes a blob; returns its digest. Only a blob that was read to its end counts.
    fn put_blob(&mut self, blob: Incoming<'_>) -> Result<Digest, Self::Error>;
    /// Takes a document that the archive has not, but needs.
    fn put_document(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Reads a blob that was put before.
    fn read_blob(&mut self, digest: &Digest) -> Result<Vec<u8>, Self::Error>;
    /// A packed layer that is known to hold this plain one, from wherever.
    fn find_packed(&mut self, _diff_id: &Digest) -> Result<Option<Descriptor>, Self::Error> {
        Ok(None)
    }
    /// There is a mistake in the stream and no more of it is wanted. Whoever feeds it is to end it now.
    fn enough(&mut self) {}
    /// Packs a plain layer that was put before; returns the packed one. Asked for only if [`Options::pack_layers`] is set.
    fn pack_layer(&mut self, layer: &Descriptor) -> Result<Descriptor, Self::Error> {
        Ok(layer.clone())
    }
}

/// A blob on its way in.
pub struct Incoming<'a> {
    /// Its path in the archive.
    pub path: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes.
    pub data: &'a mut dyn Read,
}

/// How to import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Pack plain layers of Docker archives.
    pub pack_layers: bool,
}

/// What was in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The index, which the sink has.
    pub descriptor: Descriptor,
    /// The same, read: an entry for each image and name.
    pub index: Index,
}

/// Imports an archive from a stream.
pub fn import<S: Sink>(
    stream: &mut (dyn Read + Send),
    sink: &mut S,
    options: Options,
) -> Result<Imported, S::Error> {
    let plain = Decompressor::detect(stream).map_err(Error::Stream)?;
    let found = std::thread::scope(|scope| {
        let mut reader = Reader::new(Ahead::spawn(scope, plain));
        let mut found = Found::default();
        let taken = found.take_all(&mut reader, sink).and_then(|()| Ok(reader.drain()?));
        if taken.is_err() {
            // The thread that reads ahead may wait for bytes that nobody needs any more.
            sink.enough();
        }
        taken.map(|()| found)
    })?;
    if let Some(layout) = &found.layout {
        return Ok(found.layout_index(layout)?);
    }
    let Some(images) = &found.docker else {
        return Err(Error::form("unrecognized image format").into());
    };
    DockerImport { found: &found, sink, options }.index(images)
}

/// A blob that is in the sink.
#[derive(Debug, Clone)]
struct Stored {
    digest: Digest,
    size: u64,
    packing: Packing,
}

/// What the archive holds.
#[derive(Default)]
struct Found {
    layout: Option<LayoutHeader>,
    index: Vec<u8>,
    docker: Option<Vec<DockerImage>>,
    blobs: HashMap<String, Stored>,
    links: BTreeMap<String, String>,
}

impl Found {
    fn take_all<R: BufRead, S: Sink>(
        &mut self,
        reader: &mut Reader<R>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut entry = Entry::default();
        while reader.next_entry(&mut entry)? {
            let name = clean(&String::from_utf8_lossy(&entry.path));
            match entry.kind {
                Kind::Symlink => {
                    let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
                    let link = String::from_utf8_lossy(&entry.link);
                    self.links.insert(name.clone(), clean(&format!("{dir}/{link}")));
                }
                Kind::Regular => self.take_file(&name, reader, sink)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn take_file<R: BufRead, S: Sink>(
        &mut self,
        name: &str,
        reader: &mut Reader<R>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        match name {
            LAYOUT_FILE => self.layout = Some(parse(name, &document(name, reader)?)?),
            DOCKER_FILE => self.docker = Some(parse(name, &document(name, reader)?)?),
            INDEX_FILE => {
                let bytes = document(name, reader)?;
                self.put(Incoming { path: name, size: bytes.len() as u64, data: &mut &bytes[..] }, sink)?;
                self.index = bytes;
            }
            _ => {
                let mut data = reader.data();
                self.put(Incoming { path: name, size: data.remaining(), data: &mut data }, sink)?;
            }
        }
        Ok(())
    }

    fn put<S: Sink>(&mut self, blob: Incoming<'_>, sink: &mut S) -> Result<(), S::Error> {
        let Incoming { path, size, data } = blob;
        let mut start = Vec::with_capacity(MAGIC_LEN);
        data.take(MAGIC_LEN as u64).read_to_end(&mut start).map_err(Error::Stream)?;
        let packing = Packing::detect(&start);
        let mut whole = Cursor::new(start).chain(data);
        let digest = sink.put_blob(Incoming { path, size, data: &mut whole })?;
        self.blobs.insert(path.to_owned(), Stored { digest, size, packing });
        Ok(())
    }

    fn layout_index(&self, layout: &LayoutHeader) -> Result<Imported, Error> {
        if layout.image_layout_version != LAYOUT_VERSION {
            return Err(Error::form(format!("unsupported OCI version {}", layout.image_layout_version)));
        }
        let stored = self.blobs.get(INDEX_FILE);
        let stored = stored
            .ok_or_else(|| Error::form(format!("missing index.json in OCI layout {LAYOUT_VERSION}")))?;
        let index = Index::parse(&self.index, media_type::OCI_INDEX)
            .map_err(|e| Error::form(format!("untar oci ref {INDEX_FILE:?}: {e}")))?;
        let descriptor = Descriptor::new(media_type::OCI_INDEX, stored.digest.clone(), stored.size as i64);
        Ok(Imported { descriptor, index })
    }

    /// The blob of this path, links followed.
    fn resolve(&self, path: &str) -> Option<&Stored> {
        let mut path = clean(path);
        for _ in 0..64 {
            match self.links.get(&path) {
                Some(target) => path.clone_from(target),
                None => break,
            }
        }
        self.blobs.get(&path)
    }
}

/// The images of a Docker archive as manifests and an index.
struct DockerImport<'a, S> {
    found: &'a Found,
    sink: &'a mut S,
    options: Options,
}

impl<S: Sink> DockerImport<'_, S> {
    fn index(mut self, images: &[DockerImage]) -> Result<Imported, S::Error> {
        let mut index =
            Index { schema_version: 2, media_type: media_type::OCI_INDEX.into(), ..Index::default() };
        for image in images {
            let manifest = self.manifest(image)?;
            let names = image.repo_tags.iter().flatten();
            let mut entries = Vec::new();
            for name in names {
                let full = reference::normalize_docker(name)
                    .map_err(|e| Error::form(format!("normalize image ref {name:?}: {e}")))?;
                let annotations = name_annotations(&full.to_string());
                entries.push(Descriptor { annotations, ..manifest.clone() });
            }
            if entries.is_empty() {
                entries.push(manifest);
            }
            index.manifests.append(&mut entries);
        }
        let descriptor = self.put_document(media_type::OCI_INDEX, &index)?;
        Ok(Imported { descriptor, index })
    }

    fn manifest(&mut self, image: &DockerImage) -> Result<Descriptor, S::Error> {
        let config = self
            .found
            .resolve(&image.config)
            .ok_or_else(|| Error::Missing(format!("image config {:?}", image.config)))?;
        let layers = image.layers.iter().map(|path| self.layer(path)).collect::<Result<Vec<_>, _>>()?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::DOCKER_MANIFEST.into(),
            artifact_type: String::new(),
            config: Descriptor::new(media_type::DOCKER_CONFIG, config.digest.clone(), config.size as i64),
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let mut descriptor = self.put_document(media_type::DOCKER_MANIFEST, &manifest)?;
        let parsed = ImageConfig::parse(&self.sink.read_blob(&config.digest)?)
            .map_err(|e| Error::form(format!("image config {:?}: {e}", image.config)))?;
        descriptor.platform = Some(parsed.platform.normalize());
        Ok(descriptor)
    }

    fn layer(&mut self, path: &str) -> Result<Descriptor, S::Error> {
        let stored = self.found.resolve(path).ok_or_else(|| Error::Missing(format!("layer {path:?}")))?;
        let media_type = match stored.packing {
            Packing::Plain => media_type::DOCKER_LAYER,
            Packing::Gzip => media_type::DOCKER_LAYER_GZIP,
            Packing::Zstd => media_type::DOCKER_LAYER_ZSTD,
        };
        let layer = Descriptor::new(media_type, stored.digest.clone(), stored.size as i64);
        if stored.packing != Packing::Plain {
            return Ok(layer);
        }
        if let Some(packed) = self.sink.find_packed(&stored.digest)? {
            return Ok(packed);
        }
        if self.options.pack_layers { self.sink.pack_layer(&layer) } else { Ok(layer) }
    }

    fn put_document<T: serde::Serialize>(
        &mut self,
        media_type: &str,
        document: &T,
    ) -> Result<Descriptor, S::Error> {
        let bytes = serde_json::to_vec(document).map_err(|e| Error::form(e.to_string()))?;
        let descriptor = Descriptor::of(media_type, &bytes);
        self.sink.put_document(&descriptor, &bytes)?;
        Ok(descriptor)
    }
}

/// Reads a document whole.
fn document<R: BufRead>(name: &str, reader: &mut Reader<R>) -> Result<Vec<u8>, Error> {
    let size = reader.data().remaining();
    if size > LONGEST_DOCUMENT {
        return Err(Error::form(format!("{name} is too large: {size} bytes")));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    reader.data().read_to_end(&mut bytes).map_err(Error::Stream)?;
    Ok(bytes)
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::form(format!("untar {name}: {e}")))
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in path.split('/') {
        match word {
            "" | "." => {}
            ".." => drop(words.pop()),
            word => words.push(word),
        }
    }
    words.join("/")
}
