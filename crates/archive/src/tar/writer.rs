//! Writes tar entries: ustar blocks, and PAX records where a value does not fit.
//!
//! The bytes depend on the entries alone, and are those that other image tools write for the same tree, so digests of
//! layers agree.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crate::error::{Error, Result};
use crate::tar::header::{self, BLOCK, Entry, Fields, Kind, NAME_LEN, PREFIX_LEN};
use crate::tar::pax;

/// A tar stream being written.
pub struct Writer<W> {
    inner: W,
    left: u64,
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// Writes to the stream's present position.
    pub fn new(inner: W) -> Writer<W> {
        Writer { inner, left: 0, padding: 0 }
    }

    /// Writes an entry without data, or with the data that `data` gives: exactly `entry.size` bytes.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        self.begin(entry)?;
        let copied = copy(data, &mut self.inner, self.left).map_err(Error::Stream)?;
        if copied < self.left {
            return Err(Error::Stream(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left = 0;
        self.pad()
    }

    /// Writes an entry whose data is in memory.
    pub fn append_bytes(&mut self, entry: &Entry, mut data: &[u8]) -> Result<()> {
        self.append(entry, &mut data)
    }

    /// Ends the archive and gives the stream back.
    pub fn finish(mut self) -> Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK]).map_err(Error::Stream)?;
        Ok(self.inner)
    }

    fn begin(&mut self, entry: &Entry) -> Result<()> {
        let size = if entry.kind.is_header_only() { 0 } else { entry.size };
        let mut fields = Fields {
            name: &entry.path,
            prefix: b"",
            link: &entry.link,
            flag: entry.kind.flag(),
            mode: u64::from(entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            size,
            mtime: entry.mtime.secs,
            device: Some((entry.major, entry.minor)),
        };
        let records = records(entry, size);
        let split = split_name(&entry.path);
        let only_long_name = records.keys().eq([&b"path"[..]]);
        if let (Some((prefix, name)), true) = (split, only_long_name) {
            (fields.prefix, fields.name) = (prefix, name);
            self.put(&header::build(&fields))?;
        } else if records.is_empty() {
            self.put(&header::build(&fields))?;
        } else {
            self.put_records(&entry.path, &records)?;
            let (name, link) = (ascii(&entry.path), ascii(&entry.link));
            (fields.name, fields.link) = (&name, &link);
            self.put(&header::build(&fields))?;
        }
        self.left = size;
        self.padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        Ok(())
    }

    fn put_records(&mut self, path: &[u8], records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<()> {
        let mut bytes = Vec::new();
        for (key, value) in records {
            pax::push_record(&mut bytes, key, value);
        }
        let name = record_name(path);
        let fields = Fields {
            name: &name,
            prefix: b"",
            link: b"",
            flag: b'x',
            mode: 0,
            uid: 0,
            gid: 0,
            size: bytes.len() as u64,
            mtime: 0,
            device: None,
        };
        self.put(&header::build(&fields))?;
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        self.put(&bytes)
    }

    fn pad(&mut self) -> Result<()> {
        let padding = std::mem::take(&mut self.padding);
        self.put(&[0; BLOCK][..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(Error::Stream)
    }
}

/// Copies at most `len` bytes; returns how many.
fn copy(from: &mut dyn Read, to: &mut dyn Write, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; len.min(256 << 10) as usize];
    let mut copied = 0;
    while copied < len {
        let want = (len - copied).min(buffer.len() as u64) as usize;
        let got = match from.read(&mut buffer[..want]) {
            Ok(0) => break,
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        to.write_all(&buffer[..got])?;
        copied += got as u64;
    }
    Ok(copied)
}

/// What the plain fields cannot say.
fn records(entry: &Entry, size: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut records = BTreeMap::new();
    let unfit = |text: &[u8]| text.len() > NAME_LEN || !text.is_ascii();
    if unfit(&entry.path) {
        records.insert(b"path".to_vec(), entry.path.clone());
    }
    if unfit(&entry.link) {
        records.insert(b"linkpath".to_vec(), entry.link.clone());
    }
    for (key, value, len) in [(&b"uid"[..], entry.uid, 8), (b"gid", entry.gid, 8), (b"size", size, 12)] {
        if !header::fits_octal(value, len) {
            records.insert(key.to_vec(), value.to_string().into_bytes());
        }
    }
    let time = entry.mtime;
    if time.nanos != 0 || time.secs < 0 || !header::fits_octal(time.secs as u64, 12) {
        records.insert(b"mtime".to_vec(), time_text(time).into_bytes());
    }
    for (name, value) in &entry.xattrs {
        records.insert([pax::XATTR, name].concat(), value.clone());
    }
    records
}

/// Seconds with a fraction, without trailing zeros.
fn time_text(time: header::Time) -> String {
    if time.nanos == 0 {
        return time.secs.to_string();
    }
    let (sign, secs, nanos) = if time.secs < 0 {
        ("-", -(time.secs + 1), 1_000_000_000 - time.nanos)
    } else {
        ("", time.secs, time.nanos)
    };
    format!("{sign}{secs}.{nanos:09}").trim_end_matches('0').to_string()
}

/// Splits a long name at a slash so that it fits ustar's prefix and name fields.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_LEN || !name.is_ascii() {
        return None;
    }
    let window = if name.len() > PREFIX_LEN + 1 {
        PREFIX_LEN + 1
    } else if name.ends_with(b"/") {
        name.len() - 1
    } else {
        name.len()
    };
    let slash = name[..window].iter().rposition(|b| *b == b'/')?;
    let rest = name.len() - slash - 1;
    (slash > 0 && rest > 0 && rest <= NAME_LEN).then(|| (&name[..slash], &name[slash + 1..]))
}

/// The name of the PAX header of an entry: `dir/PaxHeaders.0/file`.
fn record_name(path: &[u8]) -> Vec<u8> {
    let slash = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let (dir, file) = path.split_at(slash);
    let mut name = Vec::with_capacity(path.len() + 14);
    for word in dir.split(|b| *b == b'/').chain([&b"PaxHeaders.0"[..], file]) {
        if word.is_empty() {
            continue;
        }
        if !name.is_empty() || (path.starts_with(b"/") && name.is_empty()) {
            name.push(b'/');
        }
        name.extend_from_slice(word);
    }
    let mut name = ascii(&name);
    name.truncate(NAME_LEN);
    while name.ends_with(b"/") {
        name.pop();
    }
    name
}

/// The text without what is not ASCII.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| b.is_ascii() && *b != 0).collect()
}

