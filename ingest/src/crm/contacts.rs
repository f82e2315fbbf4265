//! The people that a system knows: of each record that was changed what a notice needs, and nothing else of it.

use super::{place::Row, without_nothing};
use serde_json::{Value, json};
use std::time::Duration;

/// Which records are read for the register of customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactsConfig {
    /// Between two rounds.
    pub every: Duration,
    /// API name of the module or object: `Contacts`, `ContactObj`.
    pub object: String,
    pub fields: ContactFields,
}

/// API names of fields; of several the first that has a value counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactFields {
    /// By which other events name the customer.
    pub id: String,
    pub name: Vec<String>,
    pub email: Vec<String>,
    pub phone: Vec<String>,
}

/// No name, address or number is longer. What is longer is left out: an event that cannot be read is not sealed either.
const VALUE_CHARS_MAX: usize = 1_000;

impl ContactFields {
    fn of(id: &str, name: &str, email: &str, phone: &[&str]) -> Self {
        Self {
            id: id.into(),
            name: vec![name.into()],
            email: vec![email.into()],
            phone: phone.iter().map(|&name| name.into()).collect(),
        }
    }

    /// What Zoho's own modules of people have, and the record's own id.
    pub fn zoho() -> Self {
        Self::of("id", "Full_Name", "Email", &["Mobile", "Phone"])
    }

    /// What 纷享销客's own objects of people have, and the record's own id.
    pub fn fxiaoke() -> Self {
        Self::of("_id", "name", "email", &["mobile1", "tel1", "mobile", "tel"])
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.name, &self.email, &self.phone].into_iter().flatten();
        std::iter::once(&self.id).chain(lists).map(String::as_str)
    }
}

impl ContactsConfig {
    /// The name of the stream: where another field says who somebody is, all is read anew.
    pub(crate) fn stream(&self) -> String {
        format!("{}/{}", self.object, self.fields.id)
    }
}

/// What a system says of a record beside its fields.
pub(crate) struct Told<'r> {
    pub(crate) system: &'static str,
    pub(crate) record: &'r str,
    /// When it was changed, as the system writes it, and as a second.
    pub(crate) modified: &'r Value,
    pub(crate) second: i64,
    /// Who of the staff looks after it.
    pub(crate) owner: Value,
    pub(crate) is_deleted: bool,
}

/// One state of a contact. `None` where it has no id: no event could name it.
pub(crate) fn row(config: &ContactsConfig, record: &Value, told: &Told<'_>) -> Option<Row> {
    let fields = &config.fields;
    let Some(id) = text(&record[fields.id.as_str()]) else {
        metrics::counter!("custos_crm_contacts_without_id_total", "system" => told.system)
            .increment(1);
        return None;
    };
    let first = |names: &[String]| names.iter().find_map(|name| text(&record[name.as_str()]));
    let customer = without_nothing(json!({
        "id": id,
        "name": first(&fields.name),
        "email": first(&fields.email),
        "phone": first(&fields.phone),
    }));
    let row = json!({
        "time": told.modified,
        "system": told.system,
        "action": "contact",
        "module": config.object,
        "record": told.record,
        "customer": customer,
        "owner": text(&told.owner),
        "deleted": told.is_deleted.then_some(true),
    });
    let identity = format!("{}\0{}\0{}", config.object, told.record, told.modified).into_bytes();
    let json = without_nothing(row).to_string().into();
    Some(Row { second: told.second, identity, json })
}

/// A value that says something.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (1..=VALUE_CHARS_MAX).contains(&text.chars().count()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ContactsConfig {
        let fields = ContactFields { id: "Customer_No".into(), ..ContactFields::zoho() };
        ContactsConfig { every: Duration::from_hours(1), object: "Contacts".into(), fields }
    }

    fn check(record: &Value, expected: Option<&Value>) {
        let modified = json!("2026-11-24T13:30:00Z");
        let told = Told {
            system: "zoho",
            record: "77",
            modified: &modified,
            second: 1_764_000_000,
            owner: json!("9"),
            is_deleted: false,
        };
        let row = row(&config(), record, &told);
        let json = row.map(|row| serde_json::from_slice::<Value>(&row.json).unwrap());
        assert_eq!(json.as_ref(), expected, "{record}");
    }

    #[test]
    fn of_a_record_stays_who_it_is_and_how_to_reach_them() {
        let record = json!({
            "id": "77", "Customer_No": 4711, "Full_Name": " Anna Amsel ", "Email": "anna@example.org", "Mobile": "",
            "Phone": "+49 170 1", "Date_of_Birth": "1970-01-01", "Salary": 9,
        });
        let expected = json!({
            "time": "2026-11-24T13:30:00Z", "system": "zoho", "action": "contact", "module": "Contacts",
            "record": "77", "owner": "9",
            "customer": {"id": "4711", "name": "Anna Amsel", "email": "anna@example.org", "phone": "+49 170 1"},
        });
        check(&record, Some(&expected));
    }

    #[test]
    fn who_has_no_id_is_left_out_and_so_is_a_value_that_is_none() {
        check(&json!({"Customer_No": null, "Full_Name": "Anna"}), None);
        check(&json!({"Customer_No": "  "}), None);
        let long = "x".repeat(VALUE_CHARS_MAX + 1);
        let record = json!({"Customer_No": "1", "Full_Name": long, "Email": ["a@b.c"]});
        let expected = json!({
            "time": "2026-11-24T13:30:00Z", "system": "zoho", "action": "contact", "module": "Contacts",
            "record": "77", "owner": "9", "customer": {"id": "1"},
        });
        check(&record, Some(&expected));
    }

    #[test]
    fn another_field_for_the_id_is_another_stream() {
        let own = ContactsConfig { fields: ContactFields::zoho(), ..config() };
        assert_eq!(
            (own.stream(), config().stream()),
            ("Contacts/id".into(), "Contacts/Customer_No".into())
        );
    }
}
