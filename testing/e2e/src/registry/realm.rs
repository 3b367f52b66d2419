//! A realm that gives tokens to those who know a password, and to nobody else what they may not have.
//!
//! Tokens are real ones, signed with a key whose certificate the registry knows. Anybody may read repositories that
//! begin with `open/`; [`USERNAME`] may do everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::script::{Answer, Asked, Script};
use super::{PASSWORD, USERNAME};
use crate::Program;

/// The service that tokens are for.
pub const SERVICE: &str = "tests.registry";
/// Who gives them.
pub const ISSUER: &str = "tests.realm";
/// How long they last, in seconds.
const LIFE: u64 = 300;

/// A running realm.
pub struct Realm {
    script: Script,
    certificate: PathBuf,
    _dir: tempfile::TempDir,
}

/// Whether the realm knows the newer way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// By POST and by GET.
    Both,
    /// By GET only.
    Get,
}

impl Realm {
    /// Starts a realm with a key of its own.
    pub fn start(ways: Ways) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().to_owned();
        let make = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=realm -days 2";
        Program::new("openssl").args(make.split(' ')).dir(&path).succeed()?;
        let pem = std::fs::read_to_string(path.join("cert.pem"))?;
        let chain: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
        let signer = Arc::new(Signer { dir: path.clone(), chain });
        let script = Script::start(move |asked| match (asked.method.as_str(), ways) {
            ("POST", Ways::Get) => Answer::status(405),
            ("POST" | "GET", _) => signer.answer(asked),
            _ => Answer::status(405),
        })?;
        Ok(Self { script, certificate: path.join("cert.pem"), _dir: dir })
    }

    /// What a registry needs to know of it.
    pub fn settings(&self) -> (String, PathBuf) {
        (format!("http://{}/token", self.script.address()), self.certificate.clone())
    }

    /// What it was asked.
    pub fn seen(&self) -> Vec<Asked> {
        self.script.seen()
    }
}

struct Signer {
    dir: PathBuf,
    chain: String,
}

impl Signer {
    fn answer(&self, asked: &Asked) -> Answer {
        let query = match asked.method.as_str() {
            "POST" => String::from_utf8_lossy(&asked.body).replace('+', "%20"),
            _ => asked.path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
        };
        let fields: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), unescape(value)))
            .collect();
        let field =
            |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let basic = format!("Basic {}", base64(format!("{USERNAME}:{PASSWORD}").as_bytes(), STANDARD));
        let is_known = (field("username") == USERNAME && field("password") == PASSWORD)
            || asked.header("authorization") == basic;
        let shows_something = !asked.header("authorization").is_empty() || asked.method == "POST";
        if shows_something && !is_known {
            return Answer::status(401);
        }
        let scopes = fields.iter().filter(|(key, _)| key == "scope").flat_map(|(_, value)| value.split(' '));
        let access: Vec<Value> = scopes.filter_map(|scope| allowed(scope, is_known)).collect();
        match self.sign(&access) {
            Ok(token) => {
                let key = if asked.method == "POST" { "access_token" } else { "token" };
                Answer::bytes(json!({ key: token, "expires_in": LIFE }).to_string())
            }
            Err(error) => Answer { body: format!("{error:#}").into(), ..Answer::status(500) },
        }
    }

    fn sign(&self, access: &[Value]) -> Result<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [self.chain] });
        let claims = json!({
            "iss": ISSUER, "sub": USERNAME, "aud": SERVICE, "jti": "1",
            "iat": now, "nbf": now - 5, "exp": now + LIFE, "access": access,
        });
        let part = |value: &Value| base64(value.to_string().as_bytes(), URL);
        let signed = format!("{}.{}", part(&header), part(&claims));
        Ok(format!("{signed}.{}", base64(&sign(&self.dir, signed.as_bytes())?, URL)))
    }
}

fn sign(dir: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let openssl = Program::new("openssl").args(["dgst", "-sha256", "-sign", "key.pem"]).dir(dir).stdin(bytes);
    Ok(openssl.succeed().context("sign a token")?.bytes)
}

/// What somebody may do of what a scope asks for.
fn allowed(scope: &str, is_known: bool) -> Option<Value> {
    let mut words = scope.split(':');
    let (kind, name, actions) = (words.next()?, words.next()?, words.next()?);
    let may = |action: &&str| is_known || (*action == "pull" && name.starts_with("open/"));
    let actions: Vec<&str> = actions.split(',').filter(may).collect();
    Some(json!({ "type": kind, "name": name, "actions": actions }))
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last two digits, and whether the end is filled up.
type Alphabet = ([char; 2], bool);
const STANDARD: Alphabet = (['+', '/'], true);
const URL: Alphabet = (['-', '_'], false);

fn base64(bytes: &[u8], (last, fills): Alphabet) -> String {
    let digit = |n: u32| match n {
        0..26 => (b'A' + n as u8) as char,
        26..52 => (b'a' + n as u8 - 26) as char,
        52..62 => (b'0' + n as u8 - 52) as char,
        _ => last[n as usize - 62],
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(digit(bits >> (18 - 6 * place) & 63));
        }
        if fills {
            text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
        }
    }
    text
}
