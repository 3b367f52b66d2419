//! What the transport refuses by itself, in the words that containerd's clients know.
//!
//! tonic has words and codes of its own for a request that is too long, cannot be decoded, is for nobody or took too
//! long. They are changed where a response carries its status in its headers, as every refusal before the first
//! message does.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// A service whose transport's refusals are reworded.
#[derive(Clone)]
pub struct Reworded<S>(pub S);

impl<S: NamedService> NamedService for Reworded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Reworded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + NamedService,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let uri = request.uri().clone();
        let deadline = request.headers().get("grpc-timeout").and_then(|value| deadline(value.to_str().ok()?));
        let step = kernel::trace::begin();
        let answering = self.0.call(request);
        Box::pin(async move {
            let response = match deadline {
                None => answering.await?,
                Some(deadline) => match tokio::time::timeout(deadline, answering).await {
                    Ok(response) => response?,
                    Err(_) => return Ok(Status::deadline_exceeded("context deadline exceeded").into_http()),
                },
            };
            step.end("daemon.request", uri.path());
            match Status::from_header_map(response.headers()) {
                Some(status) if is_transports(&status) => Ok(reword(status, S::NAME, &uri).into_http()),
                _ => Ok(response),
            }
        })
    }
}

/// The answer for a service that there is not.
pub fn unknown_service(uri: &http::Uri) -> http::Response<Body> {
    let service = uri.path().trim_start_matches('/').rsplit_once('/').map_or("", |(service, _)| service);
    Status::unimplemented(format!("unknown service {service}")).into_http()
}

/// A status of the transport in the known words; any other is left as it is.
pub fn known(status: Status) -> Status {
    let text = status.message();
    if let Some((length, limit)) = too_long(text) {
        let text = format!("grpc: received message larger than max ({length} vs. {limit})");
        return Status::resource_exhausted(text);
    }
    match text.strip_prefix(UNDECODABLE) {
        Some(rest) => Status::internal(format!("grpc: error unmarshalling request{rest}")),
        None => status,
    }
}

/// How long a client waits, less what it takes to be ahead of tonic's own clock, which answers `Cancelled`.
fn deadline(header: &str) -> Option<Duration> {
    let (number, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    let wait = match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Some(wait.saturating_sub(Duration::from_millis(5)))
}

const TOO_LONG: &str = "Error, decoded message length too large: found ";
const UNDECODABLE: &str = "failed to decode Protobuf message";

fn is_transports(status: &Status) -> bool {
    match status.code() {
        Code::Unimplemented => status.message().is_empty(),
        Code::OutOfRange => status.message().starts_with(TOO_LONG),
        Code::Internal => status.message().starts_with(UNDECODABLE),
        _ => false,
    }
}

fn reword(status: Status, service: &str, uri: &http::Uri) -> Status {
    if status.code() != Code::Unimplemented {
        return known(status);
    }
    let method = uri.path().rsplit('/').next().unwrap_or_default();
    Status::unimplemented(format!("unknown method {method} for service {service}"))
}

/// The length and the limit in tonic's words for a message that is too long.
fn too_long(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.strip_prefix(TOO_LONG)?.split_once(" bytes, the limit is: ")?;
    Some((length, rest.strip_suffix(" bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines() {
        for (header, wait) in [
            ("1S", Some(Duration::from_millis(995))),
            ("20m", Some(Duration::from_millis(15))),
            ("1H", Some(Duration::from_millis(3_599_995))),
            ("1n", Some(Duration::ZERO)),
            ("1x", None),
            ("S", None),
            ("", None),
        ] {
            assert_eq!(deadline(header), wait, "{header}");
        }
    }

    #[test]
    fn words() {
        let uri = http::Uri::from_static("/a.b.C/Do");
        for (given, code, text) in [
            (Status::unimplemented(""), Code::Unimplemented, "unknown method Do for service a.b.C"),
            (
                Status::out_of_range(format!("{TOO_LONG}17 bytes, the limit is: 16 bytes")),
                Code::ResourceExhausted,
                "grpc: received message larger than max (17 vs. 16)",
            ),
            (
                Status::internal("failed to decode Protobuf message: X.id: buffer underflow"),
                Code::Internal,
                "grpc: error unmarshalling request: X.id: buffer underflow",
            ),
        ] {
            assert!(is_transports(&given), "{given:?}");
            let status = reword(given, "a.b.C", &uri);
            assert_eq!((status.code(), status.message()), (code, text));
        }
        for other in [Status::unimplemented("no"), Status::out_of_range("read past"), Status::internal("x")] {
            assert!(!is_transports(&other), "{other:?}");
        }
        let unknown = Status::from_header_map(unknown_service(&uri).headers()).expect("a status");
        assert_eq!(unknown.message(), "unknown service a.b.C");
    }
}
