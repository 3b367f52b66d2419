//! Leases: what keeps objects from the collector.
