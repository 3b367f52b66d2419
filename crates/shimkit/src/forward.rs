//! Sends events to the daemon: one queue, one event under way, in order.
//!
//! An event the daemon refuses or does not answer in time is sent again, up to five times after one to five seconds,
//! then given up. While there is no connection events wait; the queue holds the newest 2048. A connection that is lost
//! is made again at once, and after a pause when the next one is lost too.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ttrpc::Request;
use ttrpc::client_sync::Client;

use crate::log;

/// Events that wait at most.
const QUEUE: usize = 2048;

/// How often one event is sent again.
const RETRIES: u32 = 5;

/// How long the daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";

/// What happens to the event at the head of the queue.
#[derive(Debug)]
enum Phase {
    /// Nothing yet.
    Idle,
    /// It was sent; the answer is due.
    Sent { stream_id: u32, until: Instant },
    /// It is sent again later.
    Pausing { until: Instant },
}

/// What the loop has to know of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which connection; a new one may have the old one's descriptor number.
    pub number: u32,
    /// Whether there is something to be written.
    pub write: bool,
}

/// The queue and its connection.
#[derive(Debug)]
pub struct Forwarder {
    address: Option<PathBuf>,
    client: Option<Client>,
    queue: VecDeque<Bytes>,
    phase: Phase,
    /// Times the event at the head was refused.
    refusals: u32,
    /// Failed attempts to connect in a row.
    failures: u32,
    /// Connections lost since an event was taken.
    losses: u32,
    /// Connections made so far.
    connections: u32,
}

impl Forwarder {
    /// Forwards to a socket's path; an empty one discards all events.
    pub fn new(address: &str) -> Self {
        let address = address.strip_prefix("unix://").unwrap_or(address);
        Self {
            address: (!address.is_empty()).then(|| address.into()),
            client: None,
            queue: VecDeque::new(),
            phase: Phase::Idle,
            refusals: 0,
            failures: 0,
            losses: 0,
            connections: 0,
        }
    }

    /// Adds an encoded `ForwardRequest`. The oldest waiting one is dropped when there are too many.
    pub fn push(&mut self, payload: Bytes) {
        if self.address.is_none() {
            return;
        }
        if self.queue.len() >= QUEUE {
            log::warn("too many events wait for the daemon; the oldest is dropped");
            self.queue.pop_front();
            self.refusals = 0;
            if matches!(self.phase, Phase::Sent { .. }) {
                self.phase = Phase::Idle;
            }
        }
        self.queue.push_back(payload);
    }

