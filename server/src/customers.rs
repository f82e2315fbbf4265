//! The register of customers: for whom events name by an id, the name and the addresses that a customer system has. It is
//! nothing but a question to the log: the newest event of each customer among those that connectors read of contacts. Values stand
//! in it as they do in the log, sealed under the customer's key.

use crate::{
    folder::{Opened, append_facts},
    pipeline::tolerant::Tolerant,
    respond::state::custos,
};
use anyhow::{Context as _, bail};
use custos_event::{
    Ends, Fact, FieldTable, ParsedEvent, Position, Private, Timestamp, ValueRef, ecs,
};
use custos_search::{Ask, Hit, Index, Query, SearchRequest, quoted};
use custos_store::Store;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Where events of contacts have what a notice needs.
const ID: &str = "custos.crm_event.customer.id";
const NAME: &str = "custos.crm_event.customer.name";
const EMAIL: &str = "custos.crm_event.customer.email";
const PHONE: &str = "custos.crm_event.customer.phone";
const OWNER: &str = "custos.crm_event.owner";
const DELETED: &str = "custos.crm_event.deleted";
/// Only connectors write under `crm:`: nobody who may ship events can put an address of their own into the register.
const CONTACTS: &str = r#"event.action:"crm-contact" and custos.source:crm\:*"#;
const SOURCE_END: &str = "-contacts";

/// States of one customer, or of those who share an address, that are looked at: the newest. Ten changes a year make 1,000 in
/// a century.
const STATES_MAX: usize = 1_000;
/// Customers who share an address or a number, and are told.
const CUSTOMERS_MAX: usize = 50;
/// States from which is counted how many customers there are: 50,000 × 20 µs is a second.
const COUNTED_MAX: usize = 50_000;

/// How often it is looked whether the index has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// By what somebody is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Id,
    Email,
    Phone,
}

impl By {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Id => ID,
            Self::Email => EMAIL,
            Self::Phone => PHONE,
        }
    }
}

/// What a system has of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) source: String,
    /// `zoho`, `fxiaoke`.
    pub(crate) system: String,
    pub(crate) object: String,
    pub(crate) record: String,
    /// Who of the staff looks after them, by id.
    pub(crate) owner: Option<String>,
    pub(crate) modified: Timestamp,
    pub(crate) is_deleted: bool,
    /// As the log has them.
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    /// The event that says so.
    pub(crate) position: Position,
}

/// How much there is of one source.
pub(crate) struct Extent {
    /// Events: states of customers.
    pub(crate) states: u64,
    pub(crate) customers: usize,
    /// Else there are at least so many.
    pub(crate) is_exact: bool,
}

/// Clones share index and log.
#[derive(Clone)]
pub(crate) struct Register {
    index: Index,
    store: Store,
    table: Arc<FieldTable>,
    /// Set where it is to be seen as it was: where the logs ended.
    then: Option<Ends>,
}

impl Register {
    pub(crate) fn new(index: &Index, opened: &Opened) -> Self {
        let (store, table) = (opened.store.clone(), Arc::clone(&opened.table));
        Self { index: index.clone(), store, table, then: None }
    }

    /// The same as it was.
    pub(crate) fn at(self, then: Option<Ends>) -> Self {
        Self { then, ..self }
    }

    /// Whom the register has under this: the newest state in each system, if that still says so.
    pub(crate) fn find(&self, by: By, value: &str) -> anyhow::Result<Vec<Customer>> {
        let query = self.query(&with(by, value))?;
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for hit in self.search(&query)? {
            let Some(one) = self.read(&hit) else { continue };
            let is_new = seen.insert((one.source.clone(), one.id.clone()));
            if !is_new || found.len() >= CUSTOMERS_MAX {
                continue;
            }
            if by == By::Id {
                found.push(one);
                continue;
            }
            // Who has moved on is no longer there: an old address may be somebody else's by now.
            found.extend(
                self.newest(&one)?
                    .filter(|(hit, _)| query.matches(&hit.event, &self.table))
                    .map(|(_, one)| one),
            );
        }
        Ok(found)
    }

    /// The newest state of the same customer in the same system.
    fn newest(&self, one: &Customer) -> anyhow::Result<Option<(Hit, Customer)>> {
        let hits = self.search(&self.query(&with(By::Id, &one.id))?)?;
        let read = |hit: Hit| self.read(&hit).map(|read| (hit, read));
        Ok(hits.into_iter().filter_map(read).find(|(_, read)| read.source == one.source))
    }

