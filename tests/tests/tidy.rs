//! The tree keeps its shape: arrows between crates, first lines, lengths, and what may be written where.

use anyhow::{Context, Result};
use custos_tests::root;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Which crate may import which; nothing else. `server` alone joins the stages, and `tests` sees Custos
/// only from outside.
const ARROWS: &[(&str, &[&str])] = &[
    // The lowest crate: who checks evidence builds it alone, and the log has no second tree and no second note.
    ("evidence", &[]),
    ("event", &[]),
    ("store", &["event", "evidence"]),
    ("ingest", &["event"]),
    ("detect", &["event"]),
    ("search", &["event"]),
    ("respond", &["event"]),
    ("scenario", &["event"]),
    ("console", &[]),
    (
        "server",
        &[
            "event", "evidence", "store", "ingest", "detect", "search", "respond", "scenario",
            "console",
        ],
    ),
    ("tests", &[]),
];

/// STYLE's end for a file.
const FILE_LINES_MAX: usize = 500;

/// STYLE's end for a function, its first and last line not counted.
const FUNCTION_LINES_MAX: usize = 70;

/// A source file of the workspace.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    fn crate_folder(&self) -> String {
        self.name().split('/').next().unwrap_or_default().to_owned()
    }
}

fn sources() -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for (folder, _) in ARROWS {
        collect(&root().join(folder), &mut files)?;
    }
    let read = |path: PathBuf| Ok(Source { text: fs::read_to_string(&path)?, path });
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn manifest(folder: &str) -> Result<toml::Table> {
    Ok(fs::read_to_string(root().join(folder).join("Cargo.toml"))?.parse()?)
}

/// The names of the source files that `wanted` accepts.
fn names(wanted: impl Fn(&Source) -> bool) -> Result<Vec<String>> {
    Ok(sources()?.iter().filter(|source| wanted(source)).map(Source::name).collect())
}

/// The names below a manifest's tables of dependencies, development's included.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Fails with every finding, so that one run shows all there is to mend.
fn assert_none(findings: &[String], what: &str) {
    assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
}

#[test]
fn crates_import_only_along_the_allowed_arrows() -> Result<()> {
    let mut findings = Vec::new();
    for (folder, allowed) in ARROWS {
        for name in dependencies(&manifest(folder)?) {
            let Some(other) = name.strip_prefix("custos-") else { continue };
            if !allowed.contains(&other) {
                findings.push(format!("{folder}/Cargo.toml imports {name}"));
            }
        }
    }
    assert_none(&findings, "arrows between crates that tests/tests/tidy.rs does not allow");
    Ok(())
}

#[test]
fn every_crate_of_the_workspace_stands_in_the_table_of_arrows() -> Result<()> {
    let workspace = manifest("")?;
    let members = workspace["workspace"]["members"].as_array().context("no members")?;
    let mut members: Vec<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    let mut known: Vec<&str> = ARROWS.iter().map(|(folder, _)| *folder).collect();
    members.sort_unstable();
    known.sort_unstable();
    assert_eq!(members, known);
    Ok(())
}

#[test]
fn every_crate_takes_the_workspace_lints_and_edition() -> Result<()> {
    let mut findings = Vec::new();
    for (folder, _) in ARROWS {
        let manifest = manifest(folder)?;
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("{folder}/Cargo.toml lacks [lints] workspace = true"));
        }
    }
    assert_none(&findings, "crates outside the workspace's lints");
    Ok(())
}

#[test]
fn every_declared_dependency_is_used() -> Result<()> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for source in sources()? {
        texts.entry(source.crate_folder()).or_default().push_str(&source.text);
    }
    let mut findings = Vec::new();
    for (folder, _) in ARROWS {
        let text = texts.get(*folder).map_or("", String::as_str);
        for name in dependencies(&manifest(folder)?) {
            let path = format!("{}::", name.replace('-', "_"));
            let alone = format!("use {};", name.replace('-', "_"));
            if !text.contains(&path) && !text.contains(&alone) {
                findings.push(format!("{folder}/Cargo.toml declares {name}, no code names it"));
            }
        }
    }
    assert_none(&findings, "dependencies to remove");
    Ok(())
}

#[test]
fn every_file_says_first_what_it_is_for() -> Result<()> {
    let findings = names(|source| !source.text.starts_with("//! "))?;
    assert_none(&findings, "files whose first line is no `//!`");
    Ok(())
}

#[test]
fn no_file_is_longer_than_the_limit() -> Result<()> {
    let findings = names(|source| source.text.lines().count() > FILE_LINES_MAX)?;
    assert_none(&findings, "files of more than 500 lines");
    Ok(())
}

/// The functions of a formatted file: their first lines, and how many lines their bodies have.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        let head = body.split('(').next().unwrap_or_default();
        if body.starts_with("//") || !head.split(' ').any(|word| word == "fn") {
            continue;
        }
        let opens = lines[at..].iter().position(|l| l.ends_with(['{', ';', '}']));
        let Some(opens) = opens.map(|n| at + n).filter(|n| lines[*n].ends_with('{')) else {
            continue;
        };
        let end = format!("{indent}}}");
        let length = lines[opens + 1..].iter().position(|l| l.starts_with(&end));
        found.push((body.to_owned(), length.unwrap_or(0)));
    }
    found
}

