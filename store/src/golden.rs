//! The bytes of format version 1, kept in `store/golden`: whatever this Custos becomes, it reads them, and
//! what is not compressed it writes the same again.

use crate::{
    block::{self, Block},
    crypt::{Key, MasterKey},
    disk::Disk,
    frame::{self, Header, Kind},
    keys::Masters,
    opened::{BlockRef, Opened, read_head},
    scan::{Piece, scan},
    seal::seal_bytes,
    segment::SegmentHeader,
    table::Rows,
    tree::{Frontier, leaf},
};
use custos_event::{
    CommitNo, LogId, Partition, ProducerEntry, Seq, SourceRange, Timestamp, wire::put_varint,
};
use std::path::PathBuf;

const DATA_KEY: [u8; 32] = [0x22; 32];
const SEALED_KEY: [u8; 32] = [0x33; 32];
const SALT: [u8; 16] = [0x44; 16];

fn masters() -> Masters {
    Masters::of(MasterKey::new([0x11; 32]))
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "golden", name].iter().collect()
}

/// The stored bytes; written anew only where `CUSTOS_BLESS` is set.
fn golden(name: &str, made: &[u8]) -> Vec<u8> {
    if std::env::var_os("CUSTOS_BLESS").is_some() {
        std::fs::write(path(name), made).unwrap();
    }
    std::fs::read(path(name)).unwrap()
}

fn source(first: i64, last: i64) -> SourceRange {
    SourceRange {
        cluster: "listener".into(),
        topic: "doors".into(),
        partition: 0,
        epoch: 1,
        first,
        last,
        last_digest: 0xdead_beef,
    }
}

fn producer() -> ProducerEntry {
    ProducerEntry {
        topic: "doors".into(),
        partition: 0,
        producer: 4_000,
        epoch: 2,
        base_sequence: 10,
        records: 2,
        base_offset: 7,
    }
}

/// Begins at record 3 of the log, after commit 11.
fn segment_header() -> SegmentHeader {
    let mut frontier = Frontier::default();
    for record in [&b"r0"[..], b"r1", b"r2"] {
        frontier.push(leaf(record), &mut Vec::new());
    }
    SegmentHeader {
        log: LogId::TELEMETRY,
        partition: Partition(0),
        number: 2,
        sealed: false,
        key: 1,
        first_seq: Seq(3),
        first_commit: CommitNo(12),
        synced_through: CommitNo(11),
        created_at: Timestamp(1_800_000_000_000_000_000),
        rows: Rows {
            sources: vec![(source(0, 6), CommitNo(9))],
            producers: vec![(producer(), CommitNo(9))],
        },
        peaks: frontier.peaks().to_vec(),
    }
}

const RECORDS: [&[&[u8]]; 2] = [&[b"first record", b"", b"third record"], &[b"fourth record"]];

/// The two commits of the golden segment: headers, and raw bodies.
fn commits() -> Vec<(Header, Vec<u8>)> {
    let mut frontier = segment_header().frontier().unwrap();
    let mut frames = Vec::new();
    for (n, records) in (0_i64..).zip(RECORDS) {
        let commit = CommitNo(12 + 2 * n.unsigned_abs());
        let at = Timestamp(1_800_000_000_500_000_000 + n);
        let mut raw = Vec::new();
        let header = Header {
            kind: Kind::Commit,
            log: LogId::TELEMETRY,
            partition: Partition(0),
            key: 1,
            counter: n.unsigned_abs(),
            dictionary: 0,
            first_commit: commit,
            last_commit: commit,
            synced_through: CommitNo(commit.0 - 1),
            first_seq: Seq(frontier.size()),
            count: u32::try_from(records.len()).unwrap(),
            first_at: at,
            last_at: at,
            rows: Rows { sources: vec![(source(7 + n, 7 + n), commit)], ..Rows::default() },
            peaks: frontier.peaks().to_vec(),
        };
        for record in records {
            put_varint(&mut raw, record.len() as u64);
        }
        for record in records {
            raw.extend_from_slice(record);
            frontier.push(leaf(record), &mut Vec::new());
        }
        frames.push((header, raw));
    }
    frames
}

