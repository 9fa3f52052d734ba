//! From a URL's host to an open connection: what the name means now, what the guard lets through, and a TCP
//! connection to that very address, direct or through the proxy. Every new connection of every kind is made here.
//!
//! Invariant: nothing is dialled that the guard was not asked about in this very dial; no answer is kept for later.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

use crate::names::{NoAddress, Resolver};
use crate::proxy::{Proxy, TunnelError};
use crate::wire::Watched;

/// Addresses of one name that are tried at most.
const ADDRESSES_MAX: usize = 8;
/// How long an address is ahead of the next one: a family of addresses that leads nowhere costs no more than this.
const HEAD_START: Duration = Duration::from_millis(250);

/// No connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// No address that may be dialled.
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    /// Nothing there took the connection.
    #[error("{address}: {source}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The proxy cannot be reached.
    #[error("the proxy {proxy} cannot be reached: {why}")]
    NoProxy { proxy: String, why: String },
    /// The proxy gave no tunnel.
    #[error(transparent)]
    NoTunnel(#[from] TunnelError),
    /// Not within the time for name, connection and TLS together.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub(crate) resolver: Resolver,
    pub(crate) proxy: Option<Proxy>,
    /// For name, connection and TLS together, as [`Within`] holds it.
    pub(crate) limit: Duration,
}

impl Dialler {
    async fn dial(&self, uri: &Uri) -> Result<Dialled, DialError> {
        let deadline = Instant::now() + self.limit;
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        });
        let admitted = self.resolver.admitted(host).await?;
        let addresses: Vec<SocketAddr> = admitted
            .into_iter()
            .take(ADDRESSES_MAX)
            .map(|address| SocketAddr::new(address, port))
            .collect();
        let (stream, remote) = match &self.proxy {
            None => {
                let stream = first_to_connect(&addresses).await?;
                let remote = stream.peer_addr().map(|address| address.to_string());
                (stream, remote.unwrap_or_default())
            }
            Some(proxy) => {
                let proxies = self.proxies(proxy).await?;
                let (stream, address) = first_tunnel(proxy, &proxies, &addresses, deadline).await?;
                (stream, format!("{address} through {proxy}"))
            }
        };
        stream.set_nodelay(true).ok();
        Ok(Dialled {
            io: TokioIo::new(stream),
            remote: Remote(remote),
        })
    }

    /// Where the proxy is, looked up once a dial and like any other name, so that it has its bounds. The proxy is the
    /// operator's own, and stands where the guard would let no destination be.
    async fn proxies(&self, proxy: &Proxy) -> Result<Vec<SocketAddr>, DialError> {
        let (host, port) = proxy.host();
        let found = self.resolver.all(host).await;
        let found = found.map_err(|why| no_proxy(proxy, why.to_string()))?;
        let addresses = found.iter().take(ADDRESSES_MAX);
        Ok(addresses.map(|&address| SocketAddr::new(address, port)).collect())
    }
}

/// Tries one after another, each a little ahead of the next; the first that stands is taken.
async fn first_to_connect(addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut waiting = addresses.iter().copied();
    let mut under_way = FuturesUnordered::new();
    let mut failed = None;
    loop {
        match waiting.next() {
            Some(address) => under_way.push(connect(address)),
            None if under_way.is_empty() => {
                return Err(failed.unwrap_or_else(|| NoAddress::Unresolved("no address".into()).into()));
            }
            None => {}
        }
        tokio::select! {
            Some(connected) = under_way.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = Some(error),
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, DialError> {
    TcpStream::connect(address)
        .await
        .map_err(|source| DialError::Connect { address, source })
}

/// One tunnel after another: a proxy that is asked for several at once would open several. Each try has its share of
/// the time that is left, so that an address to which the proxy finds no way does not use up the others' time; the last
/// one has all of it, and whoever called ends it.
async fn first_tunnel(
    proxy: &Proxy,
    proxies: &[SocketAddr],
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut failed = None;
    for (tried, &address) in addresses.iter().enumerate() {
        let trying = tunnel(proxy, proxies, address);
        let share = match u32::try_from(addresses.len() - tried) {
            Ok(1) | Err(_) => None,
            Ok(left) => Some((deadline - Instant::now()) / left),
        };
        let made = match share {
            None => trying.await,
            Some(share) => timeout(share, trying)
                .await
                .unwrap_or_else(|_| Err(TunnelError::Silent { to: address }.into())),
        };
        match made {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| NoAddress::Unresolved("no address".into()).into()))
}

async fn tunnel(proxy: &Proxy, proxies: &[SocketAddr], to: SocketAddr) -> Result<TcpStream, DialError> {
    let mut stream = first_to_connect(proxies)
        .await
        .map_err(|error| no_proxy(proxy, error.to_string()))?;
    proxy.tunnel(&mut stream, to).await?;
    Ok(stream)
}

fn no_proxy(proxy: &Proxy, why: String) -> DialError {
    DialError::NoProxy {
        proxy: proxy.to_string(),
        why,
    }
}

impl Service<Uri> for Dialler {
    type Response = Dialled;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Dialled, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.dial(&uri).await })
    }
}

/// Who is at the other end, for the record.
#[derive(Clone, Debug)]
pub(crate) struct Remote(pub(crate) String);

/// An open connection.
pub(crate) struct Dialled {
    io: TokioIo<TcpStream>,
    remote: Remote,
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.remote.clone())
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

/// A connector held to a time for all that it does: name, connection and TLS together; what it connects is watched.
#[derive(Clone)]
pub(crate) struct Within<C> {
    pub(crate) connector: C,
    pub(crate) limit: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Future<Output = Result<C::Response, BoxError>> + Send + 'static,
    C::Response: Send + 'static,
{
    type Response = TokioIo<Watched<C::Response>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(done) => done.map(Watched::over),
                Err(_) => Err(DialError::TimedOut(limit).into()),
            }
        })
    }
}
