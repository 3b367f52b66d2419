//! Mount option words: what they set, clear, or hand on to the file system.

use rustix::io::Errno;

use super::attributes::{self as attr, Attributes};
use super::{Flags, Reach};
use crate::{KernelError, Result};

/// Whose words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// containerd's mounts: `loop`, `uidmap=`; no propagation words.
    Containerd,
    /// The runtime specification's: propagation words, recursive attributes, `tmpcopyup`, `idmap`.
    Oci,
}

/// Which ids an idmapped mount shifts, from containerd's `uidmap=` and `gidmap=`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMapping {
    /// `inside:outside:size`, several separated by commas.
    pub uids: String,
    /// The same for groups.
    pub gids: String,
}

/// Parsed options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `MS_…` flags.
    pub flags: Flags,
    /// `MS_…` flags that were taken away by name.
    pub cleared: Flags,
    /// Changes of propagation, in order.
    pub propagation: Vec<Flags>,
    /// Attributes for the whole tree (`rro`).
    pub recursive: Attributes<'static>,
    /// Words for the file system.
    pub data: Vec<String>,
    /// Fill the tmpfs with what it hides.
    pub copy_up: bool,
    /// The mount is idmapped: `idmap` for itself, `ridmap` for the tree.
    pub idmap: Option<Reach>,
    /// containerd's id mapping.
    pub id_mapping: Option<IdMapping>,
    /// The source is a file to attach to a loop device.
    pub loop_device: bool,
    /// That loop device goes past the page cache.
    pub direct_io: bool,
}

/// Words that set (`true`) or clear flags, in both dialects.
const WORDS: [(&str, bool, Flags); 25] = [
    ("async", false, libc::MS_SYNCHRONOUS),
    ("atime", false, libc::MS_NOATIME),
    ("bind", true, libc::MS_BIND),
    ("defaults", true, 0),
    ("dev", false, libc::MS_NODEV),
    ("diratime", false, libc::MS_NODIRATIME),
    ("dirsync", true, libc::MS_DIRSYNC),
    ("exec", false, libc::MS_NOEXEC),
    ("mand", true, libc::MS_MANDLOCK),
    ("noatime", true, libc::MS_NOATIME),
    ("nodev", true, libc::MS_NODEV),
    ("nodiratime", true, libc::MS_NODIRATIME),
    ("noexec", true, libc::MS_NOEXEC),
    ("nomand", false, libc::MS_MANDLOCK),
    ("norelatime", false, libc::MS_RELATIME),
    ("nostrictatime", false, libc::MS_STRICTATIME),
    ("nosuid", true, libc::MS_NOSUID),
    ("rbind", true, libc::MS_BIND | libc::MS_REC),
    ("relatime", true, libc::MS_RELATIME),
    ("remount", true, libc::MS_REMOUNT),
    ("ro", true, libc::MS_RDONLY),
    ("rw", false, libc::MS_RDONLY),
    ("strictatime", true, libc::MS_STRICTATIME),
    ("suid", false, libc::MS_NOSUID),
    ("sync", true, libc::MS_SYNCHRONOUS),
];

/// Words that only the runtime specification has.
const OCI_FLAGS: [(&str, bool, Flags); 8] = [
    ("iversion", true, libc::MS_I_VERSION),
    ("lazytime", true, libc::MS_LAZYTIME),
    ("loud", false, libc::MS_SILENT),
    ("noiversion", false, libc::MS_I_VERSION),
    ("nolazytime", false, libc::MS_LAZYTIME),
    ("nosymfollow", true, libc::MS_NOSYMFOLLOW),
    ("silent", true, libc::MS_SILENT),
    ("symfollow", false, libc::MS_NOSYMFOLLOW),
];

/// Words for how mounts below spread.
const SPREAD: [(&str, Flags); 8] = [
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
    ("shared", libc::MS_SHARED),
    ("slave", libc::MS_SLAVE),
    ("unbindable", libc::MS_UNBINDABLE),
];

/// Words for the whole tree: attributes to set, attributes to clear.
const RECURSIVE: [(&str, u64, u64); 18] = [
    ("ratime", 0, attr::NOATIME),
    ("rdev", 0, attr::NODEV),
    ("rdiratime", 0, attr::NODIRATIME),
    ("rexec", 0, attr::NOEXEC),
    ("rnoatime", attr::NOATIME, attr::ATIME),
    ("rnodev", attr::NODEV, 0),
    ("rnodiratime", attr::NODIRATIME, 0),
    ("rnoexec", attr::NOEXEC, 0),
    ("rnorelatime", 0, attr::ATIME),
    ("rnostrictatime", 0, attr::ATIME),
    ("rnosuid", attr::NOSUID, 0),
    ("rnosymfollow", attr::NOSYMFOLLOW, 0),
    ("rrelatime", 0, attr::ATIME),
    ("rro", attr::RDONLY, 0),
    ("rrw", 0, attr::RDONLY),
    ("rstrictatime", attr::STRICTATIME, attr::ATIME),
    ("rsuid", 0, attr::NOSUID),
    ("rsymfollow", 0, attr::NOSYMFOLLOW),
];

/// Every word the runtime specification's dialect understands, sorted.
pub const OCI_WORDS: [&str; 62] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

