//! A destination to make, as the command line gives it: settings and credential.

use std::path::{Path, PathBuf};

use clap::Args;
use pushrail_api::v1::CreateDestinationRequest;
use pushrail_model::limits;
use serde_json::{Map, Value, json};

use crate::cli::destinations::retry::Retry;
use crate::cli::error::CliError;
use crate::cli::given;
use crate::cli::reach::{RequestId, TenantFlag, number, text};

/// A destination to make.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Its id: a-z, 0-9 and -, at most 64; left out, one is made
    #[arg(value_parser = text)]
    pub(super) destination: Option<String>,
    #[command(flatten)]
    pub(super) tenant: TenantFlag,
    /// What sort of place (pushrail kinds list)
    #[arg(long, default_value = "webhook", value_parser = text)]
    pub(super) kind: String,
    /// Sets the setting `url`
    #[arg(long, required_unless_present = "settings_file", value_parser = text)]
    url: Option<String>,
    /// JSON object of the kind's settings; - is stdin
    #[arg(long, value_name = "FILE")]
    settings_file: Option<PathBuf>,
    /// JSON object of the kind's credential; - is stdin. Left out, one is made where the kind can
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// File with the credential `secret` alone, such as whsec_…; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "credential_file")]
    secret_file: Option<PathBuf>,
    /// Attempts at a time, 1 to 256 [default: 16]
    #[arg(long, value_name = "NUMBER", value_parser = number(1, limits::DESTINATION_CONCURRENCY_MAX))]
    concurrency: Option<u32>,
    /// For people
    #[arg(long, default_value = "")]
    description: String,
    #[command(flatten)]
    pub(super) request: RequestId,
    #[command(flatten)]
    retry: Retry,
}

impl Create {
    /// The request but for its id.
    pub(super) fn request(&self) -> Result<CreateDestinationRequest, CliError> {
        let mut settings = match &self.settings_file {
            Some(path) => object(&given::read_text(path)?, "settings")?,
            None => Map::new(),
        };
        if let Some(url) = &self.url {
            settings.insert("url".to_owned(), json!(url));
        }
        let credential = credential(self.credential_file.as_deref(), self.secret_file.as_deref())?;
        Ok(CreateDestinationRequest {
            tenant: self.tenant.tenant.clone(),
            destination: self.destination.clone().unwrap_or_default(),
            kind: self.kind.clone(),
            settings: Value::Object(settings).to_string(),
            credential,
            retry: Some(self.retry.policy()),
            concurrency: self.concurrency.unwrap_or_default(),
            description: self.description.clone(),
            request_id: String::new(),
        })
    }
}

/// A credential from its files; empty where there is none.
pub(super) fn credential(whole: Option<&Path>, secret: Option<&Path>) -> Result<String, CliError> {
    match (whole, secret) {
        (Some(path), _) => given::read_text(path),
        (None, Some(path)) => Ok(json!({ "secret": given::read_text(path)?.trim() }).to_string()),
        (None, None) => Ok(String::new()),
    }
}

/// A JSON object.
pub(super) fn object(text: &str, what: &str) -> Result<Map<String, Value>, CliError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(CliError::usage(
            format!("read the {what}"),
            "it is not a JSON object",
        )),
        Err(error) => Err(CliError::usage(format!("read the {what}"), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pushrail_api::v1::{ExplicitWaits, ExponentialWaits, retry_policy};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn request(line: &[&str]) -> CreateDestinationRequest {
        given(line)
            .unwrap_or_else(|error| panic!("{error}"))
            .request()
            .unwrap()
    }

    fn given(line: &[&str]) -> Result<Create, clap::Error> {
        let fixed = ["x", "--tenant", "acme", "--url", "https://example.com/h"];
        Line::try_parse_from(fixed.iter().chain(line)).map(|line| line.create)
    }

    #[test]
    fn waits_are_a_list_or_grow() {
        let explicit = request(&["--retry-waits", "1s,5s"]).retry.unwrap();
        let none = request(&["--retry-waits", ""]).retry.unwrap();
        let growing = request(&["--retry-first", "2s", "--retries", "0", "--retry-window", "1h"])
            .retry
            .unwrap();

        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        assert_eq!(
            explicit.waits,
            Some(retry_policy::Waits::Explicit(ExplicitWaits {
                waits: vec![seconds(1), seconds(5)]
            }))
        );
        assert_eq!(
            none.waits,
            Some(retry_policy::Waits::Explicit(ExplicitWaits { waits: vec![] }))
        );
        assert_eq!(
            growing.waits,
            Some(retry_policy::Waits::Exponential(ExponentialWaits {
                first: Some(seconds(2)),
                factor: 0,
                cap: None,
                retries: Some(0)
            }))
        );
        assert_eq!(growing.window, Some(seconds(3600)));
    }

    #[test]
    fn a_secret_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "whsec_abc\n").unwrap();

        let request = request(&["--secret-file", file.path().to_str().unwrap()]);

        assert_eq!(request.credential, r#"{"secret":"whsec_abc"}"#);
        assert_eq!(request.settings, r#"{"url":"https://example.com/h"}"#);
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_option_and_what_is_allowed() {
        for (line, said) in [
            (["--concurrency", "0"], "a whole number from 1 to 256"),
            (["--retries", "51"], "a whole number from 0 to 50"),
            (
                ["--retry-waits", "1s,,2s"],
                "wait 2 is ``: it must be a length of time",
            ),
            (["--retry-waits", "1s,2"], "wait 2 is `2`"),
            (["--kind", ""], "must not be empty"),
        ] {
            let error = given(&line).unwrap_err().to_string();
            assert!(error.contains(line[0]) && error.contains(said), "{error}");
        }
    }
}
