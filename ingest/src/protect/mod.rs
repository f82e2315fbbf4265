//! What must not reach the log in clear is replaced in the raw bytes before the event exists: card
//! numbers become keyed tokens, personal fields texts sealed under their person's key (RELIABILITY §6).

mod brand;
mod card;
mod context;
mod personal;
mod spans;

pub use personal::{KIND_PERSONAL, Personal, PersonalFields, Sealer};

use crate::decode::SourceType;
use bytes::Bytes;
use custos_event::{Private, parsed::Protection};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use spans::Span;

/// Raised whenever the same bytes would be judged otherwise.
pub const DETECTOR_VERSION: u16 = 2;
/// [`Protection::kind`] of a card number.
const KIND_CARD: u8 = 1;
/// What every token begins with.
pub const TOKEN_PREFIX: &str = "tok_";
/// Half of HMAC-SHA-256: 128 bits leave no chance of two cards with one token.
const TOKEN_BYTES: usize = 16;

/// In which sources card numbers are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cards {
    /// Where people or payments write: payments, generic JSON, syslog and web access lines. Not where
    /// machines write numbers of their own: Windows, network sensors, cloud audit, doors.
    #[default]
    BySource,
    Always,
    Never,
}

/// What is replaced, and under which key.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    cards: Cards,
    key: Option<Private<Hmac<Sha256>>>,
    personal: Option<Personal>,
}

impl Policy {
    /// Tokens are HMAC-SHA-256 under `key`: the same card gives the same token, and only the holder of
    /// the key can tell which.
    pub fn new(cards: Cards, key: &[u8]) -> Self {
        let key = Hmac::<Sha256>::new_from_slice(key).ok().map(Private::new);
        Self { cards, key, personal: None }
    }

    /// Nothing is replaced.
    pub fn off() -> Self {
        Self { cards: Cards::Never, key: None, personal: None }
    }

    /// Personal fields are sealed as well.
    #[must_use]
    pub fn with_personal(mut self, personal: Option<Personal>) -> Self {
        self.personal = personal;
        self
    }

    /// Whether anything is replaced in events of this type.
    pub fn protects(&self, source_type: SourceType) -> bool {
        let personal = self.personal.as_ref();
        self.looks_for_cards(source_type) || personal.is_some_and(|own| own.protects(source_type))
    }

    /// Whether card numbers are looked for in events of this type.
    fn looks_for_cards(&self, source_type: SourceType) -> bool {
        match self.cards {
            Cards::Always => true,
            Cards::Never => false,
            Cards::BySource => is_free_text(source_type),
        }
    }

    /// Replaces every card number in `raw` and, in JSON, every personal field. `is_json` keeps the result
    /// JSON: a bare number becomes a quoted token.
    pub fn apply(
        &self,
        source_type: SourceType,
        raw: Bytes,
        is_json: bool,
    ) -> (Bytes, Vec<Protection>) {
        let (mut raw, mut protections) = if self.looks_for_cards(source_type) {
            let personal = self.personal.as_ref().filter(|_| is_json);
            let phones = |raw: &[u8]| personal.map(|own| own.phones(source_type, raw));
            self.without_cards(raw, is_json, phones)
        } else {
            (raw, Vec::new())
        };
        if let Some(personal) = self.personal.as_ref().filter(|_| is_json) {
            raw = personal.apply(source_type, raw, &mut protections);
        }
        (raw, protections)
    }

    /// `phones`: where telephone numbers stand that will be sealed. One in ten of those with 13 digits passes for a card's, and
    /// of a token nobody is called.
    fn without_cards(
        &self,
        raw: Bytes,
        is_json: bool,
        phones: impl Fn(&[u8]) -> Option<Vec<Span>>,
    ) -> (Bytes, Vec<Protection>) {
        let mut found = card::find(&raw, is_json);
        if !found.is_empty() {
            let phones = phones(&raw).unwrap_or_default();
            found.retain(|card| !phones.iter().any(|at| (at.start..at.end).contains(&card.start)));
        }
        if found.is_empty() {
            return (raw, Vec::new());
        }
        let mut out = Vec::with_capacity(raw.len() + found.len() * 24);
        let mut protections = Vec::with_capacity(found.len());
        let mut copied = 0;
        for card in &found {
            out.extend_from_slice(raw.get(copied..card.start).unwrap_or_default());
            copied = card.end;
            let quote: &[u8] = if card.is_number { b"\"" } else { b"" };
            out.extend_from_slice(quote);
            let start = out.len();
            out.extend_from_slice(self.token(card.digits()).as_bytes());
            protections.push(protection(start, out.len() - start));
            out.extend_from_slice(quote);
        }
        out.extend_from_slice(raw.get(copied..).unwrap_or_default());
        (out.into(), protections)
    }

    /// Without a key every card gets the same token: nothing is betrayed, and nothing can be linked.
    fn token(&self, digits: &[u8]) -> String {
        let mut sum = [0; TOKEN_BYTES];
        if let Some(key) = &self.key {
            let whole = key.reveal().clone().chain_update(digits).finalize().into_bytes();
            sum.iter_mut().zip(whole).for_each(|(byte, whole)| *byte = whole);
        }
        sum.iter().fold(TOKEN_PREFIX.to_owned(), |token, byte| format!("{token}{byte:02x}"))
    }
}

fn is_free_text(source_type: SourceType) -> bool {
    match source_type {
        SourceType::Payment
        | SourceType::Crm
        | SourceType::Gelf
        | SourceType::Otlp
        | SourceType::Journald
        | SourceType::Keycloak
        | SourceType::Falco
        | SourceType::Gophish
        | SourceType::Json
        | SourceType::Syslog
        | SourceType::Apache
        // It may hold anything.
        | SourceType::Mapped(_) => true,
        SourceType::Auto
        | SourceType::WindowsEvtx
        | SourceType::WindowsNxlog
        | SourceType::Winlogbeat
        | SourceType::Zeek
        | SourceType::Suricata
        | SourceType::CloudTrail
        | SourceType::Door
        | SourceType::Trivy
        | SourceType::Backup => false,
    }
}

fn protection(start: usize, len: usize) -> Protection {
    Protection {
        start: u32::try_from(start).unwrap_or(u32::MAX),
        len: u32::try_from(len).unwrap_or(u32::MAX),
        kind: KIND_CARD,
        detector: DETECTOR_VERSION,
    }
}

#[cfg(test)]
mod tests;
