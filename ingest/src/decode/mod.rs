//! Bytes become events: one file a format. Total: what cannot be read becomes a rejected event.
//!
//! The order for each event: told apart ([`sniff`]), protected, cut to the limit, parsed once, raised to
//! ECS. Names are resolved when a decoder is made; reading an event looks none up.

mod apache;
mod backup;
mod cloudtrail;
mod context;
mod crm;
mod door;
mod falco;
mod fields;
mod gelf;
mod gophish;
mod journald;
mod json;
mod keycloak;
mod lines;
pub mod mapping;
mod otlp;
mod payment;
mod scanned;
mod sniff;
mod source_type;
mod suricata;
mod syslog;
pub(crate) mod time;
mod trivy;
mod windows;
mod zeek;

pub use mapping::{MappingId, Mappings};
pub use source_type::{SourceType, UnknownSourceType};

use crate::{Decode, decoding::Piece, file::Unit, limit, protect::Policy, quarantine};
use bytes::Bytes;
use custos_event::{
    FieldId, FieldTable, Flags, Header, ParsedEvent, Parser, Shape, Timestamp,
    parsed::{Protection, Whole},
};
use sniff::Format;
use std::{borrow::Cow, sync::Arc};
use time::SourceTime;

/// Raised whenever the same bytes would be read otherwise.
const DECODER_VERSION: u16 = 2;

/// How one source is read.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    pub source_type: SourceType,
    /// The name that the events carry: `kafka:doors`, `file:auth.log`.
    pub source: Arc<str>,
    /// The year of times that have none; without it, the latest that fits the received time.
    pub year: Option<i16>,
    pub policy: Policy,
    /// Formats of the user's own, told before all others.
    pub mappings: Arc<Mappings>,
}

impl DecodeOptions {
    /// Year from the received time, protection by source under no key.
    pub fn new(source_type: SourceType, source: Arc<str>) -> Self {
        let mappings = Arc::default();
        Self { source_type, source, year: None, policy: Policy::default(), mappings }
    }

    #[must_use]
    pub fn with_year(mut self, year: Option<i16>) -> Self {
        self.year = year;
        self
    }

    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    #[must_use]
    pub fn with_mappings(mut self, mappings: Arc<Mappings>) -> Self {
        self.mappings = mappings;
        self
    }

    /// For reading that stores nothing.
    #[must_use]
    pub fn without_protection(self) -> Self {
        self.with_policy(Policy::off())
    }
}

/// Reads the events of one source, on one thread.
#[derive(Debug)]
pub struct Decoder {
    options: DecodeOptions,
    parser: Parser,
    names: Names,
    formats: Formats,
    mapper: mapping::Mapper,
    scanner: scanned::Scanner,
    tag: FieldId,
}

/// The names that headers carry, made once.
#[derive(Debug)]
struct Names(Vec<(SourceType, Arc<str>)>);

#[derive(Debug)]
struct Formats {
    windows: windows::Windows,
    zeek: zeek::Zeek,
    suricata: suricata::Suricata,
    cloudtrail: cloudtrail::CloudTrail,
    syslog: syslog::Syslog,
    door: door::Door,
    payment: payment::Payment,
    crm: crm::Crm,
    backup: backup::Backup,
    gelf: gelf::Gelf,
    otlp: otlp::Otlp,
    journald: journald::Journald,
    keycloak: keycloak::Keycloak,
    falco: falco::Falco,
    trivy: trivy::Trivy,
    gophish: gophish::Gophish,
    json: json::Json,
}

/// Would a line be read as what it is, if its format were not configured?
pub(crate) fn is_known(line: &[u8]) -> bool {
    sniff::sniff(line) != Format::Unknown
}

/// Why an event is rejected, for a person.
type Reason = Cow<'static, str>;
/// What a reading gives that may refuse the event: the event's own time, if it has one that can be read.
/// Formats that refuse nothing give the time alone.
type Read = Result<Option<SourceTime>, Reason>;

/// The bytes of one event as they are stored, and what was done to them.
struct Stored {
    raw: Bytes,
    whole: Option<Whole>,
    protections: Vec<Protection>,
}

