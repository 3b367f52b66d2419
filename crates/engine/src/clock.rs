//! The clock: the one place where the engine asks what time it is.

use model::Timestamp;
use std::time::SystemTime;

/// The time now, UTC.
pub fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
