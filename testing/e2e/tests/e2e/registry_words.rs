//! The words around images that come from registries: pull, push, inspect, label, usage, mount, convert, prune.

use anyhow::{Context, Result, ensure};
use e2e::registry::{Certificates, PASSWORD, Registry, Settings, USERNAME};
use e2e::samples::{self, BUSYBOX};
use e2e::tar::Tar;
use e2e::{Archive, Client, Daemon, Kind, Layer, Program};
use serde_json::{Value, json};

scenarios!(
    there_and_back,
    passwords,
    labels,
    usages,
    mounts,
    conversions,
    platforms_in_words,
    inspections,
    prunings
);

/// A daemon with gantry for its client.
pub fn gantry() -> Result<Daemon> {
    crate::start(Client::Gantry)
}

/// A registry with busybox in it, and its reference there.
pub fn filled(settings: &Settings) -> Result<(Registry, String)> {
    let registry = Registry::start_with(settings)?;
    registry.fill(&samples::busybox(BUSYBOX)?, "team/one:1")?;
    let reference = registry.reference("team/one:1");
    Ok((registry, reference))
}

/// Insists that no image, no lease and no snapshot is there.
pub fn nothing_came_of_it(daemon: &Daemon) -> Result<()> {
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "an image came of it");
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty(), "a snapshot is left");
    Ok(())
}

/// Pull, push under another name, and what is refused.
fn there_and_back(daemon: Daemon) -> Result<()> {
    let (registry, one) = filled(&Settings::default())?;
    let (two, three) = (registry.reference("team/two:2"), registry.reference("team/three:3"));
    daemon.refuses(&["images", "pull"], &[])?;
    daemon.refuses(&["images", "pull", "busybox"], &["failed to resolve image"])?;
    daemon.refuses(&["images", "pull", &two], &["failed to resolve image", &two, "not found"])?;
    daemon.refuses(&["images", "pull", "--platform", "a/b/c/d", &one], &["a/b/c/d"])?;
    daemon
        .refuses(&["images", "pull", "--platform", "linux/amd64", "--all-platforms", &one], &["platform"])?;
    daemon.refuses(&["images", "push", &two], &[&format!("image {two:?}: not found")])?;
    nothing_came_of_it(&daemon)?;

    let pulled = daemon.ok(&["images", "pull", "--label", "colour=blue", "--plain-http", &one])?;
    pulled.says(&["Pulling from OCI Registry", "extracted", "saved"])?;
    daemon.ok(&["images", "ls"])?.says(&["colour=blue"])?;
    daemon.ok(&["run", "--rm", &one, "pulled", "cat", "/etc/gantry-release"])?.says(&[samples::RELEASE])?;
    daemon.ok(&["images", "pull", &one])?.says(&["already exists"])?;

    daemon.ok(&["images", "push", &two, &one])?.says(&["Pushing to OCI Registry", "pushed content"])?;
    ensure!(registry.get("/v2/team/two/tags/list")?.contains("\"2\""));
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [&one], "a push names nothing here");
    daemon.ok(&["images", "tag", &one, &three])?;
    daemon.ok(&["images", "push", "--platform", &format!("linux/{}", samples::architecture()), &three])?;
    ensure!(registry.get("/v2/team/three/tags/list")?.contains("\"3\""));
    daemon.refuses(&["images", "push", &two, "nope"], &["image \"nope\": not found"])?;
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    daemon.finish()
}

/// Who shows nothing or the wrong thing gets nothing, in either direction.
fn passwords(daemon: Daemon) -> Result<()> {
    let (registry, one) = filled(&Settings { passwords: true, ..Settings::default() })?;
    let ada = format!("{USERNAME}:{PASSWORD}");
    let wrong = ["failed to resolve image", "401 Unauthorized"];
    daemon.refuses(&["images", "pull", "--user", "ada:wrong", &one], &wrong)?;
    daemon.refuses(&["images", "pull", &one], &["no basic auth credentials"])?;
    nothing_came_of_it(&daemon)?;
    daemon.ok(&["images", "pull", "-u", &ada, &one])?;
    let two = registry.reference("team/two:2");
    daemon.refuses(&["images", "push", "--user", "ada:wrong", &two, &one], &["401 Unauthorized"])?;
    daemon.ok(&["images", "push", "--user", &ada, &two, &one])?;
    daemon.ok(&["images", "rm", "--sync", &one])?;
    daemon.ok(&["images", "pull", "--user", &ada, &two])?;
    daemon.finish()
}

