//! Connections to one host: dialled, proxied, encrypted and kept for the next request, each step under a deadline.

use crate::hosts::{Host, Protocol, Tls};
use crate::payload::{Outgoing, Payload};
use crate::tls;
use crate::url::same_origin;
use http::{HeaderMap, Method, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower_service::Service;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an answer's header may take once the request is sent.
const HEADER: Duration = Duration::from_secs(30);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many idle connections are kept.
const IDLE_CONNECTIONS: usize = 10;
/// The longest answer of a proxy, in bytes.
const PROXY_ANSWER: usize = 8 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Pooled = Client<Timed, Outgoing>;

/// The way to a host.
pub struct Transport {
    plain: Pooled,
    secure: OnceCell<Pooled>,
    tls: Tls,
    dial: Duration,
    /// Set once a host that may speak either turned out to speak no TLS.
    fell_back: AtomicBool,
    protocol: Protocol,
    has_port: bool,
    proxies: Arc<Matcher>,
}

/// What became of a request that got no answer.
#[derive(Debug)]
pub struct Broken {
    /// Why, in the words clients know.
    pub text: String,
    /// Whether the same request may well succeed at once.
    pub transient: bool,
    kind: Cause,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Nobody listens.
    Refused,
    /// Time ran out.
    Timeout,
    /// The peer answered TLS with something else.
    NotTls,
    /// Anything else.
    Other,
}

impl From<Broken> for model::Error {
    fn from(broken: Broken) -> Self {
        let error = model::Error::unknown(broken.text);
        match broken.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl Transport {
    /// A way to a host; nothing is dialled yet.
    pub fn new(host: &Host) -> Self {
        let proxies = Arc::new(Matcher::from_env());
        let nobody = rustls::RootCertStore::empty();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has every protocol version")
            .with_root_certificates(nobody)
            .with_no_client_auth();
        Self {
            plain: pool(config, host.dial, proxies.clone()),
            secure: OnceCell::new(),
            tls: host.tls.clone(),
            dial: host.dial,
            fell_back: AtomicBool::new(false),
            protocol: host.protocol,
            has_port: host.has_port(),
            proxies,
        }
    }

    /// Whether the host is spoken to through TLS.
    pub fn is_secure(&self) -> bool {
        match self.protocol {
            Protocol::Https => true,
            Protocol::Http => false,
            Protocol::Either => !self.fell_back.load(Ordering::Relaxed),
        }
    }

    /// Notes that the host speaks no TLS, if that is what `broken` tells of a request to `uri` and the configuration
    /// allows for it.
    pub fn fall_back(&self, uri: &Uri, broken: &Broken) -> bool {
        let unheard = matches!(broken.kind, Cause::Refused | Cause::Timeout) && !self.has_port;
        let tried = self.protocol == Protocol::Either && uri.scheme_str() == Some("https");
        let falls = tried && (broken.kind == Cause::NotTls || unheard);
        if falls {
            self.fell_back.store(true, Ordering::Relaxed);
        }
        falls
    }

    /// Sends a request and waits for the header of its answer.
    ///
    /// # Errors
    /// There is none: the host cannot be reached, or is silent for too long.
    pub async fn send(
        &self,
        (method, uri): (&Method, &Uri),
        headers: &HeaderMap,
        payload: &Payload,
    ) -> Result<Response<Incoming>, Broken> {
        let client = if uri.scheme_str() == Some("http") { &self.plain } else { self.secure().await? };
        let mut request = http::Request::new(payload.body());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let answer = client.request(request);
        tokio::pin!(answer);
        let mut seen = 0;
        loop {
            match timeout(self.dial + HANDSHAKE + HEADER, &mut answer).await {
                Ok(answer) => return answer.map_err(|e| broken(uri, e)),
                // A payload that still moves is no silence.
                Err(_) if payload.sent() > seen => seen = payload.sent(),
                Err(_) => {
                    return Err(Broken {
                        text: "net/http: timeout awaiting response headers".into(),
                        transient: true,
                        kind: Cause::Timeout,
                        source: None,
                    });
                }
            }
        }
    }

    async fn secure(&self) -> Result<&Pooled, Broken> {
        let build = async {
            let settings = self.tls.clone();
            // Reads the system's certificates.
            let config = tokio::task::spawn_blocking(move || tls::config(&settings)).await;
            let failed = |text: String| Broken { text, transient: false, kind: Cause::Other, source: None };
            let config = config.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
            Ok(pool(config, self.dial, self.proxies.clone()))
        };
        self.secure.get_or_try_init(|| build).await
    }
}

/// Whether two URLs lead to the same host.
pub fn stays(from: &Uri, to: &Uri) -> bool {
    same_origin(from, to)
}

fn pool(config: rustls::ClientConfig, dial: Duration, proxies: Arc<Matcher>) -> Pooled {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(IDLE));
    http.set_connect_timeout(Some(dial));
    let tls = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
    let connector = Timed { inner: tls.wrap_connector(Dial { http, proxies }), limit: dial + HANDSHAKE };
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(connector)
}

/// Connects within a limit.
#[derive(Clone)]
struct Timed {
    inner: HttpsConnector<Dial>,
    limit: Duration,
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Service<Uri> for Timed {
    type Response = MaybeHttpsStream<Dialled>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(uri), self.limit);
        Box::pin(async move {
            timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

/// Dials the host, or the proxy that the environment names for it.
#[derive(Clone)]
struct Dial {
    http: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Dial {
    type Response = Dialled;
    type Error = BoxError;
    type Future = Connecting<Dialled>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = if is_here(&uri) { None } else { self.proxies.intercept(&uri) };
        let target = proxy.as_ref().map_or_else(|| uri.clone(), |proxy| proxy.uri().clone());
        let connecting = self.http.call(target);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            match proxy {
                None => Ok(Dialled { stream: TokioIo::new(stream), proxied: false }),
                Some(proxy) if proxy.uri().scheme_str() != Some("http") => {
                    Err(format!("proxy {}: only http proxies are supported", proxy.uri()).into())
                }
                Some(_) if uri.scheme_str() == Some("http") => {
                    Ok(Dialled { stream: TokioIo::new(stream), proxied: true })
                }
                Some(proxy) => {
                    let stream = tunnel(stream, &uri, &proxy).await?;
                    Ok(Dialled { stream: TokioIo::new(stream), proxied: false })
                }
            }
        })
    }
}

/// The machine itself is never reached through a proxy.
fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Asks a proxy for a way through to an encrypted host.
async fn tunnel(mut stream: TcpStream, uri: &Uri, proxy: &Intercept) -> Result<TcpStream, BoxError> {
    let host = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
    let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    if let Some(authorization) = proxy.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER {
            return Err(format!("proxy {}: its answer is too long", proxy.uri()).into());
        }
        // Byte by byte: what follows belongs to the host.
        answer.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    match line.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(stream),
        _ => Err(format!("proxy {}: CONNECT {host}: {line}", proxy.uri()).into()),
    }
}

/// A connection before TLS.
struct Dialled {
    stream: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxied)
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }
}

