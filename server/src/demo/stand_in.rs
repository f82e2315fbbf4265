//! Small stand-ins for the systems that playbooks act on: a firewall, an account service, a badge service. They
//! speak JSON over HTTP on loopback, ask for a token, honour `Idempotency-Key`, and write down what they did.

mod book;
mod web;

use super::place::Place;
use crate::{exit::Failure, hex::hex, tasks::Tasks};
use anyhow::Context as _;
use book::{Book, Entry};
use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// A stand-in's name and its tables: what can be put under what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    name: &'static str,
    tables: &'static [&'static str],
    accepts: fn(&str) -> bool,
}

const KINDS: [Kind; 3] = [
    Kind { name: "firewall", tables: &["blocks"], accepts: is_address },
    Kind { name: "accounts", tables: &["disabled", "signed-out"], accepts: is_name },
    Kind { name: "badges", tables: &["revoked"], accepts: is_name },
];

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// A login or a credential: 128 characters at most, none of them a space or a control.
fn is_name(text: &str) -> bool {
    let fits = (1..=128).contains(&text.chars().count());
    fits && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// All of them, each with its address taken.
pub(super) struct StandIns {
    services: Vec<Service>,
    token: String,
}

struct Service {
    kind: Kind,
    socket: TcpListener,
    address: SocketAddr,
    book: Book,
    log: fs::File,
}

impl StandIns {
    /// Takes a free loopback port for each, and reads what each did before.
    pub(super) fn bind(place: &Place) -> Result<Self, Failure> {
        let folder = place.stand_ins();
        let token = token(&folder.join("token"))
            .context("cannot make the token of the stand-ins")
            .map_err(Failure::input)?;
        let services = KINDS.into_iter().map(|kind| Service::bind(kind, &folder));
        let services = services.collect::<anyhow::Result<_>>().map_err(Failure::input)?;
        Ok(Self { services, token })
    }

    /// Each by its name, and where it answers.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.services.iter().map(|service| (service.kind.name, service.address))
    }

    pub(super) fn spawn(self, tasks: &mut Tasks) -> Result<(), Failure> {
        for service in self.services {
            let name = service.kind.name;
            let served = web::serve(service, &self.token, tasks.stop()).map_err(Failure::store)?;
            tasks.spawn(name, served);
        }
        Ok(())
    }
}

impl Service {
    fn bind(kind: Kind, folder: &Path) -> anyhow::Result<Self> {
        let name = kind.name;
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .with_context(|| format!("the stand-in '{name}' finds no free port"))?;
        let address = socket.local_addr()?;
        let file = folder.join(format!("{name}.jsonl"));
        let cannot = || format!("cannot read what the stand-in '{name}' did in {}", file.display());
        let book = Book::read(kind.tables, &file).with_context(cannot)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(&file);
        Ok(Self { kind, socket, address, book, log: log.with_context(cannot)? })
    }

    /// Written before it is answered: what was answered was done.
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.log.write_all(&line)
    }
}

/// The token that callers need, made at the first start; readable by the owner only.
fn token(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return Ok(read?.trim().to_owned()),
    }
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).context("the machine gives no random bytes")?;
    let text = hex(&secret);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(text)
}
