//! Requests and answers as a person is shown them who tests a destination. Nothing of this is kept, and what the
//! credential holds is never in it: a signature may be seen, the secret that made it may not.

use bytes::Bytes;
use http::{HeaderMap, Version};
use url::Url;

use crate::net::Request;

/// Bytes of headers that are shown of an answer.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Stands for a value that comes from the credential.
const HIDDEN: &str = "(hidden)";

/// A request as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRequest {
    /// `POST`, …
    pub method: String,
    /// Where to.
    pub url: String,
    /// In their order; what comes from the credential is hidden.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl ShownRequest {
    pub(crate) fn of(request: &Request) -> Self {
        let mut headers = vec![("host".to_owned(), host(&request.url))];
        headers.extend(lines(&request.headers));
        headers.push(("content-length".to_owned(), request.body.len().to_string()));
        Self {
            method: request.method.to_string(),
            url: request.url.to_string(),
            headers,
            body: request.body.clone(),
        }
    }
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// The protocol that was spoken: `HTTP/1.1`, `HTTP/2`.
    pub fn protocol(&self) -> String {
        match self.version {
            Version::HTTP_2 => "HTTP/2".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Its headers, as many as are worth showing.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut bytes = 0;
        lines(&self.headers)
            .take_while(|(name, value)| {
                bytes += name.len() + value.len();
                bytes <= HEADER_BYTES_MAX
            })
            .collect()
    }
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().map(|(name, value)| {
        let value = if value.is_sensitive() {
            HIDDEN.into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        (name.to_string(), value.into_owned())
    })
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
