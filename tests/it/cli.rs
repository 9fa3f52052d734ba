//! The command line: data on stdout only, all else on stderr, and exit codes that scripts can use.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::process::pushrail;
use harness::receiver::Signature;

use crate::world::{SOON, World};

/// A shell in which `pushrail` knows where its cluster is.
struct Shell {
    servers: String,
    home: PathBuf,
}

impl Shell {
    fn of(world: &mut World) -> Self {
        // The first address is nobody's: the next one is tried.
        let mut servers = vec![String::from("127.0.0.1:1")];
        for id in world.cluster.ids() {
            servers.push(world.cluster.node(id).client_address().to_string());
        }
        Self {
            servers: servers.join(","),
            home: world.cluster.directory(),
        }
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(pushrail());
        command.args(line.split_whitespace()).current_dir(&self.home);
        command
            .env("PUSHRAIL_SERVER", &self.servers)
            .env("PUSHRAIL_TENANT", "acme");
        command.output().unwrap()
    }

    fn exits(&self, line: &str, code: i32) -> Output {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "`{line}` said: {said}");
        if code != 0 {
            assert!(!said.trim().is_empty(), "`{line}` failed without a word");
            assert!(output.stdout.is_empty(), "`{line}` failed, and printed data");
        }
        output
    }

    fn json(&self, line: &str) -> serde_json::Value {
        let output = self.exits(line, 0);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("`{line}` printed no JSON ({error}): {text}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_and_asked_from_a_shell() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    let url = world.receiver.url("/shell");

    shell.exits("tenants create acme", 0);
    let created = shell.json(&format!(
        "destinations create orders --kind webhook --url {url} -o json"
    ));
    world
        .receiver
        .check("/shell", created["credential"]["secret"].as_str().unwrap());
    world
        .receiver
        .check("/shell", created["credential"]["secret"].as_str().unwrap());
    shell.exits("routes create --pattern order.** --destination orders", 0);
    let published = shell.json("publish --type order.paid --data {\"total\":12} -o json");
    let event = published["event"].as_str().unwrap().to_owned();
    settled_path(&world, "/shell", 1).await;

    let story = shell.json(&format!(
        "events explain {event} --consistency linearizable -o json"
    ));
    assert_eq!(story["event"]["event"], event.as_str(), "{story}");
    assert_eq!(
        story["deliveries"][0]["attempts"].as_array().map(Vec::len),
        Some(1),
        "{story}"
    );
    let table = String::from_utf8(shell.exits(&format!("events explain {event}"), 0).stdout).unwrap();
    assert!(
        table.contains(&event) && table.contains("orders") && table.contains("200"),
        "{table}"
    );
    let listed = shell.json("tenants list -o json");
    assert!(listed.to_string().contains("acme"), "{listed}");
    let attempts = shell.json("attempts list --destination orders --since 1h -o json");
    assert!(attempts.to_string().contains(&event), "{attempts}");
    let status = shell.json("cluster status -o json");
    assert_eq!(status["members"].as_array().map(Vec::len), Some(3), "{status}");
    let got = shell.json(&format!("events get {event} -o json"));
    assert!(got.to_string().contains(&event), "{got}");
    let kind = String::from_utf8(shell.exits("kinds show webhook", 0).stdout).unwrap();
    for word in ["429", "410", "transient", "permanent", "delivered"] {
        assert!(kind.contains(word), "{word} is not in the table:\n{kind}");
    }
    let request = world.receiver.requests_to("/shell").remove(0);
    assert_eq!(request.body, r#"{"total":12}"#.as_bytes());
    assert_eq!(request.signature, Signature::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_scripts_what_was_wrong() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    world.webhook("acme", "orders", Behaviour::default()).await;

    let wrong_verb = shell.exits("tenants creat acme", 2);
    assert!(
        String::from_utf8_lossy(&wrong_verb.stderr).contains("create"),
        "the right verb is suggested"
    );
    shell.exits("tenants get", 2);
    shell.exits("tenants get nobody", 3);
    shell.exits("destinations get nothing", 3);
    shell.exits("tenants create acme", 5);
    shell.exits("tenants list --server 127.0.0.1:1", 6);
    shell.exits("publish --type order.paid --data {} --idempotency-key k", 0);
    shell.exits("publish --type order.paid --data [] --idempotency-key k", 5);
    shell.exits("publish --type order..paid --data {}", 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_paused_and_a_dead_letter_replayed_from_a_shell() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    let hook = world.webhook("acme", "orders", Behaviour::always(401)).await;
    shell.exits("publish --type orders.paid --data {}", 0);
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();

    let letters = shell.json("dlq list --destination orders -o json");
    let delivery = find(&letters, "dlv_").unwrap_or_else(|| panic!("no delivery in {letters}"));
    world.receiver.script(&hook.path, Behaviour::default());
    shell.exits("destinations pause orders", 0);
    shell.exits(&format!("dlq replay {delivery}"), 0);
    let paused = shell.json("destinations get orders -o json");
    assert!(paused.to_string().to_lowercase().contains("paused"), "{paused}");
    assert_eq!(world.receiver.count(&hook.path), 1);
    shell.exits("destinations resume orders", 0);
    let taken = world.arrived(&hook, 1).await;

    assert_eq!(taken.values().sum::<usize>(), 1);
    let left = shell.json("dlq list --destination orders -o json");
    assert_eq!(find(&left, "dlv_"), None, "{left}");
}

/// The first text anywhere in the value that begins so.
fn find(value: &serde_json::Value, prefix: &str) -> Option<String> {
    match value {
        serde_json::Value::String(text) => text.starts_with(prefix).then(|| text.clone()),
        serde_json::Value::Array(parts) => parts.iter().find_map(|part| find(part, prefix)),
        serde_json::Value::Object(fields) => fields.values().find_map(|part| find(part, prefix)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => None,
    }
}

async fn settled_path(world: &World, path: &str, events: usize) {
    let receiver = Arc::clone(&world.receiver);
    harness::eventually::eventually("the events arrive", SOON, || async {
        let taken = receiver.taken(path).len();
        (taken == events)
            .then_some(())
            .ok_or(format!("{taken} of {events}"))
    })
    .await;
}
