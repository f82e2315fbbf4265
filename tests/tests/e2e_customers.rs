//! The register of customers: both systems' contacts arrive once through kills and faults, stand nowhere in clear, are looked
//! up, read with a reason, erased; and a notice goes to the address that the register has, and to no other.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    browser::Browser,
    clients,
    crm::{LIMIT, Peer, config, counted, same, stored, tells_no_secret},
    custos::Node,
    process::free_port,
    root, wait,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

const PASSWORD: &str = "correct horse lamp river";
/// Parts of every name, address and number of the stand-ins, and of what is no business of ours.
const PLANTED: [&str; 6] =
    ["@customers.example", "Zaunkönig", "+49 1511", "孔雀", "+86 138", "kept-by-nobody"];

const ZOHO_FAULTS: [&str; 5] =
    ["touch@contacts", "429@coql", "500@coql", "expire@coql", "503@export"];
const FXIAOKE_FAULTS: [&str; 3] = ["touch@contacts", "code14001@query", "503@query"];

struct Register {
    node: Node,
    http: u16,
    zoho: Peer,
    fxiaoke: Peer,
    folder: tempfile::TempDir,
}

impl Register {
    fn start(more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let zoho = Peer::start("zoho", &ZOHO_FAULTS)?;
        let fxiaoke = Peer::start("fxiaoke", &FXIAOKE_FAULTS)?;
        let contacts = |id: &str| format!("contacts = {{ every = \"1s\", id = \"{id}\" }}\n");
        let config = [
            config("zoho", &zoho, folder.path())?,
            contacts("Customer_No"),
            config("fxiaoke", &fxiaoke, folder.path())?,
            contacts("customer_no__c"),
            more.to_owned(),
        ];
        let http = free_port()?;
        let node = Node::start(folder.path(), http, &config.concat())?;
        Ok(Self { node, http, zoho, fxiaoke, folder })
    }

    /// All that both will ever have: an entry or a contact each, and what is changed meanwhile.
    fn total(&self) -> Result<u64> {
        let mut all = 0;
        for peer in [&self.zoho, &self.fxiaoke] {
            all +=
                peer.expected()?.values().sum::<usize>() + peer.contacts()?.values().sum::<usize>();
        }
        Ok(all as u64)
    }

    /// Waits until all is stored and the register can be asked for it.
    fn settle(&self) -> Result<Api> {
        self.zoho.wait_for_faults(ZOHO_FAULTS.len())?;
        self.fxiaoke.wait_for_faults(FXIAOKE_FAULTS.len())?;
        self.node.wait_for_stored(self.total()?, LIMIT)?;
        let api = Api::new(&self.node, self.http)?;
        wait::until("the whole register", LIMIT, || {
            let answer = api.get("/customers")?;
            let known = |name: &str| {
                let mut sources = answer["sources"].as_array().into_iter().flatten();
                sources.find(|one| one["source"] == name).and_then(|one| one["customers"].as_u64())
            };
            let all = (known("crm:zoho-contacts"), known("crm:fxiaoke-contacts"));
            Ok((all == (Some(2_900), Some(230))).then_some(()))
        })?;
        Ok(api)
    }
}

fn customers(api: &Api, asked: &str) -> Result<Vec<Value>> {
    let answer = api.get(&format!("/customers?{asked}"))?;
    Ok(answer["customers"].as_array().context("no customers")?.clone())
}

/// What a person may read of a customer, by the last part of its field.
fn revealed(lead: &Browser, customer: &Value) -> Result<BTreeMap<String, String>> {
    let at = &customer["position"];
    let (log, seq) = (at["log"].as_str().context("no log")?, &at["seq"]);
    let path = format!("/events/{log}/{}/{seq}/reveal", at["partition"]);
    let answer = lead.post(&path, &json!({"reason": "notice of INC-000001"}))?.with(200)?.body;
    let fields = answer["fields"].as_array().context("no fields")?;
    let read = |one: &Value| {
        let name = one["field"].as_str()?.rsplit('.').next()?.to_owned();
        Some((name, one["value"].as_str()?.to_owned()))
    };
    Ok(fields.iter().filter_map(read).collect())
}

/// Nothing planted stands in any file below.
fn files_hold_nothing(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count += files_hold_nothing(&path)?;
            continue;
        }
        let bytes = fs::read(&path)?;
        for planted in PLANTED {
            let held = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            ensure!(!held, "{planted} in {}", path.display());
        }
        count += 1;
    }
    Ok(count)
}

