//! `event.*` field paths of filters, answered from an event's payload.
//!
//! Text, flags (as `true` or `false`), messages inside messages and label maps can be asked for; numbers, times,
//! payloads, bytes and lists cannot. Empty text counts as absent. What follows a scalar is ignored; what follows a
//! map is joined with dots and is the key.

use std::borrow::Cow;

use model::filters::Fields;

use crate::Any;
use crate::shape::{self, Kind, Record, Value};

/// An event's payload, decoded for all the filters it meets.
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

impl Fields for Payload {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        self.find(path).map(Cow::Owned)
    }
}

fn find(record: &Record, path: &[impl AsRef<str>]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let field = record.shape.fields.iter().find(|field| field.name == first.as_ref())?;
    match (&field.kind, record.find(field.name)) {
        (Kind::Text, Some(Value::Text(text))) => (!text.is_empty()).then(|| text.clone()),
        (Kind::Flag, Some(Value::Flag(flag))) => Some(flag.to_string()),
        (Kind::Flag, None) => Some("false".to_owned()),
        (Kind::Map, Some(Value::Map(map))) => {
            let key: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            map.get(&key.join(".")).cloned()
        }
        (Kind::Message(shape), Some(Value::Record(inner))) if !shape.name.starts_with("google.") => {
            find(inner, rest)
        }
        _ => None,
    }
}
