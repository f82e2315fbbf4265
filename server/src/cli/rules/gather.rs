//! The rule files of a folder that somebody else made: nothing is followed out of it, and all of it has a limit.

use anyhow::{Context as _, ensure};
use custos_detect::rule::RULE_BYTES_MAX;
use std::{fs, io::Read as _, path::Path};

/// The public corpus has 4,500 files and 12 MB.
const FILES_MAX: usize = 50_000;
const TOTAL_BYTES_MAX: u64 = 256 << 20;

/// One file, by its path below the folder.
pub(super) struct Gathered {
    pub(super) name: String,
    /// Or why it is not read.
    pub(super) text: Result<String, String>,
}

#[derive(Default)]
struct Gathering {
    files: Vec<Gathered>,
    bytes: u64,
}

pub(super) fn gather(path: &Path) -> anyhow::Result<Vec<Gathered>> {
    let mut gathering = Gathering::default();
    ensure!(fs::metadata(path)?.is_dir(), "is not a folder; unpack an archive first");
    gathering.folder(path, path)?;
    gathering.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(gathering.files)
}

impl Gathering {
    fn folder(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        for entry in
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if kind.is_dir() {
                if entry.file_name() != ".git" {
                    self.folder(root, &path)?;
                }
            } else if is_rule(&name) {
                if kind.is_symlink() {
                    self.add(name, Err("is a link, which is not followed".into()))?;
                } else {
                    let file =
                        fs::File::open(&path).with_context(|| format!("cannot read {name}"))?;
                    self.read(name, file)?;
                }
            }
        }
        Ok(())
    }

    /// Reads no more than a rule may have.
    fn read(&mut self, name: String, from: impl std::io::Read) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let limit = RULE_BYTES_MAX as u64 + 1;
        let read = from.take(limit).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read {name}"))?;
        self.bytes += bytes.len() as u64;
        ensure!(self.bytes <= TOTAL_BYTES_MAX, "unpacks to more than {TOTAL_BYTES_MAX} bytes");
        let text = if bytes.len() as u64 == limit {
            Err(format!("has more than {RULE_BYTES_MAX} bytes"))
        } else {
            String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
        };
        self.add(name, text)
    }

    fn add(&mut self, name: String, text: Result<String, String>) -> anyhow::Result<()> {
        ensure!(self.files.len() < FILES_MAX, "has more than {FILES_MAX} files");
        self.files.push(Gathered { name, text });
        Ok(())
    }
}

/// Case files of ours, and what a checkout has besides rules by its name, are not read.
fn is_rule(name: &str) -> bool {
    let path = Path::new(name);
    let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    yaml && !hidden && !name.ends_with(".cases.yml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_rules_and_nothing_that_leads_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("rules/b.yml", b"title: b");
        write("rules/a.yaml", b"title: a");
        write("rules/a.cases.yml", b"");
        write(".github/workflows/ci.yml", b"");
        write("README.md", b"");
        write("rules/c.yml", b"\xff");
        write("rules/d.yml", &vec![b' '; RULE_BYTES_MAX + 1]);
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("rules/e.yml")).unwrap();
        let files = gather(dir.path()).unwrap();
        let told = |file: &Gathered| file.text.as_ref().err().cloned().unwrap_or_default();
        let found: Vec<_> = files.iter().map(|it| (it.name.as_str(), told(it))).collect();
        let expected = [
            ("rules/a.yaml", ""),
            ("rules/b.yml", ""),
            ("rules/c.yml", "is not UTF-8"),
            ("rules/d.yml", "has more than 1048576 bytes"),
            ("rules/e.yml", "is a link, which is not followed"),
        ];
        assert_eq!(found, expected.map(|(name, reason)| (name, reason.to_owned())));
    }
}
