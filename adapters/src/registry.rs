//! Every kind of destination, and the way from what a caller wrote to something that can send.

use std::sync::Arc;

use bytes::Bytes;
use pushrail_model::destination::DestinationSpec;

use crate::adapter::{Adapter, Link};
use crate::net::Net;
use crate::settings::{Credential, Invalid, Settings};
use crate::webhooks::webhook::Webhook;

static ALL: &[&dyn Adapter] = &[&Webhook];

/// Every kind, in the order in which they are shown.
pub fn all() -> &'static [&'static dyn Adapter] {
    ALL
}

/// The kind of this name.
pub fn adapter(kind: &str) -> Option<&'static dyn Adapter> {
    ALL.iter().copied().find(|adapter| adapter.spec().kind == kind)
}

/// Checks what a caller wrote and makes it ready to send; says every field that is wrong. No I/O.
pub fn open(spec: &DestinationSpec, net: &Net) -> Result<Arc<dyn Link>, Vec<Invalid>> {
    open_with(spec, &[], net)
}

/// The same, with credentials before the present one that still count, newest first.
pub fn open_with(
    spec: &DestinationSpec,
    previous: &[Bytes],
    net: &Net,
) -> Result<Arc<dyn Link>, Vec<Invalid>> {
    let adapter = known(&spec.kind)?;
    let previous = previous.iter().map(|credential| Credential::parse(credential));
    let previous = previous
        .collect::<Result<Vec<_>, _>>()
        .map_err(|invalid| vec![invalid])?;
    match (
        Settings::parse(&spec.settings),
        Credential::parse(&spec.credential),
    ) {
        (Ok(settings), Ok(credential)) => adapter.open(&settings, &credential, &previous, net),
        (settings, credential) => Err(settings.err().into_iter().chain(credential.err()).collect()),
    }
}

/// The credential with all that Pushrail makes itself, such as a signing secret. The door calls it once, before
/// it proposes a new destination; what the caller gave stays.
pub fn fill_credential(kind: &str, credential: &[u8]) -> Result<Bytes, Vec<Invalid>> {
    let adapter = known(kind)?;
    let credential = Credential::parse(credential).map_err(|invalid| vec![invalid])?;
    Ok(adapter.fill_credential(credential).to_json().into())
}

fn known(kind: &str) -> Result<&'static dyn Adapter, Vec<Invalid>> {
    adapter(kind).ok_or_else(|| {
        let kinds: Vec<&str> = ALL.iter().map(|adapter| adapter.spec().kind).collect();
        vec![Invalid {
            field: "kind".to_owned(),
            why: format!("unknown kind; known: {}", kinds.join(", ")),
        }]
    })
}
