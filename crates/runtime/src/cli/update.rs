//! `update`: new limits for a container.

use std::io::Read;
use std::str::FromStr;

use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::arguments::{Count, Flag, Order, Parsed};
use super::{Failure, Globals, Outcome, Verb};

pub(super) const UPDATE: Verb = Verb {
    name: "update",
    usage: "[command options] <container-id>",
    about: "update container resource constraints",
    flags: &[
        Flag::value(&["resources", "r"], "file with the resources as JSON, '-' for the standard input"),
        Flag::value(&["blkio-weight"], "block weight, 10 to 1000"),
        Flag::value(&["cpu-period"], "CPU period in microseconds"),
        Flag::value(&["cpu-quota"], "CPU microseconds in a period"),
        Flag::value(&["cpu-burst"], "CPU microseconds that may be saved up"),
        Flag::value(&["cpu-share"], "CPU shares (relative weight vs. other containers)"),
        Flag::value(&["cpu-rt-period"], "realtime period in microseconds"),
        Flag::value(&["cpu-rt-runtime"], "realtime microseconds in a period"),
        Flag::value(&["cpuset-cpus"], "CPU(s) to use"),
        Flag::value(&["cpuset-mems"], "memory node(s) to use"),
        Flag::value(&["cpu-idle"], "1 makes all processes idle-class"),
        Flag::value(&["memory"], "memory limit in bytes"),
        Flag::value(&["memory-reservation"], "soft limit in bytes"),
        Flag::value(&["memory-swap"], "limit of memory and swap in bytes, '-1' for none"),
        Flag::value(&["pids-limit"], "most processes"),
        Flag::value(&["l3-cache-schema"], "not supported"),
        Flag::value(&["mem-bw-schema"], "not supported"),
        Flag::value(&["kernel-memory"], "accepted and ignored"),
        Flag::value(&["kernel-memory-tcp"], "accepted and ignored"),
    ],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: update,
};

fn update(globals: &Globals, parsed: Parsed) -> Outcome {
    for name in ["l3-cache-schema", "mem-bw-schema"] {
        if parsed.value(name).is_some_and(|value| !value.is_empty()) {
            return Err(Failure::new(format!("--{name} is not supported: no Intel RDT")));
        }
    }
    let resources = match parsed.value("resources") {
        None | Some("") => from_flags(&parsed)?,
        Some("-") => read(std::io::stdin().lock())?,
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|e| Failure::new(format!("open {path}: {e}")))?;
            read(file)?
        }
    };
    crate::update(&globals.root, parsed.word(0), &resources)?;
    Ok(0)
}

fn read(mut from: impl Read) -> Result<LinuxResources, Failure> {
    let mut text = Vec::new();
    from.read_to_end(&mut text).map_err(|e| Failure::new(format!("read resources: {e}")))?;
    serde_json::from_slice(&text).map_err(|e| Failure::new(format!("parse resources: {e}")))
}

fn from_flags(parsed: &Parsed) -> Result<LinuxResources, Failure> {
    let text = |name: &'static str| parsed.value(name).unwrap_or_default().to_owned();
    Ok(LinuxResources {
        memory: Some(LinuxMemory {
            limit: bytes(parsed, "memory")?,
            reservation: bytes(parsed, "memory-reservation")?,
            swap: bytes(parsed, "memory-swap")?,
            ..LinuxMemory::default()
        }),
        cpu: Some(LinuxCpu {
            shares: number(parsed, "cpu-share")?,
            quota: number(parsed, "cpu-quota")?,
            burst: number(parsed, "cpu-burst")?,
            period: number(parsed, "cpu-period")?,
            realtime_runtime: number(parsed, "cpu-rt-runtime")?,
            realtime_period: number(parsed, "cpu-rt-period")?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
            idle: number(parsed, "cpu-idle")?,
        }),
        pids: number(parsed, "pids-limit")?.map(|limit| LinuxPids { limit: Some(limit) }),
        block_io: number(parsed, "blkio-weight")?
            .map(|weight| LinuxBlockIo { weight: Some(weight), ..LinuxBlockIo::default() }),
        ..LinuxResources::default()
    })
}

fn invalid(name: &str, value: &str) -> Failure {
    Failure::new(format!("invalid value for {name}: {value:?}"))
}

fn number<T: FromStr>(parsed: &Parsed, name: &'static str) -> Result<Option<T>, Failure> {
    let value = parsed.value(name).filter(|value| !value.is_empty());
    value.map(|value| value.parse().map_err(|_| invalid(name, value))).transpose()
}

fn bytes(parsed: &Parsed, name: &'static str) -> Result<Option<i64>, Failure> {
    let value = parsed.value(name).filter(|value| !value.is_empty());
    value.map(|value| parse_bytes(value).ok_or_else(|| invalid(name, value))).transpose()
}

/// A number of bytes, also as `64m` or `1.5GiB`, in powers of 1024; -1 for no limit.
fn parse_bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let shift = match unit.strip_suffix('i').unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    match digits.parse::<i64>() {
        Ok(whole) => whole.checked_mul(1 << shift),
        Err(_) => Some((digits.parse::<f64>().ok()? * f64::from(2_u32).powi(shift)) as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let table = [
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("2KiB", Some(2048)),
            ("1.5 g", Some(3 << 29)),
            ("12x", None),
            ("m", None),
            ("-2", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
