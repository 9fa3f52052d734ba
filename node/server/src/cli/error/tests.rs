//! Errors as people read them.

use std::collections::HashMap;

use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

#[test]
fn an_error_says_what_was_tried_what_is_wrong_and_what_helps() {
    let details = ErrorDetails::with_error_info("TENANT_NOT_FOUND", failure::DOMAIN, HashMap::new());
    let status = Status::with_error_details(Code::NotFound, "there is no tenant `acme`", details);
    let error = CliError::of(
        "publish order.paid",
        &ClientError::Refused {
            address: "127.0.0.1:7400".to_owned(),
            status: Box::new(status),
            accepted: None,
            tried: Vec::new(),
        },
    );

    assert_eq!(
        error.text(),
        "error: cannot publish order.paid: there is no tenant `acme`\n\
         \x20 answered by 127.0.0.1:7400\n\
         \x20 try: pushrail tenants list; pushrail tenants create <id>\n"
    );
    assert_eq!(error.exit(), Exit::NotFound);
}

#[test]
fn every_field_that_was_refused_is_named() {
    let mut details = ErrorDetails::with_bad_request_violation("event.payload", "larger than 262144 bytes");
    details.set_error_info("FIELD_INVALID", failure::DOMAIN, HashMap::new());
    let status = Status::with_error_details(Code::InvalidArgument, "a field is wrong", details);

    let error = CliError::of_status("publish", &status);

    assert!(
        error.text().contains("event.payload: larger than 262144 bytes"),
        "{}",
        error.text()
    );
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn tries_that_came_to_the_same_are_told_once() {
    let one = |address: &str, why: &str| Try {
        address: address.to_owned(),
        why: why.to_owned(),
    };

    let lines = told(&[
        one("a:1", "no"),
        one("b:1", "no"),
        one("a:1", "no"),
        one("c:1", "mute"),
    ]);

    assert_eq!(lines, ["a:1, b:1: no (3 tries)", "c:1: mute"]);
}

#[test]
fn a_silence_is_told_as_such_with_what_makes_a_repeat_harmless() {
    let silent = |lost, accepted| ClientError::Unanswered {
        lost,
        accepted,
        tried: vec![Try {
            address: "a:1".to_owned(),
            why: "it did not answer in time".to_owned(),
        }],
    };

    let write = CliError::of("pause it", &silent(Lost::Time, Some(Accepted::Unknown)))
        .repeating("--request-id", "req-1");
    let lost = CliError::of("pause it", &silent(Lost::Connection, Some(Accepted::Unknown)));
    let read = CliError::of("show it", &silent(Lost::Time, None)).repeating("--request-id", "req-1");

    assert_eq!(
        write.text(),
        "error: cannot pause it: no answer came in time\n\
         \x20 it is unknown whether it was accepted\n\
         \x20 a:1: it did not answer in time\n\
         \x20 try: the same command with --request-id req-1: what was accepted already is not done twice\n"
    );
    assert_eq!((write.exit(), lost.exit()), (Exit::TimeOut, Exit::Unavailable));
    assert!(
        lost.text().contains("it is unknown whether it was accepted"),
        "{}",
        lost.text()
    );
    assert!(!read.text().contains("accepted"), "{}", read.text());
}

#[test]
fn a_no_of_one_node_is_not_the_last_word_after_the_silence_of_another() {
    let metadata = HashMap::from([(failure::ACCEPTED.to_owned(), "no".to_owned())]);
    let details = ErrorDetails::with_error_info("NO_QUORUM", failure::DOMAIN, metadata);
    let message = "not accepted by a majority of the nodes (no leader is known)";
    let status = Status::with_error_details(Code::Unavailable, message, details);
    let tries = |why: &str| Try {
        address: "b:1".to_owned(),
        why: why.to_owned(),
    };

    let error = CliError::of(
        "pause it",
        &ClientError::Refused {
            address: "a:1".to_owned(),
            status: Box::new(status),
            accepted: Some(Accepted::Unknown),
            tried: vec![tries("it did not answer in time"), tries(message)],
        },
    );

    assert_eq!(
        error.text(),
        "error: cannot pause it: not accepted by a majority of the nodes (no leader is known)\n\
         \x20 of another try it is unknown whether it was accepted\n\
         \x20 b:1: it did not answer in time\n\
         \x20 answered by a:1\n\
         \x20 try: pushrail cluster status\n"
    );
}

#[test]
fn one_wrong_field_is_said_once() {
    let mut details = ErrorDetails::with_bad_request_violation("event.event_type", "an empty segment");
    details.set_error_info("FIELD_INVALID", failure::DOMAIN, HashMap::new());
    let message = "event.event_type: an empty segment";
    let status = Status::with_error_details(Code::InvalidArgument, message, details);

    let error = CliError::of_status("publish a..b", &status);

    assert_eq!(
        error.text(),
        "error: cannot publish a..b: event.event_type: an empty segment\n"
    );
}

#[test]
fn of_a_change_that_stands_nobody_hears_that_it_is_unknown_whether_it_was_accepted() {
    for (reason, message) in [
        (
            "FENCE_PENDING",
            "the change stands, but who delivers has not yet said that it follows: node 2",
        ),
        (
            "STATE_BEHIND",
            "the change was accepted and carried out, but could not be read back (cut off)",
        ),
    ] {
        let metadata = HashMap::from([(failure::ACCEPTED.to_owned(), "unknown".to_owned())]);
        let details = ErrorDetails::with_error_info(reason, failure::DOMAIN, metadata);
        let refused = ClientError::Refused {
            address: "a:1".to_owned(),
            status: Box::new(Status::with_error_details(Code::Unavailable, message, details)),
            accepted: Some(Accepted::Unknown),
            tried: Vec::new(),
        };

        let error = CliError::of("pause it", &refused).repeating("--request-id", "req-1");

        assert_eq!(
            error.text(),
            format!(
                "error: cannot pause it: {message}\n\
                 \x20 answered by a:1\n\
                 \x20 try: the same command with --request-id req-1: what was accepted already is not done twice\n"
            )
        );
    }
}

#[test]
fn the_kind_that_the_command_names_is_the_one_to_look_at() {
    let mut details = ErrorDetails::with_bad_request_violation("settings.url", "required");
    details.set_error_info("FIELD_INVALID", failure::DOMAIN, HashMap::new());
    let status = Status::with_error_details(Code::InvalidArgument, "settings.url: required", details);
    let refused = || CliError::of_status("create it", &status);

    assert_eq!(
        refused().help(),
        Some(&Help::Command("pushrail kinds show webhook".to_owned()))
    );
    assert_eq!(
        refused().of_kind("queue").help(),
        Some(&Help::Command("pushrail kinds show queue".to_owned()))
    );
    let other = CliError::failed("create it", "no").helping("pushrail cluster status");
    assert_eq!(
        other.of_kind("queue").help(),
        Some(&Help::Command("pushrail cluster status".to_owned()))
    );
}
