//! A trace of where time goes: daemon, shim and runtime append one line for each step to one file.
//!
//! It is switched on by `GANTRY_TRACE=<file>` in the daemon's environment, which shims inherit. A line is
//! `<begin> <duration> <pid> <who>.<what> <id>`, times in microseconds of the monotonic clock, so that lines of several
//! processes fit together. Switched off, a step costs the look at one flag; switched on, one `write` and no allocation.

use std::fmt::Write as _;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The variable that names the file.
pub const VARIABLE: &str = "GANTRY_TRACE";

/// The longest line, bytes; what is beyond is cut off.
const LINE: usize = 256;

static ON: AtomicBool = AtomicBool::new(false);
static FILE: OnceLock<OwnedFd> = OnceLock::new();

/// When a step began.
#[derive(Clone, Copy, Debug)]
pub struct Step(Option<u64>);

/// Switches the trace on if the environment names a file that can be written.
pub fn open() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        open_at(path.as_ref());
    }
}

/// Switches the trace on; without effect if the file cannot be written.
pub fn open_at(path: &Path) {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    if let Ok(file) = openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
        let _ = FILE.set(file);
        ON.store(true, Ordering::Relaxed);
    }
}

/// The descriptor of the file, for children that close what they inherited but go on tracing.
pub fn held() -> Option<RawFd> {
    FILE.get().filter(|_| is_on()).map(AsRawFd::as_raw_fd)
}

/// Switches the trace off: to be called by a process that is about to close the file without knowing it.
pub fn stop() {
    ON.store(false, Ordering::Relaxed);
}

/// Begins a step.
#[inline]
pub fn begin() -> Step {
    Step(is_on().then(now))
}

/// Runs a step that does not wait for anything asynchronous.
#[inline]
pub fn during<T>(what: &'static str, id: &str, work: impl FnOnce() -> T) -> T {
    let step = begin();
    let done = work();
    step.end(what, id);
    done
}

impl Step {
    /// Ends the step: `what` is `<who>.<what>`.
    #[inline]
    pub fn end(self, what: &str, id: &str) {
        if let Some(begun) = self.0 {
            tell(begun, what, id);
        }
    }
}

#[inline]
fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000
}

#[cold]
fn tell(begun: u64, what: &str, id: &str) {
    let Some(file) = FILE.get().filter(|_| is_on()) else { return };
    let mut line = Line { bytes: [0; LINE], length: 0 };
    let pid = rustix::process::getpid().as_raw_nonzero();
    // A line that is too long is cut off.
    let _ = write!(line, "{begun} {} {pid} {what} {id}", now().saturating_sub(begun));
    line.bytes[line.length] = b'\n';
    // One write, so that lines of several processes do not mix. A trace that cannot be written is none.
    let _ = rustix::io::write(file, &line.bytes[..=line.length]);
}

/// A line on the stack; the last byte is for its end.
struct Line {
    bytes: [u8; LINE],
    length: usize,
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = LINE - 1 - self.length;
        let fits = text.len().min(room);
        self.bytes[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(std::fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_off_not_refused() {
        let mut line = Line { bytes: [0; LINE], length: 0 };
        assert!(write!(line, "{}", "x".repeat(LINE * 2)).is_err());
        assert_eq!(line.length, LINE - 1);
    }

    #[test]
    fn off_is_silent() {
        let step = begin();
        assert!(step.0.is_none() && held().is_none());
        step.end("kernel.test", "");
        assert_eq!(during("kernel.test", "", || 7), 7);
    }
}
