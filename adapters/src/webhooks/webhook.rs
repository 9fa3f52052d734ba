//! `webhook`: the event's payload, byte for byte, as a signed POST, as the Standard Webhooks specification says.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pushrail_model::limits;
use pushrail_model::outcome::Cause;
use url::Url;

use crate::adapter::{Adapter, Dispatch, Fault, Link};
use crate::http::{HttpKind, HttpLink};
use crate::net::{Net, Request};
use crate::rules::{Class, Effects, On, Rule};
use crate::settings::{Credential, Invalid, Settings};
use crate::sign::standard_webhooks::Secret;
use crate::spec::{Batch, Family, Field, Presence, Spec};
use crate::webhooks::headers::{self, Shown};

/// Bytes of a URL: what receivers' servers commonly take.
const URL_BYTES_MAX: usize = 2048;

const AGENT: &str = concat!("Pushrail/", env!("CARGO_PKG_VERSION"));
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The kind.
pub struct Webhook;

static SPEC: Spec = Spec {
    kind: "webhook",
    family: Family::Webhooks,
    summary: "The payload as a signed HTTP POST, as the Standard Webhooks specification says.",
    settings: &[
        Field {
            name: "url",
            form: "an http or https URL of at most 2048 bytes, without user name, password and fragment",
            presence: Presence::Required,
            docs: "Where the events are posted. Only public addresses are dialled, unless the cluster's configuration \
               allows others.",
            example: "https://example.com/hooks/pushrail",
        },
        Field {
            name: "headers",
            form: "an object of at most 32 header names and texts, 6 KiB together",
            presence: Presence::Default("{}"),
            docs: "Sent with every request. Names that Pushrail or the connection sets are refused; those that prove \
               something (authorization, cookie) belong into the credential.",
            example: r#"{"x-tenant":"acme"}"#,
        },
    ],
    credential: &[
        Field {
            name: "secret",
            form: "`whsec_` and standard base64 of 24 to 64 bytes",
            presence: Presence::Made,
            docs: "Signs every request; the receiver verifies with the same secret. During a rotation both sign.",
            example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        },
        Field {
            name: "headers",
            form: "an object of at most 32 header names and texts, 6 KiB together",
            presence: Presence::Default("{}"),
            docs: "Sent with every request like those of the settings, before which they stand; shown to nobody.",
            example: r#"{"authorization":"Bearer 3f0a"}"#,
        },
    ],
    batch: Batch {
        events_max: 1,
        bytes_max: limits::PAYLOAD_BYTES_HARD_MAX,
    },
    repeat: "the header webhook-id is the event's id, the same over all attempts and replays",
    own_rules: &[Rule {
        on: On::Status(410, 410),
        class: Class::Permanent(Cause::Missing),
        why: "the receiver says that it is gone for good and wants no more events",
        effects: Effects::Disables,
    }],
};

impl Adapter for Webhook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn open(
        &self,
        settings: &Settings,
        credential: &Credential,
        previous: &[Credential],
        net: &Net,
    ) -> Result<Arc<dyn Link>, Vec<Invalid>> {
        let fields = settings.fields();
        let url = fields.required("url", url);
        let open = fields.object("headers", |members| headers::read(members, Shown::ToReaders));
        let mut invalid = fields.finish();
        let fields = credential.fields();
        let secret = fields.required("secret", Secret::parse);
        let hidden = fields.object("headers", |members| headers::read(members, Shown::ToNobody));
        invalid.extend(fields.finish());
        let mut secrets: Vec<Secret> = secret.into_iter().collect();
        for credential in previous {
            let fields = credential.fields();
            secrets.extend(fields.required("secret", Secret::parse));
            // What else it held was for the requests of its own time.
            fields.object("headers", |members| headers::read(members, Shown::ToNobody));
            invalid.extend(fields.finish());
        }

        match (url, open, hidden) {
            (Some(url), Some(open), Some(hidden)) if invalid.is_empty() => {
                let mut headers = open;
                headers.extend(hidden);
                Ok(Arc::new(HttpLink {
                    kind: Configured {
                        url,
                        secrets,
                        headers,
                    },
                    net: net.clone(),
                }))
            }
            _ => Err(invalid),
        }
    }

    fn fill_credential(&self, credential: Credential) -> Credential {
        if credential.has("secret") {
            return credential;
        }
        credential.with("secret", Secret::generate().to_text())
    }
}

fn url(text: &str) -> Result<Url, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("must not be longer than {URL_BYTES_MAX} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    let why = match url.scheme() {
        "http" | "https" if url.port() == Some(0) => "must not name port 0",
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            "must not hold a user name or password; it is shown to everybody who may see the destination"
        }
        "http" | "https" if url.fragment().is_some() => "must not have a fragment (#…): it is never sent",
        "http" | "https" => return Ok(url),
        _ => "must begin with http:// or https://",
    };
    Err(why.to_owned())
}

/// A webhook, configured.
struct Configured {
    url: Url,
    /// Every one signs, the present one first: a receiver takes a request that any of its secrets verifies.
    secrets: Vec<Secret>,
    // The caller's own, which are sent with every request.
    headers: HeaderMap,
}

impl HttpKind for Configured {
    fn request(&self, batch: &[Dispatch<'_>]) -> Result<Request, Fault> {
        let [dispatch] = batch else {
            return Err(Fault::Unsendable);
        };
        let timestamp = dispatch.now.0 / 1_000_000;
        let signatures: Vec<String> = self
            .secrets
            .iter()
            .map(|secret| secret.sign(&dispatch.event_id, timestamp, &dispatch.body))
            .collect();
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| Fault::Unsendable);

        // Order: ours are put in last; none of the caller's has one of their names, and none can take their place.
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, header(dispatch.content_type)?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(WEBHOOK_ID, header(&dispatch.event_id)?);
        headers.insert(WEBHOOK_TIMESTAMP, timestamp.into());
        headers.insert(WEBHOOK_SIGNATURE, header(&signatures.join(" "))?);
        Ok(Request {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: dispatch.body.clone(),
        })
    }

    /// A HEAD: it proves address, connection and that something answers, and is no event to anybody.
    fn probe(&self) -> Request {
        let mut headers = self.headers.clone();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Request {
            method: Method::HEAD,
            url: self.url.clone(),
            headers,
            body: bytes::Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests;
