//! What helps where a verb came to nothing. Errors print it behind their text: a command as `try:`, to be typed as it
//! stands, and words as `help:`.

use pushrail_api::Violation;

use crate::services::reasons::Reason;

/// What most destinations are.
pub(super) const USUAL_KIND: &str = "webhook";
/// What a message says that says already what is allowed.
const ALLOWANCES: [&str; 4] = ["known:", "must ", "may have", "at most"];

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Help {
    /// A command, or several with `; ` between.
    Command(String),
    /// Words.
    Words(String),
}

impl Help {
    /// As it is printed.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Command(command) => format!("try: {command}"),
            Self::Words(words) => format!("help: {words}"),
        }
    }

    /// What this kind of destination takes.
    pub(super) fn kind(kind: &str) -> Self {
        Self::Command(format!("pushrail kinds show {kind}"))
    }

    /// What helps against wrong fields: a look at what a kind takes, where it is the kind's fields that are wrong, and
    /// not said what they may be.
    pub(super) fn against_fields(wrong: &[Violation]) -> Option<Self> {
        let said = |one: &Violation| ALLOWANCES.iter().any(|words| one.description.contains(words));
        let of_kind = |one: &Violation| {
            let section = one.field.split_once('.').map(|(section, _)| section);
            matches!(section, Some("settings" | "credential"))
        };
        if wrong.iter().any(|one| one.field == "kind" && !said(one)) {
            return Some(Self::Command("pushrail kinds list".to_owned()));
        }
        let unsaid = wrong.iter().any(|one| of_kind(one) && !said(one));
        unsaid.then(|| Self::kind(USUAL_KIND))
    }

    /// What helps against this reason: a command where there is one, and otherwise the reason's own words. Those are
    /// written for whoever calls the API; where somebody at a shell would not understand them, others stand here.
    pub(super) fn against(reason: &str) -> Option<Self> {
        let command = match reason {
            // What is wrong with the field says all there is to say, and so does what still is in it.
            "FIELD_INVALID" | "NOT_EMPTY" => return None,
            "PAGE_TOKEN_INVALID" | "ROUTING_UNSETTLED" => "the same command again",
            "TENANT_NOT_FOUND" => "pushrail tenants list; pushrail tenants create <id>",
            "DESTINATION_NOT_FOUND" => "pushrail destinations list --tenant <tenant>",
            "ROUTE_NOT_FOUND" => "pushrail routes list --tenant <tenant>",
            "EVENT_NOT_FOUND" => "the same command with --consistency linearizable, or with another --tenant",
            "DEAD_LETTER_NOT_FOUND" => "the same command with --consistency linearizable",
            "JOB_NOT_FOUND" => "pushrail dlq jobs list --tenant <tenant>",
            "KIND_NOT_FOUND" => "pushrail kinds list",
            "REMOVED_SINCE" => "the same command with another --request-id, if it is to be done anew",
            "CLUSTER_NOT_FORMED" => "pushrail cluster init --member 1=<peer>,<client>,<http> …",
            "CLUSTER_EXISTS" | "NO_QUORUM" => "pushrail cluster status",
            "IDEMPOTENCY_KEY_CONFLICT" => {
                return Some(Self::Words("give each event a key of its own".to_owned()));
            }
            "FENCE_PENDING" => {
                return Some(Self::Words(
                    "repeat it with the same request id: it waits again".to_owned(),
                ));
            }
            _ => return Reason::named(reason).map(|reason| Self::Words(fragment(reason.remedy))),
        };
        Some(Self::Command(command.to_owned()))
    }
}

/// One sentence as the half sentence that the command line speaks in; several stay what they are.
fn fragment(sentence: &str) -> String {
    let sentence = sentence.trim();
    let bare = sentence.strip_suffix('.').unwrap_or(sentence);
    if bare.contains(". ") {
        return sentence.to_owned();
    }
    let mut letters = bare.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::reasons::ALL;

    #[test]
    fn what_is_to_be_tried_is_a_command_and_words_are_called_help() {
        for reason in ALL {
            match Help::against(reason.name) {
                None => {}
                Some(Help::Command(command)) => assert!(
                    command.starts_with("pushrail ") || command.starts_with("the same command "),
                    "{}: {command}",
                    reason.name
                ),
                Some(Help::Words(words)) => {
                    // Of pages, tokens and metadata nobody at a shell has heard.
                    for unheard in ["metadata", "token", "page", "Nothing"] {
                        assert!(!words.contains(unheard), "{}: {words}", reason.name);
                    }
                }
            }
        }
        assert_eq!(
            Help::against("ALREADY_EXISTS").unwrap().line(),
            "help: choose another id, or look at the one that is there"
        );
        assert_eq!(
            Help::against("REMOVED_SINCE").unwrap().line(),
            "try: the same command with another --request-id, if it is to be done anew"
        );
        assert_eq!(Help::against("A_REASON_OF_A_LATER_VERSION"), None);
    }

    #[test]
    fn a_kind_is_looked_at_where_its_fields_are_wrong_and_not_said_what_they_may_be() {
        let against = |wrong: &[(&str, &str)]| {
            let violations = wrong.iter().map(|(field, description)| Violation {
                field: (*field).to_owned(),
                description: (*description).to_owned(),
            });
            let help = Help::against_fields(&violations.collect::<Vec<_>>());
            help.map(|help| help.line())
        };
        let show = Some("try: pushrail kinds show webhook".to_owned());

        assert_eq!(against(&[("settings.url", "required")]), show);
        assert_eq!(
            against(&[("retry.window", "0 s"), ("credential.secret", "not base64")]),
            show
        );
        assert_eq!(
            against(&[("kind", "not a kind")]),
            Some("try: pushrail kinds list".to_owned())
        );
        for (field, said) in [
            ("kind", "unknown kind; known: webhook"),
            ("settings.uri", "unknown field; known: url, headers"),
            ("settings.url", "must not be longer than 2048 bytes"),
            ("settings", "nothing is to change: give what is"),
            ("event.event_type", "an empty segment"),
        ] {
            assert_eq!(against(&[(field, said)]), None, "{field}: {said}");
        }
    }

    #[test]
    fn sentences_stay_sentences_where_there_are_several() {
        assert_eq!(fragment("Ask another node."), "ask another node");
        assert_eq!(fragment("Ask another. Give it."), "Ask another. Give it.");
    }
}
