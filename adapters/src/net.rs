//! The way out: connections, time limits, size limits and the guard on addresses, for every kind alike. One exchange
//! is one request and one answer; nothing is followed, and nothing repeated but a request that a stale connection
//! swallowed, once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Error as ClientError;
use ipnet::IpNet;
use pushrail_model::limits;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::adapter::Fault;
use crate::ask::{Asking, Wanted, find};
use crate::dial::{DialError, Dialler, Remote, Within};
use crate::guard::{Guard, Unclear};
use crate::names::{NoAddress, Resolver};
use crate::proxy::Proxy;

pub use crate::names::{Answers, Names};

/// Bytes of a response read beyond the excerpt, so that its connection can be used again; past them it is dropped.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// How long a response's body may take: the status has decided already, only the excerpt is still wanted.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// What a node's configuration says about the way out.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Networks that may be dialled beside public addresses.
    pub allowed_networks: Vec<IpNet>,
    /// For name, connection and TLS together.
    pub connect_timeout: Duration,
    /// For the whole exchange.
    pub total_timeout: Duration,
    /// Where names are looked up.
    pub names: Names,
    /// Certificates trusted beside the public authorities', in DER: for receivers inside allowed networks.
    pub extra_roots: Vec<Vec<u8>>,
    /// Through which every connection goes; `None`: direct.
    pub proxy: Option<Proxy>,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(20),
            names: Names::System,
            extra_roots: Vec::new(),
            proxy: None,
        }
    }
}

/// The way out could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No TLS.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// A network that may not be meant as it is written.
    #[error(transparent)]
    Network(#[from] Unclear),
}

/// The way out. Clones share its connections.
#[derive(Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

struct Inner {
    asking: Asking,
    total_timeout: Duration,
}

/// One request, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// One answer, as much of it as is kept.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) excerpt: Bytes,
    pub(crate) excerpt_cut: bool,
    pub(crate) remote: String,
}

/// An exchange without an answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) detail: String,
}

impl Net {
    /// Sets up clients and pools; connects nowhere.
    pub fn new(config: NetConfig) -> Result<Self, NetError> {
        let dialler = Dialler {
            resolver: Resolver::new(config.names, Guard::new(config.allowed_networks)?),
            proxy: config.proxy,
            limit: config.connect_timeout,
        };
        let secured = HttpsConnectorBuilder::new()
            .with_tls_config(tls(config.extra_roots).map_err(NetError::Tls)?)
            .https_or_http()
            // The receiver chooses, by ALPN.
            .enable_all_versions()
            .wrap_connector(dialler);
        let connector = Within {
            connector: secured,
            limit: config.connect_timeout,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                asking: Asking::over(connector),
                total_timeout: config.total_timeout,
            }),
        })
    }

    /// One request and its answer, within the time limits. An answer whose head came counts, whatever its body does.
    pub(crate) async fn exchange(&self, request: Request) -> Result<Answer, Failed> {
        let deadline = Instant::now() + self.inner.total_timeout;
        let target = target(&request.url);
        let wire = wire(request)?;
        match timeout_at(deadline, self.inner.asking.ask(wire)).await {
            Ok(Ok(response)) => Ok(read(response, deadline).await),
            Ok(Err(error)) => Err(failed(&target, &error)),
            Err(_) => Err(Failed {
                fault: Fault::Timeout,
                detail: format!("no answer from {target} within {:?}", self.inner.total_timeout),
            }),
        }
    }
}

fn wire(request: Request) -> Result<Wanted, Failed> {
    let mut wire = http::Request::builder()
        .method(request.method)
        .uri(request.url.as_str())
        .body(Full::new(request.body))
        .map_err(|error| Failed {
            fault: Fault::Unsendable,
            detail: error.to_string(),
        })?;
    *wire.headers_mut() = request.headers;
    // Some receivers turn away whoever does not say what answers it takes.
    wire.headers_mut()
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    Ok(wire)
}

async fn read(response: Response<Incoming>, deadline: Instant) -> Answer {
    let (head, mut body) = response.into_parts();
    let status = head.status;
    let remote = head.extensions.get::<Remote>();
    let remote = remote.map(|Remote(remote)| remote.clone()).unwrap_or_default();
    let keep = if status.is_success() {
        limits::EXCERPT_DELIVERED_BYTES_MAX
    } else {
        limits::EXCERPT_FAILED_BYTES_MAX
    };

    let deadline = deadline.min(Instant::now() + BODY_TIME_MAX);
    let mut excerpt = BytesMut::new();
    let mut excerpt_cut = false;
    let mut drained = 0;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            // It broke off or takes too long; dropping the body closes its connection.
            Ok(Some(Err(_))) | Err(_) => {
                excerpt_cut = true;
                break;
            }
        };
        // Trailers say nothing to us.
        let Ok(chunk) = frame.into_data() else { continue };
        let room = keep - excerpt.len();
        let (kept, rest) = chunk.split_at(room.min(chunk.len()));
        excerpt.extend_from_slice(kept);
        excerpt_cut |= !rest.is_empty();
        drained += rest.len();
        if drained > DRAIN_BYTES_MAX {
            break;
        }
    }
    Answer {
        status,
        version: head.version,
        headers: head.headers,
        excerpt: excerpt.freeze(),
        excerpt_cut,
        remote,
    }
}

/// Reads the client's error: what failed, and how it says so.
fn failed(target: &str, error: &ClientError) -> Failed {
    let fault = match find::<DialError>(error) {
        Some(DialError::NoAddress(NoAddress::Refused(_))) => Fault::AddressRefused,
        Some(DialError::NoAddress(NoAddress::Unresolved(_))) => Fault::Dns,
        Some(DialError::Connect { .. } | DialError::NoProxy { .. } | DialError::NoTunnel(_)) => {
            Fault::Connect
        }
        Some(DialError::TimedOut(_)) => Fault::ConnectTimeout,
        None if find::<rustls::Error>(error).is_some() => Fault::Tls,
        None if error.is_connect() => Fault::Connect,
        None => Fault::Broken,
    };
    let words = match find::<DialError>(error) {
        // It says itself all there is to say.
        Some(dial) => dial.to_string(),
        None => innermost(error),
    };
    Failed {
        fault,
        detail: format!("{target}: {words}"),
    }
}

/// The last words of a chain: the layers above only say that something below failed.
fn innermost(error: &dyn Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}

/// Host and port: paths and queries of webhook URLs hold secrets, so they never reach a detail.
fn target(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// One crypto provider, and the authorities that browsers trust beside those of the configuration.
fn tls(extra_roots: Vec<Vec<u8>>) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in extra_roots {
        roots.add(root.into())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
