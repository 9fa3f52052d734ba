//! Before a cluster is formed: callers and operators must find each member at the addresses that are listed for it, as
//! the nodes will tell them to everybody. Where it is found by its peers, the replica asks by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use pushrail_api::v1::ClusterStatusRequest;
use pushrail_api::{Client, ClientError, ClientOptions, Patience};
use pushrail_model::ids::NodeId;
use pushrail_raft::error::Unfit;
use pushrail_raft::types::NodeAddresses;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::http::NODE;
use crate::telemetry::chain;

/// How long members may take to answer: they were started just now, perhaps.
const ASK: Duration = Duration::from_millis(1_500);
/// How long one attempt to ask may take.
const ANSWER: Duration = Duration::from_millis(700);
/// Until an unanswered question is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// All addresses at which another is found than was said, or nobody.
pub(super) async fn misplaced(members: &BTreeMap<NodeId, NodeAddresses>) -> Vec<Unfit> {
    let asked = members.iter().map(|(&node, addresses)| async move {
        let (client, http) = tokio::join!(by_callers(&addresses.client), by_operators(&addresses.http));
        [
            judged(node, &addresses.client, "clients", client),
            judged(node, &addresses.http, "HTTP", http),
        ]
    });
    let unfit = join_all(asked).await.into_iter().flatten();
    unfit.filter_map(Result::err).collect()
}

fn judged(node: NodeId, address: &str, sort: &str, found: Result<NodeId, String>) -> Result<(), Unfit> {
    let why = match found {
        Ok(found) if found == node => return Ok(()),
        Ok(found) => format!("is node {found}: correct the number or the address for {sort}"),
        Err(why) => format!("does not answer ({why}): start it, or correct its address for {sort}"),
    };
    let address = address.to_owned();
    Err(Unfit { node, address, why })
}

/// Which node answers calls at this address.
async fn by_callers(address: &str) -> Result<NodeId, String> {
    let options = ClientOptions {
        connect: ANSWER,
        answer: ANSWER,
        deadline: ASK,
        patience: Patience::Whole,
    };
    let client = Client::with_options([address], options).map_err(|error| error.to_string())?;
    let answer = client.cluster_status(ClusterStatusRequest {}).await;
    answer
        .map(|status| NodeId(status.answering_node))
        .map_err(|error| {
            let last = error.tried().last().map(|tried| tried.why.clone());
            match (error, last) {
                (ClientError::Refused { status, .. }, _) => status.message().to_owned(),
                (_, Some(why)) => why,
                (error, None) => error.to_string(),
            }
        })
}

/// Which node says at this address that it lives.
async fn by_operators(address: &str) -> Result<NodeId, String> {
    let until = Instant::now() + ASK;
    loop {
        let asked = timeout(ANSWER, alive(address)).await;
        match asked.unwrap_or_else(|_| Err(format!("no answer within {} ms", ANSWER.as_millis()))) {
            Ok(found) => return found,
            Err(_) if Instant::now() + PAUSE < until => sleep(PAUSE).await,
            Err(why) => return Err(why),
        }
    }
}

/// One attempt; the outer error may be another one a moment later.
async fn alive(address: &str) -> Result<Result<NodeId, String>, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get("/healthz")
        .header(header::HOST, address)
        .body(Empty::<Bytes>::new())
        .map_err(|error| chain(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    let asked = async {
        let answer = sender.send_request(request).await;
        drop(sender);
        answer
    };
    // What breaks the connection breaks the answer, too.
    let (answer, _) = tokio::join!(asked, connection);
    let answer = answer.map_err(|error| format!("it is not the HTTP port of a node: {}", chain(&error)))?;
    let named = answer.headers().get(NODE).and_then(|name| name.to_str().ok());
    Ok(named
        .and_then(|name| name.parse().ok())
        .map(NodeId)
        .ok_or_else(|| "it is not the HTTP port of a node".to_owned()))
}
