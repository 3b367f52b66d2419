//! The collector: mark, sweep, clean up.
