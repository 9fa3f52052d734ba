//! How a call comes to nothing: who was tried, what each said, and whether a write may have happened all the same.

use std::fmt;

use tonic::Status;

use crate::failure::Accepted;

/// A try that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which node.
    pub address: String,
    /// What came of it.
    pub why: String,
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.why)
    }
}

/// Why a call that went out has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection broke.
    Connection,
    /// Time was over.
    Time,
}

/// A call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody to ask.
    #[error("no address of a node was given")]
    NoAddress,
    /// An address cannot be one.
    #[error("`{address}` is not the address of a node, such as 127.0.0.1:7400: {why}")]
    BadAddress {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The request is larger than any node takes: nothing was sent.
    #[error("the request has {bytes} bytes; a node takes {bytes_max} at most")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// No node could be connected to: certainly nothing was sent.
    #[error("no node can be reached ({})", trail(tried))]
    Unreachable {
        /// In order.
        tried: Vec<Try>,
    },
    /// The call went out, and no node answered.
    #[error("no answer came ({})", trail(tried))]
    Unanswered {
        /// What became of the last try that went out.
        lost: Lost,
        /// Whether a write may have happened; `None` for a read.
        accepted: Option<Accepted>,
        /// In order.
        tried: Vec<Try>,
    },
    /// A node's answer.
    #[error("{address}: {}", status.message())]
    Refused {
        /// Which node.
        address: String,
        /// What it said; read it with [`crate::failure`].
        status: Box<Status>,
        /// Whether a write may have happened, by this try or one of the others; `None` for a read.
        accepted: Option<Accepted>,
        /// The other tries.
        tried: Vec<Try>,
    },
}

impl ClientError {
    /// The node's answer, where one came.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            Self::NoAddress
            | Self::BadAddress { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. }
            | Self::Unanswered { .. } => None,
        }
    }

    /// The tries that came to nothing, but for the one whose answer this is.
    pub fn tried(&self) -> &[Try] {
        match self {
            Self::Refused { tried, .. } | Self::Unanswered { tried, .. } | Self::Unreachable { tried } => {
                tried
            }
            Self::NoAddress | Self::BadAddress { .. } | Self::TooLarge { .. } => &[],
        }
    }

    /// Whether a write may have happened; `None` for a read.
    pub fn accepted(&self) -> Option<Accepted> {
        match self {
            Self::Refused { accepted, .. } | Self::Unanswered { accepted, .. } => *accepted,
            Self::NoAddress | Self::BadAddress { .. } | Self::TooLarge { .. } | Self::Unreachable { .. } => {
                Some(Accepted::No)
            }
        }
    }

    /// Whether what was asked certainly did not happen.
    pub fn certainly_not_accepted(&self) -> bool {
        self.accepted() == Some(Accepted::No)
    }
}

fn trail(tried: &[Try]) -> String {
    let all: Vec<String> = tried.iter().map(ToString::to_string).collect();
    all.join("; ")
}
