//! `create` and `run`.

use std::path::{Path, PathBuf};

use kernel::process::set_subreaper;
use oci::runtime::Spec;

use super::arguments::{Count, Flag, Order, Parsed};
use super::foreground::{Terminal, Watch, Wish};
use super::{Failure, Globals, Outcome, Verb};
use crate::{Console, Create, Deletion, Flags, Parent};

const BUNDLE: Flag = Flag::value(&["bundle", "b"], "bundle directory, defaults to the current directory");
const CONSOLE_SOCKET: Flag =
    Flag::value(&["console-socket"], "unix socket that receives the terminal's master descriptor");
const PID_FILE: Flag = Flag::value(&["pid-file"], "file to write the process id to");
const NO_PIVOT: Flag = Flag::switch(&["no-pivot"], "move the root mount instead of pivoting; for ramdisks");
const NO_NEW_KEYRING: Flag = Flag::switch(&["no-new-keyring"], "keep the session keyring of the caller");
const PRESERVE_FDS: Flag =
    Flag::value(&["preserve-fds"], "pass that many descriptors after the standard ones");

pub(super) const CREATE: Verb = Verb {
    name: "create",
    usage: "[command options] <container-id>",
    about: "create a container",
    flags: &[BUNDLE, CONSOLE_SOCKET, PID_FILE, NO_PIVOT, NO_NEW_KEYRING, PRESERVE_FDS],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: create,
};

pub(super) const RUN: Verb = Verb {
    name: "run",
    usage: "[command options] <container-id>",
    about: "create and run a container",
    flags: &[
        BUNDLE,
        CONSOLE_SOCKET,
        Flag::switch(&["detach", "d"], "return once the process runs"),
        Flag::switch(&["keep"], "do not delete the container after it exits"),
        PID_FILE,
        Flag::switch(&["no-subreaper"], "leave reparented processes to somebody else"),
        NO_PIVOT,
        NO_NEW_KEYRING,
        PRESERVE_FDS,
    ],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn create(globals: &Globals, parsed: Parsed) -> Outcome {
    let console = socket(&parsed).map_or(Console::None, Console::Socket);
    make(globals, &parsed, console).map_err(|e| e.during("runc create failed"))?;
    Ok(0)
}

fn run(globals: &Globals, parsed: Parsed) -> Outcome {
    run_container(globals, &parsed).map_err(|e| e.during("runc run failed"))
}

fn run_container(globals: &Globals, parsed: &Parsed) -> Outcome {
    let id = parsed.word(0);
    let detach = parsed.has("detach");
    let process = read_spec(&bundle(parsed)?)?.process.unwrap_or_default();
    let wish = Wish { terminal: process.terminal, detach, listener: socket(parsed) };
    let (console, terminal) = wish.console()?;
    if !detach && !parsed.has("no-subreaper") {
        set_subreaper()?;
    }
    let watch = Watch::begin()?;
    let pid = make(globals, parsed, console)?;
    let remove = || match parsed.has("keep") {
        true => Ok(()),
        false => crate::delete(&globals.root, id, Deletion::Force),
    };
    let begun = Terminal::receive(terminal).and_then(|terminal| {
        crate::start(&globals.root, id)?;
        Ok(terminal)
    });
    let terminal = match begun {
        Ok(terminal) => terminal,
        Err(failure) => {
            // The first failure is the one to tell.
            let _ = crate::delete(&globals.root, id, Deletion::Force);
            return Err(failure);
        }
    };
    if detach {
        return Ok(0);
    }
    let status = watch.wait(pid, terminal)?;
    // The container has done what it was for: its status stays the command's, whatever goes wrong afterwards.
    remove().map_err(|error| Failure::from(error).with_status(status))?;
    Ok(status)
}

/// Creates the container; the result is its first process.
fn make(globals: &Globals, parsed: &Parsed, console: Console) -> Result<i32, Failure> {
    let bundle = bundle(parsed)?;
    let pid_file = parsed.value("pid-file").map(absolute).transpose()?;
    let create = Create {
        root: &globals.root,
        id: parsed.word(0),
        bundle: &bundle,
        console,
        pid_file: pid_file.as_deref(),
        flags: Flags {
            parent: Parent::Caller,
            no_pivot: parsed.has("no-pivot"),
            no_new_keyring: parsed.has("no-new-keyring"),
            systemd_cgroup: globals.systemd_cgroup,
            preserve_fds: parsed.number("preserve-fds")?.unwrap_or(0),
            ..Flags::default()
        },
    };
    Ok(create.run()?.pid)
}

/// The socket given for the terminal.
pub(super) fn socket(parsed: &Parsed) -> Option<PathBuf> {
    parsed.value("console-socket").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The bundle's absolute path; it must be a directory.
fn bundle(parsed: &Parsed) -> Result<PathBuf, Failure> {
    let given = parsed.value("bundle").filter(|path| !path.is_empty()).unwrap_or(".");
    match std::fs::canonicalize(given) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err(Failure::new(format!("chdir {given}: not a directory"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("chdir {given}: no such file or directory")))
        }
        Err(e) => Err(Failure::new(format!("chdir {given}: {e}"))),
    }
}

pub(super) fn absolute(path: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|e| Failure::new(format!("{path}: {e}")))
}

/// The bundle's `config.json`.
pub(super) fn read_spec(bundle: &Path) -> Result<Spec, Failure> {
    let path = bundle.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new("JSON specification file config.json not found"));
        }
        Err(e) => return Err(Failure::new(format!("open {}: {e}", path.display()))),
    };
    serde_json::from_slice(&text).map_err(|e| Failure::new(format!("parse {}: {e}", path.display())))
}
