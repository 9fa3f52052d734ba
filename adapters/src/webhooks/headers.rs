//! Headers that a caller adds to every request of a destination: which names and values are taken, and what is said
//! of the others.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::settings::Invalid;

/// Headers of one list.
pub(crate) const HEADERS_MAX: usize = 32;
/// Bytes of a name.
pub(crate) const NAME_BYTES_MAX: usize = 128;
/// Bytes of a value: tokens of identity providers are long.
pub(crate) const VALUE_BYTES_MAX: usize = 4096;
/// Bytes of all names and values: with ours, what receivers' servers commonly take (8 KiB).
pub(crate) const TOTAL_BYTES_MAX: usize = 6 * 1024;

/// Names that Pushrail sets itself, or the connection does.
const RESERVED: &[(&str, &str)] = &[
    ("accept-encoding", "the answer's excerpt is kept as it comes"),
    ("connection", CONNECTION),
    ("content-encoding", "the payload goes out byte for byte"),
    ("content-length", CONNECTION),
    ("content-type", "the event's own is sent"),
    ("expect", CONNECTION),
    ("host", "the URL's is sent"),
    ("keep-alive", CONNECTION),
    ("te", CONNECTION),
    ("trailer", CONNECTION),
    ("transfer-encoding", CONNECTION),
    ("upgrade", CONNECTION),
    ("user-agent", "it says which Pushrail sends"),
];
const CONNECTION: &str = "the connection sets it";
const RESERVED_PREFIXES: &[(&str, &str)] = &[
    ("webhook-", "the signature's own begin so"),
    ("proxy-", "only a proxy reads it"),
];
/// Names whose values prove something: they must not stand where everybody who sees the destination reads them.
const SECRET: &[&str] = &["authorization", "cookie"];

/// Where a list of headers stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In the settings: to everybody who may see the destination.
    ToReaders,
    /// In the credential: to nobody.
    ToNobody,
}

/// Reads a list; each complaint names its header.
pub(crate) fn read(members: &Map<String, Value>, shown: Shown) -> Result<HeaderMap, Vec<Invalid>> {
    let mut headers = HeaderMap::new();
    let mut wrong = Vec::new();
    let mut bytes = 0;
    for (given, value) in members {
        match header(given, value, shown, &headers) {
            Ok((name, value)) => {
                bytes += name.as_str().len() + value.len();
                headers.insert(name, value);
            }
            Err(why) => wrong.push(Invalid {
                field: format!(".{}", given.chars().take(NAME_BYTES_MAX).collect::<String>()),
                why,
            }),
        }
    }
    let mut whole = |why: String| {
        wrong.push(Invalid {
            field: String::new(),
            why,
        });
    };
    if members.len() > HEADERS_MAX {
        whole(format!("at most {HEADERS_MAX} headers, not {}", members.len()));
    }
    if bytes > TOTAL_BYTES_MAX {
        whole(format!(
            "names and values may have {TOTAL_BYTES_MAX} bytes together, not {bytes}"
        ));
    }
    if wrong.is_empty() { Ok(headers) } else { Err(wrong) }
}

