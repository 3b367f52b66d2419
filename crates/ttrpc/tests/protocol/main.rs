//! Both halves of the protocol against each other, over real sockets.

mod asynchronous;
mod synchronous;

use std::os::unix::net::UnixStream;

use ttrpc::Bytes;
use ttrpc::client::Invocation;

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().expect("socketpair");
    a.set_nonblocking(true).expect("nonblocking");
    b.set_nonblocking(true).expect("nonblocking");
    (a, b)
}

fn invocation(method: &str, payload: impl Into<Bytes>) -> Invocation {
    Invocation {
        service: "test.Echo".into(),
        method: method.into(),
        payload: payload.into(),
        ..Default::default()
    }
}
