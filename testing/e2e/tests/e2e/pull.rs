//! Registries: images come from them and go to them, over good lines and bad ones, from honest ones and liars.
//!
//! With the real `ctr` only: the registry's words are the subject here, not the client's.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::program::DEADLINE;
use e2e::registry::realm::{Realm, Ways};
use e2e::registry::script::{Answer, Asked, Script};
use e2e::registry::wire::Wire;
use e2e::registry::{Certificates, PASSWORD, Registry, Settings, USERNAME};
use e2e::samples::{self, BUSYBOX};
use e2e::tar::Tar;
use e2e::{Archive, Client, Daemon, Follower, Kind, Layer};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn daemon() -> Result<Daemon> {
    crate::start(Client::Ctr)
}

/// Bytes that do not pack.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(step).collect()
}

/// Busybox and a layer of noise.
fn heavy(length: usize) -> Result<Archive> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.layers.push(Layer::gzip(Tar::new().file("var/log/noise", 0o644, noise(length, 7)))?);
    Ok(recipe.bake())
}

fn nothing_came_of_it(daemon: &Daemon) -> Result<()> {
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "an image came of it");
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty(), "a snapshot is left");
    Ok(())
}

/// Pull, run, push elsewhere, pull again: the same image.
#[test]
fn there_and_back() -> Result<()> {
    let (daemon, registry) = (daemon()?, Registry::start()?);
    let archive = samples::busybox(BUSYBOX)?;
    registry.fill(&archive, "team/one:1")?;
    let (one, two) = (registry.reference("team/one:1"), registry.reference("team/two:2"));
    let pulled = daemon.ok(&["images", "pull", &one])?;
    pulled.says(&["Pulling from OCI Registry", "extracted", "saved"])?;
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    let content = daemon.ok(&["content", "ls"])?;
    for blob in &archive.blobs {
        let row =
            content.lines().into_iter().find(|l| l.starts_with(&blob.digest)).context("a blob is missing")?;
        ensure!(row.contains("containerd.io/distribution.source.127.0.0.1=team/one"), "{row}");
    }
    daemon.ok(&["run", "--rm", &one, "pulled", "cat", "/etc/gantry-release"])?.says(&[samples::RELEASE])?;
    daemon.ok(&["images", "pull", &one])?.says(&["already exists"])?;

    daemon.ok(&["images", "tag", &one, &two])?;
    daemon.ok(&["images", "push", &two])?;
    let manifest = registry.get("/v2/team/two/manifests/2")?;
    ensure!(
        Some(e2e::image::digest_of(manifest.as_bytes()).as_str()) == archive.manifest()["digest"].as_str()
    );
    daemon.ok(&["images", "push", &two])?.says(&["already exists"])?;
    daemon.ok(&["images", "rm", "--sync", &one, &two])?;
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default();
    let by_digest = registry.reference(&format!("team/two@{digest}"));
    daemon.ok(&["images", "pull", &by_digest])?;
    daemon.ok(&["run", "--rm", &by_digest, "again", "true"])?;
    daemon.finish()
}

/// The client fetches and sends by itself.
#[test]
fn with_a_client_that_does_it_itself() -> Result<()> {
    let (daemon, registry) = (daemon()?, Registry::start()?);
    registry.fill(&samples::busybox(BUSYBOX)?, "team/one:1")?;
    let (one, two) = (registry.reference("team/one:1"), registry.reference("team/two:2"));
    daemon.ok(&["images", "pull", "--local", "--plain-http", &one])?;
    daemon.ok(&["run", "--rm", &one, "pulled", "true"])?;
    daemon.ok(&["images", "push", "--local", "--plain-http", &two, &one])?;
    ensure!(registry.get("/v2/team/two/tags/list")?.contains("\"2\""));
    daemon.finish()
}

