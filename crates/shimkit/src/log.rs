//! Lines for the daemon's log, written to standard error: the fifo `log` of the bundle.
//!
//! Nobody may read there, so the descriptor does not block and a line that does not fit is lost.

use rustix::stdio::stderr;

/// Something failed that a person should know of.
pub fn error(text: &str) {
    write("error", text);
}

/// Something is odd.
pub fn warn(text: &str) {
    write("warning", text);
}

fn write(level: &str, text: &str) {
    let line = format!("level={level} msg={text:?} runtime=gantry\n");
    // There is no other place to report to.
    let _ = rustix::io::write(stderr(), line.as_bytes());
}
