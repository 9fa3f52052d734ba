//! The command line: `serve` runs a node; every other verb is a client of the public API. Data goes to stdout, all
//! else to stderr, and scripts read the exit code (`cli::error::Exit`).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod attempts;
mod changes;
mod changing;
mod cluster;
mod completion;
mod config;
mod deliveries;
mod destinations;
mod dlq;
mod error;
mod events;
mod explain;
mod given;
mod json;
mod keep;
mod kinds;
mod man;
mod narrow;
mod pending;
mod publish;
mod reach;
mod routes;
mod session;
mod table;
mod tenants;
mod thing;
mod times;
mod words;

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::config::load::Flags;
use crate::sandbox;

/// Pushrail: events in once, delivered to every destination at least once.
#[derive(Debug, Parser)]
#[command(name = "pushrail", version, propagate_version = true)]
#[command(after_help = "\
Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 unavailable, 7 partly done,
124 time-out, 130 interrupted; of `serve` also 65: data on the disk are damaged, 74: the disk failed.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a node
    Serve(Flags),
    /// Try Pushrail: three nodes in one process and a page that shows what arrives; gone on Ctrl-C
    Sandbox(sandbox::Flags),
    /// Form the cluster; see how it stands
    Cluster(cluster::Noun),
    /// Customers, whose data nobody else sees
    Tenants(tenants::Noun),
    /// Places that a tenant's events go to
    Destinations(destinations::Noun),
    /// Which event types go to which destination
    Routes(routes::Noun),
    /// Publish events
    Publish(publish::Publish),
    /// What was published, and its whole story
    Events(events::Noun),
    /// Events owed to destinations
    Deliveries(deliveries::Noun),
    /// The audit trail of attempts
    Attempts(attempts::Noun),
    /// Dead letters: deliveries that gave up or failed permanently
    Dlq(dlq::Noun),
    /// Who changed what, when, from where
    Changes(changes::Noun),
    /// Sorts of destinations, and what their answers mean
    Kinds(kinds::Noun),
    /// What a node is told: check it, or see what is in force and who said so
    Config(config::Noun),
    /// Print the completion script of a shell
    Completion(completion::Completion),
    /// Write the manual pages
    Man(man::Man),
}

/// Carries out a verb and says what came of it. Running a node is no client's verb: `serve` does that.
pub fn run(verb: Verb, serve: impl FnOnce(Flags) -> ExitCode) -> ExitCode {
    let outcome = match verb {
        Verb::Serve(args) => return serve(args),
        Verb::Sandbox(flags) => sandbox::main(&flags),
        Verb::Cluster(noun) => ask(noun.reach, |session| Box::pin(cluster::run(session, noun.verb))),
        Verb::Tenants(noun) => ask(noun.reach, |session| Box::pin(tenants::run(session, noun.verb))),
        Verb::Destinations(noun) => ask(noun.reach, |session| {
            Box::pin(destinations::run(session, noun.verb))
        }),
        Verb::Routes(noun) => ask(noun.reach, |session| Box::pin(routes::run(session, noun.verb))),
        Verb::Publish(publish) => ask(publish.reach, |session| {
            Box::pin(publish::run(session, publish.what))
        }),
        Verb::Events(noun) => ask(noun.reach, |session| Box::pin(events::run(session, noun.verb))),
        Verb::Deliveries(noun) => ask(noun.reach, |session| {
            Box::pin(deliveries::run(session, noun.verb))
        }),
        Verb::Attempts(noun) => ask(noun.reach, |session| Box::pin(attempts::run(session, noun.verb))),
        Verb::Dlq(noun) => ask(noun.reach, |session| Box::pin(dlq::run(session, noun.verb))),
        Verb::Changes(noun) => ask(noun.reach, |session| Box::pin(changes::run(session, noun.verb))),
        Verb::Kinds(noun) => ask(noun.reach, |session| Box::pin(kinds::run(session, noun.verb))),
        Verb::Config(noun) => config::run(noun.verb),
        Verb::Completion(completion) => completion::run(&completion),
        Verb::Man(man) => man::run(&man),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

type Work<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), CliError>> + 'a>>;

/// One thread is enough for one caller; Ctrl-C ends it wherever it waits.
fn ask(reach: reach::Reach, work: impl for<'a> FnOnce(&'a mut Session) -> Work<'a>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("start", error.to_string()))?;
    runtime.block_on(async {
        let mut session = Session::open(&reach)?;
        unless(tokio::signal::ctrl_c(), &mut session, work).await
    })
}

