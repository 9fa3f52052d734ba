//! After whatever befell them, all nodes hold the same state, row for row, and it keeps its own laws. Read from the
//! stopped nodes' disks, where no answer of theirs can gloss over anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::cluster::Cluster;
use harness::eventually::eventually;
use harness::process::Signal;
use pushrail_machine::digest::digest;
use pushrail_machine::invariants;
use pushrail_rocks::{RocksOptions, RocksStore};

use crate::world::SOON;

/// Stops every node in order and compares what they hold; the cluster is at rest, and is not started again.
pub(crate) async fn same_state_everywhere(cluster: &mut Cluster) {
    cluster.level().await;
    // Order: all stand still, then one after the other ends alone. Whoever is told to stop gives its shards away, and
    // alone it has no majority to write that with: each state stays where the cluster came to rest.
    for id in cluster.ids() {
        cluster.freeze(id);
    }
    for id in cluster.ids() {
        cluster.node(id).process().signal(Signal::Term);
        cluster.thaw(id);
        let status = cluster.node(id).process().end(Duration::from_secs(60)).await;
        let status = status.unwrap_or_else(|saw| panic!("{saw}\n{}", cluster.node(id).tail()));
        assert!(
            status.success(),
            "node {id} ended with {status}\n{}",
            cluster.node(id).tail()
        );
        cluster.kill(id);
    }

    let mut digests = Vec::new();
    for id in cluster.ids() {
        let state = state_of(&cluster.node(id).data_dir());
        // The kernel may let the lock go a little after the process is gone.
        let store = eventually("the state can be opened", SOON, || async {
            RocksStore::open(&state, &RocksOptions::default()).map_err(|error| error.to_string())
        })
        .await;
        let view = store.view();
        if let Err(broken) = invariants::check(&view) {
            panic!("node {id} breaks its laws: {broken:#?}");
        }
        digests.push((id, digest(&view).unwrap()));
    }
    assert!(
        digests.iter().all(|(_, digest)| *digest == digests[0].1),
        "the nodes' states differ: {digests:?}"
    );
}

/// The directory of the present database, which a file beside it names.
fn state_of(data: &Path) -> PathBuf {
    let state = data.join("state");
    let text = fs::read_to_string(state.join("CURRENT")).unwrap();
    // Its name, then a checksum.
    state.join(text.split_whitespace().next().unwrap())
}
