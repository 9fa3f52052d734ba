//! Requests beyond what a call takes. The transport refuses them before any service sees them, with a bare code; they
//! get a reason, as every other refusal does.

use std::collections::HashMap;

use axum::http::Response;
use pushrail_api::{Accepted, failure};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::services::reasons::REQUEST_TOO_LARGE;

/// The transport's refusal of a message by its length, in Pushrail's words; any other answer as it is.
pub(super) async fn explained<B: Default>(answer: Response<B>) -> Response<B> {
    match answer.extensions().get::<Status>() {
        // No service of ours answers with this code; the transport does, for this alone.
        Some(bare) if bare.code() == Code::OutOfRange => refusal(bare.message()).into_http(),
        _ => answer,
    }
}

fn refusal(said: &str) -> Status {
    let mut details = ErrorDetails::new();
    // It was never read, let alone carried out.
    let accepted = HashMap::from([(failure::ACCEPTED.to_owned(), Accepted::No.as_str().to_owned())]);
    details.set_error_info(REQUEST_TOO_LARGE.name, failure::DOMAIN, accepted);
    let said = said.strip_prefix("Error, ").unwrap_or(said);
    let words = format!("the request is larger than this call takes: {said}");
    Status::with_error_details(REQUEST_TOO_LARGE.code, words, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_beyond_its_length_is_refused_with_a_reason() {
        let bare = "Error, decoded message length too large: found 9 bytes, the limit is: 5 bytes";

        let answer = explained(Status::out_of_range(bare).into_http::<String>()).await;

        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "the request is larger than this call takes: decoded message length too large: found 9 bytes, the limit is: \
             5 bytes"
        );
        assert_eq!(failure::reason(&status).as_deref(), Some("REQUEST_TOO_LARGE"));
        assert_eq!(failure::accepted(&status), Some(Accepted::No));
    }

    #[tokio::test]
    async fn other_answers_stay_as_they_are() {
        let answer = explained(Status::not_found("no such tenant").into_http::<String>()).await;

        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no such tenant")
        );
    }
}
