//! `hosts.toml`, and the directories of certificates that came before it.

use super::{Able, DIAL, Host, Pair, Protocol, Tls, Wanted, parse_url, protocol, split_port, standard};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Error, Result};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// The largest file that is read, in bytes.
const MAX: u64 = 1 << 20;

/// The whole file but for the settings of `server`, which stand at the top level.
#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    server: String,
    host: BTreeMap<Spanned<String>, Entry>,
}

/// The settings of one host.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    capabilities: Vec<String>,
    ca: Option<Names>,
    client: Option<Clients>,
    skip_verify: Option<bool>,
    override_path: bool,
    header: BTreeMap<String, Names>,
    dial_timeout: String,
}

/// One or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn list(&self) -> &[String] {
        match self {
            Names::One(one) => std::slice::from_ref(one),
            Names::Many(many) => many,
        }
    }
}

/// Client certificates: one file, or a list of files and of pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Clients {
    One(String),
    Many(Vec<Names>),
}

/// The hosts of a directory, the one the reference names last.
pub fn load(dir: &Path, wanted: &Wanted) -> Result<Vec<Host>> {
    let path = dir.join("hosts.toml");
    let text = match read(&path) {
        Err(e) if e.is_not_found() => String::new(),
        other => String::from_utf8_lossy(&other?).into_owned(),
    };
    if text.trim().is_empty() {
        return Ok(vec![standard(wanted, old_certificates(dir)?)]);
    }
    let parsed = toml::from_str::<File>(&text).and_then(|file| Ok((file, toml::from_str::<Entry>(&text)?)));
    let (file, top) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "hosts.toml cannot be read and is ignored");
            return Ok(vec![standard(wanted, old_certificates(dir)?)]);
        }
    };
    // The order in the file counts, not that of the names.
    let mut entries: Vec<(Spanned<String>, Entry)> = file.host.into_iter().collect();
    entries.sort_by_key(|(url, _)| url.span().start);
    let read = |url: &str, entry: &Entry| {
        entry.host(dir, url).map_err(|e| e.during(format!("{}: host {url:?}", path.display())))
    };
    let mut hosts = Vec::new();
    for (url, entry) in &entries {
        hosts.push(read(url.get_ref(), entry)?);
    }
    if file.server.is_empty() {
        let tls = top.tls(dir).map_err(|e| e.during(path.display()))?;
        let mut host = standard(wanted, tls);
        top.apply(&mut host).map_err(|e| e.during(path.display()))?;
        hosts.push(host);
    } else {
        hosts.push(read(&file.server, &top)?);
    }
    Ok(hosts)
}

impl Entry {
    fn host(&self, dir: &Path, url: &str) -> Result<Host> {
        let (secure, authority, mut path) = parse_url(url)?;
        if !self.override_path && !path.ends_with("/v2") {
            path.push_str("/v2");
        }
        let tls = self.tls(dir)?;
        let protocol = protocol(secure, &tls, split_port(&authority).1);
        let mut host =
            Host { protocol, authority, path, able: Able::ALL, headers: HeaderMap::new(), tls, dial: DIAL };
        self.apply(&mut host)?;
        Ok(host)
    }

    /// The settings that a host of any origin may have.
    fn apply(&self, host: &mut Host) -> Result<()> {
        host.able = able(&self.capabilities)?;
        for (name, values) in &self.header {
            for value in values.list() {
                let wrong = || Error::invalid(format!("header {name:?}"));
                let name: HeaderName = name.parse().map_err(|_| wrong())?;
                host.headers.append(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
            }
        }
        if !self.dial_timeout.is_empty() {
            host.dial = duration(&self.dial_timeout)
                .ok_or_else(|| Error::invalid(format!("dial_timeout {:?}", self.dial_timeout)))?;
        }
        if host.protocol == Protocol::Https && self.skip_verify == Some(true) {
            tracing::debug!(host = host.authority, "the host's certificate is not verified");
        }
        Ok(())
    }

    fn tls(&self, dir: &Path) -> Result<Tls> {
        let mut tls = Tls { skip_verify: self.skip_verify, ..Tls::default() };
        for name in self.ca.iter().flat_map(Names::list) {
            tls.authorities.extend(certificates(&dir.join(name))?);
        }
        let clients = match &self.client {
            None => Vec::new(),
            Some(Clients::One(file)) => vec![std::slice::from_ref(file)],
            Some(Clients::Many(many)) => many.iter().map(Names::list).collect(),
        };
        for client in clients {
            let (certificate, key) = match client {
                [both] => (both, both),
                [certificate, key] if key.is_empty() => (certificate, certificate),
                [certificate, key] => (certificate, key),
                other => {
                    return Err(Error::invalid(format!(
                        "client {other:?} is not a file and not a pair of files"
                    )));
                }
            };
            tls.clients.push(Arc::new(pair(&dir.join(certificate), &dir.join(key))?));
        }
        Ok(tls)
    }
}

fn able(words: &[String]) -> Result<Able> {
    if words.is_empty() {
        return Ok(Able::ALL);
    }
    let mut able = Able { pull: false, resolve: false, push: false };
    for word in words {
        match word.to_lowercase().as_str() {
            "pull" => able.pull = true,
            "resolve" => able.resolve = true,
            "push" => able.push = true,
            "referrers" => {}
            other => return Err(Error::invalid(format!("unknown capability {other:?}"))),
        }
    }
    Ok(able)
}

/// `*.crt` are authorities, `x.cert` with `x.key` is our certificate.
fn old_certificates(dir: &Path) -> Result<Tls> {
    let mut tls = Tls::default();
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io("read directory", dir, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in &paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("crt") => tls.authorities.extend(certificates(path)?),
            Some("cert") => tls.clients.push(Arc::new(pair(path, &path.with_extension("key"))?)),
            _ => {}
        }
    }
    Ok(tls)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(Error::invalid(format!("{} holds no certificate", path.display()))),
        Err(e) => Err(Error::invalid(format!("{}: {e}", path.display()))),
    }
}

