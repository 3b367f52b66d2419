//! Points in time, as the APIs carry them. This crate reads no clock: callers pass the time in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: seconds since 1970 (UTC) and nanoseconds within the second (0..1_000_000_000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanos: u32,
}

impl Timestamp {
    /// The year 1: how clients of containerd see "never".
    pub const NEVER: Self = Self { seconds: -62_135_596_800, nanos: 0 };

    /// Whether this is [`Timestamp::NEVER`].
    pub fn is_never(&self) -> bool {
        *self == Self::NEVER
    }

    /// The text of RFC 3339 in UTC, with as many digits of the fraction as it needs.
    pub fn to_rfc3339(&self) -> String {
        match jiff::Timestamp::new(self.seconds, self.nanos as i32) {
            Ok(t) => t.to_string(),
            Err(_) => String::from("invalid time"),
        }
    }

    /// Reads RFC 3339; `None` for anything else, a bare date included.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let t: jiff::Timestamp = text.parse().ok()?;
        let (mut seconds, mut nanos) = (t.as_second(), t.subsec_nanosecond());
        if nanos < 0 {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        Some(Self { seconds, nanos: nanos as u32 })
    }

    /// This time plus a duration.
    #[must_use]
    pub fn plus(&self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let carry = i64::from(nanos / 1_000_000_000);
        let seconds = self.seconds.saturating_add_unsigned(duration.as_secs()).saturating_add(carry);
        Self { seconds, nanos: nanos % 1_000_000_000 }
    }

    /// Nanoseconds since 1970, saturating.
    pub fn as_nanos(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(d) => Self { seconds: d.as_secs() as i64, nanos: d.subsec_nanos() },
            Err(e) => {
                let d = e.duration();
                let borrow = i64::from(d.subsec_nanos() > 0);
                let nanos = (1_000_000_000 - d.subsec_nanos()) % 1_000_000_000;
                Self { seconds: -(d.as_secs() as i64) - borrow, nanos }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips() {
        for text in ["2026-11-21T11:12:13Z", "2026-11-21T11:12:13.000000001Z", "1969-12-31T23:59:59.5Z"] {
            assert_eq!(Timestamp::from_rfc3339(text).expect(text).to_rfc3339(), text);
        }
        assert_eq!(Timestamp::from_rfc3339("2026-11-21"), None);
        assert_eq!(
            Timestamp::from_rfc3339("2026-11-21T13:12:13+02:00").map(|t| t.to_rfc3339()).as_deref(),
            Some("2026-11-21T11:12:13Z")
        );
    }

    #[test]
    fn adds_with_carry() {
        let t = Timestamp { seconds: 1, nanos: 900_000_000 }.plus(Duration::from_millis(200));
        assert_eq!(t, Timestamp { seconds: 2, nanos: 100_000_000 });
    }
}
