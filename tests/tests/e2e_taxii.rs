//! Threat lists from a TAXII 2.1 server, OASIS' own: page after page, with a password, and what it refuses is told.

use anyhow::{Result, ensure};
use custos_tests::{
    clients::python,
    custos::run,
    http,
    process::{Running, free_port},
    wait,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);
const COLLECTION: &str = "91a7b528-80eb-42ed-a74d-c6fbd5a26116";

fn indicator(nth: usize) -> Value {
    json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": format!("indicator--{nth:08}-0000-4000-8000-000000000000"),
        "created": "2026-11-01T00:00:00.000Z",
        "modified": "2026-11-01T00:00:00.000Z",
        "valid_from": "2026-11-01T00:00:00Z",
        "pattern_type": "stix",
        "pattern": format!("[ipv4-addr:value = '203.0.113.{nth}']"),
        "revoked": nth == 4,
    })
}

/// A server with eight indicators, three a page.
fn start(folder: &Path) -> Result<(Running, String)> {
    let objects: Vec<Value> = (0..8).map(indicator).collect();
    let added = |(nth, object): (usize, &Value)| {
        json!({
            "date_added": format!("2026-11-{:02}T00:00:00.000000Z", nth + 1),
            "id": object["id"],
            "media_type": "application/stix+json;version=2.1",
            "version": object["modified"],
        })
    };
    let manifest: Vec<Value> = objects.iter().enumerate().map(added).collect();
    let collection = json!({
        "id": COLLECTION, "title": "bad addresses", "can_read": true, "can_write": false,
        "media_types": ["application/stix+json;version=2.1"], "manifest": manifest, "objects": objects,
    });
    let root = json!({
        "information": {"title": "t", "versions": ["application/taxii+json;version=2.1"], "max_content_length": 9_765_625},
        "status": [], "collections": [collection],
    });
    let data = folder.join("data.json");
    fs::write(
        &data,
        json!({"discovery": {"title": "t", "api_roots": []}, "api1": root}).to_string(),
    )?;
    let config = folder.join("medallion.json");
    let backend = json!({
        "module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": data,
    });
    let users = json!({"mia": "a secret of no worth"});
    let written = json!({"backend": backend, "users": users, "taxii": {"max_page_size": 3}});
    fs::write(&config, written.to_string())?;
    let port = free_port()?;
    let mut command = Command::new(python());
    command.args(["-m", "medallion.scripts.run", "--host", "127.0.0.1", "--port"]);
    command.arg(port.to_string()).arg(&config).stdout(Stdio::null());
    let server = Running::start("medallion", &mut command)?;
    wait::until("medallion", LIMIT, || {
        let answer = http::send(port, "GET", "/taxii2/", &[], b"");
        Ok(answer.ok().filter(|reply| reply.status == 401))
    })?;
    Ok((server, format!("http://127.0.0.1:{port}/api1/collections/{COLLECTION}/")))
}

#[test]
fn a_collection_becomes_a_list_page_after_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_server, url) = start(folder.path())?;
    let secret = folder.path().join("secret");
    fs::write(&secret, "a secret of no worth\n")?;
    let ask = |more: &[&str]| {
        let secret = secret.to_string_lossy();
        let words = ["rules", "make-list", "--name", "bad", "--taxii", &url, "--user", "mia"];
        run(words.iter().copied().chain(["--password-file", &*secret]).chain(more.iter().copied()))
    };
    let made = String::from_utf8(ask(&[])?.done()?.stdout)?;
    let values: Vec<_> = made.lines().filter_map(|line| line.strip_prefix("    - ")).collect();
    let expected: Vec<_> =
        (0..8).filter(|nth| *nth != 4).map(|nth| format!("\"203.0.113.{nth}\"")).collect();
    ensure!(values == expected, "{made}");
    let later = String::from_utf8(ask(&["--added-after", "2026-11-06T12:00:00Z"])?.done()?.stdout)?;
    ensure!(later.lines().filter(|line| line.starts_with("    - ")).count() == 2, "{later}");
    let none = ask(&["--observable", "domain-name"])?;
    ensure!(none.code() != Some(0) && none.stderr.contains("there is no value in it"), "{none:?}");
    fs::write(&secret, "wrong")?;
    let refused = ask(&[])?;
    ensure!(refused.code() != Some(0) && refused.stderr.contains("answered 401"), "{refused:?}");
    Ok(())
}