impl Decoder {
    pub fn new(table: Arc<FieldTable>, options: DecodeOptions) -> Self {
        let names = SourceType::ALL.map(|of| (of, of.name().into())).into();
        let formats = Formats {
            windows: windows::Windows::new(&table),
            zeek: zeek::Zeek::new(&table),
            suricata: suricata::Suricata::new(&table),
            cloudtrail: cloudtrail::CloudTrail::new(&table),
            syslog: syslog::Syslog::new(Arc::clone(&table)),
            door: door::Door::new(&table),
            payment: payment::Payment::new(&table),
            crm: crm::Crm::new(&table),
            backup: backup::Backup::new(&table),
            gelf: gelf::Gelf::new(&table),
            otlp: otlp::Otlp::new(&table),
            journald: journald::Journald::new(&table),
            keycloak: keycloak::Keycloak::new(&table),
            falco: falco::Falco::new(&table),
            trivy: trivy::Trivy::new(&table),
            gophish: gophish::Gophish::new(&table),
            json: json::Json::new(&table),
        };
        let scanner = scanned::Scanner::new(&table);
        let tag = table.intern("fluent.tag");
        let mapper = mapping::Mapper::new(Arc::clone(&options.mappings), Arc::clone(&table));
        let (parser, names) = (Parser::new(table), Names(names));
        Self { options, parser, names, formats, mapper, scanner, tag }
    }

    /// Reads one event. Never fails: bytes that no decoder understands become an event that is flagged
    /// as rejected and says why.
    pub fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent {
        self.read(raw, None, received)
    }

    /// Reads one line of a file.
    pub fn decode_unit(&mut self, unit: Unit, received: Timestamp) -> ParsedEvent {
        self.read(unit.bytes, unit.whole, received)
    }

    fn read(&mut self, raw: Bytes, whole: Option<Whole>, received: Timestamp) -> ParsedEvent {
        let is_auto = self.options.source_type == SourceType::Auto;
        if let Some(id) = is_auto.then(|| self.mapper.recognise(&raw)).flatten() {
            // What bears a mapping's marks and is not split by it is read as if there were none.
            let format = Format::Mapped(id);
            if let (_, Ok(event)) = self.read_as(format, raw.clone(), whole.clone(), received) {
                return event;
            }
        }
        let format = Format::of(self.options.source_type, &raw);
        match self.read_as(format, raw, whole, received) {
            (_, Ok(event)) => event,
            (stored, Err(reason)) => {
                quarantine::reject(self.header(format, received, &stored), stored.raw, &reason)
            }
        }
    }

    /// Reads the event as one of `format`: what is stored of it, and what was read, or why nothing was.
    fn read_as(
        &mut self,
        format: Format,
        raw: Bytes,
        whole: Option<Whole>,
        received: Timestamp,
    ) -> (Stored, Result<ParsedEvent, Reason>) {
        let stored = self.stored(format, raw, whole);
        let header = self.header(format, received, &stored);
        let read = self.event(format, header, stored.raw.clone());
        (stored, read)
    }

    /// Bytes that the intake could not make an event of; they may hold anything, as an unknown text may.
    fn faulty(&self, raw: Bytes, received: Timestamp, fault: &str) -> ParsedEvent {
        let stored = self.stored(Format::Unknown, raw, None);
        quarantine::reject(self.header(Format::Unknown, received, &stored), stored.raw, fault)
    }

    fn stored(&self, format: Format, raw: Bytes, whole: Option<Whole>) -> Stored {
        let too_long = raw.len() > limit::EVENT_BYTES_MAX;
        let whole = whole.or_else(|| too_long.then(|| limit::whole(&raw)));
        let is_json = shape(format).is_json();
        let (mut raw, mut protections) =
            self.options.policy.apply(format.source_type(), raw, is_json);
        if whole.is_some() {
            raw = limit::head(&raw, &mut protections);
        }
        Stored { raw, whole, protections }
    }

    fn header(&self, format: Format, received: Timestamp, stored: &Stored) -> Header {
        let source = Arc::clone(&self.options.source);
        let is_unknown = format == Format::Unknown;
        let name_of = if is_unknown { SourceType::Auto } else { format.source_type() };
        let decoder = self.names.of(name_of);
        let mut header = Header::new(source, received, shape(format), decoder);
        header.decoder_version = DECODER_VERSION;
        if let Format::Mapped(id) = format
            && let Some(named) = self.mapper.named(id)
        {
            (header.decoder, header.decoder_version) = named;
        }
        header.protections.clone_from(&stored.protections);
        header.whole.clone_from(&stored.whole);
        if stored.whole.is_some() {
            header.flags = header.flags.with(Flags::TRUNCATED);
        }
        header
    }

