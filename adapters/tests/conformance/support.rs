//! A receiver that answers as a script says, byte for byte, and remembers what it was asked. Written by hand, since a
//! server library would never send what ours must survive.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushrail_adapters::adapter::{Dispatch, Link, Reply};
use pushrail_adapters::net::{Net, NetConfig};
use pushrail_adapters::registry;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::ids::{AttemptNumber, DeliveryId, EventId, EventSeq};
use pushrail_model::retry::RetryPolicy;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the receiver was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, and the connection stays.
    Whole(Vec<u8>),
    /// None: the connection is closed.
    Close,
    /// These bytes, and the connection is closed.
    Cut(&'static str),
    /// None: the connection is reset.
    Reset,
    /// None: the connection stays, silent.
    Silent,
    /// The first bytes at once, then the second again and again, with pauses.
    Trickle(&'static str, &'static str),
    /// The first bytes, then more and more as fast as they are taken.
    Flood(&'static str),
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) flooded: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(listen().await, script)
    }

    /// On a listener that is there already.
    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let flooded = Arc::new(AtomicU64::new(0));
        let script = Arc::new(script);
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            let flooded = Arc::clone(&flooded);
            async move {
                for connection in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (seen, script, flooded) =
                        (Arc::clone(&seen), Arc::clone(&script), Arc::clone(&flooded));
                    tokio::spawn(async move {
                        // A connection that the other side ended is what some tests want.
                        drop(serve(stream, connection, &seen, &*script, &flooded).await);
                    });
                }
            }
        });
        Self {
            address,
            flooded,
            seen,
            task,
        }
    }

    /// Answers every request with this status and these headers.
    pub(crate) async fn answering(status: u16, headers: &'static str) -> Self {
        Self::start(move |_| Answer::Whole(response(status, headers, b"as you like"))).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    script: &(dyn Fn(&Seen) -> Answer + Send + Sync),
    flooded: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = request(&mut stream, &mut buffer, connection).await? {
        seen.lock().unwrap().push(request.clone());
        match script(&request) {
            Answer::Whole(bytes) => stream.write_all(&bytes).await?,
            Answer::Close => return Ok(()),
            Answer::Cut(bytes) => return stream.write_all(bytes.as_bytes()).await,
            Answer::Reset => return stream.set_zero_linger(),
            Answer::Silent => {
                stream.read_u8().await?;
            }
            Answer::Trickle(head, more) => {
                stream.write_all(head.as_bytes()).await?;
                let mut pauses = tokio::time::interval(Duration::from_millis(10));
                loop {
                    pauses.tick().await;
                    stream.write_all(more.as_bytes()).await?;
                }
            }
            Answer::Flood(head) => {
                stream.write_all(head.as_bytes()).await?;
                loop {
                    let sent = stream.write(&[b'x'; 64 * 1024]).await?;
                    flooded.fetch_add(u64::try_from(sent).unwrap(), Ordering::Relaxed);
                }
            }
        }
    }
    Ok(())
}

async fn request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> std::io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Seen {
        connection,
        line,
        headers,
        body: buffer.drain(..length).collect(),
    }))
}

/// A listener on loopback, below the ports that outgoing connections are given, so that no client of another test
/// can sit on it.
pub(crate) async fn listen() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 12_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return listener;
        }
    }
}

/// The way out with loopback allowed and time limits that a test can wait for.
pub(crate) fn net() -> Net {
    net_with(|_| ())
}

pub(crate) fn net_with(change: impl FnOnce(&mut NetConfig)) -> Net {
    let mut config = NetConfig {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(10),
        ..NetConfig::default()
    };
    change(&mut config);
    Net::new(config).unwrap()
}

pub(crate) fn destination(kind: &str, settings: &str, credential: &str) -> DestinationSpec {
    DestinationSpec {
        kind: kind.to_owned(),
        settings: settings.to_owned().into(),
        credential: credential.to_owned().into(),
        retry: RetryPolicy::default(),
        concurrency: 1,
        description: String::new(),
    }
}

pub(crate) fn webhook(url: &str, net: &Net) -> Arc<dyn Link> {
    let settings = format!(r#"{{"url":"{url}"}}"#);
    let credential = format!(r#"{{"secret":"{SECRET}"}}"#);
    registry::open(&destination("webhook", &settings, &credential), net).unwrap()
}

pub(crate) fn dispatch(body: &'static [u8]) -> Dispatch<'static> {
    let event = EventId {
        partition: Partition::of(&"acme".parse().unwrap()),
        seq: EventSeq {
            index: 4711,
            position: 2,
        },
    };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Dispatch {
        event_id: event.to_string(),
        delivery: DeliveryId { event, place: 0 },
        number: AttemptNumber(1),
        event_type: "order.paid",
        content_type: "application/json",
        body: bytes::Bytes::from_static(body),
        created: Timestamp::ZERO,
        now: Timestamp(u64::try_from(now.as_micros()).unwrap()),
    }
}

pub(crate) async fn send(link: &dyn Link) -> Reply {
    link.send(&[dispatch(br#"{"payload":"never shown"}"#)]).await
}
