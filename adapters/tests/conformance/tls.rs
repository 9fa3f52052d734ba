//! The way out over TLS: HTTP/2 where the receiver speaks it, and only to receivers whose certificate is trusted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pushrail_adapters::adapter::Fault;
use pushrail_adapters::net::{Names, Net};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::support::{net_with, send, webhook};

/// Of `hooks.example`, signed by itself.
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("data/hooks.example.crt.der");
const KEY: &[u8] = include_bytes!("data/hooks.example.key.der");

fn acceptor(protocol: &[u8]) -> TlsAcceptor {
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_slice(CERTIFICATE)],
                PrivateKeyDer::try_from(KEY).unwrap(),
            )
            .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn net(roots: &[&[u8]], name: &str) -> Net {
    net_with(|config| {
        let known = [(name.to_owned(), vec![Ipv4Addr::LOCALHOST.into()])];
        config.names = Names::Only(known.into());
        config.extra_roots = roots.iter().map(|root| root.to_vec()).collect();
    })
}

/// Accepts connections over TLS, answers every request over HTTP/2 with 204, and counts.
pub(crate) async fn http2_receiver(
    connections: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
) -> SocketAddr {
    http2_receiver_that(End::Never, connections, bodies).await
}

/// What becomes of each connection when its second request comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    /// It is closed.
    Closed,
    /// Its end is announced, this request not included.
    GoneAway,
    /// It stays, and the request is reset.
    Reset(h2::Reason),
}

pub(crate) async fn http2_receiver_that(
    end: End,
    connections: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
) -> SocketAddr {
    let listener = crate::support::listen().await;
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(b"h2");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, bodies) = (acceptor.clone(), Arc::clone(&bodies));
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut requests = 0;
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    requests += 1;
                    match end {
                        End::Closed if requests == 2 => return,
                        End::GoneAway if requests == 2 => {
                            connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                            continue;
                        }
                        End::Reset(reason) if requests == 2 => {
                            respond.send_reset(reason);
                            continue;
                        }
                        End::Never | End::Closed | End::GoneAway | End::Reset(_) => {}
                    }
                    let bodies = Arc::clone(&bodies);
                    tokio::spawn(async move {
                        let mut body = request.into_body();
                        let mut read = Vec::new();
                        while let Some(Ok(chunk)) = body.data().await {
                            read.extend_from_slice(&chunk);
                        }
                        bodies.lock().unwrap().push(read);
                        let answer = http::Response::builder().status(204).body(()).unwrap();
                        respond.send_response(answer, true).unwrap();
                    });
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn http2_is_spoken_over_one_connection_where_the_receiver_does() {
    let (connections, bodies) = (Arc::default(), Arc::default());
    let address = http2_receiver(Arc::clone(&connections), Arc::clone(&bodies)).await;
    let url = format!("https://hooks.example:{}/", address.port());
    let link = webhook(&url, &net(&[CERTIFICATE], "hooks.example"));

    let first = send(&*link).await;
    let more = futures::future::join_all((0..20).map(|_| send(&*link))).await;

    assert_eq!(first.observed.status, Some(204), "{first:?}");
    assert!(more.iter().all(|reply| reply.observed.status == Some(204)));
    assert_eq!(bodies.lock().unwrap().len(), 21);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_or_of_another_name_is_a_tls_fault() {
    let (connections, bodies): (_, Arc<Mutex<Vec<_>>>) = (Arc::default(), Arc::default());
    let address = http2_receiver(connections, Arc::clone(&bodies)).await;
    for (roots, name) in [(&[][..], "hooks.example"), (&[CERTIFICATE][..], "other.example")] {
        let url = format!("https://{name}:{}/", address.port());

        let reply = send(&*webhook(&url, &net(roots, name))).await;

        assert_eq!(reply.fault, Some(Fault::Tls), "{reply:?}");
        assert!(reply.observed.detail.contains("certificate"), "{reply:?}");
    }
    assert_eq!(bodies.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_receiver_without_tls_is_a_tls_fault() {
    let listener = crate::support::listen().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let url = format!("https://hooks.example:{port}/");

    let reply = send(&*webhook(&url, &net(&[CERTIFICATE], "hooks.example"))).await;

    assert_eq!(reply.fault, Some(Fault::Tls), "{reply:?}");
}
