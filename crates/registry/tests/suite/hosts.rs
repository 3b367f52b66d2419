//! `hosts.toml`: who is asked, in which order, and what is told to whom.

use super::{Open, blob, hosts_dir, path, push, read, refusal};
use anyhow::{Result, ensure};
use e2e::registry::script::{Answer, Script};
use oci::{Descriptor, media_type};

fn manifest_of(body: &'static str) -> Answer {
    Answer::bytes(body)
        .with("Content-Type", media_type::OCI_MANIFEST)
        .with("Docker-Content-Digest", Descriptor::of("", body.as_bytes()).digest.as_str())
}

#[tokio::test]
async fn mirrors_are_asked_in_order() -> Result<()> {
    let empty = Script::start(|_| Answer::status(404))?;
    let full = Script::start(|_| manifest_of("{\"a\":1}"))?;
    let own = Script::start(|_| manifest_of("{\"b\":2}"))?;
    let dir = hosts_dir(&format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n[host.\"http://{}/own/path\"]\noverride_path = true\n\
         [host.\"http://{}/own/path\".header]\nx-mirror = \"yes\"\n",
        own.address(),
        empty.address(),
        full.address(),
        full.address()
    ))?;
    let open = || Open { host_dir: path(&dir), ..Open::of("reg.example:5000/a/b:1") };
    let found = open().open().await?.resolve().await?;
    ensure!(found == Descriptor::of(media_type::OCI_MANIFEST, b"{\"a\":1}"));
    ensure!(empty.lines() == ["HEAD /v2/a/b/manifests/1?ns=reg.example%3A5000"], "{:?}", empty.lines());
    ensure!(full.lines() == ["HEAD /own/path/a/b/manifests/1?ns=reg.example%3A5000"], "{:?}", full.lines());
    ensure!(own.lines().is_empty());
    let seen = &full.seen()[0];
    ensure!(
        seen.header("x-mirror") == "yes" && seen.header("accept").ends_with("index.v1+json, */*"),
        "{seen:?}"
    );
    Ok(())
}

#[tokio::test]
async fn hosts_do_what_they_are_for() -> Result<()> {
    let mirror = Script::start(|_| Answer::bytes("{\"a\":1}"))?;
    let own = Script::start(|asked| match asked.method.as_str() {
        "HEAD" if asked.path.contains("manifests") => manifest_of("{\"b\":2}"),
        "HEAD" => Answer::status(404),
        "POST" => Answer::status(202).with("Location", "/up"),
        _ => Answer::status(201),
    })?;
    let index = Script::start(|_| Answer::status(404))?;
    let dir = hosts_dir(&format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\ncapabilities = [\"resolve\"]\n\
         [host.\"http://{}\"]\ncapabilities = [\"pull\"]\n",
        own.address(),
        index.address(),
        mirror.address()
    ))?;
    let repository = Open { host_dir: path(&dir), ..Open::of("reg.example/a:1") }.open().await?;
    ensure!(repository.resolve().await? == Descriptor::of(media_type::OCI_MANIFEST, b"{\"b\":2}"));
    ensure!(mirror.lines().is_empty(), "a mirror that does not resolve is not asked to");
    let (layer, bytes) = blob(11);
    ensure!(read(&mut *repository.fetch(&layer, 0).await?).await? == b"{\"a\":1}");
    ensure!(mirror.lines().len() == 1);
    ensure!(index.lines().is_empty(), "who only resolves is asked for nothing that needs pulling");
    repository.push(push(&layer, &bytes, &layer.digest)).await?;
    ensure!(mirror.lines().len() == 1 && own.lines().iter().any(|line| line.starts_with("PUT /up?")));
    Ok(())
}

/// Of several failures the one that tells most is told.
#[tokio::test]
async fn which_failure_is_told() -> Result<()> {
    let nobody = e2e::registry::free_port()?;
    let absent = Script::start(|_| Answer::status(404))?;
    let broken = Script::start(|_| Answer::status(502))?;
    for (hosts, words) in [
        (vec![format!("127.0.0.1:{nobody}"), absent.address()], "reg.example/a:1: not found"),
        (vec![broken.address(), absent.address()], "502 Bad Gateway"),
        (vec![absent.address(), format!("127.0.0.1:{nobody}")], "reg.example/a:1: not found"),
    ] {
        let dir = hosts_dir(&format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", hosts[1], hosts[0]))?;
        let open = Open { host_dir: path(&dir), ..Open::of("reg.example/a:1") };
        let error = refusal(open.open().await?.resolve().await)?;
        ensure!(error.text().contains(words), "{hosts:?}: {error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_references() -> Result<()> {
    for (reference, words) in [
        ("", "hostname required"),
        ("https://h/a:1", "invalid reference"),
        ("h:1", "invalid reference"),
        ("justahost", "names a host and no repository"),
        ("h/a", "object required"),
        ("h/a@sha256:zz", "invalid checksum digest"),
        ("h/../a:1", "invalid reference"),
    ] {
        let resolved = match Open::of(reference).open().await {
            Ok(repository) => repository.resolve().await,
            Err(error) => Err(error),
        };
        let error = refusal(resolved)?;
        ensure!(error.kind() == model::Kind::InvalidArgument, "{reference}: {error:?}");
        ensure!(error.text().contains(words) && error.text().contains(reference), "{reference}: {error:?}");
    }
    Ok(())
}

/// Whoever is not the last is asked once: there is somebody else.
#[tokio::test]
async fn patience_is_for_the_last() -> Result<()> {
    let busy = Script::start(|_| Answer::status(503))?;
    let own = Script::start(|_| manifest_of("{}"))?;
    let dir =
        hosts_dir(&format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", own.address(), busy.address()))?;
    Open { host_dir: path(&dir), ..Open::of("reg.example/a:1") }.open().await?.resolve().await?;
    ensure!(busy.lines().len() == 1, "{:?}", busy.lines());
    Ok(())
}

/// A host that is named with `https` is spoken to through TLS or not at all.
#[tokio::test]
async fn https_stays_https() -> Result<()> {
    let plain = Script::start(|_| manifest_of("{}"))?;
    let dir = hosts_dir(&format!("server = \"https://{}\"\n", plain.address()))?;
    let open = Open { host_dir: path(&dir), ..Open::of("reg.example/a:1") };
    let error = refusal(open.open().await?.resolve().await)?;
    ensure!(error.text().contains("server gave HTTP response to HTTPS client"), "{error:?}");
    ensure!(plain.lines().is_empty(), "{:?}", plain.lines());
    Ok(())
}
