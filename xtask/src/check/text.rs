//! Words that no file may hold: hosts of package registries, and paths outside the repository.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::read_text;

/// Written in two parts, so that this file does not find itself.
const WORDS: [(&str, &str); 12] = [
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("proxy.golang", ".org"),
    ("sum.golang", ".org"),
    ("npmjs", ".org"),
    ("maven.apache", ".org"),
    ("repo1.maven", ".org"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("../", "shared"),
    ("/work/", "shared"),
];

/// Files in which the tools themselves write such words.
const LOCKS: [&str; 2] = ["Cargo.lock", "go.sum"];

/// Findings: path, line and word.
pub fn check(files: &[PathBuf]) -> Result<Vec<String>> {
    let words: Vec<String> = WORDS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| !is_lock(f)) {
        let text = read_text(file)?;
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|w| line.contains(w.as_str())) {
                findings.push(format!("{}:{}: mentions {word}", file.display(), number + 1));
            }
        }
    }
    Ok(findings)
}

fn is_lock(file: &Path) -> bool {
    file.file_name().is_some_and(|n| LOCKS.iter().any(|l| n == *l))
}
