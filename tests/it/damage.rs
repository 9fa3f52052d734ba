//! A real node on damaged data: it says which file and what to do, ends with the code for damage, and serves nothing.
//! Every file in every way is damaged by `raft`'s own test; here it is seen that the process does as that one says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use harness::cluster::{Cluster, Shape};
use harness::door::{event, incompressible};
use harness::process::pushrail;

/// Bytes on the disk are not what was written.
const DAMAGE: i32 = 65;

/// A node of its own that has published and was stopped in order.
async fn stopped() -> Cluster {
    let mut cluster = Cluster::start(Shape::three().nodes(1)).await;
    let door = cluster.door(1);
    door.create_tenant("acme").await.unwrap();
    for number in 0..50 {
        door.publish(event("acme", "orders.paid", incompressible(number, 5000)))
            .await
            .unwrap();
    }
    cluster.node(1).terminate(Duration::from_secs(30)).await;
    cluster
}

/// The largest file whose name ends so.
fn file(root: &Path, ending: &str) -> PathBuf {
    let mut left = vec![root.to_path_buf()];
    let mut found = Vec::new();
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|path| fs::metadata(path).unwrap().len());
    found.pop().unwrap_or_else(|| panic!("no file {ending}"))
}

/// Runs the node to its end; one that goes on after all is ended by `timeout` with 124.
fn run(cluster: &mut Cluster) -> Output {
    let args = cluster.node(1).args();
    Command::new("timeout")
        .arg("60")
        .arg(pushrail())
        .args(args)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_damaged_data_names_the_file_and_ends() {
    let mut cluster = stopped().await;
    let data = cluster.node(1).data_dir();
    for ending in [
        "identity",
        "watermark",
        "seals",
        ".wal",
        "state/CURRENT",
        ".sst",
        ".blob",
    ] {
        let path = file(&data, ending);
        let whole = fs::read(&path).unwrap();
        // In the first quarter: among the data of a table, and in what is flushed of the log.
        let mut flipped = whole.clone();
        flipped[whole.len() / 4] ^= 0x10;
        for damaged in [&flipped[..], &whole[..whole.len() / 2]] {
            fs::write(&path, damaged).unwrap();

            let output = run(&mut cluster);

            let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            let name = path.file_name().unwrap().to_string_lossy();
            assert_eq!(output.status.code(), Some(DAMAGE), "{ending}: {said}");
            assert!(said.contains(&*name), "{name} is not named: {said}");
            assert!(
                said.contains("start the node on an empty one"),
                "{ending}: {said}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
    let identity = data.join("identity");
    let whole = fs::read(&identity).unwrap();
    fs::remove_file(&identity).unwrap();
    let output = run(&mut cluster);
    fs::write(&identity, whole).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(DAMAGE), "no identity: {said}");
    assert!(said.contains("its file `identity` is gone"), "{said}");

    cluster.restart(1);
    cluster.ready().await;
}
