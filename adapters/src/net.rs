//! The way out: connections, time limits, size limits and the guard on addresses, for every kind alike. One exchange
//! is one request and one answer; nothing is followed, repeated or proxied here.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use pushrail_model::limits;
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::adapter::Fault;
use crate::guard::{Guard, Refused};
use crate::names::Resolver;

pub use crate::names::Names;

/// Bytes of a response read beyond the excerpt, so that its connection can be used again; past them it is dropped.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// How long a response's body may take: the status has decided already, only the excerpt is still wanted.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Unused connections kept for one host.
const IDLE_PER_HOST_MAX: usize = 32;
/// What an HTTP/2 receiver may send before we have read it: per stream, and per connection.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// A silent HTTP/2 connection is asked after the first, and dropped after the second.
const PING_AFTER: Duration = Duration::from_secs(10);
const PING_TIME_MAX: Duration = Duration::from_secs(5);

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
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(20),
            names: Names::System,
            extra_roots: Vec::new(),
        }
    }
}

/// The way out could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No TLS.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// No HTTP client.
    #[error("set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The way out. Clones share its connections.
#[derive(Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    guard: Guard,
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
        let guard = Guard::new(config.allowed_networks);
        let client = Client::builder()
            .tls_backend_preconfigured(tls(config.extra_roots).map_err(NetError::Tls)?)
            .dns_resolver(Resolver::new(config.names, guard.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIME_MAX)
            .build()
            .map_err(NetError::Client)?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                guard,
                total_timeout: config.total_timeout,
            }),
        })
    }

    /// One request and its answer, within the time limits. An answer whose head came counts, whatever its body does.
    pub(crate) async fn exchange(&self, request: Request) -> Result<Answer, Failed> {
        let deadline = Instant::now() + self.inner.total_timeout;
        let target = target(&request.url);
        // The resolver guards names; an address in the URL itself never gets there.
        if let Some(address) = literal(&request.url) {
            self.inner.guard.check(address).map_err(|refused| Failed {
                fault: Fault::AddressRefused,
                detail: refused.to_string(),
            })?;
        }

        let mut wire = reqwest::Request::new(request.method, request.url);
        *wire.headers_mut() = request.headers;
        *wire.body_mut() = Some(request.body.into());
        match timeout_at(deadline, self.inner.client.execute(wire)).await {
            Ok(Ok(response)) => Ok(read(response, deadline).await),
            Ok(Err(error)) => Err(failed(&target, &error.without_url())),
            Err(_) => Err(Failed {
                fault: Fault::Timeout,
                detail: format!("no answer from {target} within {:?}", self.inner.total_timeout),
            }),
        }
    }
}

async fn read(mut response: Response, deadline: Instant) -> Answer {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let remote = response
        .remote_addr()
        .map(|address| address.to_string())
        .unwrap_or_default();
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
        let chunk = match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            // It broke off or takes too long; dropping the response closes its connection.
            Ok(Err(_)) | Err(_) => {
                excerpt_cut = true;
                break;
            }
        };
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
        headers,
        excerpt: excerpt.freeze(),
        excerpt_cut,
        remote,
    }
}

/// Reads the client's error: what failed, and how it says so.
fn failed(target: &str, error: &reqwest::Error) -> Failed {
    let fault = if find::<Refused>(error).is_some() {
        Fault::AddressRefused
    } else if error.is_builder() {
        Fault::Unsendable
    } else if error.is_connect() && error.is_timeout() {
        Fault::ConnectTimeout
    } else if error.is_dns() {
        Fault::Dns
    } else if find::<rustls::Error>(error).is_some() {
        Fault::Tls
    } else if error.is_connect() {
        Fault::Connect
    } else if error.is_timeout() {
        Fault::Timeout
    } else {
        Fault::Broken
    };
    let detail = match find::<Refused>(error) {
        Some(refused) => format!("{target}: {refused}"),
        None => format!("{target}: {}", innermost(error)),
    };
    Failed { fault, detail }
}

/// Looks through an error and its sources, also inside the I/O errors that wrap TLS's.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
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

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
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
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
