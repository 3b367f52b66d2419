//! Image references: `host/path[:tag][@digest]`, and Docker's shorthand for them.
//!
//! Pulling takes references as they stand; only import and export know the shorthand (`busybox` is
//! `docker.io/library/busybox:latest`).

use std::fmt;

use crate::digest::{Digest, DigestError};

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not of the form at all.
    #[error("invalid reference")]
    Invalid,
    /// Nothing before the first slash.
    #[error("hostname required")]
    HostRequired,
    /// Neither tag nor digest, where one is needed.
    #[error("object required")]
    ObjectRequired,
    /// Not even with Docker's shorthand.
    #[error("invalid reference format")]
    Format,
    /// A repository name with capitals.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// 64 hex digits are a content id, not a name.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    BareId(String),
}

/// Where an image is and which version of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Host and path: `docker.io/library/busybox`.
    pub locator: String,
    /// Tag, `@digest`, `tag@digest`, or empty.
    pub object: String,
}

impl Reference {
    /// Splits a reference. The host may not be empty; the object may.
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let broken = |c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#';
        if text.contains("://") || text.contains(broken) {
            return Err(ReferenceError::Invalid);
        }
        let (host, path) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        if host.is_empty() {
            return Err(ReferenceError::HostRequired);
        }
        if !is_host(host) {
            return Err(ReferenceError::Invalid);
        }
        let (path, object) = match path.find([':', '@']) {
            Some(at) => (&path[..at], path[at..].strip_prefix(':').unwrap_or(&path[at..])),
            None => (path, ""),
        };
        let words = path.split('/').filter(|w| !w.is_empty() && *w != ".");
        let locator = std::iter::once(host).chain(words).collect::<Vec<_>>().join("/");
        if locator.split('/').any(|w| w == "..") {
            return Err(ReferenceError::Invalid);
        }
        Ok(Reference { locator, object: object.into() })
    }

    /// The part before the first slash.
    pub fn host(&self) -> &str {
        self.locator.split('/').next().unwrap_or_default()
    }

    /// The part after the first slash.
    pub fn repository(&self) -> &str {
        self.locator.split_once('/').map_or("", |(_, path)| path)
    }

    /// The tag; empty if there is none.
    pub fn tag(&self) -> &str {
        self.object.split('@').next().unwrap_or_default()
    }

    /// The text after `@`; empty if there is none.
    pub fn digest_text(&self) -> &str {
        self.object.split_once('@').map_or("", |(_, digest)| digest)
    }

    /// The digest, if one is named.
    pub fn digest(&self) -> Result<Option<Digest>, DigestError> {
        match self.digest_text() {
            "" => Ok(None),
            text => Digest::parse(text).map(Some),
        }
    }

    /// The object, or an error if there is none.
    pub fn require_object(&self) -> Result<&str, ReferenceError> {
        if self.object.is_empty() { Err(ReferenceError::ObjectRequired) } else { Ok(&self.object) }
    }
}

/// `host`, `host:port`, `[v6]:port`: what may stand before the first slash.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => (name, None),
            Some((name, port)) => (name, port.strip_prefix(':').or(Some("x"))),
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let plain =
        |c: char| !matches!(c, '@' | '[' | ']' | '%' | '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}');
    !name.is_empty() && name.chars().all(plain) && port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object.as_str() {
            "" => f.write_str(&self.locator),
            object if object.starts_with('@') => write!(f, "{}{object}", self.locator),
            object => write!(f, "{}:{object}", self.locator),
        }
    }
}

/// Docker's default host.
const DOCKER_HOST: &str = "docker.io";

/// The full form of Docker's shorthand: `busybox` → `docker.io/library/busybox:latest`. Of tag and digest together the
/// tag is dropped.
pub fn normalize_docker(text: &str) -> Result<Reference, ReferenceError> {
    let mut reference = split_docker(text)?;
    if !reference.digest_text().is_empty() {
        reference.object = format!("@{}", reference.digest_text());
    } else if reference.object.is_empty() {
        reference.object = "latest".into();
    }
    Ok(reference)
}

/// The full form of a name, tag and digest kept as they are.
pub fn split_docker(text: &str) -> Result<Reference, ReferenceError> {
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ReferenceError::BareId(text.into()));
    }
    let (host, rest) = split_docker_host(text);
    let (name, digest) = rest.split_once('@').map_or((rest, None), |(name, digest)| (name, Some(digest)));
    let (path, tag) = name.split_once(':').map_or((name, None), |(path, tag)| (path, Some(tag)));
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ReferenceError::Uppercase(path.into()));
    }
    let path =
        if host == DOCKER_HOST && !path.contains('/') { format!("library/{path}") } else { path.into() };
    let good_digest = digest.is_none_or(|d| Digest::parse(d).is_ok());
    if !path.split('/').all(is_path_word) || !tag.is_none_or(is_tag) || !good_digest || !is_host(host) {
        return Err(ReferenceError::Format);
    }
    let object = match (tag, digest) {
        (tag, Some(digest)) => format!("{}@{digest}", tag.unwrap_or_default()),
        (tag, None) => tag.unwrap_or_default().into(),
    };
    Ok(Reference { locator: format!("{host}/{path}"), object })
}

