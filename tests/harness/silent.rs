//! A receiver that takes every connection and says nothing, for as long as the caller likes to wait. It costs the
//! machine next to nothing, so that what is measured beside it is not the harness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::Port;

#[derive(Default)]
struct Counts {
    taken: AtomicUsize,
    open: AtomicUsize,
}

/// The receiver.
pub struct Silent {
    port: Port,
    counts: Arc<Counts>,
    _task: AbortOnDropHandle<()>,
}

impl Silent {
    /// Starts one on a port of its own.
    pub async fn start() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address())
            .await
            .expect("the reserved port is free");
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(take(listener, Arc::clone(&counts)));
        Self {
            port,
            counts,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A URL of its.
    pub fn url(&self) -> String {
        format!("http://{}/silent", self.address())
    }

    /// Connections so far.
    pub fn taken(&self) -> usize {
        self.counts.taken.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

async fn take(listener: TcpListener, counts: Arc<Counts>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        counts.taken.fetch_add(1, Ordering::SeqCst);
        counts.open.fetch_add(1, Ordering::SeqCst);
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            // Until the caller has had enough.
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            counts.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
