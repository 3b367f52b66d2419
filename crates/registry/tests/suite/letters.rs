//! The letters on the wire: what exactly is asked, so that registries that know containerd know us.

use super::{Open, refusal};
use anyhow::{Result, ensure};
use e2e::registry::script::{Answer, Script};
use oci::{Descriptor, Digest, media_type};

#[tokio::test]
async fn resolving() -> Result<()> {
    let script = Script::start(|_| Answer::status(404))?;
    let digest = Digest::of(b"x");
    for (object, lines) in [
        (":tag".to_owned(), vec!["HEAD /v2/a/b/manifests/tag".to_owned()]),
        (
            format!("@{digest}"),
            vec![format!("HEAD /v2/a/b/manifests/{digest}"), format!("HEAD /v2/a/b/blobs/{digest}")],
        ),
        (
            format!(":tag@{digest}"),
            vec![format!("HEAD /v2/a/b/manifests/{digest}"), format!("HEAD /v2/a/b/blobs/{digest}")],
        ),
    ] {
        let before = script.lines().len();
        refusal(Open::of(format!("{}/a/b{object}", script.address())).open().await?.resolve().await)?;
        ensure!(script.lines()[before..] == lines, "{object}: {:?}", script.lines());
    }
    Ok(())
}

#[tokio::test]
async fn fetching() -> Result<()> {
    let script = Script::start(|asked| match asked.path.as_str() {
        "/foreign/layer" => Answer::bytes("foreign"),
        _ => Answer::status(404),
    })?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    let digest = Digest::of(b"x");
    for (media_type, kind) in [
        (media_type::OCI_MANIFEST, "manifests"),
        (media_type::DOCKER_MANIFEST_LIST, "manifests"),
        (media_type::OCI_CONFIG, "blobs"),
        (media_type::OCI_LAYER_GZIP, "blobs"),
        ("", "blobs"),
    ] {
        let before = script.seen().len();
        refusal(repository.fetch(&Descriptor::new(media_type, digest.clone(), 1), 0).await)?;
        let seen = script.seen().split_off(before);
        ensure!(seen[0].line() == format!("GET /v2/a/{kind}/{digest}"), "{seen:?}");
        let accept = if media_type.is_empty() { "*/*".to_owned() } else { format!("{media_type}, */*") };
        ensure!(seen[0].header("accept") == accept && seen[0].header("range").is_empty(), "{seen:?}");
    }
    let mut foreign = Descriptor::new(media_type::OCI_LAYER, digest, 7);
    foreign.urls = vec!["ftp://x/y".into(), format!("http://{}/foreign/layer", script.address())];
    let mut body = repository.fetch(&foreign, 0).await?;
    ensure!(super::read(&mut *body).await? == b"foreign");
    let named = Open { headers: [("x-mine".into(), "1".into())].into(), ..Open::of("127.0.0.1:1/a:1") };
    named.open().await?.fetch(&foreign, 0).await?;
    let seen = script.seen().pop().unwrap_or_default();
    ensure!(seen.path == "/foreign/layer" && seen.header("x-mine").is_empty(), "{seen:?}");
    Ok(())
}
