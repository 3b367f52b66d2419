//! Bad images: each refusal names the thing and leaves nothing half made.

use anyhow::{Result, ensure};
use e2e::image::digest_of;
use e2e::samples::{self, BUSYBOX};
use e2e::{Archive, Daemon, Kind};

scenarios!(
    a_missing_image,
    a_missing_archive,
    a_truncated_archive,
    a_layer_that_lies,
    a_layer_that_is_absent,
    a_diff_id_that_lies,
    a_missing_platform,
    rubbish,
);

/// Imports an archive that must be refused with these words, and sees that nothing came of it.
fn refused(daemon: Daemon, archive: &[u8], words: &[&str]) -> Result<()> {
    let before = daemon.census();
    let path = daemon.dir().join("bad.tar");
    std::fs::write(&path, archive)?;
    daemon.refuses(&["images", "import", &path.to_string_lossy()], words)?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "an image came of it");
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    // What was fetched before the refusal is rubbish: the next collection takes it.
    daemon.nothing_since(&before)?;
    daemon.ok(&["content", "ls"])?;
    daemon.finish()
}

fn bent(bend: impl Fn(&mut Archive)) -> Result<Vec<u8>> {
    let mut archive = samples::busybox(BUSYBOX)?;
    bend(&mut archive);
    Ok(archive.bytes())
}

fn a_missing_image(daemon: Daemon) -> Result<()> {
    let before = daemon.census();
    daemon.refuses(
        &["run", "--rm", "example.org/no/such:1", "one", "true"],
        &["example.org/no/such:1", "not found"],
    )?;
    let file = daemon.dir().join("out.tar");
    let refusal = ["example.org/no/such:1", "not found"];
    daemon.refuses(&["images", "export", &file.to_string_lossy(), "example.org/no/such:1"], &refusal)?;
    // What was there before a refusal is there after it, and is what it was.
    let null = daemon.dir().join("null");
    e2e::Program::new("mknod").arg(&null).args(["c", "1", "3"]).succeed()?;
    daemon.refuses(&["images", "export", &null.to_string_lossy(), "example.org/no/such:1"], &refusal)?;
    let kind = std::fs::metadata(&null)?.file_type();
    ensure!(std::os::unix::fs::FileTypeExt::is_char_device(&kind), "the device is gone");
    daemon.refuses(&["images", "tag", "example.org/no/such:1", "example.org/other:1"], &["not found"])?;
    ensure!(daemon.ok(&["containers", "ls", "-q"])?.lines().is_empty());
    daemon.nothing_since(&before)?;
    daemon.finish()
}

fn a_missing_archive(daemon: Daemon) -> Result<()> {
    daemon.refuses(&["images", "import", "/no/such.tar"], &["/no/such.tar", "no such file"])?;
    daemon.finish()
}

fn a_truncated_archive(daemon: Daemon) -> Result<()> {
    let mut bytes = samples::busybox(BUSYBOX)?.bytes();
    bytes.truncate(bytes.len() / 2);
    refused(daemon, &bytes, &["unexpected EOF"])
}

fn a_layer_that_lies(daemon: Daemon) -> Result<()> {
    let mut archive = samples::busybox(BUSYBOX)?;
    let layer = archive.layer(0);
    let middle = layer.bytes.len() / 2;
    layer.bytes[middle] ^= 1;
    let (said, is) = (layer.digest.clone(), digest_of(&layer.bytes));
    let path = format!("blobs/{}", said.replace(':', "/"));
    match daemon.kind() {
        Kind::Gantry => refused(
            daemon,
            &archive.bytes(),
            &["failed to ingest", &path, &format!("unexpected commit digest {is}, expected {said}")],
        ),
        // It stores what it read under the digest that it has, and then misses the other.
        _ => refused(daemon, &archive.bytes(), &["failed to extract layer", &said, "not found"]),
    }
}

fn a_layer_that_is_absent(daemon: Daemon) -> Result<()> {
    let archive = samples::busybox(BUSYBOX)?;
    let digest = archive.blobs[0].digest.clone();
    let bytes = bent(|a| drop(a.blobs.remove(0)))?;
    refused(daemon, &bytes, &[&digest, "not found"])
}

fn a_diff_id_that_lies(daemon: Daemon) -> Result<()> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    // The layer is not compressed: its own digest is that of what lies in it.
    let (said, is) = (digest_of(b"something else"), recipe.layers[1].diff_id.clone());
    recipe.layers[1].diff_id.clone_from(&said);
    let bytes = recipe.bake().bytes();
    match daemon.kind() {
        Kind::Gantry => refused(
            daemon,
            &bytes,
            &[
                &format!("unpack layer {is}: wrong diff id {is} calculated on extraction"),
                &format!("the image's config says {said}"),
            ],
        ),
        _ => refused(daemon, &bytes, &["wrong diff id", &said, &is]),
    }
}

fn a_missing_platform(daemon: Daemon) -> Result<()> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.platform = ("linux", "s390x");
    refused(daemon, &recipe.bake().bytes(), &["image might be filtered out"])
}

fn rubbish(daemon: Daemon) -> Result<()> {
    refused(daemon, &[b'x'; 100_000], &["archive/tar: invalid tar header"])
}
