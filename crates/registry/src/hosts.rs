//! Which hosts serve a reference, in the order in which they are asked.
//!
//! The directory of a host is `<dir>/<host>_<port>_`, `<dir>/<host>:<port>` or `<dir>/_default`; in it lies `hosts.toml`,
//! or the certificates of old. Without one, the rule of thumb: HTTPS, and for the machine itself whatever it speaks.

mod file;

use http::{HeaderMap, Uri};
use model::{Error, Result};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take unless the configuration says otherwise.
pub const DIAL: Duration = Duration::from_secs(30);
/// Docker's name, and the machine behind it.
pub const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What a host is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Able {
    /// To fetch content.
    pub pull: bool,
    /// To find out what a tag stands for.
    pub resolve: bool,
    /// To bring content.
    pub push: bool,
}

impl Able {
    /// For everything.
    pub const ALL: Self = Self { pull: true, resolve: true, push: true };
}

/// A client certificate and its key.
#[derive(Debug)]
pub struct Pair {
    /// The certificate and those above it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// How a host is believed, and believes us.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Authorities beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Our certificates.
    pub clients: Vec<Arc<Pair>>,
    /// Believe everything; `None` where nothing is said of it.
    pub skip_verify: Option<bool>,
}

impl Tls {
    fn is_set(&self) -> bool {
        !self.authorities.is_empty() || !self.clients.is_empty() || self.skip_verify.is_some()
    }
}

/// Which protocol a host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Plain.
    Http,
    /// TLS.
    Https,
    /// TLS if it speaks it, else plain.
    Either,
}

/// A host that serves the reference.
#[derive(Clone, Debug)]
pub struct Host {
    /// The protocol.
    pub protocol: Protocol,
    /// Host and port.
    pub authority: String,
    /// What stands before the repository: `/v2`.
    pub path: String,
    /// What it is used for.
    pub able: Able,
    /// Headers for every request.
    pub headers: HeaderMap,
    /// Certificates.
    pub tls: Tls,
    /// How long a connection may take.
    pub dial: Duration,
}

/// Whose hosts are asked for, and with which settings.
pub struct Wanted {
    /// The reference's host.
    pub name: String,
    /// The directory of all hosts; empty for none.
    pub dir: String,
    /// `http` or `https`, where nothing else says it; empty for the rule of thumb.
    pub default_scheme: String,
}

/// The hosts that serve a reference. Reads files.
///
/// # Errors
/// `InvalidArgument` for a setting that means nothing, `NotFound` for a certificate that is not there.
pub fn load(wanted: &Wanted) -> Result<Vec<Host>> {
    match directory(wanted) {
        Some(dir) => file::load(&dir, wanted),
        None => Ok(vec![standard(wanted, Tls::default())]),
    }
}

fn directory(wanted: &Wanted) -> Option<PathBuf> {
    if wanted.dir.is_empty() {
        return None;
    }
    let root = Path::new(&wanted.dir);
    let underscored = match wanted.name.rsplit_once(':') {
        Some((host, port)) => format!("{host}_{port}_"),
        None => wanted.name.clone(),
    };
    [underscored.as_str(), wanted.name.as_str(), "_default"]
        .map(|name| root.join(name))
        .into_iter()
        .find(|d| d.is_dir())
}

/// The host a reference names, where no file says more.
fn standard(wanted: &Wanted, mut tls: Tls) -> Host {
    let is_docker = wanted.name == DOCKER.0;
    let authority = if is_docker { DOCKER.1.to_owned() } else { wanted.name.clone() };
    let (host, port) = split_port(&authority);
    let by_default = |fallback: &str| match wanted.default_scheme.as_str() {
        "" => fallback == "https",
        scheme => scheme != "http",
    };
    let secure = if is_docker {
        true
    } else if is_loopback(host) {
        if tls.skip_verify.is_none() && port != Some(80) {
            tls.skip_verify = Some(true);
        }
        by_default(if matches!(port, None | Some(443)) { "https" } else { "http" })
    } else {
        by_default("https")
    };
    Host {
        protocol: protocol(secure, &tls, port),
        authority,
        path: "/v2".into(),
        able: Able::ALL,
        headers: HeaderMap::new(),
        tls,
        dial: DIAL,
    }
}

