//! A client of the whole cluster: it knows several nodes, tries them in turn, and stays with the one that answers.
//! Invariant: a call is sent a second time only where that is safe: a read; a write that its request id or idempotency
//! key makes harmless; any write that certainly was not accepted.

mod attempt;
mod calls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long to try.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// For a connection to stand.
    pub connect: Duration,
    /// For one node's answer. A node answers within 5 s even without a quorum.
    pub answer: Duration,
    /// For a call in all, over all nodes.
    pub deadline: Duration,
    /// How many times round all the nodes.
    pub rounds: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(8),
            deadline: Duration::from_secs(10),
            rounds: 3,
        }
    }
}

/// A try that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which node.
    pub address: String,
    /// What came of it.
    pub why: String,
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.why)
    }
}

/// A call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody to ask.
    #[error("no address of a node was given")]
    NoAddress,
    /// An address cannot be one.
    #[error("`{address}` is not the address of a node, such as 127.0.0.1:7400")]
    BadAddress {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
    /// No node could be connected to: certainly nothing was sent.
    #[error("no node can be reached ({})", trail(tried))]
    Unreachable {
        /// In order.
        tried: Vec<Try>,
    },
    /// A node's answer, or a connection that broke before it came.
    #[error("{address}: {}", status.message())]
    Refused {
        /// Which node.
        address: String,
        /// What it said; read it with [`crate::failure`].
        status: Box<Status>,
        /// The tries before.
        tried: Vec<Try>,
    },
}

impl ClientError {
    /// The node's answer, where one came.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            Self::NoAddress | Self::BadAddress { .. } | Self::Unreachable { .. } => None,
        }
    }

    /// Whether what was asked certainly did not happen.
    pub fn certainly_not_accepted(&self) -> bool {
        match self {
            Self::NoAddress | Self::BadAddress { .. } | Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => attempt::certainly_not_accepted(status),
        }
    }
}

fn trail(tried: &[Try]) -> String {
    let all: Vec<String> = tried.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// A client of the cluster; cheap to clone, and its clones share what they learn.
#[derive(Clone, Debug)]
pub struct Client {
    nodes: Arc<[Node]>,
    // The node that answered last. A hint only: nothing but the order of tries hangs on it.
    current: Arc<AtomicUsize>,
    options: ClientOptions,
}

#[derive(Debug)]
struct Node {
    address: String,
    channel: Channel,
}

impl Client {
    /// Knows these nodes; connects when first asked. Needs a tokio runtime.
    pub fn new<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>) -> Result<Self, ClientError> {
        Self::with_options(addresses, ClientOptions::default())
    }

    /// The same, with other times.
    pub fn with_options<A: AsRef<str>>(
        addresses: impl IntoIterator<Item = A>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let nodes = addresses
            .into_iter()
            .map(|address| Node::new(address.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::NoAddress);
        }
        Ok(Self {
            nodes: nodes.into(),
            current: Arc::new(AtomicUsize::new(0)),
            options,
        })
    }

    /// The address of the node that is asked first.
    pub fn address(&self) -> &str {
        let at = self.current.load(Ordering::Relaxed) % self.nodes.len();
        self.nodes.get(at).map_or("", |node| node.address.as_str())
    }
}

impl Node {
    fn new(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(url).map_err(|source| ClientError::BadAddress {
            address: address.to_owned(),
            source,
        })?;
        // A peer that vanished without a word is found out by pings, not by the next call's whole patience.
        let endpoint = endpoint
            .connect_timeout(options.connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        Ok(Self {
            address: address.to_owned(),
            channel: endpoint.connect_lazy(),
        })
    }
}
