//! What the journal knows of logs: the heads of other nodes' that were witnessed here, those that were refused, and
//! the last verification of this node's own. Pure.

use custos_event::{Actor, Envelope, Fact, Timestamp};
use custos_evidence::{Checkpoint, Hash, hex, note, proof::extends, unhex};
use custos_respond::Rejection;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Logs of other nodes: far more than a house has, each of about 500 bytes.
const ORIGINS_MAX: usize = 1_000;
/// A few sentences.
const REASON_MAX: usize = 2_000;
/// Refused heads that are shown; all of them are in the journal.
const REFUSED_MAX: usize = 100;

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) heads: BTreeMap<String, Head>,
    /// The newest last.
    pub(crate) refused: VecDeque<Refused>,
    pub(crate) verified: Option<Verified>,
    /// Every refused head once, by digest: 32 bytes each. Whoever has a signed note can send it again, and can put
    /// more signatures below it; neither is to make a second fact.
    told: BTreeSet<Hash>,
}

/// The newest head of another node's log.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) witnessed: u64,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
    pub(crate) note: String,
    pub(crate) accepted: Option<Accepted>,
}

/// Who vouched for a head that was refused, and why.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) by: Actor,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
}

#[derive(Clone)]
pub(crate) struct Verified {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) records: u64,
    pub(crate) faults: Vec<String>,
}

/// A head that another node sent, its signature checked, and the proof that it continues the one of size `old`.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) note: Checkpoint,
    pub(crate) old: u64,
    pub(crate) path: Vec<Hash>,
}

impl Known {
    pub(crate) fn apply(&mut self, envelope: &Envelope) {
        let at = envelope.at;
        if let Fact::CheckpointWitnessed { origin, size, root, .. } = &envelope.fact {
            let root = unhex(root).unwrap_or_default();
            self.heads.insert(origin.clone(), Head { size: *size, root, at });
        } else if let Fact::CheckpointRefused { origin, size, witnessed, reason, note } =
            &envelope.fact
        {
            self.told.insert(signed(note));
            let (origin, reason) = (origin.clone(), reason.clone());
            let (size, witnessed, note) = (*size, *witnessed, note.clone());
            let accepted = None;
            let refused = Refused { origin, size, witnessed, reason, at, note, accepted };
            self.refused.push_back(refused);
            if self.refused.len() > REFUSED_MAX {
                self.refused.pop_front();
            }
        } else if let Fact::CheckpointAccepted { origin, size, root, reason, note, .. } =
            &envelope.fact
        {
            let root = unhex(root).unwrap_or_default();
            self.heads.insert(origin.clone(), Head { size: *size, root, at });
            let same = |refused: &&mut Refused| signed(&refused.note) == signed(note);
            if let Some(refused) = self.refused.iter_mut().find(same) {
                let (by, reason) = (envelope.actor.clone(), reason.clone());
                refused.accepted = Some(Accepted { by, at, reason });
            }
        } else if let Fact::LogsVerified { records, faults } = &envelope.fact {
            let (by, records, faults) = (envelope.actor.clone(), *records, faults.clone());
            self.verified = Some(Verified { at, by, records, faults });
        }
    }
}

/// The digest of what is signed in a note: origin, size and root.
fn signed(note: &str) -> Hash {
    let body = note.split_once("\n\n").map_or(note, |(body, _)| body);
    Sha256::digest(body).into()
}