/// TLS, the hosts directory and tokens; who shows nothing or the wrong thing gets nothing.
#[test]
fn tls_and_tokens() -> Result<()> {
    let daemon = daemon()?;
    let certificates = Certificates::make(daemon.dir())?;
    let realm = Realm::start(Ways::Both)?;
    let settings =
        Settings { tls: Some(certificates.clone()), tokens: Some(realm.settings()), ..Settings::default() };
    let registry = Registry::start_with(&settings)?;
    let hosts = daemon.dir().join("hosts");
    std::fs::create_dir_all(hosts.join(registry.address()))?;
    let text = format!("skip_verify = false\nca = {:?}\n", certificates.authority);
    std::fs::write(hosts.join(registry.address()).join("hosts.toml"), text)?;
    let hosts = hosts.to_string_lossy().into_owned();
    let ada = format!("{USERNAME}:{PASSWORD}");

    daemon.import(&samples::busybox(BUSYBOX)?)?;
    let reference = registry.reference("closed/one:1");
    daemon.ok(&["images", "tag", BUSYBOX, &reference])?;
    daemon.ok(&["images", "push", "--hosts-dir", &hosts, "--user", &ada, &reference])?;
    daemon.ok(&["images", "rm", "--sync", BUSYBOX, &reference])?;
    let pull =
        |user: &str| daemon.client(&["images", "pull", "--hosts-dir", &hosts, "--user", user, &reference]);
    pull("ada:wrong").refuse(&["failed to fetch oauth token", "401 Unauthorized"])?;
    daemon.refuses(
        &["images", "pull", "--hosts-dir", &hosts, &reference],
        &["failed to resolve image", "pull access denied", "authorization failed"],
    )?;
    daemon.refuses(
        &["images", "pull", "--user", &ada, &registry.reference("x/y:1")],
        &["failed to resolve image"],
    )?;
    nothing_came_of_it(&daemon)?;
    pull(&ada).succeed()?;
    daemon.ok(&["run", "--rm", &reference, "pulled", "true"])?;
    daemon.finish()
}

#[test]
fn passwords() -> Result<()> {
    let (daemon, registry) =
        (daemon()?, Registry::start_with(&Settings { passwords: true, ..Settings::default() })?);
    registry.fill(&samples::busybox(BUSYBOX)?, "team/one:1")?;
    let reference = registry.reference("team/one:1");
    let pull = |user: &str| daemon.client(&["images", "pull", "--user", user, &reference]);
    pull("ada:wrong").refuse(&["failed to resolve image", "401 Unauthorized"])?;
    daemon.refuses(&["images", "pull", &reference], &["no basic auth credentials"])?;
    nothing_came_of_it(&daemon)?;
    pull(&format!("{USERNAME}:{PASSWORD}")).succeed()?;
    daemon.ok(&["run", "--rm", &reference, "pulled", "true"])?;
    daemon.finish()
}

/// How many bytes of blobs the daemon has on its disk, finished or not.
fn on_disk(daemon: &Daemon) -> Result<usize> {
    let content = daemon.dir().join("root/io.containerd.content.v1.content");
    let list = |what: &str| -> Result<Vec<std::path::PathBuf>> {
        match std::fs::read_dir(content.join(what)) {
            Ok(found) => Ok(found.flatten().map(|entry| entry.path()).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e.into()),
        }
    };
    let ingests = list("ingest")?.into_iter().map(|ingest| ingest.join("data"));
    let files = ingests.chain(list("blobs/sha256")?);
    Ok(files.filter_map(|file| std::fs::metadata(file).ok()).map(|data| data.len() as usize).sum())
}

/// Waits until the daemon has so many bytes of blobs.
fn arrived(daemon: &Daemon, bytes: usize) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while on_disk(daemon)? < bytes {
        ensure!(Instant::now() < end, "not {bytes} bytes on the disk");
        std::thread::yield_now();
    }
    Ok(())
}

