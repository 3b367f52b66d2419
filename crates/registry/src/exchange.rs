//! One request and its answer, redirects followed.
//!
//! Who we are is shown to the host itself and not to those it redirects to.

use crate::hosts::Host;
use crate::payload::Payload;
use crate::refusal::Failure;
use crate::transport::{Transport, stays};
use crate::url;
use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::{Error, Result};
use std::time::Duration;
use tokio::time::timeout;

/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// How long a body may stand still.
const STILL: Duration = Duration::from_secs(60);

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Place {
    /// To the host, below its path.
    Below(String),
    /// Somewhere else.
    At(Uri),
}

/// A request; it can be sent again.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub place: Place,
    /// Its own headers.
    pub headers: HeaderMap,
    /// What it carries.
    pub payload: Payload,
    /// Whether what it carries is for nobody but whom it is sent to.
    pub is_secret: bool,
}

impl Request {
    /// A request that carries nothing.
    pub fn new(method: Method, place: Place) -> Self {
        Self { method, place, headers: HeaderMap::new(), payload: Payload::Empty, is_secret: false }
    }
}

/// An answer, its body still to be read.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Incoming,
    /// Who gave it, after all redirects.
    pub url: Uri,
    /// To which method.
    pub method: Method,
    /// Whether somebody else gave it than was asked.
    pub strayed: bool,
}

impl Answer {
    fn new(response: Response<Incoming>, (method, url): (&Method, Uri), strayed: bool) -> Self {
        let (parts, body) = response.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        Self { status, headers, body, url, method: method.clone(), strayed }
    }

    /// A header as text; empty when it is not there or not text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// At most `max` bytes of the body.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read_some(mut self, max: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < max
            && let Some(piece) = next_piece(&mut self.body).await?
        {
            bytes.extend_from_slice(&piece[..piece.len().min(max - bytes.len())]);
        }
        Ok(bytes)
    }

    /// The whole body, `None` if it has more than `max` bytes.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read_whole(self, max: usize) -> Result<Option<Vec<u8>>> {
        let bytes = self.read_some(max + 1).await?;
        Ok(if bytes.len() > max { None } else { Some(bytes) })
    }
}

/// The next bytes of a body; `None` at its end.
///
/// # Errors
/// The connection broke, or nothing came for too long.
pub async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>> {
    loop {
        let frame = match timeout(STILL, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(e))) => return Err(torn(e)),
            Err(_) => return Err(Error::unknown(format!("read body: no byte came within {STILL:?}"))),
        };
        // Trailers are of no interest.
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
}

/// A body that ended before its end, or worse.
fn torn(error: hyper::Error) -> Error {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        words = match io {
            Some(std::io::ErrorKind::UnexpectedEof) => "unexpected EOF".to_owned(),
            _ => format!("read body: {cause}"),
        };
        next = cause.source();
    }
    Error::unknown(words).with_source(error)
}

/// What a host gets to see of us.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// The headers that every request to it has, and who we are.
    Everything(Option<&'a HeaderValue>),
    /// Nothing but the request.
    Nothing,
}

/// The way to a host, and the headers that every request to it has.
pub struct Line {
    host: Host,
    transport: Transport,
    headers: HeaderMap,
}

impl Line {
    /// A line to a host; `headers` are the transfer's own.
    pub fn new(host: Host, mut headers: HeaderMap) -> Self {
        let transport = Transport::new(&host);
        for name in host.headers.keys() {
            headers.remove(name);
        }
        headers.extend(host.headers.clone());
        Self { host, transport, headers }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Where a request goes as things stand.
    fn uri(&self, place: &Place) -> Result<Uri, Failure> {
        match place {
            Place::At(uri) => Ok(uri.clone()),
            Place::Below(rest) => {
                let text = self.host.url(self.transport.is_secure(), rest);
                text.parse().map_err(|e| Failure::transport(Error::invalid(format!("URL {text:?}: {e}"))))
            }
        }
    }

    /// Whether a URL leads to the host itself.
    pub fn is_own(&self, uri: &Uri) -> bool {
        self.uri(&Place::Below(String::new())).is_ok_and(|own| stays(&own, uri))
    }

    fn headers(&self, request: &Request, shown: Shown<'_>) -> HeaderMap {
        let mut headers = request.headers.clone();
        match shown {
            Shown::Nothing => headers.extend(self.headers.get(USER_AGENT).map(|a| (USER_AGENT, a.clone()))),
            Shown::Everything(authorization) => {
                headers.extend(self.headers.clone());
                headers.extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
            }
        }
        headers
    }

    /// Sends a request, showing what is to be shown to the host it is for and to nobody it is redirected to. What
    /// carries a secret is not redirected to others: that answer is the last.
    ///
    /// # Errors
    /// There is no answer. An answer of any status is none.
    pub async fn send(&self, request: &Request, shown: Shown<'_>) -> Result<Answer, Failure> {
        let mut origin = self.uri(&request.place)?;
        let mut uri = origin.clone();
        for _ in 0..=REDIRECTS {
            let strayed = !stays(&origin, &uri);
            let headers = self.headers(request, if strayed { Shown::Nothing } else { shown });
            let target = (&request.method, &uri);
            let response = match self.transport.send(target, &headers, &request.payload).await {
                Ok(response) => response,
                Err(broken)
                    if matches!(request.place, Place::Below(_))
                        && uri == origin
                        && self.transport.fall_back(&uri, &broken) =>
                {
                    tracing::debug!(%uri, "the host speaks no TLS, plain HTTP is tried");
                    origin = self.uri(&request.place)?;
                    uri = origin.clone();
                    continue;
                }
                Err(broken) => return Err(Failure::broken(&request.method, &uri, broken)),
            };
            let answer = Answer::new(response, (&request.method, uri.clone()), strayed);
            match redirect(&answer) {
                Some(next) if request.is_secret && !stays(&origin, &next) => return Ok(answer),
                Some(next) => uri = next,
                None => return Ok(answer),
            }
        }
        Err(Failure::transport(Error::unknown(format!("{origin}: stopped after {REDIRECTS} redirects"))))
    }
}

/// Where an answer sends the request on to.
fn redirect(answer: &Answer) -> Option<Uri> {
    let reads = matches!(answer.method, Method::GET | Method::HEAD);
    let follows = match answer.status.as_u16() {
        301..=303 => reads,
        307 | 308 => true,
        _ => false,
    };
    if !follows {
        return None;
    }
    url::resolve(&answer.url, answer.header(LOCATION))
}
