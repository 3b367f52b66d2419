//! Where errors go, and in which form.

use std::fs::{File, OpenOptions};
use std::io::Write;

use super::Failure;
use super::arguments::Parsed;

/// The log of one command.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The standard error otherwise.
    file: Option<File>,
    json: bool,
}

impl Log {
    /// As `--log` and `--log-format` say.
    pub fn open(globals: &Parsed) -> Result<Self, Failure> {
        let json = match globals.value("log-format").unwrap_or("text") {
            "text" => false,
            "json" => true,
            other => return Err(Failure::new(format!("invalid log-format: {other}"))),
        };
        let file = match globals.value("log") {
            None | Some("") => None,
            Some(path) => Some(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map_err(|e| Failure::new(format!("open {path}: {e}")))?,
            ),
        };
        Ok(Self { file, json })
    }

    /// Writes an error; beside a log file also, as it is, to the standard error.
    pub fn error(&mut self, message: &str) {
        self.write("error", message);
        if self.file.is_some() {
            // There is nowhere left to tell a failure to.
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    fn write(&mut self, level: &str, message: &str) {
        let moment = crate::state::now();
        let time = format!("{}Z", &moment[..moment.find('.').unwrap_or(moment.len())]);
        let line = if self.json { json(level, message, &time) } else { text(level, message, &time) };
        let _ = match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

fn json(level: &str, message: &str, time: &str) -> String {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    format!("{{\"level\":{},\"msg\":{},\"time\":{}}}\n", quote(level), quote(message), quote(time))
}

fn text(level: &str, message: &str, time: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    let message = match !message.is_empty() && message.chars().all(plain) {
        true => message.to_owned(),
        false => format!("{message:?}"),
    };
    format!("time=\"{time}\" level={level} msg={message}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let time = "2026-01-02T03:04:05Z";
        assert_eq!(
            json("error", "no \"x\"\n", time),
            "{\"level\":\"error\",\"msg\":\"no \\\"x\\\"\\n\",\"time\":\"2026-01-02T03:04:05Z\"}\n"
        );
        assert_eq!(
            text("error", "no \"x\"", time),
            "time=\"2026-01-02T03:04:05Z\" level=error msg=\"no \\\"x\\\"\"\n"
        );
        assert_eq!(text("error", "word", time), "time=\"2026-01-02T03:04:05Z\" level=error msg=word\n");
    }
}
