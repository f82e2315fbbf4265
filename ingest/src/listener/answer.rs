//! Answers in Kafka's bytes.

use super::{
    refusal::Refusal,
    request::{APIS, Asked, ByTopic, Kind},
};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiVersionsResponse, BrokerId, FetchResponse, FindCoordinatorResponse,
        InitProducerIdResponse, ListOffsetsResponse, MetadataResponse, ProduceResponse, ProducerId,
        ResponseHeader, SaslAuthenticateResponse, SaslHandshakeResponse, TopicName,
        api_versions_response::ApiVersion,
        fetch_response::{FetchableTopicResponse, PartitionData},
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Encodable, StrBytes},
};

/// The only broker there is: this one.
const NODE: BrokerId = BrokerId(0);
const CLUSTER_ID: &str = "custos-listener";

/// An answer could not be written: a fault of ours, which ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("the answer to {asked:?} does not encode: {reason}")]
pub(crate) struct EncodeError {
    asked: Asked,
    reason: String,
}

type Encoded = Result<BytesMut, EncodeError>;

fn encode(asked: Asked, body: &impl Encodable) -> Encoded {
    let wrong = |reason: &dyn std::fmt::Display| EncodeError { asked, reason: reason.to_string() };
    let mut out = BytesMut::new();
    out.put_i32(0);
    // The header of ApiVersions' answer is always the oldest: a client reads it before it knows ours.
    let flexible = asked.flexible && asked.key != Kind::ApiVersions;
    ResponseHeader::default()
        .with_correlation_id(asked.correlation)
        .encode(&mut out, i16::from(flexible))
        .map_err(|error| wrong(&error))?;
    body.encode(&mut out, asked.version).map_err(|error| wrong(&error))?;
    let len = i32::try_from(out.len() - 4).map_err(|error| wrong(&error))?;
    if let Some(prefix) = out.first_chunk_mut::<4>() {
        *prefix = len.to_be_bytes();
    }
    Ok(out)
}

fn code(result: Option<&ResponseError>) -> i16 {
    result.map_or(0, ResponseError::code)
}

pub(crate) fn api_versions(asked: Asked, known: bool, sasl: bool) -> Encoded {
    let error = (!known).then_some(ResponseError::UnsupportedVersion);
    let offered = |key: Kind| sasl || !matches!(key, Kind::SaslHandshake | Kind::SaslAuthenticate);
    let keys = APIS.iter().filter(|api| offered(api.key)).map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.min)
            .with_max_version(api.max)
    });
    let body = ApiVersionsResponse::default()
        .with_error_code(code(error.as_ref()))
        .with_api_keys(keys.collect());
    encode(asked, &body)
}

/// The address that clients are told.
pub(crate) type Advertised = (StrBytes, i32);

/// A topic with its number of partitions, or why it has none.
pub(crate) type Described = (StrBytes, Result<usize, ResponseError>);

pub(crate) fn metadata(asked: Asked, broker: &Advertised, topics: Vec<Described>) -> Encoded {
    let (host, port) = broker.clone();
    let broker =
        MetadataResponseBroker::default().with_node_id(NODE).with_host(host).with_port(port);
    let topics = topics.into_iter().map(|(name, found)| {
        let partitions = found.as_ref().map_or(0, |count| *count);
        let partition = |index| {
            MetadataResponsePartition::default()
                .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
                .with_leader_id(NODE)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![NODE])
                .with_isr_nodes(vec![NODE])
        };
        MetadataResponseTopic::default()
            .with_error_code(code(found.as_ref().err()))
            .with_name(Some(TopicName(name)))
            .with_partitions((0..partitions).map(partition).collect())
    });
    let body = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER_ID)))
        .with_controller_id(NODE)
        .with_topics(topics.collect());
    encode(asked, &body)
}

/// The first offset of each partition's batch, or why it was refused.
pub(crate) type Produced = ByTopic<(i32, Result<i64, Refusal>)>;

