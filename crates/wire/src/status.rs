//! Refusals: the house's error kinds beside the codes of gRPC and ttrpc, and the rules for their texts.
//!
//! Outwards the whole text travels, which normally ends with the class text of its kind. Inwards the text is kept as
//! it came; only an empty one becomes the class text, and a deadline or a cancellation gets its class text appended
//! when it lacks it, because those two have no other mark in it. Conflict and not-modified have no kind of their own:
//! they are failed preconditions whose text ends so. A second error, which came while the first was cleaned up, rides
//! along as a nested status both ways, one level deep.

use model::{Error, Kind};
use prost::{Message, Name};
use ttrpc::status::Detail;
use ttrpc::{Code, Status};

use crate::Any;
use crate::api::rpc;

/// Every kind with its code: a bijection, success left out.
const TABLE: [(Kind, Code); 16] = [
    (Kind::Unknown, Code::Unknown),
    (Kind::Cancelled, Code::Cancelled),
    (Kind::InvalidArgument, Code::InvalidArgument),
    (Kind::DeadlineExceeded, Code::DeadlineExceeded),
    (Kind::NotFound, Code::NotFound),
    (Kind::AlreadyExists, Code::AlreadyExists),
    (Kind::PermissionDenied, Code::PermissionDenied),
    (Kind::ResourceExhausted, Code::ResourceExhausted),
    (Kind::FailedPrecondition, Code::FailedPrecondition),
    (Kind::Aborted, Code::Aborted),
    (Kind::OutOfRange, Code::OutOfRange),
    (Kind::NotImplemented, Code::Unimplemented),
    (Kind::Internal, Code::Internal),
    (Kind::Unavailable, Code::Unavailable),
    (Kind::DataLoss, Code::DataLoss),
    (Kind::Unauthenticated, Code::Unauthenticated),
];

/// The code of a kind.
pub fn code(kind: Kind) -> Code {
    TABLE.iter().find(|(k, _)| *k == kind).map_or(Code::Unknown, |(_, code)| *code)
}

/// The kind of a code; a success that is no success is unknown.
pub fn kind(code: Code) -> Kind {
    TABLE.iter().find(|(_, c)| *c == code).map_or(Kind::Unknown, |(kind, _)| *kind)
}

/// An error as a ttrpc status.
pub fn to_ttrpc(error: &Error) -> Status {
    let detail = |any: Any| Detail { type_url: any.type_url, value: any.value };
    let mut status = Status::new(code(error.kind()), error.text());
    status.details = second(error).map(detail).collect();
    status
}

/// The second error as a detail of the first.
fn second(error: &Error) -> impl Iterator<Item = Any> {
    let nested = |e: &Error| rpc::Status {
        code: code(e.kind()) as i32,
        message: e.text().to_owned(),
        details: Vec::new(),
    };
    error.second().map(|e| Any::pack(&nested(e))).into_iter()
}

/// A ttrpc status as an error.
pub fn from_ttrpc(status: &Status) -> Error {
    let details = status.details.iter().map(|d| Any { type_url: d.type_url.clone(), value: d.value.clone() });
    from_parts(status.code(), &status.message, details)
}

/// An error as a status inside another message.
pub fn to_rpc(error: &Error) -> rpc::Status {
    let (code, message) = (code(error.kind()) as i32, error.text().to_owned());
    rpc::Status { code, message, details: second(error).collect() }
}

/// A status inside another message as an error.
pub fn from_rpc(status: rpc::Status) -> Error {
    from_parts(Code::from(status.code), &status.message, status.details.into_iter())
}

fn from_parts(code: Code, message: &str, details: impl Iterator<Item = Any>) -> Error {
    let kind = kind(code);
    let error = Error::new(kind, text(kind, message));
    let nested = details
        .filter(|detail| detail.name() == rpc::Status::full_name())
        .filter_map(|detail| rpc::Status::decode(detail.value).ok())
        .next();
    match nested {
        // One level is all that a peer can make us follow.
        Some(rpc::Status { code, message, .. }) => {
            let kind = self::kind(Code::from(code));
            error.beside(Error::new(kind, text(kind, &message)))
        }
        None => error,
    }
}

