//! Webhooks, signed by Python's hmac and by openssl as services sign them, and what is not signed so.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api, clients::python, custos::Node, process::free_port, root, snippets::Places, wait,
};
use serde_json::Value;
use std::{fs, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);
const PAGE: &str = "webhook.md";

/// What each case of `tests/py/webhooks.py` is answered, and a part of the reason.
const ANSWERS: [(&str, u64, &str); 15] = [
    ("github", 200, ""),
    ("gophish", 200, ""),
    ("stripe", 200, ""),
    ("stripe, four minutes old", 200, ""),
    ("base64", 200, ""),
    ("three at once", 200, ""),
    ("another's secret", 401, "not that of this body"),
    ("another body", 401, "not that of this body"),
    ("sha1", 401, "sha256= and 64 hexadecimal digits is expected"),
    ("no signature", 401, "x-hub-signature-256 is missing"),
    ("ten minutes old", 401, "more than 300 s away"),
    ("ten minutes ahead", 401, "more than 300 s away"),
    ("old, said to be fresh", 401, "not that of this body"),
    ("no token", 401, "authorization is missing"),
    ("a guessed token", 401, "not the one that is configured"),
];

#[test]
fn a_webhook_is_stored_when_its_signature_holds_and_refused_with_the_reason_when_not() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    for name in ["code", "payments", "shop", "drill"] {
        fs::write(folder.path().join(format!("{name}.secret")), format!("{name}-of-this-test\n"))?;
    }
    let (http, port) = (free_port()?, free_port()?);
    let places = Places::default()
        .with("9443", port)
        .with("/etc/custos", folder.path().display())
        // printf %s secret-of-this-test | sha256sum
        .with("SHA256-OF-TOKEN", "b05db83c10f57f133850faf16c565d0b7efb2eaa6563be47bce08ed221889997")
        .with("TOKEN", "secret-of-this-test");
    let mut node = Node::start(folder.path(), http, &places.snippet(PAGE, "Custos")?)?;
    let api = Api::new(&node, http)?;
    places.python(PAGE, "Python, as GitHub signs")?;
    places.sh(PAGE, "curl, with openssl")?;
    places.sh(PAGE, "curl, with a token")?;
    places.sh(PAGE, "curl, with the token in the address")?;

    let script = root().join("tests/py/webhooks.py");
    let sent = Command::new(python())
        .arg(script)
        .arg(port.to_string())
        .arg(folder.path())
        .output()
        .context("cannot run Python")?;
    ensure!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let told: Vec<Value> =
        serde_json::Deserializer::from_slice(&sent.stdout).into_iter().collect::<Result<_, _>>()?;
    ensure!(told.len() == ANSWERS.len(), "{} cases", told.len());
    for (told, (case, status, part)) in told.iter().zip(ANSWERS) {
        let error = told["answer"]["error"].as_str().unwrap_or_default();
        let is_right = told["case"] == case && told["status"] == status && error.contains(part);
        ensure!(is_right, "{case}: {told}");
    }

    // What was refused is counted and nowhere else to be found; what was taken is there after a kill.
    node.kill()?;
    node.restart()?;
    let expected = [("code", 5), ("payments", 3), ("shop", 1), ("drill", 1), ("doors", 2)];
    wait::until("the sources of the webhooks", LIMIT, || {
        let answer = api.get("/sources")?;
        let sources = answer["sources"].as_array().context("no sources")?;
        let of = |name: &str| {
            let source = sources.iter().find(|source| source["name"] == format!("webhook:{name}"));
            source.and_then(|source| source["stored"].as_u64()).unwrap_or_default()
        };
        for (name, count) in expected {
            ensure!(of(name) <= count, "webhook:{name}: {} stored", of(name));
        }
        Ok(expected.iter().all(|(name, count)| of(name) == *count).then_some(()))
    })?;
    let found = |query: &str| {
        wait::until(query, LIMIT, || {
            let answer = api.get(&format!("/events?limit=10&query={query}"))?;
            Ok(answer["events"].as_array().context("no events")?.first().cloned())
        })
    };
    let door = found("event.action:access-granted")?;
    ensure!(door["source"] == "webhook:doors", "{door}");
    let added = found("event.dataset:github.audit and user.target.name:eve")?;
    ensure!(added["fields"]["event.action"] == "org.add_member", "{added}");
    node.stop()
}

#[test]
fn refused_webhooks_are_counted_by_source_and_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let config = format!(
        "[[intake]]\nname = \"hooks\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
         [[intake.webhooks]]\nname = \"doors\"\nscheme = \"bearer\"\nsha256 = \"{}\"\n",
        "0f".repeat(32)
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    for (header, reason) in [("X-Other: 1", "missing"), ("Authorization: Bearer guessed", "wrong")]
    {
        let headers = [header.to_owned()];
        let reply = custos_tests::http::send(port, "POST", "/webhook/doors", &headers, b"{}")?;
        ensure!(reply.status == 401, "{}", reply.head);
        let counted =
            format!("custos_webhook_refused_total{{source=\"webhook:doors\",reason=\"{reason}\"}}");
        ensure!(node.metric(&counted)? >= 1.0, "{reason} is not counted");
    }
    // Other protocols stay shut at a port that only has webhooks.
    let reply = custos_tests::http::send(port, "POST", "/gelf", &[], b"{}")?;
    ensure!(reply.status == 401, "{}", reply.head);
    node.stop()
}
