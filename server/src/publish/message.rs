//! One fact as a message: what others are told of it, under which key, with which headers.
//!
//! A topic is a reader with the least rights. Personal values stay sealed, as the log has them; what proves who
//! somebody is, a password or a token, is withheld even though the log holds it sealed or hashed.

use crate::{api::alerts::Alert, projection::board::Row};
use custos_event::{
    AccountEvent, Envelope, Fact, Publication, Sealed, Seq, SourceEvent, account::SetupEvent,
};
use custos_ingest::kafka::Outgoing;
use serde::Serialize;
use serde_json::{Value, json};

const POSITION: &str = "custos-position";
const KIND: &str = "custos-kind";
const NODE: &str = "custos-node";
/// On what stands for a fact that could not be published.
const LEFT_OUT: &str = "custos-left-out";
/// The kind of what stands for facts that cannot be read.
const UNREADABLE: &str = "unreadable";

const WITHHELD: &str = "‹withheld›";

/// Members of a fact that say what it is about, the narrower first.
const SUBJECTS: [&str; 9] =
    ["id", "alert", "incident", "run", "task", "rule", "account", "subject", "source"];

/// Who makes the messages of one topic.
pub(super) struct Author {
    pub(super) what: Publication,
    /// This Custos' name.
    pub(super) node: String,
}

/// A fact as the journal has it, and where.
#[derive(Serialize)]
struct Line<'f> {
    seq: Seq,
    #[serde(flatten)]
    envelope: &'f Envelope,
}

impl Author {
    /// What is told of the fact at `seq`; none where the topic is not about it.
    pub(super) fn tell(&self, seq: Seq, bytes: &[u8]) -> Option<Outgoing> {
        let made =
            Envelope::decode(bytes).map_err(anyhow::Error::new).and_then(|envelope| {
                match (self.what, envelope.fact) {
                    (Publication::Alerts, Fact::AlertRaised(alert)) => {
                        let (id, row) =
                            (alert.id.to_string(), Row::raised(seq, envelope.at, &alert));
                        let value = serde_json::to_vec(&Alert::new(&row, alert))?;
                        Ok(Some(self.message(seq, "alert_raised", id, value)))
                    }
                    (Publication::Alerts, _) => Ok(None),
                    (Publication::Facts, fact) => {
                        let envelope = Envelope { fact: without_secrets(fact), ..envelope };
                        let (kind, key) = named(&serde_json::to_value(&envelope.fact)?);
                        let value = serde_json::to_vec(&Line { seq, envelope: &envelope })?;
                        Ok(Some(self.message(seq, &kind, key, value)))
                    }
                }
            });
        made.unwrap_or_else(|error| {
            Some(self.unreadable((seq, seq.plus(1)), &format!("{error:#}")))
        })
    }

    fn message(&self, seq: Seq, kind: &str, key: String, value: Vec<u8>) -> Outgoing {
        let headers =
            vec![(POSITION, seq.to_string()), (KIND, kind.to_owned()), (NODE, self.node.clone())];
        Outgoing { position: seq.0, key, headers, value }
    }

    /// Stands for the facts from `first` up to, not including, `end`: damaged, or no longer there.
    pub(super) fn unreadable(&self, (first, end): (Seq, Seq), reason: &str) -> Outgoing {
        let through = end.0.saturating_sub(1);
        let value = json!({
            "seq": first, "through": through, "kind": UNREADABLE, "left_out": UNREADABLE, "reason": reason,
        });
        let value = value.to_string().into_bytes();
        let mut message = self.message(first, UNREADABLE, UNREADABLE.into(), value);
        message.headers.push((LEFT_OUT, UNREADABLE.into()));
        message
    }
}

/// Stands for a message that the cluster does not take because of its size; none where it is that already.
pub(super) fn too_large(message: &Outgoing) -> Option<Outgoing> {
    if message.headers.iter().any(|(name, _)| *name == LEFT_OUT) {
        return None;
    }
    let kind = message.headers.iter().find(|(name, _)| *name == KIND).map(|(_, kind)| kind);
    let value = json!({
        "seq": message.position, "kind": kind, "left_out": "too_large", "bytes": message.value.len(),
        "reason": "larger than the topic or the producer takes; Custos' journal has it",
    });
    let mut stand_in = message.clone();
    stand_in.value = value.to_string().into_bytes();
    stand_in.headers.push((LEFT_OUT, "too_large".into()));
    Some(stand_in)
}

/// A fact's kind, and what it is about; the kind again where it is about nothing that has a name.
fn named(fact: &Value) -> (String, String) {
    let text = |name: &str| fact[name].as_str().filter(|text| !text.is_empty());
    let kind = text("type").unwrap_or_default();
    let subject = SUBJECTS.iter().find_map(|name| text(name)).unwrap_or(kind);
    (kind.to_owned(), subject.to_owned())
}

