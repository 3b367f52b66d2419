//! The shim with the OCI runtime built in.
//!
//! One program, two faces: called `gantry-oci` or `runc`, or with `oci` as its first argument, it is the runtime's
//! command line; otherwise it is the shim.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use kernel::process::{is_sealed, run_sealed};

/// Set to the process's number in the environment of the sealed program, so that a host where sealing has no effect
/// is no endless loop. Other programs of ours that inherit it have other numbers.
const SEALED: &str = "GANTRY_SEALED";

/// Which face was asked for, with the arguments that are left.
enum Face {
    Runtime(Vec<OsString>),
    Shim(Vec<OsString>),
}

fn main() -> ExitCode {
    let face = face(std::env::args_os().collect());
    if face.makes_containers() {
        seal();
    }
    match face {
        Face::Runtime(arguments) => {
            let status = runtime::cli::main(arguments);
            ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
        }
        Face::Shim(arguments) => {
            shimkit::main(arguments.into_iter().map(|word| word.to_string_lossy().into_owned()))
        }
    }
}

fn face(mut arguments: Vec<OsString>) -> Face {
    let program = if arguments.is_empty() { OsString::new() } else { arguments.remove(0) };
    let name = Path::new(&program).file_name().unwrap_or_default();
    if name == "gantry-oci" || name == "runc" {
        return Face::Runtime(arguments);
    }
    if arguments.first().is_some_and(|word| word == "oci") {
        arguments.remove(0);
        return Face::Runtime(arguments);
    }
    Face::Shim(arguments)
}

impl Face {
    /// Whether processes of containers will be copies of this one.
    fn makes_containers(&self) -> bool {
        let (words, verbs): (_, &[&str]) = match self {
            Self::Runtime(words) => (words, &["create", "run", "exec", "restore"]),
            Self::Shim(words) => (words, &["start"]),
        };
        words.iter().any(|word| verbs.iter().any(|verb| word == verb))
    }
}

/// Executes this program once more, from a place where nobody can write it: a container's first process is a copy of
/// this one for a while and shows it as `/proc/<pid>/exe`. Where that cannot be done, life goes on unsealed.
fn seal() {
    let own = std::process::id().to_string();
    if is_sealed() || std::env::var_os(SEALED).is_some_and(|number| number == own.as_str()) {
        return;
    }
    let Ok(path) = std::fs::read_link("/proc/self/exe") else { return };
    let text = |bytes: Vec<u8>| CString::new(bytes).ok();
    let arguments = std::env::args_os().map(|word| text(word.into_vec()));
    let mut environment: Vec<Option<CString>> = std::env::vars_os()
        .filter(|(name, _)| name != SEALED)
        .map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    environment.push(text(format!("{SEALED}={own}").into_bytes()));
    let (Some(arguments), Some(environment)) =
        (arguments.collect::<Option<Vec<_>>>(), environment.into_iter().collect::<Option<Vec<_>>>())
    else {
        return;
    };
    // It returns only when it failed; a log does not exist yet.
    let _ = run_sealed(&path, &arguments, &environment);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn faces_by_name_and_word() {
        for (line, runtime, makes) in [
            ("/usr/bin/runc create x", true, true),
            ("gantry-oci --root /r state x", true, false),
            ("gantry-shim oci exec x", true, true),
            ("containerd-shim-runc-v2 -id x start", false, true),
            ("containerd-shim-runc-v2 -id x delete", false, false),
        ] {
            let face = face(words(line));
            assert_eq!(
                (matches!(face, Face::Runtime(_)), face.makes_containers()),
                (runtime, makes),
                "{line}"
            );
        }
    }
}
