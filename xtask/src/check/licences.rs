//! Licences and bans: every package of the dependency graph against the lists in `deny.toml`.

use std::path::Path;

use anyhow::{Context, Result};

use super::read_text;
use crate::workspace::Metadata;

/// Findings: a licence that is not allowed, none at all, or a banned package.
pub fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let table: toml::Table = read_text(Path::new("deny.toml"))?.parse().context("parse deny.toml")?;
    let allowed = strings(table.get("licenses").and_then(|l| l.get("allow")));
    let banned = table.get("bans").and_then(|b| b.get("deny")).and_then(toml::Value::as_array);
    let banned: Vec<(&str, &str)> = banned.into_iter().flatten().filter_map(ban).collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let id = format!("{} {}", package.name, package.version);
        match &package.licence {
            None => findings.push(format!("{id}: no licence expression")),
            Some(text) if !allows(text, &allowed) => findings.push(format!("{id}: `{text}` is not allowed")),
            Some(_) => {}
        }
        if let Some((_, reason)) = banned.iter().find(|(name, _)| !package.ours && *name == package.name) {
            findings.push(format!("{id}: banned: {reason}"));
        }
    }
    Ok(findings)
}

fn strings(value: Option<&toml::Value>) -> Vec<String> {
    let array = value.and_then(toml::Value::as_array);
    array.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn ban(value: &toml::Value) -> Option<(&str, &str)> {
    Some((value.get("crate")?.as_str()?, value.get("reason")?.as_str()?))
}

/// Whether an SPDX expression can be met by allowed licences alone; `/` is an old way to write OR.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(rest, allowed);
    while let [word, tail @ ..] = rest
        && word.eq_ignore_ascii_case("or")
    {
        *rest = tail;
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(rest, allowed);
    while let [word, tail @ ..] = rest
        && word.eq_ignore_ascii_case("and")
    {
        *rest = tail;
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    let listed = |name: &str| allowed.iter().any(|a| a == name);
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let met = any(rest, allowed);
            if let [")", tail @ ..] = *rest {
                *rest = tail;
            }
            met
        }
        [name, "WITH", exception, tail @ ..] => {
            *rest = tail;
            listed(&format!("{name} WITH {exception}"))
        }
        [name, tail @ ..] => {
            *rest = tail;
            listed(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed: Vec<String> =
            ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        let table = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
            ("GPL-2.0 OR MIT AND Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH LLVM-exception", false),
            ("", false),
            ("MIT MIT", false),
        ];
        for (expression, wanted) in table {
            assert_eq!(allows(expression, &allowed), wanted, "{expression}");
        }
    }
}