/// Does the work unless `interrupted` comes first; then says what is left behind.
async fn unless(
    interrupted: impl Future,
    session: &mut Session,
    work: impl for<'a> FnOnce(&'a mut Session) -> Work<'a>,
) -> Result<(), CliError> {
    let outcome = tokio::select! {
        // Order: the work is begun first, so that Ctrl-C still ends the process by itself while the work reads stdin
        // and nothing can be asked; and what has come to its end is not called interrupted.
        biased;
        outcome = work(session) => Some(outcome),
        _ = interrupted => None,
    };
    outcome.unwrap_or_else(|| Err(session.cut_short(CliError::interrupted())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    type Doing = Box<dyn for<'a> FnOnce(&'a mut Session) -> Work<'a>>;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_of_the_papers_is_understood() {
        for line in [
            "pushrail serve --node-id 1 --data-dir d --listen 127.0.0.1:7400 --peer-listen 127.0.0.1:7401 \
             --http-listen 127.0.0.1:7402",
            "pushrail cluster init --member 1=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3 --member 2=h:1,h:2,h:3",
            "pushrail cluster status --server 127.0.0.1:1,127.0.0.1:2 --server 127.0.0.1:3 -o json",
            "pushrail tenants create acme --description Acme",
            "pushrail tenants --server 127.0.0.1:1 list --limit 5",
            "pushrail destinations create hook --tenant acme --url https://example.com/h --retry-waits 1s,5s",
            "pushrail destinations create --tenant acme --url https://example.com/h --retry-first 2s --retry-factor 3 \
             --retry-cap 1h --retries 5 --retry-window 12h --retry-floor 30s --concurrency 4",
            "pushrail destinations pause hook --tenant acme",
            "pushrail destinations test hook --tenant acme",
            "pushrail routes create --tenant acme --pattern order.* --destination hook",
            "pushrail publish --tenant acme --type order.paid --data {} --idempotency-key k",
            "pushrail publish --tenant acme --type order.paid --data-file -",
            "pushrail publish --tenant acme --batch-file events.ndjson",
            "pushrail events explain evt_1 --tenant acme --consistency linearizable",
            "pushrail events get evt_1 --tenant acme --consistency at-least:tok_1",
            "pushrail attempts list --tenant acme --destination hook --since 2h --until 2026-11-24T10:00:00Z",
            "pushrail attempts list --tenant acme --event evt_1 --oldest-first --all",
            "pushrail attempts list --tenant acme --outcome failed --cause auth --status 401 --type order.paid",
            "pushrail deliveries list --tenant acme --destination hook --state dead --since 2h --oldest-first",
            "pushrail dlq list --tenant acme",
            "pushrail dlq list --tenant acme --by-cause",
            "pushrail dlq list --tenant acme --cause too-large --status 413",
            "pushrail dlq show dlv_1 --tenant acme",
            "pushrail dlq replay --tenant acme --all --destination hook --cause server --wait",
            "pushrail dlq discard --tenant acme dlv_1 dlv_2 --yes",
            "pushrail dlq discard --tenant acme --all --destination hook --yes",
            "pushrail dlq jobs list --tenant acme",
            "pushrail dlq jobs get job_1 --tenant acme",
            "pushrail dlq jobs cancel job_1 --tenant acme",
            "pushrail dlq replay --tenant acme dlv_1 dlv_2",
            "pushrail tenants update acme --description Acme --version 2 --actor ann@ops",
            "pushrail tenants delete acme --yes",
            "pushrail destinations update hook --tenant acme --url https://example.com/h --retries 3",
            "pushrail destinations rotate hook --tenant acme --overlap 2h --secret-file -",
            "pushrail destinations delete hook --tenant acme --yes --request-id r1",
            "pushrail routes update all --tenant acme --pattern order.** --destination hook",
            "pushrail routes delete all --tenant acme --yes",
            "pushrail changes list --tenant acme --destination hook --by ann --since 2h --oldest-first --all",
            "pushrail kinds list",
            "pushrail kinds show webhook",
            "pushrail sandbox --keep sand -o json",
            "pushrail config check --config node.toml",
            "pushrail config print --node-id 1 --data-dir d --set log.level=debug -o toml",
            "pushrail completion zsh",
            "pushrail man target/man",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}\n{error}"));
        }
    }

    #[test]
    fn a_wrong_verb_is_met_with_the_right_one() {
        let error = parse("pushrail tenants creat acme").unwrap_err().to_string();

        assert!(error.contains("'create'"), "{error}");
    }

    #[test]
    fn retry_waits_exclude_the_growing_ones() {
        let line = "pushrail destinations create --tenant a --url https://e.com --retry-waits 1s --retries 3";

        assert!(parse(line).is_err());
    }

    /// Ctrl-C right after the verb has begun, in front of a node that takes connections and never says a word.
    async fn interrupted(line: &str) -> CliError {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let line = format!("{line} --server {}", mute.local_addr().unwrap());
        let verb = parse(&line).unwrap().verb;
        let (reach, work): (_, Doing) = if let Verb::Publish(publish) = verb {
            (
                publish.reach,
                Box::new(|session| Box::pin(publish::run(session, publish.what))),
            )
        } else if let Verb::Tenants(noun) = verb {
            (
                noun.reach,
                Box::new(|session| Box::pin(tenants::run(session, noun.verb))),
            )
        } else if let Verb::Dlq(noun) = verb {
            (
                noun.reach,
                Box::new(|session| Box::pin(dlq::run(session, noun.verb))),
            )
        } else {
            panic!("{verb:?} is not asked here");
        };
        let mut session = Session::open(&reach).unwrap();
        unless(std::future::ready(()), &mut session, work)
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn who_interrupts_a_write_is_told_what_makes_a_repeat_harmless() {
        let batch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(batch.path(), "{\"type\":\"a\",\"data\":1}\n").unwrap();
        let batch = format!(
            "pushrail publish --tenant acme --batch-file {}",
            batch.path().display()
        );

        for (line, key) in [
            (
                "pushrail publish --tenant acme --type a --data 1",
                "--idempotency-key cli-",
            ),
            (batch.as_str(), "--idempotency-key cli-"),
            ("pushrail tenants create acme", "--request-id req-"),
            ("pushrail dlq replay --tenant acme dlv_1", "--request-id req-"),
            (
                "pushrail tenants create acme --request-id mine",
                "--request-id mine: ",
            ),
        ] {
            let error = interrupted(line).await;

            let text = error.text();
            assert_eq!(error.exit(), error::Exit::Interrupted, "{line}: {text}");
            assert!(text.contains("may have been accepted"), "{line}: {text}");
            assert!(
                text.contains(&format!("try: the same command with {key}")),
                "{line}: {text}"
            );
        }
        let read = interrupted("pushrail tenants list").await;
        assert_eq!(read.text(), "error: cannot wait for an answer: interrupted\n");
    }

    #[tokio::test]
    async fn dead_letters_are_given_up_only_by_who_says_that_it_is_meant() {
        for line in [
            "pushrail dlq discard --tenant acme dlv_1",
            "pushrail dlq discard --tenant acme --all --destination hook",
        ] {
            let refused = interrupted(line).await;
            let meant = interrupted(&format!("{line} --yes")).await;

            assert_eq!(refused.exit(), error::Exit::Usage, "{line}");
            assert_eq!(
                refused.text(),
                "error: cannot discard dead letters: it cannot be undone\n  try: the same command with --yes\n"
            );
            assert_eq!(meant.exit(), error::Exit::Interrupted, "{line}");
        }
    }
}