fn labels(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let label = |args: &[&str]| -> Result<String> {
        let shown = daemon.ok(&[&["images", "label"], args].concat())?;
        // They come in no order from the real one.
        let mut labels: Vec<&str> = shown.stdout.trim().split(',').collect();
        labels.sort_unstable();
        Ok(labels.join(","))
    };
    ensure!(label(&[BUSYBOX, "a=b", "c=d"])? == "a=b,c=d");
    ensure!(label(&[BUSYBOX, "a="])? == "c=d");
    ensure!(label(&[BUSYBOX, "e"])? == "c=d,e=true");
    ensure!(label(&["--replace-all", BUSYBOX, "z=1"])? == "z=1");
    ensure!(daemon.ok(&["images", "ls"])?.row(BUSYBOX)?.last() == Some(&"z=1"));
    daemon.refuses(&["images", "label", "nope", "a=b"], &["image \"nope\": not found"])?;
    daemon.refuses(&["images", "label", BUSYBOX, "=x"], &["key"])?;
    daemon.finish()
}

fn usages(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let shown = daemon.ok(&["images", "usage", BUSYBOX])?;
    ensure!(shown.lines()[0].split_whitespace().eq(["KEY", "SIZE", "INODES"]), "{shown}");
    let snapshots = daemon.ok(&["snapshots", "ls"])?;
    let top = snapshots.rows().into_iter().find(|row| row.len() == 3).context("a snapshot with a parent")?;
    // The upper layer first.
    let rows = shown.rows();
    ensure!(rows.len() == 2 && rows[0][0] == top[0] && rows[1][0] == top[1], "{shown}{snapshots}");
    ensure!(rows.iter().all(|row| row[2] == "KiB" || row[2] == "MiB"), "{shown}");
    daemon.refuses(&["images", "usage", "nope"], &["image \"nope\": not found"])?;
    let native = ["images", "usage", "--snapshotter", "native", BUSYBOX];
    daemon.refuses(&native, &[&format!("image {BUSYBOX} isn't unpacked in snapshotter native")])?;
    daemon.finish()
}

/// An image on a directory, to be read and to be written to.
fn mounts(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.collected_census()?;
    let dir = daemon.dir().join("mounted");
    std::fs::create_dir(&dir)?;
    let target = dir.to_string_lossy().into_owned();
    let top = daemon.ok(&["images", "usage", BUSYBOX])?.rows()[0][0].to_owned();

    ensure!(daemon.ok(&["images", "mount", BUSYBOX, &target])?.lines() == [&top, &target]);
    ensure!(std::fs::read_to_string(dir.join("etc/gantry-release"))? == samples::RELEASE);
    ensure!(std::fs::write(dir.join("new"), "").is_err(), "it is to be read only");
    ensure!(daemon.ok(&["snapshots", "ls"])?.row(&target)?.last() == Some(&"View"));
    daemon.ok(&["leases", "ls"])?.row(&target)?;
    if daemon.whose_client() == Client::Gantry {
        daemon
            .refuses(&["images", "mount", BUSYBOX, &target], &["already exists", "gantry images unmount"])?;
    }
    ensure!(daemon.ok(&["images", "unmount", &target])?.lines() == [&target]);
    ensure!(std::fs::read_dir(&dir)?.next().is_none(), "it is still mounted");
    daemon.ok(&["images", "unmount", "--rm", &target])?;

    let dir = daemon.dir().join("written");
    std::fs::create_dir(&dir)?;
    let target = dir.to_string_lossy().into_owned();
    daemon.ok(&["images", "mount", "--rw", BUSYBOX, &target])?;
    std::fs::write(dir.join("new"), "written")?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.row(&target)?.last() == Some(&"Active"));
    daemon.ok(&["images", "unmount", "--rm", &target])?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.row(&target).is_err(), "the snapshot is still there");
    // That nothing is mounted is no error.
    daemon.ok(&["images", "unmount", &target])?;

    daemon.refuses(&["images", "mount", "nope", &target], &["image \"nope\": not found"])?;
    // The real `ctr` leaves a mount behind when the directory is not there.
    if daemon.whose_client() == Client::Gantry {
        let nowhere = daemon.dir().join("nowhere").to_string_lossy().into_owned();
        daemon.refuses(&["images", "mount", BUSYBOX, &nowhere], &["no such file or directory"])?;
        ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
        daemon.nothing_since(&before)?;
    }
    daemon.collected_census()?;
    daemon.finish()
}

