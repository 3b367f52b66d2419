//! The synchronous server and client, driven by hand.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ttrpc::client_sync::{Answer, Client};
use ttrpc::frame::{Header, kind};
use ttrpc::server_sync::{Connection, accept};
use ttrpc::{Bytes, Call, Code, MESSAGE_LIMIT, Request, Status};

use crate::pair;

fn wait(fd: &impl std::os::fd::AsFd, flags: PollFlags) {
    let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(fd, flags)], Some(&limit)).expect("poll");
    assert_eq!(ready, 1, "nothing came in five seconds");
}

fn calls(connection: &mut Connection) -> Vec<Call> {
    wait(connection, PollFlags::IN);
    connection.read_ready().expect("read")
}

fn answers(client: &mut Client) -> Vec<Answer> {
    wait(client, PollFlags::IN);
    client.read_ready().expect("read")
}

fn request(payload: Vec<u8>) -> Request {
    Request { service: "s".into(), method: "m".into(), payload: payload.into(), ..Default::default() }
}

#[test]
fn answers_in_any_order() {
    let (a, b) = pair();
    let (mut client, mut connection) = (Client::new(a), Connection::new(b).expect("connection"));
    let ids = [0, 1, 2].map(|i| client.send(&request(vec![i])).expect("send").expect("size"));
    assert_eq!(ids, [1, 3, 5]);
    let calls = calls(&mut connection);
    assert_eq!(calls.iter().map(|c| c.payload[0]).collect::<Vec<_>>(), [0, 1, 2]);
    for call in calls.iter().rev() {
        connection.respond(call.stream_id, Ok(call.payload.clone())).expect("respond");
    }
    let answers = answers(&mut client);
    assert_eq!(answers.iter().map(|a| a.stream_id).collect::<Vec<_>>(), [5, 3, 1]);
    assert_eq!(answers[0].result, Ok(Bytes::from_static(&[2])));
}

#[test]
fn oversized_request_is_refused_and_the_connection_lives() {
    let (mut a, b) = pair();
    let mut connection = Connection::new(b).expect("connection");
    let length = MESSAGE_LIMIT as u32 + 1;
    let header = Header { length, stream_id: 1, kind: kind::REQUEST, flags: 0 };
    a.write_all(&header.encode()).expect("header");
    let mut left = length as usize;
    while left > 0 {
        match a.write(&vec![0; left.min(64 << 10)]) {
            Ok(n) => left -= n,
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(connection.read_ready().expect("read").is_empty());
    }
    let mut client = Client::new(a);
    let refusal = answers(&mut client).remove(0);
    assert_eq!(
        (refusal.stream_id, refusal.result.expect_err("refusal").code()),
        (1, Code::ResourceExhausted)
    );
    // The client's first number is used up by hand above.
    client.send(&request(vec![])).expect("send").expect("size");
    client.send(&request(vec![7])).expect("send").expect("size");
    assert_eq!(calls(&mut connection).pop().expect("call").payload[..], [7]);
    assert_eq!(
        client.send(&request(vec![0; MESSAGE_LIMIT])).expect("io").expect_err("size").code(),
        Code::ResourceExhausted
    );
}

#[test]
fn wrong_stream_numbers_and_streams_are_refused() {
    let cases = [
        (2, kind::REQUEST, 0, Code::InvalidArgument),
        (0, kind::REQUEST, 0, Code::InvalidArgument),
        (9, kind::DATA, 0, Code::InvalidArgument),
        (1, kind::REQUEST, ttrpc::frame::flags::REMOTE_OPEN, Code::Unimplemented),
    ];
    for (stream_id, kind, flags, code) in cases {
        let (mut a, b) = pair();
        let mut connection = Connection::new(b).expect("connection");
        a.write_all(&Header { length: 0, stream_id, kind, flags }.encode()).expect("write");
        assert!(connection.read_ready().expect("read").is_empty());
        let answer = answers(&mut Client::new(a)).remove(0);
        assert_eq!((answer.stream_id, answer.result.map_err(|s| s.code())), (stream_id, Err(code)));
    }
    let (mut a, b) = pair();
    let mut connection = Connection::new(b).expect("connection");
    for stream_id in [5, 5, 3] {
        a.write_all(&Header { length: 0, stream_id, kind: kind::REQUEST, flags: 0 }.encode()).expect("write");
    }
    a.write_all(&Header { length: 0, stream_id: 7, kind: 77, flags: 0 }.encode()).expect("write");
    assert_eq!(connection.read_ready().expect("read").len(), 1);
    assert_eq!(answers(&mut Client::new(a)).len(), 2);
}

#[test]
fn garbage_and_the_end_close_the_connection() {
    let (mut a, b) = pair();
    let mut connection = Connection::new(b).expect("connection");
    a.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert!(connection.read_ready().is_err());
    let (mut a, b) = pair();
    let mut connection = Connection::new(b).expect("connection");
    a.write_all(&[0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0xff, 0xff, 0xff]).expect("write");
    assert!(connection.read_ready().expect("read").is_empty());
    assert!(a.read(&mut [0; 256]).expect("refusal") > 10);
    drop(a);
    assert!(connection.read_ready().expect("read").is_empty());
    assert!(connection.is_ended());
}

#[test]
fn a_peer_that_does_not_read_holds_up_only_itself() {
    let (a, b) = pair();
    let (mut client, mut connection) = (Client::new(a), Connection::new(b).expect("connection"));
    let mut sent = 0;
    while connection.wants_read() {
        client.send(&request(vec![])).expect("send").expect("size");
        for call in calls(&mut connection) {
            connection.respond(call.stream_id, Ok(vec![0; 1 << 20].into())).expect("respond");
            sent += 1;
        }
    }
    assert!(connection.wants_write());
    let mut seen = 0;
    while seen < sent {
        seen += answers(&mut client).len();
        connection.write_ready().expect("write");
    }
    assert!(connection.wants_read() && !connection.wants_write());
}

#[test]
fn listener_and_connect_by_path() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    assert!(accept(&listener).expect("accept").is_none());
    let mut client = Client::connect(&path).expect("connect");
    let mut connection = accept(&listener).expect("accept").expect("connection");
    client.send(&request(vec![1])).expect("send").expect("size");
    let call = calls(&mut connection).remove(0);
    connection.respond(call.stream_id, Err(Status::new(Code::NotFound, "gone"))).expect("respond");
    assert_eq!(answers(&mut client).remove(0).result, Err(Status::new(Code::NotFound, "gone")));
    drop((listener, connection));
    assert!(Client::connect(&path).is_err());
    assert!(UnixStream::connect(&path).is_err());
}
