//! Through an egress proxy: it is asked for tunnels to addresses that the guard has seen, and for nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushrail_adapters::adapter::Fault;
use pushrail_adapters::net::{Answers, Names, Net};
use pushrail_adapters::proxy::Proxy;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::support::{Receiver, net_with, send, webhook};
use crate::tls::{CERTIFICATE, http2_receiver};
use crate::webhook::{class, outcome};

/// A proxy that opens the tunnels it is asked for, or answers with these bytes instead; and remembers what it was
/// asked.
struct Tunnels {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    async fn start(instead: Option<&'static str>) -> Self {
        let listener = crate::support::listen().await;
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A connection that the other side ended is what some tests want.
                let asked = Arc::clone(&remembered);
                tokio::spawn(async move { drop(tunnel(stream, instead, asked).await) });
            }
        });
        Self { address, asked }
    }

    fn proxy(&self) -> Proxy {
        Proxy::parse(&format!("http://{}", self.address)).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// To where the proxy finds no way, and does not say so.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn tunnel(
    mut stream: TcpStream,
    instead: Option<&str>,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let to = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(head);
    if to.starts_with(&format!("{NOWHERE}:")) {
        std::future::pending::<()>().await;
    }
    match instead {
        Some("") => std::future::pending().await,
        Some(answer) => stream.write_all(answer.as_bytes()).await,
        None => {
            let mut beyond = TcpStream::connect(to).await?;
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
                .await?;
            copy_bidirectional(&mut stream, &mut beyond).await.map(|_| ())
        }
    }
}

fn net(proxy: Proxy, host: &str, allowed: &str) -> Net {
    net_with(|config| {
        config.allowed_networks = vec![allowed.parse().unwrap()];
        let known = [(host.to_owned(), vec![Ipv4Addr::LOCALHOST.into()])];
        config.names = Names::Only(known.into());
        config.extra_roots = vec![CERTIFICATE.to_vec()];
        config.connect_timeout = Duration::from_secs(1);
        config.proxy = Some(proxy);
    })
}

#[tokio::test]
async fn a_tunnel_leads_to_the_checked_address_and_tls_to_the_name() {
    let tunnels = Tunnels::start(None).await;
    let (connections, bodies): (_, Arc<Mutex<Vec<_>>>) = (Arc::default(), Arc::default());
    let address = http2_receiver(connections, Arc::clone(&bodies)).await;
    let proxy = tunnels.proxy().with_credentials("node:hunter2").unwrap();
    let net = net(proxy, "hooks.example", "127.0.0.0/8");

    // Its certificate is of the name: the proxy saw none, TLS did.
    let reply = send(&*webhook(
        &format!("https://hooks.example:{}/", address.port()),
        &net,
    ))
    .await;

    assert_eq!(reply.observed.status, Some(204), "{reply:?}");
    assert_eq!(bodies.lock().unwrap().len(), 1);
    assert_eq!(
        reply.observed.remote,
        format!("{address} through {}", tunnels.address)
    );
    let wanted = format!(
        "CONNECT {address} HTTP/1.1\r\nhost: {address}\r\nproxy-authorization: Basic bm9kZTpodW50ZXIy\r\n\r\n"
    );
    assert_eq!(tunnels.asked(), [wanted]);
}

#[tokio::test]
async fn plain_http_goes_through_a_tunnel_too_and_the_receiver_sees_its_own_name() {
    let tunnels = Tunnels::start(None).await;
    let receiver = Receiver::answering(200, "").await;
    let port = receiver.address.port();
    let net = net(tunnels.proxy(), "hooks.example", "127.0.0.0/8");
    let link = webhook(&format!("http://hooks.example:{port}/hooks"), &net);

    for _ in 0..3 {
        assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);
    }

    let seen = receiver.seen();
    assert_eq!(seen[0].line, "POST /hooks HTTP/1.1");
    assert_eq!(
        seen[0].header("host"),
        Some(format!("hooks.example:{port}").as_str())
    );
    assert_eq!(seen[0].header("proxy-authorization"), None);
    assert_eq!(tunnels.asked().len(), 1, "the tunnel is used again");
}

