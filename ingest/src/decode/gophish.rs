//! What `GoPhish` tells of a phishing drill by its webhook: one step of one person.

use super::{
    Read,
    fields::{add, add_some, is_usable, raise, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};
use serde::Deserialize;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct Gophish {
    time: FieldId,
    details: FieldId,
}

/// The browser of who clicked; `details` is a text with JSON in it.
#[derive(Deserialize)]
struct Details {
    browser: Browser,
}

#[derive(Deserialize)]
struct Browser {
    address: Option<String>,
    #[serde(rename = "user-agent")]
    agent: Option<String>,
}

impl Gophish {
    pub(super) fn new(table: &FieldTable) -> Self {
        Self { time: table.intern("gophish.time"), details: table.intern("gophish.details") }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        let said = event.str(ecs::CUSTOS_PHISHING_ACTION).map(slug).unwrap_or_default();
        if said.is_empty() || !event.get(ecs::USER_EMAIL).is_some_and(is_usable) {
            return Err("no 'message' or no 'email', which every event of a drill has".into());
        }
        add(event, ecs::EVENT_MODULE, "gophish");
        add(event, ecs::EVENT_DATASET, "gophish.event");
        add(event, ecs::EVENT_KIND, "event");
        add(event, ecs::EVENT_CATEGORY, "email");
        add(event, ecs::EVENT_ACTION, &format!("phishing-{said}"));
        raise(event, ecs::USER_NAME, ecs::USER_EMAIL);
        raise(event, ecs::MESSAGE, ecs::CUSTOS_PHISHING_ACTION);
        let details = event.str(self.details).map(serde_json::from_str::<Details>);
        if let Some(Ok(Details { browser })) = details {
            let address = browser.address.filter(|text| text.parse::<IpAddr>().is_ok());
            add_some(event, ecs::SOURCE_IP, address.as_deref());
            add_some(event, ecs::USER_AGENT_ORIGINAL, browser.agent.as_deref());
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}
