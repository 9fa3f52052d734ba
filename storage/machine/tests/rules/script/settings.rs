//! The words for settings: `update tenant acme description=new events=2d version=1` · `update destination acme/hook
//! concurrency=2 version=1` · `update route acme all pattern=order.* to=hook version=1` · `remove tenant acme` ·
//! `remove destination acme/hook` · `remove route acme all` · `rotate acme/hook credential=new overlap=24h` ·
//! `rewrap acme/hook from=0 credential=sealed` · `cancel acme destination=1`; each with `request=` and `by=`.

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_model::command::Command;
use pushrail_model::destination::Destination;
use pushrail_model::ids::DestinationNo;
use pushrail_model::settings::{
    CancelDeliveries, RemoveDestination, RemoveRoute, RemoveTenant, Rewrap, RewrapCredentials,
    RotateCredential, UpdateDestination, UpdateRoute, UpdateTenant,
};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;

use crate::samples;
use crate::script::Words;
use crate::world::World;

pub(super) fn command(world: &World, words: &Words<'_>) -> Command {
    match (words.plain(0), words.plain(1)) {
        ("update", what) => update(what, words),
        ("remove", what) => remove(what, words),
        ("rotate", name) => {
            let (tenant, id) = name.split_once('/').unwrap();
            Command::RotateCredential(RotateCredential {
                tenant: tenant.parse().unwrap(),
                id: id.parse().unwrap(),
                credential: Bytes::copy_from_slice(words.named["credential"].as_bytes()),
                overlap: words.span("overlap").unwrap_or(Span::ZERO),
                version: words.number("version").unwrap_or(0),
                request_id: words.request().to_owned(),
                actor: None,
            })
        }
        ("rewrap", name) => {
            let (tenant, destination) = named(world, name);
            Command::RewrapCredentials(RewrapCredentials {
                credentials: vec![Rewrap {
                    partition: Partition::of(&tenant.id),
                    tenant: tenant.number,
                    destination: destination.number,
                    revision: words.needed("from"),
                    credential: Bytes::copy_from_slice(words.named["credential"].as_bytes()),
                    previous: Vec::new(),
                }],
            })
        }
        ("cancel", tenant) => {
            let tenant = query::config::tenant(&world.store, &tenant.parse().unwrap())
                .unwrap()
                .unwrap();
            Command::CancelDeliveries(CancelDeliveries {
                partition: Partition::of(&tenant.id),
                tenant: tenant.number,
                destination: DestinationNo(u32::try_from(words.needed("destination")).unwrap()),
            })
        }
        (other, _) => panic!("no such command: {other}"),
    }
}

fn update(what: &str, words: &Words<'_>) -> Command {
    let (version, request_id) = (words.needed("version"), words.request().to_owned());
    match what {
        "tenant" => Command::UpdateTenant(UpdateTenant {
            id: words.plain(2).parse().unwrap(),
            description: words.text("description"),
            retention: words.retention(),
            version,
            request_id,
            content_hash: said(words),
            actor: None,
        }),
        "destination" => {
            let (tenant, id) = words.plain(2).split_once('/').unwrap();
            let Command::PutDestination(put) = samples::destination(tenant, id, "") else {
                panic!("a destination is put");
            };
            let mut spec = put.spec;
            spec.credential = Bytes::from_static(b"not looked at");
            spec.concurrency = u32::try_from(words.needed("concurrency")).unwrap();
            Command::UpdateDestination(UpdateDestination {
                tenant: put.tenant,
                id: put.id,
                spec,
                version,
                request_id,
                content_hash: said(words),
                actor: None,
            })
        }
        "route" => Command::UpdateRoute(UpdateRoute {
            tenant: words.plain(2).parse().unwrap(),
            id: words.plain(3).parse().unwrap(),
            pattern: words.named["pattern"].parse().unwrap(),
            destination: words.named["to"].parse().unwrap(),
            version,
            request_id,
            content_hash: said(words),
            actor: None,
        }),
        other => panic!("update {other}"),
    }
}

/// All but what a repeat may say otherwise.
fn said(words: &Words<'_>) -> u128 {
    let other = |name: &&str| !["version", "request", "by"].contains(name);
    let said = words.named.iter().filter(|(name, _)| other(name));
    let said: Vec<&str> = said.flat_map(|(name, value)| [*name, *value]).collect();
    samples::said(&said)
}

fn remove(what: &str, words: &Words<'_>) -> Command {
    let version = words.number("version").unwrap_or(0);
    let request_id = words.request().to_owned();
    match what {
        "tenant" => Command::RemoveTenant(RemoveTenant {
            id: words.plain(2).parse().unwrap(),
            version,
            request_id,
            actor: None,
        }),
        "destination" => {
            let (tenant, id) = words.plain(2).split_once('/').unwrap();
            Command::RemoveDestination(RemoveDestination {
                tenant: tenant.parse().unwrap(),
                id: id.parse().unwrap(),
                version,
                request_id,
                actor: None,
            })
        }
        "route" => Command::RemoveRoute(RemoveRoute {
            tenant: words.plain(2).parse().unwrap(),
            id: words.plain(3).parse().unwrap(),
            version,
            request_id,
            actor: None,
        }),
        other => panic!("remove {other}"),
    }
}

fn named(world: &World, name: &str) -> (Tenant, Destination) {
    let (tenant, destination) = name.split_once('/').unwrap();
    let tenant = query::config::tenant(&world.store, &tenant.parse().unwrap())
        .unwrap()
        .unwrap();
    let destination = query::config::destination(&world.store, &tenant, &destination.parse().unwrap());
    (tenant, destination.unwrap().unwrap())
}
