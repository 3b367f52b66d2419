//! A shim's log: lines from the fifo in its bundle to the daemon's log.
//!
//! The daemon holds the fifo open for reading and writing, so that the shim never finds it without a reader.

use crate::bundle::Bundle;
use model::{Error, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::convert::Infallible;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

/// A longer line is cut there, bytes.
const LINE_BYTES: usize = 16 << 10;

/// The reading side of a shim's log.
#[derive(Debug)]
pub(crate) struct Log {
    fifo: Receiver,
    /// The task, as lines are labelled.
    task: String,
    /// A line that has begun.
    rest: Vec<u8>,
}

impl Log {
    /// Makes the fifo if need be and opens it.
    pub(crate) fn open(bundle: &Bundle, task: String) -> Result<Self> {
        let path = bundle.path.join("log");
        match mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(Error::io("mkfifo", &path, e.into())),
        }
        let fifo = OpenOptions::new().read_write(true).open_receiver(&path);
        let fifo = fifo.map_err(|e| Error::io("open", &path, e))?;
        Ok(Self { fifo, task, rest: Vec::new() })
    }

    /// Copies lines for ever; may be dropped at any await.
    pub(crate) async fn pump(&mut self) -> Infallible {
        while self.fifo.readable().await.is_ok() {
            self.drain();
        }
        std::future::pending().await
    }

    /// Copies the lines that are there.
    pub(crate) fn drain(&mut self) {
        let mut chunk = [0; 4096];
        while let Ok(n) = self.fifo.try_read(&mut chunk) {
            if n == 0 {
                return;
            }
            self.take(&chunk[..n]);
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.rest.extend_from_slice(&bytes[..end]);
            write(&self.task, &String::from_utf8_lossy(&self.rest));
            self.rest = Vec::new();
            bytes = &bytes[end + 1..];
        }
        let room = LINE_BYTES.saturating_sub(self.rest.len()).min(bytes.len());
        self.rest.extend_from_slice(&bytes[..room]);
    }
}

/// One line, under the level it names itself.
fn write(task: &str, line: &str) {
    match level(line) {
        tracing::Level::ERROR => tracing::error!(target: "shim", task, "{line}"),
        tracing::Level::WARN => tracing::warn!(target: "shim", task, "{line}"),
        tracing::Level::INFO => tracing::info!(target: "shim", task, "{line}"),
        _ => tracing::debug!(target: "shim", task, "{line}"),
    }
}

fn level(line: &str) -> tracing::Level {
    let named = line.split_once("level=").and_then(|(_, rest)| rest.split([' ', '"']).next());
    match named {
        Some("panic" | "fatal" | "error") => tracing::Level::ERROR,
        Some("warning" | "warn") => tracing::Level::WARN,
        Some("debug" | "trace") => tracing::Level::DEBUG,
        _ => tracing::Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn levels() {
        for (line, expected) in [
            ("time=\"now\" level=debug msg=x", tracing::Level::DEBUG),
            ("level=warning msg=x", tracing::Level::WARN),
            ("level=fatal", tracing::Level::ERROR),
            ("panic: runtime error", tracing::Level::INFO),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn never_blocks_the_shim_and_bounds_a_line() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let mut log = Log::open(&bundle, "ns/a".to_owned()).expect("open");
        let mut shim = std::fs::OpenOptions::new().write(true).open(dir.path().join("log")).expect("open");
        let writer = std::thread::spawn(move || {
            let line = [b'x'; 200_000];
            shim.write_all(&line).expect("write");
            shim.write_all(b"\nnext").expect("write");
        });
        let all = async {
            tokio::select! {
                never = log.pump() => match never {},
                joined = tokio::task::spawn_blocking(move || writer.join()) => joined,
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), all)
            .await
            .expect("in time")
            .expect("joined")
            .expect("written");
        log.drain();
        assert_eq!(log.rest, b"next");
        drop(Log::open(&bundle, String::new()).expect("again"));
    }
}