/// The daemon is killed in the middle of a blob: the next pull fetches what is missing and not much more.
#[test]
fn a_killed_daemon_resumes() -> Result<()> {
    const SIZE: usize = 24 << 20;
    let (mut daemon, registry) = (daemon()?, Registry::start()?);
    let archive = heavy(SIZE)?;
    let total: usize = archive.blobs.iter().map(|blob| blob.bytes.len()).sum();
    registry.fill(&archive, "team/heavy:1")?;
    let wire = Wire::to(&registry.address())?;
    let reference = format!("{}/team/heavy:1", wire.address());
    wire.limit(Some(SIZE * 2 / 3));
    let pulling = Follower::spawn(daemon.client(&["images", "pull", &reference]))?;
    wire.wait_until_it_stands()?;
    arrived(&daemon, wire.carried().saturating_sub(4 << 20))?;
    // A blob that lies there without a name yet would be fetched again.
    let late = Instant::now() + DEADLINE;
    while daemon.ok(&["content", "ls", "-q"])?.lines().len() < archive.blobs.len() - 1 {
        ensure!(Instant::now() < late, "the smaller blobs do not come");
    }
    daemon.kill9()?;
    ensure!(pulling.finish()? != 0, "the client noticed nothing");
    let (before, kept) = (wire.carried(), on_disk(&daemon)?);
    daemon.launch()?;
    ensure!(daemon.ok(&["images", "ls", "-q"])?.lines().is_empty(), "half an image");
    wire.limit(None);
    daemon.ok(&["images", "pull", &reference])?;
    let again = wire.carried() - before;
    println!("{before} bytes before the kill, {kept} of them on the disk, {again} after it, of {total}");
    // Headers and the digests of documents are asked for again, nothing else that was on the disk.
    ensure!(
        again < total - kept + (64 << 10),
        "{kept} bytes were on the disk, {again} of {total} came again"
    );
    daemon.ok(&["images", "check"])?.says(&["complete (4/4)", "true"])?;
    let sum = daemon.ok(&["run", "--rm", &reference, "whole", "sha256sum", "/var/log/noise"])?;
    let expected = e2e::image::digest_of(&noise(SIZE, 7));
    ensure!(expected.ends_with(sum.stdout.split(' ').next().unwrap_or("nothing")), "{sum}");
    daemon.ok(&["images", "rm", "--sync", &reference])?;
    daemon.finish()
}

/// Layers become snapshots while later ones are still on their way.
#[test]
fn unpacked_while_it_arrives() -> Result<()> {
    const SIZE: usize = 12 << 20;
    let (daemon, registry) = (daemon()?, Registry::start()?);
    registry.fill(&heavy(SIZE)?, "team/heavy:1")?;
    let wire = Wire::to(&registry.address())?;
    wire.limit(Some(SIZE / 2));
    let reference = format!("{}/team/heavy:1", wire.address());
    let pulling = Follower::spawn(daemon.client(&["images", "pull", &reference]))?;
    wire.wait_until_it_stands()?;
    let committed = || -> Result<usize> {
        let listed = daemon.ok(&["snapshots", "ls"])?;
        Ok(listed.rows().iter().filter(|row| row.last() == Some(&"Committed")).count())
    };
    let end = Instant::now() + DEADLINE;
    while committed()? < 2 {
        ensure!(Instant::now() < end, "the lower two layers are here and not unpacked");
    }
    wire.limit(None);
    ensure!(pulling.finish()? == 0 && committed()? == 3);
    daemon.ok(&["run", "--rm", &reference, "whole", "true"])?;
    daemon.finish()
}

/// Two clients want the same image at the same time: it is fetched once.
#[test]
fn two_at_once() -> Result<()> {
    const SIZE: usize = 8 << 20;
    let (daemon, registry) = (daemon()?, Registry::start()?);
    registry.fill(&heavy(SIZE)?, "team/heavy:1")?;
    let wire = Wire::to(&registry.address())?;
    let reference = format!("{}/team/heavy:1", wire.address());
    wire.limit(Some(SIZE / 2));
    let first = Follower::spawn(daemon.client(&["images", "pull", &reference]))?;
    wire.wait_until_it_stands()?;
    let before = wire.connections();
    let second = Follower::spawn(daemon.client(&["images", "pull", &reference]))?;
    wire.wait_for_connections(before + 1)?;
    wire.limit(None);
    ensure!(first.finish()? == 0 && second.finish()? == 0, "a pull failed");
    let carried = wire.carried();
    ensure!(carried < SIZE + (6 << 20), "{carried} bytes came");
    daemon.ok(&["run", "--rm", &reference, "whole", "true"])?;
    daemon.finish()
}

