//! What a node refuses at its start, and how it says so: foreign or half-written data, a second process on the same
//! data, a configuration that is wrong, and addresses beyond loopback.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use harness::cluster::{Cluster, Shape};
use harness::eventually::eventually;
use harness::node::Node;
use harness::ports::Port;
use harness::process::{Outlives, Process, pushrail, tail};
use pushrail_api::v1;
use tonic::Code;

use crate::world::SOON;

/// Runs `pushrail` to its end; a node that starts after all is ended by `timeout` with 124.
fn run(args: &[String], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg(pushrail())
        .args(args)
        .envs(env.iter().copied());
    command.output().unwrap()
}

fn with(node: &Node, more: &[&str]) -> Vec<String> {
    node.args()
        .into_iter()
        .chain(more.iter().map(|arg| String::from(*arg)))
        .collect()
}

fn refused(output: &Output, wanted: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| code != 0 && code != 124),
        "code {code:?}: {said}"
    );
    assert!(
        output.stdout.is_empty(),
        "stdout: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    for word in wanted {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_with_key_value_and_what_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::new(1, directory.path(), &[]);
    let file = directory.path().join("node.toml");
    let file_arg = file.display().to_string();

    fs::write(&file, "[raft]\nheartbeat = \"100ms\"\nheartbeet = \"1s\"\n").unwrap();
    refused(
        &run(&with(&node, &["--config", &file_arg]), &[]),
        &["raft.heartbeet", "node.toml", "raft.heartbeat"],
    );
    fs::write(&file, "[raft]\nheartbeat = 100\n").unwrap();
    refused(
        &run(&with(&node, &["--config", &file_arg]), &[]),
        &["raft.heartbeat", "100", "unit"],
    );
    fs::write(&file, "listen = \n").unwrap();
    refused(
        &run(&with(&node, &["--config", &file_arg]), &[]),
        &["node.toml", "TOML"],
    );
    let absent = directory.path().join("absent.toml").display().to_string();
    refused(&run(&with(&node, &["--config", &absent]), &[]), &["absent.toml"]);
    let environment = [("PUSHRAIL_PUBLISH__PAYLOAD_BYTES_MAX", "2GiB")];
    refused(
        &run(&with(&node, &[]), &environment),
        &["publish.payload_bytes_max", "2GiB", "1MiB"],
    );
    refused(
        &run(&with(&node, &["--set", "log.level=loud"]), &[]),
        &["log.level", "loud", "warn"],
    );
    refused(
        &run(&with(&node, &[]), &[("PUSHRAIL_COLOUR", "red")]),
        &["colour", "red", "unknown key"],
    );
    let mut nameless = with(&node, &[]);
    nameless.drain(1..3);
    refused(
        &run(&nameless, &[("PUSHRAIL_NODE_ID", "none")]),
        &["node_id", "none", "whole number"],
    );
    assert!(
        !node.data_dir().exists(),
        "a node that refuses to start leaves nothing behind"
    );
}

