//! A message inside a message: its full name and its bytes.

use bytes::Bytes;
use prost::{DecodeError, Message, Name};

use crate::typeurl;

/// `google.protobuf.Any`, with a value that is shared instead of copied.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Any {
    /// The name of what `value` holds; see [`typeurl`] for how it is written.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Protobuf bytes, or JSON for the few types that are no messages.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl Name for Any {
    const NAME: &'static str = "Any";
    const PACKAGE: &'static str = "google.protobuf";
}

impl Any {
    /// Wraps a message under its bare full name, as containerd writes it.
    pub fn pack<M: Message + Name>(message: &M) -> Any {
        Any { type_url: M::full_name(), value: message.encode_to_vec().into() }
    }

    /// Wraps JSON under the path its type is registered by.
    pub fn json(type_url: &str, value: impl Into<Bytes>) -> Any {
        Any { type_url: type_url.to_owned(), value: value.into() }
    }

    /// The name without any prefix up to the last slash.
    pub fn name(&self) -> &str {
        typeurl::name(&self.type_url)
    }

    /// Whether this holds an `M`, whatever prefix its name carries.
    pub fn holds<M: Name>(&self) -> bool {
        self.name() == M::full_name()
    }

    /// Decodes an `M`; `None` if it holds something else.
    pub fn unpack<M: Message + Name + Default>(&self) -> Option<Result<M, DecodeError>> {
        self.holds::<M>().then(|| M::decode(self.value.clone()))
    }
}

impl From<model::Any> for Any {
    fn from(any: model::Any) -> Self {
        Self { type_url: any.type_url, value: any.value }
    }
}

impl From<Any> for model::Any {
    fn from(any: Any) -> Self {
        Self { type_url: any.type_url, value: any.value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event::{TaskOom, TaskStart};

    #[test]
    fn packs_under_the_bare_name_and_unpacks_under_any_prefix() {
        let start = TaskStart { container_id: "c".to_owned(), pid: 7 };
        let mut any = Any::pack(&start);
        assert_eq!(any.type_url, "containerd.events.TaskStart");
        for prefix in ["", "type.googleapis.com/", "a/b/"] {
            any.type_url = format!("{prefix}containerd.events.TaskStart");
            assert_eq!(any.unpack::<TaskStart>().expect("named so").expect("whole"), start);
            assert!(any.unpack::<TaskOom>().is_none());
        }
    }

    #[test]
    fn a_broken_value_is_an_error_not_an_absence() {
        let any = Any::json("containerd.events.TaskStart", &b"\x0a\xff"[..]);
        assert!(any.unpack::<TaskStart>().expect("named so").is_err());
    }
}
