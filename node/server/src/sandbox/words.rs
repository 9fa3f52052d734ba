//! What a sandbox says: where everything is, what to do next, and what it is not.

use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::place::{Place, loopback};
use crate::sandbox::receiver::Receiver;
use crate::sandbox::setup::{DESTINATION, PATTERN, TENANT};

/// For eyes.
pub(super) fn begin(place: &Place, receiver: &Receiver) -> String {
    let servers = servers(place).join(",");
    let (page, hooks) = (receiver.page(), receiver.hooks());
    let nodes: String = (1..)
        .zip(&place.ports.nodes)
        .map(|(number, node)| {
            let (client, http) = (loopback(node.client), loopback(node.http));
            format!("  node {number}       gRPC {client}, health and metrics http://{http}/metrics\n")
        })
        .collect();
    let path = place.path.display();
    let data = if place.is_kept() {
        format!("{path}, kept when it ends")
    } else {
        format!("{path}, removed when it ends")
    };
    format!(
        "\
Pushrail sandbox: three nodes in one process, on this machine, for trying things out. It is not a deployment: whatever
ends the process ends all three nodes, and nobody is asked who he is.

  page         {page}  shows what arrives, and lets you choose how it is answered
{nodes}  tenant       {TENANT}
  destination  {DESTINATION}, to {hooks}
  route        {PATTERN}, every type of event
  data         {data}

In another terminal:

  export PUSHRAIL_SERVER={servers} PUSHRAIL_TENANT={TENANT}
  pushrail publish --type order.paid --data '{{\"total\": 12}}'
  pushrail events explain <the event that it prints>
  pushrail dlq list --destination {DESTINATION}
  pushrail cluster status

Ctrl-C ends it.
"
    )
}

/// For programs.
pub(super) fn as_json(place: &Place, receiver: &Receiver) -> Value {
    let http: Vec<String> = place
        .ports
        .nodes
        .iter()
        .map(|node| loopback(node.http).to_string())
        .collect();
    json!({
        "page": receiver.page(),
        "hooks": receiver.hooks(),
        "servers": servers(place),
        "http": http,
        "tenant": TENANT,
        "destination": DESTINATION,
        "directory": place.path.display().to_string(),
        "kept": place.is_kept(),
    })
}

/// When it has ended.
pub(super) fn end(path: &Path, kept: bool) -> String {
    let path = path.display();
    if kept {
        format!("stopped; go on with: pushrail sandbox --keep {path}\n")
    } else {
        format!("stopped, and {path} is removed\n")
    }
}

fn servers(place: &Place) -> Vec<String> {
    let nodes = place.ports.nodes.iter();
    nodes.map(|node| loopback(node.client).to_string()).collect()
}
