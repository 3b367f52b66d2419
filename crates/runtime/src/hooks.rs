//! Running the hooks of a bundle.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kernel::{Errno, pidfd};
use oci::runtime::{Hook, State};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::{Error, Result};

/// How much of a hook's output is kept for the error text.
const MOST_OUTPUT: usize = 64 * 1024;

/// What a hook gets that has no environment of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Environment<'a> {
    /// That of the runtime.
    Runtime,
    /// These variables.
    Given(&'a [String]),
}

/// Hooks of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    /// The kind's name in the specification.
    pub name: &'a str,
    /// The hooks, in order.
    pub hooks: &'a [Hook],
    /// Working directory of the hooks.
    pub directory: &'a Path,
    /// Environment of those hooks that bring none.
    pub environment: Environment<'a>,
}

impl Batch<'_> {
    /// Runs the hooks one after the other, each with the state on its standard input; stops at the first that fails.
    pub fn run(&self, state: &State) -> Result<()> {
        if self.hooks.is_empty() {
            return Ok(());
        }
        let input = serde_json::to_vec(state).map_err(|error| Error::unknown(error.to_string()))?;
        for (number, hook) in self.hooks.iter().enumerate() {
            self.run_one(hook, &input).map_err(|text| {
                Error::unknown(format!("error running {} hook #{number}: {text}", self.name))
            })?;
        }
        Ok(())
    }

    /// Runs one hook; the error is its text.
    fn run_one(&self, hook: &Hook, input: &[u8]) -> std::result::Result<(), String> {
        let mut command = Command::new(&hook.path);
        if let Some((first, rest)) = hook.args.split_first() {
            command.arg0(first).args(rest);
        }
        let environment = match (hook.env.as_slice(), self.environment) {
            ([], Environment::Runtime) => None,
            ([], Environment::Given(given)) => Some(given),
            (own, _) => Some(own),
        };
        if let Some(entries) = environment {
            command.env_clear().envs(entries.iter().filter_map(|entry| entry.split_once('=')));
        }
        command.current_dir(self.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            format!("fork/exec {}: {}", hook.path, kernel::strerror(errno))
        })?;
        let limit = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        watch(child, input, limit)
    }
}

/// Feeds the hook, collects what it says, and waits for its end. A hook that cannot be waited for is ended.
fn watch(mut child: Child, input: &[u8], limit: Option<Duration>) -> std::result::Result<(), String> {
    let mut output = Output::new(&mut child, input);
    if let Err(text) = await_end(&child, &mut output, limit) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(text);
    }
    output.drain();
    let status = child.wait().map_err(|error| error.to_string())?;
    match status.success() {
        true => Ok(()),
        false => {
            Err(format!("{}, stdout: {}, stderr: {}", status_text(status), output.text(0), output.text(1)))
        }
    }
}

fn await_end(
    child: &Child,
    output: &mut Output<'_>,
    limit: Option<Duration>,
) -> std::result::Result<(), String> {
    let end = pidfd::open(child.id() as i32).map_err(|error| error.to_string())?;
    // One beyond the end of all clocks is none.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match output.wait(&end, left).map_err(kernel::strerror)? {
            Event::Output => {}
            Event::Ended => return Ok(()),
            Event::TooLate => {
                let seconds = limit.unwrap_or_default().as_secs_f64();
                return Err(format!("hook ran past specified timeout of {seconds:.1}s"));
            }
        }
    }
}

/// What woke the wait.
enum Event {
    Output,
    Ended,
    TooLate,
}

/// The pipes of a hook, what is still to go in and what came out.
struct Output<'a> {
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    pipes: [Option<Box<dyn Pipe>>; 2],
    texts: [Vec<u8>; 2],
}

