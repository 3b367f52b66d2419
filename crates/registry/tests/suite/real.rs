//! Debian's registry: there and back, plain and through TLS, with passwords and with tokens.

use super::{Open, ada, blob, hosts_dir, manifest, path, push, read, refusal};
use anyhow::{Result, ensure};
use e2e::registry::realm::{Realm, Ways};
use e2e::registry::{Certificates, Registry, Settings};
use model::registries::{Credential, Pushed, Repository};
use oci::{Descriptor, media_type};
use std::sync::Arc;

/// Brings an image of one layer to a repository.
async fn bring(repository: &dyn Repository) -> Result<(Descriptor, Descriptor, Vec<u8>)> {
    let (layer, bytes) = blob(1);
    let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
    let (root, json) = manifest(&config, &layer);
    for (descriptor, bytes) in [(&layer, &bytes[..]), (&config, b"{}"), (&root, &json)] {
        let pushing = push(descriptor, bytes, &root.digest);
        ensure!(repository.push(pushing.clone()).await? == Pushed::Sent, "{descriptor:?}");
        ensure!(pushing.sent.get() == bytes.len() as u64, "{} of {}", pushing.sent.get(), bytes.len());
        ensure!(repository.push(pushing).await? == Pushed::Exists, "{descriptor:?} again");
    }
    Ok((root, layer, bytes))
}

#[tokio::test]
async fn there_and_back() -> Result<()> {
    let registry = Registry::start()?;
    let repository = Open::of(registry.reference("a/b:1")).open().await?;
    let (root, layer, bytes) = bring(&*repository).await?;
    ensure!(repository.resolve().await? == root);
    let by_digest = Open::of(registry.reference(&format!("a/b@{}", root.digest))).open().await?;
    ensure!(by_digest.resolve().await? == root);
    ensure!(read(&mut *repository.fetch(&root, 0).await?).await?.len() as i64 == root.size);
    for offset in [0, 1, 700_000, bytes.len() - 1] {
        let got = read(&mut *by_digest.fetch(&layer, offset as u64).await?).await?;
        ensure!(got == bytes[offset..], "from {offset}: {} bytes", got.len());
    }
    ensure!(repository.source() == ("containerd.io/distribution.source.127.0.0.1".into(), "a/b".into()));
    Ok(())
}

