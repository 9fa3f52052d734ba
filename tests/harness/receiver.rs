//! A scripted receiver of webhooks: each path answers as its [`Behaviour`] says, every request is kept, and
//! signatures are checked by the reference verifier, which is not our code. It can go down (connections are
//! refused) and come up again on the same port.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use standardwebhooks::Webhook;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answering::respond;
use crate::behaviour::{Answer, Behaviour, Seen};
use crate::ports::Port;
use crate::sockets::process_at;

/// What the reference verifier said of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It is right.
    Valid,
    /// It is not, and why.
    Invalid(String),
    /// No secret was given for the path.
    Unchecked,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, one hopes.
    pub method: Method,
    /// Where to.
    pub path: String,
    /// The header `webhook-id`, empty if there was none.
    pub webhook_id: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When it had come in whole.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
    /// What the reference verifier said.
    pub signature: Signature,
    /// The process that sent it, where the receiver was told to look.
    pub sender: Option<u32>,
    /// The status that went back; `None` while it is held, or when the sender left.
    pub answered: Option<u16>,
}

#[derive(Default)]
struct Path {
    behaviour: Behaviour,
    secret: Option<String>,
    seen: usize,
    seen_of: HashMap<String, usize>,
    at_once: usize,
    most_at_once: usize,
}

struct Shared {
    paths: Mutex<HashMap<String, Path>>,
    log: Mutex<Vec<Request>>,
    released: watch::Sender<bool>,
    names_senders: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which process called, found out once for each connection: at its first request and off the accepting loop, since
/// all of /proc is read for it and a slow look would hold up every other caller.
#[derive(Clone)]
struct Sender {
    caller: SocketAddr,
    called: Option<SocketAddr>,
    process: Arc<OnceCell<Option<u32>>>,
}

impl Sender {
    async fn process(&self) -> Option<u32> {
        let (caller, called) = (self.caller, self.called);
        let look = || async move {
            tokio::task::spawn_blocking(move || process_at(caller, called?))
                .await
                .expect("a look into /proc does not panic")
        };
        *self.process.get_or_init(look).await
    }
}

/// Sends its answers at once, as a busy receiver's server does: Nagle's algorithm would hold each for 40 ms.
struct Prompt(TcpListener);

impl Listener for Prompt {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, caller) = Listener::accept(&mut self.0).await;
        // A connection that broke already is found out by its reader.
        drop(stream.set_nodelay(true));
        (stream, caller)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Prompt>> for Sender {
    fn connect_info(stream: IncomingStream<'_, Prompt>) -> Self {
        Self {
            caller: *stream.remote_addr(),
            called: stream.io().local_addr().ok(),
            process: Arc::default(),
        }
    }
}

struct Running {
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// A receiver on a port of its own.
pub struct Receiver {
    port: Port,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

impl Receiver {
    /// Starts one; a path without a script answers 200.
    pub async fn start() -> Self {
        Self::on(Port::reserve()).await
    }

    /// Starts one on this port.
    pub async fn on(port: Port) -> Self {
        let shared = Shared {
            paths: Mutex::default(),
            log: Mutex::default(),
            released: watch::Sender::new(false),
            names_senders: AtomicBool::new(false),
        };
        let receiver = Self {
            port,
            shared: Arc::new(shared),
            running: Mutex::default(),
        };
        receiver.up().await;
        receiver
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The URL of a path (`/orders`).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Says how a path answers, from now on.
    pub fn script(&self, path: &str, behaviour: Behaviour) {
        lock(&self.shared.paths)
            .entry(path.to_owned())
            .or_default()
            .behaviour = behaviour;
    }

    /// Has every request to a path checked against this secret (`whsec_…`).
    pub fn check(&self, path: &str, secret: &str) {
        lock(&self.shared.paths)
            .entry(path.to_owned())
            .or_default()
            .secret = Some(secret.to_owned());
    }

    /// From now on says of each request which process sent it. Costs a walk through /proc and the kernel's table of
    /// connections for each new one, so nobody does it who measures.
    pub fn name_senders(&self) {
        self.shared.names_senders.store(true, Ordering::Relaxed);
    }

    /// Lets go of all that is held, and of all that would be.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Refuses connections, and breaks those that stand.
    pub async fn down(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.stop.cancel();
            running
                .server
                .await
                .expect("the receiver's server does not panic");
        }
    }