impl Options {
    /// Reads option words.
    pub fn parse(words: &[String], dialect: Dialect) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            let known = options.take_flag(&WORDS, word)
                || match dialect {
                    Dialect::Containerd => options.take_containerd(word)?,
                    Dialect::Oci => options.take_oci(word),
                };
            if !known {
                options.data.push(word.clone());
            }
        }
        Ok(options)
    }

    fn take_flag(&mut self, table: &[(&str, bool, Flags)], word: &str) -> bool {
        let Some((_, set, flags)) = table.iter().find(|entry| entry.0 == word) else { return false };
        if *set {
            self.flags |= flags;
            self.cleared &= !flags;
        } else {
            self.flags &= !flags;
            self.cleared |= flags;
        }
        true
    }

    fn take_containerd(&mut self, word: &str) -> Result<bool> {
        match word {
            "loop" => self.loop_device = true,
            "direct-io" => self.direct_io = true,
            _ if word.starts_with("X-containerd.") => {
                return Err(KernelError::new("mount option not understood", word, Errno::INVAL));
            }
            _ => {
                if let Some(uids) = word.strip_prefix("uidmap=") {
                    self.id_mapping.get_or_insert_default().uids = uids.to_owned();
                } else if let Some(gids) = word.strip_prefix("gidmap=") {
                    self.id_mapping.get_or_insert_default().gids = gids.to_owned();
                } else {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn take_oci(&mut self, word: &str) -> bool {
        if self.take_flag(&OCI_FLAGS, word) {
            return true;
        }
        if let Some((_, propagation)) = SPREAD.iter().find(|entry| entry.0 == word) {
            self.propagation.push(*propagation);
            return true;
        }
        if let Some((_, set, clear)) = RECURSIVE.iter().find(|entry| entry.0 == word) {
            self.recursive.set = self.recursive.set & !clear | set;
            self.recursive.clear = self.recursive.clear & !set | clear;
            self.recursive.reach = Reach::Tree;
            return true;
        }
        match word {
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(Reach::One),
            "ridmap" => self.idmap = Some(Reach::Tree),
            _ => return false,
        }
        true
    }
}

/// Flags by name for messages: `MS_BIND|MS_REC`.
pub fn flags_text(flags: Flags) -> String {
    const NAMES: [(Flags, &str); 22] = [
        (libc::MS_RDONLY, "MS_RDONLY"),
        (libc::MS_NOSUID, "MS_NOSUID"),
        (libc::MS_NODEV, "MS_NODEV"),
        (libc::MS_NOEXEC, "MS_NOEXEC"),
        (libc::MS_SYNCHRONOUS, "MS_SYNCHRONOUS"),
        (libc::MS_REMOUNT, "MS_REMOUNT"),
        (libc::MS_MANDLOCK, "MS_MANDLOCK"),
        (libc::MS_DIRSYNC, "MS_DIRSYNC"),
        (libc::MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"),
        (libc::MS_NOATIME, "MS_NOATIME"),
        (libc::MS_NODIRATIME, "MS_NODIRATIME"),
        (libc::MS_BIND, "MS_BIND"),
        (libc::MS_MOVE, "MS_MOVE"),
        (libc::MS_REC, "MS_REC"),
        (libc::MS_SILENT, "MS_SILENT"),
        (libc::MS_UNBINDABLE, "MS_UNBINDABLE"),
        (libc::MS_PRIVATE, "MS_PRIVATE"),
        (libc::MS_SLAVE, "MS_SLAVE"),
        (libc::MS_SHARED, "MS_SHARED"),
        (libc::MS_RELATIME, "MS_RELATIME"),
        (libc::MS_I_VERSION, "MS_I_VERSION"),
        (libc::MS_STRICTATIME, "MS_STRICTATIME"),
    ];
    let names: Vec<&str> = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    names.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str], dialect: Dialect) -> Options {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&words, dialect).unwrap()
    }

    #[test]
    fn words_set_clear_and_pass_on() {
        let options = parse(&["rbind", "ro", "rw", "noexec", "mode=755", "size=1m"], Dialect::Containerd);
        assert_eq!(options.flags, libc::MS_BIND | libc::MS_REC | libc::MS_NOEXEC);
        assert_eq!(options.cleared, libc::MS_RDONLY);
        assert_eq!(options.data, ["mode=755", "size=1m"]);
    }

    #[test]
    fn dialects_differ() {
        let options = parse(&["loop", "uidmap=0:1:2", "private"], Dialect::Containerd);
        assert!(options.loop_device && options.id_mapping.is_some());
        assert_eq!(options.data, ["private"]);
        let options = parse(&["loop", "private", "rslave", "rro", "tmpcopyup", "ridmap"], Dialect::Oci);
        assert_eq!(options.propagation, [libc::MS_PRIVATE, libc::MS_SLAVE | libc::MS_REC]);
        assert_eq!((options.data, options.recursive.set), (vec!["loop".to_owned()], attr::RDONLY));
        assert!(options.copy_up && options.idmap == Some(Reach::Tree));
        let refused = Options::parse(&["X-containerd.mkdir.path=/x".to_owned()], Dialect::Containerd);
        assert_eq!(refused.unwrap_err().errno(), Errno::INVAL);
    }

    #[test]
    fn the_list_of_words_is_complete_and_sorted() {
        assert!(OCI_WORDS.windows(2).all(|pair| pair[0] < pair[1]));
        for word in OCI_WORDS {
            assert!(parse(&[word], Dialect::Oci).data.is_empty(), "{word}");
        }
        let known = WORDS.len() + OCI_FLAGS.len() + SPREAD.len() + RECURSIVE.len() + 3;
        assert_eq!(known, OCI_WORDS.len());
    }
}
