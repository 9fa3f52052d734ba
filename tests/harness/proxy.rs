//! The network between the nodes: every node is reached through a proxy of its own, which finds out *who* is
//! calling (the kernel knows which process holds the other end of a loopback connection), so that a link can be
//! cut between two nodes in either direction. A cut link loses nothing and answers nothing, as a cable that was
//! pulled: bytes rest until it is restored.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::Port;
use crate::sockets::process_at;

/// Number of a node.
type Id = u64;

/// Who is cut off from whom, and which process is which node.
#[derive(Default)]
struct Plan {
    cut: HashSet<(Id, Id)>,
    pids: HashMap<u32, Id>,
}

/// All links of one cluster.
pub struct Network {
    plan: Arc<Mutex<Plan>>,
    changed: watch::Sender<u64>,
    proxies: Vec<Proxy>,
}

struct Proxy {
    port: Port,
    node: Id,
    _task: AbortOnDropHandle<()>,
}

impl Network {
    /// One proxy in front of each node's peer address.
    pub async fn before(nodes: &[(Id, SocketAddr)]) -> Self {
        let plan = Arc::new(Mutex::new(Plan::default()));
        let changed = watch::Sender::new(0);
        let mut proxies = Vec::new();
        for &(node, behind) in nodes {
            let port = Port::reserve();
            let listener = TcpListener::bind(port.address())
                .await
                .expect("the reserved port is free");
            let links = Links {
                to: node,
                behind,
                plan: Arc::clone(&plan),
                changed: changed.subscribe(),
            };
            let task = AbortOnDropHandle::new(tokio::spawn(links.serve(listener)));
            proxies.push(Proxy {
                port,
                node,
                _task: task,
            });
        }
        Self {
            plan,
            changed,
            proxies,
        }
    }

    /// Where the others reach a node.
    pub fn address(&self, node: Id) -> SocketAddr {
        let proxy = self.proxies.iter().find(|proxy| proxy.node == node);
        proxy.expect("a node of this network").port.address()
    }

    /// Says which process a node is; again after every start.
    pub fn is(&self, node: Id, pid: u32) {
        self.change(|plan| {
            plan.pids.retain(|_, id| *id != node);
            plan.pids.insert(pid, node);
        });
    }

    /// Cuts a node off from all others, in both directions.
    pub fn isolate(&self, node: Id) {
        let others: Vec<Id> = self
            .proxies
            .iter()
            .map(|proxy| proxy.node)
            .filter(|id| *id != node)
            .collect();
        self.change(|plan| {
            for other in others {
                plan.cut.insert((node, other));
                plan.cut.insert((other, node));
            }
        });
    }

    /// Cuts one direction: nothing that `from` begins reaches `to`, nor comes an answer back.
    pub fn cut(&self, from: Id, to: Id) {
        self.change(|plan| {
            plan.cut.insert((from, to));
        });
    }

    /// Restores every link.
    pub fn heal(&self) {
        self.change(|plan| plan.cut.clear());
    }

    fn change(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|revision| *revision += 1);
    }
}

#[derive(Clone)]
struct Links {
    to: Id,
    behind: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    changed: watch::Receiver<u64>,
}

impl Links {
    async fn serve(self, listener: TcpListener) {
        let mut open = Vec::new();
        loop {
            let Ok((stream, caller)) = listener.accept().await else {
                continue;
            };
            open.retain(|link: &AbortOnDropHandle<()>| !link.is_finished());
            open.push(AbortOnDropHandle::new(tokio::spawn(
                self.clone().carry(stream, caller),
            )));
        }
    }

    async fn carry(mut self, near: TcpStream, caller: SocketAddr) {
        // Off the runtime: all of /proc is read, and other links would wait for it.
        let Ok(here) = near.local_addr() else {
            return;
        };
        let Ok(from) = tokio::task::spawn_blocking(move || process_at(caller, here)).await else {
            return;
        };
        self.open(from).await;
        // A node that is down refuses; so does its proxy then, by hanging up.
        let Ok(far) = TcpStream::connect(self.behind).await else {
            return;
        };
        if near
            .set_nodelay(true)
            .and_then(|()| far.set_nodelay(true))
            .is_err()
        {
            return;
        }
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let mut back = self.clone();
        tokio::select! {
            () = self.pump(from, near_read, far_write) => {}
            () = back.pump(from, far_read, near_write) => {}
        }
    }

    async fn pump(&mut self, from: Option<u32>, mut read: OwnedReadHalf, mut write: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(count @ 1..) = read.read(&mut buffer).await else {
                return;
            };
            self.open(from).await;
            if write.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the link is not cut. Which node a process is may become known only after it has called.
    async fn open(&mut self, from: Option<u32>) {
        let (plan, to) = (Arc::clone(&self.plan), self.to);
        let cut = || {
            let plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let from = from.and_then(|pid| plan.pids.get(&pid));
            from.is_some_and(|from| plan.cut.contains(&(*from, to)))
        };
        // The sender lives as long as the network; when it is gone, so is the wait.
        drop(self.changed.wait_for(|_| !cut()).await);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually::{eventually, throughout};

    /// Answers each byte with the same byte.
    async fn echo(listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    }

    #[tokio::test]
    async fn a_cut_link_carries_nothing_and_loses_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Network::before(&[(1, listener.local_addr().unwrap())]).await;
        tokio::spawn(echo(listener));
        network.is(2, std::process::id());
        let mut stream = TcpStream::connect(network.address(1)).await.unwrap();
        let mut answer = [0; 1];
        stream.write_all(b"a").await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"a");

        network.cut(2, 1);
        stream.write_all(b"b").await.unwrap();
        let mut second = TcpStream::connect(network.address(1)).await.unwrap();
        second.write_all(b"c").await.unwrap();
        throughout("nothing comes through", Duration::from_millis(200), || async {
            let mut peeked = [0; 1];
            match stream
                .try_read(&mut peeked)
                .or_else(|_| second.try_read(&mut peeked))
            {
                Ok(count) => Err(format!("{count} bytes came")),
                Err(_) => Ok(()),
            }
        })
        .await;
        network.heal();

        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"b");
        second.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"c");
    }

    #[tokio::test]
    async fn another_s_link_is_not_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Network::before(&[(1, listener.local_addr().unwrap())]).await;
        tokio::spawn(echo(listener));
        network.is(3, std::process::id());

        network.cut(2, 1);

        let mut stream = TcpStream::connect(network.address(1)).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        eventually("it comes through", Duration::from_secs(10), || async {
            let mut peeked = [0; 1];
            stream
                .try_read(&mut peeked)
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .await;
    }
}
