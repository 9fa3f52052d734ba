//! The receiver against a stranger's requests.

use std::time::Duration;

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
    receiver.name_senders();
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
