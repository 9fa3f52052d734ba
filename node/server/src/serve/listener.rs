//! The two ports that others than peers use: how they are taken, answered, and given up.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{debug, error};

use super::ServeError;
use crate::http::{self, Health};
use crate::telemetry::chain;

/// A server of ours that can be told to end.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    /// Ends it: what is under way is given this long.
    pub(super) async fn stop(mut self, limit: Duration) {
        self.stop.cancel();
        if timeout(limit, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Takes an address, which `key` of the configuration names.
pub(super) async fn listen(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let refused = |source| ServeError::Listen { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Answers callers' gRPC.
pub(super) fn serve_callers((listener, address): (TcpListener, SocketAddr), routes: Routes) -> Listener {
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        // Here, since the server's own setting does not reach connections that it did not accept itself.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = Server::builder()
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stopped)
            .await;
        if let Err(error) = served {
            error!(error = %chain(&error), "callers are not served any more");
        }
    });
    Listener { address, stop, task }
}

/// Answers operators' HTTP.
pub(super) fn serve_operators((listener, address): (TcpListener, SocketAddr), health: Health) -> Listener {
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "a connection will answer a little late");
            }
        });
        let served = axum::serve(listener, http::router(health)).with_graceful_shutdown(stopped);
        if let Err(error) = served.await {
            error!(error = %chain(&error), "health and metrics are not served any more");
        }
    });
    Listener { address, stop, task }
}
