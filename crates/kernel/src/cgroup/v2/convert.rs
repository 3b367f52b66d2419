//! Version 1's measures in version 2's; pure.

use super::super::error::{Error, Result};

/// `cpu.weight` for shares: 2 gives 1, the default 1024 gives the default 100, 262144 gives 10000.
///
/// A quadratic of the binary logarithm goes through the three points.
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        shares => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// `io.weight` (1 to 10000) for a block weight (10 to 1000).
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990
}

/// `memory.swap.max` for version 1's limit of memory and swap together; `None` leaves it.
pub(super) fn swap_of_both(both: Option<i64>, memory: Option<i64>) -> Result<Option<i64>> {
    let (both, memory) = (both.unwrap_or(0), memory.unwrap_or(0));
    match (both, memory) {
        (0, -1) => Ok(Some(-1)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(-1)),
        (_, 0 | -1) => Err(Error::invalid("unable to set swap limit without memory limit")),
        (_, ..0) => Err(Error::invalid(format!("invalid memory value: {memory}"))),
        (both, memory) if both < memory => Err(Error::invalid("memory+swap limit should be >= memory limit")),
        (both, memory) => Ok(Some(both - memory)),
    }
}

/// A limit as text: negative is `max`.
pub(super) fn limit_text(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

/// `cpu.max` from a quota and a period, with what is absent taken from the file's present content.
pub(super) fn bandwidth_text(quota: Option<i64>, period: Option<u64>, present: &str) -> String {
    let mut words = present.split_whitespace();
    let (old_quota, old_period) = (words.next().unwrap_or("max"), words.next().unwrap_or("100000"));
    let quota = quota.map_or(old_quota.to_owned(), limit_text);
    let period = period.map_or(old_period.to_owned(), |period| period.to_string());
    format!("{quota} {period}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (shares, weight) in
            [(0, 1), (1, 1), (2, 1), (3, 2), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let mut last = 0;
        for shares in (2..=262_144).step_by(97) {
            let weight = weight_of_shares(shares);
            assert!(weight >= last && (1..=10_000).contains(&weight), "{shares} gives {weight}");
            last = weight;
        }
    }

    #[test]
    fn block_weights() {
        for (weight, expected) in [(10, 1), (500, 4950), (1000, 10_000), (0, 1)] {
            assert_eq!(io_weight(weight), expected, "{weight}");
        }
    }

    #[test]
    fn swap() {
        let table = [
            (None, None, Ok(None)),
            (None, Some(-1), Ok(Some(-1))),
            (Some(-1), Some(5), Ok(Some(-1))),
            (Some(9), Some(5), Ok(Some(4))),
            (Some(5), Some(5), Ok(Some(0))),
            (Some(9), None, Err("unable to set swap limit without memory limit")),
            (Some(9), Some(-1), Err("unable to set swap limit without memory limit")),
            (Some(9), Some(-2), Err("invalid memory value: -2")),
            (Some(4), Some(5), Err("memory+swap limit should be >= memory limit")),
        ];
        for (both, memory, expected) in table {
            let found = swap_of_both(both, memory).map_err(|e| e.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{both:?} {memory:?}");
        }
    }

    #[test]
    fn bandwidth() {
        let table = [
            (Some(5000), Some(20_000), "max 100000", "5000 20000"),
            (Some(-1), None, "5000 20000", "max 20000"),
            (None, Some(30_000), "5000 20000", "5000 30000"),
            (Some(7), None, "", "7 100000"),
        ];
        for (quota, period, present, expected) in table {
            assert_eq!(bandwidth_text(quota, period, present), expected);
        }
    }
}
