//! The command line: data on stdout only, all else on stderr, and exit codes that scripts can use.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

    /// The same shell, whose cluster is at these addresses alone.
    fn at(&self, servers: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            home: self.home.clone(),
        }
    }

    /// What a failed line says on stderr; data may have been printed before.
    fn fails(&self, line: &str, code: i32) -> (String, String) {
        let output = self.run(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (data, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "`{line}` said: {said}");
        (data, said)
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

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_tested_from_a_shell_and_a_failure_is_an_exit_code() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;

    let text = String::from_utf8(shell.exits("destinations test orders", 0).stdout).unwrap();
    let data = shell.json("destinations test orders -o json");
    // Longer than any other call may take: a receiver that is slow is not a node that is silent.
    world
        .receiver
        .script(&hook.path, Behaviour::slow(Duration::from_secs(11)));
    shell.exits("destinations test orders", 0);
    world.receiver.script(&hook.path, Behaviour::always(401));
    let (shown, said) = shell.fails("destinations test orders", 1);

    for word in [
        "> POST http://",
        "> webhook-signature: v1,",
        "< HTTP/1.1 200",
        "delivered",
    ] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    assert_eq!(data["answer"]["status"], 200, "{data}");
    assert!(
        shown.contains("< HTTP/1.1 401") && shown.contains("permanent failure, auth"),
        "{shown}"
    );
    assert!(said.contains("credential"), "{said}");
    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|request| request.signature == Signature::Valid)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_the_deadline_holds_and_the_error_says_what_is_known() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let leader = world.cluster.leader().await;
    let left = world.cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let address = world.cluster.node(left).client_address().to_string();
    let shell = Shell::of(&mut world).at(&address);
    for id in world.cluster.ids() {
        if id != left {
            world.cluster.kill(id);
        }
    }

    let begun = Instant::now();
    let (_, said) = shell.fails("publish --type order.paid --data {}", 6);
    let usual = begun.elapsed();
    let begun = Instant::now();
    let (_, hasty) = shell.fails("publish --type order.paid --data {} --timeout 1s", 124);
    let short = begun.elapsed();

    assert!(said.contains("majority") && said.contains("accepted"), "{said}");
    assert!(usual < Duration::from_secs(12), "{usual:?}");
    assert!(hasty.contains("it is unknown whether it was accepted"), "{hasty}");
    assert!(short < Duration::from_secs(4), "{short:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_is_passed_over_and_alone_it_leaves_a_key_for_the_repeat() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let frozen = world.cluster.follower().await;
    let other = world.cluster.ids().into_iter().find(|id| *id != frozen).unwrap();
    let address = |world: &mut World, id| world.cluster.node(id).client_address().to_string();
    let (mute, good) = (address(&mut world, frozen), address(&mut world, other));
    let shell = Shell::of(&mut world);
    world.cluster.freeze(frozen);

    let alone = shell.at(&mute);
    let (_, said) = alone.fails("publish --type orders.paid --data {} --timeout 1s", 124);
    let both = shell.at(&format!("{mute},{good}"));
    let begun = Instant::now();
    let receipt = both.json("publish --type orders.paid --data {\"n\":1} -o json");
    let passed = begun.elapsed();

    for part in [
        "it is unknown whether it was accepted",
        "did not answer",
        "--idempotency-key cli-",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("answered by"), "{said}");
    assert!(passed < Duration::from_secs(4), "{passed:?}");
    assert_eq!(receipt["duplicate"], false, "{receipt}");
    world.cluster.thaw(frozen);
    // The frozen node may carry out the first one when it wakes; the second is one event, whoever took it.
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();
    let seconds = world.receiver.requests_to(&hook.path);
    let seconds = seconds
        .iter()
        .filter(|request| request.body == r#"{"n":1}"#.as_bytes());
    assert_eq!(seconds.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_no_clients_is_called_so() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    let node = world.cluster.node(1);
    let (peer, http) = (node.peer_address().to_string(), node.http_address().to_string());

    for port in [peer, http] {
        let (_, said) = shell.at(&port).fails("tenants create acme", 6);
        assert!(said.contains("not the client port of a node"), "{port}: {said}");
    }
    let (_, said) = shell.at("localhost").fails("tenants list", 2);
    assert!(said.contains("`localhost`") && said.contains("no port"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_names_the_lines_of_its_file_and_each_error_once() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let shell = Shell::of(&mut world);
    let event = |event_type: &str| format!("{{\"type\":\"{event_type}\",\"data\":{{}}}}\n");
    let text = [
        event("orders.paid"),
        "\n".to_owned(),
        event("a..b"),
        event("c..d"),
    ]
    .concat();
    std::fs::write(shell.home.join("events.ndjson"), text).unwrap();

    let (data, said) = shell.fails("publish --batch-file events.ndjson -o json", 7);
    let (ids, _) = shell.fails(
        "publish --batch-file events.ndjson -o name --idempotency-key k",
        7,
    );
    let (again, _) = shell.fails(
        "publish --batch-file events.ndjson -o name --idempotency-key k",
        7,
    );

    let results: Vec<serde_json::Value> = data
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines: Vec<&serde_json::Value> = results.iter().map(|result| &result["line"]).collect();
    assert_eq!(lines, [1, 3, 4], "{data}");
    assert_eq!(results[2]["accepted"], "no", "{data}");
    assert!(said.contains("line 3") && !said.contains("events["), "{said}");
    assert_eq!(ids, again, "the file with the same key is the same events");
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

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_counted_shown_discarded_and_replayed_all_at_once_by_the_command_line() {
    let mut world = World::three().await;
    let shell = Shell::of(&mut world);
    let hook = world.webhook("acme", "orders", Behaviour::first(1, 401)).await;
    for _ in 0..3 {
        shell.exits("publish --type orders.paid --data {}", 0);
    }
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();

    let fresh = "--consistency linearizable -o json";
    let causes = shell.json(&format!("dlq list --by-cause {fresh}"));
    assert_eq!(causes["causes"][0]["cause"], "auth", "{causes}");
    assert_eq!(causes["causes"][0]["dead"], 3, "{causes}");
    let none = shell.json(&format!("dlq list --cause missing {fresh}"));
    assert_eq!(find(&none, "dlv_"), None, "{none}");
    let letters = shell.json(&format!("dlq list --cause auth --status 401 {fresh}"));
    let first = find(&letters, "dlv_").unwrap();
    let shown = String::from_utf8(shell.exits(&format!("dlq show {first}"), 0).stdout).unwrap();
    assert!(shown.contains("orders.paid") && shown.contains("401"), "{shown}");

    shell.exits(&format!("dlq discard {first}"), 2);
    shell.exits(&format!("dlq discard {first} --yes"), 0);
    shell.exits(&format!("dlq show {first} --consistency linearizable"), 3);
    let job = shell.json("dlq replay --all --destination orders --wait -o json");
    assert_eq!(job["job"]["state"], "done", "{job}");
    assert_eq!(job["job"]["taken"], 2, "{job}");
    world.arrived(&hook, 2).await;
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();
    let jobs = shell.json(&format!("dlq jobs list {fresh}"));
    assert_eq!(find(&jobs, "job_").as_deref(), Some("job_1"), "{jobs}");
    shell.exits("dlq jobs get job_9", 3);
    let discarded = shell.json(&format!("deliveries list --state discarded {fresh}"));
    assert_eq!(find(&discarded, "dlv_"), Some(first), "{discarded}");
    let failed = shell.json(&format!("attempts list --outcome failed {fresh}"));
    assert_eq!(failed["attempts"].as_array().map(Vec::len), Some(3), "{failed}");
    shell.exits("dlq discard --all", 2);
}
