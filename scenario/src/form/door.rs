//! Doors and the cameras beside them, as docs/sources/door.md has them.

use super::json;
use crate::cast::{Person, Site};
use custos_event::Timestamp;
use serde::Serialize;

/// What a reader or a door contact says.
#[derive(Clone, Debug)]
pub(crate) struct Access<'a> {
    pub(crate) site: &'static Site,
    pub(crate) door: &'a str,
    pub(crate) direction: &'a str,
    pub(crate) person: Option<&'a Person>,
    pub(crate) result: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) held: bool,
    pub(crate) forced: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    site: &'a str,
    door: &'a str,
    reader: String,
    direction: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Credential<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Holder<'a>>,
    /// The name that is printed on the badge.
    #[serde(skip_serializing_if = "Option::is_none")]
    printed: Option<&'a str>,
    result: &'a str,
    reason: &'a str,
    held: bool,
    forced: bool,
    tamper: bool,
}

#[derive(Serialize)]
struct Credential<'a> {
    hash: &'a str,
    kind: &'a str,
}

#[derive(Serialize)]
struct Holder<'a> {
    id: &'a str,
    /// The account, so that doors and machines speak of the same person.
    name: &'a str,
    email: String,
}

impl<'a> Access<'a> {
    /// Somebody shows a badge and is let in.
    pub(crate) fn granted(person: &'a Person, door: &'a str, direction: &'a str) -> Self {
        let (site, person) = (person.site, Some(person));
        let (held, forced) = (false, false);
        Self { site, door, direction, person, result: "granted", reason: "", held, forced }
    }

    /// Somebody shows a badge and is not let in.
    pub(crate) fn denied(person: &'a Person, door: &'a str, reason: &'a str) -> Self {
        Self { result: "denied", reason, ..Self::granted(person, door, "in") }
    }

    /// The contact of a door says that it was opened by force.
    pub(crate) fn forced(site: &'static Site, door: &'a str) -> Self {
        let (result, reason) = ("denied", "no credential");
        let direction = "in";
        Self { site, door, direction, person: None, result, reason, held: false, forced: true }
    }

    pub(crate) fn line(&self, time: Timestamp) -> String {
        let credential = self.person.map(|p| Credential { hash: &p.badge, kind: "badge" });
        json(&Line {
            time,
            site: self.site.name,
            door: self.door,
            reader: format!("{}-{}", self.door, self.direction),
            direction: self.direction,
            credential,
            person: self.person.map(holder),
            printed: self.person.map(|p| p.name.as_str()),
            result: self.result,
            reason: self.reason,
            held: self.held,
            forced: self.forced,
            tamper: false,
        })
    }
}

fn holder(person: &Person) -> Holder<'_> {
    let email = format!("{}@bank.example", person.login);
    Holder { id: &person.id, name: &person.login, email }
}

/// What a camera beside a door saw.
#[derive(Debug)]
pub(crate) struct Camera<'a> {
    pub(crate) site: &'static Site,
    pub(crate) door: &'a str,
    pub(crate) people: u64,
    pub(crate) message: &'a str,
}

#[derive(Serialize)]
struct Sight<'a> {
    time: Timestamp,
    site: &'a str,
    door: &'a str,
    reader: String,
    result: &'a str,
    people: u64,
    message: &'a str,
}

impl Camera<'_> {
    pub(crate) fn line(&self, time: Timestamp) -> String {
        let reader = format!("camera-{}", self.door);
        let (site, door, people, message) = (self.site.name, self.door, self.people, self.message);
        json(&Sight { time, site, door, reader, result: "seen", people, message })
    }
}
