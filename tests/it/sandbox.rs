//! `pushrail sandbox`: starts, delivers to its page, answers as it is told, and leaves nothing behind.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::eventually::eventually;
use harness::http::{ask, get, post_json};
use harness::process::{Outlives, Process, Signal, pushrail, tail};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::SOON;

struct Sandbox {
    process: Process,
    about: Value,
    /// Where its temporary directory is made.
    around: TempDir,
}

impl Sandbox {
    async fn start(args: &[&str]) -> Self {
        let around = tempfile::tempdir().unwrap();
        let log = around.path().join("said");
        let temporary = around.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        // `env` becomes the program: the process id stays the same.
        let mut all = vec![
            format!("TMPDIR={}", temporary.display()),
            pushrail().display().to_string(),
            "sandbox".to_owned(),
            "--output=json".to_owned(),
        ];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let mut process = Process::spawn(Path::new("env"), &all, Outlives::Nothing, &log).unwrap();
        let about = eventually("the sandbox stands", SOON, || {
            let ended = process.ended();
            let text = tail(&log, 50);
            async move {
                let line = text.lines().find(|line| line.starts_with('{'));
                let about = line.and_then(|line| serde_json::from_str(line).ok());
                about.ok_or(format!("ended: {ended:?}; said: {text}"))
            }
        })
        .await;
        Self {
            process,
            about,
            around,
        }
    }

    fn text(&self, field: &str) -> &str {
        self.about[field].as_str().unwrap()
    }

    fn page(&self) -> SocketAddr {
        let page = self.text("page").strip_prefix("http://").unwrap();
        page.trim_end_matches('/').parse().unwrap()
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from(self.text("directory"))
    }

    /// Runs `pushrail` as the sandbox says one should; what it printed.
    fn run(&self, args: &[&str]) -> String {
        let servers: Vec<&str> = self.about["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|server| server.as_str().unwrap())
            .collect();
        let output = Command::new(pushrail())
            .args(args)
            .env("PUSHRAIL_SERVER", servers.join(","))
            .env("PUSHRAIL_TENANT", self.text("tenant"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn publish(&self, data: &str) -> String {
        self.run(&["publish", "--type", "order.paid", "--data", data, "-o", "name"])
    }

    /// Waits until the page shows this event with this answer, and answers the whole request.
    async fn arrives(&self, event: &str, answered: u16) -> Value {
        eventually("it arrives on the page", SOON, || async {
            let (_, text) = get(self.page(), "/api/requests?since=0").await?;
            let news: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let requests = news["requests"].as_array().ok_or(text.clone())?;
            let found = requests
                .iter()
                .find(|one| one["event"] == event && one["answered"] == answered);
            found.cloned().ok_or(text.clone())
        })
        .await
    }

    async fn interrupt(&mut self) {
        self.process.signal(Signal::Int);
        let ended = self.process.end(SOON).await.unwrap();
        assert!(
            ended.success(),
            "{ended:?}: {}",
            tail(&self.around.path().join("said"), 50)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_shows_what_arrives_and_leaves_nothing_behind() {
    let mut sandbox = Sandbox::start(&[]).await;
    let page = sandbox.page();
    assert!(sandbox.directory().starts_with(sandbox.around.path()));

    let event = sandbox.publish("{\"total\": \"<script>12</script>\"}");
    let shown = sandbox.arrives(&event, 200).await;

    assert_eq!(shown["body"], "{\"total\": \"<script>12</script>\"}");
    let (status, html) = get(page, "/").await.unwrap();
    assert!(status == 200 && html.contains("/page.js"), "{status} {html}");
    let status: Value = serde_json::from_str(&sandbox.run(&["cluster", "status", "-o", "json"])).unwrap();
    assert_eq!(status["members"].as_array().map(Vec::len), Some(3), "{status}");
    sandbox.interrupt().await;
    let left: Vec<_> = fs::read_dir(sandbox.around.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_chooses_how_the_receiver_answers_and_nobody_elses_page_does() {
    let mut sandbox = Sandbox::start(&[]).await;
    let page = sandbox.page();

    let chosen = post_json(page, "/api/answer", "{\"answer\":\"500\"}")
        .await
        .unwrap();
    let retried = sandbox.publish("1");
    sandbox.arrives(&retried, 500).await;
    post_json(page, "/api/answer", "{\"answer\":\"401\"}")
        .await
        .unwrap();
    let refused = sandbox.publish("2");
    sandbox.arrives(&refused, 401).await;
    let body = "{\"answer\":\"200\"}";
    let length = body.len();
    let of_a_form = ask(
        page,
        &format!(
            "POST /api/answer HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\ncontent-type: text/plain\r\n\
             content-length: {length}\r\n\r\n{body}"
        ),
    )
    .await
    .unwrap();
    let rebound = ask(
        page,
        "GET /api/requests HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
    )
    .await
    .unwrap();

    assert_eq!(chosen.0, 204);
    assert_eq!(of_a_form.0, 415);
    assert_eq!(rebound.0, 421);
    // It held: the receiver still answers 401, and what it refused is a dead letter. A delivery's id begins as its
    // event's does.
    let again = sandbox.publish("3");
    sandbox.arrives(&again, 401).await;
    eventually("what was refused is a dead letter", SOON, || async {
        let letters = sandbox.run(&["dlq", "list", "--destination", "receiver"]);
        let delivery = refused.replace("evt_", "dlv_");
        letters.contains(&delivery).then_some(()).ok_or(letters)
    })
    .await;
    sandbox.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_sandbox_goes_on_where_it_ended() {
    let kept = tempfile::tempdir().unwrap();
    let directory = kept.path().join("sand");
    let keep = format!("--keep={}", directory.display());

    let mut first = Sandbox::start(&[&keep]).await;
    let event = first.publish("{}");
    first.arrives(&event, 200).await;
    first.interrupt().await;
    let mut second = Sandbox::start(&[&keep]).await;

    assert_eq!(second.about["servers"], first.about["servers"]);
    let story = second.run(&["events", "explain", &event, "-o", "json"]);
    assert!(story.contains(&event), "{story}");
    let later = second.publish("{}");
    second.arrives(&later, 200).await;
    second.interrupt().await;
    assert!(directory.join("node-1").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_sandbox_makes_anew_what_was_removed_from_it_and_no_route_twice() {
    let kept = tempfile::tempdir().unwrap();
    let keep = format!("--keep={}", kept.path().join("sand").display());
    let routes = |sandbox: &Sandbox| sandbox.run(&["routes", "list", "-o", "name"]);

    let mut first = Sandbox::start(&[&keep]).await;
    first.run(&["destinations", "delete", "receiver", "--yes"]);
    first.interrupt().await;
    let mut second = Sandbox::start(&[&keep]).await;
    let event = second.publish("{}");
    second.arrives(&event, 200).await;
    let made = routes(&second);
    second.run(&[
        "routes",
        "create",
        "mine",
        "--pattern",
        "order.*",
        "--destination",
        "receiver",
    ]);
    second.run(&["routes", "delete", &made, "--yes"]);
    second.interrupt().await;
    let mut third = Sandbox::start(&[&keep]).await;

    let said = tail(&second.around.path().join("said"), 100);
    assert!(
        said.contains("receiver had been removed, and is made anew"),
        "{said}"
    );
    assert_eq!(routes(&third), "mine");
    third.interrupt().await;
}
