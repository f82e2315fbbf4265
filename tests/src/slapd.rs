//! A real directory, as tests/run.sh unpacks Debian's slapd: of a bank, over TLS and without, filled with what a test has.

use crate::{
    certificates::Authority,
    process::{Running, free_port},
    root, wait,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);

/// The password of `cn=custos` and of `cn=admin`.
pub const PASSWORD: &str = "a secret of this test";

/// Below `dc=bank,dc=example`: who signs in, who may do all, and where people are.
const TREE: &str = "dn: dc=bank,dc=example\nobjectClass: domain\ndc: bank\n
dn: ou=services,dc=bank,dc=example\nobjectClass: organizationalUnit\nou: services\n
dn: cn=custos,ou=services,dc=bank,dc=example\nobjectClass: organizationalRole\n\
objectClass: simpleSecurityObject\ncn: custos\nuserPassword: a secret of this test\n
dn: cn=meagre,ou=services,dc=bank,dc=example\nobjectClass: organizationalRole\n\
objectClass: simpleSecurityObject\ncn: meagre\nuserPassword: a secret of this test\n
dn: ou=people,dc=bank,dc=example\nobjectClass: organizationalUnit\nou: people\n
";

/// `slapd` on two ports of its own. It ends with this value.
#[derive(Debug)]
pub struct Slapd {
    folder: PathBuf,
    tls: u16,
    plain: u16,
    running: Option<Running>,
}

impl Slapd {
    /// `authority` has signed `directory.pem`; `people` is LDIF below `ou=people,dc=bank,dc=example`.
    pub fn start(folder: &Path, authority: &Authority, people: &str) -> Result<Self> {
        let slapd = Self {
            folder: folder.to_owned(),
            tls: free_port()?,
            plain: free_port()?,
            running: None,
        };
        fs::create_dir(folder.join("slapd"))?;
        fs::write(slapd.config(), config(folder, authority))?;
        slapd.run(
            "usr/sbin/slapadd",
            &["-q", "-f", &slapd.config()],
            &(TREE.to_owned() + people),
        )?;
        let mut slapd = slapd;
        slapd.restart()?;
        Ok(slapd)
    }

    /// Starts it, again, with what it held.
    pub fn restart(&mut self) -> Result<()> {
        let plain = format!("ldap://127.0.0.1:{}", self.plain);
        let mut command = program("usr/sbin/slapd")?;
        // -d: in the foreground, a child of this test.
        command.args(["-d", "0", "-f", &self.config(), "-h", &format!("{} {plain}", self.url())]);
        let running = Running::start("slapd", command.stdout(Stdio::null()))?;
        for port in [self.tls, self.plain] {
            let open = || Ok(TcpStream::connect(("127.0.0.1", port)).ok());
            wait::until("slapd's port", LIMIT, open).with_context(|| running.shown())?;
        }
        self.running = Some(running);
        Ok(())
    }

    pub fn stop(&mut self) -> Result<()> {
        let mut running = self.running.take().context("slapd does not run")?;
        running.terminate(LIMIT)?;
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls)
    }

    /// Where TLS is asked for by `StartTLS`, and nobody may sign in without.
    pub fn plain(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.plain)
    }

    /// Changes entries, as LDIF says it.
    pub fn change(&self, ldif: &str) -> Result<()> {
        let admin = ["-x", "-D", "cn=admin,dc=bank,dc=example", "-w", PASSWORD, "-H", &self.url()];
        self.run("usr/bin/ldapmodify", &admin, ldif)
    }

    fn config(&self) -> String {
        self.folder.join("slapd.conf").display().to_string()
    }

    fn run(&self, name: &str, words: &[&str], input: &str) -> Result<()> {
        let mut command = program(name)?;
        command.args(words).env("LDAPTLS_CACERT", self.folder.join("ca.pem"));
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

fn unpacked() -> PathBuf {
    root().join(".cache/slapd")
}

fn program(name: &str) -> Result<Command> {
    let libraries = fs::read_dir(unpacked().join("usr/lib"))
        .context(".cache/slapd is missing; `bash tests/run.sh` unpacks it")?
        .flatten()
        .find(|folder| folder.file_name().to_string_lossy().ends_with("-linux-gnu"))
        .context("slapd's libraries are missing")?;
    let mut command = Command::new(unpacked().join(name));
    command.env("LD_LIBRARY_PATH", libraries.path()).stdout(Stdio::null());
    Ok(command)
}

/// `cn=custos` may read all, page by page, and `cn=meagre` five entries; without TLS nobody signs in, and who has not sees nothing.
fn config(folder: &Path, authority: &Authority) -> String {
    let schema = |name: &str| {
        format!("include {}\n", unpacked().join(format!("etc/ldap/schema/{name}.schema")).display())
    };
    let schemas: String = ["core", "cosine", "inetorgperson", "nis", "msuser"].map(schema).concat();
    format!(
        "{schemas}
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'accountOfWindows' SUP top AUXILIARY
  MAY ( sAMAccountName $ department $ objectSid $ objectGUID $ displayName $ mail ) )
modulepath {modules}
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
security simple_bind=128
database mdb
suffix dc=bank,dc=example
rootdn cn=admin,dc=bank,dc=example
rootpw \"{PASSWORD}\"
directory {folder}/slapd
limits dn.exact=\"cn=custos,ou=services,dc=bank,dc=example\" size.prtotal=unlimited
limits dn.exact=\"cn=meagre,ou=services,dc=bank,dc=example\" size=5 size.prtotal=5
access to attrs=userPassword by anonymous auth
access to * by users read
",
        modules = unpacked().join("usr/lib/ldap").display(),
        folder = folder.display(),
        ca = authority.file("ca.pem").display(),
        certificate = authority.file("directory.pem").display(),
        key = authority.file("directory.key").display(),
    )
}