fn pair(certificate: &Path, key: &Path) -> Result<Pair> {
    let wrong = |e| Error::invalid(format!("{}: {e}", key.display()));
    Ok(Pair {
        chain: certificates(certificate)?,
        key: PrivateKeyDer::from_pem_slice(&read(key)?).map_err(wrong)?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = |e: std::io::Error| {
        let absent = e.kind() == std::io::ErrorKind::NotFound;
        let error = Error::io("read", path, e);
        if absent { error.with_kind(model::Kind::NotFound) } else { error }
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A duration in Go's words: `1m30s`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let number: f64 = rest[..digits].parse().ok()?;
        let seconds = match &rest[digits..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Vec<Host>> {
        let dir = tempfile::tempdir().expect("temp dir");
        let own = dir.path().join("reg.io_5000_");
        std::fs::create_dir(&own).expect("mkdir");
        std::fs::write(own.join("hosts.toml"), text).expect("write");
        let wanted = Wanted {
            name: "reg.io:5000".into(),
            dir: dir.path().to_string_lossy().into_owned(),
            default_scheme: String::new(),
        };
        super::super::load(&wanted)
    }

    #[test]
    fn mirrors_in_file_order_then_the_server() {
        let hosts = load_text(
            r#"
            server = "https://upstream"
            skip_verify = true
            [host."https://zz:1"]
              capabilities = ["pull"]
              [host."https://zz:1".header]
                x-one = "1"
                x-two = ["2", "3"]
            [host."http://aa"]
              dial_timeout = "1m500ms"
            [host."mm/other/v2"]
            [host."https://nn/exact"]
              override_path = true
            "#,
        )
        .expect("well formed");
        let shown: Vec<_> = hosts.iter().map(|h| h.url(h.protocol != Protocol::Http, "")).collect();
        assert_eq!(
            shown,
            [
                "https://zz:1/v2/",
                "http://aa/v2/",
                "https://mm/other/v2/",
                "https://nn/exact/",
                "https://upstream/v2/"
            ]
        );
        assert_eq!(hosts[0].able, Able { pull: true, resolve: false, push: false });
        assert_eq!(hosts[0].headers.get_all("x-two").iter().count(), 2);
        assert_eq!(hosts[1].dial, Duration::from_millis(60_500));
        assert_eq!((hosts[0].tls.skip_verify, hosts[4].tls.skip_verify), (None, Some(true)));
        assert_eq!(hosts[4].able, Able::ALL);
    }

    #[test]
    fn without_a_server_the_reference_s_own_host_is_last() {
        let hosts = load_text("[host.\"http://m\"]\nskip_verify = true\n").expect("well formed");
        assert_eq!(hosts[0].protocol, Protocol::Either);
        assert_eq!((hosts[1].authority.as_str(), hosts[1].protocol), ("reg.io:5000", Protocol::Https));
        let broken = load_text("this is no toml").expect("falls back");
        assert_eq!(broken.len(), 1);
    }

    #[test]
    fn settings_that_mean_nothing_are_named() {
        for (text, word) in [
            ("[host.\"ftp://x\"]", "ftp://x"),
            ("[host.\"x\"]\ncapabilities = [\"fly\"]", "fly"),
            ("[host.\"x\"]\nca = \"absent.pem\"", "absent.pem"),
            ("[host.\"x\"]\nclient = [[\"a\", \"b\", \"c\"]]", "client"),
            ("[host.\"x\"]\ndial_timeout = \"soon\"", "soon"),
            ("[host.\"x\".header]\n\"a b\" = \"c\"", "a b"),
        ] {
            let error = load_text(text).expect_err(text).to_string();
            assert!(error.contains(word) && error.contains("hosts.toml"), "{text}: {error}");
        }
    }

    #[test]
    fn certificates_without_a_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let pem = |word: &str| format!("-----BEGIN {word}-----\nAAAA\n-----END {word}-----\n");
        for (name, word) in
            [("ca.crt", "CERTIFICATE"), ("own.cert", "CERTIFICATE"), ("own.key", "PRIVATE KEY"), ("x", "X")]
        {
            std::fs::write(dir.path().join(name), pem(word)).expect("write");
        }
        let tls = old_certificates(dir.path()).expect("well formed");
        assert_eq!((tls.authorities.len(), tls.clients.len(), tls.skip_verify), (1, 1, None));
        std::fs::remove_file(dir.path().join("own.key")).expect("remove");
        assert!(old_certificates(dir.path()).expect_err("no key").to_string().contains("own.key"));
    }

    #[test]
    fn durations() {
        for (text, ms) in [("10s", 10_000), ("1h1m1s", 3_661_000), ("1.5s", 1500), ("250ms", 250)] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "s", "1x", "-1s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
