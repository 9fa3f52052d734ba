//! `pushrail destinations test`: what went out, what came back, and what an attempt would have made of it.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use pushrail_api::v1::{TestDestinationRequest, TestDestinationResponse, TestHeader};
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::reach::{TenantFlag, text};
use crate::cli::session::{Session, Shown, Trying as _};
use crate::cli::{json as to_json, times, words};

/// How long a node may wait for a receiver, as its configuration allows, and a little more.
const ANSWER_TIME: Duration = Duration::from_secs(6 * 60);

/// A destination to test.
#[derive(Debug, Args)]
pub(in crate::cli) struct Trial {
    /// Its id
    #[arg(value_parser = text)]
    destination: String,
    #[command(flatten)]
    tenant: TenantFlag,
}

/// Sends the test event; ends with an error where an attempt would have failed, once all is shown.
pub(super) async fn run(session: &Session, trial: Trial) -> Result<(), CliError> {
    let tried = || format!("test destination {}", trial.destination);
    let request = TestDestinationRequest {
        tenant: trial.tenant.tenant.clone(),
        destination: trial.destination.clone(),
        consistency: None,
    };
    let client = session.client.waiting(ANSWER_TIME);
    let answer = client.test_destination(request).await.trying(tried)?;
    session.show(&Shown {
        text: in_words(&answer),
        json: as_json(&answer),
        names: vec![answer.event.clone()],
    })?;
    match &answer.failure {
        None => Ok(()),
        Some(failure) => Err(CliError::failed(tried(), failure.why.clone())),
    }
}

/// As on the wire: the request's lines with `>` before them, the answer's with `<`; then what it means.
fn in_words(answer: &TestDestinationResponse) -> String {
    let mut out = String::new();
    if let Some(request) = &answer.request {
        line(&mut out, '>', &format!("{} {}", request.method, request.url));
        headers(&mut out, '>', &request.headers);
        body(&mut out, '>', &request.body, false);
        out.push('\n');
    }
    if let Some(came) = &answer.answer {
        line(&mut out, '<', &format!("{} {}", came.protocol, came.status));
        headers(&mut out, '<', &came.headers);
        body(&mut out, '<', &came.excerpt, came.excerpt_cut);
        out.push('\n');
    }
    let verdict = match &answer.failure {
        None => "delivered".to_owned(),
        Some(failure) => format!(
            "{} failure, {}: {}",
            words::class(failure.class),
            words::plain(&words::cause(failure.cause)),
            failure.why
        ),
    };
    let took = times::length_of(answer.took)
        .map(times::length)
        .unwrap_or_default();
    let mut facts = vec![("class", verdict), ("took", took)];
    if let Some(asked) = times::length_of(answer.retry_after) {
        facts.push(("asked to wait", times::length(asked)));
    }
    for (name, value) in [("detail", &answer.detail), ("remote", &answer.remote)] {
        if !value.is_empty() {
            facts.push((name, value.clone()));
        }
    }
    facts.push(("sent by", format!("node {}", answer.node)));
    facts.push(("event", answer.event.clone()));
    out.push_str(&crate::cli::table::pairs(&facts));
    out
}

fn line(out: &mut String, mark: char, text: &str) {
    // Writing to a String cannot fail.
    writeln!(out, "{mark} {}", text.escape_debug()).ok();
}

fn headers(out: &mut String, mark: char, headers: &[TestHeader]) {
    for header in headers {
        line(out, mark, &format!("{}: {}", header.name, header.value));
    }
}

fn body(out: &mut String, mark: char, body: &[u8], cut: bool) {
    if body.is_empty() {
        return;
    }
    writeln!(out, "{mark}").ok();
    for text in String::from_utf8_lossy(body).lines() {
        writeln!(out, "{mark} {text}").ok();
    }
    if cut {
        writeln!(out, "{mark} …").ok();
    }
}

fn as_json(answer: &TestDestinationResponse) -> Value {
    let pairs = |headers: &[TestHeader]| -> Value {
        let headers = headers.iter();
        headers
            .map(|header| json!({ "name": header.name, "value": header.value }))
            .collect()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "node": answer.node,
        "event": answer.event,
        "request": answer.request.as_ref().map(|request| json!({
            "method": request.method,
            "url": request.url,
            "headers": pairs(&request.headers),
            "body": text(&request.body),
        })),
        "answer": answer.answer.as_ref().map(|came| json!({
            "protocol": came.protocol,
            "status": came.status,
            "headers": pairs(&came.headers),
            "excerpt": text(&came.excerpt),
            "excerpt_cut": came.excerpt_cut,
        })),
        "failure": answer.failure.as_ref().map(|failure| json!({
            "class": words::class(failure.class),
            "cause": words::cause(failure.cause),
            "why": failure.why,
        })),
        "detail": answer.detail,
        "took": to_json::length(answer.took),
        "retry_after": to_json::length(answer.retry_after),
        "remote": answer.remote,
        "applied": answer.applied,
    })
}

#[cfg(test)]
mod tests {
    use pushrail_api::v1::{Cause, Failure, FailureClass, TestAnswer, TestRequest};

    use super::*;

    #[test]
    fn a_test_reads_as_a_conversation() {
        let header = |name: &str, value: &str| TestHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let answer = TestDestinationResponse {
            node: 2,
            event: "test_1".to_owned(),
            request: Some(TestRequest {
                method: "POST".to_owned(),
                url: "https://example.com/".to_owned(),
                headers: vec![
                    header("webhook-id", "test_1"),
                    header("authorization", "(hidden)"),
                ],
                body: "{}".into(),
            }),
            answer: Some(TestAnswer {
                protocol: "HTTP/2".to_owned(),
                status: 503,
                headers: vec![header("retry-after", "7")],
                excerpt: "later".into(),
                excerpt_cut: true,
            }),
            failure: Some(Failure {
                class: FailureClass::Transient.into(),
                cause: Cause::Server.into(),
                why: "the receiver is overloaded".to_owned(),
                disables_destination: false,
            }),
            took: Some(prost_types::Duration {
                seconds: 0,
                nanos: 12_000_000,
            }),
            ..TestDestinationResponse::default()
        };

        let text = in_words(&answer);

        assert!(text.starts_with(
            "> POST https://example.com/\n> webhook-id: test_1\n> authorization: (hidden)\n>\n> {}\n\n\
             < HTTP/2 503\n< retry-after: 7\n<\n< later\n< …\n\n"
        ));
        assert!(
            text.contains("transient failure, server: the receiver is overloaded\n"),
            "{text}"
        );
        assert!(text.contains("node 2\n"), "{text}");
    }
}
