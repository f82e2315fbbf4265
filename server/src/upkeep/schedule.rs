//! What is due now; pure, so that a year of it can be tried in a test.

use super::{book::Book, config::Cadence};
use custos_event::Timestamp;
use custos_store::backup::BackupKind;

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Backup(BackupKind),
    Drill,
}

/// After a failure: an unreachable target is asked again soon, and not at once.
const AGAIN_SECS: i64 = 600;

/// The most that is due: a full backup makes a lesser one needless, and a drill comes after them.
pub(super) fn due(now: Timestamp, to: &str, cadence: &Cadence, book: &Book) -> Option<Due> {
    let since = |at: Timestamp| now.0.saturating_sub(at.0) / custos_event::time::NANOS_PER_SEC;
    if book.failed.as_ref().is_some_and(|failed| since(failed.at) < AGAIN_SECS) {
        return None;
    }
    let full = book.last(to, "full");
    let differential = book.last(to, "differential").max(full);
    let incremental = book.last(to, "incremental").max(differential);
    let kinds = [
        (BackupKind::Full, cadence.full, full),
        (BackupKind::Differential, cadence.differential, differential),
        (BackupKind::Incremental, cadence.incremental, incremental),
    ];
    for (kind, every, last) in kinds {
        let Some(every) = every else { continue };
        if last.is_none_or(|last| since(last) >= every) {
            return Some(Due::Backup(kind));
        }
    }
    let drilled = book.drilled.as_ref().map(|drilled| drilled.at);
    let every = cadence.drill.filter(|_| incremental.is_some())?;
    // The first drill follows the first backup.
    drilled.is_none_or(|last| since(last) >= every).then_some(Due::Drill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{CommitNo, UpkeepEvent};

    #[test]
    fn three_weeks_of_the_standard_schedule_have_each_kind_in_its_time() {
        let hours = |n: i64| Some(n * 3_600);
        let cadence = Cadence {
            full: hours(168),
            differential: hours(24),
            incremental: hours(1),
            drill: hours(168),
        };
        let (mut book, mut made) = (Book::default(), std::collections::BTreeMap::new());
        // One look a minute.
        for minute in 0..21 * 24 * 60 {
            let now = Timestamp::from_secs(1_800_000_000 + minute * 60);
            let Some(due) = due(now, "/b", &cadence, &book) else { continue };
            let (name, event) = match due {
                Due::Backup(kind) => (kind.as_str(), created(kind, minute)),
                Due::Drill => ("drill", drilled()),
            };
            *made.entry(name).or_insert(0) += 1;
            book.apply(now, &event);
        }
        let made: Vec<_> = made.into_iter().collect();
        // 21 days: 3 full, one differential on each other day, one an hour on all the other hours.
        assert_eq!(made, [("differential", 18), ("drill", 3), ("full", 3), ("incremental", 483)]);
    }

    #[test]
    fn after_a_failure_there_is_a_pause_and_then_a_new_try() {
        let cadence =
            Cadence { full: Some(60), differential: None, incremental: None, drill: None };
        let mut book = Book::default();
        let at = |secs: i64| Timestamp::from_secs(1_800_000_000 + secs);
        let full = Some(Due::Backup(BackupKind::Full));
        assert_eq!(due(at(0), "/b", &cadence, &book), full);
        let (to, what, reason) = ("/b".into(), "create".into(), "no".into());
        book.apply(at(0), &UpkeepEvent::BackupFailed { to, what, reason });
        assert_eq!(due(at(599), "/b", &cadence, &book), None);
        assert_eq!(due(at(600), "/b", &cadence, &book), full);
        book.apply(at(600), &created(BackupKind::Full, 0));
        assert_eq!(book.failed, None);
        assert_eq!(due(at(601), "/b", &cadence, &book), None);
        assert_eq!(
            due(at(601), "/elsewhere", &cadence, &book),
            full,
            "another target has none yet"
        );
    }

    fn created(kind: BackupKind, n: i64) -> UpkeepEvent {
        UpkeepEvent::BackupCreated {
            to: "/b".into(),
            id: format!("{n:08}"),
            kind: kind.as_str().into(),
            commit: CommitNo(1),
            bytes: 1,
            stored_bytes: 1,
            millis: 1,
            damaged: Vec::new(),
        }
    }

    fn drilled() -> UpkeepEvent {
        UpkeepEvent::RestoreDrilled {
            to: "/b".into(),
            id: "1".into(),
            ok: true,
            commit: CommitNo(1),
            records: 1,
            bytes: 1,
            compared: 1,
            millis: 1,
            errors: Vec::new(),
        }
    }
}
