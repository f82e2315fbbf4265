//! Which incident an alert belongs to. A pure decision, so that a replay of the journal groups the same way.

use crate::incident::rank;
use custos_event::{
    Alert, AlertId, Entity, EntityKind, IncidentId, Position, Seq,
    respond::{AlertRef, IncidentEvent},
};
use std::collections::{BTreeMap, HashMap};

/// Alerts of one attack come within a day; what shares an entity a week later is another story.
pub const WINDOW_SECS: i64 = 24 * 3_600;
/// Open incidents that are compared with; older ones are joined by hand. Bounds an alert's cost.
const OPEN_MAX: usize = 1_000;

/// An actor and whom it acted on are two; more of a kind, as the cards that one address tested, name nobody.
const CROWD: usize = 2;

/// What grouping knows of the incidents that are not closed.
#[derive(Clone, Debug, Default)]
pub struct Grouping {
    open: BTreeMap<IncidentId, Group>,
    taken: HashMap<AlertId, IncidentId>,
}

#[derive(Clone, Debug)]
struct Group {
    /// Where its first alert stands in the journal; an alert before it came too early to join.
    first: Seq,
    /// Event times of its alerts.
    from: i64,
    to: i64,
    entities: Vec<Entity>,
    closed: bool,
}

/// What is to be done with an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Join(IncidentId, Box<AlertRef>),
    Open(Box<AlertRef>),
    /// It belongs to an incident already, or is not grave enough to open one.
    Leave,
}

/// The alert as an incident keeps it.
pub fn reference(at: Position, alert: &Alert) -> AlertRef {
    AlertRef {
        id: alert.id,
        at,
        rule: alert.rule.clone(),
        title: alert.title.clone(),
        title_zh: alert.title_zh.clone(),
        level: alert.level.clone(),
        time: alert.time,
        entities: alert.entities.clone(),
    }
}

/// The newest open incident that shares an entity with the alert takes it; high and critical ones open a new
/// one otherwise.
pub fn group(state: &Grouping, at: Position, alert: &Alert) -> Decision {
    if state.taken.contains_key(&alert.id) {
        return Decision::Leave;
    }
    let candidates = state.open.iter().rev().filter(|(_, group)| !group.closed).take(OPEN_MAX);
    let mut joins = candidates.filter(|(_, group)| group.first < at.seq && group.fits(alert));
    if let Some((incident, _)) = joins.next() {
        return Decision::Join(*incident, Box::new(reference(at, alert)));
    }
    if rank(&alert.level) >= rank("high") {
        return Decision::Open(Box::new(reference(at, alert)));
    }
    Decision::Leave
}

impl Group {
    fn fits(&self, alert: &Alert) -> bool {
        let window = WINDOW_SECS.saturating_mul(custos_event::time::NANOS_PER_SEC);
        let near = alert.time.0 >= self.from.saturating_sub(window)
            && alert.time.0 <= self.to.saturating_add(window);
        near && alert.entities.iter().any(|entity| self.entities.contains(entity))
    }

    fn take(&mut self, alert: &AlertRef) {
        self.first = self.first.min(alert.at.seq);
        self.from = self.from.min(alert.time.0);
        self.to = self.to.max(alert.time.0);
        for entity in &alert.entities {
            if !self.entities.contains(entity) {
                self.entities.push(entity.clone());
            }
        }
    }
}

impl Grouping {
    /// Takes one fact in.
    pub fn apply(&mut self, incident: IncidentId, event: &IncidentEvent) {
        match event {
            IncidentEvent::Opened { alerts, .. } => self.add(incident, alerts),
            IncidentEvent::AlertAdded { alert } => self.add(incident, std::slice::from_ref(alert)),
            IncidentEvent::Closed { .. } => self.close(incident, true),
            IncidentEvent::Reopened { .. } => self.close(incident, false),
            IncidentEvent::Assigned { .. }
            | IncidentEvent::Commented { .. }
            | IncidentEvent::TaskAttached { .. }
            | IncidentEvent::RunAttached { .. }
            | IncidentEvent::EvidenceAttached { .. }
            | IncidentEvent::Contained { .. } => {}
        }
    }

    /// The incident that has the alert.
    pub fn incident_of(&self, alert: AlertId) -> Option<IncidentId> {
        self.taken.get(&alert).copied()
    }

    fn add(&mut self, incident: IncidentId, alerts: &[AlertRef]) {
        for alert in alerts {
            self.taken.insert(alert.id, incident);
            let group = self.open.entry(incident).or_insert_with(|| Group {
                first: alert.at.seq,
                from: alert.time.0,
                to: alert.time.0,
                entities: Vec::new(),
                closed: false,
            });
            group.take(alert);
        }
    }

    fn close(&mut self, incident: IncidentId, closed: bool) {
        if let Some(group) = self.open.get_mut(&incident) {
            group.closed = closed;
        }
    }
}

