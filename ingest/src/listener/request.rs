//! The requests the listener understands, read off a frame with every length checked.
//!
//! The generated readers of `kafka-protocol` reserve room by the count a client states (a frame of 20
//! bytes could ask for 100 GiB), so requests are read here; answers are written with that crate.

use super::wire::{Malformed, Wire};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

/// What may be asked, by Kafka's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum Kind {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    FindCoordinator = 10,
    SaslHandshake = 17,
    ApiVersions = 18,
    InitProducerId = 22,
    SaslAuthenticate = 36,
}

/// One request kind the listener answers, and the versions it speaks of it.
pub(crate) struct Api {
    pub(crate) key: Kind,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// The first version with compact lengths and tagged fields.
    flexible: i16,
}

const fn api(key: Kind, min: i16, max: i16, flexible: i16) -> Api {
    Api { key, min, max, flexible }
}

/// What is advertised (RELIABILITY §3). librdkafka turns features on by other keys than one would think:
/// message format 2 needs Produce ≥ 3 and Fetch ≥ 4, zstd Fetch ≥ 10, lz4 `FindCoordinator`.
pub(crate) const APIS: [Api; 9] = [
    api(Kind::Produce, 3, 12, 9),
    api(Kind::Fetch, 4, 12, 12),
    api(Kind::ListOffsets, 1, 7, 6),
    api(Kind::Metadata, 0, 12, 9),
    api(Kind::FindCoordinator, 0, 4, 3),
    api(Kind::SaslHandshake, 1, 1, i16::MAX),
    api(Kind::ApiVersions, 0, 4, 3),
    api(Kind::InitProducerId, 0, 4, 2),
    api(Kind::SaslAuthenticate, 0, 2, 2),
];

/// Who asks what, in which version; the answer carries the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) key: Kind,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    /// The answer's header ends with tagged fields.
    pub(crate) flexible: bool,
}

/// Something of each partition, by topic.
pub(crate) type ByTopic<T> = Vec<(StrBytes, Vec<T>)>;

#[derive(Debug)]
pub(crate) enum Request {
    ApiVersions { known: bool },
    Metadata { topics: Option<Vec<StrBytes>>, may_create: bool },
    Produce(Produce),
    Fetch { topics: ByTopic<i32> },
    ListOffsets { topics: ByTopic<(i32, i64)> },
    FindCoordinator { key_type: i8, keys: Vec<StrBytes> },
    InitProducerId { transactional: bool },
    SaslHandshake { mechanism: StrBytes },
    SaslAuthenticate { auth: Bytes },
}

#[derive(Debug)]
pub(crate) struct Produce {
    pub(crate) transactional: bool,
    pub(crate) acks: i16,
    pub(crate) topics: ByTopic<(i32, Option<Bytes>)>,
}

/// A frame that cannot be answered: the connection ends with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("request kind {key} in version {version} is not spoken here; see ApiVersions")]
    Unsupported { key: i16, version: i16 },
    #[error("request kind {key} in version {version} has {source}")]
    Malformed { key: i16, version: i16, source: Malformed },
}

/// Reads one frame.
pub(crate) fn read(frame: Bytes) -> Result<(Asked, Request), RequestError> {
    let mut wire = Wire::new(frame);
    let wrong = |key, version| move |source| RequestError::Malformed { key, version, source };
    let key = wire.i16("request kind").map_err(wrong(-1, -1))?;
    let version = wire.i16("version").map_err(wrong(key, -1))?;
    let correlation = wire.i32("correlation id").map_err(wrong(key, version))?;
    let api = APIS
        .iter()
        .find(|api| api.key as i16 == key)
        .ok_or(RequestError::Unsupported { key, version })?;
    let mut asked = Asked { key: api.key, version, correlation, flexible: version >= api.flexible };
    if !(api.min..=api.max).contains(&version) {
        if api.key != Kind::ApiVersions {
            return Err(RequestError::Unsupported { key, version });
        }
        // The one request whose version the client cannot know yet: answered in version 0, error 35.
        (asked.version, asked.flexible) = (0, false);
        return Ok((asked, Request::ApiVersions { known: false }));
    }
    let body = read_body(&mut wire, asked).map_err(wrong(key, version))?;
    Ok((asked, body))
}

