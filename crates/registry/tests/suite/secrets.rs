//! Credentials are shown to those who asked for them, and tokens to nobody else.

use super::{Open, ada, refusal};
use anyhow::{Result, ensure};
use e2e::registry::script::{Answer, Script};
use model::registries::Credential;
use oci::{Descriptor, media_type};
use std::sync::Arc;

/// A registry that wants the token `t`, and the realm beside it.
fn registry(realm: String) -> Result<Script> {
    Script::start(move |asked| {
        match asked.header("authorization") {
        "Bearer t" => Answer::bytes("{}")
            .with("Content-Type", media_type::OCI_MANIFEST)
            .with("Docker-Content-Digest", Descriptor::of("", b"{}").digest.as_str()),
        _ => Answer::status(401).with(
            "WWW-Authenticate",
            format!("Bearer realm=\"http://{realm}/token?fixed=1\",service=\"s v\",scope=\"repository:a:pull extra:x:y\""),
        ),
    }
    })
}

#[tokio::test]
async fn what_a_realm_is_asked() -> Result<()> {
    let realm = Arc::new(Script::start(|asked| match asked.method.as_str() {
        "POST" => Answer::bytes(r#"{"access_token":"t","expires_in":60}"#),
        _ => Answer::bytes(r#"{"token":"t"}"#),
    })?);
    let script = registry(realm.address())?;
    let mut bodies = Vec::new();
    for credential in [ada(), Credential::Refresh("r/t".into()), Credential::None] {
        let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(credential);
        open.open().await?.resolve().await?;
        let asked = realm.seen().pop().expect("the realm was asked");
        bodies.push((asked.line(), String::from_utf8(asked.body)?));
    }
    let scope = "scope=extra%3Ax%3Ay+repository%3Aa%3Apull&service=s+v";
    let post = "POST /token?fixed=1".to_owned();
    ensure!(
        bodies
            == [
                (
                    post.clone(),
                    format!(
                        "client_id=containerd-client&grant_type=password&password=secret&username=ada&{scope}"
                    )
                ),
                (
                    post,
                    format!(
                        "client_id=containerd-client&grant_type=refresh_token&refresh_token=r%2Ft&{scope}"
                    )
                ),
                (
                    "GET /token?fixed=1&scope=extra%3Ax%3Ay&scope=repository%3Aa%3Apull&service=s%20v"
                        .to_owned(),
                    String::new()
                ),
            ],
        "{bodies:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn realms_that_give_nothing() -> Result<()> {
    for (answer, words) in [
        (Answer::bytes(r#"{"token":"t"}"#), "authorization server did not include a token in the response"),
        (Answer::bytes("no json"), "unable to decode token response"),
        (Answer::bytes(vec![b' '; 2 << 20]), "unable to decode token response: more than 1048576 bytes"),
        (Answer::status(500), "500 Internal Server Error"),
    ] {
        let realm = Script::start(move |_| answer.clone())?;
        let script = registry(realm.address())?;
        let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(ada());
        let error = refusal(open.open().await?.resolve().await)?;
        ensure!(error.text().contains("failed to authorize: failed to fetch oauth token"), "{error:?}");
        ensure!(error.text().contains(words), "{words}: {error:?}");
    }
    let script = registry("nowhere.invalid:1".into())?;
    let error = refusal(Open::of(format!("{}/a:1", script.address())).open().await?.resolve().await)?;
    ensure!(error.text().contains("failed to authorize: failed to fetch anonymous token"), "{error:?}");
    Ok(())
}

/// A realm that redirects elsewhere does not get the password there.
#[tokio::test]
async fn a_realm_that_sends_elsewhere() -> Result<()> {
    let thief = Script::start(|_| Answer::bytes(r#"{"access_token":"t"}"#))?;
    let target = format!("http://{}/token", thief.address());
    for status in [307, 308] {
        let target = target.clone();
        let realm = Script::start(move |_| Answer::status(status).with("Location", &*target))?;
        let script = registry(realm.address())?;
        let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(ada());
        let error = refusal(open.open().await?.resolve().await)?;
        ensure!(error.text().contains(&status.to_string()), "{error:?}");
        ensure!(thief.seen().is_empty(), "{:?}", thief.seen());
    }
    Ok(())
}

/// Requests that are challenged together ask for credentials once and share a token.
#[tokio::test]
async fn one_token_for_all() -> Result<()> {
    let realm = Script::start(|_| Answer::bytes(r#"{"access_token":"t","expires_in":60}"#))?;
    let script = registry(realm.address())?;
    let (open, answering) = Open::of(format!("{}/a:1", script.address())).answering(ada());
    let repository = open.open().await?;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let repository = repository.clone();
        all.spawn(async move { repository.resolve().await });
    }
    while let Some(resolved) = all.join_next().await {
        resolved??;
    }
    let challenged = script.seen().iter().filter(|asked| asked.header("authorization").is_empty()).count();
    ensure!(challenged > 1, "the requests did not go side by side");
    ensure!(answering.asked().len() == 1, "{:?}", answering.asked());
    ensure!(realm.seen().len() == 1, "{:?}", realm.lines());
    Ok(())
}

/// A token that the registry never takes ends the request.
#[tokio::test]
async fn a_registry_that_is_never_content() -> Result<()> {
    let realm = Script::start(|_| Answer::bytes(r#"{"token":"other"}"#))?;
    let script = registry(realm.address())?;
    let error = refusal(Open::of(format!("{}/a:1", script.address())).open().await?.resolve().await)?;
    ensure!(error.text().contains("401 Unauthorized"), "{error:?}");
    ensure!(script.lines().len() <= 5, "{:?}", script.lines());
    Ok(())
}

/// Who is redirected to and refuses us is not told who we are, nor is anybody asked for it.
#[tokio::test]
async fn others_may_not_ask() -> Result<()> {
    let other =
        Script::start(|_| Answer::status(401).with("WWW-Authenticate", "Basic realm=\"give it to me\""))?;
    let target = format!("http://{}/blob", other.address());
    let script = Script::start(move |_| Answer::status(307).with("Location", &*target))?;
    let (open, answering) = Open::of(format!("{}/a:1", script.address())).answering(ada());
    let error = refusal(open.open().await?.resolve().await)?;
    ensure!(error.text().contains("401 Unauthorized"), "{error:?}");
    ensure!(answering.asked().is_empty(), "{:?}", answering.asked());
    ensure!(other.seen().iter().all(|asked| asked.header("authorization").is_empty()));
    Ok(())
}

/// A password that was not believed is not shown again.
#[tokio::test]
async fn the_same_words_convince_nobody() -> Result<()> {
    let script = Script::start(|_| Answer::status(401).with("WWW-Authenticate", "Basic realm=x"))?;
    let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(ada());
    refusal(open.open().await?.resolve().await)?;
    let shown: Vec<_> = script.seen().iter().map(|asked| !asked.header("authorization").is_empty()).collect();
    ensure!(shown == [false, true], "{shown:?}");
    Ok(())
}

/// A realm that knows no POST is asked by GET.
#[tokio::test]
async fn realms_of_old() -> Result<()> {
    for status in [400, 401, 404, 405] {
        let realm = Script::start(move |asked| match asked.method.as_str() {
            "POST" => Answer::status(status),
            _ => Answer::bytes(r#"{"token":"t"}"#),
        })?;
        let script = registry(realm.address())?;
        let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(ada());
        open.open().await?.resolve().await?;
        let asked = realm.seen().pop().expect("it was asked");
        ensure!(asked.header("authorization").starts_with("Basic "), "{status}: {asked:?}");
    }
    Ok(())
}

/// A token is good for what it was given for, and for as long.
#[tokio::test]
async fn a_token_has_its_limits() -> Result<()> {
    let realm = Script::start(|_| Answer::bytes(r#"{"access_token":"t","expires_in":1}"#))?;
    let challenge = format!("Bearer realm=\"http://{}/token\"", realm.address());
    let script = Script::start(move |asked| match (asked.header("authorization"), asked.method.as_str()) {
        ("Bearer t", "POST") => Answer::status(202).with("Location", "/up"),
        ("Bearer t", "PUT") => Answer::status(201),
        ("Bearer t", _) if asked.path.contains("blobs") => Answer::status(404),
        ("Bearer t", _) => Answer::bytes("{}")
            .with("Content-Type", media_type::OCI_MANIFEST)
            .with("Docker-Content-Digest", Descriptor::of("", b"{}").digest.as_str()),
        _ => Answer::status(401).with("WWW-Authenticate", &*challenge),
    })?;
    let (open, _) = Open::of(format!("{}/a:1", script.address())).answering(ada());
    let repository = open.open().await?;
    repository.resolve().await?;
    let (layer, bytes) = super::blob(13);
    repository.push(super::push(&layer, &bytes, &layer.digest)).await?;
    let scopes = |scope: &str| {
        let asked = realm.seen();
        let bodies = asked.iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned());
        bodies.filter(|body| body.split('&').any(|word| word == scope)).count()
    };
    ensure!(scopes("scope=repository%3Aa%3Apull") == 1, "{:?}", realm.seen());
    ensure!(scopes("scope=repository%3Aa%3Apull%2Cpush") >= 1, "{:?}", realm.seen());
    let late = std::time::Instant::now() + e2e::program::DEADLINE;
    while scopes("scope=repository%3Aa%3Apull") < 2 {
        ensure!(std::time::Instant::now() < late, "a token is kept for ever");
        repository.resolve().await?;
    }
    Ok(())
}