/// A client that goes away in the middle holds nothing up: the next one goes on where it was.
#[test]
fn a_client_that_goes_away() -> Result<()> {
    const SIZE: usize = 12 << 20;
    let (daemon, registry) = (daemon()?, Registry::start()?);
    registry.fill(&heavy(SIZE)?, "team/heavy:1")?;
    let wire = Wire::to(&registry.address())?;
    wire.limit(Some(SIZE / 2));
    let reference = format!("{}/team/heavy:1", wire.address());
    let pulling = Follower::spawn(daemon.client(&["images", "pull", &reference]))?;
    wire.wait_until_it_stands()?;
    arrived(&daemon, wire.carried().saturating_sub(4 << 20))?;
    pulling.kill()?;
    daemon.collected_census()?;
    wire.limit(None);
    daemon.ok(&["images", "pull", &reference])?;
    ensure!(wire.carried() < SIZE + (6 << 20), "{} bytes came", wire.carried());
    daemon.ok(&["run", "--rm", &reference, "whole", "true"])?;
    daemon.finish()
}

/// A registry that has one archive under every tag; `bend` may change each answer.
fn serve(
    archive: Archive,
    bend: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static,
) -> Result<Script> {
    let root = archive.manifest().clone();
    Script::start(move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let (kind, object) = path.rsplit_once('/').unwrap_or_default();
        let by_tag = kind.ends_with("manifests") && !object.contains(':');
        let digest = if by_tag { root["digest"].as_str().unwrap_or_default() } else { object };
        let answer = match archive.blobs.iter().find(|blob| blob.digest == digest) {
            None => Answer::status(404),
            Some(blob) => {
                let answer = Answer::bytes(&blob.bytes[..]).with("Docker-Content-Digest", digest);
                match serde_json::from_slice::<Value>(&blob.bytes) {
                    Ok(json) => answer.with("Content-Type", json["mediaType"].as_str().unwrap_or("a/b")),
                    Err(_) => answer,
                }
            }
        };
        bend(asked, answer)
    })
}

/// Pulls from a registry that lies and insists on a refusal that leaves nothing.
fn refused(archive: Archive, bend: fn(&Asked, Answer) -> Answer, words: &[&str]) -> Result<()> {
    let daemon = daemon()?;
    let before = daemon.census();
    let script = serve(archive, bend)?;
    let reference = format!("{}/liar/image:1", script.address());
    daemon.refuses(&["images", "pull", &reference], words)?;
    // What was fetched before the refusal is rubbish: the next collection takes it. (A containerd sometimes keeps an
    // ingest.)
    if daemon.kind() == Kind::Gantry {
        daemon.nothing_since(&before)?;
    }
    nothing_came_of_it(&daemon)?;
    daemon.ok(&["content", "ls"])?;
    daemon.finish()
}

/// Only layers are asked for with their own type.
fn is_layer(asked: &Asked) -> bool {
    asked.method == "GET" && asked.header("accept").contains("image.layer.v1.tar")
}

#[test]
fn other_bytes() -> Result<()> {
    let bend = |asked: &Asked, mut answer: Answer| {
        if let (true, Some(byte)) = (is_layer(asked), answer.body.first_mut()) {
            *byte ^= 1;
        }
        answer
    };
    refused(samples::busybox(BUSYBOX)?, bend, &["unexpected commit digest sha256:", "expected sha256:"])
}

#[test]
fn too_few_bytes() -> Result<()> {
    let bend = |asked: &Asked, mut answer: Answer| {
        if is_layer(asked) {
            answer.body.pop();
        }
        answer
    };
    refused(samples::busybox(BUSYBOX)?, bend, &["short read: expected", "unexpected EOF"])
}

#[test]
fn too_many_bytes() -> Result<()> {
    let bend = |asked: &Asked, mut answer: Answer| {
        if is_layer(asked) {
            answer.body.extend_from_slice(b"and more");
        }
        answer
    };
    refused(samples::busybox(BUSYBOX)?, bend, &["failed size validation"])
}

#[test]
fn a_line_that_always_breaks() -> Result<()> {
    let bend = |asked: &Asked, answer: Answer| match is_layer(asked) {
        true => Answer { cut: Some(20), ..answer },
        false => answer,
    };
    refused(samples::busybox(BUSYBOX)?, bend, &["unexpected EOF"])
}

#[test]
fn an_absent_layer() -> Result<()> {
    let bend = |asked: &Asked, answer: Answer| if is_layer(asked) { Answer::status(404) } else { answer };
    refused(samples::busybox(BUSYBOX)?, bend, &["could not fetch content descriptor sha256:", "not found"])
}

