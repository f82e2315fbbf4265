//! Signing in to a running server: the first account, two browsers, what ends a session, who may do what.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    browser::Browser,
    custos::{Node, run_with},
    http::header,
    process::free_port,
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse lamp river";

struct Server {
    node: Node,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let node = Node::start(folder.path(), port, config)?;
        Ok(Self { node, port, _folder: folder })
    }

    fn browser(&self) -> Browser {
        Browser::at(self.port)
    }

    /// The first account, signed in.
    fn first(&self) -> Result<Browser> {
        let mut lin = self.browser();
        lin.set_up(&self.node.setup_token()?, "lin", PASSWORD)?.with(200)?;
        Ok(lin)
    }
}

#[test]
fn the_printed_token_makes_one_account_which_outlives_a_kill() -> Result<()> {
    let mut server = Server::start("")?;
    let token = server.node.setup_token()?;
    ensure!(token.len() == 64, "256 bits: {token}");
    let mut guess = server.browser();
    guess.set_up(&"0".repeat(64), "eve", PASSWORD)?.with(403)?;
    ensure!(guess.get("/setup")?.with(200)?.body["required"] == true);
    let mut lin = server.browser();
    lin.set_up(&token, "lin", "short")?.with(422)?;
    let made = lin.set_up(&token, "lin", PASSWORD)?.with(200)?;
    let cookie = header(&made.head, "set-cookie").context("no cookie")?;
    for bound in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        ensure!(cookie.contains(bound), "{cookie}");
    }
    guess.set_up(&token, "eve", PASSWORD)?.with(409)?;
    server.node.kill()?;
    server.node.restart()?;
    ensure!(lin.get("/setup")?.with(200)?.body["required"] == false);
    lin.get("/session")?.with(401)?;
    lin.sign_in("lin", PASSWORD)?.with(200)?;
    ensure!(lin.get("/session")?.with(200)?.body["user"]["name"] == "lin");
    ensure!(!server.node.shown().contains("setup:"), "a second token was printed");
    let secrets = [PASSWORD, token.as_str(), lin.cookie.as_deref().context("no cookie")?];
    for secret in secrets {
        ensure!(!server.node.shown().contains(secret), "a secret in Custos' own log");
        nowhere_in(server.node.data(), secret.as_bytes())?;
    }
    server.node.stop()
}

fn nowhere_in(folder: &Path, secret: &[u8]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            nowhere_in(&path, secret)?;
            continue;
        }
        let found = fs::read(&path)?.windows(secret.len()).any(|bytes| bytes == secret);
        ensure!(!found, "a secret stands in {}", path.display());
    }
    Ok(())
}

#[test]
fn two_browsers_have_two_sessions_and_signing_out_ends_one() -> Result<()> {
    let mut server = Server::start("")?;
    let one = server.first()?;
    let mut two = server.browser();
    two.sign_in("lin", PASSWORD)?.with(200)?;
    ensure!(one.cookie != two.cookie && one.csrf != two.csrf);
    one.delete("/session")?.with(204)?;
    one.get("/session")?.with(401)?;
    one.get("/alerts")?.with(401)?;
    two.get("/session")?.with(200)?;
    server.node.stop()
}

#[test]
fn an_idle_session_ends_and_the_answer_says_to_sign_in() -> Result<()> {
    let mut server = Server::start("[session]\nidle_secs = 2\n")?;
    let mut lin = server.first()?;
    ensure!(lin.get("/session")?.with(200)?.body["idle_secs"] == 2);
    let over = wait::until("the idle end", LIMIT, || {
        let answer = lin.send("GET", "/session", None, &["X-Custos-Background: 1"])?;
        Ok((answer.status == 401).then_some(answer))
    })?;
    ensure!(over.body["detail"].as_str().is_some_and(|text| text.contains("sign in")), "{over:?}");
    lin.sign_in("lin", PASSWORD)?.with(200)?;
    server.node.stop()
}

#[test]
fn a_change_without_its_token_or_from_elsewhere_does_nothing() -> Result<()> {
    let mut server = Server::start("")?;
    let lin = server.first()?;
    let new = json!({"name": "wei", "roles": ["viewer"], "password": PASSWORD});
    let bare = Browser { csrf: None, ..lin.clone() };
    bare.post("/users", &new)?.with(403)?;
    let guessed = Browser { csrf: Some("guessed".into()), ..lin.clone() };
    guessed.post("/users", &new)?.with(403)?;
    let elsewhere = ["Sec-Fetch-Site: cross-site"];
    lin.send("POST", "/users", Some(&new), &elsewhere)?.with(403)?;
    let users = lin.get("/users")?.with(200)?.body;
    ensure!(users["users"].as_array().map(Vec::len) == Some(1), "{users}");
    lin.post("/users", &new)?.with(201)?;
    server.node.stop()
}

