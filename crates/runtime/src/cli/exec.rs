//! `exec`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kernel::cgroup::Cgroup;
use oci::runtime::{Process, User};

use super::arguments::{Count, Flag, Order, Parsed};
use super::create::{absolute, read_spec, socket};
use super::foreground::{Terminal, Watch, Wish};
use super::{Failure, Globals, Outcome, Verb};
use crate::{Exec, Flags, Parent};

/// runc's exit status when an exec cannot be made, told from the process's own.
const EXEC_FAILED: i32 = 255;

pub(super) const EXEC: Verb = Verb {
    name: "exec",
    usage: "[command options] <container-id> <command> [command options]  || -p process.json <container-id>",
    about: "execute new process inside the container",
    flags: &[
        Flag::value(&["console-socket"], "unix socket that receives the terminal's master descriptor"),
        Flag::value(&["cwd"], "current working directory in the container"),
        Flag::value(&["env", "e"], "set environment variables"),
        Flag::switch(&["tty", "t"], "allocate a pseudo-TTY"),
        Flag::value(&["user", "u"], "UID (format: <uid>[:<gid>])"),
        Flag::value(&["additional-gids", "g"], "additional gids"),
        Flag::value(&["process", "p"], "path to the process.json"),
        Flag::switch(&["detach", "d"], "return once the process runs"),
        Flag::value(&["pid-file"], "file to write the process id to"),
        Flag::value(&["process-label"], "SELinux label of the process"),
        Flag::value(&["apparmor"], "AppArmor profile of the process"),
        Flag::switch(&["no-new-privs"], "forbid the process to gain privileges"),
        Flag::value(&["cap", "c"], "add a capability"),
        Flag::value(&["preserve-fds"], "pass that many descriptors after the standard ones"),
        Flag::value(&["cgroup"], "run in an existing sub-cgroup. Format is [<controller>:]<cgroup>"),
        Flag::switch(&["ignore-paused"], "allow exec in a paused container"),
    ],
    count: Count::AtLeast(1),
    order: Order::FlagsFirst,
    run: exec,
};

fn exec(globals: &Globals, parsed: Parsed) -> Outcome {
    exec_process(globals, &parsed).map_err(|e| e.during("exec failed").with_status(EXEC_FAILED))
}

fn exec_process(globals: &Globals, parsed: &Parsed) -> Outcome {
    let id = parsed.word(0);
    let summary = crate::state(&globals.root, id)?;
    let process = match parsed.value("process") {
        Some(path) => read_process(Path::new(path))?,
        None => compose(parsed, Path::new(&summary.bundle))?,
    };
    let group = sub_group(parsed, summary.pid)?;
    let detach = parsed.has("detach");
    let wish = Wish { terminal: process.terminal, detach, listener: socket(parsed) };
    let (console, terminal) = wish.console()?;
    let pid_file = parsed.value("pid-file").map(absolute).transpose()?;
    let exec = Exec {
        root: &globals.root,
        id,
        process: &process,
        console,
        pid_file: pid_file.as_deref(),
        flags: Flags {
            parent: Parent::Caller,
            ignore_paused: parsed.has("ignore-paused"),
            preserve_fds: parsed.number("preserve-fds")?.unwrap_or(0),
            ..Flags::default()
        },
    };
    let watch = Watch::begin()?;
    let pid = exec.run()?;
    if let Some(group) = group {
        group.add(pid)?;
    }
    let terminal = Terminal::receive(terminal)?;
    if detach { Ok(0) } else { watch.wait(pid, terminal) }
}

fn read_process(path: &Path) -> Result<Process, Failure> {
    let failed = |e: String| Failure::new(format!("open {}: {e}", path.display()));
    let text = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))
}

/// The container's own process with the flags' changes.
fn compose(parsed: &Parsed, bundle: &Path) -> Result<Process, Failure> {
    let args = parsed.rest.get(1..).unwrap_or_default();
    if args.is_empty() {
        return Err(Failure::new("process args cannot be empty"));
    }
    let mut process = read_spec(bundle)?.process.unwrap_or_default();
    process.args = args.to_vec();
    process.terminal = parsed.has("tty");
    process.no_new_privileges |= parsed.has("no-new-privs");
    let texts = [
        ("cwd", &mut process.cwd),
        ("apparmor", &mut process.apparmor_profile),
        ("process-label", &mut process.selinux_label),
    ];
    for (name, field) in texts {
        if let Some(value) = parsed.value(name) {
            *field = value.to_owned();
        }
    }
    process.env.extend(parsed.values("env").map(str::to_owned));
    for name in parsed.values("cap") {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted, &mut sets.ambient] {
            set.push(name.to_owned());
        }
    }
    if let Some(user) = parsed.value("user") {
        set_user(&mut process.user, user)?;
    }
    for gid in parsed.values("additional-gids") {
        process.user.additional_gids.push(id_number(gid, "additional gid")?);
    }
    Ok(process)
}

/// `uid[:gid]`.
fn set_user(user: &mut User, text: &str) -> Result<(), Failure> {
    let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
    user.uid = id_number(uid, "uid")?;
    if let Some(gid) = gid {
        user.gid = id_number(gid, "gid")?;
    }
    Ok(())
}

fn id_number(text: &str, what: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::new(format!("parsing {text} as int for {what} failed: invalid syntax")))
}

/// The groups below the container's that `--cgroup` names; they must exist.
fn sub_group(parsed: &Parsed, init: i32) -> Result<Option<Cgroup>, Failure> {
    let mut chosen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for value in parsed.values("cgroup") {
        let own = Cgroup::of_pid(init)?;
        let (controllers, path) = match value.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, value),
        };
        let below = own.child(path).paths();
        let wanted = |name: &str| controllers.is_none_or(|list| list.split(',').any(|c| c == name));
        let before = chosen.len();
        for (controller, path) in below.into_iter().filter(|(name, _)| wanted(name)) {
            if !path.is_dir() {
                return Err(Failure::new(format!("cgroup {} does not exist", path.display())));
            }
            chosen.insert(controller, path);
        }
        if chosen.len() == before {
            return Err(Failure::new(format!("unknown controller in --cgroup {value}")));
        }
    }
    if chosen.is_empty() { Ok(None) } else { Ok(Some(Cgroup::load(&chosen)?)) }
}
