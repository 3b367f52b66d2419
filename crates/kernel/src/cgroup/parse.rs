//! Reading the kernel's small text formats; pure.

use std::path::PathBuf;

/// A line of `/proc/<pid>/cgroup`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnLine {
    /// Controllers or `name=…`; empty for version 2.
    pub controllers: Vec<String>,
    /// Path in the hierarchy.
    pub path: String,
}

/// A cgroup line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountLine {
    /// Controllers or `name=…`; empty for version 2.
    pub controllers: Vec<String>,
    /// Which directory of the hierarchy is mounted.
    pub root: String,
    /// Where.
    pub point: PathBuf,
}

/// Reads `/proc/<pid>/cgroup`.
pub(super) fn own_cgroups(text: &str) -> Vec<OwnLine> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let controllers = controllers.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        Some(OwnLine { controllers, path: path.to_owned() })
    };
    text.lines().filter_map(line).collect()
}

/// Reads the cgroup lines of `/proc/self/mountinfo`.
pub(super) fn cgroup_mounts(text: &str) -> Vec<MountLine> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let controllers = match right.next()? {
            "cgroup2" => Vec::new(),
            "cgroup" => v1_controllers(right.nth(1)?),
            _ => return None,
        };
        Some(MountLine { controllers, root: unescape(root), point: unescape(point).into() })
    };
    text.lines().filter_map(line).collect()
}

/// Controllers among the options of a version 1 mount.
fn v1_controllers(options: &str) -> Vec<String> {
    const NOT_CONTROLLERS: [&str; 8] = [
        "rw",
        "ro",
        "xattr",
        "clone_children",
        "noprefix",
        "cpuset_v2_mode",
        "favordynmods",
        "nofavordynmods",
    ];
    let is_controller = |o: &&str| !NOT_CONTROLLERS.contains(o) && !o.starts_with("release_agent=");
    options.split(',').filter(is_controller).map(str::to_owned).collect()
}

/// Undoes the octal escapes of the mount table.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        match rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A number; `max` is the largest there is.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

/// Lines of `key value`; others are left out.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once([' ', '='])?;
        Some((key, number(value)?))
    })
}

/// Words of `key=value`; others are left out.
pub(super) fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace().filter_map(|word| word.split_once('='))
}

/// `major:minor`.
pub(super) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A path below a hierarchy's root: no empty, `.` or `..` parts, no slashes around; `..` stops at the root.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_table() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:30 /docker/x /sys/fs/cgroup/sys\\040temd rw - cgroup systemd rw,xattr,release_agent=/x,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
        let line = |controllers: &[&str], root: &str, point: &str| MountLine {
            controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
            root: root.to_owned(),
            point: point.into(),
        };
        let expected = vec![
            line(&["cpu", "cpuacct"], "/", "/sys/fs/cgroup/cpu,cpuacct"),
            line(&["name=systemd"], "/docker/x", "/sys/fs/cgroup/sys temd"),
            line(&[], "/", "/sys/fs/cgroup/unified"),
        ];
        assert_eq!(cgroup_mounts(text), expected);
    }

    #[test]
    fn own_groups() {
        let lines = own_cgroups("5:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/c\nrubbish\n");
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[0].controllers.len(), lines[0].path.as_str()), (2, "/a:b"));
        assert_eq!(lines[1].controllers, ["name=systemd"]);
        assert_eq!((lines[2].controllers.len(), lines[2].path.as_str()), (0, "/c"));
    }

    #[test]
    fn cleaning_stays_below_the_root() {
        let table =
            [("/a/b", "a/b"), ("a//./b/", "a/b"), ("../../a", "a"), ("/a/../../b", "b"), ("", ""), ("/", "")];
        for (path, expected) in table {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn values() {
        assert_eq!(number("max\n"), Some(u64::MAX));
        assert_eq!(number("12\n"), Some(12));
        assert_eq!(number("x"), None);
        assert_eq!(device("8:16"), Some((8, 16)));
        assert_eq!(pairs("a 1\nb max\nc\nd x\n").collect::<Vec<_>>(), [("a", 1), ("b", u64::MAX)]);
        assert_eq!(words("8:0 r=1 w=2").collect::<Vec<_>>(), [("r", "1"), ("w", "2")]);
    }
}