    /// Waits until all that is durable now is found: who has just given an address up must not be written to there.
    pub(crate) fn reach(&self, limit: Duration) -> anyhow::Result<()> {
        let wanted = self.store.last_commit();
        let mut left = limit;
        while self.index.cursor().commit() < wanted {
            if left.is_zero() {
                bail!(
                    "the index is behind the log, and an address in it may be an old one; try again when it has caught up"
                );
            }
            let step = left.min(LOOK_EVERY);
            std::thread::park_timeout(step);
            left -= step;
        }
        Ok(())
    }

    /// Where a notice to a customer goes. That somebody reads it is written down first, with `reason`.
    pub(crate) fn address(
        &self,
        customer: &str,
        reason: String,
    ) -> anyhow::Result<Private<String>> {
        let found = self.find(By::Id, customer)?;
        if found.is_empty() {
            bail!(
                "the register has no customer '{customer}'; see that contacts of a [[crm]] section are read and that \
                 its id is the field by which events name customers"
            );
        }
        let living: Vec<_> = found.iter().filter(|one| !one.is_deleted).collect();
        if living.is_empty() {
            bail!("customer '{customer}' was deleted in the customer system");
        }
        let mut addresses = BTreeMap::new();
        for one in living {
            let Some(sealed) = &one.email else { continue };
            let clear = self.store.keyring().open_field(sealed).with_context(|| {
                format!("the address of customer '{customer}' cannot be read: it was erased")
            })?;
            addresses.insert(clear.reveal().to_lowercase(), (clear, one.position));
        }
        if addresses.len() > 1 {
            bail!(
                "systems have different addresses of customer '{customer}'; write to them by hand"
            );
        }
        let Some((address, position)) = addresses.into_values().next() else {
            bail!("the customer system has no mail address of customer '{customer}'");
        };
        let fact = Fact::FieldRevealed { position, field: EMAIL.into(), reason };
        append_facts(&self.store, &custos(), vec![fact])
            .map_err(|failure| failure.into_error().context("nothing is read unwritten"))?;
        Ok(address)
    }

    /// How much `source` has given.
    pub(crate) fn extent(&self, source: &str) -> anyhow::Result<Extent> {
        let query = format!(r#"event.action:"crm-contact" and custos.source:{}"#, quoted(source));
        let (query, log) = (self.query(&query)?, Tolerant::new(&self.store));
        let request = SearchRequest::default();
        let (states, _) = self.index.count(&query, &request, &log)?;
        let ask = Ask { field: ID.into(), events_max: COUNTED_MAX, ..Ask::default() };
        let ids = self.index.values(&query, &request, &ask, &|| false, &log)?;
        Ok(Extent { states, customers: ids.distinct, is_exact: ids.exact })
    }

    fn query(&self, text: &str) -> anyhow::Result<Query> {
        let query = Query::parse(text).context("the register's own query does not read")?;
        let keyring = self.store.keyring();
        Ok(query.with_sealed(|value| keyring.find_value(value)).before(self.then.clone()))
    }

    /// Newest first.
    fn search(&self, query: &Query) -> anyhow::Result<Vec<Hit>> {
        let request = SearchRequest { limit: STATES_MAX, ..SearchRequest::default() };
        Ok(self.index.search(query, &request, &Tolerant::new(&self.store))?.hits)
    }

    /// `None` for what is no state of a customer.
    fn read(&self, Hit { position, event }: &Hit) -> Option<Customer> {
        let source = event.header.source.to_string();
        if !is_contacts(&source) {
            return None;
        }
        let text = |name: &str| self.text(event, name);
        let of = |field| event.str(field).unwrap_or_default().to_owned();
        let deleted = self.table.get(DELETED).and_then(|field| event.get(field));
        Some(Customer {
            id: text(ID)?,
            source,
            system: of(ecs::SERVICE_NAME),
            object: of(ecs::CUSTOS_CRM_MODULE),
            record: of(ecs::CUSTOS_CRM_RECORD_ID),
            owner: text(OWNER),
            modified: event.header.time,
            is_deleted: deleted == Some(ValueRef::Bool(true)),
            name: text(NAME),
            email: text(EMAIL),
            phone: text(PHONE),
            position: *position,
        })
    }

    fn text(&self, event: &ParsedEvent, name: &str) -> Option<String> {
        event.str(self.table.get(name)?).map(str::to_owned)
    }
}

/// Whether a source is one of contacts.
pub(crate) fn is_contacts(source: &str) -> bool {
    source.starts_with("crm:") && source.ends_with(SOURCE_END)
}

fn with(by: By, value: &str) -> String {
    format!("{CONTACTS} and {}:{}", by.field(), quoted(value))
}

#[cfg(test)]
mod tests;