/// The text an arriving message gets.
fn text(kind: Kind, message: &str) -> String {
    let class = kind.text();
    let marked = message.strip_suffix(class).is_some_and(|rest| rest.is_empty() || rest.ends_with(": "));
    match kind {
        _ if message.is_empty() => class.to_owned(),
        Kind::Cancelled | Kind::DeadlineExceeded if !marked => format!("{message}: {class}"),
        _ => message.to_owned(),
    }
}

/// An error as a gRPC status.
#[cfg(feature = "grpc")]
pub fn to_grpc(error: &Error) -> tonic::Status {
    let code = tonic::Code::from_i32(code(error.kind()) as i32);
    match error.second() {
        None => tonic::Status::new(code, error.text()),
        Some(_) => tonic::Status::with_details(code, error.text(), to_rpc(error).encode_to_vec().into()),
    }
}

/// A gRPC status as an error. A connection that broke keeps its cause for the log.
#[cfg(feature = "grpc")]
pub fn from_grpc(status: tonic::Status) -> Error {
    let details = rpc::Status::decode(status.details()).map(|s| s.details).unwrap_or_default();
    let error = from_parts(Code::from(status.code() as i32), status.message(), details.into_iter());
    match std::error::Error::source(&status) {
        Some(_) => error.with_source(status),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_codes_are_a_bijection() {
        for number in 1..=16 {
            let code = Code::from(number);
            assert_eq!(super::code(kind(code)), code, "{number}");
        }
        for (kind, code) in TABLE {
            assert_eq!((super::code(kind), self::kind(code)), (code, kind));
        }
        assert_eq!(kind(Code::Ok), Kind::Unknown);
        assert_eq!(kind(Code::from(99)), Kind::Unknown);
    }

    #[test]
    fn errors_survive_every_way_there_and_back() {
        for (kind, _) in TABLE {
            let error = Error::new(kind, format!("image \"x\": {}", kind.text()));
            for back in [from_ttrpc(&to_ttrpc(&error)), from_rpc(to_rpc(&error))] {
                assert_eq!((back.kind(), back.text()), (kind, error.text()));
            }
            #[cfg(feature = "grpc")]
            {
                let back = from_grpc(to_grpc(&error));
                assert_eq!((back.kind(), back.text()), (kind, error.text()));
            }
        }
    }

    #[test]
    fn arriving_texts() {
        for (code, message, expected) in [
            (Code::NotFound, "image \"x\": not found", "image \"x\": not found"),
            (Code::NotFound, "task x not found", "task x not found"),
            (Code::NotFound, "", "not found"),
            (Code::FailedPrecondition, "x: conflict", "x: conflict"),
            (Code::FailedPrecondition, "x: not modified", "x: not modified"),
            (Code::DeadlineExceeded, "shim", "shim: context deadline exceeded"),
            (Code::DeadlineExceeded, "context deadline exceeded", "context deadline exceeded"),
            (Code::Cancelled, "wait: context canceled", "wait: context canceled"),
            (Code::Cancelled, "", "context canceled"),
            (Code::Unknown, "ttrpc: closed", "ttrpc: closed"),
            (Code::Unknown, "", "unknown"),
        ] {
            let error = from_ttrpc(&Status::new(code, message));
            assert_eq!((error.kind(), error.text()), (kind(code), expected));
        }
    }

    #[test]
    fn a_second_error_is_kept_beside_the_first() {
        let second = rpc::Status { code: 5, message: "b".to_owned(), details: Vec::new() };
        let status = rpc::Status { code: 9, message: "a".to_owned(), details: vec![Any::pack(&second)] };
        let shown = |error: &Error| {
            let shown = format!("{error:?}");
            assert!(shown.starts_with("a [FailedPrecondition]") && shown.contains("b [NotFound]"), "{shown}");
        };
        let error = from_rpc(status.clone());
        shown(&error);
        assert_eq!(to_rpc(&error), status);
        shown(&from_ttrpc(&to_ttrpc(&error)));
        #[cfg(feature = "grpc")]
        shown(&from_grpc(to_grpc(&error)));
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn numbers_are_those_of_grpc() {
        for (kind, code) in TABLE {
            assert_eq!(to_grpc(&Error::new(kind, "x")).code() as i32, code as i32);
        }
    }
}
