//! A server that has no descriptor left for a connection. A program of its own: the limit is the whole process'.

use std::fs::File;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::timeout;
use ttrpc::Call;
use ttrpc::client::{Client, Invocation};
use ttrpc::server::Server;

#[tokio::test]
async fn connections_wait_for_a_descriptor() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("s");
    let server = Server::default().unary("test.Echo", "echo", |call: Call| async move { Ok(call.payload) });
    let listener = UnixListener::bind(&path).expect("bind");
    let served = tokio::spawn(server.serve(listener, std::future::pending()));
    let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("limit");
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.pop();
    let client =
        timeout(Duration::from_secs(5), Client::connect(&path)).await.expect("time").expect("connect");
    let invocation = Invocation {
        service: "test.Echo".into(),
        method: "echo".into(),
        payload: "x".into(),
        ..Default::default()
    };
    let mut call = std::pin::pin!(client.call(invocation));
    assert!(timeout(Duration::from_millis(300), &mut call).await.is_err(), "there is no descriptor for it");
    assert!(!served.is_finished(), "the server has given up");
    drop(files);
    assert_eq!(timeout(Duration::from_secs(5), call).await.expect("time").expect("answer"), "x");
}
