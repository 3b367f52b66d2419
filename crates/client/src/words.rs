//! Payloads in words: what people and programs are shown of messages inside messages.

mod messages;

use messages::Json;
use model::Any;
use serde_json::{Value, json};
use wire::api::{cgroups_v1, cgroups_v2, runc};
use wire::{Message, Name};

/// The options of the runc shim that have flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuncOptions {
    /// Another OCI runtime's binary.
    pub binary: String,
    /// Where it keeps its state.
    pub root: String,
    /// Let systemd make the cgroups.
    pub systemd_cgroup: bool,
    /// Do not use pivot_root.
    pub no_pivot: bool,
}

/// The options of the runc shim for a container record.
pub fn runc_options(options: &RuncOptions) -> Any {
    let options = runc::Options {
        no_pivot_root: options.no_pivot,
        binary_name: options.binary.clone(),
        root: options.root.clone(),
        systemd_cgroup: options.systemd_cgroup,
        ..runc::Options::default()
    };
    wire::Any::pack(&options).into()
}

/// An event's payload as JSON, as `ctr` prints it; a payload of no known event tells its type.
pub fn event(event: &Any) -> String {
    match wire::json::render(&event.clone().into()) {
        Some(Ok(text)) => text,
        Some(Err(e)) => json!({"type_url": event.type_url, "error": e.to_string()}).to_string(),
        None => json(event).to_string(),
    }
}

/// A payload as JSON: documents that are JSON already, messages that are known here, the type and the bytes of others.
pub fn json(any: &Any) -> Value {
    let known = message::<cgroups_v1::Metrics>(any)
        .or_else(|| message::<cgroups_v2::Metrics>(any))
        .or_else(|| message::<runc::Options>(any))
        .or_else(|| message::<runc::ProcessDetails>(any))
        .or_else(|| serde_json::from_slice(&any.value).ok());
    known.unwrap_or_else(|| raw(any))
}

/// A payload's type and bytes as JSON.
pub fn raw(any: &Any) -> Value {
    match any.value.is_empty() {
        true => json!({"type_url": any.type_url}),
        false => json!({"type_url": any.type_url, "value": oci::base64::encode(&any.value)}),
    }
}

/// Task statistics as names and values for a table; none for a type that is not known.
pub fn metrics(data: &Any) -> Vec<(&'static str, String)> {
    if let Some(metrics) = decode::<cgroups_v1::Metrics>(data) {
        return first_version(metrics);
    }
    decode::<cgroups_v2::Metrics>(data).map(second_version).unwrap_or_default()
}

fn first_version(metrics: cgroups_v1::Metrics) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(memory) = metrics.memory {
        if let Some(usage) = &memory.usage {
            rows.push(("memory.usage_in_bytes", usage.usage.to_string()));
            rows.push(("memory.limit_in_bytes", usage.limit.to_string()));
        }
        rows.push(("memory.stat.cache", memory.cache.to_string()));
    }
    if let Some(usage) = metrics.cpu.and_then(|cpu| cpu.usage) {
        let each: Vec<String> = usage.per_cpu.iter().map(u64::to_string).collect();
        rows.push(("cpuacct.usage", usage.total.to_string()));
        rows.push(("cpuacct.usage_percpu", format!("[{}]", each.join(" "))));
    }
    if let Some(pids) = metrics.pids {
        rows.push(("pids.current", pids.current.to_string()));
        rows.push(("pids.limit", pids.limit.to_string()));
    }
    rows
}

fn second_version(metrics: cgroups_v2::Metrics) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(pids) = metrics.pids {
        rows.extend([("pids.current", pids.current), ("pids.limit", pids.limit)]);
    }
    if let Some(cpu) = metrics.cpu {
        rows.extend([
            ("cpu.usage_usec", cpu.usage_usec),
            ("cpu.user_usec", cpu.user_usec),
            ("cpu.system_usec", cpu.system_usec),
            ("cpu.nr_periods", cpu.nr_periods),
            ("cpu.nr_throttled", cpu.nr_throttled),
            ("cpu.throttled_usec", cpu.throttled_usec),
        ]);
    }
    if let Some(memory) = metrics.memory {
        rows.extend([
            ("memory.usage", memory.usage),
            ("memory.usage_limit", memory.usage_limit),
            ("memory.swap_usage", memory.swap_usage),
            ("memory.swap_limit", memory.swap_limit),
        ]);
    }
    rows.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

fn decode<M: Message + Name + Default>(any: &Any) -> Option<M> {
    wire::Any::from(any.clone()).unpack().and_then(Result::ok)
}

fn message<M: Message + Name + Default + Json>(any: &Any) -> Option<Value> {
    decode::<M>(any).map(|message| message.json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::api::event;

    #[test]
    fn known_payloads_are_shown_without_zeroes() {
        let options = RuncOptions { binary: "crun".into(), systemd_cgroup: true, ..RuncOptions::default() };
        assert_eq!(json(&runc_options(&options)), json!({"binary_name": "crun", "systemd_cgroup": true}));
        let cpu = cgroups_v1::CpuUsage { total: 5, per_cpu: vec![2, 3], ..cgroups_v1::CpuUsage::default() };
        let metrics = cgroups_v1::Metrics {
            cpu: Some(cgroups_v1::CpuStat { usage: Some(cpu), throttling: None }),
            pids: Some(cgroups_v1::PidsStat { current: 1, limit: 0 }),
            ..cgroups_v1::Metrics::default()
        };
        let any = wire::Any::pack(&metrics).into();
        let shown = json!({"cpu": {"usage": {"total": 5, "per_cpu": [2, 3]}}, "pids": {"current": 1}});
        assert_eq!(json(&any), shown);
        let rows = super::metrics(&any);
        assert_eq!(rows[..2], [("cpuacct.usage", "5".into()), ("cpuacct.usage_percpu", "[2 3]".into())]);
        assert_eq!(rows[2..], [("pids.current", "1".into()), ("pids.limit", "0".into())]);
    }

    #[test]
    fn other_payloads_tell_their_type() {
        let any =
            |type_url: &str, value: &'static [u8]| Any { type_url: type_url.into(), value: value.into() };
        assert_eq!(json(&any("x.Y", b"{\"a\": 1}")), json!({"a": 1}));
        assert_eq!(json(&any("x.Y", b"\x01")), json!({"type_url": "x.Y", "value": "AQ=="}));
        assert!(super::metrics(&any("x.Y", b"")).is_empty());
        let start = wire::Any::pack(&event::TaskStart { container_id: "c".into(), pid: 7 }).into();
        assert_eq!(super::event(&start), r#"{"container_id":"c","pid":7}"#);
        assert!(super::event(&any("containerd.events.TaskStart", b"\x0a\xff")).contains("error"));
    }
}
