//! The shape of the day; that our rules find what they must, and only that, is tests/tests/scenario.rs.

use super::Day;
use crate::{Offset, Story, Topic};
use custos_event::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

fn end() -> Timestamp {
    "2026-11-24T18:00:00Z".parse().unwrap()
}

fn lines(seed: u64) -> Vec<String> {
    Day::new(seed, end()).into_iter().map(|event| event.line).collect()
}

#[test]
fn the_same_seed_makes_the_same_bytes_and_another_seed_others() {
    assert_eq!(lines(7), lines(7));
    let (one, other): (BTreeSet<_>, BTreeSet<_>) =
        (lines(7).into_iter().collect(), lines(8).into_iter().collect());
    assert_eq!(one.intersection(&other).count(), 0, "seeds share lines");
}

#[test]
fn the_last_event_happens_at_the_end_and_the_order_is_that_of_time() {
    let day = Day::new(3, end());
    assert_eq!(day.iter().last().map(|event| event.time), Some(end()));
    assert!(day.iter().is_sorted_by_key(|event| event.time));
    assert!(day.iter().all(|event| event.offset >= Offset(0)));
    let later = Day::new(3, end().plus_secs(3_600));
    assert!(day.iter().zip(later.iter()).all(|(a, b)| a.time.plus_secs(3_600) == b.time));
}

#[test]
fn a_day_has_about_twenty_thousand_events_of_every_topic() {
    for seed in 0..20 {
        let day = Day::new(seed, end());
        assert!((17_000..23_000).contains(&day.len()), "seed {seed}: {}", day.len());
        let mut topics = BTreeMap::new();
        for event in day.iter() {
            assert!(!event.line.contains('\n') && event.line.len() < 2_000, "{}", event.line);
            *topics.entry(event.topic).or_insert(0) += 1;
        }
        assert_eq!(topics.len(), Topic::ALL.len(), "seed {seed}: {topics:?}");
        assert!(topics.values().all(|count| *count >= 90), "seed {seed}: {topics:?}");
    }
}

#[test]
fn every_attack_is_told_by_several_events_and_is_over_before_two_thirds_of_the_day() {
    for seed in 0..20 {
        let day = Day::new(seed, end());
        let mut told: BTreeMap<Story, (usize, usize)> = BTreeMap::new();
        for (nth, event) in day.iter().enumerate() {
            if let Some(story) = event.story {
                let (count, last) = told.entry(story).or_default();
                (*count, *last) = (*count + 1, nth);
            }
        }
        assert_eq!(told.len(), Story::ALL.len(), "seed {seed}: {told:?}");
        for (story, (count, last)) in told {
            assert!(count >= 6, "seed {seed}: {} has {count} events", story.name());
            // At an even rate over 60 s: what is in by the 40th second.
            assert!(last * 3 < day.len() * 2, "seed {seed}: {} ends at {last}", story.name());
        }
    }
}

#[test]
fn who_and_when_varies_with_the_seed() {
    let mut begins: BTreeMap<Story, BTreeSet<Offset>> = BTreeMap::new();
    for seed in 0..20 {
        let mut seen = BTreeSet::new();
        for event in Day::new(seed, end()) {
            if let Some(story) = event.story.filter(|story| seen.insert(*story)) {
                begins.entry(story).or_default().insert(event.offset);
            }
        }
    }
    assert!(begins.values().all(|begins| begins.len() >= 19), "{begins:?}");
}

#[test]
fn english_and_chinese_both_occur() {
    let chinese = |line: &str| line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let day = lines(11);
    let with = day.iter().filter(|line| chinese(line)).count();
    assert!(with > 500 && with * 2 < day.len(), "{with} of {}", day.len());
}

#[test]
fn no_two_attacks_come_from_the_same_address() {
    let address = |line: &str| {
        let from = line.find("203.0.113.")?;
        let rest = &line[from..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        Some(rest[..end].to_owned())
    };
    for seed in 0..20 {
        let mut owners = BTreeMap::new();
        for event in Day::new(seed, end()) {
            if let Some(address) = address(&event.line) {
                let owner = owners.entry(address.clone()).or_insert(event.story);
                assert!(owner.is_some(), "seed {seed}: {address} is no attacker: {}", event.line);
                assert_eq!(*owner, event.story, "seed {seed}: {address}");
            }
        }
        assert!(owners.len() >= 4, "seed {seed}: {owners:?}");
    }
}
