//! Where values come from: flags over environment over one TOML file over defaults. The CLI's `serve` calls it.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::keys::{Keys, Problem, Source};

/// The node cannot start with what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no reading the file.
    #[error("read configuration {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("configuration {path} is not TOML")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// `--set` without a key.
    #[error("`--set {given}`: allowed is KEY=VALUE, such as delivery.concurrency=256")]
    Set {
        /// What was given.
        given: String,
    },
    /// Keys that are unknown, or have values that are not allowed.
    #[error("configuration refused:{}", lines(.problems))]
    Refused {
        /// Each of them.
        problems: Vec<Problem>,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// What the command line says of a node.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The configuration file (TOML); deploy/config/node.toml shows every key
    #[arg(long, value_name = "PATH", env = "PUSHRAIL_CONFIG")]
    pub config: Option<PathBuf>,
    /// This node's number: at least 1, never reused
    #[arg(long, value_name = "NUMBER")]
    pub node_id: Option<String>,
    /// Where log and state lie
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<String>,
    /// Where callers' gRPC is taken [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where the other nodes' gRPC is taken [default: 127.0.0.1:7401]
    #[arg(long, value_name = "ADDRESS")]
    pub peer_listen: Option<String>,
    /// Where /healthz, /readyz and /metrics are asked [default: 127.0.0.1:7402]
    #[arg(long, value_name = "ADDRESS")]
    pub http_listen: Option<String>,
    /// Under which host and port callers reach this node [default: the address listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Under which host and port the other nodes reach it [default: the address listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub peer_advertise: Option<String>,
    /// Under which host and port its health and metrics are reached [default: the address listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub http_advertise: Option<String>,
    /// Listen beyond loopback although there is no authentication
    #[arg(long)]
    pub insecure_listen: bool,
    /// Any other key of the configuration, such as delivery.concurrency=256; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Variables that begin like ours and speak to the client verbs, or to this loader.
const OTHER_VARIABLES: [&str; 3] = ["PUSHRAIL_CONFIG", "PUSHRAIL_SERVER", "PUSHRAIL_TENANT"];

/// The configuration by flags, environment (any pairs; only `PUSHRAIL_…` counts) and file.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut keys = Keys::default();
    // Order: each later source overwrites the earlier ones.
    if let Some(path) = &flags.config {
        give_file(&mut keys, path)?;
    }
    give_environment(&mut keys, environment);
    give_flags(&mut keys, flags)?;
    Config::read(&mut keys)
}

fn give_file(keys: &mut Keys, path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    for (key, value) in flatten(&table) {
        keys.give(&key, &value, Source::File(path.to_owned()));
    }
    Ok(())
}

/// Dotted keys, and values as they would stand in the environment.
pub(crate) fn flatten(table: &toml::Table) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (key, value) in table {
        if let toml::Value::Table(inner) = value {
            let inner = flatten(inner);
            out.extend(
                inner
                    .into_iter()
                    .map(|(rest, value)| (format!("{key}.{rest}"), value)),
            );
        } else {
            out.push((key.clone(), as_text(value)));
        }
    }
    out
}

fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(parts) => parts.iter().map(as_text).collect::<Vec<_>>().join(","),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => value.to_string(),
    }
}

fn give_environment(keys: &mut Keys, environment: impl Iterator<Item = (String, String)>) {
    for (name, value) in environment {
        if OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        if let Some(path) = name.strip_prefix("PUSHRAIL_") {
            let key = path.to_ascii_lowercase().replace("__", ".");
            keys.give(&key, &value, Source::Environment(name.clone()));
        }
    }
}

fn give_flags(keys: &mut Keys, flags: &Flags) -> Result<(), ConfigError> {
    for given in &flags.set {
        let (key, value) = given
            .split_once('=')
            .ok_or_else(|| ConfigError::Set { given: given.clone() })?;
        keys.give(key.trim(), value.trim(), Source::Flag("--set".to_owned()));
    }
    let named = [
        ("node_id", "--node-id", &flags.node_id),
        ("data_dir", "--data-dir", &flags.data_dir),
        ("listen", "--listen", &flags.listen),
        ("peer_listen", "--peer-listen", &flags.peer_listen),
        ("http_listen", "--http-listen", &flags.http_listen),
        ("advertise", "--advertise", &flags.advertise),
        ("peer_advertise", "--peer-advertise", &flags.peer_advertise),
        ("http_advertise", "--http-advertise", &flags.http_advertise),
    ];
    for (key, flag, value) in named {
        if let Some(value) = value {
            keys.give(key, value, Source::Flag(flag.to_owned()));
        }
    }
    if flags.insecure_listen {
        keys.give(
            "insecure_listen",
            "true",
            Source::Flag("--insecure-listen".to_owned()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
