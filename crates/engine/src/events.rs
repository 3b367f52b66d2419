//! Events: the exchange between publishers and subscribers.
//!
//! Every subscriber has a queue of its own, bounded at [`QUEUE`]: one that does not read loses its subscription instead
//! of the daemon its memory. Envelopes reach every subscriber in the order in which they were published. There is no
//! history.

use crate::clock;
use async_trait::async_trait;
use model::events::{Codec, Envelope, Event, Events, Subscription, validate_topic};
use model::filters::{Fields, Filters, text};
use model::{Any, Error, Namespace, Result, ids};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;

/// How many envelopes wait for one subscriber at most.
pub const QUEUE: usize = 65_536;

/// The exchange.
pub struct Exchange {
    codec: Arc<dyn Codec>,
    subscribers: Mutex<Vec<Subscriber>>,
    queue: usize,
    /// Whether there has been a subscriber.
    heard: watch::Sender<bool>,
}

struct Subscriber {
    filters: Filters,
    queue: mpsc::Sender<Arc<Envelope>>,
    overrun: Arc<AtomicBool>,
}

impl Exchange {
    /// An exchange that encodes the engine's own events with a codec.
    pub fn new(codec: Arc<dyn Codec>) -> Arc<Self> {
        Self::with_queue(codec, QUEUE)
    }

    /// The same with another length of the subscribers' queues.
    pub fn with_queue(codec: Arc<dyn Codec>, queue: usize) -> Arc<Self> {
        Arc::new(Self { codec, subscribers: Mutex::default(), queue, heard: watch::Sender::new(false) })
    }

    /// Publishes an event of the engine, now. A namespace that is no identifier has no subscribers: it is left out.
    pub fn emit(&self, namespace: &str, event: &Event) {
        if ids::validate(namespace).is_err() || self.lock().is_empty() {
            return;
        }
        self.deliver(Envelope {
            timestamp: clock::now(),
            namespace: namespace.to_owned(),
            topic: event.topic().to_owned(),
            event: Some(self.codec.encode(event)),
        });
    }

    /// Waits for the first subscriber.
    pub async fn heard(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.heard.subscribe().wait_for(|heard| *heard).await;
    }

    /// Ends every subscription.
    pub fn close(&self) {
        self.lock().clear();
    }

    /// Passes an envelope on unchanged, see [`Events::forward`].
    ///
    /// # Errors
    /// `InvalidArgument` for a bad topic or namespace.
    pub fn pass_on(&self, envelope: Envelope) -> Result<()> {
        ids::validate(&envelope.namespace).map_err(|e| e.during("event envelope has invalid namespace"))?;
        validate_topic(&envelope.topic)?;
        self.deliver(envelope);
        Ok(())
    }

    fn deliver(&self, envelope: Envelope) {
        let envelope = Arc::new(envelope);
        let view = View { envelope: &envelope, codec: &*self.codec, payload: OnceCell::new() };
        self.lock().retain(|subscriber| {
            if !subscriber.filters.matches(&view) {
                return !subscriber.queue.is_closed();
            }
            match subscriber.queue.try_send(envelope.clone()) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    subscriber.overrun.store(true, Ordering::Release);
                    false
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Events for Exchange {
    async fn publish(&self, namespace: &Namespace, topic: &str, event: Option<Any>) -> Result<()> {
        validate_topic(topic)?;
        let (namespace, topic) = (namespace.as_str().to_owned(), topic.to_owned());
        self.deliver(Envelope { timestamp: clock::now(), namespace, topic, event });
        Ok(())
    }

    async fn forward(&self, envelope: Envelope) -> Result<()> {
        self.pass_on(envelope)
    }

    async fn subscribe(&self, filters: &[String]) -> Result<Box<dyn Subscription>> {
        let filters = Filters::parse(filters)?;
        let (queue, received) = mpsc::channel(self.queue);
        let overrun = Arc::new(AtomicBool::new(false));
        self.lock().push(Subscriber { filters, queue, overrun: overrun.clone() });
        self.heard.send_replace(true);
        Ok(Box::new(Received { received, overrun, limit: self.queue }))
    }
}

/// A subscriber's end of its queue.
struct Received {
    received: mpsc::Receiver<Arc<Envelope>>,
    overrun: Arc<AtomicBool>,
    limit: usize,
}

#[async_trait]
impl Subscription for Received {
    async fn next(&mut self) -> Option<Result<Envelope>> {
        if let Some(envelope) = self.received.recv().await {
            return Some(Ok(Arc::unwrap_or_clone(envelope)));
        }
        // The queue is empty and closed; say once that it was closed because it was full.
        self.overrun.swap(false, Ordering::AcqRel).then(|| {
            Err(Error::exhausted(format!(
                "subscriber is too slow: more than {} events were waiting",
                self.limit
            )))
        })
    }
}

/// An envelope as filters see it. The first that asks for the payload has it decoded, for all.
struct View<'a> {
    envelope: &'a Envelope,
    codec: &'a dyn Codec,
    payload: OnceCell<Box<dyn Fields>>,
}

impl Fields for View<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["namespace", ..] => text(&self.envelope.namespace),
            ["topic", ..] => text(&self.envelope.topic),
            ["event", rest @ ..] if !rest.is_empty() => {
                let event = self.envelope.event.as_ref()?;
                let payload = self.payload.get_or_init(|| self.codec.decode(event));
                payload.field(rest).filter(|value| !value.is_empty())
            }
            _ => None,
        }
    }
}
