//! Image archives: exported, looked at with other tools, imported again; Docker's form; damage.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::process::Command;

use archive::Error;
use archive::compress::{Compression, Compressor};
use archive::export::{Export, Image, Platforms, Source, export};
use archive::import::{Imported, Incoming, Options, Sink, import};
use archive::layout::{FullNames, image_name};
use archive::tar::{Entry, Kind, Reader, Writer};
use oci::{Descriptor, Digest, Index, Manifest, Matcher, Platform, media_type};

use crate::support::{run, tar};

/// Blobs in memory.
#[derive(Default)]
struct Memory(HashMap<Digest, Vec<u8>>);

impl Memory {
    fn put(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        self.0.insert(Digest::of(bytes), bytes.to_vec());
        Descriptor::of(media_type, bytes)
    }

    fn put_json<T: serde::Serialize>(&mut self, media_type: &str, document: &T) -> Descriptor {
        self.put(media_type, &serde_json::to_vec(document).unwrap())
    }
}

impl Sink for Memory {
    type Error = Error;

    fn put_blob(&mut self, blob: Incoming<'_>) -> Result<Digest, Error> {
        let mut bytes = Vec::new();
        blob.data.read_to_end(&mut bytes).map_err(Error::Stream)?;
        assert_eq!(bytes.len() as u64, blob.size, "{}", blob.path);
        Ok(self.put("", &bytes).digest)
    }

    fn put_document(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(self.put("", bytes).digest, descriptor.digest);
        Ok(())
    }

    fn read_blob(&mut self, digest: &Digest) -> Result<Vec<u8>, Error> {
        self.0.get(digest).cloned().ok_or_else(|| Error::Missing(digest.to_string()))
    }

    fn find_packed(&mut self, diff_id: &Digest) -> Result<Option<Descriptor>, Error> {
        let gzip = |bytes: &Vec<u8>| {
            let mut plain = Vec::new();
            let mut stream = &bytes[..];
            bytes.starts_with(&[0x1f, 0x8b])
                && archive::decompress::Decompressor::detect(&mut stream)
                    .unwrap()
                    .read_to_end(&mut plain)
                    .is_ok()
                && Digest::of(&plain) == *diff_id
        };
        Ok(self.0.values().find(|b| gzip(b)).map(|b| Descriptor::of(media_type::DOCKER_LAYER_GZIP, b)))
    }

    fn pack_layer(&mut self, layer: &Descriptor) -> Result<Descriptor, Error> {
        let packed = gzip(&self.0[&layer.digest]);
        Ok(self.put(media_type::DOCKER_LAYER_GZIP, &packed))
    }
}

impl Source for Memory {
    type Error = Error;

    fn open(&mut self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, Error> {
        Ok(self.0.get(digest).map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
    }

    fn annotations(&mut self, _: &Descriptor) -> Result<BTreeMap<String, String>, Error> {
        Ok(BTreeMap::from([("containerd.io/distribution.source.h".into(), "a".into())]))
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), Compression::Gzip).unwrap();
    compressor.write_all(bytes).unwrap();
    compressor.finish().unwrap()
}

/// An image of one layer for a platform.
fn manifest(store: &mut Memory, platform: &str) -> Descriptor {
    let plain = tar(&["d bin", &format!("f bin/{} x", platform.replace('/', "-"))]);
    let layer = store.put(media_type::OCI_LAYER_GZIP, &gzip(&plain));
    let platform = Platform::parse(platform).unwrap();
    let config = serde_json::json!({
        "architecture": platform.architecture, "os": platform.os, "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&plain)]}
    });
    let config = store.put_json(media_type::OCI_CONFIG, &config);
    let document = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: String::new(),
        config,
        layers: vec![layer],
        subject: None,
        annotations: BTreeMap::new(),
    };
    Descriptor { platform: Some(platform), ..store.put_json(media_type::OCI_MANIFEST, &document) }
}

fn two_platforms(store: &mut Memory) -> Descriptor {
    let manifests = vec![manifest(store, "linux/arm64"), manifest(store, "linux/amd64")];
    let index =
        Index { schema_version: 2, media_type: media_type::OCI_INDEX.into(), manifests, ..Index::default() };
    store.put_json(media_type::OCI_INDEX, &index)
}