/// Other forms of an image, the same ones that the real `ctr` makes.
fn conversions(daemon: Daemon) -> Result<()> {
    const PLAIN: &str = "example.org/gantry/plain:1";
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    let tar = Tar::new().file("etc/packed", 0o644, "by zstd\n");
    let mut layer = Layer::plain(tar);
    layer.bytes = zstd::encode_all(&layer.bytes[..], 3)?;
    layer.media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    recipe.layers.push(layer);
    let archive = recipe.bake();
    daemon.import(&archive)?;
    daemon.ok(&["images", "label", BUSYBOX, "colour=blue"])?;
    let convert = |client: Client, target: &str| -> Result<String> {
        let words = ["images", "convert", "--uncompress", "--oci", BUSYBOX, target];
        Ok(daemon.client_of(client, &words).succeed()?.stdout.trim().to_owned())
    };
    let digest = convert(daemon.whose_client(), PLAIN)?;
    ensure!(digest != archive.manifest()["digest"].as_str().unwrap_or_default(), "nothing changed");
    ensure!(daemon.ok(&["images", "ls"])?.row(PLAIN)?[2] == digest);
    daemon
        .ok(&["images", "ls"])?
        .row(PLAIN)?
        .last()
        .filter(|l| **l == "colour=blue")
        .context("its labels")?;
    let manifest: Value = serde_json::from_slice(&daemon.ok(&["content", "get", &digest])?.bytes)?;
    for layer in manifest["layers"].as_array().context("layers")? {
        ensure!(layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar", "{manifest}");
    }
    ensure!(convert(Client::Ctr, "x:1")? == digest, "not what ctr makes");
    ensure!(convert(daemon.whose_client(), PLAIN)? == digest, "the second time another");

    // Its own labels hold it: the first form may go.
    daemon.ok(&["images", "rm", "--sync", BUSYBOX, "x:1"])?;
    daemon.collected_census()?;
    daemon.ok(&["images", "check"])?.says(&["complete (4/4)"])?;
    let path = daemon.dir().join("plain.tar").to_string_lossy().into_owned();
    daemon.client_of(Client::Gantry, &["images", "export", &path, PLAIN]).succeed()?;
    daemon.ok(&["run", "--rm", PLAIN, "one", "cat", "/etc/packed"])?.says(&["by zstd"])?;
    daemon.refuses(&["images", "convert", "nope", "x:2"], &["image \"nope\": not found"])?;
    daemon.refuses(&["images", "convert", PLAIN], &[])?;
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    daemon.finish()
}

/// An index of two platforms in a registry: what is pulled of it, and what a conversion makes of it.
fn platforms_in_words(daemon: Daemon) -> Result<()> {
    let registry = Registry::start()?;
    let host = samples::busybox(BUSYBOX)?;
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.platform = ("linux", "s390x");
    let path = both(&daemon, host, recipe.bake())?;
    let one = registry.reference("team/both:1");
    let copy = ["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"];
    Program::new("skopeo")
        .args(copy)
        .arg(format!("oci-archive:{path}"))
        .arg(format!("docker://{one}"))
        .succeed()?;

    let manifests = |flags: &[&str]| -> Result<usize> {
        daemon.ok(&[&["images", "pull"], flags, &[&one]].concat())?;
        let content = daemon.ok(&["content", "ls"])?;
        let manifests = content.lines().into_iter().filter(|l| l.contains("gc.ref.content.config=")).count();
        daemon.ok(&["images", "rm", "--sync", &one])?;
        Ok(manifests)
    };
    ensure!(manifests(&["--skip-metadata"])? == 1 && manifests(&[])? == 2, "metadata of other platforms");
    daemon.ok(&["images", "pull", "--all-platforms", &one])?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty(), "nothing is unpacked of all platforms");
    let count = daemon.ok(&["content", "ls", "-q"])?.lines().len();
    ensure!(count == 7, "index, two manifests, two configs, two layers: {count}");
    let converted = daemon.ok(&["images", "convert", "--uncompress", "--all-platforms", &one, "x:all"])?;
    let by_ctr = ["images", "convert", "--uncompress", "--all-platforms", &one, "x:ctr"];
    ensure!(daemon.client_of(Client::Ctr, &by_ctr).succeed()?.stdout == converted.stdout);
    let index: Value =
        serde_json::from_slice(&daemon.ok(&["content", "get", converted.stdout.trim()])?.bytes)?;
    ensure!(index["manifests"].as_array().is_some_and(|entries| entries.len() == 2), "{index}");
    let foreign = ["images", "convert", "--platform", "linux/s390x", &one, "x:s390x"];
    let converted = daemon.ok(&foreign)?;
    let index: Value =
        serde_json::from_slice(&daemon.ok(&["content", "get", converted.stdout.trim()])?.bytes)?;
    ensure!(index["manifests"][0]["platform"]["architecture"] == "s390x", "{index}");
    ensure!(index["manifests"].as_array().is_some_and(|entries| entries.len() == 1), "{index}");
    daemon.finish()
}

