//! Where a sandbox lies: its directory, which goes with it unless it is to be kept, and its ports. A cluster's members
//! know each other by their addresses, so that a kept sandbox comes back on the ports that it had.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::sandbox::SandboxError;

/// How many nodes.
pub(super) const NODES: usize = 3;
/// The note in a kept directory.
const NOTE: &str = "sandbox.json";
/// Below the ports that systems give to outgoing connections: none is taken between being chosen and being used.
const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 18_000;

/// A node's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodePorts {
    pub(super) client: u16,
    pub(super) peer: u16,
    pub(super) http: u16,
}

/// All ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) page: u16,
    pub(super) nodes: [NodePorts; NODES],
}

/// A directory and its ports.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) ports: Ports,
    // `None`: it is kept.
    temporary: Option<TempDir>,
}

impl Place {
    /// A new one, that goes when it is removed.
    pub(super) fn temporary() -> Result<Self, SandboxError> {
        let made = tempfile::Builder::new().prefix("pushrail-sandbox-").tempdir();
        let directory = made.map_err(|source| SandboxError::Directory {
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self {
            path: directory.path().to_owned(),
            ports: free()?,
            temporary: Some(directory),
        })
    }

    /// One that stays: a new one, or what an earlier sandbox left.
    pub(super) fn kept(path: &Path) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Directory {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let note = path.join(NOTE);
        let ports = match fs::read(&note) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(io::Error::other(error)))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(path).map_err(failed)?.next().is_some() {
                    return Err(SandboxError::Foreign {
                        path: path.to_owned(),
                    });
                }
                let ports = free()?;
                let text = serde_json::to_vec(&ports).map_err(|error| failed(io::Error::other(error)))?;
                fs::write(&note, text).map_err(failed)?;
                ports
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            ports,
            temporary: None,
        })
    }

    /// Whether it stays.
    pub(super) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// Where a node's data lies.
    pub(super) fn data_dir(&self, node: usize) -> PathBuf {
        self.path.join(format!("node-{node}"))
    }

    /// Removes what is not to be kept.
    pub(super) fn leave(self) -> Result<(), SandboxError> {
        let path = self.path;
        match self.temporary {
            None => Ok(()),
            Some(directory) => directory
                .close()
                .map_err(|source| SandboxError::Directory { path, source }),
        }
    }
}

/// A port of loopback.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn free() -> Result<Ports, SandboxError> {
    let mut held: Vec<TcpListener> = Vec::new();
    let mut next = || -> Result<u16, SandboxError> {
        let width = LAST_PORT - FIRST_PORT;
        let start = rand::random_range(0..width);
        for step in 0..width {
            let port = FIRST_PORT + (start + step) % width;
            // Held until all are found, so that none is found twice.
            if let Ok(listener) = TcpListener::bind(loopback(port)) {
                held.push(listener);
                return Ok(port);
            }
        }
        Err(SandboxError::NoPort)
    };
    let page = next()?;
    let mut node = || -> Result<NodePorts, SandboxError> {
        Ok(NodePorts {
            client: next()?,
            peer: next()?,
            http: next()?,
        })
    };
    let nodes = [node()?, node()?, node()?];
    Ok(Ports { page, nodes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_place_is_found_again_with_its_ports() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept");

        let first = Place::kept(&path).unwrap();
        let ports = first.ports.clone();
        first.leave().unwrap();

        assert_eq!(Place::kept(&path).unwrap().ports, ports);
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();

        let refused = Place::kept(directory.path()).unwrap_err();

        assert!(refused.to_string().contains("empty"), "{refused}");
    }

    #[test]
    fn a_temporary_place_is_gone_when_it_is_left() {
        let place = Place::temporary().unwrap();
        let path = place.path.clone();
        fs::write(path.join("file"), "").unwrap();

        place.leave().unwrap();

        assert!(!path.exists());
    }
}
