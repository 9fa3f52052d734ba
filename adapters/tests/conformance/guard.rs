//! No destination leads into our own network: whatever its URL looks like, whatever its name means at whichever
//! moment, wherever its receiver points.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pushrail_adapters::adapter::Fault;
use pushrail_adapters::net::{Answers, Names, Net};
use pushrail_adapters::registry;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use tokio::net::TcpListener;

use crate::support::{Answer, Receiver, SECRET, destination, net_with, response, send, webhook};
use crate::webhook::{class, outcome};

/// Nothing but public addresses, and one name that leads to loopback.
fn closed() -> Net {
    net_with(|config| {
        config.allowed_networks.clear();
        let known = [("hooks.example".to_owned(), vec![Ipv4Addr::LOCALHOST.into()])];
        config.names = Names::Only(known.into());
    })
}

#[tokio::test]
async fn no_way_of_writing_an_address_gets_past_the_guard() {
    let receiver = Receiver::answering(200, "").await;
    let port = receiver.address.port();
    let net = closed();
    // How it is written, and the address that it is refused as.
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0x7F.0x0.0x0.0x1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("１２７.０.０.１", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0"),
        ("10.0.0.1", "10.0.0.1"),
        ("100.64.0.1", "100.64.0.1"),
        ("100.100.100.200", "100.100.100.200"),
        ("169.254.169.254", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("169.254.43518", "169.254.169.254"),
        ("192.168.0.1", "192.168.0.1"),
        ("198.18.0.1", "198.18.0.1"),
        ("224.0.0.1", "224.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("[::]", "::"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("[::ffff:a9fe:a9fe]", "::ffff:169.254.169.254"),
        ("[::127.0.0.1]", "::7f00:1"),
        ("[::ffff:0:127.0.0.1]", "::ffff:0:7f00:1"),
        ("[64:ff9b::127.0.0.1]", "64:ff9b::7f00:1"),
        ("[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe"),
        ("[64:ff9b:1::10.0.0.1]", "64:ff9b:1::a00:1"),
        ("[2001::7f00:1]", "2001::7f00:1"),
        ("[2002:7f00:1::]", "2002:7f00:1::"),
        ("[2002:a9fe:a9fe::1]", "2002:a9fe:a9fe::1"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("[fe80::1]", "fe80::1"),
        ("[fec0::1]", "fec0::1"),
        ("[ff02::1]", "ff02::1"),
        // What counts is what a name means now.
        ("hooks.example", "127.0.0.1"),
        ("HOOKS.example", "127.0.0.1"),
    ] {
        let reply = send(&*webhook(&format!("http://{host}:{port}/"), &net)).await;

        assert_eq!(reply.fault, Some(Fault::AddressRefused), "{host}: {reply:?}");
        assert_eq!(class(&reply), (FailureClass::Permanent, Cause::Missing));
        let said = format!(": {address} is not a public address");
        assert!(reply.observed.detail.contains(&said), "{host}: {reply:?}");
    }
    assert_eq!(receiver.seen().len(), 0);
}

#[test]
fn a_url_that_hides_its_host_is_refused_at_the_door() {
    for (url, why) in [
        ("http://1.1.1.1@127.0.0.1/", "user name"),
        ("http://example.com@169.254.169.254/", "user name"),
        ("http://example.com:80@127.0.0.1/", "user name"),
        ("http://:x@127.0.0.1/", "user name"),
        ("http://[fe80::1%25eth0]/", "not a URL"),
        ("http://127.0.0.256/", "not a URL"),
        ("http://0x7f.0.0.0.1/", "not a URL"),
        ("http://127.0.0.1%00.example.com/", "not a URL"),
        ("gopher://127.0.0.1/", "http://"),
        ("file:///etc/passwd", "http://"),
    ] {
        let settings = format!(r#"{{"url":"{url}"}}"#);
        let credential = format!(r#"{{"secret":"{SECRET}"}}"#);

        let invalid = registry::open(&destination("webhook", &settings, &credential), &closed())
            .err()
            .unwrap_or_else(|| panic!("{url} was taken"));

        assert_eq!(invalid[0].field, "settings.url", "{url}");
        assert!(invalid[0].why.contains(why), "{url}: {}", invalid[0].why);
    }
}

#[tokio::test]
async fn an_allowed_network_opens_names_and_keeps_their_host() {
    let receiver = Receiver::answering(200, "").await;
    let port = receiver.address.port();
    let open = net_with(|config| {
        let known = [("hooks.example".to_owned(), vec![Ipv4Addr::LOCALHOST.into()])];
        config.names = Names::Only(known.into());
    });

    let reply = send(&*webhook(&format!("http://hooks.example:{port}/"), &open)).await;

    assert_eq!(outcome(&reply), Outcome::Delivered);
    let host = format!("hooks.example:{port}");
    assert_eq!(receiver.seen()[0].header("host"), Some(host.as_str()));
}

const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BAD: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Two receivers on one port: one at an address that is allowed, one at an address that is not. Each closes its
/// connections, so that every request dials anew.
async fn two_receivers() -> (Receiver, Receiver) {
    let closing = |_: &_| Answer::Whole(response(200, "connection: close\r\n", b""));
    loop {
        let bad = Receiver::start(closing).await;
        if let Ok(listener) = TcpListener::bind((GOOD, bad.address.port())).await {
            return (Receiver::on(listener, closing), bad);
        }
    }
}

fn rebinding(answer: impl Fn(usize) -> Vec<IpAddr> + Send + Sync + 'static) -> (Net, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let net = net_with(|config| {
        config.allowed_networks = vec!["127.0.0.2/32".parse().unwrap()];
        config.names = Names::Asked(Answers::of(move |_| {
            answer(counted.fetch_add(1, Ordering::SeqCst))
        }));
    });
    (net, asked)
}

#[tokio::test]
async fn a_name_that_means_another_address_when_asked_again_leads_nowhere_else() {
    let (good, bad) = two_receivers().await;
    // Good when it is checked, bad whenever it is asked again.
    let (net, asked) = rebinding(|times| vec![if times == 0 { GOOD.into() } else { BAD.into() }]);
    let link = webhook(&format!("http://hooks.example:{}/", good.address.port()), &net);

    let first = send(&*link).await;
    let second = send(&*link).await;

    assert_eq!(outcome(&first), Outcome::Delivered, "{first:?}");
    assert_eq!(first.observed.remote, good.address.to_string());
    assert_eq!(second.fault, Some(Fault::AddressRefused), "{second:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "each dial asks once, and dials what it was told"
    );
    assert_eq!((good.seen().len(), bad.seen().len()), (1, 0));
}

#[tokio::test]
async fn of_a_names_addresses_only_the_allowed_ones_are_dialled() {
    let (good, bad) = two_receivers().await;
    for mixed in [vec![BAD, GOOD], vec![GOOD, BAD], vec![BAD, GOOD, BAD]] {
        let (net, _) = rebinding(move |_| mixed.iter().map(|address| (*address).into()).collect());
        let link = webhook(&format!("http://hooks.example:{}/", good.address.port()), &net);

        assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);
    }
    drop(good);

    // Nothing answers at the allowed one any more, and the other is no way out.
    let (net, _) = rebinding(|_| vec![BAD.into(), GOOD.into()]);
    let reply = send(&*webhook(
        &format!("http://hooks.example:{}/", bad.address.port()),
        &net,
    ))
    .await;

    assert_eq!(reply.fault, Some(Fault::Connect), "{reply:?}");
    assert_eq!(bad.seen().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_points_inside_is_not_followed() {
    let inside = Receiver::answering(200, "").await;
    let to = inside.url();
    for status in [301, 302, 303, 307, 308] {
        let location = to.clone();
        let receiver = Receiver::start(move |_| {
            let headers = format!("location: {location}\r\nrefresh: 0;url={location}\r\n");
            Answer::Whole(response(status, &headers, b""))
        })
        .await;

        let reply = send(&*webhook(&receiver.url(), &crate::support::net())).await;

        assert_eq!(reply.observed.status, Some(status));
        assert_eq!(class(&reply), (FailureClass::Permanent, Cause::Rejected));
    }
    assert_eq!(inside.seen().len(), 0);
}
