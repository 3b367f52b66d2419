//! One tar header: 512 bytes to an [`Entry`] and back.

use crate::error::{Error, Result};

/// The unit of tar, in bytes.
pub const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A regular file.
    #[default]
    Regular,
    /// A hard link to an entry's name.
    Link,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// Any other type flag.
    Other(u8),
}

impl Kind {
    /// The kind of a type flag byte.
    pub fn of(flag: u8) -> Kind {
        match flag {
            0 | b'0' => Kind::Regular,
            b'1' => Kind::Link,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => Kind::Other(other),
        }
    }

    /// The type flag byte.
    pub fn flag(self) -> u8 {
        match self {
            Kind::Regular => b'0',
            Kind::Link => b'1',
            Kind::Symlink => b'2',
            Kind::Char => b'3',
            Kind::Block => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
            Kind::Other(flag) => flag,
        }
    }

    /// Whether entries of this kind carry no data whatever their size field says.
    pub(crate) fn is_header_only(self) -> bool {
        !matches!(self, Kind::Regular | Kind::Other(_))
    }
}

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Seconds; may be negative.
    pub secs: i64,
    /// Nanoseconds, below one second.
    pub nanos: u32,
}

/// A run of data in a sparse file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// Everything a tar says about one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Name as written.
    pub path: Vec<u8>,
    /// Link target as written.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Size of the file in bytes (of a sparse file: with its holes).
    pub size: u64,
    /// Last change of content.
    pub mtime: Time,
    /// Last access, where written.
    pub atime: Option<Time>,
    /// Device numbers.
    pub major: u32,
    /// Device numbers.
    pub minor: u32,
    /// Extended attributes: name, value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data goes, if the file has holes.
    pub sparse: Option<Vec<Extent>>,
}

impl Entry {
    /// Empties it, keeping the allocations.
    pub(crate) fn clear(&mut self) {
        let mut path = std::mem::take(&mut self.path);
        let mut link = std::mem::take(&mut self.link);
        let mut xattrs = std::mem::take(&mut self.xattrs);
        path.clear();
        link.clear();
        xattrs.clear();
        *self = Entry { path, link, xattrs, ..Entry::default() };
    }
}

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const FLAG: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..263;
const VERSION: std::ops::Range<usize> = 263..265;
const MAJOR: std::ops::Range<usize> = 329..337;
const MINOR: std::ops::Range<usize> = 337..345;
const PREFIX: std::ops::Range<usize> = 345..500;
const GNU_ATIME: std::ops::Range<usize> = 345..357;
const STAR_PREFIX: std::ops::Range<usize> = 345..476;
const STAR_TRAILER: std::ops::Range<usize> = 508..512;

/// Longest name and link field.
pub(crate) const NAME_LEN: usize = 100;
/// Longest ustar prefix field.
pub(crate) const PREFIX_LEN: usize = 155;

/// Reads a header block into `entry` (which is cleared first).
pub(crate) fn parse(block: &[u8; BLOCK], entry: &mut Entry) -> Result<()> {
    check_sum(block)?;
    entry.clear();
    entry.path.extend_from_slice(text(&block[NAME]));
    entry.link.extend_from_slice(text(&block[LINK]));
    entry.kind = Kind::of(block[FLAG]);
    entry.mode = number(&block[MODE])? as u32 & 0o7777;
    entry.uid = unsigned(&block[UID])?;
    entry.gid = unsigned(&block[GID])?;
    entry.size = unsigned(&block[SIZE])?;
    entry.mtime = Time { secs: number(&block[MTIME])?, nanos: 0 };
    let ustar = &block[MAGIC] == b"ustar\0";
    let gnu = &block[MAGIC] == b"ustar " && &block[VERSION] == b" \0";
    if ustar || gnu {
        entry.major = unsigned(&block[MAJOR])? as u32;
        entry.minor = unsigned(&block[MINOR])? as u32;
    }
    if ustar {
        let star = &block[STAR_TRAILER] == b"tar\0";
        let prefix = text(if star { &block[STAR_PREFIX] } else { &block[PREFIX] });
        if !prefix.is_empty() {
            entry.path.splice(0..0, prefix.iter().copied().chain([b'/']));
        }
    } else if gnu && block[GNU_ATIME.start] != 0 {
        entry.atime = number(&block[GNU_ATIME]).ok().map(|secs| Time { secs, nanos: 0 });
    }
    if block[FLAG] == 0 && entry.path.ends_with(b"/") {
        entry.kind = Kind::Directory;
    }
    Ok(())
}

