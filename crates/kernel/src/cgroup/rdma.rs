//! RDMA limits and counters: the files are the same in both versions.

use std::collections::BTreeMap;

use super::Cgroup;
use super::error::Result;
use super::file::Node;
use super::parse;
use super::resources::Rdma;
use super::stats::{RdmaEntry, RdmaStat};

/// Writes the limits.
pub(super) fn rdma(group: &Cgroup, limits: &BTreeMap<String, Rdma>) -> Result<()> {
    limits
        .iter()
        .try_for_each(|(device, limit)| group.limiting("rdma")?.write("rdma.max", &line(device, limit)))
}

fn line(device: &str, limit: &Rdma) -> String {
    let mut line = device.to_owned();
    for (key, value) in [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)] {
        if let Some(value) = value {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    line
}

/// Reads the counters; `None` without the controller.
pub(super) fn stats(node: &Node) -> Option<RdmaStat> {
    let current = node.try_read("rdma.current").ok()?;
    let limit = node.try_read("rdma.max").unwrap_or_default();
    Some(RdmaStat { current: entries(&current), limit: entries(&limit) })
}

fn entries(text: &str) -> Vec<RdmaEntry> {
    let entry = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let value = |key| {
            let (_, text) = parse::words(rest).find(|(word, _)| *word == key)?;
            Some(u32::try_from(parse::number(text)?).unwrap_or(u32::MAX))
        };
        Some(RdmaEntry {
            device: device.to_owned(),
            hca_handles: value("hca_handle").unwrap_or(0),
            hca_objects: value("hca_object").unwrap_or(0),
        })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        let of = |device: &str, hca_handles, hca_objects| RdmaEntry {
            device: device.to_owned(),
            hca_handles,
            hca_objects,
        };
        let text = "mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=max\n";
        assert_eq!(entries(text), [of("mlx4_0", 2, 2000), of("ocrdma1", 3, u32::MAX)]);
        assert_eq!(line("x", &Rdma { hca_handles: Some(2), hca_objects: None }), "x hca_handle=2");
    }
}
