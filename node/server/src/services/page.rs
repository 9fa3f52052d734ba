//! Pages: how many rows, where they begin, and a token that only the list that gave it takes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use pushrail_machine::query::page::{Budget, Page};
use pushrail_machine::store::StoreError;
use pushrail_model::limits;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::door::refusal::Refusal;

/// Of the form of a token; another one is refused.
const VERSION: u8 = 1;
/// Bytes of rows in a page, roughly: with one row more it stays below the 4 MiB that gRPC clients take.
pub(super) const PAGE_BYTES_WANTED: usize = 2 * 1024 * 1024;

/// Rows read at once: a page of full responses ends at its bytes long before a thousand of them.
const PIECE_ROWS: usize = 64;

/// Which page is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Rows at most.
    pub(super) rows: usize,
    /// Where the page before ended: opaque bytes of the list's own.
    pub(super) after: Option<Vec<u8>>,
    filter: u64,
}

impl Wanted {
    /// Reads size and token. `filter` is the list's name and every field that chooses or orders its rows.
    pub(super) fn read(page_size: u32, page_token: &str, filter: &[&str]) -> Result<Self, Refusal> {
        let rows = match usize::try_from(page_size) {
            Ok(0) => limits::PAGE_DEFAULT,
            Ok(rows) => rows.min(limits::PAGE_MAX),
            Err(_) => limits::PAGE_MAX,
        };
        let mut text = String::new();
        for part in filter {
            // Lengths keep two filters apart whose parts only meet elsewhere.
            text.push_str(&format!("{}:{part};", part.len()));
        }
        let filter = xxh3_64(text.as_bytes());
        let after = match page_token {
            "" => None,
            token => Some(open(token, filter).ok_or(Refusal::PageToken)?),
        };
        Ok(Self { rows, after, filter })
    }

    /// The same, of a whole request: its name, and every field of it but those that say which page, and how fresh.
    pub(super) fn of<R: Message>(
        page_size: u32,
        page_token: &str,
        name: &str,
        filter: &R,
    ) -> Result<Self, Refusal> {
        // Fields that are not set leave no bytes: a field of tomorrow does not end the tokens of today.
        let filter = URL_SAFE_NO_PAD.encode(filter.encode_to_vec());
        Self::read(page_size, page_token, &[name, &filter])
    }

    /// The token of the next page; empty where there is none.
    pub(super) fn next(&self, after: Option<&[u8]>) -> String {
        let Some(after) = after else {
            return String::new();
        };
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&check(self.filter, after));
        bytes.extend_from_slice(after);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where the page before ended, as text.
    pub(super) fn after_text(&self) -> Result<Option<&str>, Refusal> {
        let text = self.after.as_deref().map(std::str::from_utf8).transpose();
        text.map_err(|_| Refusal::PageToken)
    }
}

fn open(token: &str, filter: u64) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (sum, after) = rest.split_first_chunk::<8>()?;
    (*version == VERSION && *sum == check(filter, after)).then(|| after.to_vec())
}

/// Over the filter and the place: neither can be another one by accident. Whoever means to makes no more of it than what
/// the list would show anyway.
fn check(filter: u64, after: &[u8]) -> [u8; 8] {
    xxh3_64_with_seed(after, filter).to_be_bytes()
}

/// Gathers a page piece by piece: it ends at its rows, at its bytes, or where enough has been read for it.
pub(super) fn gather<T>(
    rows: usize,
    after: Option<&[u8]>,
    bytes: impl Fn(&T) -> usize,
    mut ask: impl FnMut(Option<&[u8]>, &mut Budget) -> Result<Page<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut page = Page {
        rows: Vec::new(),
        next: after.map(<[u8]>::to_vec),
    };
    let mut budget = Budget {
        rows: 0,
        reads: limits::LIST_READS_MAX,
    };
    let mut so_far = 0;
    loop {
        budget.rows = PIECE_ROWS.min(rows - page.rows.len());
        let piece = ask(page.next.as_deref(), &mut budget)?;
        so_far += piece.rows.iter().map(&bytes).sum::<usize>();
        page.rows.extend(piece.rows);
        page.next = piece.next;
        let full = page.rows.len() >= rows || so_far >= PAGE_BYTES_WANTED || budget.reads == 0;
        if page.next.is_none() || full {
            return Ok(page);
        }
    }
}

/// Cuts rows to a page's size and bytes; says whether there are more. At least one row is kept, however large.
pub(super) fn cut<T>(mut rows: Vec<T>, count: usize, bytes: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let mut keep = 0;
    let mut so_far = 0;
    for row in rows.iter().take(count) {
        so_far += bytes(row);
        if keep > 0 && so_far > PAGE_BYTES_WANTED {
            break;
        }
        keep += 1;
    }
    let more = rows.len() > keep;
    rows.truncate(keep);
    (rows, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_to_its_own_list_only() {
        let page = Wanted::read(10, "", &["attempts", "acme", "hook"]).unwrap();
        let token = page.next(Some(b"cursor"));

        let again = Wanted::read(20, &token, &["attempts", "acme", "hook"]).unwrap();
        assert_eq!(again.after.as_deref(), Some(&b"cursor"[..]));
        assert_eq!(again.rows, 20);
        for filter in [
            ["attempts", "acme", "other"],
            ["attempts", "acmeh", "ook"],
            ["dead letters", "acme", "hook"],
        ] {
            assert_eq!(Wanted::read(10, &token, &filter), Err(Refusal::PageToken));
        }
        let flipped = |place: usize| {
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            bytes[place] ^= 1;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        for wrong in [
            "x",
            "!!",
            token.get(1..).unwrap(),
            &flipped(3),
            &flipped(9),
            &flipped(14),
        ] {
            assert_eq!(
                Wanted::read(10, wrong, &["attempts", "acme", "hook"]),
                Err(Refusal::PageToken)
            );
        }
    }

    #[test]
    fn a_page_that_finds_little_ends_when_enough_was_read_and_goes_on_from_there() {
        let mut asked = 0;

        let page = gather(
            10,
            None,
            |_: &u8| 1,
            |after, budget| {
                asked += 1;
                budget.reads = budget.reads.saturating_sub(1000);
                let next = after.map_or(1, |after| after[0] + 1);
                Ok(Page {
                    rows: vec![next],
                    next: Some(vec![next]),
                })
            },
        );
        let page = page.unwrap();

        assert_eq!((asked, page.rows, page.next), (2, vec![1, 2], Some(vec![2])));
    }

    #[test]
    fn a_page_has_a_default_and_a_most() {
        assert_eq!(Wanted::read(0, "", &[]).unwrap().rows, limits::PAGE_DEFAULT);
        assert_eq!(Wanted::read(u32::MAX, "", &[]).unwrap().rows, limits::PAGE_MAX);
        assert_eq!(Wanted::read(0, "", &[]).unwrap().next(None), "");
    }

    #[test]
    fn a_page_is_cut_by_rows_and_by_bytes_but_never_to_nothing() {
        assert_eq!(cut(vec![1, 2, 3], 2, |_| 1), (vec![1, 2], true));
        assert_eq!(cut(vec![1, 2, 3], 3, |_| 1), (vec![1, 2, 3], false));
        let half = PAGE_BYTES_WANTED / 2;
        assert_eq!(cut(vec![1, 2, 3], 3, |_| half), (vec![1, 2], true));
        assert_eq!(cut(vec![1, 2], 2, |_| 3 * half), (vec![1], true));
    }
}
