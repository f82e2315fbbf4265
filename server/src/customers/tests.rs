//! The register over a real log and index: the newest state counts, only connectors are believed, and what was erased or is
//! in doubt gives no address.

use super::*;
use crate::{
    folder::Folder,
    pipeline::{follow::catch_up, indexer::Indexer, intake::StoreIntake},
    privacy::cases::Cases,
};
use bytes::Bytes;
use custos_event::{Actor, LogId};
use custos_ingest::{
    Batch, Intake as _,
    decode::{Decoder, SourceType},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const ZOHO: &str = "crm:zoho-contacts";

struct Node {
    opened: Opened,
    register: Register,
    _dir: TempDir,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opened = Folder::chosen(Some(dir.path().into())).open(true).unwrap();
        let register = Register::new(&opened.open_index().unwrap(), &opened);
        Self { opened, register, _dir: dir }
    }

    /// One state, from `minute` on, and searchable.
    fn tell(&self, source: &str, minute: u32, customer: &Value) {
        self.tell_of(source, minute, json!({ "customer": customer }));
    }

    fn tell_of(&self, source: &str, minute: u32, mut more: Value) {
        for (name, value) in [
            ("time", json!(format!("2026-11-24T13:{minute:02}:00Z"))),
            ("system", json!("zoho")),
            ("action", json!("contact")),
            ("module", json!("Contacts")),
            ("record", json!("r1")),
        ] {
            more[name] = value;
        }
        let options = self.opened.decoding(SourceType::Crm, source.into()).unwrap();
        let mut decoder = Decoder::new(Arc::clone(&self.opened.table), options);
        let now = Timestamp::from_secs(1_795_507_200);
        let event = decoder.decode(Bytes::from(more.to_string()), now);
        assert_eq!(event.header.rejection, None);
        let (store, table) = (&self.opened.store, &self.opened.table);
        let intake = StoreIntake::new(store.clone(), Arc::clone(table));
        intake.submit_blocking(Batch::new(LogId::TELEMETRY, vec![event])).unwrap();
        let index = &self.register.index;
        let mut indexer = Indexer::new(index, store).unwrap();
        catch_up(store, table, &index.cursor(), &mut indexer).unwrap();
    }

    /// Minutes of the states that are found.
    fn found(&self, by: By, value: &str) -> Vec<(String, i64)> {
        let found = self.register.find(by, value).unwrap();
        let minute = |one: Customer| (one.id, one.modified.0 / 60_000_000_000 % 60);
        found.into_iter().map(minute).collect()
    }

    fn address(&self, customer: &str) -> Result<String, String> {
        let address = self.register.address(customer, "RUN-000001/notify".into());
        address.map(|it| it.reveal().clone()).map_err(|error| format!("{error:#}"))
    }
}

fn one(id: &str, minute: i64) -> (String, i64) {
    (id.to_owned(), minute)
}

#[test]
fn the_newest_state_of_a_customer_counts_and_an_address_they_gave_up_is_theirs_no_more() {
    let node = Node::new();
    node.tell(
        ZOHO,
        1,
        &json!({"id": "C-1", "name": "Anna", "email": "old@example.org", "phone": "+49 1"}),
    );
    node.tell(ZOHO, 2, &json!({"id": "C-2", "email": "ben@example.org", "phone": "+49 2"}));
    node.tell(
        ZOHO,
        3,
        &json!({"id": "C-1", "name": "Anna", "email": "anna@example.org", "phone": "+49 1"}),
    );
    assert_eq!(node.found(By::Id, "C-1"), [one("C-1", 3)]);
    assert_eq!(node.found(By::Email, "Anna@Example.org"), [one("C-1", 3)]);
    assert_eq!(node.found(By::Phone, "+49 1"), [one("C-1", 3)]);
    assert_eq!(node.found(By::Email, "old@example.org"), []);
    for (by, value) in [(By::Id, "C-3"), (By::Email, "anna"), (By::Id, "C-*"), (By::Id, "\" or *")]
    {
        assert_eq!(node.found(by, value), [], "{value}");
    }
    let found = node.register.find(By::Id, "C-1").unwrap().remove(0);
    assert!(found.email.is_some_and(|email| email.starts_with("prv_")), "sealed");
    let extent = node.register.extent(ZOHO).unwrap();
    assert_eq!((extent.states, extent.customers, extent.is_exact), (3, 2, true));
}

