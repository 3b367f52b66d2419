//! Where a process's streams go, read from the three strings of a request. Pure.

use std::path::PathBuf;

use model::{Error, Result};

/// The three strings and the wish for a terminal, as they come in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Path of a fifo; empty for none.
    pub stdin: String,
    /// Path or URI; empty for none.
    pub stdout: String,
    /// Path or URI; empty for none.
    pub stderr: String,
    /// Whether the process gets a terminal.
    pub terminal: bool,
}

/// Where the streams go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    Null,
    /// To the paths of the request: fifos, for output also plain files.
    Paths,
    /// To a file that both streams are appended to.
    File(PathBuf),
    /// To a program.
    Program {
        /// Its path.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Whether it has to report that it is ready (`binary-v2`).
        must_report: bool,
    },
}

/// Reads where the streams go. The URI of standard output decides; the one of standard error is not looked at.
pub fn parse(request: &Request) -> Result<Target> {
    if request.stdin.is_empty() && request.stdout.is_empty() && request.stderr.is_empty() {
        return Ok(Target::Null);
    }
    let uri = Uri::parse(&request.stdout).map_err(|reason| {
        Error::unknown(format!("unable to parse stdout uri: parse {:?}: {reason}", request.stdout))
    })?;
    match uri.scheme.as_str() {
        "" | "fifo" => Ok(Target::Paths),
        "file" => Ok(Target::File(uri.path.into())),
        "binary" | "binary-v2" => Ok(Target::Program {
            path: uri.path.into(),
            arguments: uri.arguments,
            must_report: uri.scheme == "binary-v2",
        }),
        scheme => Err(Error::unknown(format!("unknown STDIO scheme {scheme}"))),
    }
}

/// The parts of a URI that matter here; the host is dropped.
#[derive(Debug, Default)]
struct Uri {
    scheme: String,
    path: String,
    /// Per key of the query: the key and its first value.
    arguments: Vec<String>,
}

impl Uri {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = match rest.strip_prefix("//") {
            Some(authority) if !scheme.is_empty() => {
                authority.find('/').map_or("", |slash| &authority[slash..])
            }
            _ => rest,
        };
        let arguments = if scheme.starts_with("binary") { arguments(query) } else { Vec::new() };
        Ok(Self { scheme: scheme.to_ascii_lowercase(), path: unescape(path, false)?, arguments })
    }
}

fn split_scheme(text: &str) -> std::result::Result<(&str, &str), String> {
    for (i, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if i > 0 => {}
            ':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&text[..i], &text[i + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn arguments(query: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let mut arguments = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(key), Ok(value)) = (unescape(key, true), unescape(value, true)) else { continue };
        if !seen.contains(&key) {
            seen.push(key.clone());
            arguments.extend([key, value]);
        }
    }
    arguments
}

fn unescape(text: &str, plus_is_space: bool) -> std::result::Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                let digits = bytes.get(i + 1..i + 3).and_then(|d| std::str::from_utf8(d).ok());
                let byte = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = byte.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
                    let shown = String::from_utf8_lossy(&bytes[i..bytes.len().min(i + 3)]);
                    return Err(format!("invalid URL escape {shown:?}"));
                };
                out.push(byte);
                i += 2;
            }
            b'+' if plus_is_space => out.push(b' '),
            byte => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).map_err(|_| "invalid UTF-8 in URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(stdout: &str) -> Result<Target> {
        parse(&Request { stdout: stdout.to_owned(), ..Request::default() })
    }

    fn program(path: &str, arguments: &[&str], must_report: bool) -> Target {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        Target::Program { path: path.into(), arguments, must_report }
    }

    #[test]
    fn where_streams_go() {
        assert_eq!(parse(&Request::default()).expect("null"), Target::Null);
        let only_stdin = Request { stdin: "/i".into(), ..Request::default() };
        assert_eq!(parse(&only_stdin).expect("paths"), Target::Paths);
        for (uri, expected) in [
            ("/run/fifo/1-stdout", Target::Paths),
            ("relative:but/no/scheme", Target::Paths),
            ("fifo:///p", Target::Paths),
            ("file:///var/log/x", Target::File("/var/log/x".into())),
            ("file://host/x%20y", Target::File("/x y".into())),
            ("binary:///bin/l", program("/bin/l", &[], false)),
            ("binary-v2:///bin/l?a=1&b&a=2", program("/bin/l", &["a", "1", "b", ""], true)),
            ("binary:///bin/l?_X+Y=a%2Fb", program("/bin/l", &["_X Y", "a/b"], false)),
        ] {
            match (target(uri), uri.starts_with("relative")) {
                (Ok(found), false) => assert_eq!(found, expected, "{uri}"),
                (found, _) => assert!(found.is_err(), "{uri}"),
            }
        }
    }

    #[test]
    fn refusals() {
        for (uri, text) in [
            ("npipe:///x", "unknown STDIO scheme npipe"),
            (
                "binary:///%zz",
                r#"unable to parse stdout uri: parse "binary:///%zz": invalid URL escape "%zz""#,
            ),
            (":x", r#"unable to parse stdout uri: parse ":x": missing protocol scheme"#),
        ] {
            assert_eq!(target(uri).expect_err(uri).text(), text);
        }
    }
}
