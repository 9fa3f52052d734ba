//! Chance for settings: updates, removals, rotations, by people and by the leader; with versions and requests that fit
//! and that do not.

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_model::command::Command;
use pushrail_model::destination::Destination;
use pushrail_model::settings::{
    RemoveDestination, RemoveRoute, RemoveTenant, Rewrap, RewrapCredentials, RotateCredential,
    UpdateDestination, UpdateRoute, UpdateTenant,
};
use pushrail_model::shard::Partition;
use pushrail_model::time::Span;

use crate::properties::chance::{DESTINATIONS, Game, Op, PATTERNS, TENANTS, of};
use crate::samples;

impl Game {
    pub(super) fn settings(&mut self, op: Op) {
        match op.what % 12 {
            0 | 1 => self.update(op),
            2..=4 => self.remove(op),
            5..=7 => self.rotate(op),
            8 => self.rewrap(op),
            _ => self.cancel(op),
        }
    }

    /// Mostly the present version, sometimes a late one.
    fn version(present: Option<u64>, op: Op) -> u64 {
        let present = present.unwrap_or(1);
        if op.d > 200 {
            present.saturating_sub(1)
        } else {
            present
        }
    }

    fn by(&mut self, command: Command, op: Op) {
        let command = match op.c.is_multiple_of(3) {
            true => command,
            false => samples::by(command, of(&["ann", "bob"], op.c)),
        };
        self.gathered.push(command);
    }

    fn request(op: Op) -> String {
        format!("u{}", op.d % 12)
    }

    fn update(&mut self, op: Op) {
        let id = of(&TENANTS, op.a).parse().unwrap();
        let command = match op.c % 3 {
            0 => Command::UpdateTenant(UpdateTenant {
                version: Self::version(self.tenant(op.a).map(|tenant| tenant.version), op),
                id,
                description: format!("words {}", op.d % 4),
                retention: self
                    .tenant(op.a)
                    .map(|tenant| tenant.retention)
                    .unwrap_or_default(),
                request_id: Self::request(op),
                content_hash: u128::from(op.d % 4),
                actor: None,
            }),
            1 => {
                let present = self.destination(op.a, op.b);
                let Some(mut spec) = present.as_ref().map(|present| present.spec.clone()) else {
                    return;
                };
                spec.concurrency = u32::from(op.d % 4) + 1;
                Command::UpdateDestination(UpdateDestination {
                    version: Self::version(present.map(|present| present.version), op),
                    tenant: id,
                    id: of(&DESTINATIONS, op.b).parse().unwrap(),
                    spec,
                    request_id: Self::request(op),
                    content_hash: u128::from(op.d % 4),
                    actor: None,
                })
            }
            _ => {
                let route = of(&["hook", "bill", "route-1", "route-2"], op.b).parse().unwrap();
                let present = self
                    .tenant(op.a)
                    .and_then(|tenant| query::config::route(&self.world.store, &tenant, &route).unwrap());
                Command::UpdateRoute(UpdateRoute {
                    version: Self::version(present.map(|present| present.version), op),
                    tenant: id,
                    id: route,
                    pattern: of(&PATTERNS, op.d).parse().unwrap(),
                    destination: of(&DESTINATIONS, op.d).parse().unwrap(),
                    request_id: Self::request(op),
                    content_hash: u128::from(op.d % 4),
                    actor: None,
                })
            }
        };
        self.by(command, op);
    }

    fn remove(&mut self, op: Op) {
        let tenant = of(&TENANTS, op.a).parse().unwrap();
        let version = u64::from(op.d % 5).saturating_sub(3);
        let request_id = Self::request(op);
        let command = match op.c % 5 {
            0 => Command::RemoveTenant(RemoveTenant {
                id: tenant,
                version,
                request_id,
                actor: None,
            }),
            1..=3 => Command::RemoveDestination(RemoveDestination {
                tenant,
                id: of(&DESTINATIONS, op.b).parse().unwrap(),
                version,
                request_id,
                actor: None,
            }),
            _ => Command::RemoveRoute(RemoveRoute {
                tenant,
                id: of(&["hook", "bill", "route-1", "route-2"], op.b).parse().unwrap(),
                version,
                request_id,
                actor: None,
            }),
        };
        self.by(command, op);
    }

    fn rotate(&mut self, op: Op) {
        let command = Command::RotateCredential(RotateCredential {
            tenant: of(&TENANTS, op.a).parse().unwrap(),
            id: of(&DESTINATIONS, op.b).parse().unwrap(),
            credential: Bytes::from(format!("secret {}", op.d)),
            overlap: of(&[Span::ZERO, Span::HOUR, Span::DAY, Span::DAY, Span::DAY], op.d),
            version: u64::from(op.c % 7).saturating_sub(5),
            request_id: Self::request(op),
            actor: None,
        });
        self.by(command, op);
    }

    fn rewrap(&mut self, op: Op) {
        let Some(destination) = self.destination(op.a, op.b) else {
            return;
        };
        let tenant = self.tenant(op.a).unwrap();
        let Destination {
            number,
            credential_revision,
            mut previous,
            ..
        } = destination;
        previous.truncate(1);
        self.gathered.push(Command::RewrapCredentials(RewrapCredentials {
            credentials: vec![Rewrap {
                partition: Partition::of(&tenant.id),
                tenant: tenant.number,
                destination: number,
                revision: credential_revision.saturating_sub(u64::from(op.d > 200)),
                credential: Bytes::from(format!("sealed {}", op.d)),
                previous,
            }],
        }));
    }

    /// As the leader does: the next step of any removal that is not through.
    fn cancel(&mut self, op: Op) {
        let steps = query::removals::steps(&self.world.store, 8).unwrap();
        if steps.is_empty() {
            return;
        }
        let step = steps[usize::from(op.a) % steps.len()].clone();
        self.gathered.push(Command::CancelDeliveries(step));
    }
}
