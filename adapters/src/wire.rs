//! An open connection as those who send over it see it, above TLS: which bytes came, and whether anything was ever
//! answered. The way out asks it whether an exchange failed only because its connection was stale.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Extensions;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is known of one open connection. Clones are of the same one; the pool hands it out with every answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    answered: AtomicBool,
    bytes_read: AtomicU64,
}

impl Wire {
    fn of(connected: &Connected) -> Option<Self> {
        let mut extras = Extensions::new();
        connected.get_extras(&mut extras);
        extras.remove()
    }
}

/// One exchange's turn on a connection, from the moment on when the pool gave it out.
#[derive(Debug)]
pub(crate) struct Turn {
    wire: Wire,
    http2: bool,
    reused: bool,
    bytes_read_before: u64,
}

impl Turn {
    pub(crate) fn begin(connected: &Connected) -> Option<Self> {
        let wire = Wire::of(connected)?;
        Some(Self {
            http2: connected.is_negotiated_h2(),
            reused: wire.0.answered.load(Ordering::Relaxed),
            bytes_read_before: wire.0.bytes_read.load(Ordering::Relaxed),
            wire,
        })
    }

    pub(crate) fn is_on(&self, connected: &Connected) -> bool {
        Wire::of(connected).is_some_and(|wire| Arc::ptr_eq(&wire.0, &self.wire.0))
    }

    /// Others may be on this connection at the same time.
    pub(crate) fn shares(&self) -> bool {
        self.http2
    }

    /// An answer's head came.
    pub(crate) fn answered(&self) {
        self.wire.0.answered.store(true, Ordering::Relaxed);
    }

    /// The connection had brought an answer before, and not a byte of one to this exchange.
    pub(crate) fn was_on_a_used_connection_in_vain(&self) -> bool {
        if self.http2 {
            // Its connection carries others' bytes and its own housekeeping too, so their number says nothing. That
            // an exchange failed at all means that the head of its answer did not come. It counts as on a used
            // connection as soon as anybody beside it was answered there.
            return self.wire.0.answered.load(Ordering::Relaxed);
        }
        self.reused && self.wire.0.bytes_read.load(Ordering::Relaxed) == self.bytes_read_before
    }
}

/// A connection that counts what comes in.
pub(crate) struct Watched<S> {
    io: TokioIo<S>,
    wire: Wire,
}

impl<S> Watched<S> {
    /// For hyper, whose own buffers do not say how much was read into them; tokio's do.
    pub(crate) fn over(io: S) -> TokioIo<Self> {
        TokioIo::new(Self {
            io: TokioIo::new(io),
            wire: Wire::default(),
        })
    }
}

impl<S: Connection> Connection for Watched<S> {
    fn connected(&self) -> Connected {
        self.io.inner().connected().extra(self.wire.clone())
    }
}

impl<S: Read + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let came = buffer.filled().len() - before;
        self.wire.0.bytes_read.fetch_add(came as u64, Ordering::Relaxed);
        polled
    }
}

impl<S: Write + Unpin> AsyncWrite for Watched<S> {
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
