//! Help, made from the tables.

use super::arguments::Flag;
use super::{GLOBAL_FLAGS, NAME, VERBS, Verb};

/// Help of the program.
pub(super) fn program() -> String {
    let mut text = format!(
        "NAME:\n   {NAME} - Open Container Initiative runtime\n\n\
         USAGE:\n   {NAME} [global options] command [command options] [arguments...]\n\n\
         COMMANDS:\n"
    );
    for verb in &VERBS {
        text.push_str(&format!("   {:<11} {}\n", verb.name, verb.about));
    }
    text.push_str("\nGLOBAL OPTIONS:\n");
    text.push_str(&flags(&GLOBAL_FLAGS));
    text
}

/// Help of one verb.
pub(super) fn verb(verb: &Verb) -> String {
    let mut text = format!(
        "NAME:\n   {NAME} {} - {}\n\nUSAGE:\n   {NAME} {} {}\n",
        verb.name, verb.about, verb.name, verb.usage
    );
    if !verb.flags.is_empty() {
        text.push_str("\nOPTIONS:\n");
        text.push_str(&flags(verb.flags));
    }
    text
}

/// What `--version` prints.
pub(super) fn version() -> String {
    format!("{NAME} version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), oci::runtime::VERSION)
}

fn flags(flags: &[Flag]) -> String {
    let head = |flag: &Flag| {
        let name = |name: &&str| {
            let dashes = if name.len() == 1 { "-" } else { "--" };
            format!("{dashes}{name}{}", if flag.takes_value { " value" } else { "" })
        };
        flag.names.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let width = flags.iter().map(|flag| head(flag).len()).max().unwrap_or(0) + 2;
    flags.iter().map(|flag| format!("   {:<width$}{}\n", head(flag), flag.about)).collect()
}
