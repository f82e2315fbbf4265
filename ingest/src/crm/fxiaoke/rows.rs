//! Records and their change logs become rows; of a record's own content only what was asked for is kept.

use super::answer::millis;
use crate::crm::{
    contacts::{self, ContactsConfig, Told},
    place::{Row, Window},
    without_nothing,
};
use serde_json::{Map, Value, json};

/// What tells who did what and when; a customer's own data stays where it is.
const KEPT: &[&str] = &[
    "_id",
    "object_describe_api_name",
    "record_type",
    "create_time",
    "created_by",
    "last_modified_time",
    "last_modified_by",
    "owner",
    "data_own_department",
    "life_status",
    "lock_status",
    "is_deleted",
    "version",
    "tenant_id",
];

/// A record that was made or changed in `window`.
pub(crate) fn of_record(
    object: &str,
    record: &Value,
    window: Window,
    fields: &[String],
) -> Option<Row> {
    let modified = millis(&record["last_modified_time"])?;
    let second = modified.div_euclid(1_000);
    let id = record["_id"].as_str()?;
    if !window.has(second) {
        return None;
    }
    let is_new = millis(&record["create_time"]) == Some(modified);
    let is_kept = |name: &str| KEPT.contains(&name) || fields.iter().any(|field| field == name);
    let kept: Map<String, Value> = record
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let row = json!({
        "time": modified,
        "system": "fxiaoke",
        "user": without_nothing(json!({"id": person(&record["last_modified_by"])})),
        "action": if is_new { "create" } else { "update" },
        "module": object,
        "record": id,
        "row": Value::Object(kept),
    });
    // What else is in it may be written otherwise the next time it is asked for.
    let identity = format!("{object}\0{id}\0{modified}").into_bytes();
    Some(Row { second, identity, json: without_nothing(row).to_string().into() })
}

/// A contact that was made or changed in `window`.
pub(crate) fn of_contact(config: &ContactsConfig, record: &Value, window: Window) -> Option<Row> {
    let second = millis(&record["last_modified_time"])?.div_euclid(1_000);
    if !window.has(second) {
        return None;
    }
    let told = Told {
        system: "fxiaoke",
        record: record["_id"].as_str()?,
        modified: &record["last_modified_time"],
        second,
        owner: person(&record["owner"]),
        is_deleted: record["is_deleted"] == true || record["life_status"] == "invalid",
    };
    contacts::row(config, record, &told)
}

/// One entry of a record's change log.
pub(crate) fn of_change(object: &str, id: &str, entry: &Value, window: Window) -> Option<Row> {
    let time = millis(&entry["operationTime"])?;
    let second = time.div_euclid(1_000);
    if !window.has(second) {
        return None;
    }
    let words = [&entry["operationType"], &entry["operationLabel"]];
    let is_word = |text: &&str| !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit());
    let action = words.iter().filter_map(|word| word.as_str()).find(is_word).unwrap_or("change");
    let owner = &entry["owner"];
    let row = json!({
        "time": time,
        "system": "fxiaoke",
        "id": entry["logID"],
        "user": without_nothing(json!({"id": person(&owner["employeeID"]), "name": owner["name"]})),
        "action": action,
        "module": object,
        "record": id,
        "message": entry["logMsg"],
        "row": entry,
    });
    let identity = match entry["logID"].as_str() {
        Some(log) => format!("{object}\0{id}\0{log}").into_bytes(),
        None => format!("{object}\0{id}\0{entry}").into_bytes(),
    };
    Some(Row { second, identity, json: without_nothing(row).to_string().into() })
}

/// An id, alone or the first of a list.
fn person(value: &Value) -> Value {
    let one = value.get(0).unwrap_or(value);
    one.as_i64().map_or_else(|| one.clone(), |id| id.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: 1_700, to: 1_800 };

    #[test]
    fn of_a_record_who_and_when_is_kept_and_of_its_content_what_was_asked_for() {
        let record = json!({
            "_id": "a1", "create_time": 1_700_000, "last_modified_time": 1_700_500, "last_modified_by": ["1001"],
            "name": "Al", "tel": "+86 1", "owner": ["1002"],
        });
        let row = of_record("ContactObj", &record, WINDOW, &["name".into()]).unwrap();
        let json: Value = serde_json::from_slice(&row.json).unwrap();
        assert_eq!(
            (json["action"].as_str(), json["user"]["id"].as_str()),
            (Some("update"), Some("1001"))
        );
        assert_eq!((json["row"]["name"].as_str(), json["row"]["tel"].as_str()), (Some("Al"), None));
        assert_eq!(row.second, 1_700);
        for (time, found) in [(1_699_999, false), (1_799_999, true), (1_800_000, false)] {
            let mut other = record.clone();
            other["last_modified_time"] = time.into();
            assert_eq!(of_record("ContactObj", &other, WINDOW, &[]).is_some(), found, "{time}");
        }
        let mut new = record;
        new["create_time"] = 1_700_500.into();
        let row = of_record("ContactObj", &new, WINDOW, &[]).unwrap();
        assert!(String::from_utf8_lossy(&row.json).contains(r#""action":"create""#));
    }

    #[test]
    fn a_contact_is_who_it_is_how_to_reach_them_and_whether_it_still_is() {
        let config = ContactsConfig {
            every: std::time::Duration::from_hours(1),
            object: "ContactObj".into(),
            fields: contacts::ContactFields::fxiaoke(),
        };
        let record = json!({
            "_id": "a1", "last_modified_time": 1_700_500, "name": "王", "mobile1": "138", "tel1": "010", "remark": "x",
            "owner": ["1002"], "is_deleted": false, "life_status": "normal",
        });
        let row = of_contact(&config, &record, WINDOW).unwrap();
        let expected = json!({
            "time": 1_700_500, "system": "fxiaoke", "action": "contact", "module": "ContactObj", "record": "a1",
            "owner": "1002", "customer": {"id": "a1", "name": "王", "phone": "138"},
        });
        assert_eq!(serde_json::from_slice::<Value>(&row.json).unwrap(), expected);
        for (field, value) in [("is_deleted", json!(true)), ("life_status", json!("invalid"))] {
            let mut gone = record.clone();
            gone[field] = value;
            let row = of_contact(&config, &gone, WINDOW).unwrap();
            assert!(String::from_utf8_lossy(&row.json).contains(r#""deleted":true"#), "{field}");
        }
        let later = Window { from: 1_701, ..WINDOW };
        assert_eq!(of_contact(&config, &record, later), None);
    }

    #[test]
    fn an_entry_of_a_change_log_is_told_by_its_id() {
        let entry = json!({
            "logID": "L1", "logMsg": "电话: 1 → 2", "owner": {"employeeID": 1001, "name": "王"},
            "operationTime": "1700500", "operationType": "2", "operationLabel": "编辑",
        });
        let row = of_change("ContactObj", "a1", &entry, WINDOW).unwrap();
        let json: Value = serde_json::from_slice(&row.json).unwrap();
        assert_eq!(json["action"], "编辑");
        assert_eq!(json["user"], json!({"id": "1001", "name": "王"}));
        assert_eq!((&json["message"], &json["row"]), (&entry["logMsg"], &entry));
        let mut later = entry.clone();
        later["logMsg"] = "shown otherwise".into();
        assert_eq!(of_change("ContactObj", "a1", &later, WINDOW).unwrap().identity, row.identity);
        later["operationTime"] = 1_800_000.into();
        assert_eq!(of_change("ContactObj", "a1", &later, WINDOW), None);
    }
}
