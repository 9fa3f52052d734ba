//! A scripted receiver of webhooks: each path answers as its [`Behaviour`] says, every request is kept, and
//! signatures are checked by the reference verifier, which is not our code. It can go down (connections are
//! refused) and come up again on the same port.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::serve::IncomingStream;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
    /// The process that sent it.
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which process called, found out once for each connection.
#[derive(Clone, Copy)]
struct Sender(Option<u32>);

impl Connected<IncomingStream<'_, TcpListener>> for Sender {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(process_at(*stream.remote_addr()))
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
            axum::serve(listener, app.into_make_service_with_connect_info::<Sender>())
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
    ConnectInfo(Sender(sender)): ConnectInfo<Sender>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let (place, answer) = shared.keep(method, &path, headers, body, sender);
    let _open = Open {
        shared: &shared,
        path: &path,
    };
    let mut released = shared.released.subscribe();
    let response = match answer {
        Answer::Status {
            status,
            headers,
            body,
        } => {
            let mut response = response(status, Body::from(body));
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(name, value.parse().expect("a header of a script"));
            }
            response
        }
        Answer::Late { status, after } => {
            // Whether the time is over or the receiver goes down, the answer is the same.
            drop(tokio::time::timeout(after, stop.cancelled()).await);
            response(status, Body::empty())
        }
        Answer::Hold => {
            tokio::select! {
                _ = released.wait_for(|released| *released) => response(200, Body::empty()),
                () = stop.cancelled() => response(503, Body::empty()),
            }
        }
        Answer::Endless { status, pause } => response(status, endless(pause, stop)),
        // Unwinding out of the handler is what makes the server drop the connection without a word.
        Answer::HangUp => std::panic::resume_unwind(Box::new("hung up")),
    };
    lock(&shared.log)[place].answered = Some(response.status().as_u16());
    response
}

fn response(status: u16, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of a script");
    response
}

fn endless(pause: Duration, stop: CancellationToken) -> Body {
    let chunks = futures::stream::unfold((), move |()| {
        let stop = stop.clone();
        async move {
            match tokio::time::timeout(pause, stop.cancelled()).await {
                Err(_) => Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096])), ())),
                Ok(()) => None,
            }
        }
    });
    Body::from_stream(chunks)
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
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    /// Posts as a stranger would, and answers the first bytes that come back; `None`: the connection broke first.
    async fn post(receiver: &Receiver, path: &str, id: &str) -> Option<String> {
        let mut stream = TcpStream::connect(receiver.address()).await.ok()?;
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: h\r\nwebhook-id: {id}\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut buffer = vec![0; 1024];
        let count = stream.read(&mut buffer).await.ok()?;
        let line = String::from_utf8_lossy(&buffer[..count])
            .lines()
            .next()
            .map(str::to_owned);
        line.map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn a_script_counts_each_event_for_itself() {
        let receiver = Receiver::start().await;
        receiver.script("/hook", Behaviour::first(1, 500));

        for (id, status) in [("a", "500"), ("b", "500"), ("a", "200"), ("b", "200")] {
            assert_eq!(
                post(&receiver, "/hook", id).await.as_deref(),
                Some(status),
                "{id}"
            );
        }

        assert_eq!(receiver.count("/hook"), 4);
        assert_eq!(
            receiver.taken("/hook").into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), 1), ("b".to_owned(), 1)]
        );
        assert!(
            receiver
                .requests()
                .iter()
                .all(|request| request.sender == Some(std::process::id()))
        );
    }

    #[tokio::test]
    async fn a_connection_that_is_hung_up_has_no_answer() {
        let receiver = Receiver::start().await;
        receiver.script("/hook", Behaviour::hangs_up(1));

        assert_eq!(post(&receiver, "/hook", "a").await, None);
        assert_eq!(post(&receiver, "/hook", "a").await.as_deref(), Some("200"));

        assert_eq!(receiver.requests()[0].answered, None);
        assert_eq!(receiver.taken("/hook").get("a"), Some(&1));
    }

    #[tokio::test]
    async fn a_receiver_that_is_down_refuses_and_comes_back_on_its_port() {
        let receiver = Receiver::start().await;
        let address = receiver.address();

        receiver.down().await;
        let refused = TcpStream::connect(address).await;
        receiver.up().await;

        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(post(&receiver, "/hook", "a").await.as_deref(), Some("200"));
    }

    #[tokio::test]
    async fn what_is_held_is_let_go_by_release_and_counted_as_open_until_then() {
        let receiver = Arc::new(Receiver::start().await);
        receiver.script("/hook", Behaviour::hold());
        let posts: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|id| {
                let receiver = Arc::clone(&receiver);
                tokio::spawn(async move { post(&receiver, "/hook", id).await })
            })
            .collect();
        crate::eventually::eventually("all are open", Duration::from_secs(10), || async {
            let open = receiver.most_at_once("/hook");
            (open == 3).then_some(()).ok_or(format!("{open} open"))
        })
        .await;
        assert!(receiver.taken("/hook").is_empty());

        receiver.release();

        for post in posts {
            assert_eq!(post.await.unwrap().as_deref(), Some("200"));
        }
    }
}
