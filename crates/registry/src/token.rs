//! Tokens: what a realm gives to those it knows, or to anybody.

use crate::authorizer::{basic, header};
use crate::exchange::{Answer, Line, Place, Request, Shown};
use crate::payload::Payload;
use crate::refusal::{Failure, refused};
use crate::url::{escape, with_query};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Uri};
use model::registries::Credential;
use model::{Error, Result};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// The largest answer of a realm, in bytes.
const MAX: usize = 1 << 20;
/// How long a token lasts that does not say so.
const LIFE: Duration = Duration::from_secs(60);
/// The longest life that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Under which name we ask.
const CLIENT: &str = "containerd-client";

/// A token.
pub struct Token {
    /// What is shown.
    pub value: String,
    until: Instant,
}

impl Token {
    /// Whether it is still good.
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.until
    }
}

/// For what a token is wanted, and of whom.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Whom to ask.
    pub realm: &'a str,
    /// For which service.
    pub service: &'a str,
    /// What to be allowed.
    pub scopes: &'a [&'a str],
    /// What to show.
    pub credential: &'a Credential,
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// Fetches a token: anonymously, or with credentials by POST and, where a realm does not know that, by GET.
///
/// # Errors
/// The realm refuses, or answers something else.
pub async fn fetch(line: &Line, ask: Ask<'_>) -> Result<Token, Failure> {
    let (username, secret) = match ask.credential {
        Credential::Basic { username, secret } if !secret.is_empty() => (username.as_str(), secret.as_str()),
        Credential::Refresh(token) if !token.is_empty() => ("", token.as_str()),
        _ => return get(line, ask, None).await.map_err(|e| e.during("failed to fetch anonymous token")),
    };
    let failed = |e: Failure| e.during("failed to fetch oauth token");
    let answer = post(line, ask, (username, secret)).await.map_err(failed)?;
    let status = answer.status.as_u16();
    if matches!(status, 400 | 401 | 404) || (status == 405 && !username.is_empty()) {
        return get(line, ask, Some((username, secret))).await.map_err(failed);
    }
    let given = read(answer).await.map_err(failed)?;
    token(given.access_token, given.expires_in).map_err(failed)
}

async fn post(line: &Line, ask: Ask<'_>, (username, secret): (&str, &str)) -> Result<Answer, Failure> {
    let mut fields = vec![("client_id", CLIENT)];
    if username.is_empty() {
        fields.extend([("grant_type", "refresh_token"), ("refresh_token", secret)]);
    } else {
        fields.extend([("grant_type", "password"), ("password", secret), ("username", username)]);
    }
    let scopes = ask.scopes.join(" ");
    fields.extend([("scope", scopes.as_str()), ("service", ask.service)]);
    let form: Vec<String> = fields
        .into_iter()
        .map(|(key, value)| format!("{key}={}", escape(value).replace("%20", "+")))
        .collect();
    let mut request = Request::new(Method::POST, Place::At(realm(ask.realm)?));
    request
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    request.payload = Payload::Bytes(form.join("&").into());
    request.is_secret = true;
    line.send(&request, Shown::Everything(None)).await
}

async fn get(line: &Line, ask: Ask<'_>, account: Option<(&str, &str)>) -> Result<Token, Failure> {
    let mut url = ask.realm.to_owned();
    for scope in ask.scopes {
        url = with_query(&url, "scope", scope);
    }
    if !ask.service.is_empty() {
        url = with_query(&url, "service", ask.service);
    }
    let authorization = match account {
        Some((username, secret)) => Some(header(&basic(username, secret))?),
        None => None,
    };
    let request = Request::new(Method::GET, Place::At(realm(&url)?));
    let given = read(line.send(&request, Shown::Everything(authorization.as_ref())).await?).await?;
    let value = if given.token.is_empty() { given.access_token } else { given.token };
    token(value, given.expires_in)
}

fn realm(text: &str) -> Result<Uri, Failure> {
    let wrong = |why: String| Failure::transport(Error::unknown(format!("token realm {text:?}: {why}")));
    let uri: Uri = text.parse().map_err(|e: http::uri::InvalidUri| wrong(e.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(wrong("no http or https URL".into())),
    }
}

async fn read(answer: Answer) -> Result<Given, Failure> {
    if !answer.status.is_success() {
        return Err(refused(answer).await);
    }
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::transport(Error::unknown(format!("unable to decode token response: {why}")))
    };
    let bytes = answer.read_whole(MAX).await.map_err(|e| wrong(&e))?;
    let bytes = bytes.ok_or_else(|| wrong(&format!("more than {MAX} bytes")))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(&e))
}

fn token(value: String, expires_in: u64) -> Result<Token, Failure> {
    if value.is_empty() {
        let text = "authorization server did not include a token in the response";
        return Err(Failure::transport(Error::unknown(text)));
    }
    let life = if expires_in == 0 { LIFE } else { Duration::from_secs(expires_in).min(LONGEST) };
    Ok(Token { value, until: Instant::now() + life })
}
