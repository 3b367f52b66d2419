//! PAX extended headers: `length key=value\n` records.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::tar::header::{Entry, Time};
use crate::tar::sparse::SparseKeys;

/// The prefix of extended attributes among PAX keys.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Calls `each` with every record's key and value.
pub(crate) fn for_each_record(
    mut bytes: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    while !bytes.is_empty() {
        let bad = || Error::header("PAX record");
        let space = bytes.iter().take(20).position(|b| *b == b' ').ok_or_else(bad)?;
        let len = std::str::from_utf8(&bytes[..space]).ok().and_then(|t| t.parse::<usize>().ok());
        let len = len.filter(|len| *len > space + 1 && *len <= bytes.len()).ok_or_else(bad)?;
        let record = &bytes[space + 1..len];
        let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
        let equals = record.iter().position(|b| *b == b'=').filter(|at| *at > 0).ok_or_else(bad)?;
        each(&record[..equals], &record[equals + 1..])?;
        bytes = &bytes[len..];
    }
    Ok(())
}

/// Overrides the entry's fields with a PAX header's records. An empty value means: as in the block.
pub(crate) fn apply(bytes: &[u8], entry: &mut Entry, sparse: &mut SparseKeys) -> Result<()> {
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    places.extend(entry.xattrs.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)));
    for_each_record(bytes, |key, value| {
        if sparse.take(key, value)? {
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(XATTR) {
            match places.get(name) {
                _ if name.is_empty() => {}
                Some(place) => entry.xattrs[*place].1 = value.to_vec(),
                None => {
                    places.insert(name.to_vec(), entry.xattrs.len());
                    entry.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
            return Ok(());
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => replace(&mut entry.path, value)?,
            b"linkpath" => replace(&mut entry.link, value)?,
            b"size" => entry.size = parse_number(value)?,
            b"uid" => entry.uid = parse_number(value)?,
            b"gid" => entry.gid = parse_number(value)?,
            b"mtime" => entry.mtime = parse_time(value)?,
            b"atime" => entry.atime = Some(parse_time(value)?),
            _ => {}
        }
        Ok(())
    })
}

fn replace(field: &mut Vec<u8>, value: &[u8]) -> Result<()> {
    if value.contains(&0) {
        return Err(Error::header("NUL in a PAX path"));
    }
    field.clear();
    field.extend_from_slice(value);
    Ok(())
}

/// A decimal number.
pub(crate) fn parse_number(value: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|t| t.parse().ok()).ok_or_else(|| Error::header("PAX number"))
}

/// Seconds with an optional sign and fraction; more than nine digits are cut.
fn parse_time(value: &[u8]) -> Result<Time> {
    let bad = || Error::header("PAX time");
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().map_err(|_| bad())?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos: u32 = digits.parse().map_err(|_| bad())?;
    if whole.starts_with('-') && nanos > 0 {
        return Ok(Time { secs: secs - 1, nanos: 1_000_000_000 - nanos });
    }
    Ok(Time { secs, nanos })
}

/// Appends one record; its length counts its own digits.
pub(crate) fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + digits(rest);
    if digits(len) != digits(rest) {
        len = rest + digits(len);
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(mut n: usize) -> usize {
    let mut count = 1;
    while n >= 10 {
        n /= 10;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_know_their_length() {
        for value_len in [0, 1, 3, 84, 85, 86, 87, 88, 89, 90, 980, 985, 990, 995] {
            let mut out = Vec::new();
            push_record(&mut out, b"path", &vec![b'x'; value_len]);
            let text = String::from_utf8(out.clone()).unwrap();
            let len: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(len, out.len(), "{value_len}");
            let mut seen = 0;
            for_each_record(&out, |key, value| {
                assert_eq!((key, value.len()), (&b"path"[..], value_len));
                seen += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, 1);
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for bytes in [&b"5 a=\n"[..], b"x", b"3 =", b"99 a=b\n", b"6 a=bc", b"6  =b\n\n", b"-1 a=b\n"] {
            let good = for_each_record(bytes, |_, _| Ok(())).is_ok();
            assert_eq!(good, bytes == b"5 a=\n", "{bytes:?}");
        }
    }

    #[test]
    fn many_attributes_take_no_longer_than_their_bytes() {
        let mut bytes = Vec::new();
        for round in 0..2 {
            for number in 0..50_000 {
                let name = [XATTR, format!("user.{number}").as_bytes()].concat();
                push_record(&mut bytes, &name, format!("{round}").as_bytes());
            }
        }
        let mut entry = Entry::default();
        let began = std::time::Instant::now();
        apply(&bytes, &mut entry, &mut SparseKeys::default()).unwrap();
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        assert_eq!(entry.xattrs.len(), 50_000);
        assert_eq!(entry.xattrs[7], (b"user.7".to_vec(), b"1".to_vec()));
    }

    #[test]
    fn times() {
        for (text, secs, nanos) in [
            ("1350244992.023960108", 1_350_244_992, 23_960_108),
            ("1.5", 1, 500_000_000),
            ("1.0000000009", 1, 0),
            ("-1.5", -2, 500_000_000),
            ("-7", -7, 0),
            ("7", 7, 0),
        ] {
            assert_eq!(parse_time(text.as_bytes()).unwrap(), Time { secs, nanos }, "{text}");
        }
        assert!(parse_time(b"x").is_err() && parse_time(b"1.x").is_err());
    }
}
