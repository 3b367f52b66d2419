//! A small ustar writer, so that test images owe nothing to the product's own tar code.
//!
//! Absent on purpose: long names, PAX, sparse files. Names are at most 100 bytes.

/// What one entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A regular file with its bytes.
    File(&'a [u8]),
    /// A directory.
    Dir,
    /// A symbolic link and what it says.
    Symlink(&'a str),
    /// A hard link to an entry written before.
    Hardlink(&'a str),
    /// A character device, major and minor.
    Char(u32, u32),
}

/// A tar stream in memory.
#[derive(Debug, Clone, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// One entry owned by root; `mode` as for `chmod`.
    pub fn add(mut self, name: &str, mode: u32, entry: Entry<'_>) -> Self {
        assert!(name.len() <= 100, "name over 100 bytes: {name}");
        let (kind, link, data): (u8, &str, &[u8]) = match entry {
            Entry::File(data) => (b'0', "", data),
            Entry::Hardlink(to) => (b'1', to, &[]),
            Entry::Symlink(to) => (b'2', to, &[]),
            Entry::Char(..) => (b'3', "", &[]),
            Entry::Dir => (b'5', "", &[]),
        };
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        octal(&mut header[100..108], u64::from(mode));
        octal(&mut header[108..116], 0);
        octal(&mut header[116..124], 0);
        octal(&mut header[124..136], data.len() as u64);
        octal(&mut header[136..148], 1_700_000_000);
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        if let Entry::Char(major, minor) = entry {
            octal(&mut header[329..337], u64::from(major));
            octal(&mut header[337..345], u64::from(minor));
        }
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|b| u64::from(*b)).sum();
        octal(&mut header[148..155], sum);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// A regular file.
    pub fn file(self, name: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        self.add(name, mode, Entry::File(data.as_ref()))
    }

    /// A directory with mode 0755.
    pub fn dir(self, name: &str) -> Self {
        self.add(name, 0o755, Entry::Dir)
    }

    /// A symbolic link.
    pub fn symlink(self, name: &str, to: &str) -> Self {
        self.add(name, 0o777, Entry::Symlink(to))
    }

    /// The finished stream.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}

fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The judge is the machine's own `tar`.
    #[test]
    fn the_systems_tar_reads_it() {
        let tar = Tar::new().dir("etc").file("etc/name", 0o640, "value\n").symlink("link", "etc/name");
        let tar = tar.add("hard", 0o644, Entry::Hardlink("etc/name")).add("null", 0o666, Entry::Char(1, 3));
        let listed =
            crate::Program::new("tar").args(["-tvf", "-"]).stdin(tar.finish()).succeed().expect("tar -t");
        let lines = listed.lines();
        assert_eq!(lines.len(), 5, "{listed}");
        for (line, wanted) in lines.iter().zip([
            ["drwxr-xr-x", "etc"],
            ["-rw-r-----", "etc/name"],
            ["lrwxrwxrwx", "link -> etc/name"],
            ["hrw-r--r--", "hard link to etc/name"],
            ["crw-rw-rw-", "1,3"],
        ]) {
            assert!(wanted.iter().all(|w| line.contains(w)), "{line:?} lacks {wanted:?}");
        }
    }
}