/// Plain with settings for TLS means: try TLS first.
fn protocol(secure: bool, tls: &Tls, port: Option<u16>) -> Protocol {
    match (secure, tls.is_set() && port != Some(80)) {
        (true, _) => Protocol::Https,
        (false, true) => Protocol::Either,
        (false, false) => Protocol::Http,
    }
}

/// `host:port` in its two parts; the brackets of an IPv6 address go.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && !port.is_empty() => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Host {
    /// The URL of something below the host's path.
    pub fn url(&self, secure: bool, rest: &str) -> String {
        let scheme = if secure { "https" } else { "http" };
        format!("{scheme}://{}{}/{rest}", self.authority, self.path)
    }

    /// Whether its address names a port.
    pub fn has_port(&self) -> bool {
        split_port(&self.authority).1.is_some()
    }
}

/// A host as a file names it: `https://mirror:5000/path`, the scheme may be missing.
fn parse_url(text: &str) -> Result<(bool, String, String)> {
    let wrong = |why: &str| Error::invalid(format!("hosts.toml: host {text:?}: {why}"));
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let uri: Uri = full.parse().map_err(|e| wrong(&format!("{e}")))?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        other => return Err(wrong(&format!("scheme {} is not http or https", other.unwrap_or("(none)")))),
    };
    let authority = uri.authority().ok_or_else(|| wrong("no host"))?.to_string();
    if authority.contains('@') {
        return Err(wrong("a host may not carry credentials"));
    }
    let words: Vec<&str> = uri.path().split('/').filter(|w| !w.is_empty() && *w != ".").collect();
    let path = if words.is_empty() { String::new() } else { format!("/{}", words.join("/")) };
    Ok((secure, authority, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str, scheme: &str) -> (Protocol, String, Option<bool>) {
        let wanted = Wanted { name: name.into(), dir: String::new(), default_scheme: scheme.into() };
        let host = load(&wanted).expect("no file").remove(0);
        (host.protocol, host.authority, host.tls.skip_verify)
    }

    #[test]
    fn the_rule_of_thumb() {
        use Protocol::{Either, Http, Https};
        for (name, scheme, protocol, authority, skip) in [
            ("docker.io", "", Https, "registry-1.docker.io", None),
            ("docker.io", "http", Https, "registry-1.docker.io", None),
            ("ghcr.io", "", Https, "ghcr.io", None),
            ("ghcr.io", "http", Http, "ghcr.io", None),
            ("localhost", "", Https, "localhost", Some(true)),
            ("localhost:443", "", Https, "localhost:443", Some(true)),
            ("localhost:80", "", Http, "localhost:80", None),
            ("127.0.0.1:5000", "", Either, "127.0.0.1:5000", Some(true)),
            ("127.3.2.1:5000", "http", Either, "127.3.2.1:5000", Some(true)),
            ("[::1]:5000", "", Either, "[::1]:5000", Some(true)),
            ("127.0.0.1:5000", "https", Https, "127.0.0.1:5000", Some(true)),
            ("10.0.0.1:5000", "", Https, "10.0.0.1:5000", None),
        ] {
            assert_eq!(plain(name, scheme), (protocol, authority.to_owned(), skip), "{name} {scheme}");
        }
    }

    #[test]
    fn urls_of_hosts() {
        for (text, secure, authority, path) in [
            ("https://a:1/", true, "a:1", ""),
            ("a", true, "a", ""),
            ("http://a//x/./y/", false, "a", "/x/y"),
        ] {
            assert_eq!(parse_url(text).expect(text), (secure, authority.to_owned(), path.to_owned()));
        }
        for bad in ["ftp://a", "https://", "https://u:p@h/", "a b"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
