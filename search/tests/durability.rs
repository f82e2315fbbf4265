//! What is on disk after a stop, a crash or damage: the same answers, or a plain word; never wrong ones.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{World, at, cursor, ecs_event, options};
use custos_event::{LogId, Partition, Seq};
use custos_search::{Index, SearchError, SearchRequest};
use std::{fs, path::Path};

const ALL: SearchRequest = SearchRequest { from: None, to: None, limit: 0 };

const QUERIES: &[&str] = &[
    "*",
    "n:7",
    "n:700",
    "n:*",
    "word700",
    "user.name:u3",
    "text:*ord7?0",
    "not text:*word1*",
    "message:\"event 12\"",
    "n > 1190",
];

/// Event `n`, in part in the dictionary, in part only in the filters.
fn json(n: u64) -> String {
    format!(
        r#"{{"n":{n},"text":"some word{n}","user":{{"name":"u{}"}},"message":"event {n} happened"}}"#,
        n % 5
    )
}

fn fill(world: &mut World, from: u64, to: u64) {
    for n in from..to {
        world.add_ecs(n, i64::try_from(n / 10).unwrap(), &json(n));
    }
}

fn check_all(world: &World) {
    for query in QUERIES {
        world.check(query, ALL);
    }
}

fn open(dir: &Path, world: &World) -> Result<Index, SearchError> {
    Index::open(dir, world.table.clone(), options())
}

#[test]
fn a_reopened_index_knows_what_was_committed_and_where_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    assert_eq!(world.index.cursor(), cursor(0));
    fill(&mut world, 0, 1_200);
    world.commit(7);
    check_all(&world);
    world.reopen(dir.path());
    assert_eq!(world.index.cursor(), cursor(7));
    assert_eq!(world.index.events(), 1_200);
    check_all(&world);
}

#[test]
fn events_are_found_after_a_commit_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 10);
    let query = custos_search::Query::parse("*").unwrap();
    assert_eq!(world.index.count(&query, &ALL, &world.log).unwrap().0, 0);
    world.commit(1);
    assert_eq!(world.index.count(&query, &ALL, &world.log).unwrap().0, 10);
}

#[test]
fn what_comes_again_after_a_crash_is_not_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 700);
    world.commit(1);
    // Never committed: lost with the crash, and added again by the follower.
    fill(&mut world, 700, 1_200);
    world.reopen(dir.path());
    assert_eq!((world.index.cursor(), world.index.events()), (cursor(1), 700));
    for (position, event) in world.events.clone() {
        let added = world.writer.as_mut().unwrap().add(position, &event).unwrap();
        assert_eq!(added, position.seq >= Seq(700));
    }
    world.commit(2);
    check_all(&world);
}

#[test]
fn a_crash_between_filters_and_commit_leaves_the_last_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 600);
    world.commit(1);
    let filters = dir.path().join("filters");
    let mut bytes = fs::read(&filters).unwrap();
    // The next commit's filters came to disk, torn, its splits did not.
    bytes.extend_from_slice(&[0x5a; 1_000]);
    fs::write(&filters, bytes).unwrap();
    world.reopen(dir.path());
    check_all(&world);
    fill(&mut world, 600, 1_800);
    world.commit(2);
    world.reopen(dir.path());
    check_all(&world);
}

#[test]
fn filters_of_another_generation_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let filters = dir.path().join("filters");
    fill(&mut world, 0, 600);
    world.commit(1);
    let old = fs::read(&filters).unwrap();
    fill(&mut world, 600, 1_200);
    world.commit(2);
    let new = fs::read(&filters).unwrap();
    assert!(new.len() > old.len());
    world.writer = None;
    let mut other = new.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    for bytes in [&old, &other, &Vec::new(), &new[..10].to_vec()] {
        fs::write(&filters, bytes).unwrap();
        assert!(matches!(open(dir.path(), &world), Err(SearchError::Damaged { .. })));
    }
    fs::write(&filters, new).unwrap();
    world.reopen(dir.path());
    check_all(&world);
}