/// Nor in any record of its logs, decrypted without Custos, nor in what a search prints.
fn logs_hold_nothing(register: &Register) -> Result<()> {
    let events = register.node.run(&["search", "--json", "--limit", "0", "*"])?.done()?;
    let text = String::from_utf8_lossy(&events.stdout);
    let told = PLANTED.iter().find(|planted| text.contains(**planted));
    ensure!(told.is_none(), "{told:?} is found by a search");
    let records = register.folder.path().join("records");
    let mut command = Command::new(clients::python());
    command.arg(root().join("docs/reader/custos_reader.py")).arg(register.node.data());
    let read = command.arg("--records").arg(&records).output()?;
    ensure!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = fs::read_to_string(records)?;
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16);
    let digits = |text: &str| -> String {
        let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(digit).collect()
    };
    ensure!(
        text.contains(&digits("crm:zoho-contacts")) && text.contains(&digits("field_revealed")),
        "not read"
    );
    let held = PLANTED.iter().find(|planted| text.contains(&digits(planted)));
    ensure!(held.is_none(), "{held:?} stands in a log");
    Ok(())
}

#[test]
fn contacts_of_both_systems_are_known_once_and_in_clear_to_nobody_but_who_may() -> Result<()> {
    let mut register = Register::start("")?;
    let before = register.total()?;
    let mid_progress = register.node.kill_on_the_way(before, 3, LIMIT)?;
    ensure!(mid_progress >= 1, "no kill came on the way");
    let mut lead = Browser::at(register.http);
    lead.set_up(&register.node.setup_token()?, "lin", PASSWORD)?.with(200)?;
    let api = register.settle()?;

    let found = customers(&api, "id=Z-7")?;
    ensure!(
        found.len() == 1 && found[0]["system"] == "zoho" && found[0]["readable"] == true,
        "{found:?}"
    );
    ensure!(found[0]["email"].as_str().is_some_and(|text| text.starts_with("prv_")), "{found:?}");
    let expected =
        [("name", "Zaunkönig Nr7"), ("email", "z7@customers.example"), ("phone", "+49 30 0000007")];
    let read = revealed(&lead, &found[0])?;
    ensure!(
        read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<BTreeMap<_, _>>()
            == expected.into(),
        "{read:?}"
    );
    for (asked, id) in [
        ("email=F17@Customers.example", "F-17"),
        ("phone=%2B86 138 00000017", "F-17"),
        ("phone=%2B49 1511 0000008", "Z-8"),
        ("email=moved@customers.example", "Z-2899"),
    ] {
        let found = customers(&api, asked)?;
        ensure!(found.len() == 1 && found[0]["id"] == id, "{asked}: {found:?}");
    }
    for asked in
        ["email=z2899@customers.example", "email=customers.example", "id=Z-2900", "phone=1"]
    {
        ensure!(customers(&api, asked)?.is_empty(), "{asked}");
    }
    ensure!(api.ask("GET", "/customers?id=a&email=b", None)?.0 == 400, "two at once");
    erase(&api, &lead, "Z-7")?;
    ensure!(customers(&api, "email=z7@customers.example")?.is_empty(), "found though erased");
    let gone = customers(&api, "id=Z-7")?;
    ensure!(gone.len() == 1 && gone[0]["readable"] == false, "{gone:?}");
    ensure!(revealed(&lead, &gone[0])?.is_empty(), "read though erased");

    tells_no_secret(&register.node)?;
    let shown = register.node.shown();
    ensure!(PLANTED.iter().all(|planted| !shown.contains(planted)), "{shown}");
    register.node.stop()?;
    for (peer, source) in
        [(&register.zoho, "crm:zoho-contacts"), (&register.fxiaoke, "crm:fxiaoke-contacts")]
    {
        let rows = stored(&register.node, source)?;
        let name = |row: &Value| {
            let time = row["time"].as_str().map_or_else(|| row["time"].to_string(), str::to_owned);
            format!("{} {time}", row["record"].as_str().unwrap_or_default())
        };
        same(&peer.contacts()?, &counted(rows.iter().map(name)))?;
        let report = peer.ask("/stand-in/report")?;
        ensure!(
            report["overlaps"] == 0 && report["wrong"].as_array().is_some_and(Vec::is_empty),
            "{report}"
        );
    }
    logs_hold_nothing(&register)?;
    ensure!(files_hold_nothing(register.node.data())? > 8, "no files");
    Ok(())
}

