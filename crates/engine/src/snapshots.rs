//! Snapshots: the one ledger between keys and numbered directories.
