//! What the dictionary holds of an event: the core fields, words of the message, times, and its place.
//!
//! All core fields share one tantivy field; a term is one character that says which field, then the
//! folded value. A commit a second makes small segments, and each field of a segment costs files and
//! tables of its own: one field for all makes them cheap. Numbers and addresses are also in columns of
//! their own, for ranges and networks.

use crate::query::{
    test::{Kind, comparable, mapped},
    words::{Words, fold},
};
use custos_event::{FieldId, ParsedEvent, Position, ValueRef, ecs};
use tantivy::{
    TantivyDocument, Term,
    schema::{
        FAST, Field, IndexRecordOption, IpAddrOptions, NumericOptions, Schema, TextFieldIndexing,
        TextOptions,
    },
    tokenizer::{Token, TokenStream, Tokenizer},
};

/// What a core field's values are besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Keyword,
    Number,
    Address,
    /// Words with their order, in a tantivy field of its own; only `message`.
    Prose,
}

/// A core field: which, and its number in terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) class: Class,
}

/// What people filter by in every kind of source. A value costs about 0.3 µs and 1–3 bytes. The place in
/// the table is part of the index's format: change it and [`crate::index::VERSION`] together.
const CORE: &[(&str, Class)] = &[
    ("custos.source", Class::Keyword),
    ("message", Class::Prose),
    ("event.dataset", Class::Keyword),
    ("event.kind", Class::Keyword),
    ("event.category", Class::Keyword),
    ("event.type", Class::Keyword),
    ("event.action", Class::Keyword),
    ("event.outcome", Class::Keyword),
    ("event.code", Class::Keyword),
    ("event.severity", Class::Number),
    ("log.level", Class::Keyword),
    ("host.name", Class::Keyword),
    ("user.name", Class::Keyword),
    ("user.target.name", Class::Keyword),
    ("source.ip", Class::Address),
    ("source.port", Class::Number),
    ("destination.ip", Class::Address),
    ("destination.port", Class::Number),
    ("client.ip", Class::Address),
    ("network.protocol", Class::Keyword),
    ("process.name", Class::Keyword),
    ("rule.name", Class::Keyword),
    ("dns.question.name", Class::Keyword),
    ("http.request.method", Class::Keyword),
    ("http.response.status_code", Class::Number),
    ("winlog.channel", Class::Keyword),
    ("winlog.event_id", Class::Keyword),
    ("custos.site", Class::Keyword),
    ("custos.door.name", Class::Keyword),
    ("custos.access.result", Class::Keyword),
    ("custos.payment.kind", Class::Keyword),
    ("custos.payment.result", Class::Keyword),
    ("custos.payment.amount", Class::Number),
    ("custos.payment.card.token", Class::Keyword),
];

/// How a field's values are compared, for who completes a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Keyword,
    Number,
    Address,
    /// Word by word.
    Text,
    Time,
}

/// The type of the field of this name, and whether the dictionary answers for it.
pub fn field_type(name: &str) -> (FieldType, bool) {
    if matches!(name, "@timestamp" | "event.ingested") {
        return (FieldType::Time, true);
    }
    let core = core(name);
    let class = core.map_or(
        match Kind::of(name) {
            Kind::Value => Class::Keyword,
            Kind::Address => Class::Address,
            Kind::Prose => Class::Prose,
        },
        |core| core.class,
    );
    let kind = match class {
        Class::Keyword => FieldType::Keyword,
        Class::Number => FieldType::Number,
        Class::Address => FieldType::Address,
        Class::Prose => FieldType::Text,
    };
    (kind, core.is_some())
}

/// A longer value is not in the dictionary; the event is marked and read when a query asks. 512 bytes is
/// more than any core value of the recorded events has.
pub(crate) const TERM_BYTES_MAX: usize = 512;

const SOURCE: u8 = 0;
const MESSAGE: u8 = 1;
/// Term numbers from here say "has a value of field n".
const EXISTS: u8 = 64;
/// The term of rejected events.
const REJECTED: u8 = 63;

/// The core field of this name.
pub(crate) fn core(name: &str) -> Option<Core> {
    let at = CORE.iter().position(|(core, _)| *core == name)?;
    let (name, class) = CORE.get(at)?;
    Some(Core { number: u8::try_from(at).ok()?, name, class: *class })
}

/// The fields of the index.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    terms: Field,
    message: Field,
    place: Field,
    seq: Field,
    time: Field,
    received: Field,
    /// Column of each core field that has one.
    columns: Vec<Option<Field>>,
    /// Core field of each well-known field number.
    core_of: Vec<Option<Core>>,
}