#[tokio::test]
async fn what_is_absent() -> Result<()> {
    let registry = Registry::start()?;
    let reference = registry.reference("a/b:1");
    let repository = Open::of(&reference).open().await?;
    let error = refusal(repository.resolve().await)?;
    ensure!(error.is_not_found() && error.text() == format!("{reference}: not found"), "{error:?}");
    let (layer, _) = blob(2);
    let error = refusal(repository.fetch(&layer, 0).await)?;
    let text = format!(
        "could not fetch content descriptor {} ({}) from remote: not found",
        layer.digest, layer.media_type
    );
    ensure!(error.is_not_found() && error.text() == text, "{error:?}");
    let nobody = e2e::registry::free_port()?;
    let error = refusal(Open::of(format!("127.0.0.1:{nobody}/a/b:1")).open().await?.resolve().await)?;
    for words in [
        "failed to do request: Head \"http",
        &format!("dial tcp 127.0.0.1:{nobody}: connect: connection refused"),
    ] {
        ensure!(error.text().contains(words), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_neighbour_has_it() -> Result<()> {
    let registry = Registry::start()?;
    let first = Open::of(registry.reference("team/one:1")).open().await?;
    let (root, layer, bytes) = bring(&*first).await?;
    let second = Open::of(registry.reference("team/two:1")).open().await?;
    let mut pushing = push(&layer, &bytes, &root.digest);
    let (key, _) = second.source();
    pushing.labels.insert(key, "other/x,team/one".into());
    ensure!(second.push(pushing.clone()).await? == Pushed::Mounted && pushing.sent.get() == 0);
    // What a neighbour was wrongly said to have is sent.
    let (other, bytes) = blob(3);
    let mut pushing = push(&other, &bytes, &root.digest);
    pushing.labels.insert(second.source().0, "team/none".into());
    ensure!(second.push(pushing).await? == Pushed::Sent);
    Ok(())
}

#[tokio::test]
async fn through_tls() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let certificates = Certificates::make(dir.path())?;
    let settings =
        Settings { tls: Some(certificates.clone()), wants_certificate: true, ..Settings::default() };
    let registry = Registry::start_with(&settings)?;
    let reference = registry.reference("a/b:1");
    let Certificates { authority, certificate, key } = &certificates;
    let pair = format!("client = [[{certificate:?}, {key:?}]]\n");
    let known = hosts_dir(&format!("ca = {authority:?}\nskip_verify = false\n{pair}"))?;
    let repository = Open { host_dir: path(&known), ..Open::of(&reference) }.open().await?;
    let (root, ..) = bring(&*repository).await?;
    ensure!(repository.resolve().await? == root);

    let stranger = hosts_dir(&format!("skip_verify = false\n{pair}"))?;
    let https = |dir: &tempfile::TempDir| Open {
        host_dir: path(dir),
        default_scheme: "https".into(),
        ..Open::of(&reference)
    };
    let error = refusal(https(&stranger).open().await?.resolve().await)?;
    ensure!(error.text().contains("x509: certificate signed by unknown authority"), "{error:?}");
    let believing = hosts_dir(&format!("skip_verify = true\n{pair}"))?;
    ensure!(https(&believing).open().await?.resolve().await? == root);
    let nameless = hosts_dir(&format!("ca = {authority:?}\nskip_verify = false\n"))?;
    let error = refusal(https(&nameless).open().await?.resolve().await)?;
    ensure!(error.text().contains("failed to do request"), "{error:?}");
    Ok(())
}

/// The certificate of a registry that signed itself is its own authority.
#[tokio::test]
async fn a_lone_certificate() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let certificates = Certificates::make_lone(dir.path())?;
    let registry =
        Registry::start_with(&Settings { tls: Some(certificates.clone()), ..Settings::default() })?;
    let known = hosts_dir(&format!("ca = {:?}\nskip_verify = false\n", certificates.authority))?;
    let open = |reference: String| Open {
        host_dir: path(&known),
        default_scheme: "https".into(),
        ..Open::of(reference)
    };
    let repository = open(registry.reference("a/b:1")).open().await?;
    let (root, ..) = bring(&*repository).await?;
    ensure!(repository.resolve().await? == root);
    // Its names still count.
    let wrong = registry.reference("a/b:1").replace("127.0.0.1", "0.0.0.0");
    let error = refusal(open(wrong).open().await?.resolve().await)?;
    ensure!(error.text().contains("certificate is valid for other names"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn passwords() -> Result<()> {
    let registry = Registry::start_with(&Settings { passwords: true, ..Settings::default() })?;
    let reference = registry.reference("a/b:1");
    let (open, answering) = Open::of(&reference).answering(ada());
    let repository = open.open().await?;
    let (root, ..) = bring(&*repository).await?;
    ensure!(repository.resolve().await? == root);
    let asked = answering.asked();
    ensure!(
        asked.len() == 1 && asked[0].host == registry.address() && asked[0].reference == reference,
        "{asked:?}"
    );
    ensure!(asked[0].challenges[0].starts_with("Basic realm="), "{asked:?}");

    let wrong = Credential::Basic { username: "ada".into(), secret: "wrong".into() };
    for (credential, words) in [
        (Some(wrong), "401 Unauthorized"),
        (Some(Credential::None), "no basic auth credentials"),
        (Some(Credential::Header("Basic bm90OmtuB3du".into())), "401 Unauthorized"),
        (None, "unexpected status from HEAD request to http"),
    ] {
        let open = Open::of(&reference);
        let open = match credential {
            Some(credential) => open.answering(credential).0,
            None => open,
        };
        let error = refusal(open.open().await?.resolve().await)?;
        ensure!(error.text().contains(words) && error.kind() == model::Kind::Unknown, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn tokens() -> Result<()> {
    for ways in [Ways::Both, Ways::Get] {
        let realm = Realm::start(ways)?;
        let settings = Settings { tokens: Some(realm.settings()), ..Settings::default() };
        let registry = Registry::start_with(&settings)?;
        let (open, _) = Open::of(registry.reference("open/b:1")).answering(ada());
        let repository = open.open().await?;
        let (root, layer, bytes) = bring(&*repository).await?;
        let before = realm.seen().len();
        ensure!(before <= 3, "tokens are kept: {:?}", realm.seen());
        // Anybody may read there, and nowhere else.
        let anybody: Arc<dyn Repository> = Open::of(registry.reference("open/b:1")).open().await?;
        ensure!(anybody.resolve().await? == root);
        ensure!(read(&mut *anybody.fetch(&layer, 0).await?).await? == bytes);
        let asked = realm.seen().split_off(before);
        ensure!(asked.len() == 1, "one token for one set of scopes: {asked:?}");
        let words = ["service=tests.registry", "scope=repository%3Aopen%2Fb%3Apull"];
        ensure!(words.iter().all(|w| asked[0].path.contains(w)), "{asked:?}");

        let closed = Open::of(registry.reference("closed/b:1"));
        let error = refusal(closed.open().await?.resolve().await)?;
        let words = "pull access denied, repository does not exist or may require authorization: \
                     server message: insufficient_scope: authorization failed";
        ensure!(error.text() == words, "{error:?}");
        let pushing = push(&layer, &bytes, &root.digest);
        let other = Open::of(registry.reference("open/c:1")).open().await?;
        ensure!(other.push(pushing).await.is_err(), "nobody may write unknown");

        let wrong = Credential::Basic { username: "ada".into(), secret: "wrong".into() };
        let (open, _) = Open::of(registry.reference("open/b:1")).answering(wrong);
        let error = refusal(open.open().await?.resolve().await)?;
        for words in ["failed to authorize: failed to fetch oauth token", "401 Unauthorized"] {
            ensure!(error.text().contains(words), "{error:?}");
        }
    }
    Ok(())
}