/// Erases a person: asked for by one, approved by another.
fn erase(api: &Api, lead: &Browser, person: &str) -> Result<()> {
    let body = json!({"subject": person, "reason": "asked for by letter"});
    let (status, case) = api.ask("POST", "/privacy/erasures", Some(&body))?;
    ensure!(status == 201, "{status} {case}");
    let subject = case["subject"].as_str().context("no subject")?;
    lead.post(&format!("/privacy/erasures/{subject}/approve"), &Value::Null)?.with(200)?;
    Ok(())
}

/// A run of the playbook for one customer, approved; how its notice ended, and the whole run.
fn notify(api: &Api, lead: &Browser, incident: &str, customer: &str) -> Result<(Value, Value)> {
    let inputs = json!({
        "customer": customer, "what": "a list was copied", "advice": "change your password", "done": "it is closed",
        "contact": "0800 1",
    });
    let body = json!({"playbook": "notify-customer", "inputs": inputs});
    let (status, run) = api.ask("POST", &format!("/incidents/{incident}/runs"), Some(&body))?;
    ensure!(status == 201, "{status} {run}");
    let path = format!("/runs/{}", run["id"].as_str().context("no run")?);
    let notice = |run: &Value| {
        let steps = run["steps"].as_array().into_iter().flatten();
        steps.clone().find(|step| step["name"] == "notice").cloned().unwrap_or_default()
    };
    let waits = wait::until("an approval", LIMIT, || {
        let run = api.get(&path)?;
        Ok((run["status"] == "waiting").then_some(run))
    })?;
    let asked = notice(&waits);
    ensure!(asked["target"] == customer, "{asked}");
    lead.post(&format!("{path}/approve"), &json!({"step": "notice", "hash": asked["hash"]}))?
        .with(200)?;
    let ended = wait::until("the notice", LIMIT, || {
        let run = api.get(&path)?;
        let is_over =
            ["done", "failed", "unknown"].iter().any(|word| notice(&run)["status"] == *word);
        Ok(is_over.then_some(run))
    })?;
    Ok((notice(&ended), ended))
}

#[test]
fn a_notice_goes_to_the_address_that_the_register_has_and_fails_aloud_where_it_has_none()
-> Result<()> {
    let port = free_port()?;
    let more = format!(
        "[respond]\nplaybooks = [\"{}\"]\n[respond.mail]\nfrom = \"custos@bank.example\"\n\
         smtp = {{ host = \"127.0.0.1\", port = {port}, tls = \"off\" }}\n[respond.mail.groups]\nsoc = [\"soc@bank.example\"]\n\
         branch = [\"desk@bank.example\"]\n",
        root().join("rules/playbooks").display(),
    );
    let mut register = Register::start(&more)?;
    let mails = register.folder.path().join("mails");
    let Some(_running) = clients::aiosmtpd(port, &mails)? else { return register.node.stop() };
    let mut lead = Browser::at(register.http);
    lead.set_up(&register.node.setup_token()?, "lin", PASSWORD)?.with(200)?;
    let api = register.settle()?;
    let (_, incident) =
        api.ask("POST", "/incidents", Some(&json!({"title": "a list was copied"})))?;
    let incident = incident["id"].as_str().context("no incident")?.to_owned();

    let (notice, run) = notify(&api, &lead, &incident, "F-42")?;
    ensure!(notice["status"] == "done", "{notice}");
    ensure!(PLANTED.iter().all(|planted| !run.to_string().contains(planted)), "{run}");
    let mut all = Vec::new();
    for entry in fs::read_dir(mails.join("new"))? {
        all.push(fs::read_to_string(entry?.path())?);
    }
    ensure!(all.len() == 1 && all[0].contains("X-RcptTo: f42@customers.example"), "{all:?}");
    ensure!(!all[0].contains("bank.example>") || all[0].contains("custos@bank.example"), "{all:?}");

    for (customer, part) in [("F-4200", "no customer 'F-4200'"), ("Z-9", "erased")] {
        if customer == "Z-9" {
            erase(&api, &lead, customer)?;
        }
        let (notice, run) = notify(&api, &lead, &incident, customer)?;
        let detail = notice["detail"].as_str().unwrap_or_default();
        ensure!(notice["status"] == "failed" && detail.contains(part), "{notice}");
        ensure!(run["status"] == "needs_person", "{run}");
    }
    ensure!(fs::read_dir(mails.join("new"))?.count() == 1, "somebody else was written to");
    let shown = register.node.shown();
    ensure!(PLANTED.iter().all(|planted| !shown.contains(planted)), "{shown}");
    register.node.stop()?;
    logs_hold_nothing(&register)?;
    ensure!(files_hold_nothing(register.node.data())? > 8, "no files");
    Ok(())
}
