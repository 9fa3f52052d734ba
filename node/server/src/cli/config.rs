//! `pushrail config`: whether a node could start with what it is told, and what is in force by whose word. It asks no
//! node; it reads what `serve` would read, from the same places.

use std::io::{self, Write as _};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::session::write;
use crate::cli::table::table;
use crate::config::Config;
use crate::config::keys::{Effective, MASK};
use crate::config::load::{self, Flags};
use crate::keyring::Keyring;
use crate::telemetry::chain;

/// What a node is told.
#[derive(Debug, Args)]
pub struct Noun {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say everything that is wrong with flags, environment and file; exit 0 if nothing is, else 2
    Check {
        #[command(flatten)]
        flags: Flags,
    },
    /// Print every key as it stands, and who gave it: flag, environment, file and line, or the default; secrets masked
    Print {
        #[command(flatten)]
        flags: Flags,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// How keys are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For eyes.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// A file that `--config` takes.
    Toml,
}

pub(super) fn run(verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Check { flags } => {
            let (config, _) = explained(&flags)?;
            let keys = Keyring::load(&config.credentials)
                .map(drop)
                .map_err(|error| chain(&error));
            let egress = config.egress.open().map(drop).map_err(|error| chain(&error));
            let roots = config.egress.roots().map(drop).map_err(|error| chain(&error));
            let wrong: Vec<String> = [keys, egress, roots]
                .into_iter()
                .filter_map(Result::err)
                .collect();
            if !wrong.is_empty() {
                return Err(CliError::usage("start a node with this", wrong.join("; ")));
            }
            // Said beside the data, of which there is none; with stderr gone the exit code says it still.
            drop(writeln!(
                io::stderr().lock(),
                "node {} could start with this",
                config.node_id
            ));
            Ok(())
        }
        Verb::Print { flags, output } => {
            let (_, values) = explained(&flags)?;
            let text = match output {
                Format::Table => as_table(&values),
                Format::Json => as_json(&values),
                Format::Toml => as_toml(&values),
            };
            write(text.as_bytes())
        }
    }
}

fn explained(flags: &Flags) -> Result<(Config, Vec<Effective>), CliError> {
    load::explained(flags, std::env::vars_os())
        .map_err(|error| CliError::usage("read the configuration", error.to_string()))
}

fn as_table(values: &[Effective]) -> String {
    let rows = values
        .iter()
        .map(|one| vec![one.key.to_owned(), one.value.clone(), one.source.to_string()]);
    table(&["key", "value", "from"], rows)
}

fn as_json(values: &[Effective]) -> String {
    let all: Vec<Value> = values
        .iter()
        .map(|one| json!({ "key": one.key, "value": one.value, "from": one.source.to_string() }))
        .collect();
    format!("{:#}\n", json!({ "configuration": all }))
}

/// Sections in the order of their first key, those keys first that stand in none.
fn as_toml(values: &[Effective]) -> String {
    let mut sections: Vec<(&str, String)> = vec![("", String::new())];
    for one in values {
        let (section, name) = one.key.rsplit_once('.').unwrap_or(("", one.key));
        let line = match one.value.as_str() {
            MASK => format!("# {name} is a secret ({}): give it as before\n", one.source),
            value => format!("{name} = {}  # {}\n", literal(value), one.source),
        };
        match sections.iter_mut().find(|(known, _)| *known == section) {
            Some((_, lines)) => lines.push_str(&line),
            None => sections.push((section, format!("\n[{section}]\n{line}"))),
        }
    }
    sections.into_iter().map(|(_, lines)| lines).collect()
}

/// Whole numbers and truths bare, all else as a text: the loader takes texts for everything.
fn literal(value: &str) -> String {
    let bare = matches!(value, "true" | "false") || value.parse::<i64>().is_ok();
    if bare {
        value.to_owned()
    } else {
        toml::Value::String(value.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn flags(config: Option<PathBuf>) -> Flags {
        Flags {
            config,
            node_id: Some("7".to_owned()),
            data_dir: Some("/data \"of\" seven".to_owned()),
            set: vec!["delivery.allowed_networks=10.0.0.0/8,fd00::/8".to_owned()],
            ..Flags::default()
        }
    }

    #[test]
    fn what_is_printed_as_toml_is_read_back_as_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        let (config, values) = load::explained(&flags(None), std::iter::empty::<(String, String)>()).unwrap();

        std::fs::write(&path, as_toml(&values)).unwrap();

        let only_file = Flags {
            config: Some(path),
            ..Flags::default()
        };
        assert_eq!(
            load::load(&only_file, std::iter::empty::<(String, String)>()).unwrap(),
            config
        );
    }

    #[test]
    fn eyes_and_programs_are_told_key_value_and_source() {
        let (_, values) = load::explained(&flags(None), std::iter::empty::<(String, String)>()).unwrap();

        let text = as_table(&values);
        let json: Value = serde_json::from_str(&as_json(&values)).unwrap();

        let line = text.lines().find(|line| line.starts_with("node_id ")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["node_id", "7", "--node-id"]);
        assert_eq!(
            json["configuration"][0],
            json!({ "key": "node_id", "value": "7", "from": "--node-id" })
        );
    }
}