/// A manifest that has no name here, and has none afterwards.
#[test]
fn push_by_digest() -> Result<()> {
    let (daemon, registry) = (gantry()?, Registry::start()?);
    let archive = samples::busybox(BUSYBOX)?;
    daemon.import(&archive)?;
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default();
    let two = registry.reference("team/two:2");
    daemon.ok(&["images", "push", "--manifest", digest, &two])?;
    ensure!(e2e::image::digest_of(registry.get("/v2/team/two/manifests/2")?.as_bytes()) == digest);
    let absent = e2e::image::digest_of(b"absent");
    daemon.refuses(&["images", "push", "--manifest", &absent, &two], &[&absent, "not found"])?;
    let nobody = format!("127.0.0.1:{}/x/y:1", e2e::registry::free_port()?);
    daemon.refuses(&["images", "push", "--manifest", digest, &nobody], &["failed to do request"])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX], "a name is left");
    daemon.finish()
}

/// Two images as one index in one archive; its path.
fn both(daemon: &Daemon, mut first: Archive, second: Archive) -> Result<String> {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let entry = |archive: &Archive, architecture: &str| {
        let mut entry = archive.manifest().clone();
        entry["annotations"] = Value::Object(serde_json::Map::new());
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let entries = [entry(&first, samples::architecture()), entry(&second, "s390x")];
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let digest = e2e::image::digest_of(index.as_bytes());
    let size = index.len();
    for blob in second.blobs {
        if first.blobs.iter().all(|known| known.digest != blob.digest) {
            first.blobs.push(blob);
        }
    }
    first.blobs.push(e2e::image::Blob { digest: digest.clone(), bytes: index.into_bytes() });
    first.index["manifests"] = json!([{ "digest": digest, "mediaType": INDEX, "size": size }]);
    let path = daemon.dir().join("both.tar");
    first.write(&path)?;
    Ok(path.to_string_lossy().into_owned())
}

/// An image drawn as a tree; what is missing of it is said.
fn inspections(daemon: Daemon) -> Result<()> {
    let archive = samples::busybox(BUSYBOX)?;
    daemon.import(&archive)?;
    daemon.ok(&["images", "label", BUSYBOX, "colour=blue"])?;
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default();
    for words in [&["images", "inspect"][..], &["i", "i", "--content"]] {
        let words = [words, &[BUSYBOX]].concat();
        let shown = daemon.ok(&words)?;
        let lines: Vec<&str> = shown.stdout.lines().collect();
        ensure!(lines[0] == BUSYBOX && lines[3] == "│    Label \"colour\": \"blue\"", "{shown}");
        let root = format!("└── application/vnd.oci.image.manifest.v1+json @{digest} (");
        ensure!(lines[4].starts_with(&root), "{shown}");
        ensure!(lines.last().is_some_and(|l| l.starts_with("    └── application/vnd.oci.image.layer")));
        // Labels come in no order from the real one.
        let sorted = |shown: e2e::Finished| {
            let mut lines: Vec<String> = shown.stdout.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let by_ctr = sorted(daemon.client_of(Client::Ctr, &words).succeed()?);
        ensure!(sorted(shown) == by_ctr, "not what ctr shows: {by_ctr:#?}");
    }
    daemon.ok(&["content", "rm", digest])?;
    daemon.ok(&["images", "inspect", BUSYBOX])?.says(&["└──  Content does not exist locally, skipping"])?;
    daemon.refuses(&["images", "inspect", "nope"], &["image \"nope\": not found"])?;
    daemon.finish()
}

/// What no container is made from goes, and nothing without `--all`.
fn prunings(daemon: Daemon) -> Result<()> {
    let used = "example.org/gantry/used:1";
    daemon.import_busybox()?;
    daemon.ok(&["images", "tag", BUSYBOX, used, "example.org/gantry/more:1"])?;
    daemon.ok(&["containers", "create", used, "one"])?;
    daemon.ok(&["images", "prune"])?.warns("--all")?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().len() == 3, "something was removed");
    daemon.ok(&["images", "prune", "--all"])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [used]);
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.ok(&["images", "prune", "--all"])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "an image is left");
    daemon.finish()
}

