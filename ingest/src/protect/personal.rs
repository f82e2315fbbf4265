//! Personal fields: the value in the raw bytes is replaced by a text sealed under its person's key. Which
//! fields are a person's, and which one says whose, is told for each type of source.

use super::spans::{Span, each_value, unquote};
use crate::decode::SourceType;
use bytes::Bytes;
use custos_event::{parsed::Protection, sealed};
use std::{fmt, sync::Arc};

/// Raised whenever the same bytes would be judged otherwise.
const DETECTOR_VERSION: u16 = 1;
/// [`Protection::kind`] of a personal field.
pub const KIND_PERSONAL: u8 = 2;
/// What stands where a value could not be sealed: it is never stored in clear, and lost.
const WITHHELD: &str = "prv_withheld";

/// What fields of telephone numbers are called, behind the last dot.
const PHONES: [&str; 4] = ["phone", "mobile", "tel", "telephone"];

/// Seals values under the keys of people; the store does.
pub trait Sealer: Send + Sync {
    /// The text that stands for `value`; `None` if it cannot be sealed, which who implements this tells.
    fn seal(&self, subject: &str, field: &str, value: &str) -> Option<String>;
}

/// Whose fields, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalFields {
    pub source_type: SourceType,
    /// Paths of keys, the first that has a value says who the person is. Where none has, each value is
    /// under a key of its own.
    pub subject: Vec<String>,
    /// Paths of keys whose values are sealed.
    pub fields: Vec<String>,
}

impl PersonalFields {
    /// What holds where nothing else is said: the customer of a payment, and the customer or contact that an
    /// event of a customer system is about. Names of staff stay in clear: they are what is watched.
    pub fn standard() -> Vec<Self> {
        let of = |source_type, subject: &[&str], fields: &[&str]| Self {
            source_type,
            subject: subject.iter().map(|&path| path.to_owned()).collect(),
            fields: fields.iter().map(|&path| path.to_owned()).collect(),
        };
        vec![
            of(
                SourceType::Payment,
                &["customer.id", "customer.email", "customer.name", "customer"],
                &[
                    "customer",
                    "customer.name",
                    "customer.email",
                    "customer.phone",
                    "customer.address",
                ],
            ),
            of(
                SourceType::Crm,
                &["customer.id", "contact.id", "customer.email", "contact.email"],
                &[
                    "customer.name",
                    "customer.email",
                    "customer.phone",
                    "customer.address",
                    "contact.name",
                    "contact.email",
                    "contact.phone",
                    "contact.address",
                ],
            ),
        ]
    }
}

/// The fields of all types of sources, and who seals.
#[derive(Clone)]
pub struct Personal {
    sources: Arc<[PersonalFields]>,
    sealer: Arc<dyn Sealer>,
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Personal").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Personal {
    pub fn new(sources: Vec<PersonalFields>, sealer: Arc<dyn Sealer>) -> Self {
        Self { sources: sources.into(), sealer }
    }

    fn of(&self, source_type: SourceType) -> Option<&PersonalFields> {
        let mine = |fields: &&PersonalFields| fields.source_type == source_type;
        self.sources.iter().find(mine).filter(|found| !found.fields.is_empty())
    }

    pub(super) fn protects(&self, source_type: SourceType) -> bool {
        self.of(source_type).is_some()
    }

    /// Where telephone numbers stand that [`Self::apply`] seals.
    pub(super) fn phones(&self, source_type: SourceType, raw: &[u8]) -> Vec<Span> {
        let Some(fields) = self.of(source_type) else { return Vec::new() };
        let is_phone = |field: &str| PHONES.contains(&field.rsplit('.').next().unwrap_or(field));
        let (found, _) = find(fields, raw);
        found.iter().filter(|one| is_phone(one.field)).map(|one| one.span).collect()
    }

    /// Replaces the personal values of one JSON event; `protections` are those so far, and are moved along.
    pub(super) fn apply(
        &self,
        source_type: SourceType,
        raw: Bytes,
        protections: &mut Vec<Protection>,
    ) -> Bytes {
        let Some(fields) = self.of(source_type) else { return raw };
        let (found, subject) = find(fields, &raw);
        if found.is_empty() {
            return raw;
        }
        let mut out = Vec::with_capacity(raw.len() + found.len() * 160);
        let mut moved = Vec::new();
        let mut copied = 0;
        for Found { span, field, value } in &found {
            let own = || format!("{field}\0{value}");
            let subject = subject.clone().unwrap_or_else(own);
            let text = self.sealer.seal(&subject, field, value);
            let text = text.unwrap_or_else(|| WITHHELD.to_owned());
            out.extend_from_slice(raw.get(copied..span.start).unwrap_or_default());
            copied = span.end;
            let start = out.len() + 1;
            out.extend_from_slice(format!("\"{text}\"").as_bytes());
            moved.push((*span, protection(start, text.len())));
        }
        out.extend_from_slice(raw.get(copied..).unwrap_or_default());
        *protections = merged(std::mem::take(protections), &moved);
        out.into()
    }
}

/// A value to be sealed.
struct Found<'f> {
    span: Span,
    field: &'f str,
    value: String,
}

