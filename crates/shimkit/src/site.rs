//! A container as its OCI runtime sees it, and the runtime's verbs on it.
//!
//! The functions here wait, so they run in forked children (see [`crate::job`]); texts are those clients know.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use ::runtime::{Console, Create, Created, Deletion, Exec, Flags, Parent, Target};
use kernel::cgroup::Cgroup;
use model::{Error, Result};
use oci::runtime::{LinuxResources, Process};

use crate::program::Program;
use crate::rootfs;

/// Directory of states when the options name none.
pub const ROOT: &str = "/run/containerd/runc";

/// Which runtime makes the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The one in this program.
    Embedded,
    /// Another program, by name or path.
    Program(String),
}

impl Runtime {
    /// The runtime an option names; an empty name is the embedded one.
    pub fn named(name: &str) -> Self {
        if name.is_empty() { Self::Embedded } else { Self::Program(name.to_owned()) }
    }
}

/// A container and its runtime.
#[derive(Clone, Debug)]
pub struct Site {
    /// The runtime.
    pub runtime: Runtime,
    /// Directory of states of this namespace.
    pub root: PathBuf,
    /// Name.
    pub id: String,
    /// Bundle directory.
    pub bundle: PathBuf,
    /// cgroup paths are systemd's.
    pub systemd_cgroup: bool,
    /// Move the root instead of pivot_root.
    pub no_pivot: bool,
    /// Keep the keyring.
    pub no_new_keyring: bool,
}

impl Site {
    /// Creates the container on the caller's standard streams.
    pub fn create(&self, console: Console) -> Result<Created> {
        let pid_file = self.bundle.join("init.pid");
        match &self.runtime {
            Runtime::Embedded => {
                let create = Create {
                    root: &self.root,
                    id: &self.id,
                    bundle: &self.bundle,
                    console,
                    pid_file: Some(&pid_file),
                    flags: self.flags(),
                };
                create.run().map_err(|e| embedded("OCI runtime create failed", "runc create failed", e))
            }
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let mut command = program.command("create");
                command.arg("--bundle").arg(&self.bundle).arg("--pid-file").arg(&pid_file);
                console_argument(&mut command, &console);
                if self.no_pivot {
                    command.arg("--no-pivot");
                }
                if self.no_new_keyring {
                    command.arg("--no-new-keyring");
                }
                program.run_on_streams(command.arg(&self.id), "create")?;
                Ok(look(read_pid(&pid_file)?, &self.bundle))
            }
        }
    }

    /// Starts the created container's program.
    pub fn start(&self) -> Result<()> {
        match &self.runtime {
            Runtime::Embedded => ::runtime::start(&self.root, &self.id)
                .map_err(|e| embedded("OCI runtime start failed", "", e)),
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                program.run_on_streams(program.command("start").arg(&self.id), "start")
            }
        }
    }

    /// Adds a process on the caller's standard streams; returns it.
    pub fn exec(&self, exec_id: &str, process: &Process, console: Console) -> Result<i32> {
        let pid_file = self.pid_file(exec_id);
        match &self.runtime {
            Runtime::Embedded => {
                let exec = Exec {
                    root: &self.root,
                    id: &self.id,
                    process,
                    console,
                    pid_file: Some(&pid_file),
                    flags: self.flags(),
                };
                exec.run().map_err(|e| embedded("OCI runtime exec failed", "exec failed", e))
            }
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let document = self.bundle.join(format!(".{exec_id}.json"));
                let json = serde_json::to_vec(process).map_err(|e| Error::internal(e.to_string()))?;
                std::fs::write(&document, json).map_err(|e| Error::io("write", &document, e))?;
                let mut command = program.command("exec");
                command.arg("--process").arg(&document).arg("--detach").arg("--pid-file").arg(&pid_file);
                console_argument(&mut command, &console);
                let done = program.run_on_streams(command.arg(&self.id), "exec");
                // The document is ours alone; a leftover goes with the bundle.
                let _ = std::fs::remove_file(&document);
                done.and_then(|()| read_pid(&pid_file))
            }
        }
    }

    /// Sends a signal to the first process or to all.
    pub fn kill(&self, signal: i32, target: Target) -> Result<()> {
        let result = match &self.runtime {
            Runtime::Embedded => ::runtime::kill(&self.root, &self.id, signal, target).map_err(|e| {
                Error::unknown(format!("runc did not terminate successfully: exit status 1: {e}\n"))
            }),
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let mut command = program.command("kill");
                if target == Target::All {
                    command.arg("--all");
                }
                program.run(command.arg(&self.id).arg(signal.to_string())).map(drop)
            }
        };
        result.map_err(|e| kill_error(e.text()))
    }

    /// Removes the container; one that is gone is no error.
    pub fn delete(&self, deletion: Deletion) -> Result<()> {
        let result = match &self.runtime {
            Runtime::Embedded => match ::runtime::delete(&self.root, &self.id, deletion) {
                Err(e) if e.kind() == ::runtime::Kind::NotFound => Ok(()),
                other => other.map_err(|e| embedded("failed to delete task", "", e)),
            },
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let mut command = program.command("delete");
                if deletion == Deletion::Force {
                    command.arg("--force");
                }
                program.run(command.arg(&self.id)).map(drop).map_err(|e| e.during("failed to delete task"))
            }
        };
        match result {
            Err(e) if e.text().contains("does not exist") => Ok(()),
            other => other,
        }
    }

    /// Freezes the container.
    pub fn pause(&self) -> Result<()> {
        self.plain("pause", ::runtime::pause)
    }

    /// Thaws the container.
    pub fn resume(&self) -> Result<()> {
        self.plain("resume", ::runtime::resume)
    }

    fn plain(&self, verb: &str, call: impl Fn(&Path, &str) -> ::runtime::Result<()>) -> Result<()> {
        match &self.runtime {
            Runtime::Embedded => {
                call(&self.root, &self.id).map_err(|e| embedded(&format!("OCI runtime {verb} failed"), "", e))
            }
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                program.run_on_streams(program.command(verb).arg(&self.id), verb)
            }
        }
    }

    /// Changes limits, given as JSON.
    pub fn update(&self, json: &[u8]) -> Result<()> {
        match &self.runtime {
            Runtime::Embedded => {
                let resources: LinuxResources =
                    serde_json::from_slice(json).map_err(|e| Error::unknown(e.to_string()))?;
                ::runtime::update(&self.root, &self.id, &resources).map_err(|e| {
                    Error::unknown(format!("runc did not terminate successfully: exit status 1: {e}\n"))
                })
            }
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let mut command = program.command("update");
                command.args(["--resources", "-"]).arg(&self.id);
                run_with_input(&program, &mut command, json)
            }
        }
    }

    /// The processes of the container.
    pub fn ps(&self) -> Result<Vec<i32>> {
        match &self.runtime {
            Runtime::Embedded => {
                ::runtime::ps(&self.root, &self.id).map_err(|e| embedded("OCI runtime ps failed", "", e))
            }
            Runtime::Program(name) => {
                let program = Program { name, site: self };
                let output = program.run(program.command("ps").args(["--format", "json"]).arg(&self.id))?;
                let pids: Option<Vec<i32>> = serde_json::from_slice(&output)
                    .map_err(|e| Error::unknown(format!("OCI runtime ps failed: {e}")))?;
                Ok(pids.unwrap_or_default())
            }
        }
    }

    /// The file with an added process's id.
    pub fn pid_file(&self, exec_id: &str) -> PathBuf {
        self.bundle.join(format!("{exec_id}.pid"))
    }

    fn flags(&self) -> Flags {
        Flags {
            parent: Parent::CallersParent,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            systemd_cgroup: self.systemd_cgroup,
            ..Flags::default()
        }
    }
}

