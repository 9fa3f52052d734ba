//! Credentials at the door: opened to be used, to hold new settings against them, and once to be shown.

use bytes::Bytes;
use pushrail_adapters::registry;
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::response::Response;
use pushrail_raft::replica::Proposed;

use crate::door::Door;
use crate::door::refusal::{Refusal, done_but};
use crate::door::settings::checks::Checks;

impl Door {
    /// A destination as it can be sent to at this time of the state.
    pub(in crate::door) fn unlock(
        &self,
        tenant: &TenantId,
        destination: &Destination,
    ) -> Result<(DestinationSpec, Vec<Bytes>), Refusal> {
        let now = self.replica().lease().state_now();
        let unlocked = self.inner.keyring.unlock(tenant, destination, now);
        unlocked.map_err(|locked| Refusal::Locked {
            why: locked.to_string(),
        })
    }

    /// New settings, held against the credential that stands.
    pub(super) fn check_settings(
        &self,
        tenant: &TenantId,
        present: &Destination,
        settings: &str,
    ) -> Result<(), Refusal> {
        let spec = DestinationSpec {
            settings: Bytes::copy_from_slice(settings.as_bytes()),
            credential: self.open_credential(tenant, present)?,
            ..present.spec.clone()
        };
        let mut checks = Checks::default();
        checks.adapters(registry::open(&spec, &self.inner.net).map(|_| ()));
        checks.finish(Some(()))
    }

    /// The credential, where it is the one that this very request brought. Another may have followed it since, also
    /// before a repeat: what that brought is its own caller's.
    pub(super) fn revealed(
        &self,
        proposed: &Proposed,
        tenant: &TenantId,
        destination: &Destination,
    ) -> Result<Bytes, Refusal> {
        let Response::Destination { version, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        match version == destination.credential_version {
            // It was kept; only this node cannot show it.
            true => self.open_credential(tenant, destination).map_err(done_but),
            false => Ok(Bytes::new()),
        }
    }

    pub(super) fn seal(
        &self,
        tenant: &TenantId,
        destination: &DestinationId,
        plain: &[u8],
    ) -> Result<Bytes, Refusal> {
        let sealed = self.inner.keyring.seal(tenant, destination, plain);
        sealed.map_err(|locked| Refusal::Locked {
            why: locked.to_string(),
        })
    }

    fn open_credential(&self, tenant: &TenantId, destination: &Destination) -> Result<Bytes, Refusal> {
        let opened = self
            .inner
            .keyring
            .open(tenant, &destination.id, &destination.spec.credential);
        opened.map_err(|locked| Refusal::Locked {
            why: locked.to_string(),
        })
    }
}
