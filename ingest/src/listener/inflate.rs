//! The four codecs of a record batch, each bounded in what it may inflate to.

use super::refusal::Refusal;
use bytes::Bytes;
use kafka_protocol::{ResponseError, records::Compression};
use std::io::{self, Read};

/// RELIABILITY §4: no honest log compresses better than this at length.
const RATIO_MAX: usize = 100;

/// 1 MiB: below it the ratio is not looked at, since a small batch of equal lines may well exceed it and
/// hurts nobody.
const RATIO_FREE_BYTES: usize = 1 << 20;

/// 32 MiB, the most that zstd may set aside for one stream before its first byte comes; level 19, the
/// highest without `--ultra`, uses 8.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// The most that `compressed` bytes may become.
pub(crate) fn bound(compressed: usize, inflated_max: usize) -> usize {
    compressed.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES).min(inflated_max)
}

/// Inflates the body of a batch to at most `max` bytes.
pub(crate) fn inflate(codec: Compression, body: &Bytes, max: usize) -> Result<Bytes, Refusal> {
    match codec {
        Compression::None => Ok(body.clone()),
        Compression::Gzip => {
            read_bounded(flate2::read::MultiGzDecoder::new(&body[..]), body.len(), max)
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&body[..])
                .map_err(|error| broken(&error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| broken(&error))?;
            read_bounded(decoder, body.len(), max)
        }
        Compression::Lz4 => {
            let decoder = lz4::Decoder::new(&body[..]).map_err(|error| broken(&error))?;
            read_bounded(decoder, body.len(), max)
        }
        Compression::Snappy => snappy(body, max),
    }
}

fn read_bounded(from: impl Read, compressed: usize, max: usize) -> Result<Bytes, Refusal> {
    let mut inflated = Vec::with_capacity(compressed.saturating_mul(4).min(max));
    let read =
        from.take(max as u64 + 1).read_to_end(&mut inflated).map_err(|error| broken(&error))?;
    if read > max { Err(too_large(max)) } else { Ok(inflated.into()) }
}

/// What snappy-java puts before its blocks: magic, version 1, compatible since 1. librdkafka sends one
/// bare block instead.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

fn snappy(body: &[u8], max: usize) -> Result<Bytes, Refusal> {
    let mut inflated = Vec::new();
    if !body.starts_with(XERIAL_MAGIC) {
        block(body, &mut inflated, max)?;
        return Ok(inflated.into());
    }
    let mut rest = body.get(XERIAL_HEADER_BYTES..).unwrap_or_default();
    while !rest.is_empty() {
        let cut = || Refusal::corrupt("snappy: a block is cut short");
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (compressed, after) = after.split_at_checked(len).ok_or_else(cut)?;
        block(compressed, &mut inflated, max)?;
        rest = after;
    }
    Ok(inflated.into())
}

fn block(compressed: &[u8], inflated: &mut Vec<u8>, max: usize) -> Result<(), Refusal> {
    let start = inflated.len();
    let len = snap::raw::decompress_len(compressed).map_err(|error| broken(&error.into()))?;
    if len > max.saturating_sub(start) {
        return Err(too_large(max));
    }
    inflated.resize(start + len, 0);
    let room = inflated.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new()
        .decompress(compressed, room)
        .map_err(|error| broken(&error.into()))?;
    Ok(())
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::corrupt(format!("the batch does not inflate: {error}"))
}

/// Clients that can, split the batch and try again.
pub(crate) fn too_large(max: usize) -> Refusal {
    Refusal::new(
        ResponseError::MessageTooLarge,
        format!(
            "the batch comes to more than {max} bytes, the least of 16 MiB, {RATIO_MAX} times its compressed \
             size and listener.batch_bytes_max; lower the client's batch size"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn deflate(codec: Compression, plain: &[u8]) -> Bytes {
        let bytes = match codec {
            Compression::None => plain.to_vec(),
            Compression::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                to.write_all(plain).unwrap();
                to.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(plain, 3).unwrap(),
            Compression::Lz4 => {
                let mut to = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
                to.write_all(plain).unwrap();
                to.finish().0
            }
            Compression::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        };
        bytes.into()
    }

    const CODECS: [Compression; 4] =
        [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Snappy];

    #[test]
    fn every_codec_ends_at_the_bound_and_not_a_byte_before() {
        let plain: Vec<u8> = (0..70_000_u32).map(|n| (n * 7 / 3).to_le_bytes()[0]).collect();
        for codec in CODECS {
            let body = deflate(codec, &plain);
            assert_eq!(inflate(codec, &body, plain.len()).unwrap(), plain, "{codec:?}");
            let refusal = inflate(codec, &body, plain.len() - 1).unwrap_err();
            assert_eq!(refusal.code, ResponseError::MessageTooLarge, "{codec:?}");
        }
    }

    #[test]
    fn a_bomb_is_bounded_by_its_ratio_and_a_small_batch_of_equal_lines_is_none() {
        let bomb = deflate(Compression::Gzip, &vec![0; 50 << 20]);
        assert!(inflate(Compression::Gzip, &bomb, bound(bomb.len(), 100 << 20)).is_err());
        let equal = deflate(Compression::Zstd, &vec![b'a'; 900_000]);
        assert!(equal.len() * RATIO_MAX < 900_000);
        assert!(inflate(Compression::Zstd, &equal, bound(equal.len(), 100 << 20)).is_ok());
    }

    #[test]
    fn the_blocks_of_snappy_java_are_read_one_after_the_other() {
        let mut body = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        for part in [&b"one "[..], b"two"] {
            let block = snap::raw::Encoder::new().compress_vec(part).unwrap();
            body.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
            body.extend_from_slice(&block);
        }
        assert_eq!(inflate(Compression::Snappy, &body.clone().into(), 7).unwrap(), "one two");
        assert!(inflate(Compression::Snappy, &body.clone().into(), 6).is_err());
        body.truncate(body.len() - 1);
        assert!(inflate(Compression::Snappy, &body.into(), 7).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_codec_panic_or_exceed_its_bound(bytes: Vec<u8>) {
            let body = Bytes::from(bytes);
            for codec in CODECS {
                if let Ok(inflated) = inflate(codec, &body, 4_096) {
                    prop_assert!(inflated.len() <= 4_096);
                }
            }
        }
    }
}
