//! Events: printed and filtered exactly as containerd's Go code prints and filters them.

use wire::fieldpath::Payload;
use wire::{Any, api, json};

use crate::golden::{read, unhex};

#[test]
fn printing_and_filtering_agree_with_go() {
    let (mut printed, mut asked) = (0, 0);
    let mut event = Any::default();
    for line in read("events.json.txt").lines() {
        let (kind, rest) = line.split_once(' ').expect("two words");
        match kind {
            "event" => event.type_url = format!("type.googleapis.com/{rest}"),
            "bytes" => event.value = unhex(rest).into(),
            "json" => {
                assert_eq!(json::render(&event).expect("known").expect("whole"), rest, "{}", event.type_url);
                printed += 1;
            }
            "path" => {
                let (path, value) = rest.split_once(' ').expect("a value");
                let value: String = serde_json::from_str(value).expect("quoted");
                assert_eq!(field(&event, path).as_ref(), Some(&value), "{} {path}", event.type_url);
                asked += 1;
            }
            _ => {
                assert_eq!(field(&event, rest), None, "{} {rest}", event.type_url);
                asked += 1;
            }
        }
    }
    assert!(printed > 80 && asked > 600, "{printed} {asked}");
}

fn field(event: &Any, path: &str) -> Option<String> {
    Payload::decode(event).find(&path.split('.').collect::<Vec<_>>())
}

#[test]
fn empty_parts_are_printed_and_a_missing_flag_is_false() {
    let create = api::event::TaskCreate { io: Some(api::event::TaskIo::default()), ..Default::default() };
    let event = Any::pack(&create);
    assert_eq!(json::render(&event).expect("known").expect("whole"), r#"{"io":{}}"#);
    assert_eq!(field(&event, "io.terminal").as_deref(), Some("false"));
    assert_eq!(field(&event, "io.stdin"), None);
}

#[test]
fn strangers_and_broken_events_answer_nothing() {
    let stranger = Any { type_url: "a.b.C".to_owned(), value: unhex("0a0161").into() };
    assert!(json::render(&stranger).is_none());
    assert_eq!(field(&stranger, "id"), None);
    for broken in ["0a", "0aff", "08", "0f", "0a0461", "0a01ff", "08ffffffffffffffffffff01"] {
        let event = Any { type_url: "containerd.events.TaskStart".to_owned(), value: unhex(broken).into() };
        assert!(json::render(&event).expect("known").is_err(), "{broken}");
        assert_eq!(field(&event, "container_id"), None, "{broken}");
    }
}

#[test]
fn repeated_parts_merge_and_strange_fields_are_skipped() {
    let parts = "2a0161".to_owned() + "2a0162" + "22030a0169" + "2203120174" + "f80101";
    let event = Any { type_url: "containerd.events.TaskCreate".to_owned(), value: unhex(&parts).into() };
    let text = json::render(&event).expect("known").expect("whole");
    assert_eq!(text, r#"{"io":{"stdin":"i","stdout":"t"},"checkpoint":"b"}"#);
}
