//! Every message: decodes to the values its fields' names promise, and encodes to the same bytes again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wire::{Message, Name, api};

use crate::messages;

/// Decodes, compares, encodes; says what is wrong.
pub type Check = fn(&Case) -> Result<(), String>;

/// One message as the Go side wrote it.
#[derive(Default)]
pub struct Case {
    bytes: Vec<u8>,
    fields: Vec<(String, String, String)>,
}

/// Fields are named after what they hold, so a value under another name is a field number gone wrong.
pub fn check<M: Message + Name + Default + std::fmt::Debug>(case: &Case) -> Result<(), String> {
    let message = M::decode(case.bytes.as_slice()).map_err(|e| e.to_string())?;
    if message.encode_to_vec() != case.bytes {
        return Err("encodes to other bytes".to_owned());
    }
    let seen = top_fields(&format!("{message:#?}"));
    if seen.len() != case.fields.len() {
        return Err(format!("has the fields {:?}", seen.keys()));
    }
    for (kind, name, value) in &case.fields {
        let Some(shown) = seen.get(&plain(name)) else { return Err(format!("has no field {name}")) };
        if !agrees(kind, value, shown) {
            return Err(format!("{name} is {shown}, not {kind} {value}"));
        }
    }
    Ok(())
}

fn agrees(kind: &str, value: &str, shown: &str) -> bool {
    match kind {
        "has" => !["None", "{}", "[]"].contains(&shown),
        "enum" => plain(value).ends_with(&plain(shown)),
        "text" => shown == format!("{value:?}"),
        "blob" => shown == format!("b{value:?}"),
        // Go prints a double without `.0` and with an exponent where Rust does not.
        _ => shown == value || shown.parse::<f64>().ok() == value.parse::<f64>().ok() && shown.contains('.'),
    }
}

/// The fields of a pretty-printed struct, one level deep; of anything with parts only the first line.
fn top_fields(pretty: &str) -> BTreeMap<String, String> {
    let lines = pretty.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter(|line| !line.starts_with([' ', '}', ']', ')']))
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (plain(name), value.trim_end_matches(',').to_owned()))
        .collect()
}

/// A name without case and underscores, which the two languages treat differently.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub fn read(name: &str) -> String {
    let path = directory().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("hex") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The message as Go filled it.
pub fn filled<M: Message + Name + Default>() -> M {
    M::decode(cases()[&M::full_name()].bytes.as_slice()).expect("golden bytes")
}

fn cases() -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(directory()).expect("tests/golden") {
        let name = entry.expect("tests/golden").file_name().into_string().expect("text");
        if name == "events.json.txt" {
            continue;
        }
        let mut current = String::new();
        for line in read(&name).lines() {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (kind, name, value) = (word(), word(), word());
            if kind == "message" {
                current = name;
                continue;
            }
            let case: &mut Case = cases.entry(current.clone()).or_default();
            if kind == "bytes" {
                case.bytes = unhex(&name);
            } else {
                case.fields.push((kind, name, value));
            }
        }
    }
    cases
}

#[test]
fn every_message_agrees_with_go() {
    let cases = cases();
    let checks: BTreeMap<String, Check> = messages::all().into_iter().collect();
    let ours: Vec<_> = checks.keys().collect();
    assert_eq!(ours, cases.keys().collect::<Vec<_>>(), "the same messages on both sides");
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(name, case)| checks[name](case).err().map(|e| format!("{name}: {e}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() > 300, "{}", cases.len());
}

#[test]
fn nested_values_arrive() {
    let cases = cases();
    let bytes = |name: &str| cases[name].bytes.as_slice();

    let create = api::task_v3::CreateTaskRequest::decode(bytes("containerd.task.v3.CreateTaskRequest"))
        .expect("golden bytes");
    assert_eq!(create.rootfs.len(), 2);
    assert_eq!(create.rootfs[1].r#type, "type");
    assert_eq!(create.rootfs[1].options, ["options 0", "options 1"]);
    let options = create.options.expect("options");
    assert_eq!((options.type_url.as_str(), &options.value[..]), ("type_url", &b"value"[..]));

    let params =
        api::bootstrap::BootstrapParams::decode(bytes("containerd.runtime.bootstrap.v1.BootstrapParams"))
            .expect("golden bytes");
    assert_eq!(params.socket_dir.as_deref(), Some("socket_dir"));
    assert_eq!(params.extensions[1].value.as_ref().expect("value").type_url, "type_url");
    assert!((params.log_level() as i32) < 0 || params.log_level != 0, "{:?}", params.log_level());

    let container = api::containers::Container::decode(bytes("containerd.services.containers.v1.Container"))
        .expect("golden bytes");
    assert_eq!(container.labels["key.one"], "labels key.one");
    assert_eq!(container.extensions["other"].type_url, "type_url");
    assert_eq!(container.runtime.expect("runtime").name, "name");

    let metrics =
        api::cgroups_v1::Metrics::decode(bytes("io.containerd.cgroups.v1.Metrics")).expect("golden bytes");
    let usage = metrics.cpu.expect("cpu").usage.expect("usage");
    assert_eq!(usage.per_cpu.len(), 2, "packed numbers");
    assert!(usage.total > u64::from(u32::MAX), "64 bits");

    let status =
        api::content::Status::decode(bytes("containerd.services.content.v1.Status")).expect("golden bytes");
    assert!(status.offset < 0, "negative numbers");
    let update = api::endpoint::WindowUpdate::decode(bytes("containerd.types.transfer.WindowUpdate"));
    assert!(update.expect("golden bytes").update < 0, "negative 32-bit numbers");
}

#[test]
fn a_wrong_field_number_is_noticed() {
    let cases = cases();
    let request = &cases["containerd.services.tasks.v1.KillRequest"];
    assert!(check::<api::tasks::KillRequest>(request).is_ok());
    assert!(check::<api::tasks::ResizePtyRequest>(request).is_err(), "the same wire types under other names");
    assert!(check::<api::tasks::StartRequest>(request).is_err(), "fields that are not there");
}
