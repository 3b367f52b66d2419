//! From bytes to a repository: is it there, can it be taken over from a neighbour, else send it.

use crate::exchange::{Answer, Place, Request};
use crate::payload::Payload;
use crate::refusal::{Failure, Rank, describe};
use crate::repository::Opened;
use crate::resolve::CONTENT_DIGEST;
use crate::upstream::{Action, Upstream, accept};
use crate::url::{escape, resolve, with_query};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode, Uri};
use model::registries::{Push, Pushed};
use model::{Error, Result};
use oci::{Descriptor, media_type};

/// What the registry answered to the wish for an upload.
enum Begun {
    /// It has the blob now.
    Mounted,
    /// Bytes go there.
    At(Uri),
}

impl Opened {
    /// Brings content to the first host that takes any.
    pub(crate) async fn bring(&self, push: Push) -> Result<Pushed> {
        let upstream = self.upstreams.iter().find(|u| u.host().able.push);
        let upstream = upstream
            .ok_or_else(|| Error::not_found(format!("{}: no host is configured to push to", self.name)))?;
        let what = &push.descriptor;
        let is_document = media_type::is_manifest(&what.media_type) || media_type::is_index(&what.media_type);
        let done =
            if is_document { self.document(upstream, &push).await } else { self.blob(upstream, &push).await };
        done.map_err(|failure| match failure.rank {
            Rank::Transport if failure.denied => {
                failure.error.during(format!("push access to {} denied", self.name))
            }
            _ => failure.error,
        })
    }

    /// The name of a manifest: the reference's tag if it is what the reference will stand for, else its digest.
    fn manifest_name(&self, push: &Push) -> String {
        let tag = self.reference.tag();
        if push.descriptor.digest == push.root && !tag.is_empty() {
            tag.to_owned()
        } else {
            push.descriptor.digest.to_string()
        }
    }

    async fn document(&self, upstream: &Upstream, push: &Push) -> Result<Pushed, Failure> {
        let Push { descriptor, .. } = push;
        let name = self.manifest_name(push);
        let place = format!("manifests/{name}");
        let mut asked = upstream.request(Method::HEAD, &place);
        let (key, value) = accept(&descriptor.media_type);
        asked.headers.insert(key, value);
        let answer = upstream.send(asked, (Action::Push, &[])).await?;
        if answer.status.is_success() {
            let by_tag = name != descriptor.digest.as_str();
            if !by_tag || answer.header(CONTENT_DIGEST) == descriptor.digest.as_str() {
                return Ok(Pushed::Exists);
            }
        } else if answer.status != StatusCode::NOT_FOUND {
            return Err(refused_push(answer).await);
        }
        let mut request = upstream.request(Method::PUT, &place);
        let kind = HeaderValue::from_str(&descriptor.media_type);
        let kind = kind.map_err(|_| Failure::transport(Error::invalid("media type of the manifest")))?;
        request.headers.insert(CONTENT_TYPE, kind);
        request.payload = Payload::Blob(push.reader.clone(), push.sent.clone());
        let answer = upstream.send(request, (Action::Push, &[])).await?;
        finish(answer, descriptor).await
    }

    async fn blob(&self, upstream: &Upstream, push: &Push) -> Result<Pushed, Failure> {
        let Push { descriptor, .. } = push;
        let mut asked = upstream.request(Method::HEAD, &format!("blobs/{}", descriptor.digest));
        let (key, value) = accept(&descriptor.media_type);
        asked.headers.insert(key, value);
        let answer = upstream.send(asked, (Action::Push, &[])).await?;
        if answer.status.is_success() {
            return Ok(Pushed::Exists);
        }
        if answer.status != StatusCode::NOT_FOUND {
            return Err(refused_push(answer).await);
        }
        let target = match self.begin(upstream, push).await? {
            Begun::Mounted => return Ok(Pushed::Mounted),
            Begun::At(uri) => uri,
        };
        let url = with_query(&target.to_string(), "digest", descriptor.digest.as_str());
        let place =
            url.parse().map_err(|e| Failure::transport(Error::unknown(format!("upload URL {url}: {e}"))))?;
        let mut request = Request::new(Method::PUT, Place::At(place));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        request.payload = Payload::Blob(push.reader.clone(), push.sent.clone());
        let answer = upstream.send_to(request, Action::Push).await?;
        finish(answer, descriptor).await
    }

    /// Begins an upload, first as a mount from a neighbour if one is known.
    async fn begin(&self, upstream: &Upstream, push: &Push) -> Result<Begun, Failure> {
        let uploads = "blobs/uploads/";
        if let Some(from) = self.neighbour(push) {
            let mut request = upstream.request(Method::POST, uploads);
            if let Place::Below(path) = &mut request.place {
                *path = with_query(path, "mount", push.descriptor.digest.as_str());
                *path = format!("{path}&from={}", escape(&from));
            }
            let scope = format!("repository:{from}:pull");
            match upstream.send(request, (Action::Push, &[scope])).await {
                Ok(answer) if answer.status == StatusCode::CREATED => return Ok(Begun::Mounted),
                Ok(answer) if answer.status == StatusCode::ACCEPTED => return location(&answer),
                // A neighbour that we may not read is none.
                Ok(answer) if answer.status != StatusCode::UNAUTHORIZED => {
                    return Err(refused_push(answer).await);
                }
                Err(failure) if !failure.denied => return Err(failure),
                _ => {}
            }
        }
        let answer = upstream.send(upstream.request(Method::POST, uploads), (Action::Push, &[])).await?;
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => location(&answer),
            StatusCode::CREATED => Ok(Begun::Mounted),
            _ => Err(refused_push(answer).await),
        }
    }

    /// The repository of the same registry that has the blob and whose name is most like ours.
    fn neighbour(&self, push: &Push) -> Option<String> {
        let own = self.reference.repository();
        let known = push.labels.get(&self.source_key())?;
        let likeness = |other: &str| own.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).count();
        known
            .split(',')
            .filter(|other| !other.is_empty() && *other != own)
            .max_by_key(|o| likeness(o))
            .map(str::to_owned)
    }
}

fn location(answer: &Answer) -> Result<Begun, Failure> {
    let text = answer.header(LOCATION);
    let uri = resolve(&answer.url, text).filter(|_| !text.is_empty());
    uri.map(Begun::At).ok_or_else(|| {
        Failure::new(
            Rank::Refused,
            Error::unknown(format!("{}: upload location {text:?} is no URL", answer.url)),
        )
    })
}

/// The end of a PUT: the registry must have what was meant.
async fn finish(answer: Answer, descriptor: &Descriptor) -> Result<Pushed, Failure> {
    if !matches!(answer.status, StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT) {
        return Err(refused_push(answer).await);
    }
    let got = answer.header(CONTENT_DIGEST);
    if !got.is_empty() && got != descriptor.digest.as_str() {
        let text = format!("got digest {got}, expected {}", descriptor.digest);
        return Err(Failure::new(Rank::Refused, Error::unknown(text)));
    }
    Ok(Pushed::Sent)
}

/// A refusal: also what is absent here is a refusal and no missing image.
async fn refused_push(answer: Answer) -> Failure {
    let error = describe(answer).await;
    Failure::new(Rank::Refused, error)
}
