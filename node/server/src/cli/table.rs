//! Tables without rulers: columns that eyes and `awk` can follow.

use comfy_table::{ContentArrangement, Table};

use crate::cli::words;

/// A table with these heads and rows.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| words::one_line(cell)));
    }
    let columns = heads.len();
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at + 1 == columns { 0 } else { 2 }));
    }
    let mut text: String = table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}

/// Names and values, one pair a line.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs
        .iter()
        .map(|(name, value)| {
            let line = format!("{name:width$}  {}", words::one_line(value));
            format!("{}\n", line.trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_does() {
        let text = table(
            &["tenant", "description"],
            [
                vec!["acme".to_owned(), "Acme Ltd".to_owned()],
                vec!["globex-corporation".to_owned(), String::new()],
            ],
        );

        assert_eq!(
            text,
            "TENANT              DESCRIPTION\nacme                Acme Ltd\nglobex-corporation\n"
        );
    }

    #[test]
    fn what_customers_wrote_commands_no_terminal_and_breaks_no_line() {
        let evil = "a\u{1b}[2Jb\nc\u{9b}d\u{202e}e";

        let text = table(
            &["tenant", "description"],
            [vec!["acme".to_owned(), evil.to_owned()]],
        );

        let shown = "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}e";
        assert_eq!(text, format!("TENANT  DESCRIPTION\nacme    {shown}\n"));
        assert_eq!(
            pairs(&[("description", evil.to_owned())]),
            format!("description  {shown}\n")
        );
    }
}
