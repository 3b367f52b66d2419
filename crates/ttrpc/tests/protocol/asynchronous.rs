//! The asynchronous client and server.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot};
use ttrpc::client::{Client, Error, Invocation, Streaming};
use ttrpc::message::KeyValue;
use ttrpc::server::Server;
use ttrpc::{Bytes, Call, Code, MESSAGE_LIMIT, Status};

use crate::invocation;

const SERVICE: &str = "test.Echo";

fn echo_server(gate: Arc<Notify>) -> Server {
    Server::default()
        .unary(SERVICE, "echo", |call: Call| async move { Ok(call.payload) })
        .unary(SERVICE, "who", |call: Call| async move {
            Ok(Bytes::from(call.metadata_value("containerd-namespace-ttrpc").unwrap_or("").to_owned()))
        })
        .unary(SERVICE, "fail", |_| async { Err(Status::new(Code::NotFound, "gone")) })
        .unary(SERVICE, "panic", |_| async { panic!("on purpose") })
        .unary(SERVICE, "hang", |_| std::future::pending())
        .unary(SERVICE, "gate", move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Ok(Bytes::from_static(b"open"))
            }
        })
        .stream(SERVICE, "count", |call, stream| async move {
            for i in 0..call.payload.len() {
                stream.send(Bytes::from(vec![i as u8; 1000])).await?;
            }
            Ok(None)
        })
        .stream(SERVICE, "sum", |_, mut stream| async move {
            let mut sum = 0;
            while let Some(body) = stream.receive().await {
                sum += body.len();
            }
            Ok(Some(Bytes::from(sum.to_string())))
        })
        .stream(SERVICE, "both", |_, mut stream| async move {
            while let Some(body) = stream.receive().await {
                stream.send(body).await?;
            }
            Err(Status::new(Code::Aborted, "enough"))
        })
}

struct Bench {
    dir: tempfile::TempDir,
    gate: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Bench {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let listener = UnixListener::bind(dir.path().join("s")).expect("bind");
        let (stop, stopped) = oneshot::channel();
        let gate = Arc::new(Notify::new());
        let server = echo_server(Arc::clone(&gate));
        let served = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
        Self { dir, gate, stop: Some(stop), served }
    }

    async fn client(&self) -> Client {
        Client::connect(self.dir.path().join("s")).await.expect("connect")
    }
}

fn code(result: Result<Bytes, Error>) -> Code {
    match result {
        Err(Error::Status(status)) => status.code(),
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn unary_calls() {
    let bench = Bench::start();
    let client = bench.client().await;
    assert_eq!(client.call(invocation("echo", "x")).await.expect("echo"), "x");
    let big = Bytes::from(vec![3; 3 << 20]);
    assert_eq!(client.call(invocation("echo", big.clone())).await.expect("echo"), big);
    let pair = KeyValue { key: "containerd-namespace-ttrpc".into(), value: "k8s.io".into() };
    let who = Invocation { metadata: vec![pair], ..invocation("who", "") };
    assert_eq!(client.call(who).await.expect("who"), "k8s.io");
    assert_eq!(code(client.call(invocation("fail", "")).await), Code::NotFound);
    assert_eq!(code(client.call(invocation("panic", "")).await), Code::Internal);
    assert_eq!(code(client.call(invocation("absent", "")).await), Code::Unimplemented);
    let absent = Invocation { service: "absent".into(), ..invocation("echo", "") };
    assert_eq!(code(client.call(absent).await), Code::Unimplemented);
    assert_eq!(code(client.call(invocation("echo", vec![0; MESSAGE_LIMIT])).await), Code::ResourceExhausted);
    assert_eq!(client.call(invocation("echo", "still")).await.expect("echo"), "still");
}

#[tokio::test]
async fn many_calls_at_once_and_a_slow_one_among_them() {
    let bench = Bench::start();
    let client = bench.client().await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call(invocation("gate", "")).await }
    });
    let mut calls = tokio::task::JoinSet::new();
    for i in 0..500_u32 {
        let client = client.clone();
        calls.spawn(async move {
            let payload = i.to_be_bytes().to_vec();
            assert_eq!(client.call(invocation("echo", payload.clone())).await.expect("echo"), payload);
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("call");
    }
    bench.gate.notify_one();
    assert_eq!(slow.await.expect("join").expect("gate"), "open");
}

#[tokio::test]
async fn deadlines_and_dropped_calls_leave_the_connection_usable() {
    let bench = Bench::start();
    let client = bench.client().await;
    let hang = Invocation { timeout: Some(Duration::from_millis(20)), ..invocation("hang", "") };
    assert!(matches!(client.call(hang).await, Err(Error::Deadline)));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), client.call(invocation("hang", ""))).await.is_err()
    );
    assert_eq!(client.call(invocation("echo", "x")).await.expect("echo"), "x");
}