    fn event(&mut self, format: Format, header: Header, raw: Bytes) -> Result<ParsedEvent, Reason> {
        if raw.trim_ascii().is_empty() {
            return Err("empty".into());
        }
        if let Some(whole) = header.whole.as_ref().filter(|_| header.shape.is_json()) {
            return Err(limit::too_long(whole.bytes).into());
        }
        let received = header.received;
        let mut event = ParsedEvent::parse(header, raw, &mut self.parser)
            .map_err(|error| Reason::from(error.to_string()))?;
        let year = self.options.year;
        let formats = &mut self.formats;
        let time = match format {
            Format::Evtx => formats.windows.evtx(&mut event),
            Format::Nxlog => Ok(formats.windows.nxlog(&mut event)),
            Format::Ecs => Ok(formats.windows.ecs(&mut event)),
            Format::Winlogbeat6 => Ok(formats.windows.winlogbeat6(&mut event)),
            Format::Zeek => Ok(formats.zeek.read(&mut event)),
            Format::Suricata => formats.suricata.read(&mut event),
            Format::CloudTrail => formats.cloudtrail.read(&mut event),
            Format::Syslog => Ok(formats.syslog.read(&mut event, received, year)),
            Format::Apache => apache::read(&mut event),
            Format::Door => formats.door.read(&mut event),
            Format::Payment => formats.payment.read(&mut event),
            Format::Crm => formats.crm.read(&mut event),
            Format::Backup => formats.backup.read(&mut event),
            Format::Gelf => Ok(formats.gelf.read(&mut event)),
            Format::Otlp => Ok(formats.otlp.read(&mut event)),
            Format::Journald => Ok(formats.journald.read(&mut event, &mut formats.syslog)),
            Format::Keycloak => formats.keycloak.read(&mut event),
            Format::Falco => formats.falco.read(&mut event),
            Format::Trivy => formats.trivy.read(&mut event),
            Format::Gophish => formats.gophish.read(&mut event),
            Format::Json => Ok(formats.json.read(&mut event)),
            Format::Mapped(id) => self.mapper.read(id, &mut event, received, year),
            Format::Bundle => Err(BUNDLE.into()),
            Format::Unknown => Err(UNKNOWN.into()),
        }?;
        time::judge(&mut event.header, time);
        Ok(event)
    }
}

const BUNDLE: &str =
    "many records in one object; one a line is read: split it, as with jq -c '.Records[]'";
const UNKNOWN: &str = "neither a JSON object nor a line of syslog or of a web server's access log";

impl Decode for Decoder {
    fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent {
        Self::decode(self, raw, received)
    }

    fn decode_piece(&mut self, piece: Piece, received: Timestamp) -> ParsedEvent {
        let Piece { bytes, whole, context, fault } = piece;
        let mut event = match fault {
            Some(fault) => self.faulty(bytes, received, &fault),
            None => self.read(bytes, whole, received),
        };
        context::add(&mut event, context, self.tag, &self.options.policy);
        event
    }
}

impl Names {
    fn of(&self, source_type: SourceType) -> Arc<str> {
        let known = self.0.iter().find(|(of, _)| *of == source_type);
        known.map_or_else(|| source_type.name().into(), |(_, name)| Arc::clone(name))
    }
}

fn shape(format: Format) -> Shape {
    match format {
        Format::Evtx => Shape::EvtxJson,
        Format::Nxlog => Shape::NxlogFlat,
        Format::Ecs => Shape::Ecs,
        Format::Winlogbeat6 => Shape::Winlogbeat6,
        Format::Zeek => Shape::Zeek,
        Format::Suricata => Shape::SuricataEve,
        Format::CloudTrail => Shape::CloudTrail,
        Format::Door => Shape::Door,
        Format::Payment => Shape::Payment,
        Format::Crm => Shape::Crm,
        Format::Backup => Shape::Backup,
        Format::Gelf => Shape::Gelf,
        Format::Otlp => Shape::Otlp,
        Format::Journald => Shape::Journald,
        Format::Keycloak => Shape::Keycloak,
        Format::Falco => Shape::Falco,
        Format::Trivy => Shape::Trivy,
        Format::Gophish => Shape::Gophish,
        Format::Json => Shape::Json,
        Format::Mapped(id) if id.is_json() => Shape::Json,
        Format::Mapped(_) | Format::Syslog | Format::Apache | Format::Bundle | Format::Unknown => {
            Shape::Text
        }
    }
}

#[cfg(test)]
mod tests;
