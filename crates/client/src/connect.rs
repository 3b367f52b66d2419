//! The connection: a unix socket, and what is said when there is nobody behind it.

use hyper_util::rt::TokioIo;
use model::{Error, Kind, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tower::service_fn;

/// The largest message in either direction, in bytes.
pub const MESSAGE_LIMIT: usize = 16 << 20;
/// How much of one stream and of all streams the daemon may send ahead, in bytes.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);

/// A connection to a daemon; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects to a daemon's socket.
    ///
    /// # Errors
    /// `Unavailable` naming the socket and what to do; `DeadlineExceeded` when nobody answers within
    /// `connect_timeout`.
    pub async fn connect(socket: &Path, connect_timeout: Duration) -> Result<Self> {
        let shown = socket.display();
        let path: Arc<Path> = socket.into();
        // A unix socket has no authority; the URI is never looked at.
        let endpoint = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1);
        let connector = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        match tokio::time::timeout(connect_timeout, endpoint.connect_with_connector(connector)).await {
            Ok(Ok(channel)) => Ok(Self { channel }),
            Ok(Err(e)) => {
                let text = format!("cannot access socket {shown}: {}; {}", root_cause(&e), advice(&e));
                Err(Error::new(Kind::Unavailable, text).with_source(e))
            }
            Err(_) => {
                let seconds = connect_timeout.as_secs_f64();
                Err(Error::deadline(format!("cannot access socket {shown}: no answer within {seconds} s")))
            }
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// What to do about a connection that could not be made.
fn advice(error: &tonic::transport::Error) -> &'static str {
    match io_kind(error) {
        Some(std::io::ErrorKind::NotFound) => "is the daemon running, and is this its --address?",
        Some(std::io::ErrorKind::ConnectionRefused) => "the daemon that made it is gone: start it again",
        Some(std::io::ErrorKind::PermissionDenied) => "become root, or ask for the socket's group",
        _ => "is this a daemon's socket?",
    }
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    chain(error).find_map(|e| e.downcast_ref::<std::io::Error>()).map(std::io::Error::kind)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |e| e.source())
}

/// The innermost text of an error.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    match chain(error).find_map(|e| e.downcast_ref::<std::io::Error>()) {
        Some(io) => model::error::os_text(io),
        None => chain(error).last().unwrap_or(error).to_string(),
    }
}

/// A call's answer, or its refusal as the house's error.
pub fn answer<T>(answer: std::result::Result<Response<T>, Status>) -> Result<T> {
    answer.map(Response::into_inner).map_err(refusal)
}

/// A refusal as the house's error. A connection that broke is told as one, with its cause.
pub fn refusal(status: Status) -> Error {
    let broken = std::error::Error::source(&status).map(root_cause);
    let error = wire::status::from_grpc(status);
    match broken {
        Some(cause) => Error::new(Kind::Unavailable, format!("connection to the daemon lost: {cause}"))
            .with_source(error),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_named_with_what_to_do() {
        let dir = std::env::temp_dir().join(format!("gantry-connect-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        let (absent, deserted, file) = (dir.join("absent"), dir.join("deserted"), dir.join("file"));
        drop(std::os::unix::net::UnixListener::bind(&deserted).expect("bind"));
        std::fs::write(&file, "").expect("write");
        let silent = dir.join("silent");
        let _listener = std::os::unix::net::UnixListener::bind(&silent).expect("bind");
        for (socket, words) in [
            (&absent, "no such file or directory; is the daemon running"),
            (&deserted, "connection refused; the daemon that made it is gone"),
            (&file, "connection refused"),
        ] {
            let error = Client::connect(socket, Duration::from_secs(10)).await.expect_err("nobody");
            assert_eq!(error.kind(), Kind::Unavailable);
            let text = error.text();
            assert!(text.starts_with(&format!("cannot access socket {}: ", socket.display())), "{text}");
            assert!(text.contains(words), "{text}");
        }
        std::fs::remove_dir_all(&dir).expect("remove");
    }
}
