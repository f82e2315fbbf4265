//! Customers, as customer systems have them: who an id of our events is, and how much of it is known. Values are sealed here;
//! reading one is the event's `reveal`.

use super::{
    State,
    asking::remember,
    blocking,
    caller::Caller,
    event::Place,
    extract::{Json, Query as Parameters},
    problem::Problem,
};
use crate::customers::{By, Customer, Extent, Register, is_contacts};
use custos_event::{Fact, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// As events name the customer. One of the three, or none: then it is told how much is known.
    id: Option<String>,
    /// The whole address, in any case.
    email: Option<String>,
    /// The whole number, as the customer system writes it.
    phone: Option<String>,
}

impl Ask {
    fn by(self) -> Result<Option<(By, String)>, Problem> {
        let all = [(By::Id, self.id), (By::Email, self.email), (By::Phone, self.phone)];
        let given = all.into_iter().filter_map(|(by, value)| Some((by, value?.trim().to_owned())));
        let mut given: Vec<_> = given.collect();
        let one = given.pop();
        if !given.is_empty() || one.as_ref().is_some_and(|(_, value)| value.is_empty()) {
            return Err(Problem::wrong("give one of id, email and phone, and all of it"));
        }
        Ok(one)
    }
}

/// Whom the register has, and how much it holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Customers {
    customers: Vec<CustomerShown>,
    /// Those that contacts are read of, also where none has come yet.
    sources: Vec<RegisterSource>,
}

/// What one system has of a customer, newest first. Values are as the log has them: sealed.
#[derive(Serialize, ToSchema)]
#[schema(as = Customer)]
pub(super) struct CustomerShown {
    id: String,
    source: String,
    /// `zoho`, `fxiaoke`.
    system: String,
    /// The module or object that it is a record of.
    object: String,
    record: String,
    /// Who of the staff looks after them, by the system's id.
    owner: Option<String>,
    #[schema(value_type = String)]
    modified: Timestamp,
    /// The system says that they are no more.
    deleted: bool,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// Their key is there: who may reveal, can read them.
    readable: bool,
    /// The event that says so: `reveal` it to read the values.
    position: Place,
}

/// How much one connector has told of customers.
#[derive(Serialize, ToSchema)]
pub(super) struct RegisterSource {
    source: String,
    /// Distinct ids; at least so many where `exact` is false.
    customers: usize,
    exact: bool,
    /// Each change of a customer is one.
    states: u64,
    /// Everything that was changed before this time is there; none where the connector does not run.
    #[schema(value_type = Option<String>)]
    read_up_to: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    read_at: Option<Timestamp>,
    /// What is wrong with the connector now.
    trouble: Option<String>,
}

pub(super) async fn find(
    state: State,
    caller: Caller,
    Parameters(ask): Parameters<Ask>,
) -> Result<Json<Customers>, Problem> {
    let by = ask.by()?;
    blocking(move || {
        let register = Register::new(&state.index, &state.opened).at(state.then.clone());
        let mut customers = Vec::new();
        if let Some((by, value)) = &by {
            let found = register.find(*by, value)?;
            let query = recorded(&state, *by, value);
            remember(&state, &caller, Fact::Searched { query, results: found.len() as u64 });
            customers = found.into_iter().map(|one| shown(&state, one)).collect();
        }
        Ok(Json(Customers { customers, sources: sources(&state, &register)? }))
    })
    .await
}

/// What was asked, as the journal may have it: of an address or a number that nobody here has, not even that.
fn recorded(state: &State, by: By, value: &str) -> String {
    let is_known = by == By::Id || !state.opened.store.keyring().find_value(value).is_empty();
    let value = if is_known { value.replace('"', " ") } else { "(of nobody known)".into() };
    format!("customers | {}:\"{value}\"", by.name())
}

fn shown(state: &State, one: Customer) -> CustomerShown {
    let keyring = state.opened.store.keyring();
    let sealed = [&one.name, &one.email, &one.phone];
    let readable = sealed.into_iter().flatten().all(|text| keyring.open_field(text).is_some());
    CustomerShown {
        readable,
        id: one.id,
        source: one.source,
        system: one.system,
        object: one.object,
        record: one.record,
        owner: one.owner,
        modified: one.modified,
        deleted: one.is_deleted,
        name: one.name,
        email: one.email,
        phone: one.phone,
        position: one.position.into(),
    }
}

fn sources(state: &State, register: &Register) -> Result<Vec<RegisterSource>, Problem> {
    let conditions = state.inlets.crm.all();
    let mut names: BTreeSet<Arc<str>> =
        conditions.iter().map(|(name, _)| Arc::clone(name)).collect();
    names.extend(state.views.read().sources.iter().map(|(name, _)| Arc::from(name)));
    let mut all = Vec::new();
    for name in names.into_iter().filter(|name| is_contacts(name)) {
        let Extent { states, customers, is_exact } = register.extent(&name)?;
        let condition = conditions.iter().find(|(of, _)| *of == name).map(|(_, one)| one);
        all.push(RegisterSource {
            source: name.to_string(),
            customers,
            exact: is_exact,
            states,
            read_up_to: condition.and_then(|one| one.read_up_to),
            read_at: condition.and_then(|one| one.read_at),
            trouble: condition.and_then(|one| Some(one.ailment.as_ref()?.text.clone())),
        });
    }
    Ok(all)
}
