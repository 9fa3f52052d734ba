//! Times and lengths of time as people read and write them: "14:03:11 +02:00, in 4 m 12 s", "2h", "1s".

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};

/// In which zone times are shown, and what *now* is.
#[derive(Clone, Debug)]
pub(super) struct Times {
    zone: TimeZone,
    now: Timestamp,
}

impl Times {
    /// Local, or UTC.
    pub(super) fn new(utc: bool) -> Self {
        Self {
            zone: if utc { TimeZone::UTC } else { TimeZone::system() },
            now: Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The same zone, with *now* where the state's clock stands: distances are then true on any machine.
    #[must_use]
    pub(super) fn at(&self, now: Option<prost_types::Timestamp>) -> Self {
        Self {
            zone: self.zone.clone(),
            now: now.and_then(of_proto).unwrap_or(self.now),
        }
    }

    /// The moment alone, with the date where that is not today's.
    pub(super) fn moment(&self, moment: Option<prost_types::Timestamp>) -> String {
        let Some(moment) = moment.and_then(of_proto) else {
            return "-".to_owned();
        };
        let shown = moment.to_zoned_datetime(self.zone.clone());
        let today = self.now.to_zoned_datetime(self.zone.clone()).date();
        let form = if shown.date() == today {
            "%H:%M:%S %:z"
        } else {
            "%Y-%m-%d %H:%M:%S %:z"
        };
        shown.strftime(form).to_string()
    }

    /// The moment and its distance: "14:03:11 +02:00, in 4 m 12 s".
    pub(super) fn with_distance(&self, moment: Option<prost_types::Timestamp>) -> String {
        match self.distance(moment) {
            Some(distance) => format!("{}, {distance}", self.moment(moment)),
            None => self.moment(moment),
        }
    }

    /// The distance alone: "in 4 m 12 s", "4 m 12 s ago", "now".
    pub(super) fn distance(&self, moment: Option<prost_types::Timestamp>) -> Option<String> {
        let moment = moment.and_then(of_proto)?;
        let distance = moment.duration_since(self.now);
        let length = length(distance.unsigned_abs());
        Some(if distance.unsigned_abs() < Duration::from_millis(50) {
            "now".to_owned()
        } else if distance.is_positive() {
            format!("in {length}")
        } else {
            format!("{length} ago")
        })
    }

    /// Whether it lies in the past.
    pub(super) fn is_past(&self, moment: Option<prost_types::Timestamp>) -> bool {
        moment.and_then(of_proto).is_some_and(|moment| moment <= self.now)
    }

    /// Reads a moment: RFC 3339, a time of today in the zone that is shown ("08:26:23"), or how long ago ("2h").
    pub(super) fn read(&self, text: &str) -> Result<prost_types::Timestamp, String> {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(to_proto(moment));
        }
        let wrong =
            || "a time like 2026-11-24T10:00:00Z, one of today like 08:26:23, or a length like 2h".to_owned();
        // Not left to the reading of lengths, for which this is eight hours and some.
        if text.contains(':') {
            let time: jiff::civil::Time = text.parse().map_err(|_| wrong())?;
            let today = self.now.to_zoned_datetime(self.zone.clone()).date();
            let moment = today.to_datetime(time).to_zoned_datetime(self.zone.clone());
            return Ok(to_proto(moment.map_err(|_| wrong())?.timestamp()));
        }
        let ago = span(text).map_err(|_| wrong())?;
        let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        let moment = self.now.checked_sub(ago).map_err(|error| error.to_string())?;
        Ok(to_proto(moment))
    }
}

/// Reads a length of time: "1s", "250ms", "2h", "1h 30m". A bare number is refused: its unit matters.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a length of time with its unit, such as 250ms, 5s, 2h or 1d".to_owned();
    // A time of day would be read as hours, minutes and seconds.
    if text.contains(':') {
        return Err(wrong());
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    // A day here is 24 hours: retries know no daylight saving.
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// The same, and longer than nothing.
pub(super) fn span_above_nothing(text: &str) -> Result<Duration, String> {
    let length = span(text)?;
    if length.is_zero() {
        return Err("a length of time above 0, such as 5s".to_owned());
    }
    Ok(length)
}

/// "4 m 12 s", "2 h 5 m", "3 d 4 h", "0.4 s", "12 ms".
pub(super) fn length(length: Duration) -> String {
    let millis = length.as_millis();
    if millis < 100 {
        return format!("{millis} ms");
    }
    // From here on tenths count, and 59.97 s is a minute.
    if millis < 9_950 {
        let tenths = (millis + 50) / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (millis + 500) / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    shown.join(" ")
}

/// A length as the API says it; nothing where it says nothing.
pub(super) fn length_of(length_: Option<prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(length_?).ok()
}

/// A length that may be below zero, with its sign; "0 ms" has none.
pub(super) fn signed(length_: prost_types::Duration) -> String {
    match Duration::try_from(length_) {
        Ok(ahead) if ahead < Duration::from_millis(1) => length(Duration::ZERO),
        Ok(ahead) => format!("+{}", length(ahead)),
        // The error holds how far it is below zero.
        Err(prost_types::DurationError::NegativeDuration(behind)) if behind < Duration::from_millis(1) => {
            length(Duration::ZERO)
        }
        Err(prost_types::DurationError::NegativeDuration(behind)) => format!("-{}", length(behind)),
        Err(_) => "?".to_owned(),
    }
}

/// As the API wants it.
pub(super) fn duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(length).unwrap_or_default()
}

fn of_proto(moment: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(moment.seconds, moment.nanos).ok()
}

fn to_proto(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: moment.as_second(),
        nanos: moment.subsec_nanosecond(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 14:03:11 in a zone two hours ahead.
    pub(in crate::cli) fn fixed() -> Times {
        Times {
            zone: TimeZone::fixed(jiff::tz::offset(2)),
            now: "2026-11-24T12:03:11Z".parse().unwrap(),
        }
    }

    pub(in crate::cli) fn proto(text: &str) -> Option<prost_types::Timestamp> {
        Some(to_proto(text.parse().unwrap()))
    }

    #[test]
    fn a_moment_is_local_with_its_offset_and_distance() {
        let times = fixed();

        assert_eq!(
            times.with_distance(proto("2026-11-24T12:07:23Z")),
            "14:07:23 +02:00, in 4 m 12 s"
        );
        assert_eq!(
            times.with_distance(proto("2026-11-23T12:03:11Z")),
            "2026-11-23 14:03:11 +02:00, 1 d ago"
        );
        assert_eq!(times.moment(None), "-");
    }

    #[test]
    fn lengths_show_their_two_largest_units() {
        let table = [
            (0, "0 ms"),
            (12, "12 ms"),
            (400, "0.4 s"),
            (9_949, "9.9 s"),
            (59_970, "1 m"),
            (252_000, "4 m 12 s"),
            (7_500_000, "2 h 5 m"),
            (86_400_000, "1 d"),
            (273_600_000, "3 d 4 h"),
        ];
        for (millis, expected) in table {
            assert_eq!(length(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_length_needs_its_unit() {
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "5", "-5s", "five", "08:26:23", "PT08:26"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn since_takes_a_time_or_how_long_ago() {
        let times = fixed();

        assert_eq!(times.read("2h"), Ok(proto("2026-11-24T10:03:11Z").unwrap()));
        assert_eq!(
            times.read("2026-11-24T10:00:00+02:00"),
            Ok(proto("2026-11-24T08:00:00Z").unwrap())
        );
        assert_eq!(times.read("08:26:23"), Ok(proto("2026-11-24T06:26:23Z").unwrap()));
        assert_eq!(times.read("08:26"), Ok(proto("2026-11-24T06:26:00Z").unwrap()));
        for wrong in ["yesterday", "25:00", "8:26:23:1", ""] {
            assert!(times.read(wrong).is_err(), "{wrong}");
        }
    }
}
