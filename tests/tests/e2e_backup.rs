//! Backups of a real server, in a bucket and in a folder: by schedule, on request and by command; broken off; and
//! restored where nothing is but the binary, the backup and the master key's file.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{binary, run, run_in},
    process::Running,
    s3::{ACCESS_KEY_ID, Bucket, SECRET},
    server::{LIMIT, Server, doors, ingest, text},
    wait,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What people see, that a restored server has to show again.
fn answers(server: &Server) -> Result<Value> {
    let (url, token) = (server.api.url(), server.token()?);
    let mut all = json!({});
    for query in ["*", "custos.access.forced:true"] {
        let words =
            ["search", "--json", "--limit", "0", "--server", &url, "--token", &token, query];
        all[query] = run(words)?.done()?.json()?.into();
    }
    for path in ["/alerts", "/incidents?status=all"] {
        all[path] = server.api.get(path)?;
        // Up to which commit it holds: the restored server has written since.
        all[path].as_object_mut().context("no answer")?.remove("as_of");
    }
    let incident = all["/incidents?status=all"]["incidents"][0]["id"].clone();
    let incident = incident.as_str().context("no incident")?;
    all["incident"] = server.api.get(&format!("/incidents/{incident}"))?;
    Ok(all)
}

/// Backups of a kind that the server knows of, its newest first.
fn known(answer: &Value, kind: &str) -> Vec<String> {
    let all = answer["backups"].as_array().into_iter().flatten();
    let of = all.filter(|one| kind == "any" || one["kind"] == kind);
    of.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
}

/// One log's line of a JSON answer.
fn log<'v>(lines: &'v [Value], name: &str) -> &'v Value {
    lines.iter().find(|line| line["log"] == name).unwrap_or(&Value::Null)
}

fn schedule(bucket: &Bucket) -> String {
    format!(
        "[backup]\nto = \"s3://vault/custos\"\nfull_every = \"1h\"\ndifferential_every = \"never\"\n\
         incremental_every = \"1s\"\ndrill_every = \"never\"\n\
         [backup.s3]\nendpoint = \"{}\"\nregion = \"us-east-1\"\naccess_key_id = \"{ACCESS_KEY_ID}\"\n\
         secret_access_key_file = \"secret\"\n",
        bucket.endpoint()
    )
}

