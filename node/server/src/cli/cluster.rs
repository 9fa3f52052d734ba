//! `pushrail cluster`.

use clap::{Args, Subcommand};
use pushrail_api::v1::{
    ClusterStatusRequest, ClusterStatusResponse, InitClusterRequest, Member, MemberAddresses,
};
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::reach::Reach;
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::table::{pairs, table};
use crate::cli::thing::{Reflected, index};
use crate::cli::{json as to_json, times};

/// The nodes.
#[derive(Debug, Args)]
pub struct Noun {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Form the cluster, once, of nodes that all run; a repeat changes nothing
    Init {
        /// A member: NODE=PEER,CLIENT,HTTP, each host:port as `serve` listens; one flag for each
        #[arg(long = "member", value_name = "NODE=PEER,CLIENT,HTTP", required = true, value_parser = member)]
        members: Vec<MemberAddresses>,
    },
    /// Show who leads, who follows, and what each owns
    Status,
}

fn member(text: &str) -> Result<MemberAddresses, String> {
    let wrong = || "NODE=PEER,CLIENT,HTTP, such as 1=127.0.0.1:7401,127.0.0.1:7400,127.0.0.1:7402".to_owned();
    let (node, addresses) = text.split_once('=').ok_or_else(wrong)?;
    let node: u64 = node.trim().parse().map_err(|_| wrong())?;
    let addresses: Vec<&str> = addresses.split(',').map(str::trim).collect();
    let [peer, client, http] = addresses.as_slice() else {
        return Err(wrong());
    };
    if node == 0 || addresses.iter().any(|address| !address.contains(':')) {
        return Err(wrong());
    }
    Ok(MemberAddresses {
        node,
        peer: (*peer).to_owned(),
        client: (*client).to_owned(),
        http: (*http).to_owned(),
    })
}

pub(super) async fn run(session: &mut Session, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Init { members } => {
            let count = members.len();
            let answer = session.client.init_cluster(InitClusterRequest { members }).await;
            let answer = answer.trying(|| format!("form a cluster of {count}"))?;
            session.show(&Shown {
                text: pairs(&[
                    ("cluster", answer.cluster.clone()),
                    ("members", count.to_string()),
                ]),
                json: json!({ "cluster": answer.cluster, "token": answer.token, "token_index": index(&answer.token) }),
                names: vec![answer.cluster.clone()],
            })
        }
        Verb::Status => {
            let answer = session.client.cluster_status(ClusterStatusRequest {}).await;
            let status = answer.trying(|| "see how the cluster stands".to_owned())?;
            session.show(&Shown {
                text: details(&status),
                json: to_json::cluster(&status),
                names: status
                    .members
                    .iter()
                    .map(|member| node(member).to_string())
                    .collect(),
            })?;
            session.reflects(&Reflected::new(&status.applied, status.age));
            Ok(())
        }
    }
}

fn node(member: &Member) -> u64 {
    member.addresses.as_ref().map_or(0, |addresses| addresses.node)
}

