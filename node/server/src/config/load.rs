//! Where values come from: flags over environment over one TOML file over defaults. The CLI's `serve` calls it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::file;
use crate::config::keys::{Effective, Keys, Source};
use crate::config::problem::{ConfigError, Problem};

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
const OTHER_VARIABLES: [&str; 4] = [
    "PUSHRAIL_CONFIG",
    "PUSHRAIL_SERVER",
    "PUSHRAIL_TENANT",
    "PUSHRAIL_ACTOR",
];

/// The configuration by flags, environment (any pairs; only `PUSHRAIL_…` counts) and file.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<Config, ConfigError> {
    explained(flags, environment).map(|(config, _)| config)
}

/// The same, with every key as it stands and whoever gave it.
pub fn explained(
    flags: &Flags,
    environment: impl Iterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<(Config, Vec<Effective>), ConfigError> {
    let mut keys = Keys::default();
    // Order: each later source overwrites the earlier ones.
    if let Some(path) = &flags.config {
        give_file(&mut keys, path);
    }
    give_environment(&mut keys, environment);
    give_flags(&mut keys, flags);
    let config = Config::read(&mut keys)?;
    let mut values = keys.effective();
    // What stands for itself nowhere is shown as what it stands for.
    for (key, advertised) in [
        ("advertise", &config.advertise.client),
        ("peer_advertise", &config.advertise.peer),
        ("http_advertise", &config.advertise.http),
    ] {
        if let Some(empty) = values
            .iter_mut()
            .find(|one| one.key == key && one.value.is_empty())
        {
            empty.value.clone_from(advertised);
        }
    }
    Ok((config, values))
}

fn give_file(keys: &mut Keys, path: &Path) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            keys.complain(Problem::Unreadable {
                path: path.to_owned(),
                why: error.to_string(),
            });
            return;
        }
    };
    let (entries, faults) = file::read(&text);
    for fault in faults {
        keys.complain(Problem::Syntax {
            path: path.to_owned(),
            line: fault.line,
            why: fault.why,
        });
    }
    for entry in entries {
        keys.give(
            &entry.key,
            &entry.value,
            Source::File(path.to_owned(), entry.line),
        );
    }
}

fn give_environment(
    keys: &mut Keys,
    environment: impl Iterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) {
    for (name, value) in environment {
        // Variables of others need not be text.
        let Ok(name) = name.into().into_string() else {
            continue;
        };
        if OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let Some(path) = name.strip_prefix("PUSHRAIL_") else {
            continue;
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        match value.into().into_string() {
            Ok(value) => keys.give(&key, &value, Source::Environment(name)),
            Err(_) => keys.complain(Problem::NotText { name }),
        }
    }
}

fn give_flags(keys: &mut Keys, flags: &Flags) {
    for (at, given) in flags.set.iter().enumerate() {
        match given.split_once('=') {
            Some((key, value)) => {
                keys.give(key.trim(), value.trim(), Source::Flag("--set".to_owned()));
            }
            None => keys.complain(Problem::Set { place: at + 1 }),
        }
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
}

#[cfg(test)]
mod tests;