/// The first head of a log is believed, as it has to be: there is nothing yet to hold it against (threat-model.md).
/// A head that continues the known one is kept; one that contradicts it is kept as proof of that. Nothing
/// follows from one that is known already, as either.
pub(crate) fn witness(known: &Known, seen: &Seen) -> Result<Vec<Fact>, Rejection> {
    let Checkpoint { origin, size, root, note } = &seen.note;
    let Some(head) = known.heads.get(origin) else {
        if known.heads.len() >= ORIGINS_MAX {
            return Err(Rejection::Wrong(format!("{ORIGINS_MAX} logs are witnessed here already")));
        }
        return Ok(vec![witnessed(&seen.note)]);
    };
    if *size > head.size && seen.old != head.size {
        // Not a fault: the sender has to know from where to prove.
        let text =
            format!("{origin} was witnessed with {} records; prove it from there", head.size);
        return Err(Rejection::conflict(text));
    }
    let reason = if *size < head.size {
        // Which of the two cannot be told from here; the fact keeps the note for whoever asks.
        format!(
            "it has {size} records, and had {} before: the log was cut back, or an old head was sent again",
            head.size
        )
    } else if *size == head.size && *root != head.root {
        format!("its {size} records are not those of before")
    } else if *size == head.size {
        return Ok(Vec::new());
    } else if extends((head.size, &head.root), (*size, root), &seen.path) {
        return Ok(vec![witnessed(&seen.note)]);
    } else {
        format!("its first {} records are not those of before", head.size)
    };
    if known.told.contains(&signed(note)) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::CheckpointRefused {
        origin: origin.clone(),
        size: *size,
        witnessed: head.size,
        reason,
        note: note.clone(),
    }])
}

/// A person's word that a refused head is right: the newest refused one of this size. After a restore to an earlier
/// point the log is shorter than what is known of it here, and would be refused for good.
pub(crate) fn accept(
    known: &Known,
    origin: &str,
    size: u64,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    if !(1..=REASON_MAX).contains(&reason.trim().len()) {
        let text = format!("say why, in at most {REASON_MAX} bytes: it stands in the log");
        return Err(Rejection::Wrong(text));
    }
    let of_size = |refused: &&Refused| refused.origin == origin && refused.size == size;
    let refused = known.refused.iter().rev().find(of_size);
    let refused =
        refused.ok_or_else(|| Rejection::unknown(format!("refused head {origin} of {size}")))?;
    if refused.accepted.is_some() {
        return Err(Rejection::conflict("this head was accepted before"));
    }
    let notes = note::parse_all(&refused.note);
    let head = notes.ok().and_then(|notes| notes.into_iter().next());
    let head = head.ok_or_else(|| Rejection::Wrong("the refused note does not read".into()))?;
    Ok(vec![Fact::CheckpointAccepted {
        origin: origin.to_owned(),
        size,
        root: hex(&head.root),
        replaced: known.heads.get(origin).map_or(0, |head| head.size),
        reason,
        note: refused.note.clone(),
    }])
}

