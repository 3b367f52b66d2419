//! Connecting to a shim, and calling it.

use crate::bootstrap::Endpoint;
use crate::setup::Limits;
use bytes::Bytes;
use model::{Error, Kind, Namespace, Result, error::os_text};
use prost::Message;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::UnixStream;
use ttrpc::KeyValue;
use ttrpc::client::{Client, Invocation};
use wire::api::{task_v2, task_v3};

/// The longest path of a socket, bytes.
const PATH_BYTES: usize = 106;

/// A connection to a shim for one namespace.
#[derive(Debug)]
pub(crate) struct Channel {
    client: Client,
    metadata: Vec<KeyValue>,
    /// Whether the shim knows version 2 of the task API only. The messages are the same.
    old: AtomicBool,
}

/// What a call brings.
pub(crate) type Answer<T> = std::result::Result<T, Failure>;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is gone.
    Closed,
    /// The shim refused, or time ran out.
    Refused(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Error::unknown("ttrpc: closed"),
            Failure::Refused(error) => error,
        }
    }
}

/// Whether connecting failed because nobody listens. Everything else (no descriptor left, no memory, a full queue, no
/// time) says nothing of whoever may listen.
pub(crate) fn is_unheard(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    source.is_some_and(|e| matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
}

impl Channel {
    /// Connects within the limit.
    pub(crate) async fn connect(endpoint: &Endpoint, namespace: &Namespace, limits: &Limits) -> Result<Self> {
        if !endpoint.protocol.eq_ignore_ascii_case("ttrpc") {
            return Err(Error::not_implemented(format!("shim protocol {:?}", endpoint.protocol)));
        }
        let path = socket_path(&endpoint.address)?;
        let step = kernel::trace::begin();
        let socket = tokio::time::timeout(limits.dial, UnixStream::connect(&path)).await;
        step.end("daemon.connect", "");
        let socket = socket.map_err(|_| Error::deadline(format!("dial {:?}", endpoint.address)))?;
        let socket = socket.map_err(|e| {
            let text = format!("dial {:?}: {}", endpoint.address, os_text(&e));
            Error::unknown(text).with_source(e)
        })?;
        let metadata =
            vec![KeyValue { key: wire::headers::NAMESPACE_TTRPC.to_owned(), value: namespace.to_string() }];
        let old = AtomicBool::new(endpoint.version < 3);
        Ok(Self { client: Client::spawn(socket), metadata, old })
    }

    /// Waits until the connection is gone.
    pub(crate) async fn closed(&self) {
        self.client.closed().await;
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        *self.client.watch_closed().borrow()
    }

    /// Makes one call.
    pub(crate) async fn call<Q, A>(&self, call: Call<'_, Q>) -> Answer<A>
    where
        Q: Message,
        A: Message + Default,
    {
        let payload = Bytes::from(call.request.encode_to_vec());
        let first = self.send(&call, payload.clone()).await;
        let answer = match first {
            Err(Failure::Refused(e))
                if call.probes && e.kind() == Kind::NotImplemented && self.step_down() =>
            {
                self.send(&call, payload).await?
            }
            first => first?,
        };
        A::decode(answer).map_err(|e| {
            Failure::Refused(Error::internal(format!(
                "undecodable answer of the shim to {}: {e}",
                call.method
            )))
        })
    }

    /// Falls back to version 2; false when that was spoken already.
    fn step_down(&self) -> bool {
        !self.old.swap(true, Ordering::Relaxed)
    }

    async fn send<Q>(&self, call: &Call<'_, Q>, payload: Bytes) -> Answer<Bytes> {
        let service = match self.old.load(Ordering::Relaxed) {
            true => task_v2::task_methods::SERVICE,
            false => task_v3::task_methods::SERVICE,
        };
        let invocation = Invocation {
            service: service.to_owned(),
            method: call.method.to_owned(),
            payload,
            metadata: self.metadata.clone(),
            timeout: call.limit,
        };
        let step = kernel::trace::begin();
        let answer = self.client.call(invocation).await;
        step.end("daemon.call", call.method);
        answer.map_err(|e| match e {
            ttrpc::client::Error::Closed => Failure::Closed,
            ttrpc::client::Error::Deadline => {
                Failure::Refused(Error::deadline(format!("shim: {}", call.method)))
            }
            ttrpc::client::Error::Status(status) => Failure::Refused(wire::status::from_ttrpc(&status)),
        })
    }
}

/// One call of a shim.
pub(crate) struct Call<'a, Q> {
    /// The method, as `task_methods` names it.
    pub(crate) method: &'static str,
    pub(crate) request: &'a Q,
    /// How long to wait; `None` is for ever.
    pub(crate) limit: Option<Duration>,
    /// Whether this is a first call, by which the version of the API is found out.
    pub(crate) probes: bool,
}

/// The path in a socket's address; without a scheme it is an abstract one.
fn socket_path(address: &str) -> Result<PathBuf> {
    let path = match address.split_once("://") {
        Some(("unix", path)) => OsString::from(path),
        Some((scheme, _)) => return Err(Error::not_implemented(format!("shim address scheme {scheme:?}"))),
        None => {
            let mut name = vec![0];
            name.extend_from_slice(address.as_bytes());
            OsString::from_vec(name)
        }
    };
    if path.len() > PATH_BYTES {
        return Err(Error::invalid(format!("unix socket path too long (> {PATH_BYTES}): {address:?}")));
    }
    Ok(Path::new(&path).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(socket_path("unix:///run/s").expect("path"), Path::new("/run/s"));
        assert_eq!(socket_path("/containerd-shim/a").expect("abstract"), Path::new("\0/containerd-shim/a"));
        for (address, text) in [
            ("vsock://3:1024", "shim address scheme \"vsock\": not implemented"),
            ("hvsock:///p:1", "shim address scheme \"hvsock\": not implemented"),
        ] {
            assert_eq!(socket_path(address).expect_err(address).text(), text);
        }
    }

    #[tokio::test]
    async fn nobody_listens_or_nobody_knows() {
        let dir = tempfile::tempdir().expect("dir");
        drop(std::os::unix::net::UnixListener::bind(dir.path().join("left")).expect("bind"));
        std::fs::write(dir.path().join("file"), "").expect("write");
        let namespace = Namespace::new("n").expect("namespace");
        for (name, unheard) in [("none", true), ("left", true), ("file/below", false), ("", false)] {
            let address = format!("unix://{}", dir.path().join(name).display());
            let address = if name.is_empty() { "vsock://3:1".to_owned() } else { address };
            let endpoint = Endpoint { version: 3, address, protocol: "ttrpc".to_owned() };
            let error = Channel::connect(&endpoint, &namespace, &Limits::default()).await.expect_err(name);
            assert_eq!(is_unheard(&error), unheard, "{error}");
        }
    }

    #[tokio::test]
    async fn connects_to_abstract_sockets() {
        let name = format!("gantry-shims-test-{}", std::process::id());
        let address =
            <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name);
        let listener = std::os::unix::net::UnixListener::bind_addr(&address.expect("name")).expect("bind");
        let endpoint = Endpoint { version: 2, address: name, protocol: "ttrpc".to_owned() };
        let namespace = Namespace::new("n").expect("namespace");
        let channel = Channel::connect(&endpoint, &namespace, &Limits::default()).await.expect("connect");
        drop(listener.accept().expect("accept"));
        channel.closed().await;
    }
}
