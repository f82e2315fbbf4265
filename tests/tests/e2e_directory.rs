//! A register that is pulled from a real directory by LDAP: it comes while Custos runs, changes with the directory, and
//! what was known outlives a directory that is gone. What is wrong is told with its mend.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    certificates::Authority,
    custos::Node,
    process::free_port,
    slapd::{PASSWORD, Slapd},
    snippets::Places,
    wait,
};
use std::{cell::Cell, fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

/// More than a page, and more than slapd gives at once.
const CLERKS: usize = 1_100;

fn people() -> String {
    let person = |uid: &str, more: &str, department: &str| {
        format!(
            "dn: uid={uid},ou=people,dc=bank,dc=example\nobjectClass: inetOrgPerson\nuid: {uid}\n\
             {more}\nsn: x\nmail: {uid}@bank.example\ndepartmentNumber: {department}\n\n"
        )
    };
    // 李雷, in base64 as LDIF has what is not ASCII.
    let mut ldif = person("li", "cn:: 5p2O6Zu3", "Loans");
    ldif += &person("mia", "uid: adm.mia\ncn: Berg, Mia", "Treasury");
    for nth in 0..CLERKS {
        ldif += &person(&format!("clerk{nth}"), "cn: Clerk", "Branch");
    }
    ldif
}

/// A certificate authority, a directory that it signed for, and the folder of both and of Custos.
struct House {
    folder: tempfile::TempDir,
    slapd: Slapd,
}

impl House {
    fn build(people: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::make(folder.path(), &["directory"])?;
        fs::write(folder.path().join("ldap.secret"), format!("{PASSWORD}\n"))?;
        let slapd = Slapd::start(folder.path(), &authority, people)?;
        Ok(Self { folder, slapd })
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The example of the page, with this directory in place of theirs.
    fn example(&self, heading: &str) -> Result<String> {
        Places::default()
            .with("ldaps://dc1.bank.example", self.slapd.url())
            .with("\"custos@bank.example\"", "\"cn=custos,ou=services,dc=bank,dc=example\"")
            .with("every = \"1h\"", "every = \"1s\"")
            .snippet("../enrichment.md", heading)
    }
}

/// A server, and events of one machine after the other.
struct Asked<'n> {
    node: &'n Node,
    api: Api,
    last: &'n Cell<u8>,
}

impl Asked<'_> {
    /// What a new event of `user` gets as their department; its address finds it again.
    fn department(&self, user: &str) -> Result<(Option<String>, String)> {
        let nth = self.last.get() + 1;
        self.last.set(nth);
        let ip = format!("198.51.100.{nth}");
        let line = format!(
            r#"{{"time":"2026-11-24T08:00:00Z","system":"crm","user":"{user}","ip":"{ip}","action":"login","module":"Auth","records":0,"result":"ok"}}"#
        );
        self.api.ship("crm", &(line + "\n"))?;
        Ok((self.department_of(&ip)?, ip))
    }

    fn department_of(&self, ip: &str) -> Result<Option<String>> {
        let event = self.api.found(&format!("source.ip:{ip}"), 1)?.remove(0).to_string();
        let known = ["Treasury", "Board", "Audit", "Loans", "Branch"];
        let found = known.into_iter().find(|name| event.contains(&format!("\"{name}\"")));
        Ok(found.map(str::to_owned))
    }

    /// Waits until events of `user` have `department`, and says where one is.
    fn comes(&self, user: &str, department: &str) -> Result<String> {
        wait::until(&format!("{user} in {department}"), LIMIT, || {
            let (found, ip) = self.department(user)?;
            Ok((found.as_deref() == Some(department)).then_some(ip))
        })
        .with_context(|| self.node.shown())
    }

    fn tells(&self, words: &[&str]) -> Result<()> {
        tells(self.node, words)
    }
}

fn tells(node: &Node, words: &[&str]) -> Result<()> {
    wait::until(&format!("{words:?}"), LIMIT, || {
        let shown = node.shown();
        Ok(shown.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(()))
    })
    .with_context(|| node.shown())?;
    ensure!(!node.shown().contains(PASSWORD), "the password is told");
    Ok(())
}

fn moves(slapd: &Slapd, user: &str, department: &str) -> Result<()> {
    slapd.change(&format!(
        "dn: uid={user},ou=people,dc=bank,dc=example\nchangetype: modify\n\
         replace: departmentNumber\ndepartmentNumber: {department}\n"
    ))
}