fn witnessed(note: &Checkpoint) -> Fact {
    let Checkpoint { origin, size, root, note } = note.clone();
    Fact::CheckpointWitnessed { origin, size, root: hex(&root), note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_evidence::tree::{Frontier, leaf, node};

    fn note(size: u64, root: Hash) -> Checkpoint {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let origin = note::origin(&key.verifying_key(), "telemetry");
        note::sign(&key, &origin, size, root)
    }

    fn of(records: &[&str]) -> Hash {
        let mut frontier = Frontier::default();
        for record in records {
            frontier.add(leaf(record.as_bytes()));
        }
        frontier.root()
    }

    /// What each head in turn leads to: `+` witnessed, `!` refused, `=` known, `?` asked to prove from elsewhere.
    fn check(seen: &[(u64, Hash, u64, &[Hash])], expected: &str) {
        let mut known = Known::default();
        let mut said = String::new();
        for (size, root, old, path) in seen {
            let seen = Seen { note: note(*size, *root), old: *old, path: path.to_vec() };
            let facts = witness(&known, &seen);
            said.push(match facts.as_deref() {
                Ok([Fact::CheckpointWitnessed { .. }]) => '+',
                Ok([Fact::CheckpointRefused { .. }]) => '!',
                Ok([]) => '=',
                Err(Rejection::Conflict(_)) => '?',
                other => panic!("{other:?}"),
            });
            for fact in facts.unwrap_or_default() {
                let (at, actor) = (Timestamp(1), Actor::System { part: "witness".into() });
                known.apply(&Envelope { at, actor, cause: None, fact });
            }
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn a_head_is_kept_only_where_it_continues_the_one_before() {
        let (two, three, forked) = (of(&["a", "b"]), of(&["a", "b", "c"]), of(&["a", "x", "c"]));
        let path = [leaf(b"c")];
        let (two, three) = ((2, two, 0, &[][..]), (3, three, 2, &path[..]));
        check(&[two, three, three, two, two], "++=!=");
        check(&[two, (3, three.1, 0, &path)], "+?");
        check(&[two, (3, three.1, 2, &[])], "+!");
        check(&[two, (3, forked, 2, &path)], "+!");
        check(&[two, three, (3, forked, 3, &[])], "++!");
        // A proof of another tree's that only the new root bears out.
        let other = node(&of(&["a", "x"]), &leaf(b"c"));
        check(&[two, (3, other, 2, &path)], "+!");
        check(&[three, two], "+!");
    }

    #[test]
    fn a_refused_head_that_somebody_vouches_for_is_where_the_log_goes_on() {
        let actor = || Actor::User { name: "lin".into() };
        let mut known = Known::default();
        let see = |known: &mut Known, facts: Vec<Fact>| {
            for fact in facts {
                let at = Timestamp(1);
                known.apply(&Envelope { at, actor: actor(), cause: None, fact });
            }
        };
        let (two, three) = (note(2, of(&["a", "b"])), note(3, of(&["a", "b", "c"])));
        let origin = two.origin.clone();
        let head = |note: &Checkpoint, old, path: &[Hash]| Seen {
            note: note.clone(),
            old,
            path: path.to_vec(),
        };
        for note in [&three, &two] {
            let facts = witness(&known, &head(note, 0, &[])).unwrap();
            see(&mut known, facts);
        }
        let vouch = |known: &Known, size, why: &str| accept(known, &origin, size, why.into());
        assert!(matches!(vouch(&known, 2, " "), Err(Rejection::Wrong(_))));
        assert!(matches!(vouch(&known, 3, "restored"), Err(Rejection::Unknown(_))));
        let facts = vouch(&known, 2, "restored").unwrap();
        see(&mut known, facts);
        assert!(matches!(vouch(&known, 2, "restored"), Err(Rejection::Conflict(_))));
        assert_eq!(known.refused[0].accepted.as_ref().unwrap().by, actor());
        // It goes on otherwise than before, and is held to that.
        let (other, leaf) = (note(3, of(&["a", "b", "x"])), leaf(b"x"));
        let facts = witness(&known, &head(&other, 2, &[leaf])).unwrap();
        assert!(matches!(facts[..], [Fact::CheckpointWitnessed { size: 3, .. }]), "{facts:?}");
        see(&mut known, facts);
        let facts = witness(&known, &head(&three, 3, &[])).unwrap();
        assert!(matches!(facts[..], [Fact::CheckpointRefused { .. }]), "{facts:?}");
    }

    #[test]
    fn a_refused_head_is_told_once_whatever_stands_below_it() {
        let (two, three) = (note(2, of(&["a", "b"])), note(3, of(&["a", "b", "c"])));
        let mut known = Known::default();
        let mut facts = 0;
        let more = Checkpoint { note: format!("{}\u{2014} c d\n", two.note), ..two.clone() };
        for note in [three, two.clone(), two, more] {
            for fact in witness(&known, &Seen { note, old: 0, path: Vec::new() }).unwrap() {
                let (at, actor) = (Timestamp(1), Actor::System { part: "witness".into() });
                known.apply(&Envelope { at, actor, cause: None, fact });
                facts += 1;
            }
        }
        assert_eq!(facts, 2, "one head is witnessed, one refused");
    }
}
