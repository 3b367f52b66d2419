//! From a reference to a descriptor: what a tag stands for now.

use crate::exchange::Answer;
use crate::refusal::{Failure, Rank, refused};
use crate::repository::Opened;
use crate::upstream::{Action, Upstream, nobody};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use model::{Error, Kind, Result};
use oci::{Descriptor, Digest, media_type};

/// The largest manifest or index, in bytes.
pub const MAX_MANIFEST: u64 = 4 * 1048 * 1048;
/// What we can read.
const ACCEPTED: &str = "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, */*";
/// The header in which a registry says what it sends.
pub const CONTENT_DIGEST: &str = "docker-content-digest";

impl Opened {
    /// Asks the hosts in order what the reference stands for.
    pub(crate) async fn find(&self) -> Result<Descriptor> {
        let reference = &self.reference;
        let object =
            reference.require_object().map_err(|e| Error::invalid(format!("{e}: {:?}", self.name)))?;
        let digest = reference.digest().map_err(|e| Error::invalid(format!("{:?}: {e}", self.name)))?;
        let mut places = vec![format!("manifests/{}", digest.as_ref().map_or(object, Digest::as_str))];
        places.extend(digest.iter().map(|digest| format!("blobs/{digest}")));
        let mut failed = None;
        for place in &places {
            for upstream in &self.upstreams {
                let able = upstream.host().able;
                if !able.pull || (digest.is_none() && !able.resolve) {
                    continue;
                }
                match find_at(upstream, place, digest.as_ref()).await {
                    Ok(found) => return Ok(found),
                    Err(failure) => failed = Some(failure.or(failed)),
                }
            }
        }
        Err(self.explain(failed.unwrap_or_else(|| nobody("no host is configured to resolve references"))))
    }

    fn explain(&self, failure: Failure) -> Error {
        match failure.rank {
            Rank::Absent => Error::not_found(&self.name).with_source(failure.error),
            _ if failure.denied => failure
                .error
                .during("pull access denied, repository does not exist or may require authorization"),
            _ => failure.error,
        }
    }
}

async fn find_at(upstream: &Upstream, place: &str, digest: Option<&Digest>) -> Result<Descriptor, Failure> {
    let answer = ask(upstream, Method::HEAD, place).await?;
    let answer = match answer.status {
        // The body says why, and there is none to HEAD.
        StatusCode::FORBIDDEN => ask(upstream, Method::GET, place).await?,
        _ => answer,
    };
    if !answer.status.is_success() {
        return Err(refused(answer).await);
    }
    let kind = media_type_of(&answer);
    if kind == "text/plain" {
        let text = "schema 1 image manifests are no longer supported: invalid argument";
        return Err(Failure::new(Rank::TooLarge, Error::new(Kind::InvalidArgument, text)));
    }
    let size = answer.header(CONTENT_LENGTH).parse::<u64>().ok();
    let promised = match digest {
        Some(digest) => Some(digest.clone()),
        None => Digest::parse(answer.header(CONTENT_DIGEST)).ok(),
    };
    if let (Some(digest), Some(size)) = (promised, size.filter(|size| *size > 0)) {
        return describe(kind, digest, size);
    }
    let answer = match answer.method {
        Method::GET => answer,
        _ => ask(upstream, Method::GET, place).await?,
    };
    if !answer.status.is_success() {
        return Err(refused(answer).await);
    }
    let kind = media_type_of(&answer);
    let bytes = answer.read_whole(MAX_MANIFEST as usize).await.map_err(Failure::transport)?;
    let bytes = bytes.ok_or_else(|| too_large(MAX_MANIFEST + 1))?;
    let actual = digest.map_or_else(|| Digest::of(&bytes), |digest| digest.algorithm().digest(&bytes));
    if let Some(wanted) = digest.filter(|wanted| **wanted != actual) {
        let text = format!("{place}: the registry sent {actual} for {wanted}");
        return Err(Failure::new(Rank::Refused, Error::failed_precondition(text)));
    }
    describe(kind, actual, bytes.len() as u64)
}

async fn ask(upstream: &Upstream, method: Method, place: &str) -> Result<Answer, Failure> {
    let mut request = upstream.request(method, place);
    request.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    upstream.send(request, (Action::Pull, &[])).await
}

fn describe(kind: String, digest: Digest, size: u64) -> Result<Descriptor, Failure> {
    let is_document = media_type::is_manifest(&kind) || media_type::is_index(&kind);
    if is_document && size > MAX_MANIFEST {
        return Err(too_large(size));
    }
    Ok(Descriptor::new(kind, digest, i64::try_from(size).unwrap_or(i64::MAX)))
}

fn too_large(size: u64) -> Failure {
    let text = format!("rejecting manifest of {size} bytes: at most {MAX_MANIFEST} bytes are taken");
    Failure::new(Rank::TooLarge, Error::exhausted(text))
}

/// The media type without its parameters.
fn media_type_of(answer: &Answer) -> String {
    answer.header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned()
}
