//! How the values of keys are read: each rule turns a text into a value, and says in words what it takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pushrail_adapters::proxy::{PROXY_FORM, Proxy};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A way to read a value.
pub struct Rule<T> {
    /// What it takes, in words.
    pub allowed: String,
    /// The value, if the text is one.
    pub parse: Parse<T>,
}

/// Makes a value of a text that is one.
pub type Parse<T> = Box<dyn Fn(&str) -> Option<T>>;

fn rule<T>(allowed: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Rule<T> {
    Rule {
        allowed: allowed.into(),
        parse: Box::new(parse),
    }
}

/// A whole number.
pub fn whole(min: u64, max: u64) -> Rule<u64> {
    let allowed = if max == u64::MAX {
        format!("a whole number, at least {min}")
    } else {
        format!("a whole number from {min} to {max}")
    };
    rule(allowed, move |text| {
        text.parse().ok().filter(|value| (min..=max).contains(value))
    })
}

/// A whole number of things held in memory.
pub fn count(min: usize, max: usize) -> Rule<usize> {
    rule(format!("a whole number from {min} to {max}"), move |text| {
        text.parse().ok().filter(|value| (min..=max).contains(value))
    })
}

/// Any text but the empty one.
pub fn text() -> Rule<String> {
    rule("a text, and it has to be given", |text| {
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// Any text, or none.
pub fn any_text() -> Rule<String> {
    rule("a text", |text| Some(text.to_owned()))
}

/// Yes or no.
pub fn yes_or_no() -> Rule<bool> {
    rule("true or false", |text| text.parse().ok())
}

/// One of a closed set.
pub fn choice<T: Copy + 'static>(choices: &'static [(&'static str, T)]) -> Rule<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    rule(format!("one of {}", names.join(", ")), move |text| {
        choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
    })
}

/// How much is logged.
pub fn log_level() -> Rule<String> {
    rule(
        "off, error, warn, info, debug or trace, or parts such as `info,pushrail_raft=debug`",
        |text| {
            let parts: Vec<&str> = text.split(',').map(str::trim).collect();
            let filter = parts.join(",");
            (levels(&parts) && EnvFilter::try_new(&filter).is_ok()).then_some(filter)
        },
    )
}

/// Whether each part is a level, or names one: a filter takes any other word for a target, and is silent of all else.
fn levels(parts: &[&str]) -> bool {
    parts.iter().all(|part| {
        let level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
        // Numbers, and nothing at all, are levels to the library; no reader would know which.
        level.parse::<LevelFilter>().is_ok() && level.starts_with(|first: char| first.is_ascii_alphabetic())
    })
}

/// An address to listen on.
pub fn address() -> Rule<Address> {
    rule("an address and a port, such as 127.0.0.1:7400", |text| {
        text.parse().ok().map(Address)
    })
}

/// A `SocketAddr` that has a default, which only a refused key is ever given.
#[derive(Clone, Copy, Debug)]
pub struct Address(pub SocketAddr);

impl Default for Address {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }
}

/// A name or address and a port, or nothing.
pub fn host_port_or_empty() -> Rule<String> {
    rule(
        "a host and a port, such as node-1.internal:7400, or nothing for the address listened on",
        |text| {
            let fits = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
            (text.is_empty() || text.rsplit_once(':').is_some_and(fits)).then(|| text.to_owned())
        },
    )
}

/// Networks, with commas between.
pub fn networks() -> Rule<Vec<IpNet>> {
    rule("networks such as 10.0.0.0/8 or fd00::/8", |text| {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect()
    })
}

/// An egress proxy, or nothing.
pub fn proxy() -> Rule<Option<Proxy>> {
    rule(format!("{PROXY_FORM}; or nothing"), |text| match text {
        "" => Some(None),
        text => Proxy::parse(text).map(Some),
    })
}

/// The path of a file, or nothing.
pub fn path_or_empty() -> Rule<Option<PathBuf>> {
    rule("the path of a file, or nothing", |text| {
        Some((!text.is_empty()).then(|| PathBuf::from(text)))
    })
}

/// A span of time, between two written alike.
pub fn duration(min: &'static str, max: &'static str) -> Rule<Duration> {
    let (low, high) = (parse_duration(min), parse_duration(max));
    rule(
        format!("a number with its unit (us, ms, s, m, h, d), from {min} to {max}"),
        move |text| parse_duration(text).filter(|value| Some(*value) >= low && Some(*value) <= high),
    )
}

/// A number of bytes.
pub fn size(min: usize, max: usize) -> Rule<usize> {
    rule(
        format!(
            "a number with its unit (B, KiB, MiB, GiB), from {} to {}",
            show_size(min),
            show_size(max)
        ),
        move |text| parse_size(text).filter(|value| (min..=max).contains(value)),
    )
}

/// `None` where it is not a whole number with a unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let micros: u64 = match unit {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60 * 1_000_000,
        "h" => 3600 * 1_000_000,
        "d" => 86_400 * 1_000_000,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(bytes)?).ok()
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

fn show_size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_need_a_unit() {
        let spans = [
            ("30s", Some(Duration::from_secs(30))),
            ("100ms", Some(Duration::from_millis(100))),
            ("2 h", Some(Duration::from_secs(7200))),
            ("30", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5s", None),
            ("30sec", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
        ];
        for (text, expected) in spans {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        let sizes = [
            ("64MiB", Some(64 << 20)),
            ("10B", Some(10)),
            ("64", None),
            ("64MB", None),
        ];
        for (text, expected) in sizes {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_does_not_silence_the_log() {
        for (text, allowed) in [
            ("info", true),
            ("WARN", true),
            ("off", true),
            ("info,openraft=error", true),
            ("debug, pushrail_raft=trace", true),
            ("loud", false),
            ("info,loud", false),
            ("pushrail_raft=loud", false),
            ("pushrail_raft", false),
            ("3", false),
            ("", false),
        ] {
            assert_eq!((log_level().parse)(text).is_some(), allowed, "{text}");
        }
    }

    #[test]
    fn a_rule_says_its_bounds_and_keeps_them() {
        let rule = size(1, 1 << 20);

        assert_eq!((rule.parse)("1MiB"), Some(1 << 20));
        assert_eq!((rule.parse)("2MiB"), None);
        assert!(rule.allowed.ends_with("from 1B to 1MiB"), "{}", rule.allowed);
    }
}
