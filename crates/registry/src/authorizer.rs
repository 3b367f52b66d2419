//! Who we are, as one host wants to hear it.
//!
//! ```text
//! nothing ──401 with a challenge──▶ fixed (Basic, or the client's own header)
//!                              └──▶ bearer: a token for each set of scopes, fetched once for all who need it
//! ```
//!
//! Credentials are asked for when the host wants to know, never before, and are shown to the host and to the realm it
//! names. Hosts that it redirects to get nothing.

use crate::challenge::{self, Challenge, Scheme};
use crate::exchange::{Answer, Line};
use crate::refusal::Failure;
use crate::token::{self, Ask, Token};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use model::registries::{Credential, Credentials, Question};
use model::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// How many sets of scopes are remembered.
const SCOPES: usize = 64;

/// What a host wants to see.
pub struct Authorizer {
    credentials: Option<Arc<dyn Credentials>>,
    reference: String,
    host: String,
    shown: Mutex<Option<Arc<Shown>>>,
    /// Held by the one request whose challenge is being taken up.
    turn: tokio::sync::Mutex<()>,
}

/// What one request showed.
pub struct Badge {
    /// The header; none as long as the host did not ask.
    pub value: Option<HeaderValue>,
    shown: Option<Arc<Shown>>,
}

/// What it is shown.
enum Shown {
    /// Always the same.
    Fixed(HeaderValue),
    /// A token.
    Bearer(Bearer),
}

struct Bearer {
    realm: String,
    service: String,
    scopes: Vec<String>,
    credential: Credential,
    tokens: Mutex<HashMap<String, Arc<OnceCell<Token>>>>,
}

impl Authorizer {
    /// Nothing is known of the host yet.
    pub fn new(credentials: Option<Arc<dyn Credentials>>, reference: &str, host: &str) -> Self {
        let (reference, host) = (reference.into(), host.into());
        Self { credentials, reference, host, shown: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, Option<Arc<Shown>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request that needs these scopes shows.
    ///
    /// # Errors
    /// The realm gives no token.
    pub async fn authorization(&self, line: &Line, scopes: &[String]) -> Result<Badge, Failure> {
        let shown = self.shown().clone();
        let value = match shown.as_deref() {
            None => None,
            Some(Shown::Fixed(value)) => Some(value.clone()),
            Some(Shown::Bearer(bearer)) => {
                let token = bearer.token(line, scopes).await;
                Some(token.map_err(|e| e.during("failed to authorize"))?)
            }
        };
        Ok(Badge { value, shown })
    }

    /// Takes up the challenges of a 401. `times` counts how often the same request was challenged. Requests that were
    /// challenged together ask for credentials once: those that come later show what the first was given.
    ///
    /// # Errors
    /// There is nothing to show, or the host does not believe it.
    pub async fn challenged(
        &self,
        answer: &Answer,
        badge: &Badge,
        times: &mut usize,
    ) -> Result<bool, Failure> {
        let _turn = self.turn.lock().await;
        if !badge.is_of(self.shown().as_ref()) {
            return Ok(true);
        }
        let before = std::mem::replace(times, *times + 1);
        for challenge in challenge::read(&answer.headers) {
            let shown = match challenge.scheme {
                Scheme::Bearer => self.bearer(&challenge, answer, before).await?,
                Scheme::Basic => self.basic(answer, before).await?,
                Scheme::Digest => None,
            };
            if let Some(shown) = shown {
                *self.shown() = Some(Arc::new(shown));
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn bearer(
        &self,
        challenge: &Challenge,
        answer: &Answer,
        before: usize,
    ) -> Result<Option<Shown>, Failure> {
        let complaint = challenge.parameter("error");
        if before > 0 && !complaint.is_empty() {
            return Err(Failure::denied(format!("server message: {complaint}")));
        }
        let realm = challenge.parameter("realm");
        if before > 1 || realm.is_empty() {
            return Ok(None);
        }
        let credential = self.ask(answer).await?;
        if let Credential::Header(value) = credential {
            return header(&value).map(|value| Some(Shown::Fixed(value)));
        }
        Ok(Some(Shown::Bearer(Bearer {
            realm: realm.into(),
            service: challenge.parameter("service").into(),
            scopes: challenge.parameter("scope").split_whitespace().map(str::to_owned).collect(),
            credential,
            tokens: Mutex::default(),
        })))
    }

    async fn basic(&self, answer: &Answer, before: usize) -> Result<Option<Shown>, Failure> {
        // The same words a second time convince nobody.
        if self.credentials.is_none() || before > 0 {
            return Ok(None);
        }
        let value = match self.ask(answer).await? {
            Credential::Basic { username, secret } if !username.is_empty() && !secret.is_empty() => {
                basic(&username, &secret)
            }
            Credential::Header(value) => value,
            _ => {
                let error = Error::unknown("authorization failed: no basic auth credentials");
                return Err(Failure { denied: true, ..Failure::transport(error) });
            }
        };
        header(&value).map(|value| Some(Shown::Fixed(value)))
    }

    async fn ask(&self, answer: &Answer) -> Result<Credential, Failure> {
        let Some(credentials) = &self.credentials else { return Ok(Credential::None) };
        let lines = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let question = Question {
            host: self.host.clone(),
            reference: self.reference.clone(),
            challenges: lines.filter_map(|line| Some(line.to_str().ok()?.to_owned())).collect(),
        };
        let answered = credentials.ask(question).await;
        answered.map_err(|e| Failure::transport(e.during(format!("ask for credentials of {}", self.host))))
    }
}

impl Badge {
    fn is_of(&self, shown: Option<&Arc<Shown>>) -> bool {
        match (&self.shown, shown) {
            (Some(own), Some(now)) => Arc::ptr_eq(own, now),
            (own, now) => own.is_none() && now.is_none(),
        }
    }
}

impl Bearer {
    async fn token(&self, line: &Line, scopes: &[String]) -> Result<HeaderValue, Failure> {
        let all: BTreeSet<&str> = self.scopes.iter().chain(scopes).map(String::as_str).collect();
        let scopes: Vec<&str> = all.into_iter().collect();
        let cell = self.cell(&scopes.join(" "));
        let ask =
            Ask { realm: &self.realm, service: &self.service, scopes: &scopes, credential: &self.credential };
        let token = cell.get_or_try_init(|| token::fetch(line, ask)).await?;
        header(&format!("Bearer {}", token.value))
    }

    /// Where the token for these scopes is, or will be.
    fn cell(&self, scopes: &str) -> Arc<OnceCell<Token>> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, cell| cell.get().is_none_or(Token::is_valid));
        if tokens.len() >= SCOPES {
            tokens.clear();
        }
        tokens.entry(scopes.to_owned()).or_default().clone()
    }
}

/// The header of a name and a password.
pub fn basic(username: &str, secret: &str) -> String {
    format!("Basic {}", oci::base64::encode(format!("{username}:{secret}").as_bytes()))
}

/// A header that no log shows.
pub fn header(value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::transport(Error::invalid("credentials hold characters that no header may")))?;
    value.set_sensitive(true);
    Ok(value)
}