    /// Listens again.
    pub async fn up(&self) {
        if lock(&self.running).is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address())
            .await
            .expect("the reserved port is free");
        let stop = CancellationToken::new();
        let app = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::disable())
            .with_state((Arc::clone(&self.shared), stop.clone()));
        let stopped = stop.clone();
        let server = tokio::spawn(async move {
            axum::serve(
                Prompt(listener),
                app.into_make_service_with_connect_info::<Sender>(),
            )
            .with_graceful_shutdown(stopped.cancelled_owned())
            .await
            .expect("the receiver serves");
        });
        *lock(&self.running) = Some(Running { stop, server });
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).clone()
    }

    /// Every request to a path.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        let log = lock(&self.shared.log);
        log.iter()
            .filter(|request| request.path == path)
            .cloned()
            .collect()
    }

    /// How many requests came to a path.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.shared.log)
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    /// How often each event was *taken* (answered 2xx) on a path.
    pub fn taken(&self, path: &str) -> BTreeMap<String, usize> {
        let mut taken = BTreeMap::new();
        for request in lock(&self.shared.log).iter() {
            if request.path == path
                && request
                    .answered
                    .is_some_and(|status| (200..300).contains(&status))
            {
                *taken.entry(request.webhook_id.clone()).or_default() += 1;
            }
        }
        taken
    }

    /// The most requests that a path had open at the same time.
    pub fn most_at_once(&self, path: &str) -> usize {
        lock(&self.shared.paths)
            .get(path)
            .map_or(0, |path| path.most_at_once)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.stop.cancel();
            running.server.abort();
        }
    }
}

/// Counts a request out again, also when the sender goes away and its handler is dropped.
struct Open<'a> {
    shared: &'a Shared,
    path: &'a str,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(path) = lock(&self.shared.paths).get_mut(self.path) {
            path.at_once -= 1;
        }
    }
}

async fn receive(
    State((shared, stop)): State<(Arc<Shared>, CancellationToken)>,
    ConnectInfo(sender): ConnectInfo<Sender>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let sender = match shared.names_senders.load(Ordering::Relaxed) {
        true => sender.process().await,
        false => None,
    };
    let (place, answer) = shared.keep(method, &path, headers, body, sender);
    let _open = Open {
        shared: &shared,
        path: &path,
    };
    let response = respond(answer, shared.released.subscribe(), stop).await;
    lock(&shared.log)[place].answered = Some(response.status().as_u16());
    response
}

impl Shared {
    /// Keeps the request, and asks the path's script for the answer.
    fn keep(
        &self,
        method: Method,
        name: &str,
        headers: HeaderMap,
        body: Bytes,
        sender: Option<u32>,
    ) -> (usize, Answer) {
        let webhook_id = headers
            .get("webhook-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut paths = lock(&self.paths);
        let path = paths.entry(name.to_owned()).or_default();
        let signature = match &path.secret {
            Some(secret) => {
                match Webhook::new(secret).and_then(|reference| reference.verify(&body, &headers)) {
                    Ok(()) => Signature::Valid,
                    Err(error) => Signature::Invalid(error.to_string()),
                }
            }
            None => Signature::Unchecked,
        };
        let of_event = path.seen_of.entry(webhook_id.clone()).or_default();
        let seen = Seen {
            of_path: path.seen,
            of_event: *of_event,
        };
        *of_event += 1;
        path.seen += 1;
        path.at_once += 1;
        path.most_at_once = path.most_at_once.max(path.at_once);
        let answer = path.behaviour.answer(&seen);
        let mut log = lock(&self.log);
        log.push(Request {
            method,
            path: name.to_owned(),
            webhook_id,
            headers,
            body,
            at: Instant::now(),
            wall: SystemTime::now(),
            signature,
            sender,
            answered: None,
        });
        (log.len() - 1, answer)
    }
}

#[cfg(test)]
mod tests;
