//! Rule files on disk: found below the named folders, read, compiled.

use anyhow::{Context as _, anyhow};
use custos_detect::{
    lint,
    rule::{Parsed, Problem, Rule, parse},
};
use custos_event::RuleId;
use std::{
    collections::{HashMap, HashSet},
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

/// RELIABILITY §4: the largest public rule has 295 KB.
const RULE_FILE_BYTES_MAX: u64 = 1 << 20;

/// One file, as it was named, and what stands in it.
pub(crate) struct RuleFile {
    pub(crate) path: PathBuf,
    /// Below the folder that was named, or as it was named: what its rules are told by.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) parsed: Parsed,
}

impl RuleFile {
    pub(crate) fn accepted(&self) -> bool {
        self.parsed.errors.is_empty()
    }
}

/// Reads every `*.yml` and `*.yaml` below `roots`, in the order of their paths. Case files
/// (`*.cases.yml`) are not rules.
pub(crate) fn read(roots: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let mut named = Vec::new();
    for root in roots {
        let paths = yaml_files(root)
            .with_context(|| format!("cannot read the rules in {}", root.display()))?;
        named.extend(paths.into_iter().map(|path| (root.as_path(), path)));
    }
    // A folder may be named beside one that it lies in.
    let mut seen = HashSet::new();
    named.retain(|(_, path)| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // Each core a stretch of the files, so that their order stays.
    let stretch = named.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let of = |part: &[(&Path, PathBuf)]| -> anyhow::Result<Vec<RuleFile>> {
            part.iter().map(|(root, path)| read_file(root, path.clone())).collect()
        };
        let parts: Vec<_> =
            named.chunks(stretch).map(|part| scope.spawn(move || of(part))).collect();
        let mut files = Vec::with_capacity(named.len());
        for part in parts {
            files.extend(part.join().map_err(|_| anyhow!("reading the rules panicked"))??);
        }
        Ok(files)
    })
    .map(|mut files: Vec<RuleFile>| {
        refuse_twins(&mut files);
        files
    })
}

/// A rule is known by its id: of two files with the same one, the second would take the first one's place unseen.
fn refuse_twins(files: &mut [RuleFile]) {
    let mut first: HashMap<RuleId, PathBuf> = HashMap::new();
    for file in files {
        let path = file.path.clone();
        for rule in &file.parsed.rules {
            let known = first.entry(rule.id.clone()).or_insert_with(|| path.clone());
            if *known != path {
                let message = format!(
                    "its id {} is that of {} too, and a rule is known by its id: give it one of its own",
                    rule.id,
                    known.display()
                );
                file.parsed.errors.push(lint::at(&file.text, "id", message));
            }
        }
    }
}

/// The rules that hold, of all `files`.
pub(crate) fn accepted(files: Vec<RuleFile>) -> Vec<Rule> {
    files.into_iter().filter(RuleFile::accepted).flat_map(|file| file.parsed.rules).collect()
}

/// Every `*.yml` and `*.yaml` below `root`, in order, without case files; `root` itself where it is a file.
pub(crate) fn yaml_files(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    paths.sort();
    Ok(paths)
}

/// Rules that cannot run because something they refer to is not there, a counted rule or a list: a file's place, and why.
pub(crate) fn unlinked(files: &[RuleFile]) -> Vec<(usize, Problem)> {
    let held = files.iter().enumerate().filter(|(_, file)| file.accepted());
    let (places, rules): (Vec<usize>, Vec<Rule>) = held
        .flat_map(|(place, file)| file.parsed.rules.iter().map(move |rule| (place, rule.clone())))
        .unzip();
    let found = custos_detect::problems(&rules).into_iter().chain(custos_detect::unfilled(&rules));
    found.filter_map(|(rule, problem)| Some((*places.get(rule)?, problem))).collect()
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), found)?;
        } else if is_rule(&entry.path()) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn is_rule(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let stem = path.file_stem().unwrap_or_default();
    yaml && Path::new(stem).extension().is_none_or(|end| end != "cases")
}

fn read_file(root: &Path, path: PathBuf) -> anyhow::Result<RuleFile> {
    let cannot = || format!("cannot read the rule {}", path.display());
    let bytes = fs::metadata(&path).with_context(cannot)?.len();
    if bytes > RULE_FILE_BYTES_MAX {
        return Err(anyhow!("has {bytes} bytes; a rule file may have {RULE_FILE_BYTES_MAX}"))
            .with_context(cannot);
    }
    let text = fs::read(&path).with_context(cannot)?;
    let relative = path.strip_prefix(root).ok().filter(|rest| !rest.as_os_str().is_empty());
    let name = relative.unwrap_or(&path).to_string_lossy().into_owned();
    let text = String::from_utf8_lossy(&text).into_owned();
    let parsed = parse(&text, &name);
    Ok(RuleFile { path, name, text, parsed })
}
