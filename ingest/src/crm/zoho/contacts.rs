//! Contacts, asked for in COQL: those that were changed in a stretch, page after page by their ids. Whatever is changed
//! meanwhile, no record that stays is passed over, as it would be by offsets.

use super::{Grant, Zoho, answer, authorization, iso};
use crate::{
    crm::{
        at,
        contacts::{self, ContactsConfig, Told},
        place::{Row, Window},
        trouble::Trouble,
        turn::Turn,
        web::Ask,
    },
    decode::time,
};
use custos_event::time::NANOS_PER_SEC;
use serde_json::{Value, json};

/// As many as one query gives; it takes three credits.
const PAGE_RECORDS: usize = 2_000;
/// Of one stretch: fifty pages, of which some 30 MiB are kept. More is asked for in shorter stretches.
const RECORDS_MAX: usize = 100_000;

impl Zoho {
    pub(super) fn changed_contacts(
        &mut self,
        config: &ContactsConfig,
        window: Window,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        let mut rows = Vec::new();
        let (mut count, mut last) = (0, None);
        loop {
            let (records, is_last) = self.page(&query(config, window, last), turn)?;
            for record in &records {
                last = Some(follows(record, last)?);
                rows.extend(row(config, record, window)?);
            }
            count += records.len();
            if is_last || records.is_empty() {
                return Ok(rows);
            }
            if count >= RECORDS_MAX {
                let why = format!("more than {RECORDS_MAX} contacts were changed in one stretch");
                return Err(Trouble::TooLarge(why));
            }
        }
    }

    fn page(&mut self, query: &str, turn: &Turn<'_>) -> Result<(Vec<Value>, bool), Trouble> {
        let body = json!({ "select_query": query });
        let send = |grant: &Grant| {
            let url = format!("{}/crm/v8/coql", grant.api);
            // People's data: nothing of it is told, whatever is wrong with the answer.
            let ask = Ask::json(&url, &body).secret();
            turn.web.send(ask.with("authorization", authorization(grant)))
        };
        self.ask(turn, send, |answer| {
            answer::contacts(&answer, answer::trouble(&answer, turn.now())?)
        })
    }
}

fn query(config: &ContactsConfig, window: Window, after: Option<u64>) -> String {
    let mut names = vec!["id", "Modified_Time", "Owner"];
    for name in config.fields.all() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (names, object) = (names.join(", "), &config.object);
    let (from, to) = (iso(window.from), iso(window.to));
    let changed = format!("(Modified_Time >= '{from}' and Modified_Time < '{to}')");
    let wanted = after.map_or(changed.clone(), |id| format!("({changed} and id > '{id}')"));
    format!("select {names} from {object} where {wanted} order by id asc limit {PAGE_RECORDS}")
}

/// The record's id, where it is behind the last one's.
fn follows(record: &Value, last: Option<u64>) -> Result<u64, Trouble> {
    let id = at(record, "id");
    let id = id.as_u64().or_else(|| id.as_str()?.parse().ok());
    let follows = id.filter(|id| last.is_none_or(|last| *id > last));
    follows
        .ok_or_else(|| Trouble::Odd("Zoho gives contacts that do not follow by their ids".into()))
}

fn row(config: &ContactsConfig, record: &Value, window: Window) -> Result<Option<Row>, Trouble> {
    let modified = at(record, "Modified_Time");
    let read = modified.as_str().and_then(time::iso).filter(|read| !read.completed);
    let Some(read) = read else {
        return Err(Trouble::Odd("Zoho gives a contact without a Modified_Time".into()));
    };
    let second = read.at.0.div_euclid(NANOS_PER_SEC);
    if !window.has(second) {
        return Ok(None);
    }
    let id = at(record, "id");
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let told = Told {
        system: "zoho",
        record: &id,
        modified,
        second,
        owner: at(at(record, "Owner"), "id").clone(),
        // COQL gives no record that was deleted.
        is_deleted: false,
    };
    Ok(contacts::row(config, record, &told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crm::contacts::ContactFields;
    use std::time::Duration;

    const WINDOW: Window = Window { from: 1_795_996_800, to: 1_796_000_000 };

    fn config(id: &str) -> ContactsConfig {
        let fields = ContactFields { id: id.into(), ..ContactFields::zoho() };
        ContactsConfig { every: Duration::from_hours(1), object: "Contacts".into(), fields }
    }

    #[test]
    fn a_page_begins_behind_the_last_id_and_asks_for_no_field_twice() {
        assert_eq!(
            query(&config("id"), WINDOW, None),
            "select id, Modified_Time, Owner, Full_Name, Email, Mobile, Phone from Contacts where (Modified_Time >= \
             '2026-11-30T00:00:00+00:00' and Modified_Time < '2026-11-30T00:53:20+00:00') order by id asc limit 2000"
        );
        let next = query(&config("Customer_No"), WINDOW, Some(77));
        assert!(next.contains("Owner, Customer_No, Full_Name"), "{next}");
        assert!(
            next.contains(" where ((Modified_Time >= ") && next.contains(") and id > '77') "),
            "{next}"
        );
    }

    #[test]
    fn a_contact_is_of_the_stretch_in_which_it_was_changed() {
        for (time, found) in [
            ("2026-11-30T01:00:00+01:00", true),
            ("2026-11-30T00:53:19Z", true),
            ("2026-11-30T00:53:20Z", false),
            ("2026-11-29T23:59:59Z", false),
        ] {
            let record =
                json!({"id": "77", "Modified_Time": time, "Owner": {"id": "9"}, "Email": "a@b.c"});
            let row = row(&config("id"), &record, WINDOW).unwrap();
            assert_eq!(row.is_some(), found, "{time}");
        }
        for time in [json!(null), json!("soon"), json!("2026-11-30 00:00:00")] {
            let record = json!({"id": "77", "Modified_Time": time});
            assert_eq!(row(&config("id"), &record, WINDOW).unwrap_err().kind(), "odd");
        }
    }

    #[test]
    fn ids_have_to_rise() {
        let id = |id: Value, last| follows(&json!({ "id": id }), last).ok();
        assert_eq!((id(json!("78"), Some(77)), id(json!(78), None)), (Some(78), Some(78)));
        assert_eq!(id(json!("100"), Some(99)), Some(100));
        for wrong in [json!("77"), json!("7' or id > '0"), json!(null)] {
            assert_eq!(id(wrong.clone(), Some(77)), None, "{wrong}");
        }
    }
}
