//! Record batches of format 2, the only one Kafka clients have sent since 2017.

use super::{
    refusal::Refusal,
    wire::{Malformed, Wire},
};
use bytes::Bytes;
use kafka_protocol::{ResponseError, records::Compression};

/// Bytes from the start of a batch to the end of its length field.
const LENGTH_END: usize = 12;

/// The least a record takes: length, attributes, two deltas, two lengths, header count.
const RECORD_BYTES_MIN: usize = 7;

/// A batch is stored whole, in one append. The store takes 64 MiB in one: 16 MiB of records, as much again
/// where a decoder copies all of them into fields, and half a KiB of header and fields for each of
/// 50,000 records come to 57.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;
const BATCH_RECORDS_MAX: i32 = 50_000;

/// One batch as it was sent: its header read and its checksum right, its records still compressed.
#[derive(Clone, Debug)]
pub(crate) struct RecordBatch {
    pub(crate) codec: Compression,
    /// The idempotent producer that sent it.
    pub(crate) producer: Option<Sequenced>,
    /// How many records it says it has; at least one.
    pub(crate) records: i32,
    pub(crate) body: Bytes,
}

/// Where a batch stands in its producer's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) base: i32,
}

impl RecordBatch {
    /// Reads the one batch that a partition's part of a Produce request holds.
    pub(crate) fn open(bytes: Bytes) -> Result<Self, Refusal> {
        let mut wire = Wire::new(bytes);
        let cut = |source: Malformed| Refusal::corrupt(format!("the batch has {source}"));
        wire.i64("base offset").map_err(cut)?;
        let length = wire.i32("length").map_err(cut)?;
        wire.i32("leader epoch").map_err(cut)?;
        let magic = wire.i8("format").map_err(cut)?;
        if magic != 2 {
            return Err(Refusal::new(
                ResponseError::UnsupportedForMessageFormat,
                format!(
                    "message format {magic} is not read; clients since Kafka 0.11 send format 2"
                ),
            ));
        }
        let crc = wire.u32("checksum").map_err(cut)?;
        let checked = usize::try_from(length).ok().and_then(|length| length.checked_sub(9));
        if checked != Some(wire.remaining()) {
            return Err(Refusal::invalid(format!(
                "the batch says it has {length} bytes after its first {LENGTH_END}, and the request holds \
                 others; one batch for each partition is taken"
            )));
        }
        let rest = wire.rest();
        if crc32c::crc32c(&rest) != crc {
            return Err(Refusal::corrupt("the batch's checksum is wrong: damaged on its way"));
        }
        Self::checked(Wire::new(rest))
    }

    fn checked(mut wire: Wire) -> Result<Self, Refusal> {
        let cut = |source: Malformed| Refusal::corrupt(format!("the batch has {source}"));
        let attributes = wire.i16("attributes").map_err(cut)?;
        let last_delta = wire.i32("last offset").map_err(cut)?;
        wire.take(16, "times").map_err(cut)?;
        let producer = wire.i64("producer id").map_err(cut)?;
        let epoch = wire.i16("producer epoch").map_err(cut)?;
        let base = wire.i32("sequence").map_err(cut)?;
        let records = wire.i32("record count").map_err(cut)?;
        if attributes & (1 << 4 | 1 << 5) != 0 {
            return Err(Refusal::invalid("transactions are not offered here"));
        }
        let body = wire.rest();
        if records < 1 || last_delta != records - 1 {
            return Err(Refusal::invalid(format!(
                "the batch counts {records} records, the last one at {last_delta}"
            )));
        }
        if records > BATCH_RECORDS_MAX {
            return Err(Refusal::new(
                ResponseError::MessageTooLarge,
                format!(
                    "the batch has {records} records, more than the {BATCH_RECORDS_MAX} that are stored at \
                     once; lower the client's batch size"
                ),
            ));
        }
        let producer = (producer >= 0).then_some(Sequenced { producer, epoch, base });
        if producer.is_some_and(|sequenced| sequenced.base < 0 || sequenced.epoch < 0) {
            return Err(Refusal::invalid("the producer's sequence is negative"));
        }
        Ok(Self { codec: codec(attributes)?, producer, records, body })
    }
}

fn codec(attributes: i16) -> Result<Compression, Refusal> {
    match attributes & 7 {
        0 => Ok(Compression::None),
        1 => Ok(Compression::Gzip),
        2 => Ok(Compression::Snappy),
        3 => Ok(Compression::Lz4),
        4 => Ok(Compression::Zstd),
        other => Err(Refusal::new(
            ResponseError::UnsupportedCompressionType,
            format!("codec {other} is not known"),
        )),
    }
}

/// One record: slices of the inflated body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
}