/// With `--output json` every word that tells something tells it in JSON.
#[test]
fn in_json() -> Result<()> {
    let daemon = gantry()?;
    daemon.import_busybox()?;
    let asked = |words: &[&str]| -> Result<Value> {
        let printed = daemon.ok(&[&["--output", "json", "images"], words].concat())?;
        serde_json::from_str(&printed.stdout).with_context(|| format!("no JSON: {printed}"))
    };
    ensure!(asked(&["label", BUSYBOX, "a=b"])? == json!({ "a": "b" }));
    let usage = asked(&["usage", BUSYBOX])?;
    ensure!(usage[0]["inodes"].is_i64() && usage.as_array().map(Vec::len) == Some(2), "{usage}");
    let shown = asked(&["inspect", "--content", BUSYBOX])?;
    ensure!(
        shown["labels"] == json!({ "a": "b" }) && shown["target"]["content"]["layers"].is_array(),
        "{shown}"
    );
    ensure!(shown["target"]["children"].as_array().map(Vec::len) == Some(3), "{shown}");
    let converted = asked(&["convert", "--oci", BUSYBOX, "x:1"])?;
    ensure!(converted == json!({ "name": "x:1", "digest": shown["target"]["digest"] }), "{converted}");
    let dir = daemon.dir().join("mounted");
    std::fs::create_dir(&dir)?;
    let mounted = asked(&["mount", BUSYBOX, &dir.to_string_lossy()])?;
    ensure!(mounted == json!({ "chainID": usage[0]["key"], "target": dir }), "{mounted}");
    daemon.ok(&["images", "unmount", "--rm", &dir.to_string_lossy()])?;
    daemon.finish()
}

