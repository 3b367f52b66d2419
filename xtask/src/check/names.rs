//! Names that say nothing: not of crates, not of files, not of types, nor as a part of them.

use super::House;

const FORBIDDEN: [&str; 16] = [
    "manager", "managers", "helper", "helpers", "util", "utils", "common", "base", "core", "misc", "impl",
    "impls", "local", "handler", "handlers", "service",
];

/// Where services are implemented.
const SERVICES: &str = "crates/grpc/src";

/// Findings: a word of [`FORBIDDEN`] in a name of ours. Generated code and test types keep their names.
pub fn check(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    for owner in &house.metadata.crates {
        if let Some(word) = forbidden(&owner.name) {
            findings.push(format!("{}: `{word}` in a crate's name", owner.dir.display()));
        }
    }
    for source in house.sources.iter().filter(|s| !s.generated) {
        let stem = source.path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(word) = forbidden(&stem) {
            findings.push(format!("{}: `{word}` in a file's name", source.path.display()));
        }
        for (name, line) in &source.types {
            // A type that implements a generated service may be called one.
            let serves = source.path.starts_with(SERVICES);
            if let Some(word) = forbidden(name).filter(|word| !(serves && word == "service")) {
                findings.push(format!("{}:{line}: `{word}` in the name of {name}", source.path.display()));
            }
        }
    }
    findings
}

fn forbidden(name: &str) -> Option<String> {
    words(name).into_iter().find(|w| FORBIDDEN.contains(&w.as_str()))
}

/// The words of a name in snake, kebab or camel case, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_lower = false;
    for letter in name.chars() {
        let boundary = !letter.is_alphanumeric() || (letter.is_uppercase() && last_lower);
        if boundary {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        last_lower = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|w| !w.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_not_letters() {
        let table = [
            ("TaskManager", Some("manager")),
            ("task_manager", Some("manager")),
            ("utils", Some("utils")),
            ("gantry-core", Some("core")),
            ("Scored", None),
            ("localtime", None),
            ("Database", None),
            ("BaseName", Some("base")),
        ];
        for (name, wanted) in table {
            assert_eq!(forbidden(name).as_deref(), wanted, "{name}");
        }
    }
}
