//! `opentelemetry.proto.collector.logs.v1`, as far as a log record has it, and how a record is kept: as one JSON
//! object with the values as they are, or, where it says nothing beyond host and file, as its body alone.

use crate::decoding::{Context, Piece};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use custos_event::Timestamp;
use prost::{Message, Oneof};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value as Json, json};

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "number")]
    time_unix_nano: u64,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "number")]
    observed_time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(string, tag = "3")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "hex")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "hex")]
    span_id: Vec<u8>,
    #[prost(string, tag = "12")]
    event_name: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
enum Value {
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue")]
    Text(String),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", deserialize_with = "number")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue")]
    Map(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    #[serde(rename = "bytesValue", deserialize_with = "base64")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

/// Protobuf's JSON writes 64-bit numbers as text; some senders write numbers.
fn number<'de, D: Deserializer<'de>, N>(from: D) -> Result<N, D::Error>
where
    N: std::str::FromStr + Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<N> {
        Number(N),
        Text(String),
    }
    match Either::deserialize(from)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(|_| D::Error::custom("not a whole number")),
    }
}

fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))
}

fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}

impl Request {
    /// Each record as an event.
    pub(super) fn pieces(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for of_resource in self.resource_logs {
            let resource = of_resource.resource.map(|resource| resource.attributes);
            let resource = object(resource.unwrap_or_default());
            for of_scope in of_resource.scope_logs {
                let scope = of_scope.scope.map(Scope::json).unwrap_or_default();
                let piece = |record: LogRecord| record.piece(&resource, &scope);
                pieces.extend(of_scope.log_records.into_iter().map(piece));
            }
        }
        pieces
    }
}

impl Scope {
    fn json(self) -> Map<String, Json> {
        let mut json = Map::new();
        put(&mut json, "name", self.name.into());
        put(&mut json, "version", self.version.into());
        put(&mut json, "attributes", object(self.attributes).into());
        json
    }
}

impl LogRecord {
    fn piece(self, resource: &Map<String, Json>, scope: &Map<String, Json>) -> Piece {
        let body = self.body.map_or(Json::Null, AnyValue::json);
        let attributes = object(self.attributes);
        let mut json = Map::new();
        put(&mut json, "severityNumber", self.severity_number.into());
        put(&mut json, "severityText", self.severity_text.into());
        put(&mut json, "traceId", hex_of(&self.trace_id).into());
        put(&mut json, "spanId", hex_of(&self.span_id).into());
        put(&mut json, "eventName", self.event_name.into());
        put(&mut json, "scope", scope.clone().into());
        let nanos = [self.time_unix_nano, self.observed_time_unix_nano];
        let nanos = nanos.into_iter().find(|nanos| *nanos > 0).unwrap_or_default();
        if let (Json::String(line), true) = (&body, json.is_empty())
            && !line.trim().is_empty()
            && let Some(mut context) = context(&attributes, resource)
        {
            context.time = i64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Timestamp);
            return Piece { context, ..Piece::new(line.clone().into()) };
        }
        json.insert("timeUnixNano".into(), nanos.into());
        put(&mut json, "body", body);
        put(&mut json, "attributes", attributes.into());
        json.insert("resource".into(), resource.clone().into());
        Piece::new(Json::Object(json).to_string().into())
    }
}

/// What a shipper says of a line of a file; `None` if it says more.
fn context(attributes: &Map<String, Json>, resource: &Map<String, Json>) -> Option<Context> {
    let mut context = Context::default();
    for (key, value) in attributes.iter().chain(resource) {
        match (key.as_str(), value) {
            ("host.name", Json::String(host)) => context.host = Some(host.as_str().into()),
            ("log.file.path", Json::String(path)) => context.file = Some(path.as_str().into()),
            ("log.file.name", Json::String(name)) if context.file.is_none() => {
                context.file = Some(name.as_str().into());
            }
            ("log.file.name", Json::String(_)) => {}
            _ => return None,
        }
    }
    Some(context)
}

/// What is empty or zero was not said.
fn put(into: &mut Map<String, Json>, key: &str, value: Json) {
    let is_said = match &value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Number(number) => number.as_i64() != Some(0),
        Json::Object(map) => !map.is_empty(),
        Json::Bool(_) | Json::Array(_) => true,
    };
    if is_said {
        into.insert(key.to_owned(), value);
    }
}

/// A key that comes twice keeps both values, the later one under a name of its own.
fn object(pairs: Vec<KeyValue>) -> Map<String, Json> {
    let mut object = Map::new();
    for KeyValue { mut key, value } in pairs {
        while object.contains_key(&key) {
            key.push('#');
        }
        object.insert(key, value.map_or(Json::Null, AnyValue::json));
    }
    object
}

impl AnyValue {
    fn json(self) -> Json {
        match self.value {
            None => Json::Null,
            Some(Value::Text(text)) => text.into(),
            Some(Value::Bool(is)) => is.into(),
            Some(Value::Int(number)) => number.into(),
            Some(Value::Double(number)) if number.is_finite() => number.into(),
            Some(Value::Double(number)) => number.to_string().into(),
            Some(Value::Array(array)) => array.values.into_iter().map(Self::json).collect(),
            Some(Value::Map(map)) => object(map.values).into(),
            Some(Value::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        }
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
impl AnyValue {
    pub(super) fn of(values: Vec<Self>) -> Self {
        Self { value: Some(Value::Array(ArrayValue { values })) }
    }
}

#[cfg(test)]
impl Request {
    pub(super) fn of(body: AnyValue) -> Self {
        let record = LogRecord { body: Some(body), ..LogRecord::default() };
        let scope_logs = vec![ScopeLogs { scope: None, log_records: vec![record] }];
        Self { resource_logs: vec![ResourceLogs { resource: None, scope_logs }] }
    }
}
