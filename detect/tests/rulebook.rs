//! The life of rules: what files and people say, what may follow, and what runs then.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use custos_detect::{
    Rulebook, parse,
    rulebook::{Move, Refusal},
};
use custos_event::{Actor, CommitNo, Envelope, Fact, RuleId, RuleStage, Timestamp};

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn text(value: &str) -> String {
    format!(
        "title: t\nid: {ID}\nlogsource: {{product: windows}}\ndetection: {{s: {{Image: {value}}}, condition: s}}\n"
    )
}

struct Desk {
    book: Rulebook,
    commit: u64,
}

impl Desk {
    fn new() -> Self {
        Self { book: Rulebook::default(), commit: 0 }
    }

    fn take(&mut self, fact: Fact) {
        self.commit += 1;
        let (at, actor) = (Timestamp::from_secs(1), Actor::User { name: "wei".into() });
        let envelope = Envelope { at, actor, cause: None, fact };
        self.book.apply(CommitNo(self.commit), &envelope);
    }

    /// The files as they are now.
    fn read(&mut self, files: &[(&str, String)]) -> usize {
        let parsed: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str(), parse(text, path).rules))
            .collect();
        let files = parsed.iter().map(|(path, text, rules)| (*path, *text, rules.as_slice()));
        let facts = self.book.read(CommitNo(self.commit), files);
        let count = facts.len();
        for fact in facts {
            self.take(fact);
        }
        count
    }

    fn wanted(to: RuleStage, version: Option<&str>, text: Option<String>) -> Move {
        let rule = text.is_none().then(|| RuleId(ID.into()));
        Move { rule, to, version: version.map(Into::into), text, reason: "because".into() }
    }

    fn go(&mut self, to: RuleStage, version: Option<&str>, text: Option<String>) -> bool {
        match self.book.decide(&Self::wanted(to, version, text)).unwrap() {
            Some(fact) => {
                self.take(fact);
                true
            }
            None => false,
        }
    }

    fn live(&self) -> Vec<String> {
        self.book.live().into_iter().map(|rule| rule.version).collect()
    }

    fn shadow(&self) -> Vec<String> {
        self.book.shadow().0.into_iter().map(|rule| rule.version).collect()
    }
}

fn version(value: &str) -> String {
    parse(&text(value), "").rules[0].version.clone()
}

#[test]
fn a_file_decides_until_a_person_moves_the_rule() {
    let mut desk = Desk::new();
    assert_eq!(desk.read(&[("a.yml", text("one"))]), 1);
    assert_eq!(desk.read(&[("a.yml", text("one"))]), 0, "nothing is told twice");
    assert_eq!(desk.live(), [version("one")]);
    desk.read(&[("a.yml", text("two"))]);
    assert_eq!(desk.live(), [version("two")]);
    assert!(desk.go(RuleStage::Shadow, Some(&version("two")), None));
    assert_eq!((desk.live(), desk.shadow()), (vec![], vec![version("two")]));
    desk.read(&[("a.yml", text("three"))]);
    assert_eq!((desk.live(), desk.shadow()), (vec![], vec![version("two")]));
    assert!(desk.go(RuleStage::Live, Some(&version("three")), None), "the file's text is offered");
    assert_eq!((desk.live(), desk.shadow()), (vec![version("three")], vec![version("two")]));
    desk.read(&[]);
    assert_eq!(desk.live(), [version("three")], "a person's word outlives the file");
}

#[test]
fn a_new_version_is_tried_beside_the_live_one_and_takes_its_place() {
    let mut desk = Desk::new();
    desk.read(&[("a.yml", text("one"))]);
    assert!(desk.go(RuleStage::Draft, None, Some(text("two"))));
    assert_eq!((desk.live(), desk.shadow()), (vec![version("one")], vec![]));
    assert!(desk.go(RuleStage::Shadow, Some(&version("two")), None));
    assert_eq!((desk.live(), desk.shadow()), (vec![version("one")], vec![version("two")]));
    assert!(!desk.go(RuleStage::Shadow, Some(&version("two")), None), "it is so already");
    assert!(desk.go(RuleStage::Live, Some(&version("two")), None));
    assert_eq!((desk.live(), desk.shadow()), (vec![version("two")], vec![]));
    assert!(desk.go(RuleStage::Retired, Some(&version("two")), None));
    assert_eq!((desk.live(), desk.shadow()), (vec![], vec![]));
    let entry = desk.book.get(&RuleId(ID.into())).unwrap();
    assert_eq!(entry.stage(), Some(RuleStage::Retired));
    assert_eq!(entry.history.len(), 4);
    assert_eq!(entry.live_after, CommitNo(desk.commit));
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let mut desk = Desk::new();
    let refused = |desk: &Desk, wanted: Move| desk.book.decide(&wanted).unwrap_err();
    let shadow = RuleStage::Shadow;
    assert!(matches!(refused(&desk, Desk::wanted(shadow, None, None)), Refusal::Unknown(_)));
    desk.read(&[("a.yml", text("one"))]);
    let gone = refused(&desk, Desk::wanted(shadow, Some("0123"), None));
    assert!(matches!(gone, Refusal::Conflict(_)), "{gone}");
    let silent = Move { reason: " ".into(), ..Desk::wanted(shadow, None, None) };
    assert_eq!(refused(&desk, silent), Refusal::Wrong("moving a rule needs a reason".into()));
    let broken = refused(&desk, Desk::wanted(shadow, None, Some("title: x\nid: y\n".into())));
    assert!(matches!(broken, Refusal::Invalid(_)), "{broken}");
    let nameless = text("one").replace(&format!("id: {ID}\n"), "");
    let nameless = refused(&desk, Desk::wanted(shadow, None, Some(nameless)));
    assert!(nameless.to_string().contains("has no id"), "{nameless}");
    let counting = String::from(
        "title: c\nid: 99999999-2222-4333-8444-555555555555\ncorrelation: {type: event_count, \
         rules: [nowhere], group-by: [user.name], timespan: 5m, condition: {gte: 5}}\n",
    );
    let unlinked = refused(&desk, Desk::wanted(RuleStage::Live, None, Some(counting.clone())));
    assert!(unlinked.to_string().contains("'nowhere'"), "{unlinked}");
    assert!(desk.go(RuleStage::Draft, None, Some(counting)), "a draft may wait for what it counts");
}

#[test]
fn what_a_shadow_correlation_counts_comes_with_it_and_is_not_itself_tried() {
    let mut desk = Desk::new();
    desk.read(&[("a.yml", text("one"))]);
    let counting = format!(
        "title: c\nid: 99999999-2222-4333-8444-555555555555\ncorrelation: {{type: event_count, \
         rules: [{ID}], group-by: [user.name], timespan: 5m, condition: {{gte: 5}}}}\n"
    );
    assert!(desk.go(RuleStage::Shadow, None, Some(counting)));
    let (own, needed) = desk.book.shadow();
    assert_eq!((own.len(), needed.len()), (1, 1));
    assert_eq!(needed[0].version, version("one"));
    assert_eq!(desk.live(), [version("one")], "and stays aloud among the live ones");
}

#[test]
fn two_files_with_one_id_are_two_texts() {
    let mut desk = Desk::new();
    desk.read(&[("a.yml", text("one")), ("b.yml", text("two"))]);
    assert_eq!(desk.live().len(), 2);
    assert!(desk.book.get(&RuleId(format!("{ID} (b.yml)").into())).is_some());
    desk.read(&[("a.yml", text("one"))]);
    assert_eq!(desk.live(), [version("one")]);
}
