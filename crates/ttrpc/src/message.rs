//! Bodies of request and response frames, and the decoded form of a call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;

use crate::frame::{Frame, MESSAGE_LIMIT, kind};
use crate::status::{Code, Status};

/// One metadata entry; keys are lower-case.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyValue {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Body of a request frame.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// Full name of the service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// Name of the method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The encoded request message.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
    /// Time the caller still waits, nanoseconds; 0 is for ever.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    /// Metadata; keys may repeat.
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

impl Request {
    /// The frame that opens stream `stream_id` with this request, or `ResourceExhausted` when it is too long.
    pub fn frame(&self, stream_id: u32, flags: u8) -> Result<Frame, Status> {
        let body = Bytes::from(self.encode_to_vec());
        match body.len() {
            0..=MESSAGE_LIMIT => Ok(Frame { stream_id, kind: kind::REQUEST, flags, body }),
            length => Err(too_long(length)),
        }
    }
}

/// Body of a response frame.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    /// How the call ended; absent is success.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The encoded response message.
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: Bytes,
}

impl Response {
    /// The frame that answers stream `stream_id`; an answer over the limit becomes `ResourceExhausted`.
    pub fn frame(stream_id: u32, result: Result<Bytes, Status>) -> Frame {
        let response = match result {
            Ok(payload) => Self { status: Some(Status::default()), payload },
            Err(status) => Self { status: Some(status), payload: Bytes::new() },
        };
        let mut body = response.encode_to_vec();
        if body.len() > MESSAGE_LIMIT {
            let status = Some(too_long(body.len()));
            body = Self { status, payload: Bytes::new() }.encode_to_vec();
        }
        Frame { stream_id, kind: kind::RESPONSE, flags: 0, body: Bytes::from(body) }
    }

    /// Payload or refusal.
    pub fn into_result(self) -> Result<Bytes, Status> {
        match self.status {
            Some(status) if status.code != 0 => Err(status),
            _ => Ok(self.payload),
        }
    }

    /// Reads the body of a response frame; undecodable bytes are an `Internal` refusal.
    pub fn parse(body: Bytes) -> Result<Bytes, Status> {
        match Self::decode(body) {
            Ok(response) => response.into_result(),
            Err(e) => Err(Status::new(Code::Internal, format!("undecodable ttrpc response: {e}"))),
        }
    }
}

/// A request as a server sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Stream to answer on.
    pub stream_id: u32,
    /// Full name of the service.
    pub service: String,
    /// Name of the method.
    pub method: String,
    /// The encoded request message.
    pub payload: Bytes,
    /// Metadata, in order.
    pub metadata: Vec<KeyValue>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Call {
    /// Reads the body of a request frame; undecodable bytes are `InvalidArgument`.
    pub fn parse(stream_id: u32, body: Bytes) -> Result<Self, Status> {
        let request = Request::decode(body)
            .map_err(|e| Status::new(Code::InvalidArgument, format!("undecodable ttrpc request: {e}")))?;
        let Request { service, method, payload, timeout_nano, metadata } = request;
        let deadline = u64::try_from(timeout_nano).ok().filter(|nanos| *nanos > 0);
        let deadline = deadline.and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)));
        Ok(Self { stream_id, service, method, payload, metadata, deadline })
    }

    /// The first value of a metadata key, keys being compared in lower case.
    pub fn metadata_value(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|pair| pair.key.eq_ignore_ascii_case(key)).map(|pair| pair.value.as_str())
    }
}

/// `timeout_nano` for a time still to wait: at least 1, since 0 means for ever.
pub fn timeout_nano(left: Option<Duration>) -> i64 {
    left.map_or(0, |left| i64::try_from(left.as_nanos()).unwrap_or(i64::MAX).max(1))
}

/// The refusal of a message over the limit.
pub fn too_long(length: usize) -> Status {
    let text = format!("message length {length} exceed maximum message size of {MESSAGE_LIMIT}");
    Status::new(Code::ResourceExhausted, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_golden_bytes() {
        let request = Request {
            service: "s".into(),
            method: "m".into(),
            payload: Bytes::from_static(&[7]),
            timeout_nano: 300,
            metadata: vec![KeyValue { key: "k".into(), value: "v".into() }],
        };
        let golden: &'static [u8] =
            &[10, 1, b's', 18, 1, b'm', 26, 1, 7, 32, 0xac, 2, 42, 6, 10, 1, b'k', 18, 1, b'v'];
        assert_eq!(request.encode_to_vec(), golden);
        let call = Call::parse(1, Bytes::from_static(golden)).expect("call");
        assert_eq!((call.service.as_str(), call.metadata_value("K")), ("s", Some("v")));
        assert!(call.deadline.is_some());
    }

    #[test]
    fn response_both_ways() {
        let refusal = Status::new(Code::NotFound, "gone");
        for result in [Ok(Bytes::from_static(b"x")), Ok(Bytes::new()), Err(refusal)] {
            assert_eq!(Response::parse(Response::frame(1, result.clone()).body), result);
        }
        let long = Response::frame(1, Ok(Bytes::from(vec![0; MESSAGE_LIMIT])));
        assert_eq!(Response::parse(long.body).map_err(|s| s.code()), Err(Code::ResourceExhausted));
        assert!(Response::parse(Bytes::from_static(&[0xff])).is_err());
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout_nano(None), 0);
        assert_eq!(timeout_nano(Some(Duration::ZERO)), 1);
        assert_eq!(timeout_nano(Some(Duration::MAX)), i64::MAX);
    }
}
