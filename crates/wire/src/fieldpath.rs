//! `event.*` field paths of filters, answered from an event's payload.
//!
//! Text, flags (as `true` or `false`), messages inside messages and label maps can be asked for; numbers, times,
//! bytes and lists cannot. Empty text counts as absent. What follows a scalar is ignored, what follows a map is
//! joined with dots and is the key.

use crate::Any;
use crate::shape::{self, Record, Value};

/// An event's payload, decoded once for all the filters it meets.
#[derive(Debug)]
pub struct Payload(Option<Record>);

impl Payload {
    /// Decodes by type URL; what is no known event, or is broken, answers no path.
    pub fn decode(event: &Any) -> Payload {
        Payload(shape::find(&event.type_url).and_then(|shape| Record::decode(shape, &event.value).ok()))
    }

    /// The text at a path such as `["runtime", "name"]` (without the leading `event`), if it is there.
    pub fn find(&self, path: &[impl AsRef<str>]) -> Option<String> {
        find(self.0.as_ref()?, path)
    }
}

fn find(record: &Record, path: &[impl AsRef<str>]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    if let "google.protobuf.Timestamp" | "google.protobuf.Any" = record.shape.name {
        return None;
    }
    match record.find(first.as_ref())? {
        Value::Text(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Flag(flag) => Some(flag.to_string()),
        Value::Record(inner) => find(inner, rest),
        Value::Map(map) => {
            let key: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            if key.is_empty() { None } else { map.get(&key.join(".")).cloned() }
        }
        Value::Bytes(_) | Value::Unsigned(_) | Value::Signed(_) | Value::List(_) => None,
    }
}