/// What an incident opened by this alert is called, in English and in Chinese: the rule's title and whom it is
/// about first. Where many of a kind are named, it is about where they came from. The Chinese title is empty where
/// the rule has none.
pub fn titles(alert: &AlertRef) -> (String, String) {
    let named = |kind| alert.entities.iter().filter(move |entity: &&Entity| entity.kind == kind);
    let is_crowd = |kind: &EntityKind| named(*kind).count() > CROWD;
    let of = |kind| Some(kind).filter(|kind| !is_crowd(kind)).and_then(|kind| named(kind).next());
    let mut kinds = [
        EntityKind::User,
        EntityKind::Credential,
        EntityKind::Card,
        EntityKind::Customer,
        EntityKind::Address,
        EntityKind::Host,
        EntityKind::Door,
    ];
    if kinds.iter().any(is_crowd) {
        kinds.sort_by_key(|kind| *kind != EntityKind::Address);
    }
    let Some(entity) = kinds.into_iter().find_map(of) else {
        return (alert.title.clone(), alert.title_zh.clone());
    };
    let title_zh = match alert.title_zh.as_str() {
        "" => String::new(),
        known => format!("{known}：{}", entity.value),
    };
    (format!("{}: {}", alert.title, entity.value), title_zh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{RuleId, Timestamp};

    fn at(seq: u64) -> Position {
        format!("journal/0/{seq}").parse().unwrap()
    }

    fn alert(n: u8, level: &str, hour: i64, who: &str) -> Alert {
        Alert {
            id: AlertId([n; 16]),
            rule: RuleId("r".into()),
            rule_version: String::new(),
            title: "t".into(),
            title_zh: String::new(),
            level: level.into(),
            risk: None,
            tags: Vec::new(),
            time: Timestamp::from_secs(hour * 3_600),
            events: Vec::new(),
            matched: Vec::new(),
            entities: vec![Entity { kind: EntityKind::User, value: who.into() }],
        }
    }

    /// `low` etc. alerts in order; where each went: 0 nowhere, else the incident's number.
    fn check(alerts: &[(&str, i64, &str)]) -> Vec<u32> {
        let mut state = Grouping::default();
        let mut opened = 0;
        let mut went = Vec::new();
        for (n, (level, hour, who)) in alerts.iter().enumerate() {
            let n = u8::try_from(n).unwrap();
            let alert = alert(n, level, *hour, who);
            match group(&state, at(u64::from(n)), &alert) {
                Decision::Leave => went.push(0),
                Decision::Join(incident, alert) => {
                    state.apply(incident, &IncidentEvent::AlertAdded { alert: *alert });
                    went.push(incident.0);
                }
                Decision::Open(alert) => {
                    opened += 1;
                    let ((title, title_zh), level) = (titles(&alert), alert.level.clone());
                    let alerts = vec![*alert];
                    let event = IncidentEvent::Opened { title, title_zh, level, alerts };
                    state.apply(IncidentId(opened), &event);
                    went.push(opened);
                }
            }
        }
        went
    }

    #[test]
    fn grave_alerts_open_and_slight_ones_only_join() {
        let alerts = [("low", 0, "ann"), ("high", 0, "ann"), ("low", 1, "ann"), ("low", 1, "bob")];
        assert_eq!(check(&alerts), [0, 1, 1, 0]);
    }

    #[test]
    fn what_is_further_than_a_day_away_is_another_incident() {
        assert_eq!(
            check(&[("high", 0, "ann"), ("high", 24, "ann"), ("high", 49, "ann")]),
            [1, 1, 2]
        );
        assert_eq!(check(&[("high", 100, "ann"), ("low", 75, "ann")]), [1, 0]);
    }

    #[test]
    fn the_newest_of_several_incidents_takes_it() {
        let alerts = [("high", 0, "ann"), ("high", 30, "ann"), ("medium", 24, "ann")];
        assert_eq!(check(&alerts), [1, 2, 2]);
    }

    #[test]
    fn an_incident_is_called_by_whom_it_is_about_and_not_by_one_of_a_crowd() {
        let entity = |kind, value: &str| Entity { kind, value: value.into() };
        let called = |entities: Vec<Entity>| {
            let mut alert = reference(at(1), &alert(1, "high", 0, "ann"));
            (alert.title, alert.title_zh) = ("Cards tested".into(), "试卡".into());
            titles(&AlertRef { entities, ..alert })
        };
        let address = entity(EntityKind::Address, "203.0.113.9");
        let card = |n| entity(EntityKind::Card, &format!("card_{n}"));
        let (title, title_zh) = called(vec![address.clone(), card(1)]);
        assert_eq!((&*title, &*title_zh), ("Cards tested: card_1", "试卡：card_1"));
        let customer = entity(EntityKind::Customer, "c-1");
        let (title, _) = called(vec![customer.clone(), address.clone(), card(1)]);
        assert_eq!(title, "Cards tested: card_1");
        let (title, _) = called(vec![customer, address, card(1), card(2), card(3)]);
        assert_eq!(title, "Cards tested: 203.0.113.9");
        assert_eq!(called(Vec::new()), ("Cards tested".into(), "试卡".into()));
    }

    #[test]
    fn an_alert_is_taken_once_and_a_closed_incident_takes_none() {
        let mut state = Grouping::default();
        let first = alert(1, "high", 0, "ann");
        let opened = IncidentEvent::Opened {
            title: "t".into(),
            title_zh: String::new(),
            level: "high".into(),
            alerts: vec![reference(at(1), &first)],
        };
        state.apply(IncidentId(1), &opened);
        assert_eq!(group(&state, at(1), &first), Decision::Leave);
        let next = alert(2, "low", 0, "ann");
        assert!(matches!(group(&state, at(2), &next), Decision::Join(..)));
        // Read again after a restart, an alert from before the incident stays outside, as it was.
        assert_eq!(group(&state, at(0), &next), Decision::Leave);
        state.apply(IncidentId(1), &IncidentEvent::Closed { reason: None });
        assert_eq!(group(&state, at(2), &next), Decision::Leave);
    }
}
