//! `contacts` of a `[[crm]]` section: whom the register of customers is made of, and what has to hold for it elsewhere in
//! the file: that their names and addresses are sealed, and that nothing lets go of them by the way.

use super::{Protect, crm::Crm};
use crate::upkeep::{config::seconds, policy::Retention};
use anyhow::{Context as _, bail};
use custos_event::LogId;
use custos_ingest::{
    crm::{ContactFields, ContactsConfig, contacts_name},
    decode::SourceType,
};
use serde::Deserialize;
use std::time::Duration;

/// A notice is written hours after a breach is known; each round costs a query.
const EVERY: &str = "1h";
const EVERY_SECS_MAX: i64 = 7 * 86_400;
/// What is sealed of every contact.
const SEALED: [&str; 3] = ["customer.name", "customer.email", "customer.phone"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContacts {
    every: Option<String>,
    object: Option<String>,
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

impl RawContacts {
    pub(super) fn check(self, object: &str, own: ContactFields) -> anyhow::Result<ContactsConfig> {
        let every = self.every.as_deref().unwrap_or(EVERY);
        let secs = seconds(every).context("every")?.unwrap_or(i64::MAX);
        if !(1..=EVERY_SECS_MAX).contains(&secs) {
            bail!("every = \"{every}\"; 1s to 7d are possible");
        }
        let list = |text: Option<String>, own| text.map_or(own, |text| vec![text]);
        let config = ContactsConfig {
            every: Duration::from_secs(u64::try_from(secs).unwrap_or_default()),
            object: self.object.unwrap_or_else(|| object.into()),
            fields: ContactFields {
                id: self.id.unwrap_or(own.id),
                name: list(self.name, own.name),
                email: list(self.email, own.email),
                phone: list(self.phone, own.phone),
            },
        };
        let ContactFields { id, name, email, phone } = &config.fields;
        let alone = [&config.object, id];
        for word in alone.into_iter().chain([name, email, phone].into_iter().flatten()) {
            super::crm::check_words("contacts", std::slice::from_ref(word), 1)?;
        }
        Ok(config)
    }
}

/// The sources of contacts: of those nobody hears for days, and nothing is wrong.
pub(super) fn sources(all: &[Crm]) -> impl Iterator<Item = String> {
    let with = all.iter().filter(|one| one.contacts.is_some());
    with.map(|one| format!("crm:{}", contacts_name(&one.name)))
}

/// What the sections say to each other, where one of them has contacts.
pub(super) fn check_all(
    all: &[Crm],
    protect: &Protect,
    retention: Option<&Retention>,
) -> anyhow::Result<()> {
    for one in all.iter().filter(|one| one.contacts.is_some()) {
        let place = || format!("[[crm]] '{}': contacts", one.name);
        let source_name = contacts_name(&one.name);
        if all.iter().any(|other| other.name == source_name) {
            bail!("{}: '{source_name}' is another section's name; rename that one", place());
        }
        check_sealed(protect).with_context(place)?;
        check_kept(&format!("crm:{source_name}"), retention).with_context(place)?;
    }
    Ok(())
}

/// Nobody's address enters the log in clear.
fn check_sealed(protect: &Protect) -> anyhow::Result<()> {
    let mine = protect.personal.iter().flatten().find(|one| one.source_type == SourceType::Crm);
    let Some(mine) = mine else {
        bail!("they would stand in the log in clear; drop personal = false of [protect]");
    };
    if mine.subject.first().is_none_or(|first| first != "customer.id") {
        bail!("[[protect.fields]] of 'crm': subject has to begin with \"customer.id\"");
    }
    match SEALED.iter().find(|path| !mine.fields.iter().any(|field| field == *path)) {
        Some(path) => bail!("[[protect.fields]] of 'crm': fields has to name \"{path}\""),
        None => Ok(()),
    }
}

/// What goes by age is forgotten though the customer is still one; who wants that says so for these alone.
fn check_kept(source: &str, retention: Option<&Retention>) -> anyhow::Result<()> {
    let Some(retention) = retention else { return Ok(()) };
    let limits = &retention.limits;
    let is_kept = limits.keep.is_none() && limits.max.is_none();
    if is_kept || retention.classes.log_of(source) != LogId::TELEMETRY {
        return Ok(());
    }
    bail!(
        "retention would let go of customers by the age of their records; keep them in a class of their own: \
         [[retention.class]] with name = \"customers\", a log that no other class has, as in log = \"telemetry-9\", \
         sources = [\"{source}\"] and keep = \"3650d\""
    )
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use std::path::Path;

    const ZOHO: &str = "[[crm]]\nname = \"zoho\"\nkind = \"zoho\"\naccounts = \"https://accounts.zoho.eu\"\n\
                        client_id = \"1000.A\"\nclient_secret_file = \"z.secret\"\nrefresh_token_file = \"z.token\"\n";
    const FXIAOKE: &str = "[[crm]]\nname = \"fx\"\nkind = \"fxiaoke\"\napp_id = \"FSAID_1\"\n\
                           app_secret_file = \"f.secret\"\npermanent_code_file = \"f.code\"\nobjects = [\"AccountObj\"]\n";

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(text, Path::new("/etc/custos"))
    }

    #[test]
    fn each_system_has_its_own_object_and_fields_and_a_section_may_name_others() {
        let of = |text: &str| parse(text).unwrap().crm.remove(0).contacts;
        assert_eq!(of(ZOHO), None);
        let zoho = of(&format!("{ZOHO}contacts = {{}}\n")).unwrap();
        assert_eq!((zoho.every.as_secs(), zoho.object.as_str()), (3_600, "Contacts"));
        assert_eq!((zoho.fields.id.as_str(), zoho.fields.phone.len()), ("id", 2));
        let own = "contacts = { every = \"15m\", object = \"Person__c\", id = \"No__c\", phone = \"tel__c\" }\n";
        let fxiaoke = of(&format!("{FXIAOKE}{own}")).unwrap();
        assert_eq!((fxiaoke.every.as_secs(), fxiaoke.object.as_str()), (900, "Person__c"));
        let fields = &fxiaoke.fields;
        assert_eq!((fields.id.as_str(), fields.name[0].as_str()), ("No__c", "name"));
        assert_eq!(fields.phone, ["tel__c"]);
    }

    #[test]
    fn what_would_lose_or_betray_a_customer_is_refused_with_its_mend() {
        let with = |more: &str| format!("{ZOHO}contacts = {{}}\n{more}");
        let own = "[[protect.fields]]\nsource = \"crm\"\n";
        let class = "[retention]\nkeep = \"90d\"\n[[retention.class]]\nname = \"c\"\nlog = \"telemetry-9\"\nkeep = \"3650d\"\n";
        for (text, parts) in [
            (with("[protect]\npersonal = false\n"), &["'zoho': contacts", "in clear"][..]),
            (
                with(&format!("{own}fields = [\"customer.name\"]\n")),
                &["begin with \"customer.id\""],
            ),
            (
                with(&format!(
                    "{own}subject = [\"customer.id\"]\nfields = [\"customer.name\", \"customer.email\"]\n"
                )),
                &["has to name \"customer.phone\""],
            ),
            (with("[retention]\nkeep = \"90d\"\n"), &["[[retention.class]]", "crm:zoho-contacts"]),
            (with(&format!("{class}sources = [\"crm:zoho\"]\n")), &["class of their own"]),
            (
                with(&ZOHO.replace("\"zoho\"\nkind", "\"zoho-contacts\"\nkind")),
                &["another section's name"],
            ),
            (format!("{ZOHO}contacts = {{ every = \"30d\" }}\n"), &["every", "7d"]),
            (format!("{ZOHO}contacts = {{ id = \"a, b\" }}\n"), &["'a, b' is no API name"]),
            (format!("{ZOHO}contacts = {{ module = \"a\" }}\n"), &["unknown field `module`"]),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
        for kept in ["crm:zoho-contacts", "crm:*"] {
            parse(&with(&format!("{class}sources = [\"{kept}\"]\n"))).unwrap();
        }
        // Without contacts nothing of this holds.
        parse(&format!("{ZOHO}[retention]\nkeep = \"90d\"\n")).unwrap();
    }
}
