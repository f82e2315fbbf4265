//! What keeps a pull from its rows, in words that name the mend.

use super::Directory;
use anyhow::anyhow;
use ldap3::{LdapError, LdapResult};
use rustls::{CertificateError, Error as TlsError};
use std::io::{Error as IoError, ErrorKind};

/// How far a pull came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    SignIn,
    Search,
}

/// The error of a step as it is told.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are the library's own words")]
pub(super) fn told(directory: &Directory, step: Step, error: &LdapError) -> anyhow::Error {
    match error {
        LdapError::LdapResult { result } => refused(directory, step, result),
        LdapError::Io { source } => broken(directory, step, source),
        LdapError::Timeout { .. } if step == Step::Connect => anyhow!(
            "cannot be reached: no answer in time; is url right, and does a firewall stand between?"
        ),
        LdapError::Timeout { .. } => anyhow!("did not answer in time; it is asked again"),
        LdapError::ResultRecv { .. } | LdapError::OpSend { .. } | LdapError::EndOfStream => {
            closed(directory)
        }
        other => anyhow!("{other}"),
    }
}

fn closed(directory: &Directory) -> anyhow::Error {
    if directory.encrypted() {
        anyhow!("closed the connection before it had answered; what does its own log say?")
    } else {
        anyhow!(
            "closed the connection before it had answered; if the port speaks TLS, write ldaps://"
        )
    }
}

/// RFC 4511, appendix A.
fn refused(directory: &Directory, step: Step, result: &LdapResult) -> anyhow::Error {
    let user = directory.who();
    let (base, filter) = (&directory.base, &directory.filter);
    let what = match (result.rc, step) {
        (8 | 13, _) => "wants TLS; write ldaps://, or starttls = true".into(),
        (10, _) => {
            format!("leaves '{base}' to {}; name that server in url", result.refs.join(", "))
        }
        (3 | 4 | 11, _) => format!(
            "does not give {user} all that '{filter}' finds; raise the limits that it has for them, or narrow filter or \
             base"
        ),
        (49, _) => format!("refuses {user}; are user, and the password in password_file, right?"),
        (51 | 52, _) => "is busy or not ready; it is asked again".into(),
        (_, Step::Connect) => "begins no TLS; try ldaps://".into(),
        (34, Step::SignIn) => {
            format!("takes {user} for no name, as cn=custos,dc=bank,dc=example is")
        }
        (_, Step::SignIn) => format!("does not let {user} sign in; may they, by a password?"),
        (32, Step::Search) => format!("has no base '{base}', or does not show it to {user}"),
        (34, Step::Search) => format!("takes base '{base}' for no name, as dc=bank,dc=example is"),
        (1 | 50, Step::Search) => {
            format!("does not let {user} search below '{base}'; set a user who may")
        }
        (_, Step::Search) => format!("does not search below '{base}' for '{filter}'"),
    };
    let said = result.text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let said = if said.is_empty() { String::new() } else { format!(", '{said}'") };
    anyhow!("{what} (LDAP result {}{said})", result.rc)
}

fn broken(directory: &Directory, step: Step, error: &IoError) -> anyhow::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let encrypted = directory.encrypted();
    match tls {
        Some(TlsError::InvalidCertificate(why)) => certificate(why),
        Some(other) => anyhow!("TLS fails: {other}; does the port speak TLS, and 1.2 or 1.3?"),
        None if step != Step::Connect => anyhow!("the connection broke: {error}"),
        None if encrypted && error.kind() == ErrorKind::UnexpectedEof => {
            anyhow!("closed the connection while TLS began; does the port speak TLS?")
        }
        None => anyhow!("cannot be reached: {error}; is url right, and is it running?"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are rustls' own words")]
fn certificate(why: &CertificateError) -> anyhow::Error {
    match why {
        // The second: by another key of one with the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => anyhow!(
            "its certificate is signed by somebody unknown; set ca to the PEM file of who signed it"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            anyhow!("the time of its certificate is over; have it renewed")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            anyhow!("its certificate is for another name than url has; write a name that it is for")
        }
        other => anyhow!("its certificate is not accepted: {other:?}"),
    }
}
