//! A batch file: one JSON object a line. Every event knows its line, since that is what an editor shows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pushrail_api::v1::NewEvent;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::error::CliError;

/// An event and the line of the file that it stands in, counted from 1, blank ones included.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbered {
    /// Where it stands.
    pub(super) line: usize,
    /// The event.
    pub(super) event: NewEvent,
}

/// One line of a batch file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "type")]
    event_type: String,
    tenant: Option<String>,
    content_type: Option<String>,
    idempotency_key: Option<String>,
    // As it stands: numbers of any size, keys in any order.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    text: Option<String>,
    base64: Option<String>,
}

/// Reads all of it before anything is sent: a file with a wrong line is not published in part.
pub(super) fn read(
    text: &str,
    tenant: Option<&str>,
    content_type: &str,
    key: &str,
) -> Result<Vec<Numbered>, CliError> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let events = lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(line, text)| {
            let wrong = |wrong| CliError::usage(format!("read line {line} of the batch"), wrong);
            let mut event = event(text, tenant, content_type).map_err(wrong)?;
            if event.idempotency_key.is_empty() {
                event.idempotency_key = format!("{key}.{line}");
            }
            Ok(Numbered { line, event })
        });
    let events = events.collect::<Result<Vec<_>, CliError>>()?;
    if events.is_empty() {
        return Err(CliError::usage(
            "read the batch",
            "it has no events: one JSON object a line is needed",
        ));
    }
    Ok(events)
}

fn event(line: &str, tenant: Option<&str>, content_type: &str) -> Result<NewEvent, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| placed(&error))?;
    let payload = match (line.data, line.text, line.base64) {
        (Some(data), None, None) => data.get().as_bytes().to_vec(),
        (None, Some(text), None) => text.into_bytes(),
        (None, None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|error| format!("base64: {error}"))?,
        _ => return Err("exactly one of data, text and base64 is needed".to_owned()),
    };
    super::fits(payload.len())?;
    if line.idempotency_key.as_deref() == Some("") {
        return Err(
            "idempotency_key must not be empty; leave it out, or give at least one letter".to_owned(),
        );
    }
    let tenant = line.tenant.or_else(|| tenant.map(str::to_owned));
    Ok(NewEvent {
        tenant: tenant.ok_or("a tenant is needed, in the line or as --tenant")?,
        event_type: line.event_type,
        content_type: line.content_type.unwrap_or_else(|| content_type.to_owned()),
        payload: payload.into(),
        idempotency_key: line.idempotency_key.unwrap_or_default(),
    })
}

/// The parser sees one line and calls it the first: only its column says something.
fn placed(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{what}, at column {column}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Exit;

    fn given(text: &str) -> Result<Vec<Numbered>, CliError> {
        read(text, Some("acme"), "application/json", "cli-1")
    }

    #[test]
    fn a_line_is_an_event_with_one_payload_a_key_and_its_number() {
        let text = "{\"type\":\"a\",\"data\":{\"n\": 1.10, \"a\":12345678901234567890123}}\n\n{\"type\":\"b\",\"tenant\":\"globex\",\"text\":\"x\",\
                    \"content_type\":\"text/plain\",\"idempotency_key\":\"k\"}\n{\"type\":\"c\",\"base64\":\"AAE=\"}\n";

        let events = given(text).unwrap();

        let lines: Vec<usize> = events.iter().map(|one| one.line).collect();
        assert_eq!(lines, [1, 3, 4]);
        let events: Vec<NewEvent> = events.into_iter().map(|one| one.event).collect();
        assert_eq!(events[0].payload, "{\"n\": 1.10, \"a\":12345678901234567890123}");
        assert_eq!(events[0].tenant, "acme");
        assert_eq!(events[0].idempotency_key, "cli-1.1");
        assert_eq!(
            (events[1].tenant.as_str(), &events[1].payload[..]),
            ("globex", &b"x"[..])
        );
        assert_eq!(events[1].idempotency_key, "k");
        assert_eq!(&events[2].payload[..], [0, 1]);
        assert_eq!(events[2].idempotency_key, "cli-1.4");
    }

    #[test]
    fn a_wrong_line_is_named_as_the_file_counts_it() {
        for (text, said) in [
            ("{\"type\":\"a\",\"data\":1}\n\n{\"type\":\"b\"}", "line 3"),
            ("\n{\"type\":\"a\",\"data\":1,}", "line 2"),
            ("\n{\"type\":\"a\",\"data\":1,}", "at column"),
            (
                "{\"type\":\"a\",\"data\":1,\"idempotency_key\":\"\"}",
                "idempotency_key must not be empty",
            ),
            ("\n", "no events"),
        ] {
            let wrong = given(text).unwrap_err();

            assert!(wrong.text().contains(said), "{}", wrong.text());
            assert!(!wrong.text().contains("line 1 column"), "{}", wrong.text());
            assert_eq!(wrong.exit(), Exit::Usage);
        }
    }
}