#[tokio::test]
async fn the_guard_stands_before_the_proxy() {
    let tunnels = Tunnels::start(None).await;
    let net = net(tunnels.proxy(), "hooks.example", "192.0.2.0/24");
    for host in [
        "hooks.example",
        "127.0.0.1",
        "169.254.169.254",
        "[::1]",
        "2130706433",
    ] {
        let reply = send(&*webhook(&format!("http://{host}/"), &net)).await;

        assert_eq!(reply.fault, Some(Fault::AddressRefused), "{host}: {reply:?}");
    }
    let unknown = send(&*webhook("http://other.example/", &net)).await;

    assert_eq!(
        unknown.fault,
        Some(Fault::Dns),
        "the proxy resolves no name for us"
    );
    assert_eq!(tunnels.asked(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_proxy_that_gives_no_tunnel_is_a_transient_failure_that_says_so() {
    for (answer, fault, said) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            Fault::Connect,
            "407",
        ),
        ("HTTP/1.0 403 Forbidden\r\nx: y\r\n\r\n", Fault::Connect, "403"),
        ("SSH-2.0-OpenSSH\r\n\r\n", Fault::Connect, "does not speak HTTP"),
        ("HTTP/1.1 200", Fault::Connect, "broke"),
        ("", Fault::ConnectTimeout, "no connection within 1s"),
    ] {
        let tunnels = Tunnels::start(Some(answer)).await;
        let proxy = tunnels.proxy().with_credentials("node:hunter2").unwrap();
        let net = net(proxy, "hooks.example", "127.0.0.0/8");

        let reply = send(&*webhook("http://hooks.example/", &net)).await;

        assert_eq!(reply.fault, Some(fault), "{reply:?}");
        assert_eq!(class(&reply).0, FailureClass::Transient);
        assert!(reply.observed.detail.contains(said), "{reply:?}");
        assert!(!reply.observed.detail.contains("hunter2"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_transient_failure_that_names_it() {
    let listener = crate::support::listen().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::parse(&format!("http://{address}")).unwrap();

    let reply = send(&*webhook(
        "http://hooks.example/",
        &net(proxy, "hooks.example", "127.0.0.0/8"),
    ))
    .await;

    assert_eq!(reply.fault, Some(Fault::Connect));
    assert_eq!(class(&reply), (FailureClass::Transient, Cause::Network));
    assert!(
        reply.observed.detail.contains(&format!("the proxy {address}")),
        "{reply:?}"
    );
}

#[tokio::test]
async fn an_address_for_which_the_proxy_hangs_leaves_time_for_the_next() {
    let tunnels = Tunnels::start(None).await;
    let receiver = Receiver::answering(200, "").await;
    let proxy = tunnels.proxy();
    let net = net_with(|config| {
        let addresses = vec![NOWHERE.into(), Ipv4Addr::LOCALHOST.into()];
        config.names = Names::Only([("hooks.example".to_owned(), addresses)].into());
        config.connect_timeout = Duration::from_secs(2);
        config.proxy = Some(proxy);
    });
    let url = format!("http://hooks.example:{}/", receiver.address.port());

    let reply = send(&*webhook(&url, &net)).await;

    assert_eq!(outcome(&reply), Outcome::Delivered, "{reply:?}");
    assert_eq!(tunnels.asked().len(), 2);
}

#[tokio::test]
async fn the_proxys_own_name_is_looked_up_once_a_dial_where_all_names_are() {
    let tunnels = Tunnels::start(Some("HTTP/1.1 403 Forbidden\r\n\r\n")).await;
    let lookups = Arc::new(Mutex::new(Vec::new()));
    let proxy = Proxy::parse(&format!("http://proxy.internal:{}", tunnels.address.port())).unwrap();
    let net = net_with(|config| {
        // The guard would let through no proxy that stands on loopback, and is not asked.
        config.allowed_networks = vec!["192.0.2.0/24".parse().unwrap()];
        let asked = Arc::clone(&lookups);
        config.names = Names::Asked(Answers::of(move |name| {
            asked.lock().unwrap().push(name.to_owned());
            match name {
                "proxy.internal" => vec![Ipv4Addr::LOCALHOST.into()],
                _ => [1, 2, 3].map(|n| Ipv4Addr::new(192, 0, 2, n).into()).into(),
            }
        }));
        config.proxy = Some(proxy);
    });

    let reply = send(&*webhook("http://hooks.example/", &net)).await;

    assert!(reply.observed.detail.contains("403"), "{reply:?}");
    assert_eq!(tunnels.asked().len(), 3);
    assert_eq!(*lookups.lock().unwrap(), ["hooks.example", "proxy.internal"]);
}