#[test]
fn every_operation_of_the_document_is_open_to_its_permission_alone() -> Result<()> {
    let mut server = Server::start("")?;
    let lin = server.first()?;
    let nobody = server.browser();
    let document = nobody.get("/openapi.json")?.with(200)?.body;
    let wrong = ["Authorization: Bearer guessed"];
    for role in ["viewer", "analyst", "responder", "lead", "auditor", "admin"] {
        let new = json!({"name": role, "roles": [role], "password": PASSWORD});
        lin.post("/users", &new)?.with(201)?;
        let mut person = server.browser();
        let signed = person.sign_in(role, PASSWORD)?.with(200)?.body;
        for (method, path, permission) in operations(&document)? {
            // These end the session that the others need.
            if path == "/session" && method != "GET" {
                continue;
            }
            let held = signed["user"]["permissions"].as_array().context("no permissions")?;
            let may = permission == "signed_in" || held.iter().any(|one| *one == permission);
            let case = format!("{role}: {method} {path} ({permission})");
            if permission == "open" {
                continue;
            }
            nobody.send(&method, &path, Some(&json!({})), &[])?.with(401).context(case.clone())?;
            person
                .send(&method, &path, Some(&json!({})), &wrong)?
                .with(401)
                .context(case.clone())?;
            let answer = person.send(&method, &path, Some(&json!({})), &[])?;
            let lacks = answer.body["detail"]
                .as_str()
                .is_some_and(|text| text.contains("needs the permission"));
            ensure!(answer.status != 401 && lacks != may, "{case}: {answer:?}");
        }
    }
    server.node.stop()
}

/// Method, path with its parts filled in, and permission of each operation.
fn operations(document: &Value) -> Result<Vec<(String, String, String)>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().context("no paths")? {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().context("no operations")? {
            let permission = operation["x-permission"].as_str().context("no permission")?;
            operations.push((method.to_uppercase(), path.clone(), permission.to_owned()));
        }
    }
    Ok(operations)
}

#[test]
fn the_command_line_manages_accounts_with_the_folders_token() -> Result<()> {
    let mut server = Server::start("")?;
    let lin = server.first()?;
    let url = format!("http://127.0.0.1:{}", server.port);
    let data = server.node.data().to_string_lossy().into_owned();
    let user = |words: &[&str], input: &str| {
        let beside = ["--server", &url, "--data", &data];
        run_with(["user"].iter().chain(words).copied().chain(beside), input)
    };
    let added = user(&["add", "wei", "--role", "analyst", "--role", "viewer"], PASSWORD)?;
    ensure!(added.code() == Some(0), "{}", added.stderr);
    let again = user(&["add", "wei", "--role", "analyst"], PASSWORD)?;
    ensure!(again.code() == Some(2) && again.stderr.contains("already"), "{}", again.stderr);
    let mut wei = server.browser();
    wei.sign_in("wei", PASSWORD)?.with(200)?;
    user(&["disable", "wei"], "")?.done()?;
    wei.get("/session")?.with(401)?;
    wei.sign_in("wei", PASSWORD)?.with(401)?;
    user(&["enable", "wei"], "")?.done()?;
    user(&["password", "wei"], "quite another long phrase\n")?.done()?;
    user(&["roles", "wei", "--role", "lead"], "")?.done()?;
    wei.sign_in("wei", "quite another long phrase")?.with(200)?;
    let listed = user(&["list", "--json"], "")?.done()?.json()?;
    ensure!(listed.len() == 2 && listed[1]["roles"] == json!(["lead"]), "{listed:?}");
    let last = user(&["disable", "lin"], "")?;
    ensure!(last.code() == Some(2) && last.stderr.contains("last"), "{}", last.stderr);
    let elsewhere = user(&["disable", "../session"], "")?;
    ensure!(elsewhere.code() == Some(2), "{}", elsewhere.stderr);
    lin.get("/session")?.with(200)?;
    server.node.stop()
}