#[test]
fn a_registry_that_is_ill() -> Result<()> {
    let bend = |asked: &Asked, answer: Answer| if is_layer(asked) { Answer::status(500) } else { answer };
    refused(
        samples::busybox(BUSYBOX)?,
        bend,
        &["unexpected status from GET request to http", "500 Internal Server Error"],
    )
}

#[test]
fn a_registry_that_is_dead() -> Result<()> {
    refused(
        samples::busybox(BUSYBOX)?,
        |_, _| Answer::status(503),
        &["failed to resolve image", "503 Service Unavailable"],
    )
}

#[test]
fn a_missing_image() -> Result<()> {
    refused(
        samples::busybox(BUSYBOX)?,
        |_, _| Answer::status(404),
        &["failed to resolve image", "/liar/image:1: not found"],
    )
}

#[test]
fn a_wrong_diff_id() -> Result<()> {
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.layers[1].diff_id = e2e::image::digest_of(b"something else");
    refused(recipe.bake(), |_, answer| answer, &["wrong diff id"])
}

#[test]
fn a_manifest_that_is_none() -> Result<()> {
    let bend = |asked: &Asked, answer: Answer| match asked.path.contains("/manifests/") {
        true => Answer { body: b"<html>".to_vec(), ..answer },
        false => answer,
    };
    let archive = samples::busybox(BUSYBOX)?;
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default().to_owned();
    let other = e2e::image::digest_of(b"<html>");
    let words =
        [format!("manifest-{digest}"), format!("unexpected commit digest {other}, expected {digest}")];
    refused(archive, bend, &[&words[0], &words[1]])
}