fn check_sum(block: &[u8; BLOCK]) -> Result<()> {
    let (unsigned, signed) = sums(block);
    let stored = number(&block[CHECKSUM])?;
    if stored == unsigned || stored == signed { Ok(()) } else { Err(Error::header("checksum")) }
}

fn sums(block: &[u8; BLOCK]) -> (i64, i64) {
    let mut unsigned = 0i64;
    let mut signed = 0i64;
    for (i, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&i) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    (unsigned, signed)
}

/// The bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    &field[..end]
}

fn unsigned(field: &[u8]) -> Result<u64> {
    u64::try_from(number(field)?).map_err(|_| Error::header("negative number"))
}

/// Octal text, or base-256 if the top bit is set.
fn number(field: &[u8]) -> Result<i64> {
    if field[0] & 0x80 != 0 {
        return base256(field);
    }
    let padding = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !padding(b)).unwrap_or(field.len());
    let digits = text(&field[start..]).trim_ascii_end();
    let mut value = 0i64;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return Err(Error::header("number"));
        }
        value = value << 3 | i64::from(digit - b'0');
    }
    Ok(value)
}

fn base256(field: &[u8]) -> Result<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (i, byte) in field.iter().enumerate() {
        let byte = if i == 0 { byte & 0x7f | if negative { 0x80 } else { 0 } } else { *byte };
        value = value << 8 | i128::from(byte);
        if i64::try_from(value).is_err() {
            return Err(Error::header("number too large"));
        }
    }
    Ok(value as i64)
}

/// The fields of a header block to be written; what does not fit is left zero or cut (PAX records carry it).
pub(crate) struct Fields<'a> {
    pub name: &'a [u8],
    pub prefix: &'a [u8],
    pub link: &'a [u8],
    pub flag: u8,
    pub mode: u64,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub mtime: i64,
    pub device: Option<(u32, u32)>,
}

/// Writes a ustar header block.
pub(crate) fn build(fields: &Fields<'_>) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    put_text(&mut block[NAME], fields.name);
    put_text(&mut block[LINK], fields.link);
    block[FLAG] = fields.flag;
    put_octal(&mut block[MODE], fields.mode);
    put_octal(&mut block[UID], fields.uid);
    put_octal(&mut block[GID], fields.gid);
    put_octal(&mut block[SIZE], fields.size);
    put_octal(&mut block[MTIME], u64::try_from(fields.mtime).unwrap_or(0));
    block[MAGIC].copy_from_slice(b"ustar\0");
    block[VERSION].copy_from_slice(b"00");
    if let Some((major, minor)) = fields.device {
        put_octal(&mut block[MAJOR], u64::from(major));
        put_octal(&mut block[MINOR], u64::from(minor));
    }
    put_text(&mut block[PREFIX], fields.prefix);
    let (sum, _) = sums(&block);
    put_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum as u64);
    block[CHECKSUM.end - 1] = b' ';
    block
}

/// Whether a value fits the octal field of `len` bytes (one is the terminator).
pub(crate) fn fits_octal(value: u64, len: usize) -> bool {
    value >> (3 * (len - 1)) == 0
}

fn put_text(field: &mut [u8], value: &[u8]) {
    let len = value.len().min(field.len());
    field[..len].copy_from_slice(&value[..len]);
}

fn put_octal(field: &mut [u8], value: u64) {
    let mut value = if fits_octal(value, field.len()) { value } else { 0 };
    let digits = field.len() - 1;
    for i in (0..digits).rev() {
        field[i] = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77777777)),
            (b"0000648\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x02\0\0\0\0\0\0\0", Some(2 << 56)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field).ok(), want, "{field:?}");
        }
    }

    #[test]
    fn a_built_block_is_read_back() {
        let fields = Fields {
            name: b"name",
            prefix: b"some/prefix",
            link: b"target",
            flag: b'3',
            mode: 0o4755,
            uid: 1000,
            gid: 0o7777777,
            size: 12,
            mtime: 1_700_000_000,
            device: Some((10, 229)),
        };
        let mut entry = Entry::default();
        parse(&build(&fields), &mut entry).unwrap();
        assert_eq!(entry.path, b"some/prefix/name");
        assert_eq!((entry.mode, entry.uid, entry.gid), (0o4755, 1000, 0o7777777));
        assert_eq!((entry.kind, entry.major, entry.minor), (Kind::Char, 10, 229));
        assert_eq!((entry.size, entry.mtime.secs), (12, 1_700_000_000));
        let mut damaged = build(&fields);
        damaged[0] ^= 1;
        assert!(parse(&damaged, &mut entry).is_err());
    }
}
