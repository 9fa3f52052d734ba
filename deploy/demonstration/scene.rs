//! Who takes part: three customers of a product, their endpoints, and which of their events go where.

use std::sync::Arc;
use std::time::Duration;

use harness::audit::Endpoint;
use harness::behaviour::{Answer, Behaviour};
use harness::door::{Door, Webhook};
use harness::load::Plan;
use harness::receiver::Receiver;
use tonic::Status;

/// How many events are published.
pub(crate) const EVENTS: usize = 2000;

/// The customers' endpoints: most are well, one host is away for a while.
pub(crate) struct Scene {
    pub(crate) well: Arc<Receiver>,
    pub(crate) away: Arc<Receiver>,
    pub(crate) endpoints: Vec<Endpoint>,
}

struct Part {
    tenant: &'static str,
    destination: &'static str,
    pattern: &'static str,
    host: Host,
    behaviour: Behaviour,
    /// As the table of the cast says it.
    manner: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    Well,
    Away,
}

fn cast() -> Vec<Part> {
    let part = |tenant, destination, pattern, host, behaviour, manner| Part {
        tenant,
        destination,
        pattern,
        host,
        behaviour,
        manner,
    };
    let ok = Behaviour::default;
    // Every fourth request that comes for the first time fails, and the same event's second one too.
    let flaky = Behaviour::of(|seen| match seen.of_event {
        0 if seen.of_path % 4 == 0 => Answer::status(500),
        1 if seen.of_path % 2 == 0 => Answer::status(502),
        _ => Answer::status(200),
    });
    vec![
        part("acme", "shop", "order.*", Host::Well, ok(), "answers 200"),
        part(
            "acme",
            "ledger",
            "**",
            Host::Well,
            flaky,
            "answers 500 now and then, later 200",
        ),
        part("globex", "crm", "**", Host::Well, ok(), "answers 200"),
        part(
            "globex",
            "warehouse",
            "order.*",
            Host::Away,
            ok(),
            "is down until all is published",
        ),
        part("initech", "crm", "order.*", Host::Well, ok(), "answers 200"),
        part(
            "initech",
            "legacy",
            "invoice.*",
            Host::Well,
            Behaviour::always(401),
            "answers 401",
        ),
    ]
}

impl Scene {
    pub(crate) async fn receivers() -> Self {
        Self {
            well: Arc::new(Receiver::start().await),
            away: Arc::new(Receiver::start().await),
            endpoints: Vec::new(),
        }
    }

    /// Makes tenants, destinations and routes; answers a line about each.
    pub(crate) async fn set(&mut self, door: &Door) -> Result<Vec<String>, Status> {
        let mut lines = Vec::new();
        for part in cast() {
            let receiver = match part.host {
                Host::Well => &self.well,
                Host::Away => &self.away,
            };
            let path = format!("/{}/{}", part.tenant, part.destination);
            receiver.script(&path, part.behaviour);
            door.create_tenant(part.tenant).await?;
            let secret = door
                .create_webhook(&webhook(part.tenant, part.destination, &receiver.url(&path)))
                .await?;
            receiver.check(&path, &secret);
            door.create_route(part.tenant, part.pattern, part.destination)
                .await?;
            lines.push(format!(
                "  {:<8} {:<10} → {}/{:<9} which {}",
                part.tenant, part.pattern, part.tenant, part.destination, part.manner
            ));
            self.endpoints.push(Endpoint {
                tenant: part.tenant.to_owned(),
                destination: part.destination.to_owned(),
                receiver: Arc::clone(receiver),
                path,
            });
        }
        Ok(lines)
    }

    /// What is published: all customers, four types of event.
    pub(crate) fn plan() -> Plan {
        let all = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
        Plan {
            tenants: all(&["acme", "globex", "initech"]),
            event_types: all(&["order.paid", "order.shipped", "invoice.made", "order.refunded"]),
            events: EVENTS,
            batch: 20,
            callers: 6,
            payload_bytes: 500,
            name: String::from("demo"),
        }
    }
}

/// With waits that fit a demo: what takes hours at customers' ends takes seconds here.
fn webhook(tenant: &str, destination: &str, url: &str) -> Webhook {
    let mut waits = vec![Duration::from_millis(200), Duration::from_millis(400)];
    waits.extend([Duration::from_millis(800); 38]);
    Webhook {
        waits,
        floor: Duration::from_millis(200),
        concurrency: 32,
        ..Webhook::new(tenant, destination, url)
    }
}
