//! Filters of test programs: each must match something, or a renamed test stays green by not running.

use anyhow::{Result, ensure};

/// Insists that every filter, and every word after `--skip`, matches one of the names in what `--list --format terse`
/// printed.
pub fn all_match(program: &str, listed: &str, arguments: &str) -> Result<()> {
    let names: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for word in arguments.split_whitespace().filter(|word| !word.starts_with("--")) {
        ensure!(names.iter().any(|name| name.contains(word)), "{program} has no test that matches {word}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_a_match_is_named() {
        let listed = "a::one: test\na::two: test\nb: benchmark\n";
        for arguments in ["", "a::", "one two", "a:: --skip two --include-ignored"] {
            all_match("p", listed, arguments).expect(arguments);
        }
        for (arguments, word) in [("three", "three"), ("one b", "b"), ("a:: --skip three", "three")] {
            let error = all_match("p", listed, arguments).expect_err(arguments).to_string();
            assert_eq!(error, format!("p has no test that matches {word}"));
        }
    }
}
