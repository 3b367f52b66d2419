//! Platforms: which machine an image runs on, written `os[(version+feature…)]/arch[/variant]`.
//!
//! Not here: finding out the host's CPU variant by reading a file; [`variant_from_cpuinfo`] takes the text.
//! Matching and preference: [`crate::matcher`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::null_default;

/// Why a text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{specifier:?}: {reason}")]
pub struct PlatformError {
    /// The text.
    pub specifier: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A machine that can run an image. The empty platform means: any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in Go's words: `amd64`, `arm64`, …
    #[serde(default, deserialize_with = "null_default")]
    pub architecture: String,
    /// Operating system in Go's words: `linux`, …
    #[serde(default, deserialize_with = "null_default")]
    pub os: String,
    /// Version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// What the operating system must be able to do.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Variant of the CPU: `v7`, …
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

const KNOWN_OS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const KNOWN_ARCH: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// A platform of these three words as they stand.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Platform {
        Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.into(),
            ..Platform::default()
        }
    }

    /// The machine this program was built for, with the CPU variant found by the caller (may be empty).
    pub fn host(variant: &str) -> Platform {
        Platform::new("linux", host_architecture(), variant).normalize()
    }

    /// Parses a specifier; a missing half is the host's.
    pub fn parse(specifier: &str) -> Result<Platform, PlatformError> {
        let fail = |reason: &str| PlatformError { specifier: specifier.into(), reason: reason.into() };
        if specifier.contains('*') {
            return Err(fail("wildcards not yet supported: invalid argument"));
        }
        let parts: Vec<&str> = specifier.split('/').collect();
        if parts.len() > 3 {
            return Err(fail("cannot parse platform specifier: invalid argument"));
        }
        let (os, os_version, os_features) = split_os(parts[0])
            .ok_or_else(|| fail(&format!("{:?} is an invalid OS component: invalid argument", parts[0])))?;
        for part in &parts[1..] {
            if !is_component(part) {
                return Err(fail(&format!("{part:?} is an invalid component: invalid argument")));
            }
        }
        let word = os.to_lowercase();
        let os = normalize_os(&word);
        let platform = match parts.as_slice() {
            [_] if KNOWN_OS.contains(&os.as_str()) => {
                Platform { os, os_version, os_features, ..Platform::new("", host_architecture(), "") }
            }
            [_] => {
                let (architecture, variant) = normalize_arch(&word, "");
                if !KNOWN_ARCH.contains(&architecture.as_str()) {
                    return Err(fail("unknown operating system or architecture: invalid argument"));
                }
                Platform::new("linux", &architecture, &variant)
            }
            [_, arch] => {
                let (architecture, mut variant) = normalize_arch(arch, "");
                if architecture == "arm" && variant == "v7" {
                    variant.clear();
                }
                Platform { os, os_version, os_features, architecture, variant }
            }
            [_, arch, variant, ..] => {
                let (architecture, mut variant) = normalize_arch(arch, variant);
                if architecture == "arm64" && variant.is_empty() {
                    variant = "v8".into();
                }
                Platform { os, os_version, os_features, architecture, variant }
            }
            [] => return Err(fail("cannot parse platform specifier: invalid argument")),
        };
        Ok(platform)
    }

    /// The same platform in canonical words.
    pub fn normalize(&self) -> Platform {
        let (architecture, variant) = normalize_arch(&self.architecture, &self.variant);
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Platform {
            os: normalize_os(&self.os),
            architecture,
            variant,
            os_version: self.os_version.clone(),
            os_features,
        }
    }

    /// Everything in one text: `os(version+feature)/arch/variant`, percent-encoded where needed.
    pub fn format_all(&self) -> String {
        if self.os.is_empty() {
            return "unknown".into();
        }
        let mut os = self.os.clone();
        if !self.os_version.is_empty() || !self.os_features.is_empty() {
            os.push('(');
            os.push_str(&percent_encode(&self.os_version));
            for feature in &self.os_features {
                os.push('+');
                os.push_str(&percent_encode(feature));
            }
            os.push(')');
        }
        self.join(&os)
    }

    fn join(&self, os: &str) -> String {
        let words = [os, &self.architecture, &self.variant];
        words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join("/")
    }
}