fn details(status: &ClusterStatusResponse) -> String {
    if status.cluster.is_empty() && status.members.is_empty() {
        return format!(
            "node {} runs, and belongs to no cluster yet: pushrail cluster init --help\n",
            status.answering_node
        );
    }
    let leader = match status.leader_node {
        0 => "none known".to_owned(),
        node => format!("node {node}"),
    };
    let mut text = pairs(&[
        ("cluster", status.cluster.clone()),
        ("leader", format!("{leader}, term {}", status.term)),
        ("committed", format!("index {}", status.committed_index)),
        ("unowned", format!("{} of 1024 shards", status.shards_unowned)),
        ("answered by", format!("node {}", status.answering_node)),
    ]);
    if status.members.iter().all(|member| member.live.is_none()) {
        text.push_str(&format!(
            "\nno leader answered with a majority behind it: this is what node {} knows by itself\n",
            status.answering_node
        ));
    }
    if !status.clocks_apart.is_empty() {
        text.push_str(&format!("\nnothing is accepted: {}\n", status.clocks_apart));
    }
    text.push('\n');
    let length = |length| times::length_of(length).map_or_else(|| "-".to_owned(), times::length);
    let rows = status.members.iter().map(|member| {
        let addresses = member.addresses.clone().unwrap_or_default();
        let role = if member.leader { "leader" } else { "follower" };
        // Of a member that was never heard from, nothing is known; of itself, a node knows without asking.
        let heard = member.last_seen.is_some() || addresses.node == status.answering_node;
        let known = |figure: u64| if heard { figure.to_string() } else { "-".to_owned() };
        let live = match member.live {
            Some(true) => "live",
            Some(false) => "silent",
            None => "?",
        };
        vec![
            addresses.node.to_string(),
            role.to_owned(),
            live.to_owned(),
            length(member.last_seen),
            member.clock_ahead.map_or_else(|| "-".to_owned(), times::signed),
            known(member.applied_index),
            known(member.lag_entries),
            length(member.lease_remaining),
            member.shards_owned.to_string(),
            if member.last_seen.is_some() {
                member.queue_depth.to_string()
            } else {
                "-".to_owned()
            },
            length(member.oldest_due_age),
            addresses.client,
            addresses.peer,
            addresses.http,
        ]
    });
    let heads = [
        "node",
        "role",
        "state",
        "seen",
        "clock",
        "applied",
        "lag",
        "lease",
        "shards",
        "queued",
        "oldest due",
        "client",
        "peer",
        "http",
    ];
    text.push_str(&table(&heads, rows));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_number_and_three_addresses() {
        let parsed = member("2=10.0.0.2:7401,10.0.0.2:7400,10.0.0.2:7402").unwrap();

        assert_eq!(parsed.node, 2);
        assert_eq!(parsed.peer, "10.0.0.2:7401");
        assert_eq!(parsed.client, "10.0.0.2:7400");
        assert_eq!(parsed.http, "10.0.0.2:7402");
        for wrong in ["", "1", "x=a:1,b:2,c:3", "0=a:1,b:2,c:3", "1=a:1,b:2", "1=a,b,c"] {
            assert!(member(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_status_of_three_nodes_is_a_table() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let status = ClusterStatusResponse {
            cluster: "00ff".to_owned(),
            leader_node: 1,
            term: 4,
            committed_index: 120,
            answering_node: 2,
            members: vec![
                Member {
                    addresses: Some(member("1=h:1,h:2,h:3").unwrap()),
                    leader: true,
                    live: Some(true),
                    applied_index: 120,
                    shards_owned: 1024,
                    queue_depth: 7,
                    lease_remaining: seconds(2),
                    last_seen: seconds(0),
                    oldest_due_age: seconds(63),
                    clock_ahead: seconds(0),
                    ..Member::default()
                },
                Member {
                    addresses: Some(member("2=i:1,i:2,i:3").unwrap()),
                    live: Some(false),
                    last_seen: seconds(9),
                    applied_index: 100,
                    lag_entries: 20,
                    clock_ahead: seconds(-3600),
                    ..Member::default()
                },
            ],
            clocks_apart: "the clocks of the nodes differ".to_owned(),
            ..ClusterStatusResponse::default()
        };

        assert_eq!(
            details(&status),
            "\
cluster      00ff
leader       node 1, term 4
committed    index 120
unowned      0 of 1024 shards
answered by  node 2

nothing is accepted: the clocks of the nodes differ

NODE  ROLE      STATE   SEEN   CLOCK  APPLIED  LAG  LEASE  SHARDS  QUEUED  OLDEST DUE  CLIENT  PEER  HTTP
1     leader    live    0 ms   0 ms   120      0    2.0 s  1024    7       1 m 3 s     h:2     h:1   h:3
2     follower  silent  9.0 s  -1 h   100      20   -      0       0       -           i:2     i:1   i:3
"
        );
    }
}
