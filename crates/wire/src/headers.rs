//! The metadata that carries a scope: namespace and lease.

use model::{Error, Kind, Namespace, Result, Scope};

/// The namespace, in gRPC metadata.
pub const NAMESPACE: &str = "containerd-namespace";
/// The namespace, in ttrpc metadata; also sent over gRPC, for servers that pass it on.
pub const NAMESPACE_TTRPC: &str = "containerd-namespace-ttrpc";
/// The lease, in gRPC metadata.
pub const LEASE: &str = "containerd-lease";

/// Reads a scope from metadata; `first` gives the first value under a key. The gRPC key decides if it is there, even
/// when it is empty.
///
/// # Errors
/// `FailedPrecondition` without a namespace, `InvalidArgument` when it is no identifier.
pub fn scope(first: impl Fn(&str) -> Option<String>) -> Result<Scope> {
    let name = first(NAMESPACE).or_else(|| first(NAMESPACE_TTRPC)).unwrap_or_default();
    if name.is_empty() {
        return Err(Error::new(Kind::FailedPrecondition, "namespace is required: failed precondition"));
    }
    let namespace = Namespace::new(&name).map_err(|e| e.during("namespace validation"))?;
    let lease = first(LEASE).filter(|lease| !lease.is_empty());
    Ok(Scope { namespace, lease })
}

/// The metadata of a scope.
pub fn entries(scope: &Scope) -> Vec<(&'static str, &str)> {
    let namespace = scope.namespace.as_str();
    let mut entries = vec![(NAMESPACE, namespace), (NAMESPACE_TTRPC, namespace)];
    entries.extend(scope.lease.as_deref().map(|lease| (LEASE, lease)));
    entries
}

/// The scope of a gRPC request.
///
/// # Errors
/// As [`scope`].
#[cfg(feature = "grpc")]
pub fn from_metadata(metadata: &tonic::metadata::MetadataMap) -> Result<Scope> {
    scope(|key| metadata.get(key).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()))
}

/// Puts a scope into a gRPC request's metadata.
///
/// # Errors
/// `InvalidArgument` when the lease's id cannot be a header.
#[cfg(feature = "grpc")]
pub fn into_metadata(scope: &Scope, metadata: &mut tonic::metadata::MetadataMap) -> Result<()> {
    for (key, value) in entries(scope) {
        let value = value.parse().map_err(|_| Error::invalid(format!("header {key}: {value:?}")))?;
        metadata.insert(key, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Scope> {
        scope(|key| entries.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_first_value_decides() {
        for (entries, expected) in [
            (&[][..], Err("namespace is required: failed precondition")),
            (&[(NAMESPACE, ""), (NAMESPACE_TTRPC, "x")], Err("namespace is required: failed precondition")),
            (&[(NAMESPACE, "a"), (NAMESPACE_TTRPC, "x")], Ok(("a", None))),
            (&[(NAMESPACE_TTRPC, "x"), (LEASE, "l/1")], Ok(("x", Some("l/1")))),
            (&[(NAMESPACE, "x"), (LEASE, "")], Ok(("x", None))),
        ] {
            match (read(entries), expected) {
                (Ok(scope), Ok((namespace, lease))) => {
                    assert_eq!((scope.namespace.as_str(), scope.lease.as_deref()), (namespace, lease));
                }
                (Err(error), Err(text)) => assert_eq!(error.text(), text),
                (seen, expected) => panic!("{seen:?}, not {expected:?}"),
            }
        }
        let error = read(&[(NAMESPACE, "a/b")]).expect_err("no identifier");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.text().starts_with("namespace validation: "), "{error}");
    }

    #[test]
    fn entries_read_back() {
        let scope = Scope::new(Namespace::new("n").expect("an identifier")).with_lease("l");
        assert_eq!(read(&entries(&scope)).expect("whole"), scope);
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn metadata_reads_back() {
        let scope = Scope::new(Namespace::new("n").expect("an identifier")).with_lease("l 1");
        let mut metadata = tonic::metadata::MetadataMap::new();
        into_metadata(&scope, &mut metadata).expect("plain text");
        assert_eq!(from_metadata(&metadata).expect("whole"), scope);
        assert!(into_metadata(&scope.with_lease("a\nb"), &mut metadata).is_err());
    }
}
