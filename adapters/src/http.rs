//! What all HTTP kinds share. Such a kind is a pure way from events to a request and a pure reading of the answer;
//! the exchange between them is the same for all.

use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use pushrail_model::outcome::Observed;
use pushrail_model::time::Span;

use crate::adapter::{Dispatch, Fault, Link, Reply, detail_of};
use crate::net::{Answer, Failed, Net, Request};
use crate::retry_after;
use crate::shown::{Head, ShownRequest};

/// An HTTP kind, configured.
pub(crate) trait HttpKind: Send + Sync {
    /// The one request for these events. Pure.
    fn request(&self, batch: &[Dispatch<'_>]) -> Result<Request, Fault>;

    /// The request of a probe. Pure.
    fn probe(&self) -> Request;

    /// The provider's own code in an answer, where the kind's protocol has one. Pure.
    fn code(&self, _answer: &Answer) -> Option<String> {
        None
    }
}

/// An HTTP kind on the wire.
pub(crate) struct HttpLink<K> {
    pub(crate) kind: K,
    pub(crate) net: Net,
}

#[async_trait]
impl<K: HttpKind> Link for HttpLink<K> {
    async fn send(&self, batch: &[Dispatch<'_>]) -> Reply {
        match self.kind.request(batch) {
            Ok(request) => self.exchange(request).await,
            Err(fault) => Reply::failed(fault, "the event does not fit into an HTTP request"),
        }
    }

    fn show(&self, batch: &[Dispatch<'_>]) -> Option<ShownRequest> {
        let request = self.kind.request(batch).ok()?;
        Some(ShownRequest::of(&request))
    }

    async fn probe(&self) -> Reply {
        self.exchange(self.kind.probe()).await
    }
}

impl<K: HttpKind> HttpLink<K> {
    async fn exchange(&self, request: Request) -> Reply {
        let start = Instant::now();
        let seen = self.net.exchange(request).await;
        let reply = match seen {
            Ok(answer) => {
                let code = self.kind.code(&answer);
                read(answer, code, SystemTime::now())
            }
            Err(Failed { fault, detail }) => Reply::failed(fault, &detail),
        };
        Reply {
            took: Span::from_duration(start.elapsed()),
            ..reply
        }
    }
}

/// An answer as it is reported.
fn read(answer: Answer, code: Option<String>, now: SystemTime) -> Reply {
    let delivered = answer.status.is_success() && code.is_none();
    let detail = match (&code, delivered) {
        (_, true) => String::new(),
        (Some(code), false) => detail_of(&format!("the receiver answered {}: {code}", answer.status)),
        (None, false) => format!("the receiver answered {}", answer.status),
    };
    Reply {
        observed: Observed {
            status: Some(answer.status.as_u16()),
            detail,
            retry_after: if delivered {
                None
            } else {
                retry_after::read(&answer.headers, now)
            },
            excerpt: answer.excerpt,
            excerpt_cut: answer.excerpt_cut,
            remote: answer.remote,
        },
        fault: code.map(Fault::Code),
        took: Span::ZERO,
        head: Some(Head {
            version: answer.version,
            headers: answer.headers,
        }),
    }
}