fn open_segment() -> Vec<u8> {
    let mut out = segment_header().encode(&DATA_KEY, &masters(), SALT).unwrap();
    for (header, raw) in commits() {
        let body = zstd::bulk::compress(&raw, 1).unwrap();
        out.extend(frame::build(&header, body, raw.len(), &Key::new(&DATA_KEY)).unwrap());
    }
    out
}

fn records(block: &Block) -> Vec<Vec<u8>> {
    block.iter().map(|(_, record)| record.to_vec()).collect()
}

#[test]
fn an_open_segment_of_version_1_reads_and_its_headers_are_written_the_same() {
    let bytes = golden("open-v1.seg", &open_segment());
    let file = Disk::default().open(&path("open-v1.seg")).unwrap();
    let (header, key, header_bytes) = read_head(&file, &masters()).unwrap();
    assert_eq!(header, segment_header());
    let head = header.encode(&DATA_KEY, &masters(), SALT).unwrap();
    assert_eq!(bytes[..usize::try_from(header_bytes).unwrap()], head);
    let frames = &bytes[head.len()..];
    let (pieces, end) = scan(frames, 0);
    assert_eq!((pieces.len(), end), (2, frames.len()));
    for ((piece, (header, raw)), expected) in pieces.iter().zip(commits()).zip(RECORDS) {
        let Piece::Frame { at, framed } = piece else { panic!("{piece:?}") };
        assert_eq!(framed.header, header);
        assert_eq!(frame::open(&frames[*at..], framed, &key, None).unwrap(), raw);
        let block = block::read(&header, raw.clone()).unwrap();
        assert_eq!(records(&block), expected);
        // The same compressed body makes the same frame, whatever a later zstd would make of it.
        let body_at = at + framed.header_bytes + frame::CRC_BYTES;
        let mut body = frames[body_at..body_at + framed.body_bytes].to_vec();
        let aad = &frames[*at..at + framed.header_bytes];
        key.open(header.counter, aad, &mut body).unwrap();
        let again = frame::build(&header, body, raw.len(), &key).unwrap();
        assert_eq!(frames[*at..at + framed.frame_bytes()], again);
    }
}

#[test]
fn a_sealed_segment_of_version_1_reads() {
    let mut frames = Vec::new();
    for (header, raw) in commits() {
        let block = block::read(&header, raw).unwrap();
        frames.push((header, block));
    }
    // A dictionary that zstd takes as content, for training needs more records.
    let dictionary = b"first record third record fourth record".repeat(4);
    let keys = (SEALED_KEY, SALT);
    let made = seal_bytes(&segment_header(), &masters(), keys, &dictionary, &frames).unwrap();
    golden("sealed-v1.seg", &made);
    let opened = Opened::sealed(&Disk::default(), &path("sealed-v1.seg"), &masters()).unwrap();
    let mut header = segment_header();
    (header.sealed, header.key) = (true, 2);
    assert_eq!(opened.header, header);
    let (footer, _) = opened.footer().unwrap();
    assert_eq!(opened.find(<[BlockRef]>::to_vec), footer.blocks);
    let (header, block) = opened.read_block(&footer.blocks[0]).unwrap();
    assert_eq!(records(&block), RECORDS.concat());
    assert_eq!(header.rows.sources, [(source(7, 8), CommitNo(14))]);
    let parts: Vec<_> = block.parts.iter().map(|p| (p.commit.0, p.first.0, p.count)).collect();
    assert_eq!(parts, [(12, 3, 3), (14, 6, 1)]);
    let mut frontier = segment_header().frontier().unwrap();
    block.iter().for_each(|(_, record)| frontier.push(leaf(&record), &mut Vec::new()));
    assert_eq!(footer.frontier, frontier);
    assert_eq!(footer.rows.sources, [(source(8, 8), CommitNo(14))]);
}