/// `os/arch[/variant]`; `unknown` without an operating system.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.join(&self.os))
    }
}

impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        Platform::parse(text)
    }
}

/// The variant of an ARM CPU, from the text of `/proc/cpuinfo`; empty where variants mean nothing.
pub fn variant_from_cpuinfo(cpuinfo: &str) -> String {
    if !matches!(host_architecture(), "arm" | "arm64") {
        return String::new();
    }
    let line = cpuinfo.lines().find(|l| l.starts_with("CPU architecture"));
    let word = line.and_then(|l| l.split_once(':')).map_or("", |(_, v)| v.trim());
    match word.to_lowercase().as_str() {
        "8" | "aarch64" => "v8".into(),
        "7" | "7m" | "?(12)" | "?(13)" | "?(14)" | "?(15)" | "?(16)" | "?(17)" => "v7".into(),
        "6" | "6tej" => "v6".into(),
        "5" | "5t" | "5te" | "5tej" => "v5".into(),
        "4" | "4t" => "v4".into(),
        "3" => "v3".into(),
        _ => String::new(),
    }
}

fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// `os(version+feature+feature)` → the three.
fn split_os(text: &str) -> Option<(String, String, Vec<String>)> {
    let (os, inside) = match text.split_once('(') {
        None => (text, None),
        Some((os, rest)) => (os, Some(rest.strip_suffix(')')?)),
    };
    if !is_component(os) {
        return None;
    }
    let mut words = inside.unwrap_or_default().split('+');
    let version = words.next().unwrap_or_default();
    let is_option = |w: &str| w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.%-".contains(&b));
    let features: Vec<&str> = words.collect();
    if !is_option(version) || features.iter().any(|f| f.is_empty() || !is_option(f)) {
        return None;
    }
    let features = features.into_iter().map(percent_decode).collect::<Option<Vec<_>>>()?;
    Some((os.into(), percent_decode(version)?, features))
}

fn is_component(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn normalize_os(os: &str) -> String {
    match os.to_lowercase().as_str() {
        "" => "linux".into(),
        "macos" => "darwin".into(),
        other => other.into(),
    }
}

fn normalize_arch(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
    let (a, v) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        (a, v) => (a, v),
    };
    (a.into(), v.into())
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' | '+' | '(' | ')' | '/' => out.push_str(&format!("%{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'%' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
        out.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers() {
        let host = host_architecture();
        for (text, want) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm", "linux/arm"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf", "linux/arm"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/arm64/9", "linux/arm64/v9"),
            ("macOS/arm64", "darwin/arm64"),
            ("arm64", "linux/arm64"),
            ("i386", "linux/386"),
            ("windows(10.0.17763)/amd64", "windows/amd64"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), want, "{text}");
        }
        assert_eq!(Platform::parse("freebsd").unwrap().to_string(), format!("freebsd/{host}"));
    }

    #[test]
    fn specifiers_that_are_none() {
        for text in
            ["", "*", "linux/*", "notaplatform", "a/b/c/d", "linux//v7", "linux(", "linux(+)", "li nux/amd64"]
        {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.ends_with("invalid argument") && error.starts_with('"'), "{text}: {error}");
        }
    }

    #[test]
    fn format_all_round_trips() {
        for text in
            ["windows(10.0.1)/amd64", "linux(+erofs+a%2Fb)/arm64/v9", "linux(1%2B2)/amd64", "linux/s390x"]
        {
            assert_eq!(Platform::parse(text).unwrap().format_all(), text);
        }
        assert_eq!(Platform::default().to_string(), "unknown");
    }

    #[test]
    fn the_host_is_known() {
        assert!(KNOWN_ARCH.contains(&Platform::host("").architecture.as_str()));
    }
}
