//! Connections that break, answers that are refused at first, and registries that cannot do everything.

use super::{Open, blob, push, read, refusal};
use anyhow::{Result, ensure};
use e2e::registry::script::{Answer, Asked, Script};
use model::registries::Pushed;
use oci::{Descriptor, Digest, media_type};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer that knows ranges.
fn ranged(asked: &Asked, bytes: &[u8]) -> Answer {
    match asked.range() {
        Some(from) => Answer { status: 206, ..Answer::bytes(&bytes[from..]) }
            .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        None => Answer::bytes(bytes),
    }
}

#[tokio::test]
async fn a_broken_download_goes_on() -> Result<()> {
    let (layer, bytes) = blob(4);
    let served = bytes.clone();
    let script = Script::start(move |asked| Answer { cut: Some(200_000), ..ranged(asked, &served) })?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    // Every connection breaks after 200,000 bytes, the last one holds less. What moves is never given up.
    let got = read(&mut *repository.fetch(&layer, 0).await?).await?;
    ensure!(got == bytes, "{} bytes, or others than these", got.len());
    let ranges: Vec<_> = script.seen().iter().filter_map(Asked::range).collect();
    let expected: Vec<_> = (1..).map(|n| n * 200_000).take_while(|at| *at < bytes.len()).collect();
    ensure!(ranges == expected && ranges.len() > 3, "{ranges:?}");
    Ok(())
}

#[tokio::test]
async fn three_tries_without_progress_are_enough() -> Result<()> {
    let (layer, bytes) = blob(5);
    let tries = AtomicUsize::new(0);
    let script = Script::start(move |asked| {
        let first = tries.fetch_add(1, Ordering::Relaxed) == 0;
        Answer { cut: Some(if first { 10 } else { 0 }), ..ranged(asked, &bytes) }
    })?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    let error = refusal(read(&mut *repository.fetch(&layer, 0).await?).await)?;
    ensure!(error.text().contains("download broke at byte 10: unexpected EOF"), "{error:?}");
    let asked = script.seen().iter().filter(|asked| asked.method == "GET").count();
    ensure!(asked == 4, "{:?}", script.lines());
    Ok(())
}

#[tokio::test]
async fn a_registry_without_ranges_begins_anew() -> Result<()> {
    let (layer, bytes) = blob(6);
    let served = bytes.clone();
    let script = Script::start(move |_| Answer::bytes(&served[..]))?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    for offset in [1, 654_321, bytes.len() - 1] {
        let got = read(&mut *repository.fetch(&layer, offset as u64).await?).await?;
        ensure!(got == bytes[offset..], "from {offset}");
    }
    Ok(())
}

#[tokio::test]
async fn an_encoding_nobody_asked_for() -> Result<()> {
    let (layer, bytes) = blob(7);
    let script = Script::start(move |_| Answer::bytes(&bytes[..]).with("Content-Encoding", "gzip"))?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    let error = refusal(repository.fetch(&layer, 0).await)?;
    ensure!(error.text().contains("content encoding \"gzip\""), "{error:?}");
    ensure!(script.seen()[0].header("accept-encoding") == "identity");
    Ok(())
}

/// Which statuses are tried again, and how often.
#[tokio::test]
async fn patience() -> Result<()> {
    for (statuses, asked, succeeds) in [
        (vec![500], 2, true),
        (vec![503, 503], 2, false),
        (vec![429, 429, 429], 4, true),
        (vec![429; 9], 5, false),
        (vec![408], 2, true),
        (vec![502], 1, false),
        (vec![404], 1, false),
    ] {
        let (layer, _) = blob(8);
        let (digest, rest) = (layer.digest.to_string(), std::sync::Mutex::new(statuses.clone()));
        let script = Script::start(move |_| match rest.lock().expect("no panic holds it").pop() {
            Some(status) => Answer::status(status),
            None => Answer::bytes("{}")
                .with("Content-Type", media_type::OCI_MANIFEST)
                .with("Docker-Content-Digest", &*digest),
        })?;
        let open = Open { default_scheme: "http".into(), ..Open::of(format!("{}/a:1", script.address())) };
        let resolved = open.open().await?.resolve().await;
        ensure!(resolved.is_ok() == succeeds, "{statuses:?}: {resolved:?}");
        let heads = script.lines().iter().filter(|line| line.starts_with("HEAD")).count();
        ensure!(heads == asked, "{statuses:?}: {:?}", script.lines());
    }
    Ok(())
}