#[test]
fn an_address_beyond_loopback_is_refused_unless_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::new(1, directory.path(), &[]);
    for (key, flag) in [
        ("listen", "--listen"),
        ("peer_listen", "--peer-listen"),
        ("http_listen", "--http-listen"),
    ] {
        let mut args = node.args();
        let at = args.iter().position(|arg| arg == flag).unwrap();
        args[at + 1] = String::from("0.0.0.0:0");

        refused(
            &run(&args, &[]),
            &[key, "0.0.0.0:0", "loopback", "insecure_listen"],
        );
    }
    assert!(
        !node.data_dir().exists(),
        "a node that refuses to start leaves nothing behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insecure_listener_that_is_asked_for_starts_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::new(1, directory.path(), &[]);
    let port = node.http_address().port();
    let mut args = node.args();
    let at = args.iter().position(|arg| arg == "--http-listen").unwrap();
    args[at + 1] = format!("0.0.0.0:{port}");
    let file = directory.path().join("node.toml");
    fs::write(&file, "insecure_listen = true\n").unwrap();
    args.extend([String::from("--config"), file.display().to_string()]);
    let log = directory.path().join("insecure.log");

    let mut process = Process::spawn(&pushrail(), &args, Outlives::Nothing, &log).unwrap();

    eventually("it says that it is open", SOON, || async {
        let said = tail(&log, 100);
        if said.contains("insecure_listen") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    assert!(process.ended().is_none(), "{}", tail(&log, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_data_is_refused() {
    let mut cluster = Cluster::start(Shape::three().nodes(1)).await;
    cluster.node(1).terminate(Duration::from_secs(30)).await;
    let data = cluster.node(1).data_dir();
    let as_node = |id: u64, data: &Path| {
        let mut args = Node::new(id, &cluster.directory(), &[]).args();
        let at = args.iter().position(|arg| arg == "--data-dir").unwrap();
        args[at + 1] = data.display().to_string();
        args
    };

    // Another node's data.
    refused(&run(&as_node(2, &data), &[]), &["node"]);
    // A directory of something else.
    let other = cluster.directory().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.tex"), "\\documentclass{book}").unwrap();
    refused(&run(&as_node(1, &other), &[]), &["other"]);
    assert_eq!(
        fs::read_dir(&other).unwrap().count(),
        1,
        "what is foreign is left as it was"
    );
    // The node's own, from which a part is missing.
    for part in fs::read_dir(&data).unwrap() {
        let part = part.unwrap();
        if part.file_name().to_string_lossy().to_lowercase().contains("lock") {
            continue;
        }
        let aside = cluster.directory().join("aside");
        fs::rename(part.path(), &aside).unwrap();
        let output = run(&as_node(1, &data), &[]);
        fs::remove_dir_all(part.path())
            .or_else(|_| fs::remove_file(part.path()))
            .ok();
        fs::rename(&aside, part.path()).unwrap();
        refused(&output, &[]);
    }
    // It is the node's own, whole again.
    cluster.restart(1);
    cluster.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let mut cluster = Cluster::start(Shape::three().nodes(1)).await;
    let data = cluster.node(1).data_dir();
    let mut args = Node::new(1, &cluster.directory(), &[]).args();
    let at = args.iter().position(|arg| arg == "--data-dir").unwrap();
    args[at + 1] = data.display().to_string();

    refused(&run(&args, &[]), &[&data.display().to_string()]);

    cluster.check();
    cluster.door(1).create_tenant("acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_no_cluster_answers_no_read_as_if_there_were_nothing() {
    let mut cluster = Cluster::unformed(Shape::three()).await;
    for id in cluster.ids() {
        cluster.restart(id);
    }
    let door = cluster.door(1);

    let refused = eventually("it answers", SOON, || async {
        match door.tenants().list(v1::ListTenantsRequest::default()).await {
            Err(status) if status.message().contains("has not been formed") => Ok(status),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    assert_eq!(refused.code(), Code::Unavailable);
    cluster.form().await;
    cluster.ready().await;
    let listed = door.tenants().list(v1::ListTenantsRequest::default()).await;
    assert!(listed.unwrap().into_inner().tenants.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_an_absent_member_is_not_formed_and_the_member_is_named() {
    let mut cluster = Cluster::unformed(Shape::three()).await;
    cluster.restart(1);
    cluster.restart(2);

    let refused = eventually("the two answer", SOON, || async {
        match cluster.door(1).cluster().init(cluster.members()).await {
            Err(status)
                if status.code() == Code::FailedPrecondition && !status.message().contains("node 2") =>
            {
                Ok(status)
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let words = refused.message();
    assert!(words.contains("nothing was formed: node 3 at"), "{words}");
    cluster.restart(3);
    cluster.form().await;
    cluster.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_not_formed_of_members_at_addresses_of_others() {
    let mut cluster = Cluster::unformed(Shape::three()).await;
    for id in cluster.ids() {
        cluster.restart(id);
    }
    eventually("all answer", SOON, || async {
        for door in cluster.doors() {
            door.status().await.map_err(|status| status.to_string())?;
        }
        Ok(())
    })
    .await;
    let right = cluster.members();
    let mut swapped = right.clone();
    let (second, third) = (right.members[1].clone(), right.members[2].clone());
    swapped.members[1].client = third.client;
    swapped.members[2].client = second.client;
    let mut nowhere = right.clone();
    let nobody = Port::reserve();
    nowhere.members[2].http = nobody.address().to_string();
    let mut crossed = right.clone();
    crossed.members[0].client = right.members[0].http.clone();
    crossed.members[0].http = right.members[0].client.clone();

    for (members, words) in [
        (
            swapped,
            [
                "is node 3: correct the number or the address for clients",
                "is node 2",
            ],
        ),
        (nowhere, ["refused", "correct its address for HTTP"]),
        (
            crossed,
            [
                "this is not the client port of a node",
                "it is not the HTTP port of a node",
            ],
        ),
    ] {
        let asked = Instant::now();
        let refused = cluster.door(1).cluster().init(members).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        for word in words {
            assert!(refused.message().contains(word), "`{word}` is not in: {refused}");
        }
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    cluster.form().await;
    cluster.ready().await;
}
