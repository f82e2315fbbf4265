//! Mapping files on disk: formats of logs that the user describes, found below the named folders and read.

use anyhow::{Context as _, anyhow, bail};
use custos_ingest::decode::mapping::{FILE_BYTES_MAX, Mappings};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Every `*.yml` and `*.yaml` below `roots`, in the order of their paths, without files of cases. One that does not
/// hold is an error: its lines would be read as something else.
pub(crate) fn read(roots: &[PathBuf]) -> anyhow::Result<Arc<Mappings>> {
    let mut files = Vec::new();
    for path in paths(roots)? {
        files.push((path.display().to_string(), text(&path)?));
    }
    match Mappings::read(files) {
        Ok(mappings) => Ok(Arc::new(mappings)),
        Err(faults) => {
            let told: Vec<String> = faults.iter().map(|fault| format!("mapping {fault}")).collect();
            bail!("{}", told.join("\n"))
        }
    }
}

/// The files that [`read`] reads.
pub(crate) fn paths(roots: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for root in roots {
        let cannot = || format!("cannot read the mappings in {}", root.display());
        all.extend(crate::rulefiles::yaml_files(root).with_context(cannot)?);
    }
    Ok(all)
}

/// What stands in a mapping or its cases.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the mapping {}", path.display());
    let bytes = fs::metadata(path).with_context(cannot)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(anyhow!("has {bytes} bytes; such a file may have {FILE_BYTES_MAX}"))
            .with_context(cannot);
    }
    fs::read_to_string(path).with_context(cannot)
}
