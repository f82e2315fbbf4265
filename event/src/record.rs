//! A telemetry record in bytes (FORMAT.md, "Record"): what the log stores and the tree hashes.

use crate::{
    ecs,
    field::{FieldId, FieldTable},
    flatten::FlattenError,
    parsed::{Flags, Header, Origin, ParsedEvent, Protection, Whole},
    parser::Parser,
    shape::Shape,
    time::Timestamp,
    value::ValueRef,
    wire::{Reader, WireError, put_bytes, put_varint},
};
use bytes::Bytes;

/// The version that is written. Older ones stay readable for ever.
pub const VERSION: u8 = 1;

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(
        "record is of version {0}, newer than this Custos reads; use the version that wrote it"
    )]
    Newer(u8),
    #[error("record {0}")]
    Wire(#[from] WireError),
    #[error("record does not parse as it did when it was stored")]
    Raw(#[from] FlattenError),
}

/// Appends the bytes of `event`.
pub fn encode(event: &ParsedEvent, table: &FieldTable, out: &mut Vec<u8>) {
    let Header {
        source,
        received,
        time,
        flags,
        shape,
        decoder,
        decoder_version,
        whole,
        rejection,
        protections,
    } = &event.header;
    out.push(VERSION);
    out.push(*shape as u8);
    out.extend_from_slice(&flags.0.to_le_bytes());
    out.extend_from_slice(&received.0.to_le_bytes());
    out.extend_from_slice(&time.0.to_le_bytes());
    put_bytes(out, source.as_bytes());
    put_bytes(out, decoder.as_bytes());
    put_varint(out, u64::from(*decoder_version));
    if flags.has(Flags::TRUNCATED) {
        let whole = whole.clone().unwrap_or(Whole { bytes: 0, sha256: [0; 32] });
        put_varint(out, whole.bytes);
        out.extend_from_slice(&whole.sha256);
    }
    if flags.has(Flags::REJECTED) {
        put_bytes(out, rejection.as_deref().unwrap_or_default().as_bytes());
    }
    put_varint(out, protections.len() as u64);
    for protection in protections {
        put_varint(out, u64::from(protection.start));
        put_varint(out, u64::from(protection.len));
        out.push(protection.kind);
        put_varint(out, u64::from(protection.detector));
    }
    put_fields(event, table, out);
    out.extend_from_slice(&event.raw);
}

const TAG_NULL: u8 = 0;
const TAG_FALSE: u8 = 1;
const TAG_TRUE: u8 = 2;
const TAG_INT: u8 = 3;
const TAG_UINT: u8 = 4;
const TAG_FLOAT: u8 = 5;
const TAG_STR: u8 = 6;
const TAG_ALIAS: u8 = 7;
/// Set on a tag when the value is enrichment.
const TAG_ENRICHMENT: u8 = 0x80;

fn put_fields(event: &ParsedEvent, table: &FieldTable, out: &mut Vec<u8>) {
    put_varint(out, event.stored().count() as u64);
    for (leaf, value) in event.stored() {
        put_name(leaf.field, table, out);
        let origin = if leaf.origin == Origin::Enrichment { TAG_ENRICHMENT } else { 0 };
        if leaf.alias_of != FieldId::OVERFLOW {
            out.push(TAG_ALIAS | origin);
            put_name(leaf.alias_of, table, out);
            continue;
        }
        match value {
            ValueRef::Null => out.push(TAG_NULL | origin),
            ValueRef::Bool(false) => out.push(TAG_FALSE | origin),
            ValueRef::Bool(true) => out.push(TAG_TRUE | origin),
            ValueRef::Int(value) => {
                out.push(TAG_INT | origin);
                put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
            }
            ValueRef::UInt(value) => {
                out.push(TAG_UINT | origin);
                put_varint(out, value);
            }
            ValueRef::Float(value) => {
                out.push(TAG_FLOAT | origin);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            ValueRef::Str(value) => {
                out.push(TAG_STR | origin);
                put_bytes(out, value.as_bytes());
            }
        }
    }
}

/// A well-known name is its number plus one; any other is 0 and the name.
fn put_name(field: FieldId, table: &FieldTable, out: &mut Vec<u8>) {
    if field.is_well_known() {
        put_varint(out, u64::from(field.0) + 1);
    } else {
        put_varint(out, 0);
        put_bytes(out, table.name(field).as_bytes());
    }
}

fn name(reader: &mut Reader<'_>, table: &FieldTable) -> Result<FieldId, WireError> {
    let at = reader.at();
    match reader.number::<u32>("field number")? {
        0 => Ok(table.intern(reader.str("field name")?)),
        number if (number as usize) <= ecs::NAMES.len() => Ok(FieldId(number - 1)),
        _ => Err(WireError::Impossible { at, what: "field number" }),
    }
}

/// Reads only the header, and says where in `bytes` the raw begins. Cheap: no value is parsed.
pub fn header(bytes: &[u8], table: &FieldTable) -> Result<(Header, usize), RecordError> {
    let mut reader = Reader::new(bytes);
    let header = read_header(&mut reader)?;
    for _ in 0..reader.varint("field count")? {
        read_field(&mut reader, table, None)?;
    }
    Ok((header, reader.at()))
}

/// Reads a whole event; the values are exactly those it had when it was encoded.
pub fn decode(bytes: &Bytes, parser: &mut Parser) -> Result<ParsedEvent, RecordError> {
    let table = std::sync::Arc::clone(parser.table());
    let mut reader = Reader::new(bytes);
    let header = read_header(&mut reader)?;
    let fields_at = reader.at();
    for _ in 0..reader.varint("field count")? {
        read_field(&mut reader, &table, None)?;
    }
    let raw = bytes.slice(reader.at()..);
    let mut event = ParsedEvent::parse(header, raw, parser)?;
    let mut fields = Reader::new(bytes);
    fields.take(fields_at, "header")?;
    for _ in 0..fields.varint("field count")? {
        read_field(&mut fields, &table, Some(&mut event))?;
    }
    Ok(event)
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header, RecordError> {
    match reader.u8("version")? {
        VERSION => {}
        0 => return Err(WireError::Impossible { at: 0, what: "version" }.into()),
        newer => return Err(RecordError::Newer(newer)),
    }
    let shape = Shape::from_number(reader.u8("shape")?)
        .ok_or(WireError::Impossible { at: 1, what: "shape" })?;
    let flags = Flags(reader.u16("flags")?);
    let received = Timestamp(reader.i64("received time")?);
    let time = Timestamp(reader.i64("event time")?);
    let source = reader.str("source")?.into();
    let decoder = reader.str("decoder")?.into();
    let decoder_version = reader.number("decoder version")?;
    let whole = if flags.has(Flags::TRUNCATED) {
        Some(Whole { bytes: reader.varint("whole length")?, sha256: reader.array("digest")? })
    } else {
        None
    };
    let rejection =
        if flags.has(Flags::REJECTED) { Some(reader.str("rejection")?.into()) } else { None };
    let mut protections = Vec::new();
    for _ in 0..reader.varint("protection count")? {
        protections.push(Protection {
            start: reader.number("protection start")?,
            len: reader.number("protection length")?,
            kind: reader.u8("protection kind")?,
            detector: reader.number("detector version")?,
        });
    }
    Ok(Header {
        source,
        received,
        time,
        flags,
        shape,
        decoder,
        decoder_version,
        whole,
        rejection,
        protections,
    })
}

/// Takes one stored field off the reader, into `event` if there is one.
fn read_field(
    reader: &mut Reader<'_>,
    table: &FieldTable,
    event: Option<&mut ParsedEvent>,
) -> Result<(), WireError> {
    let field = name(reader, table)?;
    let at = reader.at();
    let tag = reader.u8("value tag")?;
    let origin = if tag & TAG_ENRICHMENT == 0 { Origin::Decoder } else { Origin::Enrichment };
    let value = match tag & !TAG_ENRICHMENT {
        TAG_NULL => ValueRef::Null,
        TAG_FALSE => ValueRef::Bool(false),
        TAG_TRUE => ValueRef::Bool(true),
        TAG_INT => {
            let zigzag = reader.varint("integer")?;
            ValueRef::Int((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
        }
        TAG_UINT => ValueRef::UInt(reader.varint("integer")?),
        TAG_FLOAT => ValueRef::Float(f64::from_bits(reader.u64("float")?)),
        TAG_STR => ValueRef::Str(reader.str("text")?),
        TAG_ALIAS => {
            let native = name(reader, table)?;
            if let Some(event) = event {
                event.alias(field, native);
            }
            return Ok(());
        }
        _ => return Err(WireError::Impossible { at, what: "value tag" }),
    };
    if let Some(event) = event {
        event.add_from(field, value, origin);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn parser() -> Parser {
        Parser::new(Arc::new(FieldTable::new()))
    }

    fn header_of(shape: Shape) -> Header {
        let mut header = Header::new("file:a".into(), Timestamp(7), shape, "evtx".into());
        header.time = Timestamp(-5);
        header
    }

    /// Everything a follower can see of an event.
    fn seen(event: &ParsedEvent) -> String {
        format!("{:?} {:?} {:?}", event.header, event.raw, event.iter().collect::<Vec<_>>())
    }

    fn check(event: &ParsedEvent, parser: &mut Parser) {
        let mut bytes = Vec::new();
        encode(event, parser.table(), &mut bytes);
        let bytes = Bytes::from(bytes);
        let replayed = decode(&bytes, parser).unwrap();
        assert_eq!(seen(&replayed), seen(event));
        let (header, raw_at) = header(&bytes, parser.table()).unwrap();
        assert_eq!((&header, &bytes[raw_at..]), (&event.header, &event.raw[..]));
        for cut in 0..raw_at {
            assert!(decode(&bytes.slice(..cut), parser).is_err(), "cut at {cut} of {raw_at}");
        }
    }

    const WINDOWS: &str = r#"{"Event":{"System":{"EventID":"4624","Channel":"Security"},
        "EventData":{"Target User":"a\\b","N":[1,-2,1.5,18446744073709551615,true,null,[],{}]}}}"#;

    #[test]
    fn a_replayed_event_is_the_live_one() {
        let mut parser = parser();
        let mut event =
            ParsedEvent::parse(header_of(Shape::EvtxJson), WINDOWS.into(), &mut parser).unwrap();
        let user = parser.table().get("winlog.event_data.TargetUser").unwrap();
        assert!(event.alias(ecs::USER_NAME, user));
        assert!(!event.alias(ecs::USER_ID, ecs::USER_ID));
        event.add(ecs::SOURCE_IP, ValueRef::Str("10.0.0.1"));
        event.add(ecs::SOURCE_PORT, ValueRef::Int(-3));
        event.add(parser.table().intern("not.well.known"), ValueRef::Float(0.25));
        event.enrich(ecs::NETWORK_ZONE, ValueRef::Str("dmz"));
        assert_eq!(event.str(ecs::USER_NAME), Some("a\\b"));
        check(&event, &mut parser);
    }

    #[test]
    fn a_cut_or_rejected_record_keeps_what_is_known_of_it() {
        let mut header = header_of(Shape::Text);
        header.flags = Flags::TRUNCATED.with(Flags::REJECTED).with(Flags::NOT_UTF8);
        header.whole = Some(Whole { bytes: 1 << 40, sha256: [9; 32] });
        header.rejection = Some("line 3: no time".into());
        header.protections.push(Protection { start: 1, len: 20, kind: 1, detector: 2 });
        let event = ParsedEvent::text(header, Bytes::from_static(b"\xff\x00 raw"));
        check(&event, &mut parser());
    }

    /// The bytes of version 1, by hand: a change here is a change of the format and needs version 2.
    #[test]
    fn version_1_is_written_as_format_md_says() {
        let mut parser = parser();
        let mut header = header_of(Shape::Text);
        header.flags = Flags::NO_TIME;
        let mut event = ParsedEvent::text(header, Bytes::from_static(b"raw"));
        event.add(ecs::EVENT_DATASET, ValueRef::Str("x"));
        let mut bytes = Vec::new();
        encode(&event, parser.table(), &mut bytes);
        let mut golden = vec![1, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        golden.extend_from_slice(&(-5_i64).to_le_bytes());
        golden.extend_from_slice(b"\x06file:a\x04evtx\x01\x00\x01\x01\x06\x01xraw");
        assert_eq!(bytes, golden);
        check(&event, &mut parser);
    }

    #[test]
    fn a_newer_version_is_told_from_a_broken_one() {
        let error = decode(&Bytes::from_static(b"\x02rest"), &mut parser()).unwrap_err();
        assert!(error.to_string().contains("version 2, newer"), "{error}");
        assert!(decode(&Bytes::new(), &mut parser()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let mut parser = parser();
            let mut versioned = vec![VERSION];
            versioned.extend_from_slice(&bytes);
            for bytes in [bytes, versioned] {
                if let Ok(event) = decode(&Bytes::from(bytes), &mut parser) {
                    prop_assert!(event.raw.len() <= event.weight());
                }
            }
        }
    }

    #[test]
    fn hostile_depth_and_width_are_refused_not_followed() {
        let mut parser = parser();
        let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
        let wide: Vec<_> = (0..2_001).map(|n| format!("\"k{}\":1", n % 50)).collect();
        for (raw, reason) in [
            (deep, "nested deeper than 32"),
            (format!("{{{}}}", wide.join(",")), "more than 2000 keys"),
            ("[1]".into(), "an object"),
            (r#"{"a":1} x"#.into(), "trailing"),
        ] {
            let error = ParsedEvent::parse(header_of(Shape::Json), raw.into(), &mut parser);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
