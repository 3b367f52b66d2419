//! Which of several platforms a machine can run, and which it likes best.

use std::cmp::Ordering;

use crate::descriptor::Descriptor;
use crate::platform::Platform;

/// A preference order over platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// Everything matches, nothing is preferred.
    All,
    /// One of these, all alike.
    Any(Vec<Platform>),
    /// One of these, earlier ones preferred.
    Ordered(Vec<Platform>),
    /// Any CPU of this operating system; the inner order ranks them.
    OnlyOs(Vec<Platform>),
}

impl Matcher {
    /// This platform or what it can also run (`amd64` runs `386`), best first.
    pub fn only(platform: &Platform) -> Matcher {
        Matcher::Ordered(compatible(&platform.normalize()))
    }

    /// This platform and no other.
    pub fn only_strict(platform: &Platform) -> Matcher {
        Matcher::Ordered(vec![platform.normalize()])
    }

    /// Anything of this platform's operating system, what it can run first.
    pub fn only_os(platform: &Platform) -> Matcher {
        Matcher::OnlyOs(compatible(&platform.normalize()))
    }

    /// Any of these.
    pub fn any(platforms: &[Platform]) -> Matcher {
        Matcher::Any(platforms.iter().map(Platform::normalize).collect())
    }

    /// Any of these, earlier ones preferred.
    pub fn ordered(platforms: &[Platform]) -> Matcher {
        Matcher::Ordered(platforms.iter().map(Platform::normalize).collect())
    }

    /// Whether this platform may be used at all.
    pub fn matches(&self, platform: &Platform) -> bool {
        match self {
            Matcher::All => true,
            Matcher::Any(wanted) | Matcher::Ordered(wanted) => wanted.iter().any(|w| fits(w, platform)),
            Matcher::OnlyOs(wanted) => {
                let os = platform.normalize().os;
                wanted.first().is_some_and(|w| w.os == os)
            }
        }
    }

    /// `Less` if `a` is to be preferred to `b`. Use with a stable sort.
    pub fn compare(&self, a: &Platform, b: &Platform) -> Ordering {
        let ranked = match self {
            Matcher::All | Matcher::Any(_) => self.matches(b).cmp(&self.matches(a)),
            Matcher::Ordered(wanted) | Matcher::OnlyOs(wanted) => rank(wanted, a).cmp(&rank(wanted, b)),
        };
        ranked.then_with(|| b.os_features.len().cmp(&a.os_features.len()))
    }