/// Reads exactly `count` records that fill `body`.
pub(crate) fn records(body: Bytes, count: i32) -> Result<Vec<Record>, Refusal> {
    let count = usize::try_from(count).unwrap_or_default();
    if count > body.len() / RECORD_BYTES_MIN {
        let bytes = body.len();
        return Err(Refusal::invalid(format!("{count} records do not fit in {bytes} bytes")));
    }
    let mut wire = Wire::new(body);
    let mut records = Vec::with_capacity(count);
    for n in 0..count {
        let record = record(&mut wire);
        records.push(record.map_err(|cut| Refusal::invalid(format!("record {n} has {cut}")))?);
    }
    match wire.remaining() {
        0 => Ok(records),
        more => Err(Refusal::invalid(format!("{more} bytes follow the batch's last record"))),
    }
}

/// The record's own time and headers are not read: the event's time is in its bytes.
fn record(wire: &mut Wire) -> Result<Record, Malformed> {
    let length =
        usize::try_from(wire.varint("length")?).map_err(|_| Malformed { what: "length" })?;
    let mut wire = Wire::new(wire.take(length, "length")?);
    wire.i8("attributes")?;
    wire.varlong("time")?;
    wire.varint("offset")?;
    let key = nullable(&mut wire, "key")?;
    let value = nullable(&mut wire, "value")?;
    Ok(Record { key, value })
}

fn nullable(wire: &mut Wire, what: &'static str) -> Result<Option<Bytes>, Malformed> {
    match wire.varint(what)? {
        -1 => Ok(None),
        len => {
            let len = usize::try_from(len).map_err(|_| Malformed { what })?;
            wire.take(len, what).map(Some)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::records::{
        Record as Theirs, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };
    use proptest::prelude::*;

    /// A batch as kafka-protocol writes it.
    pub(crate) fn encoded(values: &[Option<&[u8]>], codec: Compression, from: Sequenced) -> Bytes {
        let records: Vec<_> = (0..)
            .zip(values)
            .map(|(n, value)| Theirs {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: -1,
                producer_id: from.producer,
                producer_epoch: from.epoch,
                timestamp_type: TimestampType::Creation,
                offset: n,
                sequence: from.base + i32::try_from(n).unwrap(),
                timestamp: 1_700_000_000_000 + n,
                key: (n % 2 == 0).then(|| Bytes::from(format!("key {n}"))),
                value: value.map(Bytes::copy_from_slice),
                headers: [("h".to_owned().into(), Some(Bytes::from_static(b"v")))].into(),
            })
            .collect();
        let mut out = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: codec };
        RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
        out.freeze()
    }

    pub(crate) const NOBODY: Sequenced = Sequenced { producer: -1, epoch: -1, base: -1 };

    fn read(bytes: Bytes) -> Result<Vec<Record>, Refusal> {
        let batch = RecordBatch::open(bytes)?;
        let body = super::super::inflate::inflate(batch.codec, &batch.body, 1 << 20)?;
        records(body, batch.records)
    }

    #[test]
    fn a_batch_reads_as_it_was_written_in_every_codec() {
        let values = [Some(&b"one"[..]), None, Some(b"")];
        for codec in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let from = Sequenced { producer: 7, epoch: 1, base: 40 };
            let bytes = encoded(&values, codec, from);
            assert_eq!(RecordBatch::open(bytes.clone()).unwrap().producer, Some(from));
            let records = read(bytes).unwrap();
            assert!(records.iter().map(|r| r.value.as_deref()).eq(values), "{codec:?}");
            assert_eq!(records[0].key.as_deref(), Some(&b"key 0"[..]));
            assert_eq!(records[1].key, None);
        }
    }

    #[test]
    fn any_flipped_bit_after_the_checksum_is_noticed() {
        let whole = encoded(&[Some(b"value")], Compression::None, NOBODY);
        for at in 17..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1;
            let refusal = RecordBatch::open(bytes.into()).unwrap_err();
            assert_eq!(refusal.code, ResponseError::CorruptMessage, "byte {at}");
        }
    }

    #[test]
    fn a_second_batch_or_a_cut_one_is_refused() {
        let whole = encoded(&[Some(b"value")], Compression::None, NOBODY);
        let twice = [&whole[..], &whole].concat();
        assert!(RecordBatch::open(twice.into()).is_err());
        for cut in 0..whole.len() {
            assert!(RecordBatch::open(whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn more_records_than_bytes_are_refused_before_room_is_made_for_them() {
        let refusal = records(Bytes::from_static(&[0; 20]), i32::MAX).unwrap_err();
        assert!(refusal.text.contains("do not fit"), "{}", refusal.text);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, count: i32) {
            let bytes = Bytes::from(bytes);
            drop(RecordBatch::open(bytes.clone()));
            drop(records(bytes, count));
        }
    }
}
