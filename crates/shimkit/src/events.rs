//! Events of tasks, wrapped for the daemon.

use std::time::SystemTime;

use bytes::Bytes;
use prost::{Message, Name};
use wire::api::event::{
    TaskCheckpointed, TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskOom, TaskPaused,
    TaskResumed, TaskStart,
};
use wire::api::shim_events::ForwardRequest;
use wire::api::types::Envelope;
use wire::{Any, Timestamp};

/// An event and the topic it is told under.
pub trait TaskEvent: Message + Name {
    /// The topic.
    const TOPIC: &'static str;
}

macro_rules! topics {
    ($($event:ty = $topic:literal;)*) => {
        $(impl TaskEvent for $event {
            const TOPIC: &'static str = $topic;
        })*
    };
}

topics! {
    TaskCreate = "/tasks/create";
    TaskStart = "/tasks/start";
    TaskExit = "/tasks/exit";
    TaskDelete = "/tasks/delete";
    TaskOom = "/tasks/oom";
    TaskPaused = "/tasks/paused";
    TaskResumed = "/tasks/resumed";
    TaskExecAdded = "/tasks/exec-added";
    TaskExecStarted = "/tasks/exec-started";
    TaskCheckpointed = "/tasks/checkpointed";
}

/// The request that forwards an event which happens now.
pub fn envelope<E: TaskEvent>(namespace: &str, event: &E) -> Bytes {
    let envelope = Envelope {
        timestamp: Some(timestamp(SystemTime::now())),
        namespace: namespace.to_owned(),
        topic: E::TOPIC.to_owned(),
        event: Some(Any::pack(event)),
    };
    ForwardRequest { envelope: Some(envelope) }.encode_to_vec().into()
}

/// A time on the wire.
pub fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::from(at)
}

/// The time of what has not happened: the first second of year 1.
pub fn never() -> Timestamp {
    Timestamp { seconds: -62_135_596_800, nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_carry_namespace_topic_and_bare_type() {
        let bytes = envelope("k8s.io", &TaskOom { container_id: "c".into() });
        let envelope = ForwardRequest::decode(bytes).expect("message").envelope.expect("envelope");
        assert_eq!((envelope.namespace.as_str(), envelope.topic.as_str()), ("k8s.io", "/tasks/oom"));
        let event = envelope.event.expect("event");
        assert_eq!(event.type_url, "containerd.events.TaskOOM");
        assert_eq!(event.unpack::<TaskOom>().expect("type").expect("bytes").container_id, "c");
        assert!(envelope.timestamp.expect("time").seconds > 1_600_000_000);
    }
}
