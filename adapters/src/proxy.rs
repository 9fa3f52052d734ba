//! An egress proxy that every connection goes through, where the node's configuration names one. The node resolves
//! and checks the destination itself and asks the proxy for a tunnel to that very address, never to a name: so what
//! the guard checked is what is reached, and TLS is spoken with the destination, not with the proxy.

use std::fmt;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

/// Bytes of the head of a proxy's answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Where the proxy is, and how this node proves itself to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a proxy's URL must look like.
pub const PROXY_FORM: &str = "http://host:port, without user name, password, path and query (credentials stand in a file of their own)";
/// What its credentials must look like.
pub const CREDENTIALS_FORM: &str = "one line, user:password, at most 1024 bytes";

impl Proxy {
    /// Reads `http://host:port`; `None`: it is not of [`PROXY_FORM`].
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if url.scheme() != "http" || !bare {
            return None;
        }
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => format!("[{address}]"),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0)?;
        Some(Self {
            host,
            port,
            authorization: None,
        })
    }

    /// With a user name and a password, as they stand in their file; `None`: they are not of [`CREDENTIALS_FORM`].
    #[must_use]
    pub fn with_credentials(mut self, text: &str) -> Option<Self> {
        let line = text.trim_end_matches(['\r', '\n']);
        let fits = (3..=1024).contains(&line.len())
            && !line.chars().any(char::is_control)
            && line.split_once(':').is_some_and(|(user, _)| !user.is_empty());
        if !fits {
            return None;
        }
        self.authorization = Some(format!("Basic {}", STANDARD.encode(line)));
        Some(self)
    }

    pub(crate) fn host(&self) -> (&str, u16) {
        (self.host.trim_matches(['[', ']']), self.port)
    }

    /// Asks for a tunnel to this address. From then on the stream's other end is the destination.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, to: SocketAddr) -> Result<(), TunnelError> {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("proxy-authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = head(stream).await?;
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(TunnelError::Refused { status, to }),
            None => Err(TunnelError::NotHttp),
        }
    }
}

/// There is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    /// The connection to the proxy broke.
    #[error("the connection to the proxy broke: {0}")]
    Broken(#[from] std::io::Error),
    /// It does not want to.
    #[error("the proxy answered {status} to CONNECT {to}")]
    Refused { status: u16, to: SocketAddr },
    /// It does not say whether it wants to.
    #[error("no tunnel to {to} from the proxy in the time for one address")]
    Silent { to: SocketAddr },
    /// It speaks something else.
    #[error("what answered at the proxy's address does not speak HTTP")]
    NotHttp,
}

/// Everything up to the empty line, and not a byte of what follows: that is the destination's.
async fn head(stream: &mut TcpStream) -> Result<Vec<u8>, TunnelError> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(TunnelError::NotHttp);
        }
        stream.read_exact(&mut byte).await?;
        head.extend_from_slice(&byte);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_bare_http_url() {
        for (good, shown) in [
            ("http://proxy.internal:3128", "proxy.internal:3128"),
            ("http://10.0.0.1:3128/", "10.0.0.1:3128"),
            ("http://[fd00::1]:8080", "[fd00::1]:8080"),
            ("http://proxy.internal", "proxy.internal:80"),
        ] {
            assert_eq!(Proxy::parse(good).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "proxy.internal:3128",
            "https://proxy.internal:3128",
            "socks5://proxy.internal:1080",
            "http://user:hunter2@proxy.internal:3128",
            "http://proxy.internal:3128/path",
            "http://proxy.internal:3128/?a=b",
            "http://proxy.internal:0",
        ] {
            assert_eq!(Proxy::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn credentials_are_one_line_and_show_themselves_to_nobody() {
        let proxy = || Proxy::parse("http://proxy.internal:3128").unwrap();
        let with = proxy().with_credentials("node:hunter2\n").unwrap();

        assert_eq!(with.authorization.as_deref(), Some("Basic bm9kZTpodW50ZXIy"));
        assert_eq!(format!("{with:?}"), "Proxy(proxy.internal:3128)");
        for wrong in [
            "",
            "\n",
            "node",
            ":hunter2",
            "a:b\nc:d",
            "a:b\rx-evil: 1",
            &"x:".repeat(600),
        ] {
            assert_eq!(proxy().with_credentials(wrong), None, "{wrong:?}");
        }
    }
}
