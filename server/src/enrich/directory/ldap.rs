//! Asks a directory, page by page, for what a register is made of.

use super::{
    Directory,
    rows::Rows,
    trouble::{Step, told},
};
use crate::respond::config::secret;
use anyhow::{Context as _, anyhow, bail, ensure};
use custos_event::Private;
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchEntry, adapters::PagedResults,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{panic::AssertUnwindSafe, path::Path, pin::pin, sync::Arc, time::Duration};

/// For finding the server, connecting and TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// For each entry, and for the first of each page, which the server may have to look for.
const ANSWER: Duration = Duration::from_secs(30);
/// For all of a pull: 200,000 entries in a second a page are 400 s.
const WHOLE: Duration = Duration::from_mins(10);
/// Active Directory gives no more than 1,000 at once.
const PAGE: i32 = 500;

/// All that the directory has for this register.
pub(super) async fn pull(directory: &Directory) -> anyhow::Result<Rows> {
    // The library panics on answers that are no LDAP.
    let asked = AssertUnwindSafe(ask(directory)).catch_unwind();
    match tokio::time::timeout(WHOLE, asked).await {
        Ok(Ok(pulled)) => pulled,
        Ok(Err(_)) => bail!("answers what is no LDAP; is url right?"),
        Err(_) => {
            bail!("was not done after {} min; narrow filter or base", WHOLE.as_secs() / 60)
        }
    }
}

async fn ask(directory: &Directory) -> anyhow::Result<Rows> {
    let password = directory.server.account.as_ref().map(|(_, file)| secret(file)).transpose()?;
    let (url, settings) = (&directory.server.url, settings(directory)?);
    let (connection, ldap) = LdapConnAsync::with_settings(settings, url)
        .await
        .map_err(|error| told(directory, Step::Connect, &error))?;
    let searched = pin!(search(ldap, directory, password));
    match select(searched, pin!(connection.drive())).await {
        Either::Left((searched, _)) => searched,
        // What came before the connection ended may be all.
        Either::Right((ended, searched)) => match (searched.await, ended) {
            (Err(_), Err(ended)) => Err(told(directory, Step::Search, &ended)),
            (searched, _) => searched,
        },
    }
}

async fn search(
    mut ldap: Ldap,
    directory: &Directory,
    password: Option<Private<String>>,
) -> anyhow::Result<Rows> {
    if let (Some(user), Some(password)) = (directory.user(), password) {
        let bound = ldap.with_timeout(ANSWER).simple_bind(user, password.reveal()).await;
        bound
            .and_then(LdapResult::success)
            .map_err(|error| told(directory, Step::SignIn, &error))?;
    }
    let failed = |error| told(directory, Step::Search, &error);
    let attributes: Vec<_> = directory.columns.iter().map(|(_, name)| name.as_str()).collect();
    let (base, filter) = (&directory.base, &directory.filter);
    let mut found = ldap
        .with_timeout(ANSWER)
        .streaming_search_with(PagedResults::new(PAGE), base, Scope::Subtree, filter, attributes)
        .await
        .map_err(failed)?;
    let mut rows = Rows::new(directory);
    while let Some(entry) = found.next().await.map_err(failed)? {
        // Another server may know more; it has a register of its own.
        if !entry.is_ref() && !entry.is_intermediate() {
            rows.add(&SearchEntry::construct(entry))?;
        }
    }
    found.finish().await.success().map_err(failed)?;
    // Polite; nothing follows from it.
    drop(ldap.with_timeout(ANSWER).unbind().await);
    Ok(rows)
}

fn settings(directory: &Directory) -> anyhow::Result<LdapConnSettings> {
    let settings = LdapConnSettings::new().set_conn_timeout(CONNECT);
    if !directory.encrypted() {
        return Ok(settings);
    }
    let roots = match &directory.server.ca {
        Some(file) => roots(file).with_context(|| format!("ca: {}", file.display()))?,
        None => system_roots()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(settings.set_starttls(directory.server.starttls).set_config(Arc::new(config)))
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let unread = |error| anyhow!("cannot be read as PEM: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unread)? {
        roots.add(certificate.map_err(unread)?)?;
    }
    ensure!(!roots.is_empty(), "holds no certificate");
    Ok(roots)
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(
        added > 0,
        "this machine has no trusted certificates; set ca, or install ca-certificates"
    );
    Ok(roots)
}
