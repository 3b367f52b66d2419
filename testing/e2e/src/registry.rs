//! Registries to pull from: Debian's `docker-registry` on a free port, plain or with TLS, passwords or tokens; and
//! beside it things that real networks do: [`wire::Wire`] counts and stops, [`script::Script`] lies.

pub mod realm;
pub mod script;
pub mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::Program;
use crate::image::Archive;

/// The name that a registry with passwords knows.
pub const USERNAME: &str = "ada";
/// Her password.
pub const PASSWORD: &str = "secret";
/// Her line in the file of passwords.
const ACCOUNT: &str = "ada:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
/// How long the registry may take to come up.
const READY: Duration = Duration::from_secs(20);

/// How a registry is run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// It speaks TLS, with a certificate that [`Certificates`] made.
    pub tls: Option<Certificates>,
    /// It wants a client's certificate of the same authority.
    pub wants_certificate: bool,
    /// It wants [`USERNAME`] and [`PASSWORD`].
    pub passwords: bool,
    /// It wants tokens: the realm's URL and the certificate that signs them.
    pub tokens: Option<(String, PathBuf)>,
}

/// A running registry in a directory of its own.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    dir: TempDir,
}

/// An authority, and one certificate of it for this machine, which also serves as a client's.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The machine's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them with openssl, in a directory.
    pub fn make(dir: &Path) -> Result<Self> {
        let openssl = |args: &str| Program::new("openssl").args(args.split(' ')).dir(dir).succeed();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"))?;
        openssl(&format!("req {key} -keyout key.pem -out leaf.csr -subj /CN=localhost"))?;
        fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n")?;
        openssl(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 2 -out cert.pem",
        )?;
        Ok(Self {
            authority: dir.join("ca.pem"),
            certificate: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        })
    }

    /// One certificate that signed itself, as people make them in a hurry.
    pub fn make_lone(dir: &Path) -> Result<Self> {
        let args =
            "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=lone -days 2 -addext";
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        Program::new("openssl").args(args.split(' ')).arg(names).dir(dir).succeed()?;
        let certificate = dir.join("cert.pem");
        Ok(Self { authority: certificate.clone(), certificate, key: dir.join("key.pem") })
    }
}

impl Registry {
    /// Starts an open registry that speaks plain HTTP.
    pub fn start() -> Result<Self> {
        Self::start_with(&Settings::default())
    }

    /// Starts a registry and waits until it listens.
    pub fn start_with(settings: &Settings) -> Result<Self> {
        // A free port may be taken by somebody else before the registry has it.
        for _ in 0..5 {
            let dir = tempfile::tempdir().context("directory of a registry")?;
            let port = free_port()?;
            let config = dir.path().join("config.yml");
            fs::write(&config, configuration(dir.path(), port, settings)?)?;
            let mut child = Command::new("docker-registry")
                .arg("serve")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .context("start docker-registry (Debian: docker-registry)")?;
            let listens = watch(&mut child)?;
            let registry = Self { child, port, dir };
            match listens.recv_timeout(READY) {
                Ok(()) => return Ok(registry),
                Err(_) => drop(registry),
            }
        }
        bail!("docker-registry does not come up")
    }

    /// Where it listens: `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The reference of an image in it.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Brings an image to it with skopeo, another implementation of the protocol. For a registry without TLS.
    pub fn fill(&self, archive: &Archive, name: &str) -> Result<()> {
        let path = self.dir.path().join("image.tar");
        archive.write(&path)?;
        let from = format!("oci-archive:{}", path.display());
        let to = format!("docker://{}", self.reference(name));
        let account = format!("{USERNAME}:{PASSWORD}");
        let copy =
            ["copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", &account, &from, &to];
        Program::new("skopeo").args(copy).succeed().map(drop)
    }

    /// The body of `GET <path>`, without credentials. For a registry without TLS.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address())?;
        let accept =
            "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        write!(stream, "GET {path} HTTP/1.0\r\nHost: registry\r\n{accept}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).context("an answer with a body")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Reads what the registry says, to its end; tells when it listens.
fn watch(child: &mut Child) -> Result<Receiver<()>> {
    let stderr = child.stderr.take().context("the registry's words")?;
    let (tell, listens) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("listening on") {
                let _ = tell.send(());
            }
        }
    });
    Ok(listens)
}

fn configuration(dir: &Path, port: u16, settings: &Settings) -> Result<String> {
    let mut text = format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\n  delete: {{enabled: true}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: tests\n",
        dir.join("data").display()
    );
    if let Some(Certificates { authority, certificate, key }) = &settings.tls {
        text += &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        if settings.wants_certificate {
            text += &format!("    clientcas: [{}]\n", authority.display());
        }
    }
    if settings.passwords {
        let path = dir.join("accounts");
        fs::write(&path, format!("{ACCOUNT}\n"))?;
        text += &format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", path.display());
    }
    if let Some((realm, bundle)) = &settings.tokens {
        text += &format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {}\n    issuer: {}\n    rootcertbundle: {}\n",
            realm::SERVICE,
            realm::ISSUER,
            bundle.display()
        );
    }
    Ok(text)
}