/// The embedded runtime's error as clients know it: `<what>: <runtime's own prefix>: <text>`.
fn embedded(what: &str, prefix: &str, error: ::runtime::Error) -> Error {
    let text = error.message();
    let text = match prefix.is_empty() || text.starts_with(prefix) {
        true => format!("{what}: {text}"),
        false => format!("{what}: {prefix}: {text}"),
    };
    // Clients know these texts without a class.
    Error::unknown(text)
}

/// Sorts the texts of a failed kill.
pub fn kill_error(text: &str) -> Error {
    let has = |part: &str| text.to_lowercase().contains(part);
    if has("os: process already finished") || has("container not running") || has("no such process") {
        return Error::not_found("process already finished");
    }
    if has("does not exist") {
        return Error::not_found("no such container");
    }
    Error::unknown(format!("unknown error after kill: {text}"))
}

fn console_argument(command: &mut std::process::Command, console: &Console) {
    if let Console::Socket(path) = console {
        command.arg("--console-socket").arg(path);
    }
}

/// Finds out about a container that another program has made; what cannot be found out is left empty.
fn look(pid: i32, bundle: &Path) -> Created {
    let cgroups = Cgroup::of_pid(pid).map(|group| group.paths()).unwrap_or_default();
    Created { pid, private_pids: rootfs::has_private_pids(bundle), cgroups }
}

fn read_pid(path: &Path) -> Result<i32> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("open", path, e))?;
    text.trim()
        .parse()
        .map_err(|_| Error::unknown(format!("read {}: {text:?} is no process id", path.display())))
}

fn run_with_input(program: &Program<'_>, command: &mut std::process::Command, input: &[u8]) -> Result<()> {
    use std::io::Write;
    let failed = |e: std::io::Error| Error::io("run", program.name, e);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A runtime that does not read says why when it exits.
        let _ = stdin.write_all(input);
    }
    program.check(child.wait_with_output().map_err(failed)?).map(drop)
}

#[cfg(test)]
mod tests {
    use model::Kind;

    use super::*;

    #[test]
    fn kill_errors() {
        for (text, kind, expected) in [
            ("container not running", Kind::NotFound, "process already finished: not found"),
            ("kill 7: no such process", Kind::NotFound, "process already finished: not found"),
            ("container does not exist", Kind::NotFound, "no such container: not found"),
            (
                "runc did not terminate successfully: exit status 1: unable to signal init: invalid argument\n",
                Kind::Unknown,
                "unknown error after kill: runc did not terminate successfully: exit status 1: unable to signal init: invalid argument\n",
            ),
        ] {
            let error = kill_error(text);
            assert_eq!((error.kind(), error.text()), (kind, expected));
        }
    }

    #[test]
    fn prefixes_are_written_once() {
        for (text, expected) in [
            ("runc create failed: x", "OCI runtime create failed: runc create failed: x"),
            ("x", "OCI runtime create failed: runc create failed: x"),
        ] {
            let error =
                embedded("OCI runtime create failed", "runc create failed", ::runtime::Error::unknown(text));
            assert_eq!(error.text(), expected);
        }
    }
}
