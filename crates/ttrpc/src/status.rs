//! How a call was refused: a code and a text, as `google.rpc.Status` carries them.

use std::fmt;

use bytes::Bytes;

/// The seventeen status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// Success.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// No class.
    Unknown = 2,
    /// The request is wrong whatever the state.
    InvalidArgument = 3,
    /// Time ran out.
    DeadlineExceeded = 4,
    /// The thing is absent.
    NotFound = 5,
    /// The thing is present already.
    AlreadyExists = 6,
    /// The caller may not.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The state forbids it.
    FailedPrecondition = 9,
    /// Another party was faster.
    Aborted = 10,
    /// An offset lies outside.
    OutOfRange = 11,
    /// Nobody does this here.
    Unimplemented = 12,
    /// The server is at fault.
    Internal = 13,
    /// Not now.
    Unavailable = 14,
    /// Bytes are lost.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];
}

impl From<i32> for Code {
    /// A number outside the table is `Unknown`.
    fn from(number: i32) -> Self {
        usize::try_from(number).ok().and_then(|i| Self::ALL.get(i).copied()).unwrap_or(Self::Unknown)
    }
}

/// A `google.protobuf.Any` in a status' details.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Detail {
    /// Type URL.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Encoded value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.rpc.Status`. The default is success.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Status {
    /// The code's number; see [`Status::code`].
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// Text for people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Further facts, such as secondary errors.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

impl Status {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code as i32, message: message.into(), details: Vec::new() }
    }
}

impl Status {
    /// The code; numbers outside the table are `Unknown`.
    pub fn code(&self) -> Code {
        Code::from(self.code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code(), self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_both_ways() {
        for (i, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!((code as usize, Code::from(i as i32)), (i, code));
        }
        assert_eq!(Code::from(99), Code::Unknown);
        assert_eq!(Code::from(-1), Code::Unknown);
    }
}
