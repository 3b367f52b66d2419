//! Events: what happened, told to whoever subscribed.
//!
//! An event belongs to the transaction that made it true: the engine hands it over after the commit, in commit order.

use crate::filters::Fields;
use crate::{Any, Error, Namespace, Result, Timestamp, ids, images::Image};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// When it was published.
    pub timestamp: Timestamp,
    /// The namespace it concerns.
    pub namespace: String,
    /// The topic: `/noun/verb`.
    pub topic: String,
    /// The payload.
    pub event: Option<Any>,
}

/// Checks a topic: a leading `/`, then identifiers separated by `/`.
///
/// # Errors
/// `InvalidArgument` with the text containerd's clients know.
pub fn validate_topic(topic: &str) -> Result<()> {
    let wrong = |what: &str| Err(Error::invalid(format!("envelope topic {topic:?}: {what}")));
    if topic.is_empty() {
        return wrong("must not be empty");
    }
    let Some(rest) = topic.strip_prefix('/') else { return wrong("must start with '/'") };
    if rest.is_empty() {
        return wrong("must have at least one component");
    }
    for component in rest.split('/') {
        if let Err(e) = ids::validate(component) {
            return Err(
                e.during(format!("envelope topic {topic:?}: failed validation on component {component:?}"))
            );
        }
    }
    Ok(())
}

/// What the engine itself reports; `wire::events` turns it into a topic and a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of containerd's event messages of the same name")]
pub enum Event {
    NamespaceCreate { name: String, labels: BTreeMap<String, String> },
    NamespaceUpdate { name: String, labels: BTreeMap<String, String> },
    NamespaceDelete { name: String },
    ContainerCreate { id: String, image: String, runtime: crate::containers::RuntimeChoice },
    ContainerUpdate { id: String, image: String, labels: BTreeMap<String, String>, snapshot_key: String },
    ContainerDelete { id: String },
    ImageCreate { name: String, labels: BTreeMap<String, String> },
    ImageUpdate { name: String, labels: BTreeMap<String, String> },
    ImageDelete { name: String },
    ContentCreate { digest: String, size: u64 },
    ContentDelete { digest: String },
    SnapshotPrepare { key: String, parent: String, snapshotter: String },
    SnapshotCommit { key: String, name: String, snapshotter: String },
    SnapshotRemove { key: String, snapshotter: String },
    TaskExit { container_id: String, exit: crate::tasks::Exit },
    TaskDelete { container_id: String, exit: crate::tasks::Exit },
}

impl Event {
    /// The event of a new image.
    pub fn image_create(image: &Image) -> Self {
        Self::ImageCreate { name: image.name.clone(), labels: image.labels.clone() }
    }

    /// The topic it is published under.
    pub fn topic(&self) -> &'static str {
        match self {
            Event::NamespaceCreate { .. } => "/namespaces/create",
            Event::NamespaceUpdate { .. } => "/namespaces/update",
            Event::NamespaceDelete { .. } => "/namespaces/delete",
            Event::ContainerCreate { .. } => "/containers/create",
            Event::ContainerUpdate { .. } => "/containers/update",
            Event::ContainerDelete { .. } => "/containers/delete",
            Event::ImageCreate { .. } => "/images/create",
            Event::ImageUpdate { .. } => "/images/update",
            Event::ImageDelete { .. } => "/images/delete",
            Event::ContentCreate { .. } => "/content/create",
            Event::ContentDelete { .. } => "/content/delete",
            Event::SnapshotPrepare { .. } => "/snapshot/prepare",
            Event::SnapshotCommit { .. } => "/snapshot/commit",
            Event::SnapshotRemove { .. } => "/snapshot/remove",
            Event::TaskExit { .. } => "/tasks/exit",
            Event::TaskDelete { .. } => "/tasks/delete",
        }
    }
}

/// Turns the engine's events into payloads, and looks into payloads for filters: supplied by `wire`, so that the
/// engine needs no protobuf.
pub trait Codec: Send + Sync {
    /// The payload of an event.
    fn encode(&self, event: &Event) -> Any;
    /// Decodes a payload for filters; its fields have paths as below `event.` (`["container_id"]`). One that cannot be
    /// decoded has no fields.
    fn decode(&self, event: &Any) -> Box<dyn Fields>;
}

/// A stream of envelopes.
#[async_trait]
pub trait Subscription: Send {
    /// The next matching envelope; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Result<Envelope>>;
}

/// The events service.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes in a namespace, stamped with the time. Errors: `InvalidArgument` for a bad topic.
    async fn publish(&self, namespace: &Namespace, topic: &str, event: Option<Any>) -> Result<()>;
    /// Passes an envelope on unchanged. Errors: `InvalidArgument` for a bad topic or namespace.
    async fn forward(&self, envelope: Envelope) -> Result<()>;
    /// Everything from now on that matches any filter, in all namespaces. Errors: `InvalidArgument`.
    async fn subscribe(&self, filters: &[String]) -> Result<Box<dyn Subscription>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        assert!(validate_topic("/tasks/exec-added").is_ok());
        for (topic, text) in [
            ("", "envelope topic \"\": must not be empty: invalid argument"),
            ("a", "envelope topic \"a\": must start with '/': invalid argument"),
            ("/", "envelope topic \"/\": must have at least one component: invalid argument"),
        ] {
            assert_eq!(validate_topic(topic).expect_err(topic).text(), text);
        }
        assert!(validate_topic("/a//b").is_err());
    }
}
