//! Diffs: the chain of differs behind the diff service.
