//! Answers that are no success, and how several hosts' failures become one error.

use crate::exchange::Answer;
use crate::transport::Broken;
use http::{Method, StatusCode};
use model::{Error, Kind};
use serde::Deserialize;

/// How much of a refusal's body is read, in bytes.
const BODY: usize = 64 << 10;
/// How many of its errors are shown.
const SHOWN: usize = 10;

/// How much a failure tells: of several hosts' failures the one that tells most is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The host was not reached.
    Transport,
    /// The host does not have it.
    Absent,
    /// The host refused.
    Refused,
    /// What the host has cannot be taken.
    TooLarge,
}

/// A failed request.
#[derive(Debug)]
pub struct Failure {
    /// How much it tells.
    pub rank: Rank,
    /// What it tells.
    pub error: Error,
    /// Whether the same request may well succeed at once.
    pub transient: bool,
    /// Whether the host does not believe us to be who we say.
    pub denied: bool,
}

impl Failure {
    /// A failure of this rank.
    pub fn new(rank: Rank, error: Error) -> Self {
        Self { rank, error, transient: false, denied: false }
    }

    /// A failure on the way.
    pub fn transport(error: Error) -> Self {
        Self::new(Rank::Transport, error)
    }

    /// The host does not believe us.
    pub fn denied(text: impl std::fmt::Display) -> Self {
        let error = Error::unknown(format!("{text}: authorization failed"));
        Self { denied: true, ..Self::transport(error) }
    }

    /// Puts a step in front of the error.
    pub fn during(self, step: impl std::fmt::Display) -> Self {
        Self { error: self.error.during(step), ..self }
    }

    /// A request that got no answer.
    pub fn broken(method: &Method, url: &http::Uri, broken: Broken) -> Self {
        let name = method.as_str();
        let verb: String =
            name.chars().take(1).chain(name.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect();
        let transient = broken.transient;
        let error = Error::from(broken).during(format!("failed to do request: {verb} \"{url}\""));
        Self { transient, ..Self::transport(error) }
    }

    /// The one of the two that tells more; the first of equals.
    pub fn or(self, earlier: Option<Failure>) -> Failure {
        match earlier {
            Some(earlier) if earlier.rank >= self.rank => earlier,
            _ => self,
        }
    }
}

/// An answer as an error: the status line, then what the registry says.
pub async fn refused(answer: Answer) -> Failure {
    let rank = if answer.status == StatusCode::NOT_FOUND { Rank::Absent } else { Rank::Refused };
    Failure::new(rank, describe(answer).await)
}

/// The text of an answer that is no success.
pub async fn describe(answer: Answer) -> Error {
    let mut text = format!(
        "unexpected status from {} request to {}: {}",
        answer.method,
        answer.url,
        status_line(answer.status)
    );
    let kind = if answer.status == StatusCode::NOT_FOUND { Kind::NotFound } else { Kind::Unknown };
    // A refusal whose body cannot be read is a refusal all the same.
    let body = answer.read_some(BODY).await.unwrap_or_default();
    for line in said(&body) {
        text.push('\n');
        text.push_str(&line);
    }
    if kind == Kind::NotFound { Error::not_found(text) } else { Error::new(kind, text) }
}

/// `404 Not Found`
fn status_line(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Unknown")).trim_end().to_owned()
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    errors: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The errors in a refusal's body, in lower case words.
fn said(body: &[u8]) -> Vec<String> {
    let Ok(said) = serde_json::from_slice::<Said>(body) else { return Vec::new() };
    let words = |one: &One| {
        let code = one.code.to_lowercase().replace('_', " ");
        let message = one.message.replace(char::is_control, " ");
        match (code.is_empty(), message.is_empty()) {
            (false, false) => format!("{code}: {message}"),
            (_, true) => code,
            (true, false) => message,
        }
    };
    said.errors.iter().take(SHOWN).map(words).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says() {
        for (body, lines) in [
            (r#"{"errors":[{"code":"DENIED","message":"no entry"}]}"#, vec!["denied: no entry"]),
            (r#"{"errors":[{"code":"BLOB_UNKNOWN"},{"message":"x\ny"}]}"#, vec!["blob unknown", "x y"]),
            (r#"{"errors":[]}"#, vec![]),
            ("<html>", vec![]),
        ] {
            assert_eq!(said(body.as_bytes()), lines, "{body}");
        }
    }

    #[test]
    fn the_failure_that_tells_most_wins() {
        let of = |rank, text: &str| Failure::new(rank, Error::unknown(text));
        let both = of(Rank::Refused, "new").or(Some(of(Rank::Transport, "old")));
        assert_eq!(both.error.text(), "new");
        let both = of(Rank::Absent, "new").or(Some(of(Rank::Absent, "old")));
        assert_eq!(both.error.text(), "old");
    }
}