fn metric(node: &Node, name: &str) -> Result<f64> {
    node.metric(&format!("custos_directory_{name}{{directory=\"people\"}}"))
}

/// The metrics tell of every row, and of a pull of our days.
fn has_all(node: &Node) -> Result<()> {
    let shown = node.get("/metrics")?;
    let rows = format!("custos_directory_rows{{directory=\"people\"}} {}\n", CLERKS + 2);
    ensure!(shown.contains(&rows) && metric(node, "pulled_seconds")? > 1.7e9, "{shown}");
    Ok(())
}

#[test]
fn people_come_from_a_directory_move_in_it_and_stay_known_when_it_is_gone() -> Result<()> {
    let mut house = House::build(&people())?;
    let config = house.example("From a directory")?;
    let (http, last) = (free_port()?, Cell::new(0));
    fs::write(house.file("ldap.secret"), "another password\n")?;
    let mut node = Node::start(house.folder.path(), http, &config)?;

    // A wrong password: told once, and Custos runs without.
    let asked = Asked { node: &node, api: Api::new(&node, http)?, last: &last };
    asked.tells(&["nothing was pulled yet", "people"])?;
    asked.tells(&[
        "'cn=custos,ou=services,dc=bank,dc=example'",
        "password_file",
        "LDAP result 49",
    ])?;
    let (nothing, before) = asked.department("mia")?;
    ensure!(nothing.is_none(), "{nothing:?}");
    wait::until("three pulls", LIMIT, || {
        Ok((metric(&node, "pull_failed_total")? >= 3.0).then_some(()))
    })?;
    ensure!(node.shown().matches("gave no register").count() == 1, "{}", node.shown());

    // The right one: all of them come, page by page.
    fs::write(house.file("ldap.secret"), PASSWORD)?;
    let first = asked.comes("mia", "Treasury")?;
    ensure!(asked.department("adm.mia")?.0.as_deref() == Some("Treasury"));
    ensure!(asked.department(&format!("clerk{}", CLERKS - 1))?.0.as_deref() == Some("Branch"));
    asked.department("BANK\\\\li")?;
    asked.api.found("user.full_name:李雷 user.email:\"li@bank.example\"", 1)?;
    has_all(&node)?;

    // She moves: new events say so, old ones what was known then.
    moves(&house.slapd, "mia", "Board")?;
    asked.comes("mia", "Board")?;
    ensure!(asked.department_of(&first)?.as_deref() == Some("Treasury"));
    ensure!(asked.department_of(&before)?.is_none());

    // A base that is gone takes nobody away.
    rename(&house.slapd, "people", "gone")?;
    asked.tells(&["'ou=people,dc=bank,dc=example'", "LDAP result 32", "what was known stays"])?;
    ensure!(asked.department("mia")?.0.as_deref() == Some("Board"));
    rename(&house.slapd, "gone", "people")?;

    // The directory is gone: what was known stays, over a restart too.
    house.slapd.stop()?;
    asked.tells(&["cannot be reached", &house.slapd.url()])?;
    ensure!(asked.department("mia")?.0.as_deref() == Some("Board"));
    node.stop()?;
    node.restart()?;
    let asked = Asked { node: &node, api: Api::new(&node, http)?, last: &last };
    ensure!(asked.department("mia")?.0.as_deref() == Some("Board"));
    asked.tells(&["cannot be reached"])?;
    has_all(&node)?;

    // It comes again.
    house.slapd.restart()?;
    moves(&house.slapd, "mia", "Audit")?;
    asked.comes("mia", "Audit")?;
    node.stop()
}

fn rename(slapd: &Slapd, from: &str, to: &str) -> Result<()> {
    slapd.change(&format!(
        "dn: ou={from},dc=bank,dc=example\nchangetype: modrdn\nnewrdn: ou={to}\ndeleteoldrdn: 1\n"
    ))
}

const WINDOWS: &str = "dn: cn=Lin,ou=people,dc=bank,dc=example\nobjectClass: user\n\
    objectClass: accountOfWindows\ncn: Lin\nsn: x\ninstanceType: 4\nnTSecurityDescriptor: x\n\
    objectCategory: cn=person\nsAMAccountName: lin\ndisplayName: Lin Berg\ndepartment: Audit\n\
    objectSid:: AQIAAAAAAAUVAAAA9AEAAA==\n";

