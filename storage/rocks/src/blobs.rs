//! Finds the damage in blob files that RocksDB reports without a name: walks their records as it wrote them.
//!
//! The form is RocksDB's own (`blob_log_format.h`): a head of 30 bytes; for each value a header of 32 with the lengths,
//! its own checksum and that of key and value; a foot of 32.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const HEAD: usize = 30;
const RECORD: usize = 32;
/// Magic number and version.
const BEGINS: [u8; 8] = [0x37, 0x8f, 0x24, 0, 1, 0, 0, 0];
/// Files named where it is not known which.
const NAMED: usize = 16;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// The blob file in `dir` that is damaged, and the place of the first record in it that cannot be read.
pub(crate) fn first_damage(dir: &Path) -> Option<(PathBuf, u64)> {
    let mut short = None;
    for path in files(dir) {
        match walk(&path) {
            Ok(None) => {}
            Ok(Some(Damage::Changed(offset))) => return Some((path, offset)),
            // One that is being written ends early as well: it is named only where no other is damaged.
            Ok(Some(Damage::Short(offset))) => {
                short.get_or_insert((path, offset));
            }
            Err(_) => {
                short.get_or_insert((path, 0));
            }
        }
    }
    short
}

/// The blob files in `dir`, for people; `None`: there are none.
pub(crate) fn names(dir: &Path) -> Option<String> {
    let files = files(dir);
    if files.is_empty() {
        return None;
    }
    let shown: Vec<String> = files
        .iter()
        .take(NAMED)
        .map(|path| path.display().to_string())
        .collect();
    Some(match files.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more blob files", shown.join(", ")),
    })
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "blob"))
        .collect();
    files.sort();
    files
}

enum Damage {
    Changed(u64),
    Short(u64),
}

fn walk(path: &Path) -> io::Result<Option<Damage>> {
    let length = fs::metadata(path)?.len();
    let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let mut at = HEAD as u64;
    if length < at {
        return Ok(Some(Damage::Short(0)));
    }
    let mut head = [0; HEAD];
    file.read_exact(&mut head)?;
    if !head.starts_with(&BEGINS) {
        return Ok(Some(Damage::Changed(0)));
    }
    while at < length {
        if length - at < RECORD as u64 {
            return Ok(Some(Damage::Short(at)));
        }
        let mut header = [0; RECORD];
        file.read_exact(&mut header)?;
        // A foot is as long as a header, begins as the file does, and ends it.
        if at + RECORD as u64 == length && header.starts_with(&BEGINS[..4]) {
            let whole = masked(crc32c::crc32c(&header[..28])) == word(&header[28..]);
            return Ok((!whole).then_some(Damage::Changed(at)));
        }
        if masked(crc32c::crc32c(&header[..24])) != word(&header[24..28]) {
            return Ok(Some(Damage::Changed(at)));
        }
        let body = long(&header[..8]).saturating_add(long(&header[8..16]));
        if length - at - (RECORD as u64) < body {
            return Ok(Some(Damage::Short(at)));
        }
        if masked(sum(&mut file, body)?) != word(&header[28..]) {
            return Ok(Some(Damage::Changed(at)));
        }
        at += RECORD as u64 + body;
    }
    // Without a foot it was not finished.
    Ok(Some(Damage::Short(at)))
}

fn sum(file: &mut impl Read, length: u64) -> io::Result<u32> {
    let mut sum = 0;
    let mut left = file.take(length);
    let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER)).max(1)];
    loop {
        match left.read(&mut buffer)? {
            0 => return Ok(sum),
            read => sum = crc32c::crc32c_append(sum, &buffer[..read]),
        }
    }
}

/// RocksDB keeps checksums so, lest one over bytes that hold one be a weak one.
fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes: &[u8; 4]| u32::from_le_bytes(*bytes))
}

fn long(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use pushrail_machine::store::{Change, Changes, Table};

    use super::*;
    use crate::layout::RocksOptions;
    use crate::store::RocksStore;

    #[test]
    fn a_damaged_blob_file_is_named_and_a_whole_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = RocksStore::open(dir.path(), &RocksOptions::default()).unwrap();
        let rows = (0..20_u8).map(|row| Change::Put {
            table: Table::Events,
            key: vec![row],
            value: vec![row; 4000].into(),
        });
        store.commit(&Changes(rows.collect()), &[]).unwrap();
        store.flush().unwrap();
        drop(store);
        assert_eq!(first_damage(dir.path()), None);
        let file = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "blob"))
            .unwrap();
        let whole = fs::read(&file).unwrap();

        for at in (0..whole.len()).step_by(101).chain([whole.len() - 1]) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&file, &flipped).unwrap();
            let found = first_damage(dir.path());
            // Flags and times of the head mean nothing here.
            if !(8..HEAD).contains(&at) {
                let (path, offset) = found.unwrap_or_else(|| panic!("byte {at} is not found"));
                assert_eq!(path, file);
                assert!(
                    offset <= at as u64 && at as u64 - offset < 5000,
                    "{offset} for byte {at}"
                );
            }
        }
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(first_damage(dir.path()).unwrap().0, file);
    }
}
