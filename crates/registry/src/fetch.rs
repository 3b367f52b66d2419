//! From a descriptor to bytes, taken up again where a connection broke.

use crate::exchange::{Answer, Place, Request, next_piece};
use crate::refusal::{Failure, Rank, refused};
use crate::repository::Opened;
use crate::upstream::{Action, Upstream, accept, nobody};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode, Uri};
use hyper::body::Incoming;
use model::registries::Body;
use model::{Error, Kind, Result};
use oci::{Descriptor, media_type};
use std::sync::Arc;

/// How often a broken connection is taken up without a byte of progress.
const TRIES: u32 = 3;

impl Opened {
    /// Opens content at the first host that has it.
    pub(crate) async fn open_content(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Body>> {
        let mut failed = None;
        for wanted in self.places(descriptor) {
            match wanted.open(offset).await {
                Ok((first, body)) => {
                    return Ok(Box::new(Download { wanted, first, body, position: offset, tries: 0 }));
                }
                Err(failure) => failed = Some(failure.or(failed)),
            }
        }
        let failure = failed.unwrap_or_else(|| nobody("no host is configured to pull from"));
        let Descriptor { digest, media_type, .. } = descriptor;
        let step = format!("could not fetch content descriptor {digest} ({media_type}) from remote");
        Err(match failure.rank {
            Rank::Absent => Error::not_found(step).with_source(failure.error),
            _ => failure.error.during(step),
        })
    }

    /// Everywhere it may be: the descriptor's own URLs, then the hosts in order.
    fn places(&self, descriptor: &Descriptor) -> Vec<Wanted> {
        let foreign = descriptor.urls.iter().filter_map(|url| url.parse::<Uri>().ok());
        let foreign = foreign.filter(|url| matches!(url.scheme_str(), Some("http" | "https")));
        let is_document =
            media_type::is_manifest(&descriptor.media_type) || media_type::is_index(&descriptor.media_type);
        let kind = if is_document { "manifests" } else { "blobs" };
        let pulling = || self.upstreams.iter().filter(|u| u.host().able.pull);
        let mut places: Vec<Wanted> = foreign
            .filter_map(|url| {
                let request = Request::new(Method::GET, Place::At(url));
                Some(Wanted { upstream: pulling().next_back()?.clone(), request })
            })
            .collect();
        places.extend(pulling().map(|upstream| Wanted {
            upstream: upstream.clone(),
            request: upstream.request(Method::GET, &format!("{kind}/{}", descriptor.digest)),
        }));
        for place in &mut places {
            let (name, value) = accept(&descriptor.media_type);
            place.request.headers.insert(name, value);
            // Bytes as they are: a digest is one of these, and an offset too.
            place.request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        places
    }
}

/// Content at one place.
struct Wanted {
    upstream: Arc<Upstream>,
    request: Request,
}

impl Wanted {
    /// Opens it at `offset`; bytes that came before the rest of the body are returned beside it.
    async fn open(&self, offset: u64) -> Result<(Bytes, Incoming), Failure> {
        let mut request = self.request.clone();
        if offset > 0 {
            let range = HeaderValue::try_from(format!("bytes={offset}-"));
            request.headers.insert(RANGE, range.expect("digits are a header's value"));
        }
        let answer = self.upstream.send_to(request, Action::Pull).await?;
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            _ => return Err(refused(answer).await),
        }
        let encoding = answer.header(CONTENT_ENCODING);
        if !matches!(encoding, "" | "identity") {
            let text = format!("{}: content encoding {encoding:?} was not asked for", answer.url);
            return Err(Failure::new(Rank::Refused, Error::not_implemented(text)));
        }
        let begins = if answer.status == StatusCode::OK { 0 } else { range_start(&answer)? };
        let mut body = answer.body;
        // A registry that knows no ranges begins anew.
        let mut skip = offset.checked_sub(begins).ok_or_else(|| {
            Failure::new(
                Rank::Refused,
                Error::unknown(format!("{}: the answer begins at {begins}", answer.url)),
            )
        })?;
        let mut first = Bytes::new();
        while skip > 0 {
            let piece = next_piece(&mut body).await.map_err(Failure::transport)?;
            first = piece.ok_or_else(|| Failure::transport(Error::unknown("unexpected EOF")))?;
            let skipped = skip.min(first.len() as u64);
            first = first.split_off(skipped as usize);
            skip -= skipped;
        }
        Ok((first, body))
    }
}

fn range_start(answer: &Answer) -> Result<u64, Failure> {
    let text = answer.header(CONTENT_RANGE);
    let start = text.strip_prefix("bytes ").and_then(|range| range.split('-').next()?.trim().parse().ok());
    start.ok_or_else(|| {
        Failure::new(Rank::Refused, Error::unknown(format!("{}: content range {text:?}", answer.url)))
    })
}

/// Content on its way.
struct Download {
    wanted: Wanted,
    first: Bytes,
    body: Incoming,
    position: u64,
    tries: u32,
}

#[async_trait]
impl Body for Download {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if !self.first.is_empty() {
                self.position += self.first.len() as u64;
                return Ok(Some(std::mem::take(&mut self.first)));
            }
            let error = match next_piece(&mut self.body).await {
                Ok(Some(piece)) => {
                    self.position += piece.len() as u64;
                    self.tries = 0;
                    return Ok(Some(piece));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            self.reopen(error).await?;
        }
    }
}

impl Download {
    async fn reopen(&mut self, mut error: Error) -> Result<()> {
        while self.tries < TRIES {
            self.tries += 1;
            tracing::debug!(%error, position = self.position, "a download broke and is taken up again");
            match self.wanted.open(self.position).await {
                Ok((first, body)) => {
                    (self.first, self.body) = (first, body);
                    return Ok(());
                }
                Err(failure) => error = failure.error,
            }
        }
        let kind = if error.kind() == Kind::NotFound { Kind::Unknown } else { error.kind() };
        Err(error.with_kind(kind).during(format!("download broke at byte {}", self.position)))
    }
}