    /// The matching descriptors, best first. One without a platform is kept (its config has to tell) but goes last.
    pub fn select<'d>(&self, descriptors: &'d [Descriptor]) -> Vec<&'d Descriptor> {
        let mut kept: Vec<&Descriptor> =
            descriptors.iter().filter(|d| d.platform.as_ref().is_none_or(|p| self.matches(p))).collect();
        kept.sort_by(|a, b| match (&a.platform, &b.platform) {
            (Some(a), Some(b)) => self.compare(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        kept
    }
}

/// Position of the first wanted platform that fits; the list's length if none does.
fn rank(wanted: &[Platform], platform: &Platform) -> usize {
    wanted.iter().position(|w| fits(w, platform)).unwrap_or(wanted.len())
}

/// Whether an image for `platform` runs on the (normalised) machine `machine`.
fn fits(machine: &Platform, platform: &Platform) -> bool {
    let platform = platform.normalize();
    machine.os == platform.os
        && machine.architecture == platform.architecture
        && machine.variant == platform.variant
        && platform.os_features.iter().all(|f| machine.os_features.contains(f))
        && (machine.os != "windows" || version_fits(&machine.os_version, &platform.os_version))
}

/// Windows images fit a host of the same build (first three numbers); unknown versions fit.
fn version_fits(host: &str, image: &str) -> bool {
    let build = |v: &str| v.split('.').take(3).map(str::to_owned).collect::<Vec<_>>();
    host.is_empty() || image.is_empty() || build(host) == build(image)
}

/// The highest variants there are; requests may name others, and every lower one becomes a platform.
const AMD64: u32 = 4;
const ARM: u32 = 8;
const MINOR: u32 = 9;

/// Everything a machine runs, in canonical words, best first.
fn compatible(host: &Platform) -> Vec<Platform> {
    let like = |architecture: &str, variant: String| {
        Platform { architecture: architecture.into(), variant, ..host.clone() }.normalize()
    };
    let arm = |from: u32| (5..=from).rev().map(|n| like("arm", format!("v{n}"))).collect::<Vec<_>>();
    let mut vector = vec![host.clone()];
    let number = host.variant.trim_start_matches('v').parse::<u32>().ok();
    let number = |most: u32| number.map(|number| number.min(most + 1));
    match host.architecture.as_str() {
        "amd64" => {
            let below = number(AMD64).unwrap_or(1);
            vector.extend((1..below).rev().map(|n| like("amd64", format!("v{n}"))));
            vector.push(like("386", String::new()));
        }
        "arm" => vector.extend(arm(number(ARM).unwrap_or(0).saturating_sub(1))),
        "arm64" => {
            vector.extend(arm64_below(&host.variant).into_iter().map(|v| like("arm64", v)));
            vector.extend(arm(ARM));
        }
        _ => {}
    }
    vector
}

/// The ARMv8 and v9 variants that a CPU of this variant also runs, best first: v9.n contains v8.(n+5).
fn arm64_below(variant: &str) -> Vec<String> {
    let (major, minor) = match variant.trim_start_matches('v').split_once('.') {
        Some((major, minor)) => (major, minor.parse().map_or(0, |minor: u32| minor.min(MINOR))),
        None => (variant.trim_start_matches('v'), 0),
    };
    let v8 = |top: u32| (0..=top).rev().map(|n| if n == 0 { "v8".into() } else { format!("v8.{n}") });
    match (major, minor) {
        ("9", minor) => {
            let v9 = (0..minor).rev().map(|n| if n == 0 { "v9".to_string() } else { format!("v9.{n}") });
            v9.chain(v8(minor + 5)).collect()
        }
        ("8", minor) if minor > 0 => v8(minor - 1).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::OCI_MANIFEST;

    fn parse(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    fn order(matcher: &Matcher) -> Vec<String> {
        match matcher {
            Matcher::Ordered(list) => list.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_a_machine_runs() {
        for (host, want) in [
            ("linux/amd64", "linux/amd64 linux/386"),
            ("linux/amd64/v3", "linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386"),
            ("linux/arm/v7", "linux/arm/v7 linux/arm/v6 linux/arm/v5"),
            ("linux/arm64", "linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5"),
            (
                "linux/arm64/v8.2",
                "linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5",
            ),
            ("linux/s390x", "linux/s390x"),
            (
                "linux/arm/v4000000000",
                "linux/arm/v4000000000 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5",
            ),
            (
                "linux/amd64/v4000000000",
                "linux/amd64/v4000000000 linux/amd64/v4 linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386",
            ),
        ] {
            assert_eq!(order(&Matcher::only(&parse(host))).join(" "), want, "{host}");
        }
        let v9 = order(&Matcher::only(&parse("linux/arm64/v9.1"))).join(" ");
        assert!(v9.starts_with("linux/arm64/v9.1 linux/arm64/v9 linux/arm64/v8.6 linux/arm64/v8.5"), "{v9}");
        for variant in ["v9.4000000000", "v8.4000000000"] {
            assert!(order(&Matcher::only(&parse(&format!("linux/arm64/{variant}")))).len() < 40, "{variant}");
        }
    }

    #[test]
    fn matching() {
        let amd64 = Matcher::only(&parse("linux/amd64"));
        for (matcher, platform, want) in [
            (&amd64, "linux/amd64", true),
            (&amd64, "linux/386", true),
            (&amd64, "linux/amd64/v2", false),
            (&amd64, "linux/arm64", false),
            (&amd64, "windows/amd64", false),
            (&amd64, "linux(+erofs)/amd64", false),
            (&Matcher::only_strict(&parse("linux/amd64")), "linux/386", false),
            (&Matcher::only(&parse("linux(+erofs)/amd64")), "linux(+erofs)/amd64", true),
            (&Matcher::only_os(&parse("linux/amd64")), "linux/s390x", true),
            (&Matcher::only_os(&parse("linux/amd64")), "windows/amd64", false),
            (&Matcher::All, "plan9/386", true),
            (&Matcher::any(&[parse("linux/arm64/v8")]), "linux/aarch64", true),
            (&Matcher::only(&parse("windows(10.0.17763.5)/amd64")), "windows(10.0.17763.9)/amd64", true),
            (&Matcher::only(&parse("windows(10.0.17763.5)/amd64")), "windows(10.0.20348.1)/amd64", false),
        ] {
            assert_eq!(matcher.matches(&parse(platform)), want, "{matcher:?} {platform}");
        }
    }

    #[test]
    fn the_best_comes_first_and_equals_keep_their_place() {
        let entry = |text: &str, n: &str| Descriptor {
            platform: (!text.is_empty()).then(|| parse(text)),
            ..Descriptor::of(OCI_MANIFEST, n.as_bytes())
        };
        let list = [
            entry("", "1"),
            entry("linux/386", "2"),
            entry("linux/amd64", "3"),
            entry("linux/arm64", "4"),
            entry("linux/amd64", "5"),
        ];
        let picked: Vec<_> = Matcher::only(&parse("linux/amd64")).select(&list).into_iter().collect();
        assert_eq!(picked, [&list[2], &list[4], &list[1], &list[0]]);
        let both = Matcher::ordered(&[parse("linux/arm64"), parse("linux/amd64")]);
        assert_eq!(both.select(&list)[0], &list[3]);
    }

    #[test]
    fn more_features_win_a_tie() {
        let host = Matcher::only(&parse("linux(+erofs)/amd64"));
        let order = host.compare(&parse("linux(+erofs)/amd64"), &parse("linux/amd64"));
        assert_eq!(order, Ordering::Less);
    }
}
