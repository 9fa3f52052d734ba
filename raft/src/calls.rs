//! What the core asks its peers, and what they answer, as messages: entries to append, votes, a leadership handed over.

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::types::TypeConfig;
use crate::wire::{
    WireError, entry_from, entry_to, log_id_from, log_id_to, maybe_log_id_from, maybe_log_id_to, missing,
    proto, vote_from, vote_to,
};

/// Entries to append, as a message under a heartbeat's sequence (0 outside heartbeats).
pub(crate) fn append_to(request: &AppendEntriesRequest<TypeConfig>, sequence: u64) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: Some(vote_to(&request.vote)),
        previous: maybe_log_id_to(request.prev_log_id.as_ref()),
        entries: request.entries.iter().map(entry_to).collect(),
        committed: maybe_log_id_to(request.leader_commit.as_ref()),
        sequence,
    }
}

/// Entries to append, from a message.
pub(crate) fn append_from(
    request: proto::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, WireError> {
    Ok(AppendEntriesRequest {
        vote: vote_from(request.vote.ok_or(missing("append vote"))?),
        prev_log_id: maybe_log_id_from(request.previous),
        entries: request
            .entries
            .into_iter()
            .map(entry_from)
            .collect::<Result<_, _>>()?,
        leader_commit: maybe_log_id_from(request.committed),
    })
}

/// What came of an append, as a message.
pub(crate) fn appended_to(result: &StreamAppendResult<TypeConfig>, sequence: u64) -> proto::AppendResponse {
    use proto::append_response::Outcome;
    let outcome = match result {
        Ok(matched) => Outcome::Matched(proto::Matched {
            log_id: maybe_log_id_to(matched.as_ref()),
        }),
        Err(StreamAppendError::Conflict(id)) => Outcome::Conflict(log_id_to(id)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote_to(vote)),
    };
    proto::AppendResponse {
        sequence,
        outcome: Some(outcome),
    }
}

/// What came of an append, from a message.
pub(crate) fn appended_from(
    response: proto::AppendResponse,
) -> Result<StreamAppendResult<TypeConfig>, WireError> {
    use proto::append_response::Outcome;
    Ok(match response.outcome.ok_or(missing("append outcome"))? {
        Outcome::Matched(matched) => Ok(maybe_log_id_from(matched.log_id)),
        Outcome::Conflict(id) => Err(StreamAppendError::Conflict(log_id_from(id))),
        Outcome::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_from(vote))),
    })
}

/// A request for a vote, as a message.
pub(crate) fn vote_request_to(request: &VoteRequest<TypeConfig>) -> proto::VoteRequest {
    proto::VoteRequest {
        vote: Some(vote_to(&request.vote)),
        last: maybe_log_id_to(request.last_log_id.as_ref()),
        leadership_transfer: request.leadership_transfer,
    }
}

/// A request for a vote, from a message.
pub(crate) fn vote_request_from(request: proto::VoteRequest) -> Result<VoteRequest<TypeConfig>, WireError> {
    Ok(VoteRequest {
        vote: vote_from(request.vote.ok_or(missing("vote request"))?),
        last_log_id: maybe_log_id_from(request.last),
        leadership_transfer: request.leadership_transfer,
    })
}

/// The answer to a request for a vote, as a message.
pub(crate) fn vote_response_to(response: &VoteResponse<TypeConfig>) -> proto::VoteResponse {
    proto::VoteResponse {
        vote: Some(vote_to(&response.vote)),
        granted: response.vote_granted,
        last: maybe_log_id_to(response.last_log_id.as_ref()),
    }
}

/// The answer to a request for a vote, from a message.
pub(crate) fn vote_response_from(
    response: proto::VoteResponse,
) -> Result<VoteResponse<TypeConfig>, WireError> {
    Ok(VoteResponse {
        vote: vote_from(response.vote.ok_or(missing("vote response"))?),
        vote_granted: response.granted,
        last_log_id: maybe_log_id_from(response.last),
    })
}

/// A leadership handed over, as a message.
pub(crate) fn transfer_to(request: &TransferLeaderRequest<TypeConfig>) -> proto::TransferLeaderRequest {
    proto::TransferLeaderRequest {
        from: Some(vote_to(request.from_leader())),
        to: *request.to_node_id(),
        last: maybe_log_id_to(request.last_log_id()),
    }
}

/// A leadership handed over, from a message.
pub(crate) fn transfer_from(
    request: proto::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, WireError> {
    Ok(TransferLeaderRequest::new(
        vote_from(request.from.ok_or(missing("transfer vote"))?),
        request.to,
        maybe_log_id_from(request.last),
    ))
}

/// What came of handing the leadership over, as a message.
pub(crate) fn transferred_to(response: &TransferLeaderResponse<TypeConfig>) -> proto::TransferLeaderResponse {
    use proto::transfer_leader_response::Refusal;
    let refusal = match response {
        Ok(()) => None,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Some(Refusal::VoteChanged(proto::VoteChanged {
                expected: Some(vote_to(expected)),
                actual: Some(vote_to(actual)),
            }))
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Some(Refusal::LogNotFlushed(proto::LogNotFlushed {
                expected: maybe_log_id_to(expected.as_ref()),
                actual: maybe_log_id_to(actual.as_ref()),
            }))
        }
    };
    proto::TransferLeaderResponse { refusal }
}

/// What came of handing the leadership over, from a message.
pub(crate) fn transferred_from(
    response: proto::TransferLeaderResponse,
) -> Result<TransferLeaderResponse<TypeConfig>, WireError> {
    use proto::transfer_leader_response::Refusal;
    Ok(match response.refusal {
        None => Ok(()),
        Some(Refusal::VoteChanged(votes)) => Err(TransferLeaderError::VoteChanged {
            expected: vote_from(votes.expected.ok_or(missing("expected vote"))?),
            actual: vote_from(votes.actual.ok_or(missing("actual vote"))?),
        }),
        Some(Refusal::LogNotFlushed(ids)) => Err(TransferLeaderError::LogNotFlushed {
            expected: maybe_log_id_from(ids.expected),
            actual: maybe_log_id_from(ids.actual),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LeaderId, LogId, Vote};

    #[test]
    fn an_append_keeps_the_difference_between_nothing_and_index_zero() {
        let first = LogId {
            leader_id: LeaderId { term: 7, node_id: 2 },
            index: 0,
        };
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new_committed(7, 2),
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: Some(first),
        };

        let back = append_from(append_to(&request, 5)).unwrap();

        assert_eq!(back.prev_log_id, None);
        assert_eq!(back.leader_commit, Some(first));
        assert_eq!(back.vote, request.vote);
    }

    #[test]
    fn what_a_peer_leaves_out_is_an_error_and_not_a_panic() {
        assert!(append_from(proto::AppendRequest::default()).is_err());
        assert!(appended_from(proto::AppendResponse::default()).is_err());
        assert!(vote_request_from(proto::VoteRequest::default()).is_err());
    }
}
