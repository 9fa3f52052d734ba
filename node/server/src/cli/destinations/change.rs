//! A destination that changes: its settings, its retries, its credential. A secret comes from a file or stdin.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pushrail_api::v1::{
    Destination, GetDestinationRequest, RotateCredentialRequest, UpdateDestinationRequest,
};
use pushrail_model::limits;
use serde_json::{Value, json};

use crate::cli::changing::{Version, linearizable};
use crate::cli::destinations::create::{credential, object};
use crate::cli::destinations::retry::Retry;
use crate::cli::error::CliError;
use crate::cli::reach::{RequestId, TenantFlag, number, text};
use crate::cli::session::{Session, Trying as _};
use crate::cli::{given, times};

/// A destination to change; what is left out stays.
#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    /// Its id
    #[arg(value_parser = text)]
    destination: String,
    #[command(flatten)]
    tenant: TenantFlag,
    /// Sets the setting `url`; the others stay
    #[arg(long, value_parser = text)]
    url: Option<String>,
    /// JSON object of the kind's settings, whole; - is stdin
    #[arg(long, value_name = "FILE")]
    settings_file: Option<PathBuf>,
    /// Attempts at a time, 1 to 256
    #[arg(long, value_name = "NUMBER", value_parser = number(1, limits::DESTINATION_CONCURRENCY_MAX))]
    concurrency: Option<u32>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    request: RequestId,
    #[command(flatten)]
    retry: Retry,
}

/// A credential to be followed by another.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// Its id
    #[arg(value_parser = text)]
    destination: String,
    #[command(flatten)]
    tenant: TenantFlag,
    /// JSON object of the kind's credential; - is stdin. Left out, one is made where the kind can
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// File with the credential `secret` alone, such as whsec_…; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "credential_file")]
    secret_file: Option<PathBuf>,
    /// For how long the one before counts too, at most 7d; 0s: it is out at once [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    overlap: Option<Duration>,
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    request: RequestId,
}

/// Changes a destination, at the version that it was seen at.
pub(super) async fn update(session: &Session, update: Update) -> Result<(), CliError> {
    let tried = format!("change destination {}", update.destination);
    let present = present(session, &update, &tried).await?;
    let request = update.request_on(&present)?;
    let ask = |request_id| {
        session.client.update_destination(UpdateDestinationRequest {
            request_id,
            ..request
        })
    };
    let answer = session.change(|| tried, &update.request, ask).await;
    session.changed(answer.map_err(|error| error.of_kind(&present.kind))?)
}

async fn present(session: &Session, update: &Update, tried: &str) -> Result<Destination, CliError> {
    let request = GetDestinationRequest {
        tenant: update.tenant.tenant.clone(),
        destination: update.destination.clone(),
        consistency: linearizable(),
    };
    let answer = session.client.get_destination(request).await;
    let answer = answer.trying(|| tried.to_owned())?;
    Ok(answer.destination.unwrap_or_default())
}

impl Update {
    /// The request but for its id.
    fn request_on(&self, present: &Destination) -> Result<UpdateDestinationRequest, CliError> {
        let whole = match &self.settings_file {
            Some(path) => Some(object(&given::read_text(path)?, "settings")?),
            None => None,
        };
        let settings = match (whole, &self.url) {
            (None, None) => None,
            (whole, url) => {
                let mut settings = match whole {
                    Some(settings) => settings,
                    None => object(&present.settings, "present settings")?,
                };
                if let Some(url) = url {
                    settings.insert("url".to_owned(), json!(url));
                }
                Some(Value::Object(settings).to_string())
            }
        };
        Ok(UpdateDestinationRequest {
            tenant: self.tenant.tenant.clone(),
            destination: self.destination.clone(),
            version: self.version.version.unwrap_or(present.version),
            settings,
            retry: self.retry.policy_on(present.retry.as_ref())?,
            concurrency: self.concurrency,
            description: self.description.clone(),
            request_id: String::new(),
        })
    }
}

/// Gives a destination another credential, which is shown this once.
pub(super) async fn rotate(session: &Session, rotate: Rotate) -> Result<(), CliError> {
    let request = RotateCredentialRequest {
        tenant: rotate.tenant.tenant.clone(),
        destination: rotate.destination.clone(),
        credential: credential(rotate.credential_file.as_deref(), rotate.secret_file.as_deref())?,
        overlap: rotate.overlap.map(times::duration),
        version: rotate.version.version.unwrap_or_default(),
        request_id: String::new(),
    };
    let tried = || format!("rotate the credential of destination {}", rotate.destination);
    let ask = |request_id| {
        session.client.rotate_credential(RotateCredentialRequest {
            request_id,
            ..request
        })
    };
    let answer = session.change(tried, &rotate.request, ask).await?;
    let credential = answer.credential.clone();
    let value = serde_json::from_str::<Value>(&credential).unwrap_or_default();
    session.changed_with(answer, &[("credential", credential, value)])?;
    session.note("the credential is shown this once: keep it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pushrail_api::v1::retry_policy::Waits;
    use pushrail_api::v1::{ExponentialWaits, RetryPolicy};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        update: Update,
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    fn request(line: &[&str]) -> UpdateDestinationRequest {
        let fixed = ["x", "--tenant", "acme", "hook"];
        let given = Line::try_parse_from(fixed.iter().chain(line)).unwrap_or_else(|error| panic!("{error}"));
        let present = Destination {
            settings: r#"{"headers":{"x-a":"b"},"url":"https://old.example/"}"#.to_owned(),
            retry: Some(RetryPolicy {
                waits: Some(Waits::Exponential(ExponentialWaits {
                    first: seconds(7),
                    factor: 3,
                    cap: seconds(70),
                    retries: Some(5),
                })),
                window: seconds(700),
                floor: seconds(9),
            }),
            version: 7,
            ..Destination::default()
        };
        given.update.request_on(&present).unwrap()
    }

    #[test]
    fn what_is_left_out_stays_and_the_version_is_that_which_was_seen() {
        let url = request(&["--url", "https://new.example/"]);
        let concurrency = request(&["--concurrency", "3", "--version", "5"]);
        let retry = request(&["--retries", "2"]);
        let growing = ExponentialWaits {
            first: seconds(7),
            factor: 3,
            cap: seconds(70),
            retries: Some(2),
        };

        assert_eq!(
            url.settings.as_deref(),
            Some(r#"{"headers":{"x-a":"b"},"url":"https://new.example/"}"#)
        );
        assert_eq!((url.version, url.retry, url.concurrency), (7, None, None));
        assert_eq!(
            (concurrency.version, concurrency.settings, concurrency.concurrency),
            (5, None, Some(3))
        );
        assert_eq!((retry.version, retry.description), (7, None));
        assert_eq!(
            retry.retry,
            Some(RetryPolicy {
                waits: Some(Waits::Exponential(growing)),
                window: seconds(700),
                floor: seconds(9),
            })
        );
    }
}
