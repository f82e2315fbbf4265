//! Playbook files on disk: found below the named folders, read, checked.

use anyhow::Context as _;
use custos_event::yaml::{Place, Problem};
use custos_respond::{Playbook, playbook};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The playbooks that hold, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Playbooks(BTreeMap<String, Playbook>);

impl Playbooks {
    pub(crate) fn get(&self, id: &str) -> Option<&Playbook> {
        self.0.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.0.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// One file, and what stands in it.
pub(crate) struct PlaybookFile {
    pub(crate) path: PathBuf,
    pub(crate) read: Result<Playbook, Vec<Problem>>,
}

impl PlaybookFile {
    pub(crate) fn problems(&self) -> &[Problem] {
        self.read.as_ref().err().map_or(&[], Vec::as_slice)
    }
}

/// Reads every playbook below `roots`, in the order of their paths; an id that stands twice is an error of the
/// second file.
pub(crate) fn read(roots: &[PathBuf]) -> anyhow::Result<Vec<PlaybookFile>> {
    let mut files: Vec<PlaybookFile> = Vec::new();
    for root in roots {
        let found = crate::rulefiles::yaml_files(root)
            .with_context(|| format!("cannot read the playbooks in {}", root.display()))?;
        for path in found {
            let mut read = read_file(&path)?;
            if let Ok(playbook) = &read
                && let Some(other) =
                    files.iter().find(|file| id(file) == Some(&playbook.plan.playbook))
            {
                let text = format!(
                    "{} has the id '{}' already",
                    other.path.display(),
                    playbook.plan.playbook
                );
                read = Err(vec![Place { line: 1, column: 1 }.problem(text)]);
            }
            files.push(PlaybookFile { path, read });
        }
    }
    Ok(files)
}

fn id(file: &PlaybookFile) -> Option<&String> {
    file.read.as_ref().ok().map(|playbook| &playbook.plan.playbook)
}

/// One playbook file.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Result<Playbook, Vec<Problem>>> {
    let cannot = || format!("cannot read the playbook {}", path.display());
    let bytes = fs::metadata(path).with_context(cannot)?.len();
    if bytes > playbook::FILE_BYTES_MAX as u64 {
        let text = format!("has {bytes} bytes; a playbook may have {}", playbook::FILE_BYTES_MAX);
        return Ok(Err(vec![Place { line: 1, column: 1 }.problem(text)]));
    }
    let text = fs::read(path).with_context(cannot)?;
    Ok(playbook::parse(&String::from_utf8_lossy(&text)))
}

/// The playbooks that hold, of all `files`.
pub(crate) fn accepted(files: Vec<PlaybookFile>) -> Playbooks {
    let held = files.into_iter().filter_map(|file| file.read.ok());
    Playbooks(held.map(|playbook| (playbook.plan.playbook.clone(), playbook)).collect())
}
