//! One request and its answer over connections that are kept and used again. [`crate::net`] asks through this; nothing
//! is asked more than once, but for a request that a stale connection swallowed: that one twice.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::dial::{Dialler, Within};
use crate::wire::Turn;

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

pub(crate) type Wanted = http::Request<Full<Bytes>>;
type Connector = Within<HttpsConnector<Dialler>>;
type Pooling = Client<Connector, Full<Bytes>>;

/// Connections, and the way to ask over them.
pub(crate) struct Asking {
    pooled: Pooling,
    /// Keeps no connection, so that each of its exchanges has a fresh one.
    once: Pooling,
}

impl Asking {
    /// Connects nowhere yet.
    pub(crate) fn over(connector: Connector) -> Self {
        let mut client = Client::builder(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIME_MAX);
        let once = client.clone().pool_max_idle_per_host(0).build(connector.clone());
        let pooled = client.build(connector);
        Self { pooled, once }
    }

    /// Asks, and asks once more where a stale connection swallowed the request: receivers close connections that they
    /// kept alive whenever they like, also in the moment in which a request is under way to them. RFC 9110, section
    /// 9.2.2, lets a client repeat by itself a request that it knows to be idempotent, which ours are: delivery is at
    /// least once, and receivers know a repeat by its id. Byte for byte the same, it is still the same attempt.
    ///
    /// Invariant: a fresh connection's failure is the receiver's answer, and nothing is asked a third time.
    pub(crate) async fn ask(&self, request: Wanted) -> Result<Response<Incoming>, ClientError> {
        let (error, stale) = match ask_once(&self.pooled, request.clone()).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let again = match stale {
            Stale::No => return Err(error),
            // The pool may hold more connections as stale as this one.
            Stale::Own => &self.once,
            // The pool holds one for all, and would make a new one: all that were on the old one wait for the same.
            Stale::Shared => {
                if let Some(connected) = error.connect_info() {
                    connected.poison();
                }
                &self.pooled
            }
        };
        ask_once(again, request).await.map_err(|(error, _)| error)
    }
}

/// Whether an exchange failed only because its connection, which had been used before, was at its end.
#[derive(Clone, Copy)]
enum Stale {
    No,
    /// An HTTP/1 connection.
    Own,
    /// An HTTP/2 connection, which others use too.
    Shared,
}

/// One request over one connection; of an error, whether that connection was stale.
async fn ask_once(client: &Pooling, mut request: Wanted) -> Result<Response<Incoming>, (ClientError, Stale)> {
    let captured = capture_connection(&mut request);
    let mut asking = pin!(client.request(request));
    let mut turn: Option<Turn> = None;
    let answer = poll_fn(|cx| {
        let polled = asking.as_mut().poll(cx);
        // A request that could not be written at all is given another connection by the client itself, so this looks
        // again each time.
        if let Some(connected) = &*captured.connection_metadata() {
            turn = turn
                .take()
                .filter(|turn| turn.is_on(connected))
                .or_else(|| Turn::begin(connected));
        }
        polled
    });
    let answer = answer.await;
    match (answer, turn) {
        (Ok(response), turn) => {
            if let Some(turn) = turn {
                turn.answered();
            }
            Ok(response)
        }
        // Where the client made another connection by itself, and that was the one to fail, the turn is of the old one.
        (Err(error), Some(turn))
            if !error.is_connect() && turn.was_on_a_used_connection_in_vain() && cut_off(&error) =>
        {
            let stale = if turn.shares() { Stale::Shared } else { Stale::Own };
            Err((error, stale))
        }
        (Err(error), _) => Err((error, Stale::No)),
    }
}

/// Whether the connection ended under the request, without a word about it. A silent one is not meant: whoever works
/// on a request does not want it twice at once.
fn cut_off(error: &ClientError) -> bool {
    let unfinished = find::<hyper::Error>(error)
        .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed());
    let broken = find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof
        )
    });
    // A stream that was reset for another reason was looked at, and so answered in its way.
    let gone_away = find::<h2::Error>(error)
        .is_some_and(|error| error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
    unfinished || broken || gone_away
}

/// Looks through an error and its sources, also inside the I/O errors that wrap TLS's.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
