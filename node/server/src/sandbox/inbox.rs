//! What has arrived at the sandbox's receiver, and how it answers. Pure: `receiver` serves it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Requests remembered: what a page can show.
const REMEMBERED: usize = 200;
/// Bytes of a body that are shown.
const BODY_SHOWN_BYTES: usize = 16 * 1024;

/// How the receiver answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Delivered.
    #[default]
    #[serde(rename = "200")]
    Ok,
    /// Transient: tried again.
    #[serde(rename = "500")]
    Failing,
    /// Permanent: a dead letter.
    #[serde(rename = "401")]
    Refusing,
    /// Delivered, but late.
    #[serde(rename = "slow")]
    Slow,
}

impl Answer {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Ok | Self::Slow => 200,
            Self::Failing => 500,
            Self::Refusing => 401,
        }
    }
}

/// A request, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Taken {
    /// Counted from 1.
    number: u64,
    /// When it came, RFC 3339.
    at: String,
    /// The header `webhook-id`.
    event: String,
    /// All headers.
    headers: Vec<(String, String)>,
    /// The beginning of the body; what is no text is replaced.
    body: String,
    /// Whether that is all of it.
    whole: bool,
    /// Bytes of all of it.
    bytes: usize,
    /// `None` while it is held.
    answered: Option<u16>,
    /// The revision in which it last changed.
    #[serde(skip)]
    changed: u64,
}

/// What the page asks for.
#[derive(Debug, Serialize)]
pub(super) struct News<'a> {
    /// To be asked from next time.
    revision: u64,
    /// How many came in all.
    total: u64,
    /// The number of the oldest that is remembered.
    oldest: u64,
    /// How it answers now.
    answer: Answer,
    /// Those that came or changed since.
    requests: Vec<&'a Taken>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    answer: Answer,
    taken: VecDeque<Taken>,
    total: u64,
    revision: u64,
}

impl Inbox {
    /// From now on it answers so.
    pub(super) fn choose(&mut self, answer: Answer) {
        self.answer = answer;
    }

    /// Keeps a request: its number, and how to answer it.
    pub(super) fn take(
        &mut self,
        at: String,
        event: String,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> (u64, Answer) {
        self.total += 1;
        self.revision += 1;
        let shown = body.get(..BODY_SHOWN_BYTES).unwrap_or(body);
        self.taken.push_back(Taken {
            number: self.total,
            at,
            event,
            headers,
            body: String::from_utf8_lossy(shown).into_owned(),
            whole: shown.len() == body.len(),
            bytes: body.len(),
            answered: None,
            changed: self.revision,
        });
        if self.taken.len() > REMEMBERED {
            self.taken.pop_front();
        }
        (self.total, self.answer)
    }

    /// It is answered.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        self.revision += 1;
        if let Some(taken) = self.taken.iter_mut().find(|taken| taken.number == number) {
            taken.answered = Some(status);
            taken.changed = self.revision;
        }
    }

    /// What came or changed after a revision.
    pub(super) fn since(&self, revision: u64) -> News<'_> {
        News {
            revision: self.revision,
            total: self.total,
            oldest: self.taken.front().map_or(0, |taken| taken.number),
            answer: self.answer,
            requests: self
                .taken
                .iter()
                .filter(|taken| taken.changed > revision)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(inbox: &mut Inbox, body: &[u8]) -> (u64, Answer) {
        inbox.take("now".to_owned(), "evt_1".to_owned(), Vec::new(), body)
    }

    #[test]
    fn a_request_is_news_when_it_comes_and_when_it_is_answered() {
        let mut inbox = Inbox::default();
        inbox.choose(Answer::Refusing);

        let (number, answer) = take(&mut inbox, b"{}");
        let came = inbox.since(0).revision;
        inbox.answered(number, answer.status());

        let news = inbox.since(came);
        assert_eq!(news.requests.len(), 1);
        assert_eq!(news.requests[0].answered, Some(401));
        assert!(inbox.since(news.revision).requests.is_empty());
    }

    #[test]
    fn neither_requests_nor_bodies_fill_the_memory() {
        let mut inbox = Inbox::default();

        for _ in 0..REMEMBERED + 5 {
            take(&mut inbox, &[b'x'; BODY_SHOWN_BYTES + 1]);
        }

        let news = inbox.since(0);
        assert_eq!(
            (news.requests.len(), news.oldest, news.total),
            (REMEMBERED, 6, 205)
        );
        assert!(!news.requests[0].whole);
        assert_eq!(news.requests[0].body.len(), BODY_SHOWN_BYTES);
    }
}