fn header(
    given: &str,
    value: &Value,
    shown: Shown,
    before: &HeaderMap,
) -> Result<(HeaderName, HeaderValue), String> {
    if given.is_empty() || given.len() > NAME_BYTES_MAX {
        return Err(format!(
            "a header's name has 1 to {NAME_BYTES_MAX} bytes, not {}",
            given.len()
        ));
    }
    let name = HeaderName::from_bytes(given.as_bytes())
        .map_err(|_| "a header's name is letters, digits and any of !#$%&'*+-.^_`|~".to_owned())?;
    let reserved = RESERVED.iter().find(|(known, _)| name.as_str() == *known);
    let by_prefix = RESERVED_PREFIXES
        .iter()
        .find(|(prefix, _)| name.as_str().starts_with(prefix));
    if let Some((_, why)) = reserved.or(by_prefix) {
        return Err(format!("this header is not yours to set: {why}"));
    }
    if shown == Shown::ToReaders && SECRET.contains(&name.as_str()) {
        return Err(
            "everybody who may see the destination would read it; set it in credential.headers".to_owned(),
        );
    }
    if before.contains_key(&name) {
        return Err("given twice: names differ not by upper and lower case".to_owned());
    }
    let Value::String(text) = value else {
        return Err("a header's value must be a text".to_owned());
    };
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "a header's value has at most {VALUE_BYTES_MAX} bytes, not {}",
            text.len()
        ));
    }
    let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !visible || text.trim() != text {
        return Err("a header's value is visible ASCII and spaces, none of them at its ends".to_owned());
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| "not a header's value".to_owned())?;
    value.set_sensitive(shown == Shown::ToNobody);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, &str)]) -> Map<String, Value> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), Value::String((*value).to_owned())))
            .collect()
    }

    fn refused(pairs: &[(&str, &str)], shown: Shown) -> Vec<(String, String)> {
        let wrong = read(&list(pairs), shown).unwrap_err();
        wrong.into_iter().map(|one| (one.field, one.why)).collect()
    }

    #[test]
    fn a_header_of_ones_own_is_taken_as_it_is() {
        let headers = read(
            &list(&[
                ("X-Tenant", "acme"),
                ("x-empty", ""),
                ("accept", "application/json"),
            ]),
            Shown::ToReaders,
        )
        .unwrap();

        assert_eq!(headers["x-tenant"], "acme");
        assert_eq!(headers["x-empty"], "");
        assert_eq!(headers["accept"], "application/json");
    }

    #[test]
    fn what_is_reserved_is_refused_by_name_in_every_case() {
        for name in [
            "Host",
            "HOST",
            "Content-Length",
            "content-type",
            "Content-Encoding",
            "Accept-Encoding",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Upgrade",
            "TE",
            "Trailer",
            "Expect",
            "User-Agent",
            "webhook-id",
            "Webhook-Signature",
            "webhook-timestamp",
            "webhook-anything",
            "Proxy-Authorization",
            "proxy-connection",
        ] {
            for shown in [Shown::ToReaders, Shown::ToNobody] {
                let refused = refused(&[(name, "x")], shown);

                assert_eq!(refused.len(), 1);
                assert_eq!(refused[0].0, format!(".{name}"));
                assert!(refused[0].1.contains("not yours to set"), "{refused:?}");
            }
        }
    }

    #[test]
    fn what_proves_something_belongs_into_the_credential() {
        for name in ["Authorization", "cookie"] {
            assert!(
                refused(&[(name, "Bearer x")], Shown::ToReaders)[0]
                    .1
                    .contains("credential.headers")
            );
            assert!(read(&list(&[(name, "Bearer x")]), Shown::ToNobody).unwrap()[name].is_sensitive());
        }
    }

    #[test]
    fn names_and_values_that_no_request_can_carry_are_refused() {
        for name in ["", "x y", "x:y", "x\r\ny", "ä", &"x".repeat(129)] {
            assert_eq!(refused(&[(name, "x")], Shown::ToReaders).len(), 1, "{name:?}");
        }
        for value in [
            " x",
            "x ",
            "x\r\nx-evil: 1",
            "x\ny",
            "\0",
            "\t",
            "\u{7f}",
            "ä",
            &"x".repeat(4097),
        ] {
            let refused = refused(&[("x-one", value)], Shown::ToReaders);
            assert_eq!(refused.len(), 1, "{value:?}");
            assert_eq!(refused[0].0, ".x-one");
            assert!(!refused[0].1.contains("evil"), "a value is never repeated");
        }
        let mut numbers = Map::new();
        numbers.insert("x-one".to_owned(), Value::from(7));
        assert!(
            read(&numbers, Shown::ToReaders).unwrap_err()[0]
                .why
                .contains("text")
        );
        assert!(
            refused(&[("X-One", "a"), ("x-one", "b")], Shown::ToReaders)[0]
                .1
                .contains("twice")
        );
    }

    #[test]
    fn a_list_is_bounded_in_number_and_bytes() {
        let many: Vec<String> = (0..33).map(|number| format!("x-{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        let long = "x".repeat(4000);

        assert!(read(&list(&many[..32]), Shown::ToReaders).is_ok());
        assert!(refused(&many, Shown::ToReaders)[0].1.contains("32"));
        assert!(
            refused(&[("x-a", &long), ("x-b", &long)], Shown::ToReaders)[0]
                .1
                .contains("6144")
        );
    }
}
