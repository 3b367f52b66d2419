//! Another OCI runtime (`runc`, `crun`, …) behind its command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use model::{Error, Result};

use crate::site::Site;

/// A runtime's program and the site it works on.
#[derive(Debug)]
pub struct Program<'a> {
    /// Name or path of the program.
    pub name: &'a str,
    /// Whose container.
    pub site: &'a Site,
}

impl Program<'_> {
    /// A command with the global flags.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.name);
        // The daemon's supervisor is not the container's: runc would wait for it to be ready.
        command.env_remove("NOTIFY_SOCKET");
        command.arg("--root").arg(&self.site.root).arg("--log").arg(self.log());
        command.args(["--log-format", "json"]);
        if self.site.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command.arg(verb);
        command
    }

    /// Runs a command on the caller's own standard streams; `what` is the operation in the error's text.
    pub fn run_on_streams(&self, command: &mut Command, what: &str) -> Result<()> {
        let status = command.status().map_err(|e| self.not_started(what, &e))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failure(what, &format!("{} did not terminate successfully: {status}", self.shown())))
    }

    /// Runs a command and collects its output; a failure's text is what it printed.
    pub fn run(&self, command: &mut Command) -> Result<Vec<u8>> {
        let output = command.stdin(Stdio::null()).output().map_err(|e| Error::unknown(self.exec_text(&e)))?;
        self.check(output)
    }

    /// Judges a finished command.
    pub fn check(&self, output: Output) -> Result<Vec<u8>> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        let printed = [output.stdout, output.stderr].concat();
        let text = format!(
            "{} did not terminate successfully: {}: {}",
            self.shown(),
            exit_text(output.status),
            String::from_utf8_lossy(&printed)
        );
        Err(Error::unknown(text))
    }

    /// The error of operation `what` with what the runtime logged, or `fallback`.
    pub fn failure(&self, what: &str, fallback: &str) -> Error {
        let prefix = format!("OCI runtime {what} failed");
        match std::fs::read_to_string(self.log()) {
            Ok(log) => match last_error(&log) {
                Some(text) => Error::unknown(format!("{prefix}: {text}")),
                None => Error::unknown(format!("{prefix}: unable to retrieve OCI runtime error: {fallback}")),
            },
            Err(e) => {
                let reason = Error::io("open", self.log(), e);
                Error::unknown(format!(
                    "{prefix}: unable to retrieve OCI runtime error ({}): {fallback}",
                    reason.text()
                ))
            }
        }
    }

    fn not_started(&self, what: &str, error: &std::io::Error) -> Error {
        self.failure(what, &self.exec_text(error))
    }

    fn exec_text(&self, error: &std::io::Error) -> String {
        let found = if error.kind() == std::io::ErrorKind::NotFound && !self.name.contains('/') {
            "executable file not found in $PATH".to_owned()
        } else {
            model::Error::io("fork/exec", self.name, std::io::Error::from(error.kind())).text().to_owned()
        };
        format!("exec: {:?}: {found}", self.name)
    }

    fn shown(&self) -> &str {
        Path::new(self.name).file_name().and_then(|name| name.to_str()).unwrap_or(self.name)
    }

    fn log(&self) -> std::path::PathBuf {
        self.site.bundle.join("log.json")
    }
}

fn exit_text(status: std::process::ExitStatus) -> String {
    // The standard library says `exit status: 1`.
    status.to_string().replacen("exit status: ", "exit status ", 1)
}

/// The text of the last line of level `error` in a runtime's JSON log.
fn last_error(log: &str) -> Option<String> {
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let field = |line: &serde_json::Value, name: &str| line.get(name)?.as_str().map(str::to_owned);
    lines.into_iter().find(|line| field(line, "level").as_deref() == Some("error")).and_then(|line| {
        let text = field(&line, "msg")?;
        Some(text.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_counts() {
        let log = concat!(
            r#"{"level":"error","msg":"first","time":"t"}"#,
            "\n",
            r#"{"level":"error","msg":"runc create failed: no\n","time":"t"}"#,
            "\n",
            r#"{"level":"warning","msg":"odd"}"#,
            "\nnot json\n"
        );
        assert_eq!(last_error(log).as_deref(), Some("runc create failed: no"));
        assert_eq!(last_error(""), None);
    }
}
