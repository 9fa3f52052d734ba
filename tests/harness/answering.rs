//! How an answer of a script goes over the wire. The receiver calls it for each request.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::behaviour::Answer;

/// Answers; what is held ends when it is released, and everything ends when the receiver goes down.
pub(crate) async fn respond(
    answer: Answer,
    mut released: watch::Receiver<bool>,
    stop: CancellationToken,
) -> Response {
    match answer {
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
    }
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
