//! Content digests: `algorithm:hex`, parsed as strictly as every registry and store does.
//!
//! A [`Digest`] in memory is always valid. Not here: reading files (content hashes while it writes).

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// Why a text is no digest. The texts are the ones clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:hex`.
    #[error("invalid checksum digest format")]
    Format,
    /// The hex part is too short or too long for the algorithm.
    #[error("invalid checksum digest length")]
    Length,
    /// Well formed, but of an algorithm we do not have.
    #[error("unsupported digest algorithm")]
    Unsupported,
}

/// The hash functions a digest may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// The canonical one.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name in front of the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The algorithm of this name.
    pub fn find(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// Length of the hex part in characters.
    pub fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }

    /// The digest of these bytes.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut digester = Digester::new(self);
        digester.update(bytes);
        digester.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A valid content digest; cheap to clone, ordered by its text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Parses `algorithm:hex`; the checks come in the order Go's digest library makes them.
    pub fn parse(text: &str) -> Result<Digest, DigestError> {
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Format)?;
        if name.is_empty() || encoded.is_empty() {
            return Err(DigestError::Format);
        }
        let Some(algorithm) = Algorithm::find(name) else {
            return Err(if is_digest_shaped(name, encoded) {
                DigestError::Unsupported
            } else {
                DigestError::Format
            });
        };
        if encoded.len() != algorithm.hex_len() {
            return Err(DigestError::Length);
        }
        if !encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Format);
        }
        Ok(Digest(text.into()))
    }

    /// The canonical (sha256) digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Algorithm::Sha256.digest(bytes)
    }

    /// Puts a digest together from its two halves.
    pub fn from_parts(algorithm: Algorithm, hex: &str) -> Result<Digest, DigestError> {
        Digest::parse(&format!("{algorithm}:{hex}"))
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm in front of the colon.
    pub fn algorithm(&self) -> Algorithm {
        let name = self.0.split(':').next().unwrap_or_default();
        Algorithm::find(name).unwrap_or_default()
    }

    /// The part behind the colon.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }
}

/// Whether `name:encoded` would be a digest of some other algorithm.
fn is_digest_shaped(name: &str, encoded: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
    name.split(['.', '+', '_', '-']).all(word)
        && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        Digest::parse(text)
    }
}

impl TryFrom<&str> for Digest {
    type Error = DigestError;

    fn try_from(text: &str) -> Result<Digest, DigestError> {
        Digest::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        Digest::parse(&text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Digest {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(|e| serde::de::Error::custom(format!("{e}: {text:?}")))
    }
}

/// A running hash over a stream.
#[derive(Clone)]
pub struct Digester {
    state: State,
    len: u64,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Digester {
    /// Starts at the empty stream.
    pub fn new(algorithm: Algorithm) -> Digester {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Digester { state, len: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        match &mut self.state {
            State::Sha256(s) => s.update(bytes),
            State::Sha384(s) => s.update(bytes),
            State::Sha512(s) => s.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let text = match self.state {
            State::Sha256(s) => to_text(algorithm, &s.finalize()),
            State::Sha384(s) => to_text(algorithm, &s.finalize()),
            State::Sha512(s) => to_text(algorithm, &s.finalize()),
        };
        Digest(text.into())
    }

    /// The digest of the bytes taken so far; the stream goes on.
    pub fn current(&self) -> Digest {
        self.clone().finish()
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte was taken yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash function in use.
    pub fn algorithm(&self) -> Algorithm {
        match &self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha384(_) => Algorithm::Sha384,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }
}

impl Default for Digester {
    fn default() -> Digester {
        Digester::new(Algorithm::Sha256)
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").field("algorithm", &self.algorithm()).field("len", &self.len).finish()
    }
}

fn to_text(algorithm: Algorithm, sum: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(8 + sum.len() * 2);
    text.push_str(algorithm.as_str());
    text.push(':');
    for byte in sum {
        text.push(HEX[usize::from(byte >> 4)] as char);
        text.push(HEX[usize::from(byte & 15)] as char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Algorithm::Sha512.digest(b"abc").hex(),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert!(Algorithm::Sha384.digest(b"abc").hex().starts_with("cb00753f45a35e8b"));
    }

    #[test]
    fn parse_refuses_with_the_known_texts() {
        let a64 = "a".repeat(64);
        for (text, error) in [
            ("".to_string(), "invalid checksum digest format"),
            ("sha256".into(), "invalid checksum digest format"),
            (":abc".into(), "invalid checksum digest format"),
            ("sha256:".into(), "invalid checksum digest format"),
            ("sha256:abc".into(), "invalid checksum digest length"),
            (format!("sha256:{}", "A".repeat(64)), "invalid checksum digest format"),
            (format!("sha256:{}", "g".repeat(64)), "invalid checksum digest format"),
            (format!("sha384:{a64}"), "invalid checksum digest length"),
            (format!("md5:{a64}"), "unsupported digest algorithm"),
            (
                "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564".into(),
                "unsupported digest algorithm",
            ),
            ("MD5:abc".into(), "invalid checksum digest format"),
            ("md5:a b".into(), "invalid checksum digest format"),
            ("md5.:ab".into(), "invalid checksum digest format"),
        ] {
            assert_eq!(Digest::parse(&text).unwrap_err().to_string(), error, "{text}");
        }
        let digest = Digest::parse(&format!("sha256:{a64}")).unwrap();
        assert_eq!((digest.algorithm(), digest.hex()), (Algorithm::Sha256, a64.as_str()));
    }

    #[test]
    fn a_running_digest_can_be_looked_at() {
        let mut digester = Digester::default();
        digester.update(b"ab");
        assert_eq!(digester.current(), Digest::of(b"ab"));
        digester.update(b"c");
        assert_eq!((digester.len(), digester.finish()), (3, Digest::of(b"abc")));
    }

    #[test]
    fn serde_is_the_text() {
        let digest = Digest::of(b"x");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"sha256:zz\"").is_err());
    }
}
