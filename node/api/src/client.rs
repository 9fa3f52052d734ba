//! A client of the whole cluster: it knows several nodes, tries them in turn, and stays with the one that answers.
//! Invariant: a call is sent a second time only where that is safe: a read; a write that its request id or idempotency
//! key makes harmless; any write that certainly was not accepted.

mod attempt;
mod calls;
mod error;
mod outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

pub use calls::drawn_id;
pub use error::{ClientError, Lost, Try};

/// How often a node that is asked something is asked whether it lives.
const PING: Duration = Duration::from_secs(1);
/// How long its answer to that may take: no busy node takes so long.
const PONG: Duration = Duration::from_millis(1_500);

/// How long to try.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// For a connection to stand.
    pub connect: Duration,
    /// For one node's answer. A node answers within 5 s even without a quorum.
    pub answer: Duration,
    /// For a call in all: over all nodes, repeats and pauses included.
    pub deadline: Duration,
    /// Whether to use all of it.
    pub patience: Patience,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(6),
            deadline: Duration::from_secs(10),
            patience: Patience::Brief,
        }
    }
}

/// How much of the deadline is used where an answer does not come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// At most three times round the nodes, no second time where nobody even listens, and none that begins after a third
    /// of the time: a node that waited for a majority in vain, almost half of the usual 10 s, need not be asked again.
    Brief,
    /// Until the deadline: nodes that are being started are waited for.
    Whole,
}

/// A client of the cluster; cheap to clone, and its clones share what they learn.
#[derive(Clone, Debug)]
pub struct Client {
    nodes: Arc<[Node]>,
    // The node that answered last. A hint only: nothing but the order of tries hangs on it.
    current: Arc<AtomicUsize>,
    options: ClientOptions,
    actor: Option<AsciiMetadataValue>,
}

#[derive(Debug)]
struct Node {
    address: String,
    channel: Channel,
    // Whether it ever answered as a node does: what only ever hangs up may be no node at all.
    spoke: AtomicBool,
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
            .map(|address| Node::new(address.as_ref().trim(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::NoAddress);
        }
        Ok(Self {
            nodes: nodes.into(),
            current: Arc::new(AtomicUsize::new(0)),
            options,
            actor: None,
        })
    }

    /// The same client, for a call in which a node itself waits for others: it is given at least so long for its answer,
    /// and the call twice that, unless it has a deadline of its own.
    #[must_use]
    pub fn waiting(&self, answer: Duration) -> Self {
        let mut options = self.options;
        options.answer = options.answer.max(answer);
        if options.patience == Patience::Brief {
            options.deadline = options.deadline.max(answer * 2);
        }
        Self {
            options,
            ..self.clone()
        }
    }

    /// Says this name of itself with every call: the change log shows it. What is no visible ASCII stands there as `?`.
    #[must_use]
    pub fn named(mut self, actor: &str) -> Self {
        let visible = |letter: char| {
            if letter.is_ascii_graphic() || letter == ' ' {
                letter
            } else {
                '?'
            }
        };
        let name: String = actor.chars().map(visible).collect();
        self.actor = AsciiMetadataValue::try_from(name.trim()).ok();
        self
    }

    /// The address of the node that is asked first.
    pub fn address(&self) -> &str {
        let at = self.current.load(Ordering::Relaxed) % self.nodes.len();
        self.nodes.get(at).map_or("", |node| node.address.as_str())
    }
}

impl Node {
    fn new(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::BadAddress {
            address: address.to_owned(),
            why: why.to_owned(),
        };
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(url).map_err(|_| bad("it is not host:port"))?;
        if endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(bad("it has no host"));
        }
        // Without one, port 80 would be asked: nobody means that.
        if endpoint.uri().port_u16().is_none_or(|port| port == 0) {
            return Err(bad("it has no port"));
        }
        // A node that vanished or froze without a word is found out by pings while it is asked, so that the next one is
        // asked long before this one's time is over.
        let endpoint = endpoint
            .connect_timeout(options.connect.min(options.deadline / 2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG);
        Ok(Self {
            address: address.to_owned(),
            channel: endpoint.connect_lazy(),
            spoke: AtomicBool::new(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_a_host_and_a_port() {
        for good in [
            "127.0.0.1:7400",
            "node-1.example.com:7400",
            "[::1]:7400",
            "http://a:1",
        ] {
            assert!(Client::new([good]).is_ok(), "{good}");
        }
        for wrong in ["", "localhost", "127.0.0.1", ":7400", "a:0", "a b:1", "a:70000"] {
            let error = Client::new([wrong]).unwrap_err();
            assert!(
                matches!(error, ClientError::BadAddress { .. }),
                "{wrong}: {error}"
            );
        }
    }
}
