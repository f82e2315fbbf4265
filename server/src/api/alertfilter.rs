//! Which alerts somebody means, and by what they are grouped.

use super::problem::Problem;
use crate::projection::board::{Row, Status};
use custos_event::EntityKind;
use serde::Deserialize;
use std::str::FromStr;
use utoipa::ToSchema;

/// As it is asked: what is left out does not narrow.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// `open`, `acknowledged`, `closed` or `all`.
    pub(super) status: Option<String>,
    /// One or more, with commas between.
    pub(super) level: Option<String>,
    pub(super) rule: Option<String>,
    /// A value, or kind and value: `user:alice`.
    pub(super) entity: Option<String>,
    /// Words; all must occur in the title, the rule or an entity.
    pub(super) query: Option<String>,
}

/// As it is meant.
pub(super) struct Meant {
    status: Option<Status>,
    levels: Option<Vec<String>>,
    rule: Option<String>,
    entity: Option<(Option<EntityKind>, String)>,
    words: Vec<String>,
}

const WORDS_MAX: usize = 16;

impl Filter {
    pub(super) fn read(self) -> Result<Meant, Problem> {
        let status = match self.status.as_deref() {
            None | Some("all" | "") => None,
            Some("open") => Some(Status::Open),
            Some("acknowledged") => Some(Status::Acknowledged),
            Some("closed") => Some(Status::Closed),
            Some(other) => {
                return Err(Problem::wrong(format!(
                    "status '{other}'; open, acknowledged, closed and all are possible"
                )));
            }
        };
        let lower = |text: &str| text.trim().to_lowercase();
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let words = given(self.query).unwrap_or_default();
        let words: Vec<_> = words.split_whitespace().map(lower).collect();
        if words.len() > WORDS_MAX {
            return Err(Problem::wrong(format!("query has more than {WORDS_MAX} words")));
        }
        Ok(Meant {
            status,
            levels: given(self.level).map(|levels| levels.split(',').map(lower).collect()),
            rule: given(self.rule),
            entity: given(self.entity).map(|text| entity(&text)),
            words,
        })
    }
}

pub(super) fn entity(text: &str) -> (Option<EntityKind>, String) {
    let kind = |name: &str| serde_json::from_value(serde_json::Value::from(name)).ok();
    match text.split_once(':') {
        Some((name, value)) if kind(name).is_some() => (kind(name), value.to_lowercase()),
        _ => (None, text.to_lowercase()),
    }
}

impl Meant {
    pub(super) fn passes(&self, row: &Row) -> bool {
        self.status.is_none_or(|status| row.status() == status)
            && self.levels.as_ref().is_none_or(|levels| levels.iter().any(|it| **it == *row.level))
            && self.rule.as_ref().is_none_or(|rule| **rule == *row.rule.0)
            && self.entity.as_ref().is_none_or(|(kind, value)| {
                row.entities.iter().any(|entity| {
                    kind.is_none_or(|kind| entity.kind == kind)
                        && entity.value.to_lowercase() == *value
                })
            })
            && self.words.iter().all(|word| has(row, word))
    }
}

fn has(row: &Row, word: &str) -> bool {
    let entities = row.entities.iter().map(|entity| entity.value.as_str());
    let mut texts = [&*row.title, &*row.title_zh, &*row.rule.0].into_iter().chain(entities);
    texts.any(|text| text.to_lowercase().contains(word))
}

/// By what alerts are grouped.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Rule,
    Entity,
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rule" => Ok(Self::Rule),
            "entity" => Ok(Self::Entity),
            other => Err(format!("group '{other}'; rule and entity are possible")),
        }
    }
}

/// The key, which is also what to filter by, and what it is called, in English and in Chinese.
pub(super) fn group_key(row: &Row, key: Key) -> (String, String, String) {
    match (key, row.entities.first()) {
        (Key::Rule, _) => (row.rule.to_string(), row.title.to_string(), row.title_zh.to_string()),
        (Key::Entity, Some(entity)) => {
            let kind = serde_json::to_value(entity.kind).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default().to_owned();
            (format!("{kind}:{}", entity.value), entity.value.clone(), String::new())
        }
        (Key::Entity, None) => (String::new(), String::new(), String::new()),
    }
}
