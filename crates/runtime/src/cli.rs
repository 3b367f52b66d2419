//! The command line `gantry-oci`, which understands what runc's does.
//!
//! One table, [`VERBS`], names every verb with its flags; parsing and help come from it. Errors are logged as runc logs them
//! (a line of `key=value` or of JSON, to `--log` or the standard error), because shims read them from there.
//!
//! Not here: checkpoint and restore, rootless operation, talking to systemd, socket activation (`LISTEN_FDS`,
//! `NOTIFY_SOCKET`), Intel RDT.

mod arguments;
mod create;
mod events;
mod exec;
mod foreground;
mod help;
mod life;
mod log;
mod show;
mod spec;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use arguments::{Count, Flag, Order, Parsed, parse};
use log::Log;

/// The name messages and help give the program.
const NAME: &str = "gantry-oci";
/// Where containers' states are when `--root` does not say it.
const DEFAULT_ROOT: &str = "/run/runc";

/// One verb of the command line.
struct Verb {
    name: &'static str,
    /// What stands after the flags, for the help.
    usage: &'static str,
    about: &'static str,
    flags: &'static [Flag],
    count: Count,
    order: Order,
    run: fn(&Globals, Parsed) -> Outcome,
}

/// Every verb, by name.
const VERBS: [Verb; 15] = [
    create::CREATE,
    life::DELETE,
    events::EVENTS,
    exec::EXEC,
    show::FEATURES,
    life::KILL,
    show::LIST,
    life::PAUSE,
    show::PS,
    life::RESUME,
    create::RUN,
    spec::SPEC,
    life::START,
    show::STATE,
    update::UPDATE,
];

/// Flags that stand before the verb.
const GLOBAL_FLAGS: [Flag; 9] = [
    Flag::switch(&["debug"], "enable debug logging"),
    Flag::value(&["log"], "set the log file (default is '/dev/stderr')"),
    Flag::value(&["log-format"], "set the log format ('text' (default), or 'json')"),
    Flag::value(&["root"], "root directory for storage of container state (default: \"/run/runc\")"),
    Flag::value(&["criu"], "accepted and ignored"),
    Flag::switch(
        &["systemd-cgroup"],
        "cgroupsPath is slice:prefix:name; the group is made without asking systemd",
    ),
    Flag::value(&["rootless"], "'false' or 'auto'; 'true' is not supported"),
    Flag::switch(&["help", "h"], "show help"),
    Flag::switch(&["version", "v"], "print the version"),
];

/// What stands before the verb.
struct Globals {
    root: PathBuf,
    systemd_cgroup: bool,
}

/// Why a verb failed.
struct Failure {
    message: String,
    status: i32,
}

/// The exit status of a verb.
type Outcome = Result<i32, Failure>;

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: 1 }
    }

    /// Puts `step: ` in front.
    fn during(self, step: &str) -> Self {
        Self { message: format!("{step}: {}", self.message), ..self }
    }

    fn with_status(self, status: i32) -> Self {
        Self { status, ..self }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<kernel::KernelError> for Failure {
    fn from(error: kernel::KernelError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<kernel::cgroup::Error> for Failure {
    fn from(error: kernel::cgroup::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs one command, given without the program's name, and returns the exit status.
pub fn main(args: Vec<OsString>) -> i32 {
    let mut log = Log::default();
    let args: Vec<String> = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match run(args, &mut log) {
        Ok(status) => status,
        Err(failure) => {
            log.error(&failure.message);
            failure.status
        }
    }
}

fn run(args: Vec<String>, log: &mut Log) -> Outcome {
    let parsed = match parse(&GLOBAL_FLAGS, args, Order::FlagsFirst) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            print(&format!("Incorrect Usage. {wrong}\n\n{}", help::program()));
            return Err(Failure::new(wrong));
        }
    };
    *log = Log::open(&parsed)?;
    if parsed.has("version") {
        print(&help::version());
        return Ok(0);
    }
    let rootless = parsed.value("rootless").unwrap_or("auto");
    if !["auto", "false", "0"].contains(&rootless) {
        return Err(Failure::new(format!("--rootless {rootless} is not supported")));
    }
    let root = std::path::absolute(parsed.value("root").unwrap_or(DEFAULT_ROOT))
        .map_err(|e| Failure::new(e.to_string()))?;
    let globals = Globals { root, systemd_cgroup: parsed.has("systemd-cgroup") };
    let wants_help = parsed.has("help");
    let mut rest = parsed.rest.into_iter();
    match rest.next() {
        None => print(&help::program()),
        Some(_) if wants_help => print(&help::program()),
        Some(word) if word == "help" || word == "h" => match rest.next().and_then(|name| find(&name)) {
            Some(verb) => print(&help::verb(verb)),
            None => print(&help::program()),
        },
        Some(name) => {
            let verb = find(&name)
                .ok_or_else(|| Failure::new(format!("No help topic for '{name}'")).with_status(3))?;
            return run_verb(verb, &globals, rest.collect());
        }
    }
    Ok(0)
}

fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

fn run_verb(verb: &Verb, globals: &Globals, args: Vec<String>) -> Outcome {
    let parsed = match parse(verb.flags, args, verb.order) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            print(&format!("Incorrect Usage: {wrong}\n\n{}", help::verb(verb)));
            return Err(Failure::new(wrong));
        }
    };
    if parsed.has("help") {
        print(&help::verb(verb));
        return Ok(0);
    }
    if let Some(wrong) = verb.count.refuse(verb.name, parsed.rest.len()) {
        print(&format!("Incorrect Usage.\n\n{}", help::verb(verb)));
        return Err(Failure::new(wrong));
    }
    (verb.run)(globals, parsed)
}

/// Writes to the standard output; a reader that went away is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
