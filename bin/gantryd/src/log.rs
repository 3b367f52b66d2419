//! The daemon's log: one line an event on standard error, in the form that containerd's users parse.
//!
//! Text: `time="2026-11-21T11:12:13.000000001Z" level=info msg="…" key=value`; JSON: the same keys in an object.

use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, SubscriberBuilder};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; `level` is one of containerd's words, empty for info; `format` is `text`, `json` or empty.
///
/// # Errors
/// An unknown level or format.
pub fn start(level: &str, format: &str) -> anyhow::Result<()> {
    let level = match level {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "" | "info" => Level::INFO,
        "warn" | "warning" => Level::WARN,
        "error" | "fatal" | "panic" => Level::ERROR,
        other => anyhow::bail!(
            "log level {other:?} is unknown; use trace, debug, info, warn, error, fatal or panic"
        ),
    };
    let form = match format {
        "" | "text" => Form::Text,
        "json" => Form::Json,
        other => anyhow::bail!("log format {other:?} is unknown; use text or json"),
    };
    // The transport's own frames are of no use to anybody but its authors.
    let own = |target: &str| !["h2", "hyper", "tonic", "tower"].iter().any(|name| target.starts_with(name));
    let wanted = filter_fn(move |event| *event.level() <= Level::WARN || own(event.target()));
    let builder =
        SubscriberBuilder::default().with_max_level(level).with_writer(std::io::stderr).event_format(form);
    builder.finish().with(wanted).init();
    Ok(())
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.fields.push((name, value.to_owned())),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let time = format!("{:.9}", jiff::Timestamp::now());
        let level = match *event.metadata().level() {
            Level::TRACE => "trace",
            Level::DEBUG => "debug",
            Level::INFO => "info",
            Level::WARN => "warning",
            Level::ERROR => "error",
        };
        match self {
            Form::Text => {
                write!(out, "time=\"{time}\" level={level} msg={:?}", line.message)?;
                for (key, value) in &line.fields {
                    let plain = !value.is_empty()
                        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/@^+".contains(&b));
                    if plain { write!(out, " {key}={value}")? } else { write!(out, " {key}={value:?}")? }
                }
            }
            Form::Json => {
                let mut text = String::from("{");
                for (key, value) in &line.fields {
                    write!(text, "\"{key}\":{},", json(value))?;
                }
                write!(
                    out,
                    "{text}\"level\":\"{level}\",\"msg\":{},\"time\":\"{time}\"}}",
                    json(&line.message)
                )?;
            }
        }
        writeln!(out)
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(super::json("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
