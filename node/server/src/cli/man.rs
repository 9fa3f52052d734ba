//! `pushrail man`: the manual pages, one a verb, from the command line's own definition.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::cli::error::CliError;
use crate::cli::session::write;

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = "\
For everybody: pushrail man /usr/local/share/man/man1; for yourself: pushrail man ~/.local/share/man/man1
Then: man pushrail, man pushrail-serve, man pushrail-events-explain")]
pub struct Man {
    /// The directory; made where there is none
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(man: &Man) -> Result<(), CliError> {
    let directory = &man.directory;
    generate(directory).map_err(|error| {
        CliError::failed(
            format!("write the manual pages to {}", directory.display()),
            error.to_string(),
        )
        .advising("name a directory that you may write to")
    })?;
    write(format!("{}\n", directory.join("pushrail.1").display()).as_bytes())
}

fn generate(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page() {
        let directory = tempfile::tempdir().unwrap();

        generate(directory.path()).unwrap();

        let page = |name: &str| fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
        assert!(
            page("pushrail").contains("124 time\\-out"),
            "{}",
            page("pushrail")
        );
        for noun in Cli::command().get_subcommands() {
            let name = format!("pushrail-{}", noun.get_name());
            assert!(page(&name).contains("SYNOPSIS"), "{name}");
            for verb in noun.get_subcommands() {
                page(&format!("{name}-{}", verb.get_name()));
            }
        }
    }
}