#[test]
fn a_dead_machine_comes_back_from_its_bucket_and_shows_the_same() -> Result<()> {
    let Some(bucket) = Bucket::start("vault")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("secret"), SECRET)?;
    let mut server = Server::start_in(folder, &schedule(&bucket))?;
    server.incident()?;
    server.api.ship("doors", &doors(20..60))?;
    server.node.wait_for_stored(60, LIMIT)?;
    server.until("everything to be found", "/count?query=*", |answer| answer["count"] == 60)?;
    let alerts = |answer: &Value| answer["incidents"][0]["alerts"] == 12;
    server.until("12 alerts", "/incidents?status=all", alerts)?;
    // By schedule: a full one at once, then what is new; and one that a person asks for.
    server.until("a full one", "/backups", |answer| !known(answer, "full").is_empty())?;
    server
        .until("an incremental", "/backups", |answer| !known(answer, "incremental").is_empty())?;
    let (url, token) = (server.api.url(), server.token()?);
    let at = ["--server", &url, "--token", &token];
    let words = [&["backup", "create", "--kind", "differential"], &at[..]].concat();
    let made = run(words)?.done()?.json()?;
    ensure!(log(&made, "telemetry")["records"] == 60, "{made:?}");
    let id = log(&made, "journal")["id"].as_str().context("no id")?.to_owned();
    let verified = run([&["backup", "verify", &id, "--json"], &at[..]].concat())?.done()?.json()?;
    ensure!(verified.len() == 1 && verified[0]["id"] == json!(id), "{verified:?}");
    ensure!(verified[0]["ok"] == true && verified[0]["proven"] == true, "{verified:?}");
    let before = answers(&server)?;
    // The next one holds all of what was shown.
    let had = known(&server.api.get("/backups")?, "any").len();
    server.until("one after that", "/backups", |answer| known(answer, "any").len() > had + 1)?;
    let master = fs::read_to_string(server.node.data().join("keys/master.key"))?;
    server.node.kill()?;
    drop(server);

    // Another machine: the binary, the bucket, and the master key's file.
    let machine = tempfile::tempdir()?;
    let (key, data) = (machine.path().join("master.key"), machine.path().join("data"));
    fs::write(&key, &master)?;
    let environment = bucket.environment();
    let custos = |words: &[&str]| run_in(words.iter().copied(), &environment);
    let from = ["--from", "s3://vault/custos"];
    let listed = custos(&[&["backup", "list", "--json"], &from[..]].concat())?.done()?.json()?;
    ensure!(listed.len() > had, "{listed:?}");
    let newest = listed.last().context("no backup")?["id"].clone();
    let words = [&["backup", "verify", "--json", "--master-key", text(&key)], &from[..]].concat();
    for report in custos(&words)?.done()?.json()? {
        ensure!(report["ok"] == true && report["proven"] == true, "{report}");
    }
    let words = ["backup", "restore", "--data", text(&data), "--master-key", text(&key)];
    let restored = custos(&[&words, &from[..]].concat())?.done()?.json()?;
    ensure!(log(&restored, "telemetry")["records"] == 60, "{restored:?}");
    ensure!(log(&restored, "telemetry")["id"] == newest, "{restored:?}");
    ensure!(custos(&[&words, &from[..]].concat())?.code() == Some(2), "into a folder with data");
    let server = Server::start_in(machine, "")?;
    server.until("everything to be found", "/count?query=*", |answer| answer["count"] == 60)?;
    let now = answers(&server)?;
    for (name, answer) in before.as_object().context("no answers")? {
        ensure!(now[name] == *answer, "{name} was\n{answer}\nand is\n{}", now[name]);
    }
    server.api.ship("doors", &doors(60..70))?;

    // One byte less in the bucket, and nothing is restored.
    let segment = |name: &String| name.ends_with("telemetry/0000000001.seg");
    let segment = bucket.objects()?.into_iter().find(segment).context("no segment")?;
    bucket.delete(&segment)?;
    let elsewhere = server.path("elsewhere");
    let words = ["backup", "restore", "--data", text(&elsewhere), "--master-key", text(&key)];
    let ran = custos(&[&words, &from[..]].concat())?;
    ensure!(ran.code() == Some(4) && ran.stderr.contains("is missing"), "{ran:?}");
    ensure!(!elsewhere.exists(), "a half restored store");
    let ran = custos(&[&["backup", "verify"], &from[..]].concat())?;
    ensure!(ran.code() == Some(1), "{ran:?}");
    Ok(())
}

/// A command that is killed as soon as `now` holds; false where it had ended before.
fn killed(words: &[&str], now: impl Fn() -> bool) -> Result<bool> {
    let mut command = Command::new(binary());
    let mut running = Running::start("custos", command.args(words).stdout(Stdio::null()))?;
    wait::until("the middle, or the end", LIMIT, || {
        Ok((now() || running.ended()?.is_some()).then_some(()))
    })?;
    let ended = running.ended()?.is_some();
    running.kill()?;
    Ok(!ended)
}

/// The backups at a folder: those with a manifest, and those without.
fn at(to: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let all = fs::read_dir(to).into_iter().flatten().flatten().map(|entry| entry.path());
    all.partition(|path| path.join("manifest").exists())
}

/// How many tries it may take to hit the middle.
const TRIES: usize = 20;

#[test]
fn what_is_killed_in_the_middle_leaves_nothing_that_lies_and_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for nth in 0..4 {
        ingest(folder.path(), nth * 4_000..(nth + 1) * 4_000)?;
    }
    let (data, to) = (folder.path().join("data"), folder.path().join("to"));
    let create = ["backup", "create", "--to", text(&to), "--data", text(&data)];
    let mut broken = false;
    for _ in 0..TRIES {
        let begun = || at(&to).1.iter().any(|path| path.join("telemetry").is_dir());
        broken = killed(&create, begun)? && at(&to).0.is_empty();
        if broken {
            break;
        }
        fs::remove_dir_all(&to)?;
    }
    ensure!(broken, "no backup was hit in its middle");
    // It does not exist for anybody, and the next one tidies up behind it.
    let from = ["--from", text(&to)];
    let listed = run([&["backup", "list", "--json"], &from[..]].concat())?.done()?;
    ensure!(listed.stdout.is_empty(), "{listed:?}");
    let new = folder.path().join("new");
    let restore = [&["backup", "restore", "--data", text(&new)], &from[..]].concat();
    let ran = run(&restore)?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains("holds no backup"), "{ran:?}");
    let made = run(create)?.done()?.json()?;
    ensure!(at(&to).1.is_empty() && at(&to).0.len() == 1, "{:?}", at(&to));
    run([&["backup", "verify"], &from[..]].concat())?.done()?;

    let stage = folder.path().join(".new.restoring");
    let mut broken = false;
    for _ in 0..TRIES {
        let begun = || stage.join("telemetry/0000000001.seg").exists();
        broken = killed(&restore, begun)? && !new.exists();
        if broken {
            break;
        }
        fs::remove_dir_all(&new)?;
    }
    ensure!(broken && stage.exists(), "no restore was hit in its middle");
    let refused = run(["log", "verify", "--data", text(&new)])?;
    ensure!(refused.code() == Some(2), "{refused:?}");
    let restored = run(&restore)?.done()?.json()?;
    ensure!(!stage.exists(), "the stage is left");
    for line in &made {
        let name = line["log"].as_str().unwrap_or_default();
        ensure!(log(&restored, name)["root"] == line["root"], "{line} {restored:?}");
    }
    let verified = run(["log", "verify", "--json", "--data", text(&new)])?.done()?.json()?;
    ensure!(log(&verified, "telemetry")["records"] == 16_000, "{verified:?}");
    Ok(())
}