fn read_body(wire: &mut Wire, asked: Asked) -> Result<Request, Malformed> {
    wire.text_or_null("client id")?;
    wire.set_flexible(asked.flexible);
    wire.tags()?;
    match asked.key {
        Kind::ApiVersions => Ok(Request::ApiVersions { known: true }),
        Kind::Metadata => metadata(wire, asked.version),
        Kind::Produce => produce(wire).map(Request::Produce),
        Kind::Fetch => fetch(wire, asked.version),
        Kind::ListOffsets => list_offsets(wire, asked.version),
        Kind::FindCoordinator => find_coordinator(wire, asked.version),
        Kind::InitProducerId => {
            let transactional = wire.text_or_null("transactional id")?.is_some();
            Ok(Request::InitProducerId { transactional })
        }
        Kind::SaslHandshake => Ok(Request::SaslHandshake { mechanism: wire.text("mechanism")? }),
        Kind::SaslAuthenticate => {
            let auth = wire.bytes_or_null("credentials")?.unwrap_or_default();
            Ok(Request::SaslAuthenticate { auth })
        }
    }
}

fn metadata(wire: &mut Wire, version: i16) -> Result<Request, Malformed> {
    let names = wire.items_or_null("topics", |wire| {
        if version >= 10 {
            wire.take(16, "topic id")?;
        }
        let name = wire.text_or_null("topic name")?;
        wire.tags()?;
        Ok(name)
    })?;
    // In version 0 an empty list asks for all; since version 1 null does, and an empty one for none.
    let all = names.as_ref().is_none_or(|names| version == 0 && names.is_empty());
    let topics = if all { None } else { names.map(|names| names.into_iter().flatten().collect()) };
    let may_create = version < 4 || wire.bool("auto-creation")?;
    Ok(Request::Metadata { topics, may_create })
}

fn produce(wire: &mut Wire) -> Result<Produce, Malformed> {
    let transactional = wire.text_or_null("transactional id")?.is_some();
    let acks = wire.i16("acks")?;
    wire.i32("timeout")?;
    let topics = wire.items("topics", |wire| {
        let name = wire.text("topic name")?;
        let partitions = wire.items("partitions", |wire| {
            let part = (wire.i32("partition")?, wire.bytes_or_null("records")?);
            wire.tags()?;
            Ok(part)
        })?;
        wire.tags()?;
        Ok((name, partitions))
    })?;
    Ok(Produce { transactional, acks, topics })
}

fn fetch(wire: &mut Wire, version: i16) -> Result<Request, Malformed> {
    wire.take(4 + 4 + 4 + 4 + 1, "fetch limits")?;
    if version >= 7 {
        wire.take(4 + 4, "fetch session")?;
    }
    let part_bytes = 8
        + 4
        + if version >= 5 { 8 } else { 0 }
        + if version >= 9 { 4 } else { 0 }
        + if version >= 12 { 4 } else { 0 };
    let topics = wire.items("topics", |wire| {
        let name = wire.text("topic name")?;
        let partitions = wire.items("partitions", |wire| {
            let partition = wire.i32("partition")?;
            wire.take(part_bytes, "partition")?;
            wire.tags()?;
            Ok(partition)
        })?;
        wire.tags()?;
        Ok((name, partitions))
    })?;
    Ok(Request::Fetch { topics })
}

fn list_offsets(wire: &mut Wire, version: i16) -> Result<Request, Malformed> {
    wire.i32("replica")?;
    if version >= 2 {
        wire.i8("isolation level")?;
    }
    let topics = wire.items("topics", |wire| {
        let name = wire.text("topic name")?;
        let partitions = wire.items("partitions", |wire| {
            let partition = wire.i32("partition")?;
            if version >= 4 {
                wire.i32("leader epoch")?;
            }
            let time = wire.i64("time")?;
            wire.tags()?;
            Ok((partition, time))
        })?;
        wire.tags()?;
        Ok((name, partitions))
    })?;
    Ok(Request::ListOffsets { topics })
}

fn find_coordinator(wire: &mut Wire, version: i16) -> Result<Request, Malformed> {
    let mut keys = Vec::new();
    if version < 4 {
        keys.push(wire.text("key")?);
    }
    let key_type = if version >= 1 { wire.i8("key type")? } else { 0 };
    if version >= 4 {
        keys = wire.items("keys", |wire| wire.text("key"))?;
    }
    Ok(Request::FindCoordinator { key_type, keys })
}
