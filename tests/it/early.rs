//! A command that ends before its time leaves nobody without the key that makes its repeat harmless.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use harness::behaviour::Behaviour;
use harness::process::pushrail;

use crate::world::World;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What stands behind the flag in the command that would help.
fn key(said: &str) -> String {
    let (_, key) = said
        .split_once("try: the same command with --idempotency-key ")
        .unwrap_or_else(|| panic!("no key is named: {said}"));
    key.split(':').next().unwrap().to_owned()
}

#[test]
fn ctrl_c_names_the_key_that_was_drawn() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let command = Command::new(pushrail())
        .args([
            "publish",
            "--tenant",
            "acme",
            "--type",
            "order.paid",
            "--data",
            "{}",
        ])
        .env("PUSHRAIL_SERVER", mute.local_addr().unwrap().to_string())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What it has sent, it waits for.
    let (mut connection, _) = mute.accept().unwrap();
    connection.read_exact(&mut [0; 24]).unwrap();

    let sent = Command::new("kill")
        .args(["-INT", &command.id().to_string()])
        .status()
        .unwrap();
    let output = command.wait_with_output().unwrap();

    assert!(sent.success());
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(key(&said(&output)).starts_with("cli-"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_results_cannot_be_written_names_its_key_and_a_repeat_is_harmless() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let file = world.cluster.directory().join("batch.ndjson");
    std::fs::write(&file, "{\"type\":\"orders.paid\",\"data\":1}\n").unwrap();
    let server = world.cluster.node(1).client_address().to_string();
    let publish = |more: &[&str], out: Stdio| {
        Command::new(pushrail())
            .args(["publish", "--tenant", "acme", "-o", "json", "--batch-file"])
            .arg(&file)
            .args(more)
            .env("PUSHRAIL_SERVER", &server)
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .unwrap()
    };

    let full = File::options().write(true).open("/dev/full").unwrap();
    let first = publish(&[], Stdio::from(full));
    let key = key(&said(&first));
    let second = publish(&["--idempotency-key", &key], Stdio::piped());

    assert_eq!(first.status.code(), Some(1), "{}", said(&first));
    assert!(second.status.success(), "{}", said(&second));
    let result: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(result["duplicate"], true, "{result}");
    world.arrived(&hook, 1).await;
}
