//! Whatever text comes in, reading it ends with an answer, and never with more than was written.

use custos_respond::{
    expr::Expr,
    playbook, rehearse,
    template::{fill, fill_path},
};
use proptest::prelude::*;
use serde_json::json;

const PLAYBOOK: &str = include_str!("../../rules/playbooks/contain-account.yml");

proptest! {
    #[test]
    fn no_text_brings_a_reader_down(text in "\\PC{0,200}") {
        drop(Expr::parse(&text));
        drop(fill(&text, &json!({"a": {"b": 1}})));
        drop(playbook::parse(&text));
        drop(rehearse::cases(&text));
    }

    #[test]
    fn no_damage_to_a_playbook_brings_its_reader_down(at in 0..PLAYBOOK.len(), with in "\\PC{0,8}") {
        let mut text = PLAYBOOK.to_owned();
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + 1..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(at);
        text.replace_range(at..end, &with);
        drop(playbook::parse(&text));
    }

    #[test]
    fn what_is_looked_up_never_leaves_its_segment(value in "\\PC{1,60}") {
        let filled = fill_path("/users/{who}/x", &json!({"who": value})).unwrap();
        let segments: Vec<_> = filled.split('/').collect();
        prop_assert_eq!(segments.len(), 4);
        prop_assert!(segments[2] != ".." && segments[2] != ".");
        prop_assert!(filled.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#'));
    }

    #[test]
    fn a_condition_of_literals_means_the_same_however_it_is_spaced(a in -9_i64..9, b in -9_i64..9) {
        let holds = |text: String| Expr::parse(&text).unwrap().holds(&json!({}));
        prop_assert_eq!(holds(format!("{a} < {b}")), a < b);
        prop_assert_eq!(holds(format!("not ({a}>={b})")), a < b);
        prop_assert_eq!(holds(format!("{a} in [{b}, {a}]")), true);
    }
}
