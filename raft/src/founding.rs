//! Before a cluster is formed: each member is asked at its address who it is, and agrees to be one of these members.
//! Only then is anything written; a cluster formed with a wrong, absent or foreign member would stay so for good.
//!
//! The same question tells a node at its start whether another process lives at its own address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use pushrail_model::ids::NodeId;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Code, Status};

use crate::error::{InitError, Unfit};
use crate::local::DataDir;
use crate::membership;
use crate::peers::{Lane, Peers};
use crate::types::{NodeAddresses, Raft};
use crate::wire::{self, proto};

/// How long members may take to answer: they were started just now, perhaps.
const ASK: Duration = Duration::from_millis(1_500);
/// How long one attempt to ask may take.
const ANSWER: Duration = Duration::from_millis(700);
/// Until an unanswered question is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a promise to found a cluster keeps a node from founding another.
const PROMISE: Duration = Duration::from_secs(10);
/// How long a node waits to hear from a cluster that others say it belongs to.
const HEAR: Duration = Duration::from_secs(2);

/// The members of a cluster to form.
pub(crate) type Members = BTreeMap<NodeId, NodeAddresses>;

/// This node as one who founds a cluster.
pub(crate) struct Founder {
    peers: Arc<Peers>,
    raft: Raft,
    dir: Arc<Mutex<Option<DataDir>>>,
    // To found a cluster of these members, since then.
    promised: Mutex<Option<(Members, Instant)>>,
}

/// What a member's introduction means for the cluster that is to be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It belongs to no cluster.
    Free,
    /// It belongs to one of these very members already.
    Formed,
}

impl Founder {
    pub(crate) fn new(peers: Arc<Peers>, raft: Raft, dir: Arc<Mutex<Option<DataDir>>>) -> Self {
        Self {
            peers,
            raft,
            dir,
            promised: Mutex::default(),
        }
    }

    /// Who this is.
    pub(crate) fn introduction(&self) -> proto::Introduction {
        let start = self.peers.start();
        proto::Introduction {
            node: self.peers.me().0,
            run: run(start.run),
            boot: start.boot.0,
            cluster: self.peers.cluster().map(|cluster| format!("{cluster:032x}")),
            members: membership::members(&self.raft)
                .iter()
                .map(|(node, addresses)| wire::member_to(node.0, addresses))
                .collect(),
        }
    }

    /// Agrees to be one of these first members, or says why not. Whoever founds a cluster votes in it.
    pub(crate) fn agree(&self, members: &Members) -> Result<(), String> {
        let present = membership::members(&self.raft);
        if !present.is_empty() {
            return Err(belongs(
                self.peers.cluster().map(|name| format!("{name:032x}")),
                &present,
            ));
        }
        let now = Instant::now();
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((others, since)) = promised.as_ref()
            && others != members
            && now < *since + PROMISE
        {
            return Err(format!(
                "is being made one of {} just now; try again in {} s",
                names(others.keys()),
                PROMISE.as_secs()
            ));
        }
        *promised = Some((members.clone(), now));
        drop(promised);
        let mut dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = dir.as_mut().ok_or("is stopping")?;
        // Order: on disk before anybody relies on its vote.
        dir.enfranchise().map_err(|error| error.to_string())?;
        self.peers.enfranchise();
        Ok(())
    }

    /// Asks all members, and has each agree. Nothing to do where this node belongs to a cluster already: whether it
    /// is this one, the core knows.
    pub(crate) async fn gather(&self, members: &Members) -> Result<(), InitError> {
        if self.belongs() {
            return Ok(());
        }
        if !members.contains_key(&self.peers.me()) {
            return Err(InitError::Members(
                "this node is not among the members".to_owned(),
            ));
        }
        if members.len() == 1 {
            // Nobody ever dials it.
            return self.agree(members).map_err(|why| {
                let address = String::new();
                InitError::Unfit(vec![Unfit {
                    node: self.peers.me(),
                    address,
                    why,
                }])
            });
        }
        let until = Instant::now() + ASK;
        let asked = self.of_each(members, |node, address| async move {
            let introduction = self.introduced(node, address, until).await?;
            self.judge(node, &introduction, members)
        });
        let standings = asked.await?;
        if standings.contains(&Standing::Formed) {
            return self.hear_from_the_cluster().await;
        }
        self.of_each(members, |node, address| async move {
            if node == self.peers.me() {
                return self.agree(members);
            }
            self.ask_to_found(node, address, members)
                .await
                .map_err(|status| status.message().to_owned())
        })
        .await?;
        Ok(())
    }