/// A registry that says neither digest nor size, or knows no HEAD.
#[tokio::test]
async fn silent_registries() -> Result<()> {
    for (head, length) in [(405, false), (200, true), (200, false)] {
        let script = Script::start(move |asked| {
            let answer = Answer { unmeasured: !length, ..Answer::bytes("{\"manifests\":[]}") };
            let answer = answer.with("Content-Type", format!("{}; charset=utf-8", media_type::OCI_INDEX));
            if asked.method == "HEAD" { Answer { status: head, ..answer } } else { answer }
        })?;
        let found = Open::of(format!("{}/a:1", script.address())).open().await?.resolve().await?;
        ensure!(
            found == Descriptor::of(media_type::OCI_INDEX, b"{\"manifests\":[]}"),
            "{head} {length}: {found:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn manifests_that_cannot_be_taken() -> Result<()> {
    let huge =
        Script::start(|_| Answer::bytes(vec![b' '; 5 << 20]).with("Content-Type", media_type::OCI_MANIFEST))?;
    let error = refusal(Open::of(format!("{}/a:1", huge.address())).open().await?.resolve().await)?;
    ensure!(error.kind() == model::Kind::ResourceExhausted && error.text().contains("4393216"), "{error:?}");
    let old = Script::start(|_| Answer::bytes("{}").with("Content-Type", "text/plain; charset=utf-8"))?;
    let error = refusal(Open::of(format!("{}/a:1", old.address())).open().await?.resolve().await)?;
    ensure!(
        error.text() == "schema 1 image manifests are no longer supported: invalid argument",
        "{error:?}"
    );
    let other = Script::start(|_| Answer::bytes("{}").with("Content-Type", media_type::OCI_MANIFEST))?;
    let wanted = Digest::of(b"something else");
    // The size is known, the digest is the reference's: what is wrong shows when the content is fetched.
    let found = Open::of(format!("{}/a@{wanted}", other.address())).open().await?.resolve().await?;
    ensure!(found.digest == wanted);
    // Where the size is not known it is fetched now.
    let liar = Script::start(|_| {
        Answer { unmeasured: true, ..Answer::bytes("{}") }.with("Content-Type", media_type::OCI_MANIFEST)
    })?;
    let error = refusal(Open::of(format!("{}/a@{wanted}", liar.address())).open().await?.resolve().await)?;
    ensure!(
        error.text().contains(&format!("the registry sent {} for {wanted}", Digest::of(b"{}"))),
        "{error:?}"
    );
    // What is said to be too large is not even asked for.
    let told = Script::start(move |_| {
        let huge = Answer::bytes(vec![b' '; 5 << 20]).with("Content-Type", media_type::OCI_MANIFEST);
        huge.with("Docker-Content-Digest", Digest::of(b"huge").as_str())
    })?;
    let error = refusal(Open::of(format!("{}/a:1", told.address())).open().await?.resolve().await)?;
    ensure!(error.kind() == model::Kind::ResourceExhausted, "{error:?}");
    ensure!(told.lines().iter().all(|line| line.starts_with("HEAD")), "{:?}", told.lines());
    Ok(())
}

/// A refusal tells what the registry says, also where HEAD has no body.
#[tokio::test]
async fn refusals_are_passed_on() -> Result<()> {
    let script = Script::start(|_| Answer {
        status: 403,
        ..Answer::bytes(r#"{"errors":[{"code":"DENIED","message":"no entry"}]}"#)
    })?;
    let error = refusal(Open::of(format!("{}/a:1", script.address())).open().await?.resolve().await)?;
    let url = format!("http://{}/v2/a/manifests/1", script.address());
    ensure!(
        error.text()
            == format!("unexpected status from GET request to {url}: 403 Forbidden\ndenied: no entry"),
        "{error:?}"
    );
    Ok(())
}

/// Redirects are followed, ten of them; we show ourselves to nobody we did not ask.
#[tokio::test]
async fn redirects() -> Result<()> {
    let (layer, bytes) = blob(9);
    let served = bytes.clone();
    let storage = Script::start(move |asked| ranged(asked, &served))?;
    let target = format!("http://{}/deep/blob?signature=a%2Fb", storage.address());
    let script = Script::start(move |asked| match asked.header("authorization") {
        "Secret" => Answer::status(307).with("Location", &*target),
        _ => Answer::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })?;
    let (open, _) = Open::of(format!("{}/a:1", script.address()))
        .answering(model::registries::Credential::Header("Secret".into()));
    let repository = Open { headers: [("x-mine".into(), "1".into())].into(), ..open }.open().await?;
    ensure!(read(&mut *repository.fetch(&layer, 77).await?).await? == bytes[77..]);
    let seen = storage.seen();
    ensure!(seen.len() == 1 && seen[0].line() == "GET /deep/blob?signature=a%2Fb", "{seen:?}");
    ensure!(seen[0].header("authorization").is_empty() && seen[0].header("x-mine").is_empty(), "{seen:?}");
    ensure!(seen[0].header("range") == "bytes=77-" && seen[0].header("user-agent") == "containerd/2.3.4");
    ensure!(script.seen().iter().any(|asked| asked.header("x-mine") == "1"));

    let round = Script::start(|_| Answer::status(302).with("Location", "/v2/again"))?;
    let error = refusal(Open::of(format!("{}/a:1", round.address())).open().await?.fetch(&layer, 0).await)?;
    ensure!(error.text().contains("stopped after 10 redirects"), "{error:?}");
    Ok(())
}

/// Uploads go where the registry says, and the registry must end up with what was meant.
#[tokio::test]
async fn uploads() -> Result<()> {
    let (layer, bytes) = blob(10);
    let storage = Script::start(|_| Answer::status(201))?;
    let place = format!("http://{}/elsewhere?state=x", storage.address());
    let script = Script::start(move |asked| match asked.method.as_str() {
        "POST" => Answer::status(202).with("Location", &*place),
        _ => Answer::status(404),
    })?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    ensure!(repository.push(push(&layer, &bytes, &layer.digest)).await? == Pushed::Sent);
    let seen = storage.seen();
    let digest = layer.digest.as_str().replace(':', "%3A");
    ensure!(seen[0].line() == format!("PUT /elsewhere?state=x&digest={digest}"), "{:?}", storage.lines());
    ensure!(seen[0].body == bytes && seen[0].header("content-type") == "application/octet-stream");

    for (answer, words) in [
        (Answer::status(201).with("Docker-Content-Digest", Digest::of(b"x").as_str()), "got digest"),
        (Answer::status(500), "500 Internal Server Error"),
        (Answer::status(404), "404 Not Found"),
    ] {
        let script = Script::start(move |asked| match asked.method.as_str() {
            "POST" => Answer::status(202).with("Location", "/v2/a/blobs/uploads/1"),
            "PUT" => answer.clone(),
            _ => Answer::status(404),
        })?;
        let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
        let error = refusal(repository.push(push(&layer, &bytes, &layer.digest)).await)?;
        ensure!(error.text().contains(words), "{words}: {error:?}");
    }
    Ok(())
}

/// What was sent in vain is not counted, and a neighbour that may not be read is none.
#[tokio::test]
async fn an_upload_that_is_sent_twice() -> Result<()> {
    let (layer, bytes) = blob(12);
    let refusals = AtomicUsize::new(0);
    let script = Script::start(move |asked| match asked.method.as_str() {
        "POST" if asked.path.contains("mount=") => Answer::status(401),
        "POST" => Answer::status(202).with("Location", "/v2/a/blobs/uploads/1"),
        "PUT" if refusals.fetch_add(1, Ordering::Relaxed) == 0 => Answer::status(429),
        "PUT" => Answer::status(201),
        _ => Answer::status(404),
    })?;
    let repository = Open::of(format!("{}/a:1", script.address())).open().await?;
    let mut pushing = push(&layer, &bytes, &layer.digest);
    pushing.labels.insert(repository.source().0, "other".into());
    ensure!(repository.push(pushing.clone()).await? == Pushed::Sent);
    ensure!(pushing.sent.get() == bytes.len() as u64, "{} of {}", pushing.sent.get(), bytes.len());
    let puts = script.lines().iter().filter(|line| line.starts_with("PUT")).count();
    ensure!(puts == 2, "{:?}", script.lines());
    Ok(())
}