/// Why a request got no answer, in the words clients know.
fn broken(uri: &Uri, error: hyper_util::client::legacy::Error) -> Broken {
    let host = uri.authority().map_or("", |a| a.as_str());
    let (mut kind, mut transient, mut text) = (Cause::Other, !error.is_connect(), String::new());
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = next {
        text = current.to_string();
        if let Some(own) = current.downcast_ref::<model::Error>() {
            // Our side of the payload failed; no retry helps.
            (transient, text) = (false, own.to_string());
            break;
        }
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            (kind, text) = tls_words(tls);
            break;
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => {
                    kind = Cause::Refused;
                    text = format!("dial tcp {host}: connect: connection refused");
                    break;
                }
                io::ErrorKind::TimedOut => {
                    (kind, transient) = (Cause::Timeout, true);
                    text = format!("dial tcp {host}: i/o timeout");
                    break;
                }
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => transient = true,
                _ => {}
            }
        }
        next = behind(current);
    }
    if error.is_connect() && kind == Cause::Other && !text.starts_with("tls: ") {
        text = format!("dial tcp {host}: {text}");
    }
    Broken { text, transient, kind, source: Some(Box::new(error)) }
}

/// What is behind an error. What an I/O error wraps is not its source but its inside.
fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn tls_words(error: &rustls::Error) -> (Cause, String) {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        rustls::Error::InvalidMessage(_) => {
            (Cause::NotTls, "http: server gave HTTP response to HTTPS client".to_owned())
        }
        rustls::Error::InvalidCertificate(UnknownIssuer) => (
            Cause::Other,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned(),
        ),
        rustls::Error::InvalidCertificate(why @ (NotValidForName | NotValidForNameContext { .. })) => (
            Cause::Other,
            format!("tls: failed to verify certificate: x509: certificate is valid for other names: {why}"),
        ),
        rustls::Error::InvalidCertificate(why) => {
            (Cause::Other, format!("tls: failed to verify certificate: x509: {why}"))
        }
        other => (Cause::Other, format!("tls: {other}")),
    }
}