/// An entry of this kind and name, everything else zero.
impl Entry {
    /// A new entry: mode in octal bits, times at the epoch, owner 0.
    pub fn new(kind: Kind, path: impl Into<Vec<u8>>, mode: u32) -> Entry {
        Entry { kind, path: path.into(), mode, ..Entry::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::{Reader, Time};
    use proptest::prelude::*;

    fn round_trip(entry: &Entry, data: &[u8]) -> (Entry, Vec<u8>) {
        let mut writer = Writer::new(Vec::new());
        writer.append_bytes(entry, data).unwrap();
        let bytes = writer.finish().unwrap();
        assert!(bytes.len().is_multiple_of(BLOCK));
        let mut reader = Reader::new(&bytes[..]);
        let mut back = Entry::default();
        assert!(reader.next_entry(&mut back).unwrap());
        let mut content = Vec::new();
        reader.data().read_to_end(&mut content).unwrap();
        let mut end = Entry::default();
        assert!(!reader.next_entry(&mut end).unwrap());
        (back, content)
    }

    fn any_path() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::collection::vec(1u8..=255, 1..60), 1..6).prop_map(|words| {
            let mut path = words.join(&b'/');
            path.iter_mut().for_each(|b| {
                if *b == b'\n' {
                    *b = b'n'
                }
            });
            path
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn what_is_written_is_read_back(
            path in any_path(), link in any_path(), flag in 0u8..7, mode in 0u32..0o10000, uid in 0u64..1 << 32,
            gid in 0u64..1 << 32, secs in -(1i64 << 40)..1 << 40, nanos in 0u32..1_000_000_000,
            data in prop::collection::vec(any::<u8>(), 0..1500), value in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let kind = Kind::of(b'0' + flag);
            let size = if kind == Kind::Regular { data.len() as u64 } else { 0 };
            let entry = Entry {
                path, link, kind, mode, uid, gid, size, mtime: Time { secs, nanos },
                major: 7, minor: 3, xattrs: vec![(b"user.x".to_vec(), value)], ..Entry::default()
            };
            let (back, content) = round_trip(&entry, &data[..size as usize]);
            prop_assert_eq!(back, entry);
            prop_assert_eq!(&content[..], &data[..size as usize]);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), flag: u8) {
            let mut tar = header::build(&Fields {
                name: b"x", prefix: b"", link: b"", flag, mode: 0, uid: 0, gid: 0,
                size: bytes.len() as u64, mtime: 0, device: None,
            }).to_vec();
            tar.extend_from_slice(&bytes);
            let mut reader = Reader::new(&tar[..]);
            let mut entry = Entry::default();
            while let Ok(true) = reader.next_entry(&mut entry) {}
        }
    }

    #[test]
    fn long_names_take_the_prefix_or_a_record() {
        let split = [b"d".repeat(90), b"f".repeat(60)].join(&b'/');
        let whole = [b"d".repeat(20), b"f".repeat(120)].join(&b'/');
        let owner = 3_000_000;
        for (name, uid, blocks) in [(&split, 0, 3), (&whole, 0, 5), (&split, owner, 5)] {
            let entry = Entry { uid, ..Entry::new(Kind::Regular, name.clone(), 0o644) };
            let mut writer = Writer::new(Vec::new());
            writer.append_bytes(&entry, b"").unwrap();
            assert_eq!(writer.finish().unwrap().len(), blocks * BLOCK, "{uid}");
            assert_eq!(round_trip(&entry, b"").0, entry);
        }
    }

    #[test]
    fn record_headers_are_named_after_their_entry() {
        for (path, name) in
            [("a/b/c", "a/b/PaxHeaders.0/c"), ("a", "PaxHeaders.0/a"), ("d/", "d/PaxHeaders.0")]
        {
            assert_eq!(String::from_utf8(record_name(path.as_bytes())).unwrap(), name);
        }
    }

    #[test]
    fn an_empty_archive_has_the_known_digest() {
        let bytes = Writer::new(Vec::new()).finish().unwrap();
        let digest = oci::Digest::of(&bytes);
        assert!(digest.hex().starts_with("5f70bf18"), "{digest}");
    }

    #[test]
    fn too_little_data_is_an_error() {
        let entry = Entry { size: 10, ..Entry::new(Kind::Regular, "x", 0) };
        assert!(Writer::new(Vec::new()).append_bytes(&entry, b"short").is_err());
    }
}
