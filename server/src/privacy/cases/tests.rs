//! Two people, one key, and a crash between any two steps.

use super::*;
use crate::{clock::SystemClock, folder::Folder, pipeline::detector::for_each_fact};

fn user(name: &str) -> Actor {
    Actor::User { name: name.into() }
}

struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// What `with` does on a store that is then gone.
    fn run<T>(&self, with: impl FnOnce(&Store, &Cases) -> T) -> T {
        let opened = Folder::chosen(Some(self.0.path().into())).open(true).unwrap();
        let journal = opened.journal().unwrap();
        let cases = Cases::open(&opened.store, &journal, Arc::new(SystemClock)).unwrap();
        let done = with(&opened.store, &cases);
        opened.store.close().unwrap();
        done
    }

    fn facts(&self) -> Vec<String> {
        self.run(|store, _| {
            let mut types = Vec::new();
            for_each_fact(store, |_, envelope| {
                if let Fact::Erasure { event, .. } = envelope.fact {
                    let json = serde_json::to_value(event).unwrap();
                    types.push(json["type"].as_str().unwrap().to_owned());
                }
            })
            .unwrap();
            types
        })
    }
}

fn opens(store: &Store, text: &str) -> bool {
    store.keyring().open_field(text).is_some()
}

/// Anna's value, and a fact behind it, so that her key is durable.
fn anna(store: &Store) -> String {
    let sealed = store.keyring().seal_field("anna", "f", "anna@example.org").unwrap();
    let fact = vec![Fact::Started { version: "1".into() }];
    crate::folder::append_facts(store, &user("lin"), fact).unwrap();
    sealed
}

const ALL: [&str; 3] = ["erasure_requested", "erasure_approved", "subject_erased"];

#[test]
fn two_people_erase_a_person_and_each_step_is_a_fact_that_names_nobody() {
    let node = Node::new();
    let sealed = node.run(|store, cases| {
        let sealed = anna(store);
        let (subject, _) = cases.request(&user("lin"), "anna", "letter".into()).unwrap();
        let refused = cases.approve(&user("lin"), &subject).unwrap_err();
        assert!(matches!(refused, CaseError::Rejected(ErasureRejection::SamePerson)));
        assert!(opens(store, &sealed));
        let case = cases.approve(&user("wei"), &subject).unwrap();
        assert_eq!(case.stage, ErasureStage::Erased);
        assert!(!opens(store, &sealed));
        sealed
    });
    assert_eq!(node.facts(), ALL);
    node.run(|store, _| {
        assert!(!opens(store, &sealed));
        for_each_fact(store, |_, envelope| {
            assert!(!format!("{envelope:?}").contains("anna"), "{envelope:?}");
        })
        .unwrap();
    });
}

/// A crash after the approval's fact, after the key's destruction, after the last fact.
#[test]
fn an_erasure_broken_off_after_any_step_ends_at_the_next_start_and_once() {
    for steps in 1..=3 {
        let node = Node::new();
        let sealed = node.run(|store, cases| {
            let keyring = store.keyring();
            let sealed = anna(store);
            let (subject, mut case) = cases.request(&user("lin"), "anna", "letter".into()).unwrap();
            let key = keyring.subject_key_id(&subject);
            let approved = ErasureEvent::ErasureApproved { key: key.clone() };
            cases.write(&subject, &mut case, &user("wei"), &approved).unwrap();
            if steps >= 2 {
                keyring.erase_subject(&subject, key.as_deref()).unwrap().unwrap();
            }
            if steps >= 3 {
                let erased = ErasureEvent::SubjectErased;
                cases.write(&subject, &mut case, &system("privacy"), &erased).unwrap();
            }
            sealed
        });
        for _ in 0..2 {
            node.run(|store, _| assert!(!opens(store, &sealed), "after step {steps}"));
        }
        assert_eq!(node.facts(), ALL, "after step {steps}");
    }
}

#[test]
fn a_restored_keyring_does_not_bring_an_erased_person_back_nor_lose_who_came_again() {
    let node = Node::new();
    let keys = node.0.path().join("keys");
    let held = |name: &str| std::fs::read(keys.join(name)).unwrap();
    let sealed = node.run(|store, _| anna(store));
    let (ring, subjects) = (held("keyring"), held("subjects"));
    node.run(|store, cases| {
        let (subject, _) = cases.request(&user("lin"), "anna", "letter".into()).unwrap();
        cases.approve(&user("wei"), &subject).unwrap();
        assert!(!opens(store, &sealed));
    });
    std::fs::write(keys.join("keyring"), ring).unwrap();
    std::fs::write(keys.join("subjects"), subjects).unwrap();
    let new = node.run(|store, _| {
        assert!(!opens(store, &sealed), "the start destroyed it again");
        anna(store)
    });
    node.run(|store, _| assert!(opens(store, &new), "a later key is not of the erasure"));
}