/// A readable pipe end.
trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl<'a> Output<'a> {
    fn new(child: &mut Child, input: &'a [u8]) -> Self {
        let boxed = |pipe: Option<Box<dyn Pipe>>| {
            if let Some(pipe) = &pipe {
                // Left blocking, a grandchild that keeps the pipe open would hold the last read.
                let _ = rustix::io::ioctl_fionbio(pipe.as_fd(), true);
            }
            pipe
        };
        let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        let stdin = child.stdin.take().inspect(|pipe| {
            let _ = rustix::io::ioctl_fionbio(pipe, true);
        });
        let mut output =
            Self { stdin, input, pipes: [boxed(stdout), boxed(stderr)], texts: [Vec::new(), Vec::new()] };
        output.feed();
        output
    }

    /// Puts in what there is room for, and the end after all of it. A hook that does not read is none the worse for it.
    fn feed(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            match stdin.write(self.input) {
                Ok(length) => self.input = &self.input[length..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => self.input = &[],
            }
            if self.input.is_empty() {
                self.stdin = None;
            }
        }
    }

    fn wait(&mut self, end: &impl AsFd, limit: Option<Duration>) -> rustix::io::Result<Event> {
        let limit =
            limit.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        let mut watched = vec![PollFd::new(end, PollFlags::IN)];
        watched.extend(
            self.pipes.iter().flatten().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)),
        );
        watched.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, limit.as_ref()))?;
        if ready == 0 {
            return Ok(Event::TooLate);
        }
        if !watched[0].revents().is_empty() {
            return Ok(Event::Ended);
        }
        self.feed();
        self.drain();
        Ok(Event::Output)
    }

    /// Takes what is there; a pipe at its end is closed.
    fn drain(&mut self) {
        for (pipe, text) in self.pipes.iter_mut().zip(&mut self.texts) {
            let mut buffer = [0; 4096];
            while let Some(open) = pipe {
                match open.read(&mut buffer) {
                    Ok(0) => *pipe = None,
                    Ok(length) => {
                        let room = MOST_OUTPUT.saturating_sub(text.len());
                        text.extend_from_slice(&buffer[..length.min(room)]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => *pipe = None,
                }
            }
        }
    }

    fn text(&self, number: usize) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.texts[number])
    }
}

fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {}", signal_text(signal)),
        (None, None) => "ended strangely".to_owned(),
    }
}

fn signal_text(signal: i32) -> String {
    match signal {
        1 => "hangup".into(),
        2 => "interrupt".into(),
        3 => "quit".into(),
        6 => "aborted".into(),
        9 => "killed".into(),
        11 => "segmentation fault".into(),
        13 => "broken pipe".into(),
        15 => "terminated".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<i64>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook { path: "/bin/sh".into(), args, env: vec!["PATH=/bin:/usr/bin".into()], timeout }
    }

    fn run_one(hook: Hook) -> Result<()> {
        let state = State { id: "abc".into(), ..State::default() };
        batch(&[hook]).run(&state)
    }

    fn batch(hooks: &[Hook]) -> Batch<'_> {
        Batch { name: "prestart", hooks, directory: Path::new("/"), environment: Environment::Runtime }
    }

    #[test]
    fn hooks_read_the_state() {
        run_one(shell(r#"grep -q '"id":"abc"'"#, None)).unwrap();
        run_one(shell("exit 0", Some(100))).unwrap();
        run_one(shell("exit 0", Some(i64::MAX))).unwrap();
    }

    #[test]
    fn hooks_without_an_environment_get_another() {
        let state = State::default();
        let own = |env: &[&str]| {
            let env = env.iter().map(|&entry| entry.to_owned()).collect();
            [Hook { env, ..shell("echo ${PATH:+path} $A ${CARGO_MANIFEST_DIR:+runtime}; exit 1", None) }]
        };
        let given = ["A=given".to_owned()];
        let says = |env: &[&str], environment| {
            let text = Batch { environment, ..batch(&own(env)) }.run(&state).unwrap_err().to_string();
            text.split_once("stdout: ").unwrap().1.replace("\n, stderr: ", "")
        };
        assert_eq!(says(&[], Environment::Runtime), "path runtime");
        assert!(says(&[], Environment::Given(&given)).ends_with("given"));
        assert!(says(&["A=own"], Environment::Given(&given)).ends_with("own"));
        assert!(says(&["A=own"], Environment::Runtime).ends_with("own"));
    }

    /// More than a pipe holds: to a hook that does not read, and to one that reads all of it.
    #[test]
    fn long_input_holds_up_no_timeout() {
        let annotations = [("long".to_owned(), "x".repeat(1 << 20))].into();
        let state = State { id: "abc".into(), annotations, ..State::default() };
        let run = |hook| batch(&[hook]).run(&state);
        let text = run(shell("exec sleep 1000", Some(0))).unwrap_err().to_string();
        assert!(text.ends_with("hook ran past specified timeout of 0.0s"), "{text}");
        run(shell("test $(wc -c) -gt 1000000", None)).unwrap();
        run(shell("exit 0", None)).unwrap();
    }

    #[test]
    fn failures_in_words() {
        for (hook, expected) in [
            (shell("echo out; echo err >&2; exit 3", None), "exit status 3, stdout: out\n, stderr: err\n"),
            (shell("kill -9 $$", None), "signal: killed, stdout: , stderr: "),
            (shell("exec sleep 1000", Some(0)), "hook ran past specified timeout of 0.0s"),
            (
                Hook { path: "/nosuch".into(), ..Hook::default() },
                "fork/exec /nosuch: no such file or directory",
            ),
        ] {
            let text = run_one(hook).unwrap_err().to_string();
            assert_eq!(text, format!("error running prestart hook #0: {expected}"));
        }
    }
}
