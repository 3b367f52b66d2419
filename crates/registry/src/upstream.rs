//! A repository at one host: requests that authorise themselves and are tried again where that helps.

use crate::authorizer::{Authorizer, Badge};
use crate::exchange::{Answer, Line, Place, Request, Shown};
use crate::hosts::Host;
use crate::refusal::{Failure, Rank};
use crate::url::with_query;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::Error;
use model::registries::Credentials;
use std::sync::Arc;

/// How often a request is sent at most.
const ATTEMPTS: usize = 5;
/// How much of an answer that is not wanted is read, so that its connection can be used again; in bytes.
const LEFTOVER: usize = 16 << 10;

/// Whether somebody else can be asked when this host fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// There are others after it.
    Before,
    /// It is the last one.
    Last,
}

/// What to do with the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Pull,
    /// Write too.
    Push,
}

/// What an upstream is made of.
pub struct Parts {
    /// The host.
    pub host: Host,
    /// The repository.
    pub repository: String,
    /// The host the reference names.
    pub named: String,
    /// Headers of the transfer.
    pub headers: HeaderMap,
    /// Whether it is the last.
    pub position: Position,
    /// Who is asked for credentials.
    pub credentials: Option<Arc<dyn Credentials>>,
    /// The reference as the client wrote it.
    pub reference: String,
}

/// A repository at one host.
pub struct Upstream {
    line: Line,
    authorizer: Authorizer,
    repository: String,
    /// The reference's host, where this is another one.
    mirrored: Option<String>,
    position: Position,
}

impl Upstream {
    /// A repository at a host that was not spoken to yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { host, repository, named, headers, position, credentials, reference } = parts;
        let authorizer = Authorizer::new(credentials, &reference, &host.authority);
        let is_named = host.authority == named
            || (named == crate::hosts::DOCKER.0 && host.authority == crate::hosts::DOCKER.1);
        let mirrored = (!is_named).then_some(named);
        Self { line: Line::new(host, headers), authorizer, repository, mirrored, position }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        self.line.host()
    }

    /// A request for something of the repository (`manifests/latest`).
    pub fn request(&self, method: Method, what: &str) -> Request {
        let mut path = format!("{}/{what}", self.repository);
        if let Some(named) = &self.mirrored {
            path = with_query(&path, "ns", named);
        }
        Request::new(method, Place::Below(path))
    }

    /// Sends a request under the scopes of `action`; `further` are scopes beside them.
    ///
    /// # Errors
    /// There is no answer, or nobody lets us in. Other answers of any status are none.
    pub async fn send(
        &self,
        mut request: Request,
        (action, further): (Action, &[String]),
    ) -> Result<Answer, Failure> {
        let mut scopes = vec![format!(
            "repository:{}:{}",
            self.repository,
            match action {
                Action::Pull => "pull",
                Action::Push => "pull,push",
            }
        )];
        scopes.extend_from_slice(further);
        let (mut challenges, mut again) = (0, self.position == Position::Last);
        for _ in 1..ATTEMPTS {
            let (answer, badge) = match self.send_once(&request, &scopes).await {
                Err(failure) if failure.transient && again => {
                    again = false;
                    continue;
                }
                other => other?,
            };
            let retries = match answer.status {
                StatusCode::UNAUTHORIZED if !answer.strayed => {
                    self.authorizer.challenged(&answer, &badge, &mut challenges).await?
                }
                StatusCode::METHOD_NOT_ALLOWED if request.method == Method::HEAD => {
                    request.method = Method::GET;
                    true
                }
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
                StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => std::mem::take(&mut again),
                _ => false,
            };
            if !retries {
                return Ok(answer);
            }
            // What it says does not matter any more, also when it cannot be read.
            let _ = answer.read_some(LEFTOVER).await;
        }
        Ok(self.send_once(&request, &scopes).await?.0)
    }

    async fn send_once(&self, request: &Request, scopes: &[String]) -> Result<(Answer, Badge), Failure> {
        let badge = self.authorizer.authorization(&self.line, scopes).await?;
        Ok((self.line.send(request, Shown::Everything(badge.value.as_ref())).await?, badge))
    }

    /// Sends a request to a place of its own. We show who we are only if the place is the host itself.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub async fn send_to(&self, request: Request, action: Action) -> Result<Answer, Failure> {
        let is_own = match &request.place {
            Place::Below(_) => true,
            Place::At(uri) => self.line.is_own(uri),
        };
        if is_own {
            self.send(request, (action, &[])).await
        } else {
            self.line.send(&request, Shown::Nothing).await
        }
    }
}

/// The `Accept` header for a media type, or anything.
pub fn accept(media_type: &str) -> (http::HeaderName, HeaderValue) {
    let value = match media_type {
        "" => HeaderValue::from_static("*/*"),
        kind => HeaderValue::from_str(&format!("{kind}, */*")).unwrap_or(HeaderValue::from_static("*/*")),
    };
    (ACCEPT, value)
}

/// A failure of the kind that no host was asked at all.
pub fn nobody(what: &str) -> Failure {
    Failure::new(Rank::Transport, Error::not_found(what))
}
