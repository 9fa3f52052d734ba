//! Wall clocks of real processes, set wrong at will while they run: `libfaketime` is loaded into the process and reads
//! from a file by how much. The counting clock is left alone, as a time server or an operator would leave it.

use std::fs;
use std::path::{Path, PathBuf};

/// The wall clock of one process.
#[derive(Clone, Debug)]
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// One that is right; it is kept in `file`.
    pub fn new(file: PathBuf) -> Self {
        let clock = Self { file };
        clock.set(0);
        clock
    }

    /// Sets it wrong by so many seconds; 0 sets it right.
    pub fn set(&self, seconds: i64) {
        // Put in place whole: the process may read it at any time.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("write a clock's file");
        fs::rename(&new, &self.file).expect("replace a clock's file");
    }

    /// What the environment of a process must hold to live by it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// Where Debian puts the library.
///
/// # Panics
/// If it is not there: `tests/run` installs it.
fn library() -> PathBuf {
    let known = fs::read_dir("/usr/lib").expect("list /usr/lib");
    known
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|path| Path::is_file(path))
        .expect("the library libfaketime under /usr/lib/*/faketime; `tests/run` installs it")
}