/// The server keeps the deadline by itself; seen through a raw socket since our client would give up first.
#[tokio::test]
async fn server_answers_at_the_deadline() {
    let bench = Bench::start();
    let mut socket = UnixStream::connect(bench.dir.path().join("s")).await.expect("connect");
    let request = ttrpc::Request {
        service: SERVICE.into(),
        method: "hang".into(),
        timeout_nano: 1_000_000,
        ..Default::default()
    };
    let mut wire = Vec::new();
    request.frame(1, 0).expect("frame").encode(&mut wire);
    socket.write_all(&wire).await.expect("write");
    let mut header = [0; 10];
    socket.read_exact(&mut header).await.expect("header");
    let mut body = vec![0; ttrpc::frame::Header::decode(header).length as usize];
    socket.read_exact(&mut body).await.expect("body");
    let status = ttrpc::Response::parse(body.into()).expect_err("refusal");
    assert_eq!(status, Status::new(Code::DeadlineExceeded, "context deadline exceeded"));
}

#[tokio::test]
async fn streams() {
    let bench = Bench::start();
    let client = bench.client().await;
    let mut count =
        client.stream(invocation("count", vec![0; 200]), Streaming::FromServer).await.expect("open");
    // A slow reader: the other call is sent while 200 messages press on a queue of 64.
    let echo = tokio::spawn({
        let client = client.clone();
        async move { client.call(invocation("echo", "x")).await }
    });
    for i in 0..200 {
        assert_eq!(count.receive().await.expect("message").expect("data")[..2], [i as u8; 2]);
    }
    assert_eq!(count.receive().await.expect("end"), None);
    assert_eq!(echo.await.expect("join").expect("echo"), "x");

    let mut sum = client.stream(invocation("sum", ""), Streaming::FromClient).await.expect("open");
    for _ in 0..300 {
        sum.send(Bytes::from_static(b"ab")).await.expect("send");
    }
    assert_eq!(sum.finish().await.expect("sum"), "600");

    let mut both = client.stream(invocation("both", ""), Streaming::Both).await.expect("open");
    both.send(Bytes::from_static(b"1")).await.expect("send");
    assert_eq!(both.receive().await.expect("message"), Some(Bytes::from_static(b"1")));
    both.close_send().await.expect("close");
    assert!(matches!(both.receive().await, Err(Error::Status(s)) if s.code() == Code::Aborted));
}

#[tokio::test]
async fn loss_is_noticed() {
    let (ours, theirs) = UnixStream::pair().expect("pair");
    let client = Client::spawn(ours);
    let closed = client.clone();
    let watch = tokio::spawn(async move { closed.closed().await });
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(invocation("echo", "")).await }
    });
    theirs.readable().await.expect("request");
    drop(theirs);
    assert!(matches!(call.await.expect("join"), Err(Error::Closed)));
    watch.await.expect("join");
    assert!(matches!(client.call(invocation("echo", "")).await, Err(Error::Closed)));
}

#[tokio::test]
async fn stop_lets_calls_finish() {
    let mut bench = Bench::start();
    let client = bench.client().await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call(invocation("gate", "")).await }
    });
    assert_eq!(client.call(invocation("echo", "x")).await.expect("echo"), "x");
    bench.stop.take().expect("once").send(()).expect("stop");
    bench.gate.notify_one();
    assert_eq!(slow.await.expect("join").expect("gate"), "open");
    bench.served.await.expect("join").expect("serve");
    client.closed().await;
}

#[tokio::test]
async fn garbage_ends_the_connection_only() {
    let bench = Bench::start();
    let mut socket = UnixStream::connect(bench.dir.path().join("s")).await.expect("connect");
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
    assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert_eq!(bench.client().await.call(invocation("echo", "x")).await.expect("echo"), "x");
}