#[test]
fn a_flipped_bit_in_a_split_is_damage_or_of_no_effect() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 200);
    world.commit(1);
    world.writer.take().unwrap().close().unwrap();
    let files: Vec<_> = fs::read_dir(dir.path().join("splits"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::metadata(path).unwrap().len() > 0)
        .filter(|path| !path.to_string_lossy().contains("lock"))
        .collect();
    assert!(files.len() >= 6, "{files:?}");
    let (mut damaged, mut harmless) = (0, 0);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        for at in (0..40).map(|n| bytes.len() * n / 40) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            fs::write(&path, bad).unwrap();
            match open(dir.path(), &world) {
                Err(SearchError::Damaged { .. }) => damaged += 1,
                Err(other) => panic!("{}, byte {at}: {other}", path.display()),
                Ok(index) => {
                    harmless += 1;
                    world.index = index;
                    check_all(&world);
                    assert_eq!(world.index.cursor(), cursor(1), "{}, byte {at}", path.display());
                }
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(damaged > 100, "{damaged} found, {harmless} harmless");
    world.reopen(dir.path());
    check_all(&world);
}

#[test]
fn an_unreadable_commit_is_damage_and_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 20);
    world.commit(1);
    world.writer = None;
    let version = dir.path().join("version");
    fs::write(&version, "99\n").unwrap();
    let error = open(dir.path(), &world).err().unwrap();
    assert!(matches!(error, SearchError::Newer { version: 99, .. }), "{error}");
    fs::write(&version, "x").unwrap();
    assert!(matches!(open(dir.path(), &world), Err(SearchError::Damaged { .. })));
    fs::remove_file(&version).unwrap();
    assert!(matches!(open(dir.path(), &world), Err(SearchError::Damaged { .. })));
    fs::write(&version, "1\n").unwrap();
    fs::write(dir.path().join("splits/meta.json"), "{").unwrap();
    assert!(matches!(open(dir.path(), &world), Err(SearchError::Damaged { .. })));
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    assert!(matches!(world.index.writer().err(), Some(SearchError::Busy { .. })));
}

#[test]
fn filters_that_a_stop_left_unbuilt_are_built_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 700);
    world.commit(1);
    world.reopen(dir.path());
    let query = custos_search::Query::parse("absent:1").unwrap();
    let read = |world: &World| world.index.count(&query, &ALL, &world.log).unwrap().1.events_read;
    assert_eq!(read(&world), 700 - 512);
    assert_eq!(world.writer.as_mut().unwrap().fill_gaps(&world.log).unwrap(), 700 - 512);
    fill(&mut world, 700, 1_024);
    world.commit(2);
    assert_eq!(read(&world), 0);
    check_all(&world);
}

#[test]
fn what_retention_dropped_is_neither_found_nor_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 1_200);
    world.commit(1);
    world.log.drop_before(at(600));
    world.events.retain(|(position, _)| position.seq >= Seq(600));
    let writer = world.writer.as_mut().unwrap();
    writer.drop_range(LogId::TELEMETRY, Partition(0), (Seq(0), Seq(600))).unwrap();
    world.commit(2);
    check_all(&world);
}

#[test]
fn a_search_and_the_writer_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    fill(&mut world, 0, 600);
    world.commit(1);
    let query = custos_search::Query::parse("*").unwrap();
    let index = world.index.clone();
    let mut seen = 0;
    let mut writer = world.writer.take().unwrap();
    let (table, log) = (world.table.clone(), &world.log);
    let mut parser = custos_event::Parser::new(table);
    index
        .search_each(&query, &ALL, log, &mut |_| {
            if seen == 0 {
                let event = ecs_event(9_999, &json(600), &mut parser);
                writer.add(at(600), &event).unwrap();
                writer.commit(&cursor(2)).unwrap();
            }
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!((seen, index.events()), (600, 601));
}
