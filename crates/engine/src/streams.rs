//! Streams: named pipes between a client and the service that looks their name up.
//!
//! A stream waits here under (namespace, name) until its user takes it. Its name stays taken while the client's end is
//! held by anybody.

use model::streams::{Accept, Accepted, Stream};
use model::{Error, Kind, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

type Key = (String, String);

/// The streams that are open.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<Key, Slot>>);

/// A stream that waits, or one that was taken and may still be in use.
enum Slot {
    Waiting(Arc<dyn Stream>),
    Taken(Weak<dyn Stream>),
}

impl Slot {
    fn is_live(&self) -> bool {
        match self {
            Slot::Waiting(_) => true,
            Slot::Taken(stream) => stream.strong_count() > 0,
        }
    }
}

impl Streams {
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accept for Streams {
    fn accept(&self, accepted: Accepted) -> Result<()> {
        let mut slots = self.slots();
        slots.retain(|_, slot| slot.is_live());
        let key = (accepted.namespace, accepted.id);
        if slots.contains_key(&key) {
            return Err(Error::new(Kind::Unknown, "already exists"));
        }
        slots.insert(key, Slot::Waiting(accepted.stream));
        Ok(())
    }

    fn take(&self, namespace: &str, id: &str) -> Result<Arc<dyn Stream>> {
        let absent = || Error::new(Kind::NotFound, "not found");
        let mut slots = self.slots();
        let slot = slots.get_mut(&(namespace.to_owned(), id.to_owned())).ok_or_else(absent)?;
        let Slot::Waiting(stream) = slot else { return Err(absent()) };
        let stream = stream.clone();
        *slot = Slot::Taken(Arc::downgrade(&stream));
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::streams::Message;

    struct Silent;

    #[async_trait::async_trait]
    impl Stream for Silent {
        async fn send(&self, _: Message) -> Result<()> {
            Ok(())
        }
        async fn receive(&self) -> Result<Option<Message>> {
            Ok(None)
        }
        async fn close(&self) {}
    }

    fn open(streams: &Streams, id: &str) -> Result<()> {
        let stream = Arc::new(Silent);
        streams.accept(Accepted { namespace: "n".into(), lease: String::new(), id: id.into(), stream })
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