fn request(name: &str, target: Descriptor) -> Export {
    Export {
        images: vec![Image { name: name.into(), target }],
        platforms: Platforms::Matching(Matcher::only_strict(&Platform::parse("linux/amd64").unwrap())),
        skip_docker_manifest: false,
        skip_nondistributable: false,
    }
}

fn exported(store: &mut Memory, request: &Export) -> Vec<u8> {
    let mut out = Vec::new();
    export(request, store, &mut out).unwrap();
    out
}

fn imported(bytes: &[u8], store: &mut Memory) -> Result<Imported, Error> {
    import(&mut &bytes[..], store, Options::default())
}

fn names(bytes: &[u8]) -> Vec<(String, u32, u64)> {
    let mut reader = Reader::new(bytes);
    let mut entry = Entry::default();
    let mut names = Vec::new();
    while reader.next_entry(&mut entry).unwrap() {
        assert_eq!((entry.uid, entry.gid, entry.mtime.secs), (0, 0, 0));
        names.push((String::from_utf8(entry.path.clone()).unwrap(), entry.mode, entry.size));
    }
    names
}

#[test]
fn an_archive_comes_back_as_it_went() {
    let mut store = Memory::default();
    let index = two_platforms(&mut store);
    let mut request = request("docker.io/library/x:1", index.clone());
    request.platforms = Platforms::All(Matcher::only(&Platform::parse("linux/amd64").unwrap()));
    let bytes = exported(&mut store, &request);
    assert_eq!(exported(&mut store, &request), bytes, "twice the same");
    for packing in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut packed = Compressor::new(Vec::new(), packing).unwrap();
        packed.write_all(&bytes).unwrap();
        let mut other = Memory::default();
        let found = imported(&packed.finish().unwrap(), &mut other).unwrap();
        let entry = &found.index.manifests[0];
        assert_eq!((&entry.digest, entry.size), (&index.digest, index.size));
        assert_eq!(
            image_name(&entry.annotations, "x", FullNames::Keep).as_deref(),
            Some("docker.io/library/x:1")
        );
        assert_eq!(entry.annotations["containerd.io/distribution.source.h"], "a");
        assert_eq!(found.descriptor.media_type, media_type::OCI_INDEX);
        assert!(other.0.contains_key(&found.descriptor.digest));
        for digest in store.0.keys() {
            assert!(other.0.contains_key(digest), "{digest}");
        }
    }
}