/// What gantry does not offer is named, with what to do.
#[test]
fn what_is_not_offered() -> Result<()> {
    let daemon = gantry()?;
    for (words, why) in [
        (vec!["pull", "--local"], "--local is not offered: the daemon fetches"),
        (vec!["pull", "-k", "--hosts-dir", "/x"], "hosts.toml"),
        (vec!["pull", "--tlscacert", "/absent"], "find /absent: no such file or directory"),
        (vec!["pull", "--tlscert", "/absent"], "--tlskey"),
        (vec!["pull", "--http-dump"], "log level debug"),
        (vec!["pull", "--max-concurrent-downloads", "2"], "configuration"),
        (vec!["pull", "--user", "ada"], "standard input is no terminal to ask on"),
        (vec!["pull", "--user", ":x"], "NAME:PASSWORD"),
        (vec!["push", "--manifest", "sha256:00"], "sha256:00"),
        (vec!["push", "--max-concurrent-uploaded-layers", "2"], "configuration"),
    ] {
        daemon.refuses(&[&["images"], &words[..], &["127.0.0.1:1/x/y:1"]].concat(), &[why])?;
    }
    daemon.refuses(&["images", "convert", "--erofs", "raw", "a:1", "b:1"], &["--erofs is not offered"])?;
    daemon.finish()
}

/// What flags say of TLS is believed for one transfer.
#[test]
fn tls_by_flags() -> Result<()> {
    let daemon = gantry()?;
    let certificates = Certificates::make(daemon.dir())?;
    let tls = Some(certificates.clone());
    let registry = Registry::start_with(&Settings { tls, wants_certificate: true, ..Settings::default() })?;
    let reference = registry.reference("team/one:1");
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (cert, key) = (text(&certificates.certificate), text(&certificates.key));
    let shown = ["--tlscert", &cert, "--tlskey", &key];
    let authority = text(&certificates.authority);

    daemon.import_busybox()?;
    let push = |flags: &[&str]| daemon.client(&[&["images", "push"], flags, &[&reference, BUSYBOX]].concat());
    push(&[]).refuse(&["failed to do request"])?;
    push(&["-k"]).refuse(&["failed to do request"])?;
    let temporary = daemon.dir().join("temporary");
    std::fs::create_dir(&temporary)?;
    push(&[&shown[..], &["-k"]].concat()).env("TMPDIR", &temporary).succeed()?;
    let flags = [&["images", "pull"], &shown[..], &["--tlscacert", &authority, &reference]].concat();
    daemon.client(&flags).env("TMPDIR", &temporary).succeed()?;
    // The authority is the one that counts: another is not believed.
    let other = daemon.dir().join("other");
    std::fs::create_dir(&other)?;
    let lone = text(&Certificates::make_lone(&other)?.authority);
    let flags = [&["images", "pull"], &shown[..], &["--tlscacert", &lone, &reference]].concat();
    let pull = daemon.client(&flags).env("TMPDIR", &temporary);
    // A real containerd believes everybody on its own machine.
    if daemon.kind() == Kind::Gantry {
        pull.refuse(&["failed to resolve image", "tls: "])?;
    }
    ensure!(std::fs::read_dir(&temporary)?.next().is_none(), "something is left of the flags");
    daemon.finish()
}

/// A layer that is not what the config says is not converted.
#[test]
fn a_damaged_layer_is_not_converted() -> Result<()> {
    let daemon = gantry()?;
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.layers[0].diff_id = e2e::image::digest_of(b"something else");
    let path = daemon.dir().join("damaged.tar");
    recipe.bake().write(&path)?;
    daemon.ok(&["images", "import", "--no-unpack", &path.to_string_lossy()])?;
    let before = daemon.collected_census()?;
    let refused = ["images", "convert", "--uncompress", BUSYBOX, "x:1"];
    daemon.refuses(&refused, &["uncompress layer sha256:", "the image's config says"])?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines() == [BUSYBOX]);
    daemon.nothing_since(&before)?;
    daemon.finish()
}
