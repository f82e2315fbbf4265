//! Databases and registers that come anew are read anew, without a restart.

use super::{Enrich, Enricher, Held};
use custos_event::FieldTable;
use std::{
    path::Path,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the files are looked at. One that changed is read when it stayed the same for two looks, so that none is
/// read half written; what was pulled is put in place as one step, and read at once.
const LOOK: Duration = Duration::from_secs(2);

/// What tells one state of a file from another; nothing where it is not there.
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// Until `stop`: reads the files anew when they changed. What does not hold is told, and what was known stays.
pub(crate) async fn watch(
    enricher: Enricher,
    table: Arc<FieldTable>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(held) = enricher.0.filter(|held| !held.read.is_empty()) else {
        stop.cancelled().await;
        return Ok(());
    };
    metrics::gauge!("custos_enrich_outdated").set(0.0);
    let (mut read, mut seen) = (held.read.clone(), held.read.clone());
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = look.tick() => {}
        }
        let (held, table, read_last) = (Arc::clone(&held), Arc::clone(&table), (read, seen));
        let looked = tokio::task::spawn_blocking(move || once(&held, &table, read_last)).await;
        (read, seen) = looked?;
    }
}

/// One look, with the files as they were last read and last seen.
fn once(
    held: &Held,
    table: &FieldTable,
    (read, seen): (Vec<Stamp>, Vec<Stamp>),
) -> (Vec<Stamp>, Vec<Stamp>) {
    let now = stamps(&held.enrich, &held.pulled);
    let written = now.len() - held.enrich.directories.len();
    if now[..written] != seen[..written] || now == read {
        return (read, now);
    }
    let outdated = match held.enrich.open(&held.pulled, table) {
        Ok(lookups) => {
            *held.lookups.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lookups);
            info!("databases and registers were read anew");
            0.0
        }
        Err(error) => {
            let error = format!("{error:#}");
            warn!(error, "a database or register does not hold; what was known before stays");
            1.0
        }
    };
    metrics::gauge!("custos_enrich_outdated").set(outdated);
    (now.clone(), now)
}

pub(super) fn stamps(enrich: &Enrich, pulled: &Path) -> Vec<Stamp> {
    let stamp = |found: std::fs::Metadata| Some((found.modified().ok()?, found.len()));
    enrich.files(pulled).map(|path| path.metadata().ok().and_then(stamp)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{Header, ParsedEvent, Parser, Shape, Timestamp};
    use std::path::PathBuf;

    /// Who owns 10.1.1.1, as an event gets it.
    fn owner(enricher: &Enricher, table: &Arc<FieldTable>) -> String {
        let header = Header::new("s".into(), Timestamp(0), Shape::Ecs, "d".into());
        let mut parser = Parser::new(Arc::clone(table));
        let text = r#"{"source":{"ip":"10.1.1.1"}}"#.to_owned();
        let mut event = ParsedEvent::parse(header, text.into(), &mut parser).unwrap();
        enricher.add(std::slice::from_mut(&mut event));
        let owner = table.intern("custos.source.asset.owner");
        event.get(owner).map_or("nobody".into(), |value| value.to_string())
    }

    /// What events get, and a look for what is new.
    fn opened(
        enrich: &Enrich,
        data: &Path,
        table: &Arc<FieldTable>,
    ) -> (Enricher, impl FnMut() + use<>) {
        let enricher = Enricher::open(enrich, data, table).unwrap();
        let held = Arc::clone(enricher.0.as_ref().unwrap());
        let mut state = (held.read.clone(), held.read.clone());
        let table = Arc::clone(table);
        (enricher, move || state = once(&held, &table, state.clone()))
    }

    #[test]
    fn a_register_that_came_anew_is_read_once_it_stays_and_one_that_is_wrong_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path: PathBuf = dir.path().join("assets.csv");
        let write = |rows: &str| std::fs::write(&path, format!("ip,owner\n{rows}")).unwrap();
        write("10.1.1.1,ops\n");
        let enrich = Enrich { assets: vec![path.clone()], ..Enrich::default() };
        let table = Arc::new(FieldTable::new());
        let (enricher, mut look) = opened(&enrich, dir.path(), &table);
        look();
        write("10.1.1.1,treasury\n");
        look();
        assert_eq!(owner(&enricher, &table), "ops", "it may be half written still");
        look();
        assert_eq!(owner(&enricher, &table), "treasury");
        write("10.1.1.300,nonsense\n");
        look();
        look();
        assert_eq!(owner(&enricher, &table), "treasury", "what was known stays");
        std::fs::remove_file(&path).unwrap();
        look();
        look();
        assert_eq!(owner(&enricher, &table), "treasury");
        write("10.1.1.1,board\n");
        look();
        look();
        assert_eq!(owner(&enricher, &table), "board");
    }

    #[test]
    fn a_register_that_was_pulled_is_read_as_soon_as_it_comes_and_missed_by_nobody_before() {
        let dir = tempfile::tempdir().unwrap();
        let written = "[[directory]]\nname = \"machines\"\nkind = \"assets\"\nurl = \"ldaps://d\"\n\
                       base = \"dc=d\"\ncolumns = { ip = \"ipHostNumber\", owner = \"owner\" }";
        let enrich = super::super::check(toml::from_str(written).unwrap(), &|path| path).unwrap();
        let table = Arc::new(FieldTable::new());
        let (enricher, mut look) = opened(&enrich, dir.path(), &table);
        look();
        assert_eq!(owner(&enricher, &table), "nobody");
        let pulled = dir.path().join("directory/machines.csv");
        std::fs::create_dir(dir.path().join("directory")).unwrap();
        std::fs::write(&pulled, "ip,owner\n10.1.1.1,ops\n").unwrap();
        look();
        assert_eq!(owner(&enricher, &table), "ops");
        let again = Enricher::open(&enrich, dir.path(), &table).unwrap();
        assert_eq!(owner(&again, &table), "ops", "after a restart");
        std::fs::write(&pulled, "owner\nnonsense\n").unwrap();
        let again = Enricher::open(&enrich, dir.path(), &table).unwrap();
        assert_eq!(owner(&again, &table), "nobody", "a server starts with what it cannot read");
    }
}
