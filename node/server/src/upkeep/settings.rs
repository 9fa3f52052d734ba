//! What follows from settings: removals that are not through, credentials that are to be sealed anew. Where a leader
//! dies, the next one finds what is left.

use std::sync::Arc;
use std::time::Duration;

use pushrail_machine::store::StoreError;
use pushrail_raft::replica::Replica;
use pushrail_raft::view::View;

use crate::keyring::Keyring;
use crate::telemetry::chain;
use crate::upkeep::credentials::Credentials;
use crate::upkeep::removals;

/// How often the leader looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Goes on until it is dropped. Returns only if the node cannot read its state, with the reason.
pub(super) async fn run(replica: Replica, keyring: Arc<Keyring>) -> String {
    let mut credentials = Credentials::new(keyring);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(leadership) = replica.leadership() else {
            continue;
        };
        let done = async {
            removals::advance(&replica, leadership.term).await?;
            credentials.advance(&replica, leadership.term).await
        };
        if let Err(why) = done.await {
            return why;
        }
    }
}

/// Reads this node's present state; the store may block.
pub(super) async fn read<T: Send + 'static>(
    replica: &Replica,
    query: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    let view = replica.view();
    match tokio::task::spawn_blocking(move || query(&view)).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(error.to_string()),
    }
}
