//! The labels the collector reads.
//!
//! | key, after `containerd.io/` | value | meaning |
//! |---|---|---|
//! | `gc.root…` | any | the blob or snapshot is a root |
//! | `gc.ref.content`, `.image`, `.container`, and resources by name | id | refers to it |
//! | `gc.ref.snapshot.<snapshotter>` | key | refers to it |
//! | `gc.bref.…`, in the same forms | id | lives while that lives |
//! | `gc.cond.snapshot.<snapshotter>` | `usedat<DUR[,…]\|key` | lives while that lives, if a condition holds |
//! | `gc.expire` | RFC 3339 | no root after that time |
//! | `gc.flat` | any | the lease follows no labels |
//!
//! A suffix after `.` or `/` makes several references of one kind possible.

use super::graph::{Key, Noun};
use model::labels::{GC, GC_EXPIRE, GC_ROOT};
use model::{Labels, Timestamp};
use std::time::Duration;

const FORWARD: &str = "containerd.io/gc.ref.";
const BACK: &str = "containerd.io/gc.bref.";
const CONDITION: &str = "containerd.io/gc.cond.snapshot.";
/// On a snapshot: when it was used last.
pub(super) const USED_AT: &str = "containerd.io/gc.cond.value-usedat";

/// What a label says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// This object needs that one.
    Forward(Key),
    /// That object keeps this one.
    Back(Key),
    /// That snapshot keeps this one if the condition holds for it.
    If(Condition, Key),
}

/// Conditions on a snapshot's age, any of which may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition(Vec<Age>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Below(Duration),
    Above(Duration),
}

/// Whether the labels make their blob or snapshot a root.
pub(super) fn is_root(labels: &Labels) -> bool {
    labels.keys().any(|key| key.starts_with(GC_ROOT))
}

/// Whether the labels say that their object has expired. What is no time never comes.
pub(super) fn has_expired(labels: &Labels, now: Timestamp) -> bool {
    labels.get(GC_EXPIRE).and_then(|at| Timestamp::from_rfc3339(at)).is_some_and(|at| at < now)
}

/// The references among the labels. Collectible resources are known by their names (`stream`, `mount`).
pub(super) fn references(labels: &Labels, resources: &[&'static str]) -> Vec<Reference> {
    let read = |(key, value): (&String, &String)| {
        if let Some(rest) = key.strip_prefix(FORWARD) {
            return target(rest, value, resources).map(Reference::Forward);
        }
        if let Some(rest) = key.strip_prefix(BACK) {
            return target(rest, value, resources).map(Reference::Back);
        }
        let snapshotter = before_slash(key.strip_prefix(CONDITION)?)?;
        let (conditions, name) = value.split_once('|')?;
        let condition = Condition::parse(conditions)?;
        Some(Reference::If(condition, Key::snapshot(snapshotter, name)))
    };
    labels.range(String::from(GC)..).take_while(|(k, _)| k.starts_with(GC)).filter_map(read).collect()
}

fn target(rest: &str, value: &str, resources: &[&'static str]) -> Option<Key> {
    if value.is_empty() {
        return None;
    }
    if let Some(rest) = rest.strip_prefix("snapshot.") {
        return before_slash(rest).map(|snapshotter| Key::snapshot(snapshotter, value));
    }
    let named = [("content", Noun::Content), ("image", Noun::Image), ("container", Noun::Container)];
    let resource = resources.iter().map(|name| (*name, Noun::Resource(name)));
    let noun = named.into_iter().chain(resource).find(|(word, _)| is_word(rest, word))?.1;
    Some(Key { noun, id: value.to_owned() })
}

/// Whether a text is the word, or begins with it and goes on with `.` or `/`.
fn is_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
}

fn before_slash(text: &str) -> Option<&str> {
    text.split('/').next().filter(|name| !name.is_empty())
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let age = |term: &str| {
            let term = term.trim().strip_prefix("usedat")?;
            let duration = parse_duration(term.get(1..)?)?;
            match term.as_bytes().first()? {
                b'<' => Some(Age::Below(duration)),
                b'>' => Some(Age::Above(duration)),
                _ => None,
            }
        };
        text.split(',').map(age).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether a condition holds for a snapshot with these labels.
    pub(super) fn holds(&self, snapshot: &Labels, now: Timestamp) -> bool {
        let Some(used) = snapshot.get(USED_AT).and_then(|at| Timestamp::from_rfc3339(at)) else {
            return false;
        };
        let age = now.as_nanos() - used.as_nanos();
        self.0.iter().any(|condition| match condition {
            Age::Below(limit) => age < limit.as_nanos() as i128,
            Age::Above(limit) => age > limit.as_nanos() as i128,
        })
    }
}

/// A duration such as `1h30m`, `1.5s`, `300ms`.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number * UNITS.iter().find(|(name, _)| *name == &rest[..unit])?.1;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Vec<Reference> {
        references(&Labels::from([(format!("containerd.io/gc.{key}"), value.to_owned())]), &["stream"])
    }

    #[test]
    fn suffixes_begin_with_dot_or_slash() {
        let content = || Key { noun: Noun::Content, id: String::from("d") };
        for key in ["ref.content", "ref.content.", "ref.content.l.0", "ref.content/x"] {
            assert_eq!(read(key, "d"), [Reference::Forward(content())], "{key}");
        }
        for key in [
            "ref.contents",
            "ref.content-0",
            "ref.unknown",
            "ref.snapshot.",
            "bref.snapshot./x",
            "ref.streams",
        ] {
            assert!(read(key, "d").is_empty(), "{key}");
        }
        assert_eq!(read("bref.content.x", "d"), [Reference::Back(content())]);
        assert_eq!(
            read("ref.snapshot.overlayfs/a/b", "k"),
            [Reference::Forward(Key::snapshot("overlayfs", "k"))]
        );
        assert_eq!(
            read("ref.stream.1", "s"),
            [Reference::Forward(Key { noun: Noun::Resource("stream"), id: "s".into() })]
        );
    }

    #[test]
    fn conditions_compare_ages() {
        let now = Timestamp { seconds: 10_000, nanos: 0 };
        let used = Labels::from([(USED_AT.to_owned(), Timestamp { seconds: 9_000, nanos: 0 }.to_rfc3339())]);
        let table = [
            ("usedat<1h|k", true),
            ("usedat<10m|k", false),
            ("usedat>10m|k", true),
            ("usedat>10m,usedat<1s|k", true),
            ("usedat<1s,usedat<16m30.5s|k", false),
            ("usedat<16m41s|k", true),
        ];
        for (value, holds) in table {
            let [Reference::If(condition, key)] = &read("cond.snapshot.native/x", value)[..] else {
                panic!("{value}")
            };
            assert_eq!(*key, Key::snapshot("native", "k"));
            assert_eq!(condition.holds(&used, now), holds, "{value}");
            assert!(!condition.holds(&Labels::new(), now));
        }
        for value in ["usedat=1h|k", "used<1h|k", "usedat<1x|k", "usedat<1h", "|k"] {
            assert!(read("cond.snapshot.native", value).is_empty(), "{value}");
        }
    }

    #[test]
    fn expiry() {
        let now = Timestamp { seconds: 10_000, nanos: 0 };
        let at = |text: &str| has_expired(&Labels::from([(GC_EXPIRE.to_owned(), text.to_owned())]), now);
        assert!(at("1970-01-01T00:00:00Z"));
        assert!(!at("2999-01-01T00:00:00Z"));
        assert!(!at("1970-01-01"));
        assert!(!has_expired(&Labels::new(), now));
    }
}
