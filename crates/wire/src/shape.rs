//! Event payloads read by a table of their fields instead of a Rust type.
//!
//! The tables are generated. What they say is enough for filters ([`crate::fieldpath`]) and for printing
//! ([`crate::json`]); everything else decodes the message itself.

use std::collections::BTreeMap;

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, bytes, decode_key, decode_varint, skip_field, string};

use crate::proto::shapes::EVENTS;
use crate::typeurl;

/// The fields of one message.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// Full protobuf name.
    pub name: &'static str,
    /// In the order of the definition, which is the order of printing.
    pub fields: &'static [Field],
}

/// One field as the definition has it.
#[derive(Debug, PartialEq)]
pub struct Field {
    /// Number on the wire.
    pub number: u32,
    /// Name in the definition, lower snake case.
    pub name: &'static str,
    /// Type of one value.
    pub kind: Kind,
    /// Whether there may be several; false for maps.
    pub repeated: bool,
}

/// The types that event messages use.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// `string`
    Text,
    /// `bytes`
    Bytes,
    /// `bool`
    Flag,
    /// `uint32` and `uint64`
    Unsigned,
    /// `int32`, `int64` and enums
    Signed,
    /// `map<string, string>`
    Map,
    /// A message of this shape.
    Message(&'static Message),
}

/// One decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `string`
    Text(String),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `bool`
    Flag(bool),
    /// `uint32` and `uint64`
    Unsigned(u64),
    /// `int32`, `int64` and enums
    Signed(i64),
    /// `map<string, string>`
    Map(BTreeMap<String, String>),
    /// A message inside the message.
    Record(Record),
    /// The values of a repeated field, at least one.
    List(Vec<Value>),
}

/// A decoded message: the fields that were on the wire, by number.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What the fields mean.
    pub shape: &'static Message,
    values: BTreeMap<u32, Value>,
}

/// The shape of an event message by type URL, with or without a prefix; `None` for anything else.
pub fn find(type_url: &str) -> Option<&'static Message> {
    let name = typeurl::name(type_url);
    let at = EVENTS.binary_search_by(|shape| shape.name.cmp(name)).ok()?;
    Some(EVENTS[at])
}

impl Record {
    /// Decodes a message; unknown fields are dropped, as every reader of protobuf does.
    pub fn decode(shape: &'static Message, mut wire: &[u8]) -> Result<Record, DecodeError> {
        let mut record = Record { shape, values: BTreeMap::new() };
        while wire.has_remaining() {
            let (number, wire_type) = decode_key(&mut wire)?;
            match shape.fields.iter().find(|field| field.number == number) {
                Some(field) => record.merge(field, wire_type, &mut wire)?,
                None => skip_field(wire_type, number, &mut wire, DecodeContext::default())?,
            }
        }
        Ok(record)
    }

    /// The fields that are present, in the order of the definition.
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, &Value)> {
        self.shape.fields.iter().filter_map(|field| Some((field, self.values.get(&field.number)?)))
    }

    /// A present field by name.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.fields().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    fn merge(&mut self, field: &Field, wire_type: WireType, wire: &mut &[u8]) -> Result<(), DecodeError> {
        let value = match field.kind {
            Kind::Text => Value::Text(text(wire_type, wire)?),
            Kind::Bytes => Value::Bytes(block(wire_type, wire)?),
            Kind::Flag => Value::Flag(varint(wire_type, wire)? != 0),
            Kind::Unsigned => Value::Unsigned(varint(wire_type, wire)?),
            Kind::Signed => Value::Signed(varint(wire_type, wire)?.cast_signed()),
            Kind::Message(shape) => Value::Record(Record::decode(shape, &block(wire_type, wire)?)?),
            Kind::Map => Value::Map(BTreeMap::from([entry(&block(wire_type, wire)?)?])),
        };
        self.put(field, value);
        Ok(())
    }

    /// Lists grow, maps and messages merge, everything else is replaced: the last one wins.
    fn put(&mut self, field: &Field, value: Value) {
        if field.repeated {
            match self.values.entry(field.number).or_insert_with(|| Value::List(Vec::new())) {
                Value::List(list) => list.push(value),
                other => *other = value,
            }
            return;
        }
        match (self.values.get_mut(&field.number), value) {
            (Some(Value::Map(map)), Value::Map(more)) => map.extend(more),
            (Some(Value::Record(record)), Value::Record(more)) => record.absorb(more),
            (_, value) => {
                self.values.insert(field.number, value);
            }
        }
    }

    fn absorb(&mut self, more: Record) {
        for (number, value) in more.values {
            match (self.values.get_mut(&number), value) {
                (Some(Value::List(list)), Value::List(mut items)) => list.append(&mut items),
                (Some(Value::Map(map)), Value::Map(entries)) => map.extend(entries),
                (Some(Value::Record(record)), Value::Record(inner)) => record.absorb(inner),
                (_, value) => {
                    self.values.insert(number, value);
                }
            }
        }
    }
}

fn text(wire_type: WireType, wire: &mut &[u8]) -> Result<String, DecodeError> {
    let mut value = String::new();
    string::merge(wire_type, &mut value, wire, DecodeContext::default())?;
    Ok(value)
}

fn block(wire_type: WireType, wire: &mut &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut value = Vec::new();
    bytes::merge(wire_type, &mut value, wire, DecodeContext::default())?;
    Ok(value)
}

fn varint(wire_type: WireType, wire: &mut &[u8]) -> Result<u64, DecodeError> {
    prost::encoding::check_wire_type(WireType::Varint, wire_type)?;
    decode_varint(wire)
}

/// One entry of a map from text to text: field 1 is the key, field 2 the value.
fn entry(mut wire: &[u8]) -> Result<(String, String), DecodeError> {
    let (mut key, mut value) = (String::new(), String::new());
    while wire.has_remaining() {
        match decode_key(&mut wire)? {
            (1, wire_type) => key = text(wire_type, &mut wire)?,
            (2, wire_type) => value = text(wire_type, &mut wire)?,
            (number, wire_type) => skip_field(wire_type, number, &mut wire, DecodeContext::default())?,
        }
    }
    Ok((key, value))
}