pub(crate) fn produce(asked: Asked, produced: Produced) -> Encoded {
    let topics = produced.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, result)| {
            let part = PartitionProduceResponse::default().with_index(index);
            match result {
                Ok(offset) => part.with_base_offset(offset).with_log_start_offset(0),
                Err(Refusal { code, text }) => {
                    let part = part.with_error_code(code.code()).with_base_offset(-1);
                    let text = StrBytes::from_string(text.to_string());
                    if asked.version >= 8 { part.with_error_message(Some(text)) } else { part }
                }
            }
        });
        TopicProduceResponse::default()
            .with_name(TopicName(name))
            .with_partition_responses(partitions.collect())
    });
    encode(asked, &ProduceResponse::default().with_responses(topics.collect()))
}

/// Nothing is read over this door: what was stored is searched, not consumed.
pub(crate) fn fetch(asked: Asked, topics: ByTopic<i32>) -> Encoded {
    let refused = ResponseError::TopicAuthorizationFailed.code();
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partition = |index| {
            PartitionData::default()
                .with_partition_index(index)
                .with_error_code(refused)
                .with_high_watermark(-1)
                .with_records(Some(Bytes::new()))
        };
        FetchableTopicResponse::default()
            .with_topic(TopicName(name))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    encode(asked, &FetchResponse::default().with_responses(topics.collect()))
}

/// The offset asked for of each partition; `None` where there is no such partition.
pub(crate) type Offsets = ByTopic<(i32, Option<i64>)>;

pub(crate) fn list_offsets(asked: Asked, offsets: Offsets) -> Encoded {
    let topics = offsets.into_iter().map(|(name, partitions)| {
        let partition = |(index, offset): (i32, Option<i64>)| {
            let unknown = offset.is_none().then_some(ResponseError::UnknownTopicOrPartition);
            ListOffsetsPartitionResponse::default()
                .with_partition_index(index)
                .with_error_code(code(unknown.as_ref()))
                .with_timestamp(-1)
                .with_offset(offset.unwrap_or(-1))
        };
        ListOffsetsTopicResponse::default()
            .with_name(TopicName(name))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    encode(asked, &ListOffsetsResponse::default().with_topics(topics.collect()))
}

/// There are no consumer groups and no transactions here, and a client is told so at once.
pub(crate) fn find_coordinator(asked: Asked, key_type: i8, keys: Vec<StrBytes>) -> Encoded {
    let refused = match key_type {
        0 => ResponseError::GroupAuthorizationFailed,
        1 => ResponseError::TransactionalIdAuthorizationFailed,
        _ => ResponseError::InvalidRequest,
    };
    let body = FindCoordinatorResponse::default();
    if asked.version < 4 {
        let body = body.with_error_code(refused.code()).with_node_id(BrokerId(-1)).with_port(-1);
        return encode(asked, &body);
    }
    let coordinators = keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(refused.code())
    });
    encode(asked, &body.with_coordinators(coordinators.collect()))
}

pub(crate) fn producer_id(asked: Asked, id: Result<i64, ResponseError>) -> Encoded {
    let body = match id {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    };
    encode(asked, &body)
}

pub(crate) fn sasl_handshake(
    asked: Asked,
    mechanisms: impl Iterator<Item = &'static str>,
    refused: Option<ResponseError>,
) -> Encoded {
    let body = SaslHandshakeResponse::default()
        .with_error_code(code(refused.as_ref()))
        .with_mechanisms(mechanisms.map(StrBytes::from_static_str).collect());
    encode(asked, &body)
}

/// Tells not which of the two.
pub(crate) const WRONG_LOGIN: &str = "user name or password is wrong";

pub(crate) fn sasl_authenticate(asked: Asked, judged: Result<Bytes, ResponseError>) -> Encoded {
    let body = SaslAuthenticateResponse::default();
    let body = match judged {
        Ok(said) => body.with_auth_bytes(said),
        Err(refused) => body
            .with_error_code(refused.code())
            .with_error_message(Some(StrBytes::from_static_str(WRONG_LOGIN))),
    };
    encode(asked, &body)
}
