//! Events of Keycloak: of its users (`type`) and of its administrators (`operationType`), as its REST API and its
//! event listeners write them.

use super::{
    Read,
    fields::{Raises, add, add_some, is_usable, raise_ip, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Keycloak {
    time: FieldId,
    kind: FieldId,
    error: FieldId,
    operation: FieldId,
    resource: FieldId,
    path: FieldId,
    addresses: [FieldId; 2],
    rows: Raises,
}

impl Keycloak {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("keycloak.{name}"));
        let rows = [
            (ecs::EVENT_ID, "keycloak.id"),
            (ecs::EVENT_REASON, "keycloak.error"),
            (ecs::USER_NAME, "keycloak.details.username"),
            (ecs::USER_EMAIL, "keycloak.details.email"),
            (ecs::USER_ID, "keycloak.userId"),
            (ecs::USER_ID, "keycloak.authDetails.userId"),
            (ecs::ORGANIZATION_NAME, "keycloak.realmName"),
            (ecs::ORGANIZATION_ID, "keycloak.realmId"),
        ];
        Self {
            time: own("time"),
            kind: own("type"),
            error: own("error"),
            operation: own("operationType"),
            resource: own("resourceType"),
            path: own("resourcePath"),
            addresses: [own("ipAddress"), own("authDetails.ipAddress")],
            rows: Raises::new(table, &rows),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        let text = |field| event.str(field).unwrap_or_default().to_owned();
        let (kind, operation) = (text(self.kind), text(self.operation));
        let failed = event.get(self.error).is_some_and(is_usable) || kind.ends_with("_ERROR");
        let (dataset, action, category) = if !kind.is_empty() {
            let action = word(kind.strip_suffix("_ERROR").unwrap_or(&kind));
            let category = category(&action);
            ("keycloak.event", action, category)
        } else if !operation.is_empty() {
            let action = format!("{}-{}", word(&operation), word(&text(self.resource)));
            ("keycloak.admin", action, "iam")
        } else {
            return Err(
                "neither 'type' nor 'operationType', one of which an event of Keycloak has".into(),
            );
        };
        add(event, ecs::EVENT_MODULE, "keycloak");
        add(event, ecs::EVENT_DATASET, dataset);
        add(event, ecs::EVENT_KIND, "event");
        add(event, ecs::EVENT_CATEGORY, category);
        add(event, ecs::EVENT_ACTION, action.trim_end_matches('-'));
        add(event, ecs::EVENT_OUTCOME, if failed { "failure" } else { "success" });
        self.rows.apply(event);
        for address in self.addresses {
            if raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, address) {
                break;
            }
        }
        let path = event.str(self.path).and_then(|path| path.strip_prefix("users/"));
        let target = path.map(|rest| rest.split('/').next().unwrap_or_default().to_owned());
        add_some(event, ecs::USER_TARGET_ID, target.as_deref());
        Ok(event.get(self.time).and_then(time::of_value))
    }
}

/// `UPDATE_PASSWORD` is `update-password`.
fn word(text: &str) -> String {
    slug(text).replace('_', "-")
}

/// What changes an account, and what only proves to be its owner's.
fn category(action: &str) -> &'static str {
    let changes = ["register", "update-", "remove-", "delete-", "reset-", "grant-", "revoke-"];
    if changes.iter().any(|begin| action.starts_with(begin)) { "iam" } else { "authentication" }
}