/// Asked for one digest, the registry gives another manifest, sound in itself: who named a digest gets that or nothing.
#[test]
fn another_manifest_than_the_one_named() -> Result<()> {
    let daemon = daemon()?;
    let before = daemon.census();
    let named = samples::busybox(BUSYBOX)?;
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.layers.truncate(1);
    let mut other = recipe.bake();
    let digests = [&named, &other].map(|a| a.manifest()["digest"].as_str().unwrap_or_default().to_owned());
    let body = other.blobs.pop().context("the manifest is last")?.bytes;
    let path = format!("/manifests/{}", digests[0]);
    let mut both = named;
    both.blobs.extend(other.blobs);
    let script = serve(both, move |asked, answer| match asked.path.contains(&path) {
        true => Answer { body: body.clone(), headers: Vec::new(), ..answer }
            .with("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
        false => answer,
    })?;
    let reference = format!("{}/liar/image@{}", script.address(), digests[0]);
    let words = format!("unexpected commit digest {}, expected {}", digests[1], digests[0]);
    daemon.refuses(&["images", "pull", &reference], &[&words])?;
    if daemon.kind() == Kind::Gantry {
        daemon.nothing_since(&before)?;
    }
    nothing_came_of_it(&daemon)?;
    daemon.finish()
}

/// A registry that takes a request and says nothing: other requests go on, and the client may leave.
#[test]
fn a_registry_that_is_silent() -> Result<()> {
    let daemon = daemon()?;
    daemon.import_busybox()?;
    let before = daemon.census();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let (asked, was_asked) = std::sync::mpsc::channel();
    let ends = std::sync::Mutex::new(ends);
    let script = Script::start(move |_| {
        let _ = asked.send(());
        // Until the test is done with it.
        let _ = ends.lock().map(|ends| ends.recv());
        Answer::status(500)
    })?;
    let reference = format!("{}/silent/image:1", script.address());
    let pulling = daemon.follow(&["images", "pull", &reference])?;
    was_asked.recv_timeout(e2e::program::DEADLINE).context("nobody asks the registry")?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.ok(&["images", "tag", BUSYBOX, "other:1"])?;
    daemon.ok(&["images", "rm", "other:1"])?;
    daemon.ok(&["content", "ls"])?;
    pulling.kill()?;
    drop(end);
    daemon.nothing_since(&before)?;
    daemon.finish()
}

/// A config that is said to be larger than any config is not even asked for.
#[test]
fn a_huge_config() -> Result<()> {
    let mut archive = samples::busybox(BUSYBOX)?;
    let manifest = archive.blobs.last_mut().context("the manifest is last")?;
    let mut json: Value = serde_json::from_slice(&manifest.bytes)?;
    json["config"]["size"] = json!(1u64 << 40);
    manifest.bytes = json.to_string().into_bytes();
    manifest.digest = e2e::image::digest_of(&manifest.bytes);
    archive.index["manifests"][0]["digest"] = json!(manifest.digest);
    refused(archive, |_, answer| answer, &["config-sha256:", "1099511627776 bytes"])
}

/// An index of two platforms: one is fetched unless all are asked for.
#[test]
fn platforms() -> Result<()> {
    let daemon = daemon()?;
    let own = samples::busybox(BUSYBOX)?;
    let mut recipe = samples::busybox_recipe(BUSYBOX)?;
    recipe.platform = ("linux", "s390x");
    recipe.layers.push(Layer::plain(Tar::new().file("etc/other", 0o644, "other")));
    let other = recipe.bake();
    let entries = [own.manifest(), other.manifest()].map(|entry| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({});
        entry
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let digest = e2e::image::digest_of(index.as_bytes());
    let layer_of_other = other.blobs[2].digest.clone();
    let manifest_of_other = other.manifest()["digest"].as_str().unwrap_or_default().to_owned();
    let mut both = own;
    both.blobs.extend(other.blobs);
    both.blobs.push(e2e::image::Blob { digest: digest.clone(), bytes: index.into_bytes() });
    both.index["manifests"][0] = json!({ "digest": digest, "mediaType": INDEX });
    let script = serve(both, |_, answer| answer)?;
    let reference = format!("{}/two/platforms:1", script.address());

    daemon.ok(&["images", "pull", "--skip-metadata", &reference])?;
    let content = daemon.ok(&["content", "ls", "-q"])?;
    ensure!(!content.stdout.contains(&manifest_of_other), "nobody asked for it: {content}");
    ensure!(daemon.ok(&["images", "ls"])?.row(&reference)?[2] == digest);
    daemon.ok(&["run", "--rm", &reference, "own", "true"])?;

    daemon.ok(&["images", "pull", &reference])?;
    let content = daemon.ok(&["content", "ls", "-q"])?;
    ensure!(content.stdout.contains(&manifest_of_other), "metadata of all platforms: {content}");
    ensure!(!content.stdout.contains(&layer_of_other), "but no layers: {content}");

    daemon.ok(&["images", "pull", "--platform", "linux/s390x", &reference])?;
    ensure!(daemon.ok(&["content", "ls", "-q"])?.stdout.contains(&layer_of_other), "the platform asked for");
    let asked = script.lines().iter().filter(|l| l.contains(&layer_of_other)).count();
    ensure!(asked == 1, "{:?}", script.lines());
    daemon.ok(&["images", "rm", "--sync", &reference])?;
    ensure!(daemon.ok(&["content", "ls", "-q"])?.lines().is_empty(), "content is left");
    daemon.finish()
}

/// A repository behind a mirror: the mirror is asked, and told for whom.
#[test]
fn a_mirror() -> Result<()> {
    let daemon = daemon()?;
    let script = serve(samples::busybox(BUSYBOX)?, |_, answer| answer)?;
    let hosts = daemon.dir().join("hosts/_default");
    std::fs::create_dir_all(&hosts)?;
    let nobody = e2e::registry::free_port()?;
    let text = format!("server = \"http://127.0.0.1:{nobody}\"\n[host.\"http://{}\"]\n", script.address());
    std::fs::write(hosts.join("hosts.toml"), text)?;
    let dir = daemon.dir().join("hosts");
    daemon.ok(&["images", "pull", "--hosts-dir", &dir.to_string_lossy(), BUSYBOX])?;
    ensure!(script.lines().iter().all(|line| line.ends_with("?ns=example.org")), "{:?}", script.lines());
    let manifest = daemon.ok(&["content", "ls"])?;
    ensure!(
        manifest.stdout.contains("containerd.io/distribution.source.example.org=gantry/busybox"),
        "{manifest}"
    );
    daemon.ok(&["run", "--rm", BUSYBOX, "mirrored", "true"])?;
    daemon.finish()
}
