//! `pushrail completion`: the completion script of a shell, from the command line's own definition.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::error::CliError;
use crate::cli::session::write;

/// Which shell.
#[derive(Debug, Args)]
#[command(after_help = "\
bash: pushrail completion bash >~/.local/share/bash-completion/completions/pushrail
zsh:  pushrail completion zsh >\"${fpath[1]}/_pushrail\"
fish: pushrail completion fish >~/.config/fish/completions/pushrail.fish")]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(completion: &Completion) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(completion.shell, &mut Cli::command(), "pushrail", &mut script);
    write(&script)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_is_told_every_verb() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();

            clap_complete::generate(*shell, &mut Cli::command(), "pushrail", &mut script);

            let script = String::from_utf8(script).unwrap();
            for verb in Cli::command().get_subcommands() {
                assert!(script.contains(verb.get_name()), "{shell}: {}", verb.get_name());
            }
        }
    }
}