/// Names of the columns that every event has.
pub(crate) const PLACE: &str = "place";
pub(crate) const SEQ: &str = "seq";
pub(crate) const TIME: &str = "time";

impl Fields {
    pub(crate) fn new() -> Self {
        let text = |tokenizer, record| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_index_option(record)
                .set_fieldnorms(false);
            TextOptions::default().set_indexing_options(indexing)
        };
        let fast = || NumericOptions::default().set_fast();
        let mut builder = Schema::builder();
        let terms = builder.add_text_field("terms", text(TERMS, IndexRecordOption::Basic));
        let message = builder
            .add_text_field("message", text(WORDS, IndexRecordOption::WithFreqsAndPositions));
        let place = builder.add_u64_field(PLACE, FAST);
        let seq = builder.add_u64_field(SEQ, FAST);
        let time = builder.add_i64_field(TIME, FAST);
        let received = builder.add_i64_field("received", FAST);
        let columns = CORE
            .iter()
            .enumerate()
            .map(|(number, (_, class))| match class {
                Class::Number => Some(builder.add_f64_field(&format!("n{number}"), fast())),
                Class::Address => {
                    let fast = IpAddrOptions::default().set_fast();
                    Some(builder.add_ip_addr_field(&format!("a{number}"), fast))
                }
                Class::Keyword | Class::Prose => None,
            })
            .collect();
        let core_of = ecs::NAMES.iter().map(|name| core(name)).collect();
        let schema = builder.build();
        Self { schema, terms, message, place, seq, time, received, columns, core_of }
    }

    fn core_of(&self, field: FieldId) -> Option<Core> {
        self.core_of.get(field.0 as usize).copied().flatten()
    }

    /// What the dictionary holds of this event.
    pub(crate) fn document(&self, position: Position, event: &ParsedEvent) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.place, place_number(position));
        document.add_u64(self.seq, position.seq.0);
        document.add_i64(self.time, event.header.time.0);
        document.add_i64(self.received, event.header.received.0);
        let mut to = Terms { fields: self, document, seen: 0, packed: String::with_capacity(512) };
        to.put(SOURCE, &event.header.source);
        for (field, value) in event.iter() {
            if let Some(core) = self.core_of(field)
                && value != ValueRef::Null
            {
                to.add(core, value);
            }
        }
        if event.header.flags.has(custos_event::Flags::REJECTED) {
            put_term(&mut to.packed, REJECTED, "");
        }
        to.document.add_text(self.terms, &to.packed);
        to.document
    }

    /// The term of events with this folded value.
    pub(crate) fn value_term(&self, core: Core, folded: &str) -> Term {
        Term::from_field_text(self.terms, &format!("{}{folded}", char::from(core.number)))
    }

    /// The term of events with any value.
    pub(crate) fn exists_term(&self, core: Core) -> Term {
        Term::from_field_text(self.terms, &char::from(EXISTS + core.number).to_string())
    }

    /// The term of events with a value too long for the dictionary.
    pub(crate) fn long_term(&self, core: Core) -> Term {
        Term::from_field_text(self.terms, &format!("{}+", char::from(EXISTS + core.number)))
    }

    pub(crate) fn rejected_term(&self) -> Term {
        Term::from_field_text(self.terms, &char::from(REJECTED).to_string())
    }

    pub(crate) fn word_term(&self, word: &str) -> Term {
        Term::from_field_text(self.message, word)
    }

    pub(crate) fn terms(&self) -> Field {
        self.terms
    }

    pub(crate) fn message(&self) -> Field {
        self.message
    }

    pub(crate) fn column(&self, core: Core) -> Option<Field> {
        self.columns.get(usize::from(core.number)).copied().flatten()
    }

    pub(crate) fn place(&self) -> Field {
        self.place
    }

    pub(crate) fn seq(&self) -> Field {
        self.seq
    }

    pub(crate) fn time(&self) -> Field {
        self.time
    }

    pub(crate) fn received(&self) -> Field {
        self.received
    }
}

/// Columns order −0 below 0; numbers compare equal.
pub(crate) fn unsigned_zero(number: f64) -> f64 {
    number + 0.0
}

/// Log and partition in one number.
pub(crate) fn place_number(position: Position) -> u64 {
    u64::from(position.log.0) << 16 | u64::from(position.partition.0)
}

