//! `pushrail.v1.Kinds`: shows the very specs and rules that the code runs on.

use pushrail_adapters::registry;
use pushrail_adapters::rules::{Class, Effects, Rule};
use pushrail_adapters::spec::{Field, Presence, Spec};
use pushrail_api::v1::kinds_server;
use pushrail_api::v1::{
    self, GetKindRequest, GetKindResponse, Kind, KindField, KindRule, ListKindsRequest, ListKindsResponse,
    RuleClass,
};
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort};
use crate::services::{convert, status};

/// Shows kinds.
pub(super) struct Kinds;

#[tonic::async_trait]
impl kinds_server::Kinds for Kinds {
    async fn get(&self, request: Request<GetKindRequest>) -> Result<Response<GetKindResponse>, Status> {
        let name = request.into_inner().kind;
        match registry::adapter(&name) {
            Some(adapter) => Ok(Response::new(GetKindResponse {
                kind: Some(message(adapter.spec())),
            })),
            None => Err(status::read(Refusal::NotFound {
                sort: Sort::Kind,
                id: name,
            })),
        }
    }

    async fn list(&self, _: Request<ListKindsRequest>) -> Result<Response<ListKindsResponse>, Status> {
        let mut kinds: Vec<Kind> = registry::all()
            .iter()
            .map(|adapter| message(adapter.spec()))
            .collect();
        kinds.sort_by(|one, other| one.kind.cmp(&other.kind));
        Ok(Response::new(ListKindsResponse { kinds }))
    }
}

fn message(spec: &Spec) -> Kind {
    Kind {
        kind: spec.kind.to_owned(),
        family: spec.family.name().to_owned(),
        description: spec.summary.to_owned(),
        settings: spec.settings.iter().map(field).collect(),
        credential: spec.credential.iter().map(field).collect(),
        rules: spec.rules().map(rule).collect(),
        repeats: spec.repeat.to_owned(),
        batch_events_max: u32::try_from(spec.batch.events_max).unwrap_or(u32::MAX),
    }
}

fn field(field: &Field) -> KindField {
    let (presence, default_value) = match field.presence {
        Presence::Required => (v1::Presence::Required, ""),
        Presence::Made => (v1::Presence::Made, ""),
        Presence::Default(value) => (v1::Presence::Default, value),
    };
    KindField {
        name: field.name.to_owned(),
        presence: i32::from(presence),
        default_value: default_value.to_owned(),
        form: field.form.to_owned(),
        description: field.docs.to_owned(),
        example: field.example.to_owned(),
    }
}

fn rule(rule: &Rule) -> KindRule {
    let (class, cause) = match rule.class {
        Class::Delivered => (RuleClass::Delivered, v1::Cause::Unspecified),
        Class::Transient(cause) => (RuleClass::Transient, convert::cause(cause)),
        Class::Permanent(cause) => (RuleClass::Permanent, convert::cause(cause)),
    };
    KindRule {
        on: rule.on.to_string(),
        class: i32::from(class),
        cause: i32::from(cause),
        disables_destination: rule.effects == Effects::Disables,
        floors: rule.effects == Effects::Floors,
        why: rule.why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_shows_every_rule_in_the_order_in_which_it_is_tried() {
        let spec = registry::adapter("webhook").unwrap().spec();

        let kind = message(spec);

        assert_eq!(kind.rules.len(), spec.rules().count());
        let gone = &kind.rules[0];
        assert_eq!(
            (gone.on.as_str(), gone.class()),
            ("status 410", RuleClass::Permanent)
        );
        assert!(gone.disables_destination);
    }
}