#[test]
fn no_function_is_longer_than_the_limit() -> Result<()> {
    let mut findings = Vec::new();
    for source in sources()? {
        let long = functions(&source.text).into_iter().filter(|(_, n)| *n > FUNCTION_LINES_MAX);
        findings.extend(long.map(|(head, n)| format!("{}: {n} lines: {head}", source.name())));
    }
    assert_none(&findings, "functions of more than 70 lines");
    Ok(())
}

#[test]
fn the_measure_of_functions_sees_a_long_one() {
    let long = format!(
        "impl X {{\n    fn long(\n        a: u8,\n    ) {{\n{}    }}\n}}\n",
        "\n".repeat(71)
    );
    assert_eq!(functions(&long), [("fn long(".to_owned(), 71)]);
}

#[test]
fn sled_is_imported_by_one_file_of_the_store() -> Result<()> {
    let files = names(|s| s.text.contains("sled::") && s.crate_folder() != "tests")?;
    assert!(files.iter().all(|name| name.starts_with("store/src/catalog")), "{files:?}");
    assert!(files.len() <= 1, "{files:?}");
    Ok(())
}

/// Words that no file may hold, and why. Each is put together here so that this file holds none.
fn forbidden() -> Vec<(String, &'static str)> {
    vec![
        (["todo", "!("].concat(), "finish it or leave it out"),
        (["unimplemented", "!("].concat(), "finish it or leave it out"),
        (["// TO", "DO"].concat(), "file an issue"),
        (["FIX", "ME"].concat(), "file an issue"),
        (["#[ig", "nore"].concat(), "a test that does not run holds nothing"),
        (["process::", "exit("].concat(), "return the exit code to main"),
    ]
}

/// Words that no test may hold. Production code may pause, where it says for how long and why.
fn forbidden_in_tests() -> Vec<(String, &'static str)> {
    let instead = "wait for the condition: wait::until, a channel, a signal";
    vec![(["thread::", "sleep"].concat(), instead), (["time::", "sleep("].concat(), instead)]
}

/// The line from which on a file is test code; its end where none of it is.
fn tests_begin(source: &Source) -> usize {
    let name = source.name();
    if name.contains("/tests/") || name.starts_with("tests/") || name.ends_with("tests.rs") {
        return 0;
    }
    let lines = source.text.lines();
    lines.clone().position(|line| line == "mod tests {").unwrap_or_else(|| lines.count())
}

fn find(words: &[(String, &str)], source: &Source, from: usize, findings: &mut Vec<String>) {
    for (at, line) in source.text.lines().enumerate().skip(from) {
        let found = words.iter().filter(|(word, _)| line.contains(word));
        let tell = |(word, instead): &(String, &str)| {
            format!("{}:{}: {word}: {instead}", source.name(), at + 1)
        };
        findings.extend(found.map(tell));
    }
}

#[test]
fn no_file_holds_a_forbidden_word() -> Result<()> {
    let mut findings = Vec::new();
    for source in sources()? {
        find(&forbidden(), &source, 0, &mut findings);
        find(&forbidden_in_tests(), &source, tests_begin(&source), &mut findings);
    }
    assert_none(&findings, "forbidden words");
    Ok(())
}

/// Words of this and other build machines, which tell nothing to a reader elsewhere: package registries'
/// hosts, and where a clone happened to lie.
fn foreign() -> Vec<String> {
    let join = |parts: &[&str]| parts.concat();
    vec![
        join(&["static.", "crates.io"]),
        join(&["index.", "crates.io"]),
        join(&["registry.", "npmjs.org"]),
        join(&["pypi.", "org"]),
        join(&["repo.maven.", "apache.org"]),
        join(&["repo1.", "maven.org"]),
        join(&["deb.", "debian.org"]),
        join(&["proxy.", "golang.org"]),
        join(&["/work/", "main"]),
        join(&["/work/", "shared"]),
        join(&["/root", "/."]),
    ]
}

#[test]
fn no_file_names_a_registry_or_a_path_of_a_build_machine() -> Result<()> {
    let output = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let listed = output.context("cannot run git")?;
    let mut findings = Vec::new();
    for name in String::from_utf8(listed.stdout)?.lines().filter(|name| *name != "Cargo.lock") {
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        let named = foreign().into_iter().filter(|word| text.contains(word));
        findings.extend(named.map(|word| format!("{name}: {word}")));
    }
    assert_none(&findings, "files that name a registry's host or a machine's path");
    Ok(())
}

/// Who reads a data folder by FORMAT.md alone has to know what a stored number names.
#[test]
fn format_md_has_every_well_known_name_with_its_number() -> Result<()> {
    let format = fs::read_to_string(root().join("FORMAT.md"))?;
    let (_, listed) = format.split_once("## 15. Well-known names").context("no section 15")?;
    let listed: Vec<&str> =
        listed.split(['·', '\n']).map(str::trim).filter(|name| name.contains('.')).collect();
    let source = fs::read_to_string(root().join("event/src/ecs.rs"))?;
    let mut findings = Vec::new();
    for line in source.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [number, _, name] = words[..] else { continue };
        if number.parse::<u32>().is_ok() && name.starts_with('"') && name.contains('.') {
            let wanted = format!("{number} {}", name.trim_matches('"'));
            if !listed.contains(&wanted.as_str()) {
                findings.push(wanted);
            }
        }
    }
    assert_none(&findings, "names of event/src/ecs.rs that FORMAT.md lacks");
    Ok(())
}
