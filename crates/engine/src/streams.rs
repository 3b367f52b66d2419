//! Streams: named pipes between a client and the service that looks their name up.
//!
//! A stream waits here under (namespace, name) until its user takes it or its client goes away. Its name stays taken while
//! the client's end is held by anybody. A stream that was opened under a lease is closed when the lease goes.

use crate::gc::{Collectible, Resource};
use async_trait::async_trait;
use model::streams::{Accept, Accepted, Stream};
use model::{Error, Kind, Labels, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

type Key = (String, String);

/// The streams that are open.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<Key, Slot>>);

/// A stream and the lease it was opened under.
struct Slot {
    end: End,
    lease: String,
}

/// A stream that waits, or one that was taken and may still be in use.
enum End {
    Waiting(Arc<dyn Stream>),
    Taken(Weak<dyn Stream>),
}

impl End {
    fn is_live(&self) -> bool {
        match self {
            End::Waiting(stream) => !stream.is_abandoned(),
            End::Taken(stream) => stream.strong_count() > 0,
        }
    }

    fn stream(&self) -> Option<Arc<dyn Stream>> {
        match self {
            End::Waiting(stream) => Some(stream.clone()),
            End::Taken(stream) => stream.upgrade(),
        }
    }
}

impl Streams {
    /// The streams that are open; those whose client has gone are let go.
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.end.is_live());
        slots
    }
}

#[async_trait]
impl Collectible for Streams {
    fn kind(&self) -> &'static str {
        "stream"
    }

    fn list(&self) -> Vec<Resource> {
        let slots = self.slots();
        let resource = |((namespace, id), slot): (&Key, &Slot)| Resource {
            namespace: namespace.clone(),
            id: id.clone(),
            lease: slot.lease.clone(),
            active: slot.lease.is_empty(),
            labels: Labels::new(),
        };
        slots.iter().map(resource).collect()
    }

    async fn remove(&self, namespace: &str, id: &str) -> Result<()> {
        let removed = self.slots().remove(&(namespace.to_owned(), id.to_owned()));
        if let Some(stream) = removed.and_then(|slot| slot.end.stream()) {
            stream.close().await;
        }
        Ok(())
    }
}

impl Accept for Streams {
    fn accept(&self, accepted: Accepted) -> Result<()> {
        let mut slots = self.slots();
        let key = (accepted.namespace, accepted.id);
        if slots.contains_key(&key) {
            return Err(Error::new(Kind::Unknown, "already exists"));
        }
        slots.insert(key, Slot { end: End::Waiting(accepted.stream), lease: accepted.lease });
        Ok(())
    }

    fn take(&self, namespace: &str, id: &str) -> Result<Arc<dyn Stream>> {
        let absent = || Error::new(Kind::NotFound, "not found");
        let mut slots = self.slots();
        let slot = slots.get_mut(&(namespace.to_owned(), id.to_owned())).ok_or_else(absent)?;
        let End::Waiting(stream) = &slot.end else { return Err(absent()) };
        let stream = stream.clone();
        slot.end = End::Taken(Arc::downgrade(&stream));
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::streams::Message;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Debug, Default)]
    struct Silent {
        gone: AtomicBool,
        closed: AtomicBool,
    }

    #[async_trait]
    impl Stream for Silent {
        async fn send(&self, _: Message) -> Result<()> {
            Ok(())
        }
        async fn receive(&self) -> Result<Option<Message>> {
            Ok(None)
        }
        async fn close(&self) {
            self.closed.store(true, Ordering::Relaxed);
        }
        fn is_abandoned(&self) -> bool {
            self.gone.load(Ordering::Relaxed)
        }
    }

    fn open(streams: &Streams, id: &str) -> Result<Arc<Silent>> {
        open_leased(streams, id, "")
    }

    fn open_leased(streams: &Streams, id: &str, lease: &str) -> Result<Arc<Silent>> {
        let stream = Arc::new(Silent::default());
        let accepted =
            Accepted { namespace: "n".into(), lease: lease.into(), id: id.into(), stream: stream.clone() };
        streams.accept(accepted).map(|()| stream)
    }

    #[test]
    fn a_client_that_goes_takes_its_stream_along() {
        let streams = Streams::default();
        let waiting = open(&streams, "a").expect("free");
        waiting.gone.store(true, Ordering::Relaxed);
        assert!(streams.take("n", "a").is_err(), "gone");
        assert_eq!(Arc::strong_count(&waiting), 1, "nobody holds it");
        open(&streams, "a").expect("free again");
    }

    #[tokio::test]
    async fn streams_are_closed_with_their_lease() {
        let streams = Streams::default();
        let own = open(&streams, "own").expect("free");
        let leased = [open_leased(&streams, "waits", "l"), open_leased(&streams, "used", "l")];
        let leased = leased.map(|stream| stream.expect("free"));
        let used = streams.take("n", "used").expect("waits");
        let mut listed: Vec<_> = streams.list().into_iter().map(|r| (r.id, r.lease, r.active)).collect();
        listed.sort();
        let expected = [("own", "", true), ("used", "l", false), ("waits", "l", false)];
        assert_eq!(listed, expected.map(|(id, lease, active)| (id.into(), lease.into(), active)));
        for id in ["waits", "used", "gone"] {
            streams.remove("n", id).await.expect("closed");
        }
        assert!(leased.iter().all(|stream| stream.closed.load(Ordering::Relaxed)));
        assert!(!own.closed.load(Ordering::Relaxed));
        drop(used);
    }

    #[test]
    fn a_name_is_taken_while_its_stream_lives() {
        let streams = Streams::default();
        open(&streams, "a").expect("free");
        assert_eq!(open(&streams, "a").expect_err("waiting").text(), "already exists");
        let taken = streams.take("n", "a").expect("waits");
        assert!(streams.take("n", "a").is_err(), "only once");
        assert!(open(&streams, "a").is_err(), "in use");
        drop(taken);
        open(&streams, "a").expect("free again");
        assert_eq!(streams.take("other", "a").err().map(|e| e.kind()), Some(Kind::NotFound));
    }
}
