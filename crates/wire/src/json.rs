//! Event payloads as JSON, letter for letter as containerd's own client prints them.
//!
//! Names are the definition's, fields stand in its order, zero values are left out, messages stay even when empty,
//! bytes are base64, times are `{"seconds":…,"nanos":…}`, and `<`, `>`, `&` are escaped.

use std::collections::BTreeMap;

use prost::DecodeError;

use crate::Any;
use crate::shape::{self, Record, Value};

/// Renders an event; `None` if its type is no known event.
pub fn render(event: &Any) -> Option<Result<String, DecodeError>> {
    let shape = shape::find(&event.type_url)?;
    Some(Record::decode(shape, &event.value).map(|record| {
        let mut out = String::new();
        write_record(&record, &mut out);
        out
    }))
}

fn write_record(record: &Record, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (field, value) in record.fields().filter(|(_, value)| !is_zero(value)) {
        if !first {
            out.push(',');
        }
        first = false;
        write_text(field.name, out);
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Flag(flag) => !flag,
        Value::Unsigned(number) => *number == 0,
        Value::Signed(number) => *number == 0,
        Value::Map(map) => map.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Record(_) => false,
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => write_text(text, out),
        Value::Bytes(bytes) => write_text(&oci::base64::encode(bytes), out),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Unsigned(number) => out.push_str(&number.to_string()),
        Value::Signed(number) => out.push_str(&number.to_string()),
        Value::Map(map) => write_map(map, out),
        Value::Record(record) => write_record(record, out),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
    }
}

fn write_map(map: &BTreeMap<String, String>, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write_text(value, out);
    }
    out.push('}');
}

/// Quotes as Go's encoder does, which also escapes what HTML and JavaScript would trip over.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