fn without_secrets(mut fact: Fact) -> Fact {
    if let Fact::Account { event, .. } = &mut fact
        && let AccountEvent::UserCreated { password, .. }
        | AccountEvent::PasswordChanged { password } = event
    {
        *password = Sealed(WITHHELD.into());
    } else if let Fact::Setup { event: SetupEvent::SetupTokenMade { digest } } = &mut fact {
        WITHHELD.clone_into(digest);
    } else if let Fact::Source { event: SourceEvent::TokenIssued { sha256, .. }, .. } = &mut fact {
        WITHHELD.clone_into(sha256);
    }
    fact
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::fact::VERSION;

    const GOLDEN: &str = include_str!("../../../event/golden/facts-v1.jsonl");

    fn author(what: Publication) -> Author {
        Author { what, node: "custos-1f2e3d4c".into() }
    }

    fn stored(line: &str) -> Vec<u8> {
        [&[VERSION], line.as_bytes()].concat()
    }

    fn header<'m>(message: &'m Outgoing, name: &str) -> Option<&'m str> {
        message.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_kind_of_fact_is_told_as_the_journal_has_it_but_for_secrets() {
        let author = author(Publication::Facts);
        for (nth, line) in (0..).zip(GOLDEN.lines()) {
            let message = author.tell(Seq(nth), &stored(line)).unwrap();
            let mut told: Value = serde_json::from_slice(&message.value).unwrap();
            let kept: Value = serde_json::from_str(line).unwrap();
            assert_eq!(header(&message, POSITION), Some(nth.to_string().as_str()));
            assert_eq!(header(&message, KIND), kept["fact"]["type"].as_str());
            assert_eq!(header(&message, NODE), Some("custos-1f2e3d4c"));
            assert_eq!(header(&message, LEFT_OUT), None);
            assert_eq!(told["seq"], nth);
            told.as_object_mut().unwrap().remove("seq");
            for secret in ["password", "digest", "sha256"] {
                // The one of a collected piece of evidence is no secret.
                let kept = &kept["fact"]["event"][secret];
                if let Some(told) = told.pointer_mut(&format!("/fact/event/{secret}")) {
                    assert_eq!(*told, WITHHELD, "{line}");
                    told.clone_from(kept);
                }
            }
            assert_eq!(told, kept);
        }
    }

    #[test]
    fn a_message_is_keyed_by_what_it_is_about() {
        for (fact, key) in [
            (json!({"type": "alert_raised", "id": "aa", "rule": "r"}), "aa"),
            (json!({"type": "alert_suppressed", "alert": "aa", "rule": "r"}), "aa"),
            (json!({"type": "incident", "incident": "INC-000001"}), "INC-000001"),
            (json!({"type": "account", "account": "lin"}), "lin"),
            (json!({"type": "started", "version": "1"}), "started"),
            (json!({"type": "alert_raised", "id": "aa", "rule": ""}), "aa"),
        ] {
            assert_eq!(named(&fact).1, key, "{fact}");
        }
    }

    #[test]
    fn a_topic_of_alerts_is_told_of_alerts_as_the_api_tells_them() {
        let author = author(Publication::Alerts);
        let told: Vec<_> = (0..)
            .zip(GOLDEN.lines())
            .filter_map(|(nth, line)| author.tell(Seq(nth), &stored(line)))
            .collect();
        assert_eq!(told.len(), 2);
        let alert: Value = serde_json::from_slice(&told[1].value).unwrap();
        assert_eq!(
            (told[1].key.as_str(), alert["id"].as_str()),
            (alert["id"].as_str().unwrap(), Some("cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdce"))
        );
        assert_eq!((&alert["seq"], &alert["status"]), (&json!(told[1].position), &json!("open")));
    }

    #[test]
    fn what_cannot_be_told_has_a_stand_in_that_says_why() {
        let author = author(Publication::Alerts);
        let newer = author.tell(Seq(7), b"\x02{}").unwrap();
        assert_eq!((newer.position, header(&newer, LEFT_OUT)), (7, Some(UNREADABLE)));
        assert!(String::from_utf8(newer.value.clone()).unwrap().contains("newer than this Custos"));
        assert_eq!(too_large(&newer), None);
        let long = author.message(Seq(8), "rules_read", "k".into(), vec![b'x'; 2_000_000]);
        let short = too_large(&long).unwrap();
        let told: Value = serde_json::from_slice(&short.value).unwrap();
        assert_eq!((&told["seq"], &told["kind"]), (&json!(8), &json!("rules_read")));
        assert_eq!((&told["bytes"], &told["left_out"]), (&json!(2_000_000), &json!("too_large")));
        assert_eq!(
            (header(&short, POSITION), header(&short, LEFT_OUT)),
            (Some("8"), Some("too_large"))
        );
        assert_eq!(short.key, "k");
    }
}
