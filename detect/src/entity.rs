//! Who and what an alert is about.

use custos_event::{Entity, EntityKind, FieldId, ParsedEvent, Shape, ValueRef, ecs};

/// [`Entity::value`] is cut here.
const VALUE_CHARS_MAX: usize = 256;
/// Entities of one alert: a hundred events of a correlation may name more than anybody reads.
const ENTITIES_MAX: usize = 32;

/// Which fields name what, in the order that alerts show them.
const NAMED_BY: [(FieldId, EntityKind); 8] = [
    (ecs::USER_NAME, EntityKind::User),
    (ecs::USER_TARGET_NAME, EntityKind::User),
    (ecs::SOURCE_IP, EntityKind::Address),
    (ecs::CLIENT_IP, EntityKind::Address),
    (ecs::HOST_NAME, EntityKind::Host),
    (ecs::CUSTOS_DOOR_NAME, EntityKind::Door),
    (ecs::CUSTOS_CREDENTIAL_HASH, EntityKind::Credential),
    (ecs::CUSTOS_PAYMENT_CARD_TOKEN, EntityKind::Card),
];

/// The entities of one event, each once.
pub fn entities(event: &ParsedEvent) -> Vec<Entity> {
    let mut found = Vec::new();
    let is_payment = event.header.shape == Shape::Payment;
    for (field, kind) in NAMED_BY {
        // Whoever a payment calls its user is the payer, by an id where there is one.
        if is_payment && kind == EntityKind::User {
            continue;
        }
        add(&mut found, kind, event, field);
    }
    if is_payment {
        let by_id = event.get(ecs::USER_ID).is_some();
        let named = if by_id { ecs::USER_ID } else { ecs::USER_NAME };
        add(&mut found, EntityKind::Customer, event, named);
    }
    found
}

/// Adds `more` to `entities`, each once, up to the limit.
pub(crate) fn merge(entities: &mut Vec<Entity>, more: impl IntoIterator<Item = Entity>) {
    for entity in more {
        if entities.len() < ENTITIES_MAX && !entities.contains(&entity) {
            entities.push(entity);
        }
    }
}

fn add(found: &mut Vec<Entity>, kind: EntityKind, event: &ParsedEvent, field: FieldId) {
    merge(found, event.all(field).filter_map(|value| entity(kind, value)));
}

/// `None` for what says that there is no value.
fn entity(kind: EntityKind, value: ValueRef<'_>) -> Option<Entity> {
    let value: String = value.to_string().chars().take(VALUE_CHARS_MAX).collect();
    (!["", "-"].contains(&value.as_str())).then_some(Entity { kind, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{FieldTable, Header, Parser, Timestamp};
    use std::sync::Arc;

    fn check(shape: Shape, raw: &str, expected: &[(EntityKind, &str)]) {
        let mut parser = Parser::new(Arc::new(FieldTable::new()));
        let header = Header::new("test".into(), Timestamp(0), shape, "test".into());
        let event = ParsedEvent::parse(header, raw.to_owned().into(), &mut parser).unwrap();
        let found = entities(&event);
        let found: Vec<_> = found.iter().map(|it| (it.kind, it.value.as_str())).collect();
        assert_eq!(found, expected, "{raw}");
    }

    #[test]
    fn an_event_names_its_entities_once_each() {
        use EntityKind::{Address, Card, Credential, Customer, Door, Host, User};
        check(
            Shape::Ecs,
            r#"{"user":{"name":["a","-"],"target":{"name":"a"}},"client":{"ip":"10.0.0.1"},
                "source":{"ip":"10.0.0.1"},"host":{"name":"h"}}"#,
            &[(User, "a"), (Address, "10.0.0.1"), (Host, "h")],
        );
        check(
            Shape::Door,
            r#"{"door":{"name":"V"},"credential":{"hash":"9f"},"person":{"name":"Mia"}}"#,
            &[(User, "Mia"), (Door, "V"), (Credential, "9f")],
        );
        check(
            Shape::Payment,
            r#"{"card":{"token":"c"},"customer":{"id":"c-1","name":"Al"}}"#,
            &[(Card, "c"), (Customer, "c-1")],
        );
        check(Shape::Payment, r#"{"customer":{"name":"Al"}}"#, &[(Customer, "Al")]);
        check(Shape::Payment, r#"{"customer":{"name":""}}"#, &[]);
    }

    #[test]
    fn a_long_list_and_a_long_name_are_cut() {
        let names: Vec<_> = (0..40).map(|n| format!("\"{n}{}\"", "x".repeat(300))).collect();
        let raw = format!(r#"{{"user":{{"name":[{}]}}}}"#, names.join(","));
        let mut parser = Parser::new(Arc::new(FieldTable::new()));
        let header = Header::new("test".into(), Timestamp(0), Shape::Ecs, "test".into());
        let found = entities(&ParsedEvent::parse(header, raw.into(), &mut parser).unwrap());
        assert_eq!(found.len(), ENTITIES_MAX);
        assert!(found.iter().all(|it| it.value.chars().count() == VALUE_CHARS_MAX));
    }
}
