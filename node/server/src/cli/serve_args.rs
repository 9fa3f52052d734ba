//! What `pushrail serve` is told on its command line. Every key of the configuration can also stand in the
//! environment (`PUSHRAIL_…`) or in the file; a flag beats both.

use std::path::PathBuf;

use clap::Args;

/// Flags of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// TOML file with any of the keys of deploy/config/node.toml
    #[arg(long, value_name = "FILE", env = "PUSHRAIL_CONFIG")]
    pub config: Option<PathBuf>,
    /// This node's number: more than 0, never used again by another
    #[arg(long, value_name = "NUMBER")]
    pub node_id: Option<String>,
    /// Where log and state lie; this node's alone
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// Where callers' gRPC is taken
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where the other nodes' gRPC is taken
    #[arg(long, value_name = "ADDRESS")]
    pub peer_listen: Option<String>,
    /// Where health and metrics are asked
    #[arg(long, value_name = "ADDRESS")]
    pub http_listen: Option<String>,
    /// Under which address callers reach this node, if not --listen
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Under which address the other nodes reach it, if not --peer-listen
    #[arg(long, value_name = "HOST:PORT")]
    pub peer_advertise: Option<String>,
    /// Under which address its health and metrics are reached, if not --http-listen
    #[arg(long, value_name = "HOST:PORT")]
    pub http_advertise: Option<String>,
}