    /// Whether all events have been taken.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When [`Forwarder::step`] is to be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Sent { until, .. } | Phase::Pausing { until } => Some(until),
            Phase::Idle => None,
        }
    }

    /// The connection to watch, if there is one.
    pub fn connection(&self) -> Option<(BorrowedFd<'_>, Link)> {
        use std::os::fd::AsFd;
        let client = self.client.as_ref()?;
        Some((client.as_fd(), Link { number: self.connections, write: client.wants_write() }))
    }

    /// Does what can be done now: reads answers, sends the next event, notices that time is over.
    pub fn step(&mut self, now: Instant) {
        self.read_answers(now);
        match self.phase {
            Phase::Sent { until, .. } if now >= until => self.refused(now, "no answer in five seconds"),
            Phase::Pausing { until } if now >= until => self.phase = Phase::Idle,
            _ => {}
        }
        while matches!(self.phase, Phase::Idle) && !self.queue.is_empty() {
            self.send(now);
            self.read_answers(now);
        }
    }

    fn read_answers(&mut self, now: Instant) {
        let Some(client) = &mut self.client else { return };
        let read = client.write_ready().and_then(|()| client.read_ready());
        let answers = match read {
            Ok(answers) => answers,
            Err(_) => return self.lost(now),
        };
        for answer in answers {
            match (&self.phase, answer.result) {
                (Phase::Sent { stream_id, .. }, Ok(_)) if *stream_id == answer.stream_id => self.taken(),
                (Phase::Sent { stream_id, .. }, Err(status)) if *stream_id == answer.stream_id => {
                    self.refused(now, &status.message);
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, now: Instant) {
        let Some(payload) = self.queue.front().cloned() else { return };
        let Some(client) = self.connect(now) else { return };
        let timeout_nano = i64::try_from(ANSWER.as_nanos()).unwrap_or(i64::MAX);
        let request = Request {
            service: SERVICE.to_owned(),
            method: "Forward".to_owned(),
            payload,
            timeout_nano,
            metadata: Vec::new(),
        };
        match client.send(&request) {
            Ok(Ok(stream_id)) => self.phase = Phase::Sent { stream_id, until: now + ANSWER },
            Ok(Err(status)) => {
                log::warn(&format!("an event cannot be sent: {status}"));
                self.taken();
            }
            Err(_) => self.lost(now),
        }
    }

    fn connect(&mut self, now: Instant) -> Option<&mut Client> {
        if self.client.is_none() {
            match Client::connect(self.address.as_ref()?) {
                Ok(client) => {
                    self.client = Some(client);
                    self.connections += 1;
                }
                Err(_) => {
                    self.failures += 1;
                    self.phase = Phase::Pausing { until: now + pause(self.failures) };
                }
            }
        }
        self.client.as_mut()
    }

    /// The connection broke: the event at the head is sent again over a new one, the first time at once.
    fn lost(&mut self, now: Instant) {
        self.client = None;
        if self.queue.is_empty() || matches!(self.phase, Phase::Pausing { .. }) {
            return;
        }
        self.losses += 1;
        self.phase = match self.losses {
            1 => Phase::Idle,
            more => Phase::Pausing { until: now + pause(more - 1) },
        };
    }

    fn taken(&mut self) {
        self.queue.pop_front();
        (self.refusals, self.failures, self.losses) = (0, 0, 0);
        self.phase = Phase::Idle;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn refused(&mut self, now: Instant, why: &str) {
        self.refusals += 1;
        if self.refusals > RETRIES {
            log::warn(&format!("an event is given up after {RETRIES} retries: {why}"));
            self.taken();
        } else {
            self.phase = Phase::Pausing { until: now + pause(self.refusals) };
        }
    }
}

fn pause(times: u32) -> Duration {
    Duration::from_secs(times.clamp(1, RETRIES).into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use ttrpc::server_sync::{Connection, accept};
    use ttrpc::{Call, Code, Status};

    use super::*;

    struct Daemon {
        _dir: tempfile::TempDir,
        listener: UnixListener,
        path: PathBuf,
    }

    impl Daemon {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("dir");
            let path = dir.path().join("s");
            let listener = UnixListener::bind(&path).expect("bind");
            listener.set_nonblocking(true).expect("nonblocking");
            Self { _dir: dir, listener, path }
        }

        fn forwarder(&self) -> Forwarder {
            Forwarder::new(self.path.to_str().expect("path"))
        }

        fn accept(&self) -> Connection {
            accept(&self.listener).expect("accept").expect("a connection")
        }
    }

    fn one(connection: &mut Connection) -> Call {
        let mut calls = connection.read_ready().expect("read");
        assert_eq!(calls.len(), 1, "one event is under way at a time");
        calls.remove(0)
    }

    #[test]
    fn events_arrive_in_order_one_at_a_time() {
        let daemon = Daemon::new();
        let mut forwarder = daemon.forwarder();
        let now = Instant::now();
        for i in 0..3 {
            forwarder.push(vec![i].into());
        }
        forwarder.step(now);
        let mut connection = daemon.accept();
        for i in 0..3 {
            let call = one(&mut connection);
            assert_eq!((call.method.as_str(), &call.payload[..]), ("Forward", &[i][..]));
            connection.respond(call.stream_id, Ok(Bytes::new())).expect("respond");
            forwarder.step(now);
        }
        assert!(forwarder.is_empty() && forwarder.deadline().is_none());
    }

    #[test]
    fn refused_events_are_sent_again_five_times() {
        let daemon = Daemon::new();
        let mut forwarder = daemon.forwarder();
        let mut now = Instant::now();
        forwarder.push(vec![1].into());
        forwarder.push(vec![2].into());
        forwarder.step(now);
        let mut connection = daemon.accept();
        for _ in 0..=RETRIES {
            let call = one(&mut connection);
            assert_eq!(call.payload[..], [1]);
            connection.respond(call.stream_id, Err(Status::new(Code::Unavailable, "no"))).expect("respond");
            forwarder.step(now);
            now += Duration::from_secs(5);
            forwarder.step(now);
        }
        assert_eq!(one(&mut connection).payload[..], [2]);
    }

    #[test]
    fn a_lost_connection_is_made_again_and_nothing_is_lost() {
        let daemon = Daemon::new();
        let mut forwarder = daemon.forwarder();
        let now = Instant::now();
        forwarder.push(vec![1].into());
        forwarder.step(now);
        let mut connection = daemon.accept();
        one(&mut connection);
        drop(connection);
        forwarder.step(now);
        assert_eq!(one(&mut daemon.accept()).payload[..], [1]);
    }

    #[test]
    fn a_peer_that_only_hangs_up_is_not_pestered() {
        let daemon = Daemon::new();
        let mut forwarder = daemon.forwarder();
        let mut now = Instant::now();
        forwarder.push(vec![1].into());
        forwarder.step(now);
        for seconds in [0, 0, 1] {
            now += Duration::from_secs(seconds);
            forwarder.step(now);
            drop(daemon.accept());
            forwarder.step(now);
        }
        forwarder.step(now + Duration::from_secs(1));
        assert!(accept(&daemon.listener).expect("accept").is_none(), "the second pause is two seconds");
        forwarder.step(now + Duration::from_secs(2));
        let mut connection = daemon.accept();
        let call = one(&mut connection);
        connection.respond(call.stream_id, Ok(Bytes::new())).expect("respond");
        forwarder.step(now);
        assert!(forwarder.is_empty() && forwarder.losses == 0);
    }

    #[test]
    fn without_a_daemon_events_wait_and_the_oldest_go() {
        let mut forwarder = Forwarder::new("/nonexistent/socket");
        for i in 0..=QUEUE {
            forwarder.push(vec![u8::try_from(i % 256).expect("byte")].into());
        }
        let now = Instant::now();
        forwarder.step(now);
        assert_eq!(forwarder.queue.len(), QUEUE);
        assert_eq!(forwarder.queue[0][..], [1]);
        assert!(forwarder.deadline().expect("a pause") > now);
        let mut silent = Forwarder::new("");
        silent.push(vec![1].into());
        assert!(silent.is_empty());
    }
}
