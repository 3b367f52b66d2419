//! Images: in, shown, checked, out again, tagged, removed, and then nothing is left of them.

use anyhow::{Result, ensure};
use e2e::samples::{self, BUSYBOX};
use e2e::tar::Tar;
use e2e::{Client, Daemon, Kind, Layer};

scenarios!(
    import_shows_everything,
    export_and_import_again,
    tag_and_remove,
    a_large_image_of_many_layers,
    zstd,
    an_archive_for_several_platforms,
    two_namespaces,
    the_machine
);

/// `import`, and what `images`, `content`, `snapshots`, `leases` then show.
fn import_shows_everything(daemon: Daemon) -> Result<()> {
    let archive = samples::busybox(BUSYBOX)?;
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default().to_owned();
    daemon.import(&archive)?;
    let listed = daemon.ok(&["images", "ls"])?;
    let row = listed.row(BUSYBOX)?;
    ensure!(row[1] == "application/vnd.oci.image.manifest.v1+json" && row[2] == digest, "{listed}");
    ensure!(row.contains(&format!("linux/{}", samples::architecture()).as_str()), "{listed}");
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX]);
    // Config and two layers: the manifest itself is not counted.
    let checked = daemon.ok(&["images", "check"])?.says(&["complete (3/3)"])?;
    ensure!(checked.row(BUSYBOX)?.last() == Some(&"true"), "not unpacked: {checked}");

    let content = daemon.ok(&["content", "ls"])?;
    for blob in &archive.blobs {
        ensure!(content.stdout.contains(&blob.digest), "no {}: {content}", blob.digest);
    }
    let manifest = content.lines().into_iter().find(|l| l.starts_with(&digest)).unwrap_or_default();
    ensure!(manifest.contains("containerd.io/gc.ref.content.config=sha256:"), "{content}");
    ensure!(manifest.contains("containerd.io/gc.ref.content.l.1=sha256:"), "{content}");
    ensure!(content.stdout.contains("containerd.io/gc.ref.snapshot.overlayfs=sha256:"), "{content}");
    let got = daemon.ok(&["content", "get", &digest])?;
    ensure!(e2e::image::digest_of(&got.bytes) == digest, "content get: {got}");

    let tree = daemon.ok(&["snapshots", "tree"])?;
    let lines: Vec<&str> = tree.stdout.lines().collect();
    ensure!(
        lines.len() == 2 && lines[0].starts_with(" sha256:") && lines[1].starts_with("  \\_ sha256:"),
        "{tree}"
    );
    let snapshots = daemon.ok(&["snapshots", "ls"])?;
    ensure!(
        snapshots.rows().len() == 2 && snapshots.rows().iter().all(|r| r.last() == Some(&"Committed")),
        "{snapshots}"
    );
    let leases = daemon.ok(&["leases", "ls"])?;
    ensure!(leases.rows().is_empty(), "an import keeps no lease: {leases}");
    daemon.ok(&["namespaces", "ls"])?.row(daemon.namespace())?;
    daemon.finish()
}

/// What comes out goes in again as the same image.
fn export_and_import_again(daemon: Daemon) -> Result<()> {
    let archive = samples::busybox(BUSYBOX)?;
    daemon.import(&archive)?;
    let path = daemon.dir().join("exported.tar");
    let path = path.to_string_lossy();
    let listed = export(&daemon, &path)?;
    listed.says(&["oci-layout", "index.json", "manifest.json", "blobs/sha256/"])?;
    daemon.ok(&["images", "rm", "--sync", BUSYBOX])?;
    ensure!(daemon.ok(&["content", "ls", "-q"])?.lines().is_empty(), "content is left");
    daemon.ok(&["images", "import", &path])?;
    let listed = daemon.ok(&["images", "ls"])?;
    ensure!(listed.row(BUSYBOX)?[2] == archive.manifest()["digest"].as_str().unwrap_or_default(), "{listed}");
    daemon.ok(&["run", "--rm", BUSYBOX, "again", "cat", "/etc/gantry-release"])?.says(&[samples::RELEASE])?;
    // skopeo is another implementation of the same format.
    e2e::Program::new("skopeo")
        .args(["inspect", &format!("oci-archive:{path}")])
        .succeed()?
        .says(&["sha256:"])?;
    daemon.finish()
}

/// Exports through the transfer service and lists the archive. The real `ctr` does not wait for the last bytes of
/// its stream before it ends, so with it, and only with it, a short archive is asked for again.
fn export(daemon: &Daemon, path: &str) -> Result<e2e::Finished> {
    let mut tries = 0;
    loop {
        daemon.ok(&["images", "export", path, BUSYBOX])?;
        let listed = e2e::Program::new("tar").args(["-tf", path]).run()?;
        tries += 1;
        if listed.code == 0 || tries == 10 || daemon.whose_client() == Client::Gantry {
            return listed.with_code(0);
        }
    }
}

/// Two names, one image; the content goes with the last name and only then.
fn tag_and_remove(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    ensure!(before.count("blob") >= 4 && before.count("snapshot") == 2, "{before}");
    let other = "example.org/gantry/other:2";
    daemon.ok(&["images", "tag", BUSYBOX, other])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX, other]);
    daemon.ok(&["images", "rm", "--sync", BUSYBOX])?;
    daemon.ok(&["run", "--rm", other, "still", "true"])?;
    daemon.ok(&["images", "rm", "--sync", other])?;
    ensure!(daemon.ok(&["content", "ls", "-q"])?.lines().is_empty(), "content is left");
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty(), "snapshots are left");
    let after = daemon.census();
    ensure!(after.count("blob") == 0 && after.count("ingest") == 0, "{:#?}", after.things);
    ensure!(after.count("snapshot") == 0, "{:#?}", after.things);
    daemon.finish()
}

