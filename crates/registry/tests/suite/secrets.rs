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
