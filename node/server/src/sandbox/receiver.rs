//! The sandbox's receiver: takes what is delivered, shows it on a page as it comes, and answers as one chooses there.
//!
//! It listens on loopback, but any page of the browser can call there: whoever asks under another host's name, or
//! would change something without saying that it sends JSON, is refused.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use crate::sandbox::inbox::{Answer, Inbox};

/// Where deliveries go.
pub(super) const PATH: &str = "/hooks";
/// What a slow receiver takes: long enough to be seen, short of the time limit of an attempt.
const SLOW: Duration = Duration::from_secs(10);
/// Nothing but this page's own two files runs or shows, and nobody else may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Shared {
    address: SocketAddr,
    inbox: Mutex<Inbox>,
    stop: CancellationToken,
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running receiver.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Receiver {
    /// Listens there.
    pub(super) async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            inbox: Mutex::default(),
            stop: CancellationToken::new(),
        });
        let app = router(Arc::clone(&shared));
        let stopped = shared.stop.clone().cancelled_owned();
        let task =
            tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stopped).await });
        Ok(Self { shared, task })
    }

    /// The page.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.shared.address)
    }

    /// Where deliveries go.
    pub(super) fn hooks(&self) -> String {
        format!("http://{}{PATH}", self.shared.address)
    }

    /// Lets go of whoever is being answered slowly, and ends.
    pub(super) async fn stop(mut self) {
        self.shared.stop.cancel();
        // A browser may hold its connection open for as long as it likes.
        if tokio::time::timeout(Duration::from_secs(1), &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let page = Router::new()
        .route(
            "/",
            get(async || file("text/html; charset=utf-8", include_str!("page.html"))),
        )
        .route(
            "/page.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
        .route(
            "/page.css",
            get(async || file("text/css; charset=utf-8", include_str!("page.css"))),
        )
        .route("/api/requests", get(requests))
        .route("/api/answer", post(answer))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), only_ours));
    Router::new()
        .route(PATH, post(take))
        .merge(page)
        .with_state(shared)
}

type Named = [(HeaderName, &'static str); 3];

fn typed(content_type: &'static str) -> Named {
    [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}

fn file(content_type: &'static str, text: &'static str) -> (Named, &'static str) {
    (typed(content_type), text)
}

/// A name that somebody else's page made point here is not ours.
async fn only_ours(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let port = shared.address.port();
    let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    if host.is_some_and(|host| ours.iter().any(|one| one == host)) {
        next.run(request).await
    } else {
        let why = format!("this page is at http://{}/\n", shared.address);
        (StatusCode::MISDIRECTED_REQUEST, why).into_response()
    }
}

async fn requests(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let since = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "since")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let inbox = shared.inbox();
    match serde_json::to_string(&inbox.since(since)) {
        Ok(text) => (typed("application/json"), text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct Choice {
    answer: Answer,
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    // A form of another page cannot say this without asking the browser, which would ask here first.
    let json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|given| given == "application/json");
    if !json {
        let why = "content-type must be application/json\n".to_owned();
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    match serde_json::from_slice::<Choice>(&body) {
        Ok(choice) => {
            shared.inbox().choose(choice.answer);
            (StatusCode::NO_CONTENT, String::new())
        }
        Err(_) => {
            let why = "allowed is {\"answer\": \"200\"}, or 500, 401, slow\n".to_owned();
            (StatusCode::BAD_REQUEST, why)
        }
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let event = headers.get("webhook-id").map(text).unwrap_or_default();
    let all = headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    let at = jiff::Timestamp::now().to_string();
    let (number, answer) = shared.inbox().take(at, event, all, &body);
    if answer == Answer::Slow {
        // Whether the time is over or the sandbox ends, the answer is the same.
        drop(tokio::time::timeout(SLOW, shared.stop.cancelled()).await);
    }
    shared.inbox().answered(number, answer.status());
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::OK);
    (status, "the sandbox's receiver answers as it was told\n")
}
