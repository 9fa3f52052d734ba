//! What is given through files and stdin: settings, secrets, payloads. A secret never stands on the command line,
//! where every process of the machine can read it.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::cli::error::CliError;

/// Reads a file, or stdin where it is `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let tried = || format!("read {}", path.display());
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| CliError::failed("read stdin", error.to_string()))?;
        return Ok(bytes);
    }
    fs::read(path).map_err(|error| CliError::failed(tried(), error.to_string()))
}

/// The same, as text.
pub(super) fn read_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path)?)
        .map_err(|_| CliError::usage(format!("read {}", path.display()), "it is not UTF-8 text"))
}
