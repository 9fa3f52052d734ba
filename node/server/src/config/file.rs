//! The configuration file as a list: dotted keys, their values as they would stand in the environment, and the line
//! of each. `load` reads one.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its dotted path.
    pub(crate) key: String,
    /// Its value, as text.
    pub(crate) value: String,
    /// Where it stands, counted from 1.
    pub(crate) line: usize,
}

/// A place where the file is not TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What was expected. It repeats nothing of the file.
    pub(crate) why: String,
}

/// All that can be read of a file, and every place that cannot.
pub(crate) fn read(text: &str) -> (Vec<Entry>, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| Fault {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            why: error.message().to_owned(),
        })
        .collect();
    // What follows the first fault of a line follows from it.
    faults.dedup_by_key(|fault| fault.line);
    let mut entries = Vec::new();
    // A line that is broken was read as somebody guessed: what it says is not held against anybody.
    gather(text, "", table.get_ref(), &mut entries);
    entries.retain(|entry| faults.iter().all(|fault| fault.line != entry.line));
    (entries, faults)
}

fn gather(text: &str, path: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let dotted = if path.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{path}.{}", key.get_ref())
        };
        if let DeValue::Table(inner) = value.get_ref() {
            gather(text, &dotted, inner, entries);
            continue;
        }
        entries.push(Entry {
            key: dotted,
            value: as_text(value.get_ref()),
            line: line_of(text, key.span().start),
        });
    }
}

fn as_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.to_string(), |number| number.to_string()),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(parts) => list(parts),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn list(parts: &DeArray<'_>) -> String {
    let texts: Vec<String> = parts.iter().map(Spanned::get_ref).map(as_text).collect();
    texts.join(",")
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str, line: usize) -> Entry {
        Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            line,
        }
    }

    #[test]
    fn keys_come_with_their_values_as_text_and_their_lines() {
        let text = "node_id = 0x10\n\n[log]\nlevel = \"info\"\n[delivery]\nallowed_networks = [\n  \"10.0.0.0/8\",\n  \"fd00::/8\",\n]\n";

        let (mut entries, faults) = read(text);

        entries.sort_by_key(|entry| entry.line);
        assert_eq!(faults, []);
        assert_eq!(
            entries,
            [
                entry("node_id", "16", 1),
                entry("log.level", "info", 4),
                entry("delivery.allowed_networks", "10.0.0.0/8,fd00::/8", 6),
            ]
        );
    }

    #[test]
    fn what_is_not_toml_is_told_by_line_and_the_rest_is_read_all_the_same() {
        let (entries, faults) = read("node_id = = 1\nlisten = \"x\"\nlisten = \"y\"\n");

        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3], "{faults:?}");
        assert_eq!(entries, [entry("listen", "x", 2)]);
    }
}
