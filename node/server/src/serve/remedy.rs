//! What to do where a node cannot start; beside the error, which says what was tried and what was wrong.

use std::io::{self, ErrorKind};

use pushrail_raft::error::StartError;

use crate::serve::ServeError;

/// What to do.
pub(super) fn remedy(error: &ServeError) -> String {
    match error {
        ServeError::Listen { key, source, .. } => listen(key, source),
        ServeError::Replica(StartError::Listen { source, .. }) => listen("peer_listen", source),
        ServeError::Replica(StartError::Directory { source, .. })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            "let the user that runs the node write there, or set data_dir to a directory of its own".to_owned()
        }
        ServeError::Replica(StartError::Directory { source, .. }) if is_of_the_disk(source) => DISK.to_owned(),
        ServeError::Replica(StartError::Directory { .. } | StartError::Refused { .. }) => {
            "set data_dir to this node's own directory: an empty one for a new node, what it had for an old one"
                .to_owned()
        }
        ServeError::Replica(StartError::Damaged { .. }) => {
            "do what the error says; the other nodes go on meanwhile, and nothing of data_dir is changed".to_owned()
        }
        ServeError::Replica(StartError::State(_) | StartError::Log(_)) => DISK.to_owned(),
        ServeError::Replica(StartError::Setting(_)) => {
            "correct it, and ask `pushrail config check` with the same flags".to_owned()
        }
        ServeError::Replica(StartError::Core(_)) => {
            "the lines of the log before this one say what it met".to_owned()
        }
        ServeError::Keyring(_) => {
            "let credentials.keys_file name a file with one ID:KEY a line, readable for the user that runs the node"
                .to_owned()
        }
        ServeError::Egress(_) => {
            "let the file hold what it must, readable for the user that runs the node, or name another".to_owned()
        }
        ServeError::Net(_) => {
            "correct delivery.allowed_networks, or what egress.ca_file holds: `pushrail config print` shows both".to_owned()
        }
        ServeError::Delivery(_) => {
            "look whether this machine has memory, threads and open files left (`ulimit -a`)".to_owned()
        }
    }
}

const DISK: &str = "look whether the disk is full or failing; remove nothing from data_dir";

/// Whether another directory would be no cure.
fn is_of_the_disk(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

fn listen(key: &str, source: &io::Error) -> String {
    let kind = source.kind();
    if kind == ErrorKind::AddrInUse {
        format!("another process listens there, perhaps this node already: end it, or set another {key}")
    } else if kind == ErrorKind::AddrNotAvailable {
        format!(
            "this machine has no such address: set {key} to one of its own, and what others dial to {}",
            advertised(key)
        )
    } else if kind == ErrorKind::PermissionDenied {
        format!("set {key} to a port above 1023, or allow the process to take lower ones")
    } else {
        format!("set {key} to an address of this machine and a free port")
    }
}

fn advertised(key: &str) -> &'static str {
    match key {
        "peer_listen" => "peer_advertise",
        "http_listen" => "http_advertise",
        _ => "advertise",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_cannot_listen_is_told_which_key_to_set() {
        let of = |kind: ErrorKind| {
            remedy(&ServeError::Listen {
                key: "http_listen",
                address: ([127, 0, 0, 1], 7402).into(),
                source: kind.into(),
            })
        };

        assert!(of(ErrorKind::AddrInUse).contains("another http_listen"));
        assert!(of(ErrorKind::AddrNotAvailable).contains("http_advertise"));
        assert!(of(ErrorKind::PermissionDenied).contains("1023"));
    }

    #[test]
    fn whoever_has_a_full_disk_is_not_told_to_take_an_empty_directory() {
        let of = |kind: ErrorKind| {
            remedy(&ServeError::Replica(StartError::Directory {
                path: "/data".into(),
                source: kind.into(),
            }))
        };

        assert_eq!(of(ErrorKind::StorageFull), DISK);
        assert!(of(ErrorKind::PermissionDenied).contains("let the user"));
        assert!(of(ErrorKind::NotADirectory).contains("set data_dir"));
    }
}
