//! Configuration as people write it: Go durations, and the file that says what is in force.

use super::Config;
use anyhow::{Context, Result};
use std::time::Duration;

/// Reads a duration as Go writes it: `5s`, `100ms`, `1m30s`, `1.5h`; `None` for anything else.
pub fn human_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

/// The configuration as a file.
///
/// # Errors
/// Never for a configuration that was loaded.
pub fn dump(config: &Config) -> Result<String> {
    toml::to_string(config).context("encode the configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in
            [("5s", 5_000), ("100ms", 100), ("1m30s", 90_000), ("1.5h", 5_400_000), ("0s", 0), ("0", 0)]
        {
            assert_eq!(human_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-1s", "1d"] {
            assert_eq!(human_duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_defaults_read_back() {
        let text = dump(&Config::default()).expect("dump");
        let back: Config = toml::from_str(&text).expect("parse");
        assert_eq!(back, Config::default());
    }
}
