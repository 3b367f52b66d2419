//! What the command line does before any container is asked for.

use super::*;

fn run_words(words: &[&str]) -> Outcome {
    run(words.iter().map(|word| (*word).to_owned()).collect(), &mut Log::default())
}

fn refused(words: &[&str]) -> (i32, String) {
    run_words(words).err().map(|failure| (failure.status, failure.message)).unwrap_or_default()
}

#[test]
fn verbs_are_sorted_and_have_help() {
    assert!(VERBS.is_sorted_by(|a, b| a.name < b.name));
    for verb in &VERBS {
        assert!(matches!(run_words(&[verb.name, "--help"]), Ok(0)), "{}", verb.name);
    }
    assert!(matches!(run_words(&["--version"]), Ok(0)));
    assert!(matches!(run_words(&[]), Ok(0)));
}

#[test]
fn wrong_usage_is_told_as_runc_tells_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    let table: [(&[&str], i32, &str); 12] = [
        (&["bogus"], 3, "No help topic for 'bogus'"),
        (&["start"], 1, "gantry-oci: \"start\" requires exactly 1 argument(s)"),
        (&["create", "a", "b"], 1, "gantry-oci: \"create\" requires exactly 1 argument(s)"),
        (&["exec"], 1, "gantry-oci: \"exec\" requires a minimum of 1 argument(s)"),
        (&["list", "--bogus"], 1, "flag provided but not defined: -bogus"),
        (&["--bogus", "list"], 1, "flag provided but not defined: -bogus"),
        (&["--log-format", "xx", "list"], 1, "invalid log-format: xx"),
        (&["--rootless", "true", "list"], 1, "--rootless true is not supported"),
        (&["kill", "x", "NOSIG"], 1, "unknown signal \"NOSIG\""),
        (
            &["create", "-b", "/nonexistent", "x"],
            1,
            "runc create failed: chdir /nonexistent: no such file or directory",
        ),
        (&["update", "--memory", "x", "y"], 1, "invalid value for memory: \"x\""),
        (&["events", "--interval", "x", "y"], 1, "invalid value \"x\" for flag -interval: parse error"),
    ];
    for (words, status, message) in table {
        let words = [&["--root", root], words].concat();
        assert_eq!(refused(&words), (status, message.to_owned()), "{words:?}");
    }
}
