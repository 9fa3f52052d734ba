//! Seals credentials anew that lie under a key that has been retired, or under none, and forgets those whose time is
//! over. It goes round all destinations, some at a time.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use pushrail_machine::query::config::{self, Placed};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::Command;
use pushrail_model::destination::PreviousCredential;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::settings::{Rewrap, RewrapCredentials};
use pushrail_model::time::Timestamp;
use pushrail_raft::replica::Replica;
use tracing::{debug, info};

use crate::keyring::{Keyring, Locked};
use crate::metrics::CREDENTIALS_SEALED_ANEW_TOTAL;
use crate::upkeep::settings::read;

/// Rows looked at in one look: a hundred thousand destinations are gone round in half a minute.
const ROWS: usize = 1000;
/// For this node's state to show what it proposed.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);

/// Where the round is.
pub(crate) struct Credentials {
    keyring: Arc<Keyring>,
    after: Option<Vec<u8>>,
}

impl Credentials {
    pub(crate) fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring, after: None }
    }

    /// Looks at the next rows. An error means that the node cannot read its state.
    pub(crate) async fn advance(&mut self, replica: &Replica, term: u64) -> Result<(), String> {
        let (keyring, after) = (Arc::clone(&self.keyring), self.after.take());
        let now = replica.lease().state_now();
        let found = read(replica, move |view| {
            let (rows, next) = config::all_destinations(view, after.as_deref(), ROWS)?;
            let mut wanted = Vec::new();
            for placed in &rows {
                wanted.extend(rewrap(view, &keyring, placed, now)?);
            }
            Ok((wanted, next))
        });
        let (wanted, next) = found.await?;
        self.after = next;
        for credentials in wanted.chunks(limits::COMMAND_REWRAPS_MAX) {
            let command = Command::RewrapCredentials(RewrapCredentials {
                credentials: credentials.to_vec(),
            });
            match replica.propose_leading(term, command).await {
                Ok(proposed) => {
                    if let Response::Advanced { rows, .. } = proposed.response {
                        info!(count = rows, index = %proposed.index, "credentials sealed anew");
                        counter!(CREDENTIALS_SEALED_ANEW_TOTAL).increment(rows.into());
                    }
                    replica.await_applied(proposed.index, APPLIED_WITHIN).await.ok();
                }
                Err(error) => {
                    debug!(%error, "credentials not sealed anew, looking again");
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What a destination's credentials should be, where that is not what they are. What cannot be opened here stays as it
/// is: housekeeping says so, and the next leader may have the key.
fn rewrap(
    view: &dyn Read,
    keyring: &Keyring,
    (partition, tenant, destination): &Placed,
    now: Timestamp,
) -> Result<Option<Rewrap>, StoreError> {
    let living = || {
        destination
            .previous
            .iter()
            .filter(|previous| previous.until > now)
    };
    let sealed_anew = keyring.would_seal_anew(&destination.spec.credential)
        || living().any(|previous| keyring.would_seal_anew(&previous.credential));
    if !sealed_anew && living().count() == destination.previous.len() {
        return Ok(None);
    }
    let Some(owner) = config::tenant_by_number(view, *partition, *tenant)? else {
        return Ok(None);
    };
    let anew = |stored: &bytes::Bytes| -> Result<bytes::Bytes, Locked> {
        if !keyring.would_seal_anew(stored) {
            return Ok(stored.clone());
        }
        let plain = keyring.open(&owner.id, &destination.id, stored)?;
        keyring.seal(&owner.id, &destination.id, &plain)
    };
    let all = || {
        Ok::<_, Locked>(Rewrap {
            partition: *partition,
            tenant: *tenant,
            destination: destination.number,
            revision: destination.credential_revision,
            credential: anew(&destination.spec.credential)?,
            previous: living()
                .map(|previous| {
                    Ok(PreviousCredential {
                        credential: anew(&previous.credential)?,
                        ..previous.clone()
                    })
                })
                .collect::<Result<_, Locked>>()?,
        })
    };
    Ok(all().ok())
}
