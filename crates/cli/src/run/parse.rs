//! The little languages of flags.

use anyhow::{Context as _, Result, bail, ensure};
use oci::runtime::{LinuxIdMapping, LinuxSeccomp, Mount};
use std::path::Path;

/// `type=TYPE,src=SOURCE,dst=DESTINATION,options=a:b`
pub fn mount(text: &str) -> Result<Mount> {
    let mut mount = Mount::default();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("type", value)) => mount.kind = value.into(),
            Some(("src" | "source", value)) => mount.source = value.into(),
            Some(("dst" | "destination", value)) => mount.destination = value.into(),
            Some(("options", value)) => mount.options = value.split(':').map(String::from).collect(),
            _ => bail!("--mount {text:?}: {part:?} is not one of type=, src=, dst=, options="),
        }
    }
    ensure!(!mount.destination.is_empty(), "--mount {text:?} has no dst=");
    Ok(mount)
}

/// `TYPE:PATH`
pub fn namespace(text: &str) -> Result<(String, String)> {
    let (kind, path) =
        text.split_once(':').with_context(|| format!("--with-ns {text:?} is not TYPE:PATH"))?;
    let known = ["pid", "network", "uts", "mount", "user", "ipc", "cgroup"];
    ensure!(known.contains(&kind), "--with-ns {text:?}: the type is not one of {}", known.join(", "));
    Ok((kind.into(), path.into()))
}

/// `CONTAINER:HOST:SIZE`
pub fn id_mapping(text: &str) -> Result<LinuxIdMapping> {
    let numbers: Vec<u32> = text
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("id mapping {text:?}"))?;
    match numbers[..] {
        [container_id, host_id, size] => Ok(LinuxIdMapping { container_id, host_id, size }),
        _ => bail!("id mapping {text:?} is not CONTAINER:HOST:SIZE"),
    }
}

/// The lines of a file of environment, without empty ones and comments.
pub fn env_file(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect())
}

/// A seccomp profile in a JSON file.
pub fn seccomp(path: &Path) -> Result<LinuxSeccomp> {
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("seccomp profile {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_mappings_and_namespaces() {
        let parsed = mount("type=bind,src=/a,dst=/b,options=rbind:ro").expect("mount");
        assert_eq!((parsed.kind.as_str(), parsed.source.as_str()), ("bind", "/a"));
        assert_eq!((parsed.destination.as_str(), parsed.options.len()), ("/b", 2));
        for text in ["type=bind,src=/a", "nonsense", "dst=/b,colour=red"] {
            assert!(mount(text).is_err(), "{text}");
        }
        assert_eq!(id_mapping("0:1000:10").expect("mapping").host_id, 1000);
        for text in ["0:1000", "0:a:1", "0:1:2:3"] {
            assert!(id_mapping(text).is_err(), "{text}");
        }
        assert!(namespace("network:/proc/1/ns/net").is_ok());
        assert!(namespace("net:/x").is_err() && namespace("network").is_err());
    }
}