const LOGON: &str = r#"{"Event":{"System":{"EventID":4624,"Channel":"Security","Computer":"dc1","TimeCreated":{"SystemTime":"2026-11-24T08:00:00Z"}},"EventData":{"TargetUserName":"renamed","TargetUserSid":"S-1-5-21-500"}}}"#;

/// The page's example of Active Directory, on its schema: a SID is what Windows' events say it is.
#[test]
fn an_account_of_windows_is_found_by_its_sid() -> Result<()> {
    let house = House::build(WINDOWS)?;
    let http = free_port()?;
    let config = house.example("From Active Directory")?;
    let mut node = Node::start(house.folder.path(), http, &config)?;
    let api = Api::new(&node, http)?;
    tells(&node, &["registers were read anew"])?;
    api.ship("windows-dc", &format!("{LOGON}\n"))?;
    let lin = api.found("custos.user.department:Audit", 1)?[0].to_string();
    ensure!(lin.contains("Lin Berg") && lin.contains("\"lin\""), "{lin}");
    node.stop()
}

/// Each with a server of its own, which starts all the same.
#[test]
fn what_keeps_a_directory_from_being_read_is_told_with_its_mend() -> Result<()> {
    let house = House::build(&people())?;
    let (url, plain) = (house.slapd.url(), house.slapd.plain());
    let other = house.file("other");
    fs::create_dir(&other)?;
    Authority::make(&other, &[])?;
    let example = house.example("From a directory")?;
    let nowhere = format!("ldaps://127.0.0.1:{}", free_port()?);
    let with = |from: &str, to: &str| -> Result<String> {
        ensure!(example.contains(from), "the example has no {from}");
        Ok(example.replace(from, to))
    };
    let meagre = with("cn=custos", "cn=meagre")?;
    let troubles = [
        (with("\"ca.pem\"", "\"other/ca.pem\"")?, &["signed by somebody unknown", "set ca"][..]),
        (with(&url, &url.replace("127.0.0.1", "localhost"))?, &["another name than url has"]),
        (with("ldap.secret", "no.secret")?, &["cannot read the secret", "no.secret"]),
        (with("ou=people", "ou=nobody")?, &["'ou=nobody,dc=bank,dc=example'", "LDAP result 32"]),
        (with("(objectClass=person)", "(uid=nobody)")?, &["no rows", "(uid=nobody)"]),
        (with("uid\"", "noSuchAttribute\"")?.replace("\"mail\"", "\"none\""), &["no rows", "1102"]),
        (meagre, &["raise the limits", "cn=meagre", "LDAP result 4"]),
        (with(&url, &nowhere)?, &["cannot be reached", "refused"]),
        (with(&url, &plain.replace("ldap:", "ldaps:"))?, &["while TLS began", "speak TLS"]),
        (with("ca = \"ca.pem\"", "")?.replace(&url, &plain), &["wants TLS", "starttls"]),
        (with("ca = \"ca.pem\"", "")?.replace("ldaps:", "ldap:"), &["if the port speaks TLS"]),
    ];
    for (config, words) in troubles {
        let (folder, http) = (tempfile::tempdir()?, free_port()?);
        let mut node = start(&house, folder.path(), http, &config)?;
        tells(&node, words).with_context(|| format!("{words:?}\n{config}"))?;
        node.stop()?;
    }
    // What is right comes by `StartTLS`, too.
    let starttls = with(&url, &plain)?.replace("ca = ", "starttls = true\nca = ");
    let (folder, http) = (tempfile::tempdir()?, free_port()?);
    let mut node = start(&house, folder.path(), http, &starttls)?;
    tells(&node, &["registers were read anew"])?;
    node.stop()
}

/// A server in `folder`, with the files of the house.
fn start(house: &House, folder: &Path, http: u16, config: &str) -> Result<Node> {
    let there = |name: &str| format!("= \"{}\"", house.file(name).display());
    let config = ["ca.pem", "other/ca.pem", "ldap.secret"]
        .iter()
        .fold(config.to_owned(), |text, name| text.replace(&format!("= \"{name}\""), &there(name)));
    Node::start(folder, http, &config)
}