fn split_docker_host(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((host, rest))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (if host == "index.docker.io" { DOCKER_HOST } else { host }, rest)
        }
        _ => (DOCKER_HOST, text),
    }
}

/// Lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_word(word: &str) -> bool {
    let bytes = word.as_bytes();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<&u8>| b.is_some_and(|b| plain(*b));
    if !ends(bytes.first()) || !ends(bytes.last()) {
        return false;
    }
    word.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

/// A word character, then up to 127 of `[A-Za-z0-9_.-]`.
fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// Docker's shorthand for a full reference: `docker.io/library/busybox:1` → `busybox:1`.
pub fn familiar_docker(reference: &Reference) -> String {
    let short = match reference.locator.strip_prefix("docker.io/") {
        Some(path) => match path.strip_prefix("library/") {
            Some(name) if !name.contains('/') => name,
            _ => path,
        },
        None => &reference.locator,
    };
    Reference { locator: short.into(), object: reference.object.clone() }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn splitting() {
        for (text, locator, object) in [
            ("docker.io/library/redis:6", "docker.io/library/redis", "6"),
            ("docker.io/library/redis", "docker.io/library/redis", ""),
            ("docker.io/library/redis@sha256:abc", "docker.io/library/redis", "@sha256:abc"),
            ("h:5000/a/b:t@sha256:ab", "h:5000/a/b", "t@sha256:ab"),
            ("[::1]:5000/a:t", "[::1]:5000/a", "t"),
            ("localhost/x//y", "localhost/x/y", ""),
            ("busybox", "busybox", ""),
            ("h/Upper/CASE:T", "h/Upper/CASE", "T"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.locator.as_str(), reference.object.as_str()), (locator, object), "{text}");
        }
        for (text, error) in [
            ("", ReferenceError::HostRequired),
            ("/a:b", ReferenceError::HostRequired),
            ("https://a/b", ReferenceError::Invalid),
            ("a b/c", ReferenceError::Invalid),
            ("a:x/c", ReferenceError::Invalid),
            ("a@b/c", ReferenceError::Invalid),
            ("h/../x", ReferenceError::Invalid),
        ] {
            assert_eq!(Reference::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn parts() {
        let reference = Reference::parse(&format!("h.io/a/b:t@{SUM}")).unwrap();
        assert_eq!((reference.host(), reference.repository()), ("h.io", "a/b"));
        assert_eq!((reference.tag(), reference.digest_text()), ("t", SUM));
        assert_eq!(reference.digest().unwrap(), Some(Digest::of(b"")));
        assert_eq!(reference.to_string(), format!("h.io/a/b:t@{SUM}"));
        let bare = Reference::parse("h.io/a").unwrap();
        assert_eq!(bare.require_object(), Err(ReferenceError::ObjectRequired));
        assert_eq!(Reference::parse(&format!("h/a@{SUM}")).unwrap().to_string(), format!("h/a@{SUM}"));
    }

    #[test]
    fn docker_s_shorthand() {
        for (short, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1", "docker.io/library/busybox:1"),
            ("a/b", "docker.io/a/b:latest"),
            ("index.docker.io/library/x:1", "docker.io/library/x:1"),
            ("localhost/x:1", "localhost/x:1"),
            ("ghcr.io/a/b-c__d.e", "ghcr.io/a/b-c__d.e:latest"),
            ("h:5000/a", "h:5000/a:latest"),
        ] {
            let reference = normalize_docker(short).unwrap();
            assert_eq!(reference.to_string(), full);
        }
        assert_eq!(
            normalize_docker(&format!("x:1@{SUM}")).unwrap().to_string(),
            format!("docker.io/library/x@{SUM}")
        );
        for bad in ["", "Busybox", ":a", "a//b", "a:", "a:-b", "a..b", "a-", &SUM[7..], "a@sha256:1"] {
            assert!(normalize_docker(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn familiar_names() {
        for (full, short) in [
            ("docker.io/library/busybox:1", "busybox:1"),
            ("docker.io/a/b:1", "a/b:1"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ] {
            assert_eq!(familiar_docker(&Reference::parse(full).unwrap()), short);
        }
    }
}
