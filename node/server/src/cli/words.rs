//! Choices of the contract in words: `CAUSE_TOO_LARGE` is "too large" to people and `too_large` to scripts.

use pushrail_api::v1::{
    Cause, ChangeFact, DeadLetterJobKind, DeadLetterJobState, DeathReason, DecisionReason, DeliveryState,
    DestinationState, FailureClass, Presence, RuleClass, discard_result, replay_result,
};

macro_rules! words {
    ($($name:ident, $choice:ty, $prefix:literal;)*) => {
        $(
            /// In one word; `unspecified` where this version does not know it.
            pub(super) fn $name(number: i32) -> String {
                let name = <$choice>::try_from(number).unwrap_or_default().as_str_name();
                name.strip_prefix($prefix).unwrap_or(name).to_lowercase()
            }
        )*
    };
}

words! {
    cause, Cause, "CAUSE_";
    class, FailureClass, "FAILURE_CLASS_";
    rule_class, RuleClass, "RULE_CLASS_";
    destination_state, DestinationState, "DESTINATION_STATE_";
    delivery_state, DeliveryState, "DELIVERY_STATE_";
    decision, DecisionReason, "DECISION_REASON_";
    presence, Presence, "PRESENCE_";
    replay, replay_result::Outcome, "OUTCOME_";
    discard, discard_result::Outcome, "OUTCOME_";
    job_kind, DeadLetterJobKind, "DEAD_LETTER_JOB_KIND_";
    job_state, DeadLetterJobState, "DEAD_LETTER_JOB_STATE_";
    death, DeathReason, "DEATH_REASON_";
    change, ChangeFact, "CHANGE_FACT_";
}

/// For people.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// Why a delivery is dead, in a sentence's half.
pub(super) fn death_in_words(number: i32) -> &'static str {
    match DeathReason::try_from(number).unwrap_or_default() {
        DeathReason::Unspecified => "for an unknown reason",
        DeathReason::Permanent => "the failure was permanent",
        DeathReason::AttemptsExhausted => "the last retry failed too",
        DeathReason::WindowExhausted => "the next retry would have fallen behind the retry window",
    }
}

/// A size as people read it.
pub(super) fn bytes(count: usize) -> String {
    let tenths = |unit: usize| {
        let tenths = (count * 10 + unit / 2) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    if count < 1024 {
        format!("{count} B")
    } else if count < 1024 * 1024 {
        format!("{} KiB", tenths(1024))
    } else {
        format!("{} MiB", tenths(1024 * 1024))
    }
}

/// A text in which nothing commands the terminal: controls, and what turns the direction of writing, are spelt out.
/// Lines stay lines.
pub(super) fn harmless(text: &str) -> String {
    spelt(text, |letter| letter == '\n' || letter == '\t')
}

/// The same, and on one line.
pub(super) fn one_line(text: &str) -> String {
    spelt(text, |_| false)
}

fn spelt(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if (letter.is_control() && !allowed(letter)) || turns(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// One or many.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_words() {
        assert_eq!(cause(i32::from(Cause::TooLarge)), "too_large");
        assert_eq!(plain(&cause(i32::from(Cause::TooLarge))), "too large");
        assert_eq!(delivery_state(99), "unspecified");
    }

    #[test]
    fn a_text_of_many_lines_keeps_them() {
        assert_eq!(harmless("a\n\tb\r\u{7}ü→\n"), "a\n\tb\\r\\u{7}ü→\n");
    }

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(1229), "1.2 KiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
    }
}