#[test]
fn order_modes_and_docker_s_list() {
    let mut store = Memory::default();
    let index = two_platforms(&mut store);
    let bytes = exported(&mut store, &request("docker.io/library/x:1", index));
    let names = names(&bytes);
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    let modes: Vec<(&str, u32)> = names.iter().map(|(n, m, _)| (n.as_str(), *m)).collect();
    assert_eq!((modes[0], modes[1]), (("blobs/", 0o755), ("blobs/sha256/", 0o755)));
    assert_eq!(modes[2].1, 0o444);
    let tail = &modes[modes.len() - 3..];
    assert_eq!(tail, [("index.json", 0o644), ("manifest.json", 0o644), ("oci-layout", 0o444)]);
    assert_eq!(names.len(), 2 + 4 + 3, "the index, one manifest, config and layer");
    let list = content(&bytes, "manifest.json");
    assert!(list.starts_with("[{\"Config\":\"blobs/sha256/"), "{list}");
    assert!(list.contains("\"RepoTags\":[\"x:1\"]"), "{list}");
    assert_eq!(content(&bytes, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
}

fn content(bytes: &[u8], name: &str) -> String {
    let mut reader = Reader::new(bytes);
    let mut entry = Entry::default();
    while reader.next_entry(&mut entry).unwrap() {
        if entry.path == name.as_bytes() {
            let mut text = String::new();
            reader.data().read_to_string(&mut text).unwrap();
            return text;
        }
    }
    panic!("no {name}");
}

#[test]
fn other_tools_read_what_we_write() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("skopeo is not here: not asked");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut store = Memory::default();
    let target = manifest(&mut store, "linux/amd64");
    let file = dir.path().join("image.tar");
    let bytes = exported(&mut store, &request("docker.io/library/x:1", target.clone()));
    std::fs::write(&file, &bytes).unwrap();
    for form in ["oci-archive", "docker-archive"] {
        let from = format!("{form}:{}", file.display());
        let to = format!("oci-archive:{}", dir.path().join(form).display());
        run(Command::new("skopeo").args(["copy", "--insecure-policy", &from, &to]));
        let back = std::fs::read(dir.path().join(form)).unwrap();
        let mut other = Memory::default();
        let found = imported(&back, &mut other).unwrap();
        assert_eq!(found.index.manifests.len(), 1);
        if form == "oci-archive" {
            assert_eq!(found.index.manifests[0].digest, target.digest);
        }
    }
}

/// A Docker archive with a layer twice, once through a link.
fn docker_archive(layer: &[u8]) -> Vec<u8> {
    let config = format!(
        "{{\"architecture\":\"arm\",\"variant\":\"7\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{:?}]}}}}",
        Digest::of(layer).as_str()
    );
    let list = r#"[{"Config":"c.json","RepoTags":["x","ghcr.io/a/b:2"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
    let mut writer = Writer::new(Vec::new());
    let mut put = |entry: &Entry, bytes: &[u8]| {
        let entry = Entry { size: bytes.len() as u64, ..entry.clone() };
        writer.append_bytes(&entry, bytes).unwrap();
    };
    put(&Entry::new(Kind::Regular, "./one/layer.tar", 0o644), layer);
    let link =
        Entry { link: b"../one/layer.tar".to_vec(), ..Entry::new(Kind::Symlink, "two/layer.tar", 0o777) };
    put(&link, b"");
    put(&Entry::new(Kind::Regular, "c.json", 0o644), config.as_bytes());
    put(&Entry::new(Kind::Regular, "manifest.json", 0o644), list.as_bytes());
    writer.finish().unwrap()
}

#[test]
fn docker_archives_get_a_manifest_and_an_index() {
    let plain = tar(&["f a 1"]);
    for (layer, pack, packed_before, want) in [
        (plain.clone(), false, false, media_type::DOCKER_LAYER),
        (gzip(&plain), false, false, media_type::DOCKER_LAYER_GZIP),
        (plain.clone(), true, false, media_type::DOCKER_LAYER_GZIP),
        (plain.clone(), false, true, media_type::DOCKER_LAYER_GZIP),
    ] {
        let mut store = Memory::default();
        if packed_before {
            store.put("", &gzip(&plain));
        }
        let bytes = docker_archive(&layer);
        let found = import(&mut &bytes[..], &mut store, Options { pack_layers: pack }).unwrap();
        let names: Vec<_> = found
            .index
            .manifests
            .iter()
            .map(|d| image_name(&d.annotations, "x", FullNames::Keep).unwrap())
            .collect();
        assert_eq!(names, ["docker.io/library/x:latest", "ghcr.io/a/b:2"]);
        let entry = &found.index.manifests[0];
        assert_eq!(entry.annotations["org.opencontainers.image.ref.name"], "latest");
        assert_eq!(entry.platform.as_ref().unwrap().to_string(), "linux/arm/v7");
        assert_eq!(entry.media_type, media_type::DOCKER_MANIFEST);
        let manifest = Manifest::parse(&store.0[&entry.digest], &entry.media_type).unwrap();
        assert_eq!(manifest.layers.len(), 2);
        assert_eq!(manifest.layers[0], manifest.layers[1]);
        assert_eq!(manifest.layers[0].media_type, want);
        assert!(store.0.contains_key(&manifest.layers[0].digest));
        assert!(store.0.contains_key(&found.descriptor.digest));
    }
}

#[test]
fn what_is_no_image_archive_is_refused() {
    let file = |name: &str, text: &str| {
        let mut writer = Writer::new(Vec::new());
        let entry = Entry { size: text.len() as u64, ..Entry::new(Kind::Regular, name, 0o644) };
        writer.append_bytes(&entry, text.as_bytes()).unwrap();
        writer.finish().unwrap()
    };
    for (bytes, text) in [
        (Vec::new(), "unrecognized image format"),
        (file("x", "y"), "unrecognized image format"),
        (file("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#), "unsupported OCI version 2.0.0"),
        (file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#), "missing index.json in OCI layout 1.0.0"),
        (file("oci-layout", "{"), "untar oci-layout"),
        (file("manifest.json", r#"[{"Config":"c"}]"#), "image config \"c\": not found"),
        (b"rubbish".to_vec(), "unexpected EOF"),
    ] {
        let error = imported(&bytes, &mut Memory::default()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

/// Indexes that each list the next twice have few documents, and one without an end is refused.
#[test]
fn documents_are_read_once() {
    let mut store = Memory::default();
    let mut next = manifest(&mut store, "linux/amd64");
    for _ in 0..40 {
        let index = Index {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.into(),
            manifests: vec![next.clone(), next],
            ..Index::default()
        };
        next = store.put_json(media_type::OCI_INDEX, &index);
    }
    let mut request = request("", next);
    request.platforms = Platforms::All(Matcher::All);
    let paths = names(&exported(&mut store, &request));
    assert_eq!(paths.iter().filter(|(name, ..)| name.len() > 60).count(), 43);

    let manifests = (0..2001).map(|n| manifest_of(&mut store, n)).collect();
    let index =
        Index { schema_version: 2, media_type: media_type::OCI_INDEX.into(), manifests, ..Index::default() };
    request.images[0].target = store.put_json(media_type::OCI_INDEX, &index);
    let error = export(&request, &mut store, &mut std::io::sink()).unwrap_err().to_string();
    assert!(error.contains("more than 2000 documents"), "{error}");
}

/// One of many manifests without layers.
fn manifest_of(store: &mut Memory, number: usize) -> Descriptor {
    let config = store.put(media_type::OCI_CONFIG, b"{}");
    let document = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [], "annotations": {"n": number.to_string()} });
    store.put_json(media_type::OCI_MANIFEST, &document)
}

/// A sink that holds the other end of its own stream, on which nothing more comes.
struct Fed(Option<std::sync::mpsc::Sender<u8>>);

impl Sink for Fed {
    type Error = Error;

    fn put_blob(&mut self, _: Incoming<'_>) -> Result<Digest, Error> {
        Err(Error::Missing("room".into()))
    }

    fn put_document(&mut self, _: &Descriptor, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn read_blob(&mut self, _: &Digest) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn enough(&mut self) {
        self.0 = None;
    }
}

/// A mistake is told although nothing more comes, and although little came.
#[test]
fn a_mistake_is_told_at_once() {
    struct Slow(std::sync::mpsc::Receiver<u8>);
    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Ok(byte) = self.0.recv() else { return Ok(0) };
            out[0] = byte;
            Ok(1)
        }
    }
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&Entry { size: 1, ..Entry::new(Kind::Regular, "x", 0o644) }, b"y").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    for byte in &writer.finish().unwrap()[..600] {
        sender.send(*byte).unwrap();
    }
    let error = import(&mut Slow(receiver), &mut Fed(Some(sender)), Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "room: not found");
}

/// A blob that is named as a document and is none is not read into memory.
#[test]
fn a_document_has_a_largest_size() {
    let mut store = Memory::default();
    let huge = store.put(media_type::OCI_MANIFEST, &vec![0; (20 << 20) + 1]);
    let error = export(&request("x", huge.clone()), &mut store, &mut std::io::sink()).unwrap_err();
    assert_eq!(error.to_string(), format!("blob {} is too large for a document", huge.digest));
}

#[test]
fn missing_and_damaged_content_is_named() {
    let mut store = Memory::default();
    let index = two_platforms(&mut store);
    let mut request = request("x", index);
    request.platforms = Platforms::Matching(Matcher::only_strict(&Platform::parse("linux/s390x").unwrap()));
    let failed = |store: &mut Memory, request: &Export| {
        export(request, store, &mut std::io::sink()).unwrap_err().to_string()
    };
    assert_eq!(failed(&mut store, &request), "no manifest found for platform: not found");
    request.platforms = Platforms::All(Matcher::All);
    let layer = store.0.iter().find(|(_, b)| b.starts_with(&[0x1f, 0x8b])).map(|(d, _)| d.clone()).unwrap();
    let good = store.0.remove(&layer).unwrap();
    assert!(failed(&mut store, &request).contains(layer.as_str()));
    store.0.insert(layer.clone(), [&good[..], b"x"].concat());
    assert_eq!(failed(&mut store, &request), format!("blob {layer} is damaged"));
    store.0.insert(layer.clone(), good[..good.len() - 1].to_vec());
    assert_eq!(failed(&mut store, &request), "unexpected EOF");
}
