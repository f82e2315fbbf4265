//! Order, limits, time ranges, and what each part of the language finds.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{World, at, ecs_event};
use custos_event::{
    Ends, Flags, Header, LogId, ParsedEvent, Partition, Position, Seq, Shape, Timestamp, ValueRef,
    ecs,
};
use custos_search::{Query, SearchRequest};

const ALL: SearchRequest = SearchRequest { from: None, to: None, limit: 0 };

fn positions(world: &World, text: &str, request: SearchRequest) -> Vec<u64> {
    let query = Query::parse(text).unwrap();
    let found = world.index.search(&query, &request, &world.log).unwrap();
    found.hits.iter().map(|hit| hit.position.seq.0).collect()
}

#[test]
fn the_newest_come_first_and_of_one_instant_the_last_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    for (seq, time) in [5, 9, 5, 1, 9, 7].into_iter().enumerate() {
        world.add_ecs(seq as u64, time, r#"{"a":"x","event":{"action":"x"}}"#);
        if seq == 2 {
            world.commit(1);
        }
    }
    world.commit(2);
    for text in ["*", "a:x", "event.action:x"] {
        assert_eq!(positions(&world, text, ALL), [4, 1, 5, 2, 0, 3], "{text}");
        assert_eq!(positions(&world, text, SearchRequest { limit: 3, ..ALL }), [4, 1, 5]);
        let from = Some(Timestamp::from_secs(5));
        let to = Some(Timestamp::from_secs(9));
        assert_eq!(positions(&world, text, SearchRequest { from, to, limit: 0 }), [5, 2, 0]);
    }
    let mut first = 0;
    let query = Query::parse("a:x").unwrap();
    let stats = world.index.search_each(&query, &ALL, &world.log, &mut |hit| {
        first = hit.position.seq.0;
        false
    });
    assert_eq!((first, stats.unwrap().hits), (4, 1));
}

#[test]
fn the_past_is_what_was_there_in_each_log_whatever_place_others_have_in_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let in_log = |log, seq| Position { log: LogId(log), ..at(seq) };
    // Of both logs in one split, and of one alone in another.
    for (commit, places) in [(1, vec![(0, 0), (2, 0), (0, 1), (2, 1)]), (2, vec![(2, 2), (2, 3)])] {
        for (log, seq) in places {
            let event = ecs_event(9, r#"{"a":"x","event":{"action":"x"}}"#, &mut world.parser);
            world.add(in_log(log, seq), event);
        }
        world.commit(commit);
    }
    let check = |ends: &[(u8, u64)], expected: &[(u8, u64)]| {
        let end = |(log, end): &(u8, u64)| (LogId(*log), Partition(0), Seq(*end));
        let ends: Ends = ends.iter().map(end).collect();
        for text in ["*", "a:x", "event.action:x"] {
            let query = Query::parse(text).unwrap().before(Some(ends.clone()));
            let found = world.index.search(&query, &ALL, &world.log).unwrap();
            let found: Vec<_> = found.hits.iter().map(|hit| hit.position).collect();
            let expected: Vec<_> = expected.iter().map(|(log, seq)| in_log(*log, *seq)).collect();
            assert_eq!(found, expected, "{text} of {ends:?}");
            let count = world.index.count(&query, &ALL, &world.log).unwrap().0;
            assert_eq!(count, expected.len() as u64, "{text} of {ends:?}");
        }
    };
    check(&[(0, 2), (2, 4)], &[(2, 3), (2, 2), (2, 1), (0, 1), (2, 0), (0, 0)]);
    check(&[(0, 1), (2, 3)], &[(2, 2), (2, 1), (2, 0), (0, 0)]);
    check(&[(0, 2)], &[(0, 1), (0, 0)]);
    check(&[(2, 1)], &[(2, 0)]);
    check(&[], &[]);
}

/// Whether each query finds the one event.
fn check(json: &str, cases: &[(&str, bool)]) {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.add_ecs(0, 0, json);
    world.commit(1);
    for (text, found) in cases {
        assert_eq!(world.check(text, ALL) == 1, *found, "{text} on {json}");
    }
}

#[test]
fn chinese_is_found_by_any_part_of_a_sentence() {
    let json = r#"{"message":"门被强行打开","note":"\u4e3b\u95e8\uff0c\u5f3a\u884c"}"#;
    check(
        json,
        &[
            ("强行", true),
            ("message:强行", true),
            ("message:\"门被强行打开\"", true),
            ("message:强打", false),
            ("行强", false),
            ("note:*强行", true),
            ("主门强行", true),
            ("强*", true),
        ],
    );
}

