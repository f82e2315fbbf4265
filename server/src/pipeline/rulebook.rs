//! The rulebook along the log: which rules hold for which commit, and who may change that.

use super::journal::Journal;
use crate::{
    clock::SystemClock,
    exit::Failure,
    folder::{append_facts, system},
    rulefiles::RuleFile,
};
use custos_detect::{
    Rulebook,
    rulebook::{Move, Refusal},
};
use custos_event::{
    Actor, Clock as _, Commit, CommitNo, Cursor, Envelope, Fact, LogId, RuleId, Seq,
};
use custos_store::{Store, StoreError};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A turn of reading takes at most so much.
const COMMITS_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;

/// A rulebook that goes along with the commits.
pub(crate) struct Following {
    pub(crate) book: Rulebook,
    /// What was read of files, by the commit after which it holds; those that hold already are out.
    ahead: VecDeque<(CommitNo, Envelope)>,
}

impl Following {
    /// As it held after the last commit that was evaluated.
    pub(crate) fn open(store: &Store, journal: &Journal) -> anyhow::Result<Self> {
        let evaluated = journal.evaluated()?.commit();
        let facts = journal.rulebook()?;
        let beyond = beyond(store, evaluated, &facts)?;
        let mut following = Self { book: Rulebook::default(), ahead: VecDeque::new() };
        for (seq, envelope) in facts {
            match read_after(&envelope.fact) {
                Some(after) => following.ahead.push_back((after, envelope)),
                None if seq < beyond.first => following.apply_one(evaluated, &envelope),
                // The log brings it.
                None => {}
            }
            following.until(evaluated.next());
        }
        Ok(following)
    }

    /// As it was before the first commit.
    pub(crate) fn from_start(facts: Vec<(Seq, Envelope)>) -> Self {
        let read = |(_, envelope): (Seq, Envelope)| Some((read_after(&envelope.fact)?, envelope));
        Self { book: Rulebook::default(), ahead: facts.into_iter().filter_map(read).collect() }
    }

    fn apply_one(&mut self, commit: CommitNo, envelope: &Envelope) {
        self.book.apply(commit, envelope);
    }

    /// Takes in what files said that holds for `commit`; whether that was anything.
    pub(crate) fn until(&mut self, commit: CommitNo) -> bool {
        let before = self.book.running;
        while let Some((_, envelope)) = self.ahead.pop_front_if(|(after, _)| *after < commit) {
            self.apply_one(commit, &envelope);
        }
        self.book.running != before
    }

    /// Takes in what a commit of the journal says; whether that was anything.
    pub(crate) fn take(&mut self, commit: &Commit) -> anyhow::Result<bool> {
        let before = self.book.running;
        for entry in commit.entries.iter().filter(|entry| may_move(&entry.bytes)) {
            let envelope = Envelope::decode(&entry.bytes)?;
            if matches!(envelope.fact, Fact::RuleMoved { .. }) {
                self.apply_one(commit.commit, &envelope);
            }
        }
        Ok(self.book.running != before)
    }
}

/// Spares reading every fact: one that moves a rule has these bytes.
fn may_move(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"\"rule_moved\"";
    bytes.windows(MARK.len()).any(|some| some == MARK)
}

fn read_after(fact: &Fact) -> Option<CommitNo> {
    if let Fact::RulesRead { after, .. } = fact { Some(*after) } else { None }
}

/// What the journal holds beyond a commit.
struct Beyond {
    /// Its first place; the end of places where there is none.
    first: Seq,
    last_move: Option<CommitNo>,
}

/// Reads on from `evaluated`; nothing where no rule was ever moved.
fn beyond(store: &Store, evaluated: CommitNo, facts: &[(Seq, Envelope)]) -> anyhow::Result<Beyond> {
    let mut beyond = Beyond { first: Seq(u64::MAX), last_move: None };
    let moved = |(_, it): &(Seq, Envelope)| matches!(it.fact, Fact::RuleMoved { .. });
    if !facts.iter().any(moved) {
        return Ok(beyond);
    }
    let mut follower = store.follow(&Cursor::after(evaluated));
    let end = store.last_commit();
    while follower.cursor().commit() < end {
        let commits = match follower.next(COMMITS_MAX, BYTES_MAX, Duration::ZERO) {
            Ok(commits) => commits,
            // Told by who evaluates it.
            Err(StoreError::Lost { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        for commit in commits.iter().filter(|commit| commit.log == LogId::JOURNAL) {
            beyond.first = beyond.first.min(commit.first);
            if commit.entries.iter().any(|entry| may_move(&entry.bytes)) {
                beyond.last_move = Some(commit.commit);
            }
        }
    }
    Ok(beyond)
}

/// As the whole journal has it.
pub(crate) fn whole(journal: &Journal) -> anyhow::Result<Rulebook> {
    let mut book = Rulebook::default();
    for (_, envelope) in journal.rulebook()? {
        // Since when which version runs is asked of the views.
        book.apply(CommitNo(0), &envelope);
    }
    Ok(book)
}

/// Writes down what the rule files say that the journal does not know yet.
pub(crate) fn read_files(
    store: &Store,
    journal: &Journal,
    files: &[RuleFile],
) -> Result<(), Failure> {
    let of_journal = || -> anyhow::Result<(Rulebook, CommitNo)> {
        let evaluated = journal.evaluated()?.commit();
        let beyond = beyond(store, evaluated, &journal.rulebook()?)?;
        Ok((whole(journal)?, beyond.last_move.map_or(evaluated, |last| last.max(evaluated))))
    };
    let (book, after) = of_journal().map_err(Failure::store)?;
    let held = files.iter().filter(|file| file.accepted());
    let facts = book.read(after, held.map(|it| (&*it.name, &*it.text, &*it.parsed.rules)));
    for fact in facts {
        append_facts(store, &system("detect"), vec![fact])?;
    }
    Ok(())
}

/// The one who moves rules. Clones share it.
#[derive(Clone)]
pub(crate) struct Registrar(Arc<Inner>);

struct Inner {
    store: Store,
    book: Mutex<Rulebook>,
}

impl Registrar {
    pub(crate) fn open(store: &Store, journal: &Journal) -> anyhow::Result<Self> {
        let book = Mutex::new(whole(journal)?);
        Ok(Self(Arc::new(Inner { store: store.clone(), book })))
    }

    /// Moves rules, each or not; waits until that is durable. Of each the rule, if it is other than before.
    pub(crate) fn move_rules(
        &self,
        actor: &Actor,
        wanted: Vec<Move>,
    ) -> anyhow::Result<Vec<Result<Option<RuleId>, Refusal>>> {
        let mut book = self.0.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = book.clone();
        let (mut facts, mut moved) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let decided = next.decide(&wanted);
            if let Ok(Some(fact)) = &decided {
                let (at, actor) = (SystemClock.now(), actor.clone());
                let envelope = Envelope { at, actor, cause: None, fact: fact.clone() };
                next.apply(CommitNo(0), &envelope);
                facts.push(envelope.fact);
            }
            moved.push(decided.map(|fact| fact.as_ref().and_then(rule_of)));
        }
        for some in facts.chunks(FACTS_MAX) {
            append_facts(&self.0.store, actor, some.to_vec()).map_err(Failure::into_error)?;
        }
        *book = next;
        Ok(moved)
    }
}

fn rule_of(fact: &Fact) -> Option<RuleId> {
    if let Fact::RuleMoved { rule, .. } = fact { Some(rule.clone()) } else { None }
}

/// Facts of one append: at 2 KB a rule a quarter of a MiB.
const FACTS_MAX: usize = 100;
