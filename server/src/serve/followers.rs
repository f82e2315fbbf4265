//! What follows the log on a thread of its own each: the views, the rules, the index.

use crate::{
    exit::Failure,
    folder::Opened,
    pipeline::{
        detector::{self, Detector},
        follow::follow,
        indexer::Indexer,
        rulebook::{self, Following},
    },
    projection::follower::{Views, ViewsFollower},
    rulefiles::RuleFile,
    tasks::Tasks,
};
use custos_detect::Ruleset;
use custos_search::Index;
use std::sync::Arc;
use tracing::info;

/// What people see of the log follows it on a thread of its own.
pub(super) fn start_views(opened: &Opened, tasks: &mut Tasks) -> Result<Views, Failure> {
    let views = Views::open(opened.journal()?.catalog(), &opened.store).map_err(Failure::store)?;
    let (mut follower, cursor) = (ViewsFollower::new(&views), views.cursor());
    let (store, table, stop) = (opened.store.clone(), Arc::clone(&opened.table), tasks.stop());
    tasks.spawn_thread("views", move || follow(&store, &table, &cursor, &mut follower, &stop));
    Ok(views)
}

/// The rules see the log on a thread of their own.
pub(super) fn start_detector(
    files: &[RuleFile],
    opened: &Opened,
    tasks: &mut Tasks,
) -> Result<(), Failure> {
    for file in files.iter().filter(|file| !file.accepted()) {
        crate::cli::report_problems(&file.path, &file.parsed.errors);
    }
    crate::cli::report_unlinked(files);
    let rejected = files.iter().filter(|file| !file.accepted()).count();
    let rejected = u32::try_from(rejected).unwrap_or(u32::MAX);
    rulebook::read_files(&opened.store, &opened.journal()?, files)?;
    let journal = opened.journal()?;
    let following = Following::open(&opened.store, &journal).map_err(Failure::store)?;
    let ruleset = Ruleset::compile(&following.book.live(), &opened.table);
    ruleset.prepare();
    let cursor = journal.evaluated().map_err(Failure::store)?;
    let active = journal.ruleset().map_err(Failure::store)?;
    detector::activate(&opened.store, active, &ruleset, rejected).map_err(Failure::store)?;
    info!(rules = ruleset.len(), rejected, after = %cursor.commit(), "detecting");
    let (store, table, stop) = (opened.store.clone(), Arc::clone(&opened.table), tasks.stop());
    let rules = (Arc::new(ruleset), &table);
    let mut detector =
        Detector::following(store.clone(), following, rules, &journal).map_err(Failure::store)?;
    tasks.spawn_thread("detector", move || follow(&store, &table, &cursor, &mut detector, &stop));
    Ok(())
}

pub(super) fn start_indexer(opened: &Opened, tasks: &mut Tasks) -> Result<Index, Failure> {
    let index = opened.open_index()?;
    let mut indexer = Indexer::new(&index, &opened.store).map_err(Failure::store)?;
    let cursor = index.cursor();
    let (store, table, stop) = (opened.store.clone(), Arc::clone(&opened.table), tasks.stop());
    tasks.spawn_thread("indexer", move || follow(&store, &table, &cursor, &mut indexer, &stop));
    Ok(index)
}