#[test]
fn values_are_compared_whole_without_case_and_by_what_they_are() {
    let json = r#"{"user":{"name":"SVC_Backup"},"source":{"ip":"10.1.2.3","port":"443"},
        "x":{"ip":"2001:DB8:0::7"},"code":4624,"big":18446744073709551615,"t":"2026-11-24T08:00:00+01:00",
        "path":"C:\\Windows\\x.exe","none":null,"flag":true,"tags":["a","b"],"q":"say \"hi\""}"#;
    check(
        json,
        &[
            ("user.name:svc_backup", true),
            ("user.name:SVC*", true),
            ("user.name:svc", false),
            ("user.name:s?c_backup", true),
            ("user.name:\"svc*\"", false),
            ("source.ip:10.0.0.0/8", true),
            ("source.ip:11.0.0.0/8", false),
            ("source.ip:10.1.*", true),
            ("source.ip > 10.1.2.2", true),
            ("source.port >= 443 and source.port < 444", true),
            ("source.port:443.0", true),
            ("x.ip:\"2001:db8::7\"", true),
            ("x.ip:2001:db8::/32", true),
            ("code:4624", true),
            ("code:(1 or 4624)", true),
            ("code > 4623.5", true),
            ("code > 5000", false),
            ("big:18446744073709551615", true),
            ("t >= 2026-11-24T07:00:00Z and t < 2026-11-24T07:00:01Z", true),
            ("path:C:\\Windows\\x.exe", true),
            ("path:*\\\\x.exe", true),
            ("path:\"c:\\\\windows\\\\x.exe\"", true),
            ("none:*", false),
            ("flag:TRUE", true),
            ("tags:a and tags:b", true),
            ("tags:(a and not c)", true),
            ("q:\"say \\\"hi\\\"\"", true),
            ("absent:*", false),
            ("not absent:x", true),
            ("@timestamp:1970-01-01T00:00:00Z", true),
            ("event.ingested > 1970-01-01T00:00:04Z", true),
            ("custos.source:TEST", true),
            ("", true),
            ("*", true),
        ],
    );
}

#[test]
fn free_text_looks_at_every_value_word_by_word() {
    let json =
        r#"{"message":"Failed login from 10.0.0.5","data":{"note":"user-agent Mimikatz/2"}}"#;
    check(
        json,
        &[
            ("mimikatz", true),
            ("MIMI*", true),
            ("katz", false),
            ("*katz", true),
            ("10.0.0.5", true),
            ("\"login from\"", true),
            ("\"from login\"", false),
            ("login mimikatz", true),
            ("login and not mimikatz", false),
            ("_raw:agent", true),
            ("note", false),
            ("message:failed", true),
            ("message:fail*", true),
            ("message:mimikatz", false),
        ],
    );
}

#[test]
fn rejected_events_are_seen_only_by_who_asks_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let mut header = Header::new("test".into(), Timestamp(0), Shape::Text, "none".into());
    header.flags = Flags::REJECTED.with(Flags::NO_TIME);
    header.rejection = Some("no decoder reads it".into());
    let mut event = ParsedEvent::text(header, bytes::Bytes::from_static(b"\xff garbage here"));
    event.add(ecs::EVENT_KIND, ValueRef::Str("pipeline_error"));
    event.add(ecs::ERROR_MESSAGE, ValueRef::Str("no decoder reads it"));
    world.add(at(0), event);
    world.commit(1);
    for (text, found) in [
        ("*", 0),
        ("garbage", 0),
        ("custos.source:test", 0),
        ("not user.name:x", 0),
        ("event.kind:pipeline_error", 1),
        ("error.message:decoder", 1),
        ("error.message:* and garbage", 1),
        ("not event.kind:event", 1),
    ] {
        assert_eq!(world.check(text, ALL), found, "{text}");
    }
}

#[test]
fn a_query_that_cannot_be_read_says_where_and_what_would_be_right() {
    for (text, column, part) in [
        ("user.name:", 11, "field:*"),
        ("a:b )", 5, "closes nothing"),
        ("(a:b", 1, "never closed"),
        ("a:\"b", 3, "never closed"),
        ("强 and (x or ", 10, "nothing follows 'or'"),
        ("or x", 1, "missing before"),
        ("a and", 3, "nothing follows 'and'"),
        ("not", 1, "nothing follows 'not'"),
        ("()", 1, "between these"),
        ("10:30", 1, "quote it"),
        ("us*r:x", 1, "no wildcards"),
        (":x", 1, "missing here"),
        ("a > ", 3, "value is missing"),
        ("a >= b*", 6, "no wildcards"),
        ("= b", 1, "field:value"),
        ("@timestamp:yesterday", 12, "RFC 3339"),
        ("-- x", 1, "no letter or digit"),
    ] {
        let error = Query::parse(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
    assert!(Query::parse(&format!("{}x{}", "(".repeat(100), ")".repeat(100))).is_err());
    assert!(Query::parse(&"a:b ".repeat(2_000)).is_err());
    assert!(Query::parse("AND").is_err() && Query::parse("\"and\"").is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_of_queries_panic(text: String, signs in "[ab:()\"*?<>= \\\\]{0,24}") {
        for text in [&text, &signs] {
            if let Err(error) = Query::parse(text) {
                proptest::prop_assert!(error.column <= text.chars().count() + 1);
            }
        }
    }
}
