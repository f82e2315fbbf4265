//! The rule files of a folder or archive that somebody else made: nothing is followed out of it, and all of it has a limit.

use anyhow::{Context as _, ensure};
use custos_detect::rule::RULE_BYTES_MAX;
use std::{
    fs,
    io::{BufReader, Read as _},
    path::Path,
};
use zip::ZipArchive;

/// The public corpus has 4,500 files and 12 MB.
const FILES_MAX: usize = 50_000;
const TOTAL_BYTES_MAX: u64 = 256 << 20;
/// Of an archive, folders and what is no rule included.
const ENTRIES_MAX: usize = 200_000;

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
    if fs::metadata(path)?.is_dir() {
        gathering.folder(path, path)?;
    } else {
        gathering.archive(fs::File::open(path)?)?;
    }
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

    /// A ZIP, as a code host makes it: read, and nothing of it written anywhere.
    fn archive(&mut self, file: fs::File) -> anyhow::Result<()> {
        let mut archive = ZipArchive::new(BufReader::new(file))
            .context("is neither a folder nor a ZIP archive")?;
        ensure!(archive.len() <= ENTRIES_MAX, "has more than {ENTRIES_MAX} entries");
        for at in 0..archive.len() {
            let entry = archive.by_index(at).with_context(|| format!("cannot read entry {at}"))?;
            let name = entry.name().with_context(|| format!("the name of entry {at}"))?;
            let name = name.into_owned();
            if !entry.is_file() || !is_rule(&name) {
                continue;
            }
            // Its name is a word to tell it by: no file is made of it.
            self.read(name, entry)?;
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
    #[test]
    fn an_archive_gives_its_rules_and_a_bomb_or_a_way_out_gives_none() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sigma.zip");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in [
            ("sigma-main/rules/b.yml", &b"title: b"[..]),
            ("sigma-main/rules/a.yml", b"title: a"),
            ("sigma-main/README.md", b"no rule"),
            ("../../etc/evil.yml", b"title: evil"),
            ("sigma-main/rules/bomb.yml", &vec![b' '; 64 << 20]),
        ] {
            archive.start_file(name, options).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20, "the bomb is small");
        let told = |file: &Gathered| file.text.as_ref().map_or_else(Clone::clone, Clone::clone);
        let files = gather(&path).unwrap();
        let found: Vec<_> = files.iter().map(|it| (it.name.as_str(), told(it))).collect();
        let expected = [
            ("sigma-main/rules/a.yml", "title: a"),
            ("sigma-main/rules/b.yml", "title: b"),
            ("sigma-main/rules/bomb.yml", "has more than 1048576 bytes"),
        ];
        assert_eq!(found, expected.map(|(name, text)| (name, text.to_owned())));
        fs::write(&path, b"no archive").unwrap();
        assert!(
            format!("{:#}", gather(&path).err().unwrap()).contains("neither a folder nor a ZIP")
        );
    }
}
