//! How long a receiver asks to wait: `Retry-After` in seconds or as a date. Pure.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use pushrail_model::time::Span;

/// No wait is read as longer: it is far beyond every window, and times that it is added to stay sane.
const LONGEST: Span = Span(366 * Span::DAY.0);

/// The wait that an answer's headers ask for; the longest where there are several. `now` stands in for a missing
/// `Date`. What cannot be understood, is negative or points into the past asks for nothing.
pub(crate) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Span> {
    let date = |value: &http::HeaderValue| httpdate::parse_http_date(value.to_str().ok()?.trim()).ok();
    // A date is the receiver's, so it is measured by the receiver's clock.
    let sent = headers.get(DATE).and_then(date).unwrap_or(now);
    let waits = headers.get_all(RETRY_AFTER).into_iter().filter_map(|value| {
        let seconds = value.to_str().ok().and_then(|text| seconds(text.trim()));
        let until = || Some(Span::from_duration(date(value)?.duration_since(sent).ok()?));
        seconds.or_else(until)
    });
    waits.max().map(|wait| wait.min(LONGEST))
}

/// Whole seconds, a fraction rounded up; more than fits is the longest.
fn seconds(text: &str) -> Option<Span> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|b| b != b'0'));
    let seconds = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add(more);
    Some(Span::from_duration(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT

    fn asked(headers: &[(http::HeaderName, &str)]) -> Option<Span> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        read(&map, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(asked(&[(RETRY_AFTER, "120")]), Some(Span::from_secs(120)));
        assert_eq!(asked(&[(RETRY_AFTER, " 0 ")]), Some(Span::ZERO));
        assert_eq!(asked(&[(RETRY_AFTER, "1.5")]), Some(Span::from_secs(2)));
        assert_eq!(asked(&[(RETRY_AFTER, "2.0")]), Some(Span::from_secs(2)));
    }

    #[test]
    fn a_date_is_measured_by_the_receivers_clock_or_else_by_ours() {
        let in_a_minute = "Sun, 06 Nov 1994 08:50:37 GMT";

        assert_eq!(asked(&[(RETRY_AFTER, in_a_minute)]), Some(Span::from_secs(60)));
        let sent = "Sun, 06 Nov 1994 08:50:27 GMT";
        assert_eq!(
            asked(&[(RETRY_AFTER, in_a_minute), (DATE, sent)]),
            Some(Span::from_secs(10))
        );
        assert_eq!(
            asked(&[(RETRY_AFTER, in_a_minute), (DATE, "yesterday")]),
            Some(Span::from_secs(60))
        );
    }

    #[test]
    fn what_makes_no_sense_asks_for_nothing() {
        for nonsense in ["", "-5", "+5", "soon", "1e3", ".5", "5.", "1,5", "0x10"] {
            assert_eq!(asked(&[(RETRY_AFTER, nonsense)]), None, "{nonsense}");
        }
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        assert_eq!(asked(&[(RETRY_AFTER, past)]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn absurd_waits_are_bounded() {
        for absurd in [
            "99999999999",
            "999999999999999999999999",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            assert_eq!(asked(&[(RETRY_AFTER, absurd)]), Some(LONGEST), "{absurd}");
        }
    }

    #[test]
    fn of_several_the_longest_is_kept() {
        assert_eq!(
            asked(&[(RETRY_AFTER, "1"), (RETRY_AFTER, "30"), (RETRY_AFTER, "x")]),
            Some(Span::from_secs(30))
        );
    }
}