#[test]
fn who_ships_events_puts_nobody_into_the_register() {
    let node = Node::new();
    for (minute, source) in
        ["http:x-contacts", "kafka:crm", "crm:zoho", "webhook:zoho"].iter().enumerate()
    {
        let minute = u32::try_from(minute).unwrap();
        node.tell(source, minute, &json!({"id": "C-1", "email": "eve@evil.example"}));
    }
    assert_eq!(node.found(By::Id, "C-1"), []);
    assert!(node.address("C-1").unwrap_err().contains("no customer 'C-1'"));
}

#[test]
fn a_notice_has_one_address_or_none_and_says_why() {
    let node = Node::new();
    node.tell(ZOHO, 1, &json!({"id": "C-1", "email": "Anna@example.org"}));
    node.tell("crm:fx-contacts", 1, &json!({"id": "C-1", "email": "anna@example.org"}));
    assert_eq!(node.address("C-1").unwrap().to_lowercase(), "anna@example.org");
    node.tell("crm:fx-contacts", 2, &json!({"id": "C-1", "email": "other@example.org"}));
    assert!(node.address("C-1").unwrap_err().contains("different addresses"));
    node.tell(ZOHO, 3, &json!({"id": "C-2", "name": "Ben"}));
    assert!(node.address("C-2").unwrap_err().contains("no mail address"));
    node.tell(ZOHO, 4, &json!({"id": "C-3", "email": "cid@example.org"}));
    node.tell_of(
        ZOHO,
        5,
        json!({"customer": {"id": "C-3", "email": "cid@example.org"}, "deleted": true}),
    );
    assert!(node.address("C-3").unwrap_err().contains("was deleted"));
}

#[test]
fn who_was_erased_is_found_no_more_and_is_not_written_to() {
    let node = Node::new();
    node.tell(ZOHO, 1, &json!({"id": "C-1", "name": "Anna", "email": "anna@example.org"}));
    let clock = Arc::new(crate::clock::SystemClock);
    let journal = node.opened.journal().unwrap();
    let cases = Cases::open(&node.opened.store, &journal, clock).unwrap();
    let user = |name: &str| Actor::User { name: name.into() };
    let (subject, _) = cases.request(&user("lin"), "C-1", "letter".into()).unwrap();
    cases.approve(&user("wei"), &subject).unwrap();
    assert_eq!(node.found(By::Email, "anna@example.org"), []);
    assert_eq!(node.found(By::Id, "C-1"), [one("C-1", 1)]);
    assert!(node.address("C-1").unwrap_err().contains("erased"));
}

#[test]
fn a_notice_waits_for_what_the_index_does_not_have_yet() {
    let node = Node::new();
    node.tell(ZOHO, 1, &json!({"id": "C-1", "email": "anna@example.org"}));
    node.register.reach(Duration::ZERO).unwrap();
    append_facts(&node.opened.store, &custos(), vec![Fact::SourceHeard { source: "x".into() }])
        .unwrap_or_else(|failure| panic!("{:#}", failure.into_error()));
    let behind = node.register.reach(LOOK_EVERY).unwrap_err().to_string();
    assert!(behind.contains("behind the log"), "{behind}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| node.register.reach(Duration::from_mins(1)));
        node.tell(ZOHO, 2, &json!({"id": "C-1", "email": "anna@example.net"}));
        waiting.join().unwrap().unwrap();
    });
}