    /// Whether another process lives at this node's own address; an error says so. That nobody is reached there is
    /// no proof of anything.
    pub(crate) async fn alone_at(&self, address: &str) -> Result<(), String> {
        let me = self.peers.me();
        match self.introduce(me, address).await {
            Ok(other) if other.node == me.0 && other.run != run(self.peers.start().run) => Err(format!(
                "node {me} runs already at {address}, in start {} of its own directory: a copy of a data directory \
                 must not run beside it. Stop that process for good before this one is started, or give this \
                 machine a node id and a directory of its own",
                other.boot
            )),
            Ok(other) if other.node != me.0 => {
                tracing::warn!(
                    address,
                    found = other.node,
                    "another node answers at this node's address for peers"
                );
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(status) => {
                let error = status.message();
                tracing::warn!(
                    address,
                    error,
                    "this node was not reached at its own address for peers"
                );
                Ok(())
            }
        }
    }

    fn belongs(&self) -> bool {
        !membership::members(&self.raft).is_empty()
    }

    /// Asks something of each member; all that went wrong is told at once.
    async fn of_each<'a, T, F>(
        &'a self,
        members: &'a Members,
        ask: impl Fn(NodeId, &'a str) -> F,
    ) -> Result<Vec<T>, InitError>
    where
        F: Future<Output = Result<T, String>>,
    {
        let asked = members.iter().map(|(node, addresses)| {
            let answer = ask(*node, &addresses.peer);
            async move {
                answer.await.map_err(|why| Unfit {
                    node: *node,
                    address: addresses.peer.clone(),
                    why,
                })
            }
        });
        let (mut answers, mut unfit) = (Vec::new(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(why) => unfit.push(why),
            }
        }
        if unfit.is_empty() {
            Ok(answers)
        } else {
            Err(InitError::Unfit(unfit))
        }
    }

    async fn introduced(
        &self,
        node: NodeId,
        address: &str,
        until: Instant,
    ) -> Result<proto::Introduction, String> {
        loop {
            match self.introduce(node, address).await {
                Ok(introduction) => return Ok(introduction),
                Err(status) if status.code() == Code::Unimplemented => {
                    return Err(
                        "answers, but not as a node answers its peers: give its address for peers".to_owned(),
                    );
                }
                Err(_) if Instant::now() + PAUSE < until => sleep(PAUSE).await,
                Err(status) => {
                    return Err(format!(
                        "does not answer ({}): start it, or correct its address for peers",
                        status.message()
                    ));
                }
            }
        }
    }

    async fn introduce(&self, node: NodeId, address: &str) -> Result<proto::Introduction, Status> {
        let mut client = self.peers.client(node, address, Lane::Door)?;
        let asking = client.introduce(self.peers.request(node, proto::IntroduceRequest {}));
        in_time(asking).await
    }

    async fn ask_to_found(&self, node: NodeId, address: &str, members: &Members) -> Result<(), Status> {
        let mut client = self.peers.client(node, address, Lane::Door)?;
        let members = members.iter();
        let request = proto::FoundRequest {
            members: members
                .map(|(node, addresses)| wire::member_to(node.0, addresses))
                .collect(),
        };
        let asking = client.found(self.peers.request(node, request));
        in_time(asking).await.map(|proto::FoundResponse {}| ())
    }

    /// Whether who answered at a member's address can be that member.
    fn judge(
        &self,
        wanted: NodeId,
        found: &proto::Introduction,
        members: &Members,
    ) -> Result<Standing, String> {
        if found.node != wanted.0 {
            return Err(format!(
                "is node {}: correct the number or the address",
                found.node
            ));
        }
        if wanted == self.peers.me() && found.run != run(self.peers.start().run) {
            return Err(format!(
                "is another process of this id (start {}): one of them runs on a copy of a data directory, stop it",
                found.boot
            ));
        }
        let theirs: Members = found
            .members
            .iter()
            .cloned()
            .map(wire::member_from)
            .map(|(node, addresses)| (NodeId(node), addresses))
            .collect();
        if theirs.is_empty() && found.cluster.is_none() {
            return Ok(Standing::Free);
        }
        if theirs == *members {
            return Ok(Standing::Formed);
        }
        let theirs: Vec<_> = theirs.into_iter().collect();
        Err(belongs(found.cluster.clone(), &theirs))
    }

    /// The others have formed this cluster; its leader will tell this node, too.
    async fn hear_from_the_cluster(&self) -> Result<(), InitError> {
        let until = Instant::now() + HEAR;
        let heard = async {
            while !self.belongs() {
                sleep(PAUSE).await;
            }
        };
        timeout_at(until, heard).await.map_err(|_| {
            InitError::Unfinished(
                "the other members have formed it, but this node has not heard from it".to_owned(),
            )
        })
    }
}

async fn in_time<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    match timeout(ANSWER, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "no answer within {} ms",
            ANSWER.as_millis()
        ))),
    }
}

fn run(run: u128) -> Bytes {
    Bytes::copy_from_slice(&run.to_be_bytes())
}

fn belongs(cluster: Option<String>, members: &[(NodeId, NodeAddresses)]) -> String {
    let cluster = cluster.unwrap_or_else(|| "without a name yet".to_owned());
    format!(
        "belongs to cluster {cluster} of {} already: list a node that belongs to none, or start it on an empty \
         directory if that cluster is not wanted",
        names(members.iter().map(|(node, _)| node))
    )
}

fn names<'a>(nodes: impl Iterator<Item = &'a NodeId>) -> String {
    let names: Vec<String> = nodes.map(|node| format!("node {node}")).collect();
    names.join(", ")
}