/// Twenty layers, each replacing what the one below said.
fn a_large_image_of_many_layers(daemon: Daemon) -> Result<()> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    for number in 0..20 {
        let noise: Vec<u8> =
            (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761 + number) >> 13) as u8).collect();
        let tar =
            Tar::new().file("etc/number", 0o644, number.to_string()).file("var/log/noise", 0o600, noise);
        recipe.layers.push(if number % 2 == 0 { Layer::gzip(tar)? } else { Layer::plain(tar) });
    }
    daemon.import(&recipe.bake())?;
    let ran = daemon.ok(&[
        "run",
        "--rm",
        BUSYBOX,
        "many",
        "sh",
        "-c",
        "cat /etc/number; stat -c %s:%a /var/log/noise",
    ])?;
    ensure!(ran.stdout == "19200000:600\n", "{ran}");
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().len() == 22);
    daemon.finish()
}

/// `version`, `info`, `plugins`, `namespaces`: what the daemon says of itself.
fn the_machine(daemon: Daemon) -> Result<()> {
    let version = daemon.ok(&["version"])?.says(&["Client:", "Server:", "Version:", "UUID:"])?;
    let server = version.stdout.split("Server:").nth(1).unwrap_or_default();
    ensure!(server.contains("Revision:"), "{version}");
    daemon.ok(&["info"])?.says(&["\"uuid\"", &format!("\"pid\": {}", daemon.pid()?)])?;
    let plugins = daemon.ok(&["plugins", "ls"])?;
    for (kind, id) in [
        ("io.containerd.content.v1", "content"),
        ("io.containerd.snapshotter.v1", "overlayfs"),
        ("io.containerd.snapshotter.v1", "native"),
        ("io.containerd.differ.v1", "walking"),
        ("io.containerd.runtime.v2", "task"),
        ("io.containerd.transfer.v1", "local"),
        ("io.containerd.grpc.v1", "images"),
    ] {
        let row = plugins.rows().into_iter().find(|r| r[..2] == [kind, id]);
        ensure!(row.is_some_and(|r| r.last() == Some(&"ok")), "{kind} {id}: {plugins}");
    }
    daemon.ok(&["namespaces", "create", "another", "colour=blue"])?;
    daemon.ok(&["namespaces", "ls"])?.says(&["another", "colour=blue"])?;
    daemon.refuses(&["namespaces", "create", "another"], &["already exists"])?;
    daemon.ok(&["namespaces", "rm", "another"])?;
    ensure!(!daemon.ok(&["namespaces", "ls"])?.stdout.contains("another"));
    daemon.finish()
}

/// A layer as zstd.
fn zstd(daemon: Daemon) -> Result<()> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    let tar = Tar::new().file("etc/packed", 0o644, "by zstd\n");
    let mut layer = Layer::plain(tar);
    layer.bytes = zstd::encode_all(&layer.bytes[..], 3)?;
    layer.media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    recipe.layers.push(layer);
    daemon.import(&recipe.bake())?;
    let ran = daemon.ok(&["run", "--rm", BUSYBOX, "one", "cat", "/etc/packed"])?;
    ensure!(ran.stdout == "by zstd\n", "{ran}");
    daemon.finish()
}

/// Of an archive for several platforms only what is asked for gets a name, and what has a name is whole.
fn an_archive_for_several_platforms(daemon: Daemon) -> Result<()> {
    const FOREIGN: &str = "example.org/gantry/foreign:1";
    let mut archive = samples::busybox(BUSYBOX)?;
    let mut foreign = samples::busybox_recipe(FOREIGN)?;
    foreign.platform = ("linux", "s390x");
    archive.add(foreign.bake());
    let path = daemon.dir().join("several.tar");
    archive.write(&path)?;
    let path = path.to_string_lossy();
    daemon.ok(&["images", "import", &path])?;
    if daemon.kind() == Kind::Gantry {
        ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX]);
    }
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.ok(&["images", "import", "--all-platforms", "--no-unpack", &path])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX, FOREIGN]);
    daemon.collected_census()?;
    let content = daemon.ok(&["content", "ls"])?;
    for blob in &archive.blobs {
        ensure!(content.stdout.contains(&blob.digest), "no {}: {content}", blob.digest);
    }
    daemon.finish()
}

/// The same image in two namespaces: the bytes lie there once, each namespace has its own names for them.
fn two_namespaces(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.collected_census()?;
    let other = format!("{}-other", daemon.namespace());
    let path = daemon.dir().join("image.tar");
    let run = |args: &[&str]| {
        let mut words = vec!["-n", &other];
        words.extend(args);
        daemon.client(&words).succeed()
    };
    ensure!(run(&["images", "ls", "-q"])?.lines().is_empty(), "an image of another namespace is seen");
    ensure!(run(&["content", "ls", "-q"])?.lines().is_empty(), "content of another namespace is seen");
    run(&["images", "import", &path.to_string_lossy()])?;
    let after = daemon.collected_census()?;
    let left: Vec<&str> = after.grown_since(&before).into_iter().filter(|t| t.starts_with("blob ")).collect();
    ensure!(left.is_empty(), "the bytes lie there twice: {left:#?}");
    daemon.ok(&["images", "rm", "--sync", BUSYBOX])?;
    ensure!(daemon.ok(&["content", "ls", "-q"])?.lines().is_empty(), "content is left");
    let ran = run(&["run", "--rm", BUSYBOX, "one", "cat", "/etc/gantry-release"])?;
    ensure!(ran.stdout == samples::RELEASE, "{ran}");
    run(&["images", "rm", "--sync", BUSYBOX])?;
    ensure!(daemon.census().count("blob") == 0);
    run(&["namespaces", "rm", &other])?;
    daemon.finish()
}
