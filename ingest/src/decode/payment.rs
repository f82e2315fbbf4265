//! The generic event of a payment (docs/sources/payment.md). Its shape brings the keys to ECS; here its
//! action and outcome are told.

use super::{
    Read,
    fields::{add, is_usable, raise, raise_ip, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Payment {
    time: FieldId,
    ip: FieldId,
    /// The plain forms of keys that may also be objects.
    plain: [(FieldId, FieldId); 2],
}

impl Payment {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("custos.payment_event.{name}"));
        Self {
            time: own("time"),
            ip: own("ip"),
            plain: [
                (ecs::CUSTOS_PAYMENT_CARD_TOKEN, own("card")),
                (ecs::USER_NAME, own("customer")),
            ],
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        let has = |field| event.get(field).is_some_and(is_usable);
        let marks = [ecs::CUSTOS_PAYMENT_AMOUNT, ecs::CUSTOS_PAYMENT_KIND, ecs::CUSTOS_PAYMENT_ID];
        if !marks.into_iter().any(has) {
            return Err(
                "neither 'amount' nor 'kind' nor 'id', one of which a payment event has".into()
            );
        }
        for (ecs, plain) in self.plain {
            raise(event, ecs, plain);
        }
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.ip);
        add(event, ecs::EVENT_MODULE, "custos");
        add(event, ecs::EVENT_DATASET, "custos.payment");
        add(event, ecs::EVENT_KIND, "event");
        let kind = event.str(ecs::CUSTOS_PAYMENT_KIND).map(slug).unwrap_or_default();
        let kind = if kind.is_empty() { "event" } else { &kind };
        add(event, ecs::EVENT_ACTION, &format!("payment-{kind}"));
        let result = event.str(ecs::CUSTOS_PAYMENT_RESULT).map(str::to_ascii_lowercase);
        match result.as_deref() {
            Some("approved") => add(event, ecs::EVENT_OUTCOME, "success"),
            Some("declined" | "failed" | "error") => add(event, ecs::EVENT_OUTCOME, "failure"),
            Some(_) | None => {}
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}