fn find<'f>(fields: &'f PersonalFields, raw: &[u8]) -> (Vec<Found<'f>>, Option<String>) {
    let mut found = Vec::new();
    let mut subject: Option<(usize, String)> = None;
    each_value(raw, &mut |path, span| {
        let field = fields.fields.iter().find(|field| *field == path);
        let rank = fields.subject.iter().position(|subject| subject == path);
        if field.is_none() && rank.is_none() {
            return;
        }
        let Some(value) = raw.get(span.start..span.end).and_then(unquote) else { return };
        if value.is_empty() || sealed::is_sealed(&value) {
            return;
        }
        if let Some(rank) = rank.filter(|rank| subject.as_ref().is_none_or(|(best, _)| rank < best))
        {
            subject = Some((rank, value.clone()));
        }
        found.extend(field.map(|field| Found { span, field, value }));
    });
    (found, subject.map(|(_, value)| value))
}

fn protection(start: usize, len: usize) -> Protection {
    Protection {
        start: u32::try_from(start).unwrap_or(u32::MAX),
        len: u32::try_from(len).unwrap_or(u32::MAX),
        kind: KIND_PERSONAL,
        detector: DETECTOR_VERSION,
    }
}

/// Those of before, where they stand now, less those inside what was sealed; and the new ones.
fn merged(before: Vec<Protection>, sealed: &[(Span, Protection)]) -> Vec<Protection> {
    let mut all: Vec<Protection> = sealed.iter().map(|(_, new)| new.clone()).collect();
    for mut old in before {
        let at = old.start as usize;
        if sealed.iter().any(|(span, _)| (span.start..span.end).contains(&at)) {
            continue;
        }
        let last = sealed.iter().rev().find(|(span, _)| span.end <= at);
        if let Some((span, new)) = last {
            // The text and its closing quote end where the value ended.
            let end = new.start as usize + new.len as usize + 1;
            old.start = u32::try_from(end + (at - span.end)).unwrap_or(u32::MAX);
        }
        all.push(old);
    }
    all.sort_by_key(|protection| protection.start);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::{Cards, Policy};

    /// Tells whom and what it sealed.
    struct Told;

    impl Sealer for Told {
        fn seal(&self, subject: &str, field: &str, value: &str) -> Option<String> {
            (value != "refuse").then(|| format!("<{}|{field}|{value}>", subject.replace('\0', "=")))
        }
    }

    fn check(source_type: SourceType, raw: &str, expected: &str) {
        let personal = Personal::new(PersonalFields::standard(), Arc::new(Told));
        let policy = Policy::new(Cards::BySource, b"key").with_personal(Some(personal));
        let (out, protections) = policy.apply(source_type, Bytes::from(raw.to_owned()), true);
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert_eq!(out, expected);
        for found in protections {
            let text = &out[found.start as usize..(found.start + found.len) as usize];
            let kind = if text.starts_with("tok_") { 1 } else { KIND_PERSONAL };
            assert_eq!(found.kind, kind, "{text}");
            assert!(text.starts_with("tok_") || text.starts_with(['<', 'p']), "{text}");
        }
    }

    #[test]
    fn a_customers_fields_are_sealed_for_the_customer_wherever_the_id_stands() {
        check(
            SourceType::Payment,
            r#"{"customer":{"name":"Al","email":"al@x.org","id":7},"amount":3}"#,
            r#"{"customer":{"name":"<7|customer.name|Al>","email":"<7|customer.email|al@x.org>","id":7},"amount":3}"#,
        );
        check(
            SourceType::Crm,
            r#"{"user":"m.keller","contact":{"phone":123}}"#,
            r#"{"user":"m.keller","contact":{"phone":"<contact.phone=123|contact.phone|123>"}}"#,
        );
        let machine = r#"{"customer":{"name":"Al"}}"#;
        check(SourceType::Door, machine, machine);
    }

    #[test]
    fn a_telephone_number_that_passes_for_a_cards_is_sealed_and_not_lost() {
        // 13 digits from 4 on whose check digit holds, as one in ten of them has.
        for (phone, id) in [("+4915112345678", "4111111111111111"), ("4915112345678", "c-1")] {
            check(
                SourceType::Crm,
                &format!(r#"{{"customer":{{"id":"{id}","phone":"{phone}"}}}}"#),
                &format!(
                    r#"{{"customer":{{"id":"{id}","phone":"<{id}|customer.phone|{phone}>"}}}}"#
                ),
            );
        }
        let card = r#"{"customer":{"id":"c-1","phone":"1"},"message":"4111111111111111"}"#;
        let personal = Personal::new(PersonalFields::standard(), Arc::new(Told));
        let policy = Policy::new(Cards::BySource, b"key").with_personal(Some(personal));
        let (out, _) = policy.apply(SourceType::Crm, Bytes::from(card), true);
        assert!(out.windows(4).any(|part| part == b"tok_"), "{out:?}");
    }

    #[test]
    fn cards_and_fields_are_protected_beside_each_other() {
        let card = "4111111111111111";
        let policy = Policy::new(Cards::BySource, b"key");
        let raw = format!(r#"{{"message":"{card}"}}"#);
        let (token, _) = policy.apply(SourceType::Payment, Bytes::from(raw), true);
        let token = String::from_utf8(token[12..48].to_vec()).unwrap();
        check(
            SourceType::Payment,
            &format!(r#"{{"a":"{card}","customer":"Al {card}","b":"{card}"}}"#),
            &format!(
                r#"{{"a":"{token}","customer":"<Al {token}|customer|Al {token}>","b":"{token}"}}"#
            ),
        );
    }

    #[test]
    fn what_cannot_be_sealed_is_withheld_and_broken_json_left_to_be_rejected() {
        check(SourceType::Payment, r#"{"customer":"refuse"}"#, r#"{"customer":"prv_withheld"}"#);
        check(SourceType::Payment, "{\"customer\"", "{\"customer\"");
    }
}