/// The commands of a runbook: its lines that are set in by four spaces or more.
fn commands(runbook: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(custos_tests::root().join("docs/runbooks").join(runbook))?;
    let lines = text.lines().filter(|line| line.trim_start().starts_with("custos "));
    let set_in = lines.filter(|line| line.starts_with("    "));
    Ok(set_in.map(|line| line.trim().to_owned()).collect())
}

/// Runs a runbook's commands as they are written, names in capitals put in, and in a shell as people do.
fn follow(runbook: &str, folder: &Path, names: &[(&str, &str)]) -> Result<usize> {
    let bin = folder.join("bin");
    if !bin.exists() {
        fs::create_dir(&bin)?;
        std::os::unix::fs::symlink(binary(), bin.join("custos"))?;
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let commands = commands(runbook)?;
    for command in &commands {
        let mut told = command.clone();
        for (name, value) in names {
            told = told.replace(name, value);
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &told]).current_dir(folder).env("PATH", &path).stdin(Stdio::null());
        let output = shell.output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{runbook}: {told}\n{}\n{stderr}", output.status);
    }
    Ok(commands.len())
}

#[test]
fn the_runbooks_are_right_command_by_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    ingest(folder.path(), 0..100)?;
    let (data, vault) = (folder.path().join("data"), folder.path().join("vault"));
    let mut server = Server::start(&format!(
        "[backup]\nto = \"{}\"\nfull_every = \"never\"\nincremental_every = \"never\"\n\
         differential_every = \"never\"\ndrill_every = \"never\"\n",
        folder.path().join("other").display()
    ))?;
    server.api.ship("doors", &doors(0..10))?;
    let (url, token) = (server.api.url(), server.token()?);
    let names = [
        ("/mnt/vault/custos", text(&vault)),
        ("DIR", text(&data)),
        ("http://127.0.0.1:8080", &url),
        ("TOKEN", &token),
    ];
    ensure!(follow("backup.md", folder.path(), &names)? >= 5, "backup.md has lost its commands");
    server.node.stop()?;
    // On an empty machine: the key's file, and what stop.md told to keep elsewhere.
    let machine = tempfile::tempdir()?;
    let (key, new) = (machine.path().join("master.key"), machine.path().join("new"));
    fs::copy(data.join("keys/master.key"), &key)?;
    ensure!(follow("stop.md", folder.path(), &names)? == 3, "stop.md has lost its commands");
    run(["backup", "create", "--to", text(&vault), "--data", text(&data)])?.done()?;
    for name in ["checkpoint.txt", "checkpoint.pub"] {
        fs::copy(folder.path().join(name), machine.path().join(name))?;
    }
    fs::remove_dir_all(&data)?;
    let (url, rules) = (format!("file://{}", vault.display()), custos_tests::root());
    let rules = rules.join("rules/detections/doors");
    let names =
        [("URL", &*url), ("FILE", text(&key)), ("DIR", text(&new)), ("RULES", text(&rules))];
    ensure!(follow("restore.md", machine.path(), &names)? >= 5, "restore.md lost its commands");
    let found = run(["search", "--count", "*", "--json", "--data", text(&new)])?.done()?;
    ensure!(found.last_json()?["count"] == 100, "{found:?}");
    Ok(())
}
