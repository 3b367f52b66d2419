//! `WWW-Authenticate`: how a host wants to be persuaded.

use http::header::{HeaderMap, WWW_AUTHENTICATE};
use std::collections::BTreeMap;

/// How a host may want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// A token from somewhere else.
    Bearer,
    /// A digest of the password; nobody offers it and we do not either.
    Digest,
    /// Name and password.
    Basic,
}

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    /// Its parameters, keys in lower case.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// A parameter; empty when it is not there.
    pub fn parameter(&self, key: &str) -> &str {
        self.parameters.get(key).map_or("", String::as_str)
    }
}

/// The challenges of an answer, the one to prefer first. What cannot be read is left out.
pub fn read(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges: Vec<Challenge> =
        lines.filter_map(|line| parse(&String::from_utf8_lossy(line.as_bytes()))).collect();
    challenges.sort_by_key(|c| c.scheme);
    challenges
}

fn parse(line: &str) -> Option<Challenge> {
    let (word, mut rest) = take_token(line.trim_start());
    let scheme = match word.to_ascii_lowercase().as_str() {
        "bearer" => Scheme::Bearer,
        "digest" => Scheme::Digest,
        "basic" => Scheme::Basic,
        _ => return None,
    };
    let mut parameters = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (key, after) = take_token(rest);
        let Some(after) = after.trim_start().strip_prefix('=') else { break };
        if key.is_empty() {
            break;
        }
        let (value, after) = take_value(after.trim_start());
        parameters.insert(key.to_ascii_lowercase(), value);
        rest = after;
    }
    Some(Challenge { scheme, parameters })
}

fn take_token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"')).unwrap_or(text.len());
    text.split_at(end)
}

fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static(line));
        }
        read(&headers)
    }

    #[test]
    fn parameters_in_every_dress() {
        let line = r#"Bearer realm="https://a/t",service=reg.io , scope="repository:a/b:pull,push", error="in\"valid\\""#;
        let found = of(&["Basic realm=x", line, "Negotiate", "Digest realm=\"y\""]);
        assert_eq!(
            found.iter().map(|c| c.scheme).collect::<Vec<_>>(),
            [Scheme::Bearer, Scheme::Digest, Scheme::Basic]
        );
        let bearer = &found[0];
        for (key, value) in [
            ("realm", "https://a/t"),
            ("service", "reg.io"),
            ("scope", "repository:a/b:pull,push"),
            ("error", "in\"valid\\"),
            ("absent", ""),
        ] {
            assert_eq!(bearer.parameter(key), value, "{key}");
        }
        assert_eq!(found[2].parameter("realm"), "x");
    }

    #[test]
    fn nonsense_ends_nothing_but_itself() {
        for line in ["Bearer", "Bearer realm", "Bearer =", "Bearer realm=\"open", "Basic ,,,", "bearer a=b c"]
        {
            assert_eq!(of(&[line]).len(), 1, "{line}");
        }
        assert!(of(&["", "Unknown a=b"]).is_empty());
    }
}
