//! Sparse files in PAX form: versions 0.0 and 0.1 list their extents in the header, 1.0 in front of the data.

use crate::error::{Error, Result};
use crate::tar::header::{Entry, Extent};
use crate::tar::pax::parse_number;

/// More extents than this in one file are an attack.
const MOST_EXTENTS: u64 = 1 << 20;

/// What the PAX records say about holes.
#[derive(Debug, Default)]
pub(crate) struct SparseKeys {
    major: Option<u64>,
    minor: Option<u64>,
    name: Vec<u8>,
    size: Option<u64>,
    map: Vec<Extent>,
    pending_offset: Option<u64>,
    listed: bool,
}

impl SparseKeys {
    /// Takes a record if it is about holes; returns whether it was.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let Some(key) = key.strip_prefix(b"GNU.sparse.") else { return Ok(false) };
        match key {
            b"major" => self.major = Some(parse_number(value)?),
            b"minor" => self.minor = Some(parse_number(value)?),
            b"name" => self.name = value.to_vec(),
            b"size" | b"realsize" => self.size = Some(parse_number(value)?),
            b"numblocks" => self.listed = true,
            b"offset" => self.pending_offset = Some(parse_number(value)?),
            b"numbytes" => {
                let offset = self.pending_offset.take().ok_or_else(|| Error::header("sparse map"))?;
                self.push(Extent { offset, len: parse_number(value)? })?;
            }
            b"map" => self.parse_map(value)?,
            _ => {}
        }
        Ok(true)
    }

    fn parse_map(&mut self, value: &[u8]) -> Result<()> {
        self.listed = true;
        self.map.clear();
        let numbers = value.split(|b| *b == b',').map(parse_number).collect::<Result<Vec<_>>>()?;
        if !numbers.len().is_multiple_of(2) {
            return Err(Error::header("sparse map"));
        }
        numbers.chunks_exact(2).try_for_each(|pair| self.push(Extent { offset: pair[0], len: pair[1] }))
    }

    fn push(&mut self, extent: Extent) -> Result<()> {
        self.listed = true;
        if self.map.len() as u64 >= MOST_EXTENTS {
            return Err(Error::header("sparse map too long"));
        }
        self.map.push(extent);
        Ok(())
    }

    /// Whether the map stands in front of the data (version 1.0).
    pub(crate) fn is_in_data(&self) -> bool {
        self.major == Some(1) && self.minor == Some(0)
    }

    /// Puts name, size and map into the entry; `stored` is what the archive holds of the data.
    pub(crate) fn finish(self, entry: &mut Entry, stored: u64) -> Result<()> {
        let known = self.is_in_data() || (self.major.unwrap_or(0) == 0 && self.listed);
        if !known {
            return Ok(());
        }
        if !self.name.is_empty() {
            entry.path = self.name;
        }
        let size = self.size.unwrap_or(entry.size);
        check(&self.map, size, stored)?;
        entry.size = size;
        entry.sparse = Some(self.map);
        Ok(())
    }

    /// Sets the map read from in front of the data.
    pub(crate) fn set_map(&mut self, map: Vec<Extent>) {
        self.map = map;
    }
}

/// Extents must ascend, not overlap, end within the file, and add up to the stored data.
fn check(map: &[Extent], size: u64, stored: u64) -> Result<()> {
    let bad = || Error::header("sparse map");
    let (mut end, mut sum) = (0u64, 0u64);
    for extent in map {
        if extent.offset < end {
            return Err(bad());
        }
        end = extent.offset.checked_add(extent.len).filter(|end| *end <= size).ok_or_else(bad)?;
        sum += extent.len;
    }
    if sum != stored || size > i64::MAX as u64 {
        return Err(bad());
    }
    Ok(())
}

/// Reads the map of version 1.0: decimal lines (count, then offset and length pairs) padded to whole blocks. `read_block`
/// gives the next block of the entry's data.
pub(crate) fn read_map(mut read_block: impl FnMut() -> Result<[u8; 512]>) -> Result<Vec<Extent>> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut line = Vec::new();
    let mut wanted = 1u64;
    while (numbers.len() as u64) < wanted {
        for byte in read_block()? {
            if numbers.len() as u64 == wanted {
                break;
            }
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Err(Error::header("sparse map"));
                }
                continue;
            }
            let number = parse_number(&line)?;
            line.clear();
            if numbers.is_empty() {
                if number > MOST_EXTENTS {
                    return Err(Error::header("sparse map too long"));
                }
                wanted = 1 + number * 2;
            }
            numbers.push(number);
        }
    }
    Ok(numbers[1..].chunks_exact(2).map(|pair| Extent { offset: pair[0], len: pair[1] }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_checked() {
        let extent = |offset, len| Extent { offset, len };
        for (map, size, stored, good) in [
            (vec![extent(0, 4), extent(8, 4)], 12, 8, true),
            (vec![], 100, 0, true),
            (vec![extent(12, 0)], 12, 0, true),
            (vec![extent(0, 4), extent(2, 4)], 12, 8, false),
            (vec![extent(8, 5)], 12, 5, false),
            (vec![extent(0, 4)], 12, 5, false),
            (vec![extent(u64::MAX, 2)], u64::MAX, 2, false),
        ] {
            assert_eq!(check(&map, size, stored).is_ok(), good, "{map:?}");
        }
    }
}