/// One event's terms on their way into its document.
struct Terms<'a> {
    fields: &'a Fields,
    document: TantivyDocument,
    /// Bit n: field n was marked as existing.
    seen: u64,
    /// All terms of the core fields, for [`PackedTerms`].
    packed: String,
}

impl Terms<'_> {
    fn add(&mut self, core: Core, value: ValueRef<'_>) {
        if core.number == MESSAGE {
            self.mark(core.number);
            self.document.add_text(self.fields.message, &*comparable(Kind::Prose, value));
            return;
        }
        let kind = if core.class == Class::Address { Kind::Address } else { Kind::Value };
        let text = comparable(kind, value);
        self.put(core.number, &text);
        match (self.fields.column(core), core.class) {
            (Some(column), Class::Number) => {
                if let Some(number) = value.as_f64().filter(|number| number.is_finite()) {
                    self.document.add_f64(column, unsigned_zero(number));
                }
            }
            (Some(column), Class::Address) => {
                if let Ok(address) = text.parse() {
                    self.document.add_ip_addr(column, mapped(address));
                }
            }
            (_, _) => {}
        }
    }

    fn put(&mut self, number: u8, text: &str) {
        self.mark(number);
        let folded = fold(text);
        if folded.len() <= TERM_BYTES_MAX {
            put_term(&mut self.packed, number, &folded);
        } else {
            put_term(&mut self.packed, EXISTS + number, "+");
        }
    }

    fn mark(&mut self, number: u8) {
        if self.seen & (1 << number) == 0 {
            self.seen |= 1 << number;
            put_term(&mut self.packed, EXISTS + number, "");
        }
    }
}

/// Appends a term and, before it, its length in two characters of seven bits. One text for all terms of an
/// event costs tantivy a fifth of what a text for each does.
fn put_term(terms: &mut String, number: u8, text: &str) {
    let length = (text.len() + 1).to_le_bytes();
    let (low, high) = (length[0] & 0x7f, length[0] >> 7 | length[1] << 1);
    terms.extend([char::from(low), char::from(high), char::from(number)]);
    terms.push_str(text);
}

/// The name under which tantivy knows [`PackedTerms`].
pub(crate) const TERMS: &str = "terms";

/// Takes apart what [`put_term`] put together.
#[derive(Clone, Default)]
pub(crate) struct PackedTerms {
    token: Token,
}

pub(crate) struct PackedStream<'a> {
    text: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for PackedTerms {
    type TokenStream<'a> = PackedStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PackedStream<'a> {
        self.token.reset();
        PackedStream { text, token: &mut self.token }
    }
}

impl TokenStream for PackedStream<'_> {
    fn advance(&mut self) -> bool {
        let [low, high, ..] = self.text.as_bytes() else { return false };
        let end = 2 + usize::from(*low) + (usize::from(*high) << 7);
        let Some(term) = self.text.get(2..end) else { return false };
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        self.text = self.text.get(end..).unwrap_or_default();
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The name under which tantivy knows [`MessageWords`].
pub(crate) const WORDS: &str = "words";

/// Cuts messages into the same words as [`crate::Query::matches`].
#[derive(Clone, Default)]
pub(crate) struct MessageWords {
    token: Token,
}

pub(crate) struct MessageStream<'a> {
    words: Words<'a>,
    token: &'a mut Token,
}

impl Tokenizer for MessageWords {
    type TokenStream<'a> = MessageStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> MessageStream<'a> {
        self.token.reset();
        MessageStream { words: Words::new(text), token: &mut self.token }
    }
}

impl TokenStream for MessageStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((from, to)) = self.words.next_into(&mut self.token.text) else { return false };
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = from;
        self.token.offset_to = to;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_field_is_well_known_and_has_a_number_of_its_own() {
        assert!(CORE.len() < usize::from(REJECTED));
        for (number, (name, _)) in CORE.iter().enumerate() {
            assert_eq!(core(name).map(|core| usize::from(core.number)), Some(number));
            assert!(ecs::NAMES.contains(name) || *name == "custos.source", "{name}");
        }
        assert_eq!(core("custos.source").map(|core| core.number), Some(SOURCE));
        assert_eq!(core("message").map(|core| core.number), Some(MESSAGE));
    }

    #[test]
    fn only_addresses_are_compared_as_addresses() {
        for (name, class) in CORE {
            assert_eq!(*class == Class::Address, Kind::of(name) == Kind::Address, "{name}");
        }
    }
}
