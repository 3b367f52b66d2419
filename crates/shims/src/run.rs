//! Running a shim's binary to its end, with a deadline.

use model::{Error, Kind, Result, error::os_text};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::PipeWriter;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

/// The most that is kept of what a shim prints, bytes.
const OUTPUT_BYTES: usize = 10 << 20;

/// One run of a shim's binary.
pub(crate) struct Run<'a> {
    pub(crate) binary: &'a Path,
    /// The same file where nobody can write it, to be executed in its place.
    pub(crate) sealed: Option<Arc<OwnedFd>>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'a str, OsString)>,
    /// The working directory.
    pub(crate) dir: &'a Path,
    pub(crate) stdin: Vec<u8>,
    /// The soft limit of open files; `None` for the daemon's own.
    pub(crate) open_files: Option<u64>,
    /// Where standard error goes.
    pub(crate) errors: Errors,
    pub(crate) limit: Duration,
}

/// Where a shim's standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    /// Into the same bytes as its standard output.
    Joined,
    /// Apart.
    Apart,
}

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Outcome {
    /// Standard output, or an error of what was printed and how the process ended: `Aborted` when a signal ended it.
    pub(crate) fn into_output(self) -> Result<Vec<u8>> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let kind = if self.status.signal().is_some() { Kind::Aborted } else { Kind::Unknown };
        let mut printed = String::from_utf8_lossy(&self.stdout).into_owned();
        printed.push_str(&String::from_utf8_lossy(&self.stderr));
        Err(Error::new(kind, format!("{printed}: {}", ending(self.status))))
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(15)) => "signal: terminated".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

impl Run<'_> {
    /// Runs in a process group of its own, which is killed when time runs out. The result does not wait for
    /// descendants that hold on to the output.
    pub(crate) async fn finish(self) -> Result<Outcome> {
        let (mut out, out_end) = Capture::open()?;
        let (mut err, err_end) = Capture::open()?;
        let step = kernel::trace::begin();
        let mut child = self.spawn(out_end, err_end)?;
        step.end("daemon.spawn", "");
        let group = child.id();
        let stdin = child.stdin.take();
        let work = async {
            if let Some(mut stdin) = stdin {
                // A shim that reads nothing is none of our business.
                let _ = stdin.write_all(&self.stdin).await;
            }
            let endless = async {
                tokio::join!(out.fill(), err.fill());
                std::future::pending::<Infallible>().await
            };
            tokio::select! {
                status = child.wait() => status,
                never = endless => match never {},
            }
        };
        let done = tokio::time::timeout(self.limit, work).await;
        let Ok(status) = done else {
            kill_group(group);
            return Err(Error::deadline(format!("run {}", self.binary.display())));
        };
        let status = status.map_err(|e| Error::io("wait for", self.binary, e))?;
        out.drain();
        err.drain();
        Ok(Outcome { status, stdout: out.bytes, stderr: err.bytes })
    }

    fn spawn(&self, out: PipeWriter, err: PipeWriter) -> Result<Child> {
        let joined = |e| Error::io("duplicate the output of", self.binary, e);
        let errors = match self.errors {
            Errors::Joined => out.try_clone().map_err(joined)?,
            Errors::Apart => err,
        };
        let mut command = match &self.sealed {
            Some(file) => Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())),
            None => Command::new(self.binary),
        };
        command
            .arg0(self.binary)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(self.dir)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(errors);
        if let Some(soft) = self.open_files {
            kernel::process::start_with_open_files(command.as_std_mut(), soft);
        }
        command.spawn().map_err(|e| {
            let text = format!(": fork/exec {}: {}", self.binary.display(), os_text(&e));
            Error::unknown(text).with_source(e)
        })
    }
}

fn kill_group(group: Option<u32>) {
    let pid = group.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// The read end of a pipe and what came out of it.
struct Capture {
    pipe: Receiver,
    bytes: Vec<u8>,
}

impl Capture {
    fn open() -> Result<(Self, PipeWriter)> {
        let failed = |e| Error::io("make", "a pipe", e);
        let (read, write) = std::io::pipe().map_err(failed)?;
        let pipe = Receiver::from_owned_fd(read.into()).map_err(failed)?;
        Ok((Self { pipe, bytes: Vec::new() }, write))
    }

    /// Reads to the end; may be dropped at any await.
    async fn fill(&mut self) {
        while self.pipe.readable().await.is_ok() && self.drain() {}
    }

    /// Reads what is there; false at the end.
    fn drain(&mut self) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match self.pipe.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) if self.bytes.len() < OUTPUT_BYTES => self.bytes.extend_from_slice(&chunk[..n]),
                Ok(_) => {}
                Err(e) => return e.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, errors: Errors) -> Run<'static> {
        Run {
            binary: Path::new("/bin/sh"),
            sealed: None,
            args: vec!["-c".into(), script.into()],
            env: vec![("GREETING", "hello".into())],
            dir: Path::new("/"),
            stdin: b"input".to_vec(),
            open_files: None,
            errors,
            limit: Duration::from_secs(10),
        }
    }

    #[tokio::test]
    async fn outputs_joined_and_apart() {
        let script = "cat; echo $GREETING; echo no >&2";
        let joined = shell(script, Errors::Joined).finish().await.expect("run");
        assert_eq!(joined.into_output().expect("success"), b"inputhello\nno\n");
        let apart = shell(script, Errors::Apart).finish().await.expect("run");
        assert_eq!((&apart.stdout[..], &apart.stderr[..]), (&b"inputhello\n"[..], &b"no\n"[..]));
    }

    #[tokio::test]
    async fn the_limit_of_open_files_is_given() {
        let run = Run { open_files: Some(77), ..shell("ulimit -Sn", Errors::Joined) };
        let printed = run.finish().await.expect("run").into_output().expect("success");
        assert_eq!(printed, b"77\n");
    }

    #[tokio::test]
    async fn failures_say_how() {
        for (script, text) in
            [("echo -n broken; exit 3", "broken: exit status 3"), ("kill -9 $$", ": signal: killed")]
        {
            let outcome = shell(script, Errors::Joined).finish().await.expect("run");
            assert_eq!(outcome.into_output().expect_err(script).text(), text);
        }
        let run = Run { binary: Path::new("/tmp"), ..shell("", Errors::Joined) };
        let error = run.finish().await.err().expect("a directory");
        assert_eq!(error.text(), ": fork/exec /tmp: permission denied");
    }

    #[tokio::test]
    async fn does_not_wait_for_a_descendant() {
        let outcome = shell("echo first; sleep 1000 & echo $!", Errors::Joined).finish().await.expect("run");
        let text = String::from_utf8(outcome.stdout).expect("text");
        let pid = text.strip_prefix("first\n").expect("all of it").trim().parse().expect("pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it goes on");
    }

    #[tokio::test]
    async fn a_deadline_kills_the_whole_group() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let name = file.path().display().to_string();
        let script = format!("tail -f {name} & wait");
        let run = Run { limit: Duration::from_millis(500), ..shell(&script, Errors::Joined) };
        let error = run.finish().await.err().expect("too long");
        assert_eq!(error.text(), "run /bin/sh: context deadline exceeded");
        // The file's name is nobody else's.
        let speaks_of_it = || {
            let processes = std::fs::read_dir("/proc").expect("processes").flatten();
            let mut commands = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
            commands.any(|command| String::from_utf8_lossy(&command).contains(&name))
        };
        let gone = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while speaks_of_it() {
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the group is killed");
    }
}
