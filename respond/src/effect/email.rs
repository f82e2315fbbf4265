//! Mail: over SMTP with TLS, or as files in an outbox folder.

use super::{Order, chain, done, failed, unknown};
use custos_event::{
    Private,
    respond::{Answer, MailText},
};
use lettre::{
    Message, SmtpTransport, Transport as _,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// More is a mailing list, which has an address of its own.
const RECIPIENTS_MAX: usize = 50;

/// The sender of mails, as configured.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    /// Names that playbooks write to, and their addresses.
    pub groups: BTreeMap<String, Vec<String>>,
    pub transport: Transport,
}

#[derive(Clone, Debug)]
pub enum Transport {
    Smtp(Smtp),
    /// One `.eml` file a mail, for a mail system that collects them, or for trying out.
    Outbox(PathBuf),
}

#[derive(Clone, Debug)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub login: Option<(String, Private<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte (usually port 465).
    Wrapped,
    /// By STARTTLS, or not at all (usually port 587).
    Starttls,
    /// None: for a mail server on this machine's loopback.
    Off,
}

impl Mail {
    pub(super) fn perform(&self, mail: &MailText, order: Order<'_>) -> Answer {
        let message = match self.message(mail, order) {
            Ok(message) => message,
            Err(reason) => return failed(reason),
        };
        match &self.transport {
            Transport::Outbox(folder) => put(folder, &message, order),
            Transport::Smtp(smtp) => smtp.send(&message, mail.customer.is_some(), order.timeout),
        }
    }

    fn message(&self, mail: &MailText, order: Order<'_>) -> Result<Message, String> {
        if mail.subject.contains(char::is_control) {
            return Err("the subject holds a line break or another control character".into());
        }
        let sent =
            u64::try_from(order.at.0).map_or(UNIX_EPOCH, |n| UNIX_EPOCH + Duration::from_nanos(n));
        let id = format!("<{}@custos>", order.key.to_string().replace('/', "."));
        let mut builder = Message::builder()
            .from(mailbox(&self.from)?)
            .subject(mail.subject.clone())
            .date(sent)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN);
        for recipient in self.mailboxes(mail, order)? {
            builder = builder.to(recipient);
        }
        builder.body(mail.text.clone()).map_err(|error| chain(&error))
    }

    fn mailboxes(&self, mail: &MailText, order: Order<'_>) -> Result<Vec<Mailbox>, String> {
        let Some(customer) = &mail.customer else {
            return self.recipients(&mail.to)?.iter().map(|text| mailbox(text)).collect();
        };
        let Some(address) = order.customer else {
            return Err(format!("nobody has looked up where customer '{customer}' is reached"));
        };
        let wrong =
            || format!("what the customer system has of customer '{customer}' is no mail address");
        Ok(vec![mailbox(address.reveal()).map_err(|_| wrong())?])
    }

    fn recipients(&self, to: &[String]) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for name in to {
            if name.contains('@') {
                all.push(name.clone());
            } else {
                let group = self.groups.get(name).ok_or_else(|| {
                    format!("there is no group '{name}'; add it to [respond.mail.groups], or write an address")
                })?;
                all.extend(group.iter().cloned());
            }
        }
        if all.is_empty() || all.len() > RECIPIENTS_MAX {
            return Err(format!("{} recipients; 1 to {RECIPIENTS_MAX} are possible", all.len()));
        }
        Ok(all)
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    if text.contains(char::is_control) {
        return Err(format!(
            "'{}' holds a line break or another control character",
            text.escape_debug()
        ));
    }
    text.parse().map_err(|error| format!("'{text}' is no mail address: {error}"))
}

impl Smtp {
    /// Whether TLS can be set up for this host.
    fn transport(&self, timeout: Duration) -> Result<SmtpTransport, String> {
        let parameters = || TlsParameters::new(self.host.clone()).map_err(|error| chain(&error));
        let tls = match self.tls {
            SmtpTls::Wrapped => Tls::Wrapper(parameters()?),
            SmtpTls::Starttls => Tls::Required(parameters()?),
            SmtpTls::Off => Tls::None,
        };
        let mut builder = SmtpTransport::builder_dangerous(&self.host)
            .port(self.port)
            .tls(tls)
            .timeout(Some(timeout));
        if let Some((user, password)) = &self.login {
            builder =
                builder.credentials(Credentials::new(user.clone(), password.reveal().clone()));
        }
        Ok(builder.build())
    }

    /// Servers repeat the address in what they say: of a mail to a customer their codes are told alone.
    fn send(&self, message: &Message, to_customer: bool, timeout: Duration) -> Answer {
        let server = format!("{}:{}", self.host, self.port);
        let transport = match self.transport(timeout) {
            Ok(transport) => transport,
            Err(error) => return failed(format!("mail server {server}: {error}")),
        };
        // Asked first, so that what fails before the mail is on its way is known not to have happened.
        match transport.test_connection() {
            Ok(true) => {}
            Ok(false) => return failed(format!("mail server {server} does not answer")),
            Err(error) => return failed(format!("mail server {server}: {}", chain(&error))),
        }
        let said = |error: &Error| match error.status() {
            Some(code) if to_customer => format!("code {code}"),
            None if to_customer => "no word that may be told".into(),
            Some(_) | None => chain(error),
        };
        match transport.send(message) {
            Ok(response) if to_customer => done(json!({"code": u16::from(response.code())})),
            Ok(response) => {
                let said: Vec<_> = response.message().collect();
                done(json!({"code": u16::from(response.code()), "said": said.join(" ")}))
            }
            Err(error) if error.is_permanent() || error.is_transient() || error.is_client() => {
                failed(format!("mail server {server} refused it: {}", said(&error)))
            }
            Err(error) => unknown(format!("mail server {server}: {}", said(&error))),
        }
    }
}

/// Named by the intent: a mail that is put twice is there once.
fn put(folder: &Path, message: &Message, order: Order<'_>) -> Answer {
    let name = format!("{}.eml", order.key.to_string().replace('/', "-"));
    let path = folder.join(&name);
    match write(folder, &path, &message.formatted()) {
        Ok(()) => done(json!({"file": name})),
        Err(error) => failed(format!("cannot write {}: {error}", path.display())),
    }
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("part");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(folder)?.sync_all()
}
