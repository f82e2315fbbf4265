//! Everything but Windows: the source says itself what it is.

use super::EventSource;

type Names = &'static [&'static str];

const fn source(product: &'static str, services: Names, categories: Names) -> EventSource {
    EventSource { product, services, categories }
}

pub(super) const SURICATA: EventSource = source("suricata", &["suricata", "eve"], &["ids"]);
pub(super) const CLOUDTRAIL: EventSource = source("aws", &["cloudtrail"], &[]);
pub(super) const DOOR: EventSource = source("custos", &["door"], &["physical_access"]);
pub(super) const PAYMENT: EventSource = source("custos", &["payment"], &["payment"]);
pub(super) const CRM: EventSource = source("custos", &["crm"], &["crm"]);
pub(super) const BACKUP: EventSource = source("custos", &["backup"], &["backup"]);

/// Zeek's path, and Sigma's services and categories for it.
const ZEEK: &[(&str, EventSource)] = &[
    ("conn", source("zeek", &["conn"], &[])),
    ("dce_rpc", source("zeek", &["dce_rpc"], &[])),
    ("dns", source("zeek", &["dns"], &["dns"])),
    ("files", source("zeek", &["files"], &[])),
    ("ftp", source("zeek", &["ftp"], &[])),
    ("http", source("zeek", &["http"], &[])),
    ("kerberos", source("zeek", &["kerberos"], &[])),
    ("notice", source("zeek", &["notice"], &[])),
    ("ntlm", source("zeek", &["ntlm"], &[])),
    ("rdp", source("zeek", &["rdp"], &[])),
    ("smb_files", source("zeek", &["smb_files"], &[])),
    ("smb_mapping", source("zeek", &["smb_mapping"], &[])),
    ("smtp", source("zeek", &["smtp"], &[])),
    ("ssh", source("zeek", &["ssh"], &[])),
    ("ssl", source("zeek", &["ssl"], &[])),
    ("weird", source("zeek", &["weird"], &[])),
    ("x509", source("zeek", &["x509"], &[])),
];

pub(super) fn zeek(path: &str) -> EventSource {
    let known = ZEEK.binary_search_by(|(name, _)| name.cmp(&path)).ok();
    known.and_then(|index| ZEEK.get(index)).map_or(source("zeek", &[], &[]), |(_, source)| *source)
}

pub(super) fn all() -> impl Iterator<Item = EventSource> {
    ZEEK.iter().chain(DATASETS).map(|(_, source)| *source)
}

/// Whether events of this product are told apart here or as Windows'.
pub(super) fn is_known(product: &str) -> bool {
    product == "windows" || all().any(|source| source.product == product)
}

/// `event.dataset` of the decoders and of ECS shippers. A Linux line of `auth.log` is of service `auth`
/// and of the program's own.
const DATASETS: &[(&str, EventSource)] = &[
    ("apache.access", source("apache", &["apache"], &["webserver"])),
    ("apache.error", source("apache", &["apache"], &[])),
    ("auditd.log", source("linux", &["auditd"], &[])),
    ("aws.cloudtrail", CLOUDTRAIL),
    ("azure.activitylogs", source("azure", &["activitylogs"], &[])),
    ("azure.auditlogs", source("azure", &["auditlogs"], &[])),
    ("azure.riskdetection", source("azure", &["riskdetection"], &[])),
    ("azure.signinlogs", source("azure", &["signinlogs"], &[])),
    ("bitbucket.audit", source("bitbucket", &["audit"], &[])),
    ("cisco.asa", source("cisco", &["asa"], &["firewall"])),
    ("cisco.duo", source("cisco", &["duo"], &[])),
    ("custos.backup", BACKUP),
    ("custos.crm", CRM),
    ("custos.door", DOOR),
    ("custos.payment", PAYMENT),
    ("falco.alert", source("falco", &["alert"], &[])),
    ("gcp.audit", source("gcp", &["gcp.audit"], &[])),
    ("github.audit", source("github", &["audit"], &[])),
    ("google_workspace.admin", source("gcp", &["google_workspace.admin"], &[])),
    ("google_workspace.login", source("gcp", &["google_workspace.login"], &[])),
    ("gophish.event", source("gophish", &["event"], &[])),
    ("haproxy.log", source("haproxy", &["haproxy"], &[])),
    ("keycloak.admin", source("keycloak", &["admin"], &[])),
    ("keycloak.event", source("keycloak", &["event"], &[])),
    ("kubernetes.audit", source("kubernetes", &["audit"], &["application"])),
    ("linux.auditd", source("linux", &["auditd"], &[])),
    ("linux.auth", source("linux", &["auth", "syslog"], &[])),
    ("linux.chage", source("linux", &["auth", "syslog"], &[])),
    ("linux.chfn", source("linux", &["auth", "syslog"], &[])),
    ("linux.chpasswd", source("linux", &["auth", "syslog"], &[])),
    ("linux.chsh", source("linux", &["auth", "syslog"], &[])),
    ("linux.clamav", source("linux", &["clamav", "syslog"], &[])),
    ("linux.cron", source("linux", &["cron", "auth", "syslog"], &[])),
    ("linux.crond", source("linux", &["cron", "auth", "syslog"], &[])),
    ("linux.gpasswd", source("linux", &["auth", "syslog"], &[])),
    ("linux.groupadd", source("linux", &["auth", "syslog"], &[])),
    ("linux.groupdel", source("linux", &["auth", "syslog"], &[])),
    ("linux.groupmod", source("linux", &["auth", "syslog"], &[])),
    ("linux.login", source("linux", &["auth", "syslog"], &[])),
    ("linux.newgrp", source("linux", &["auth", "syslog"], &[])),
    ("linux.pam", source("linux", &["auth", "syslog"], &[])),
    ("linux.passwd", source("linux", &["auth", "syslog"], &[])),
    ("linux.polkitd", source("linux", &["auth", "syslog"], &[])),
    ("linux.sshd", source("linux", &["sshd", "auth", "syslog"], &[])),
    ("linux.su", source("linux", &["auth", "syslog"], &[])),
    ("linux.sudo", source("linux", &["sudo", "auth", "syslog"], &[])),
    ("linux.syslog", source("linux", &["syslog"], &[])),
    ("linux.systemd-logind", source("linux", &["auth", "syslog"], &[])),
    ("linux.useradd", source("linux", &["auth", "syslog"], &[])),
    ("linux.userdel", source("linux", &["auth", "syslog"], &[])),
    ("linux.usermod", source("linux", &["auth", "syslog"], &[])),
    ("linux.vsftpd", source("linux", &["vsftpd", "syslog"], &[])),
    ("m365.audit", source("m365", &["audit"], &[])),
    ("netfilter.log", source("linux", &["iptables", "syslog"], &["firewall"])),
    ("nginx.access", source("nginx", &["nginx"], &["webserver"])),
    ("nginx.error", source("nginx", &["nginx"], &[])),
    ("o365.audit", source("m365", &["audit"], &[])),
    ("okta.system", source("okta", &["okta"], &[])),
    ("onelogin.events", source("onelogin", &["onelogin.events"], &[])),
    ("opencanary.application", source("opencanary", &[], &["application"])),
    ("openvpn.log", source("openvpn", &["openvpn"], &[])),
    ("pfsense.filterlog", source("pfsense", &["filterlog"], &["firewall"])),
    ("postgresql.log", source("postgresql", &["postgresql"], &["database"])),
    ("slack.audit", source("slack", &["audit"], &[])),
    ("suricata.eve", SURICATA),
    ("syslog", source("linux", &["syslog"], &[])),
    ("system.auth", source("linux", &["sshd", "sudo", "auth", "syslog"], &[])),
    ("system.syslog", source("linux", &["syslog"], &[])),
    ("trivy.misconfiguration", source("trivy", &["misconfiguration"], &[])),
    ("trivy.report", source("trivy", &["report"], &[])),
    ("trivy.secret", source("trivy", &["secret"], &[])),
    ("trivy.vulnerability", source("trivy", &["vulnerability"], &[])),
];

/// `None` where Custos does not know the dataset.
pub(super) fn dataset(dataset: &str) -> Option<EventSource> {
    if let Some(path) = dataset.strip_prefix("zeek.") {
        return Some(zeek(path));
    }
    let known = DATASETS.binary_search_by(|(name, _)| name.cmp(&dataset)).ok();
    let known = known.and_then(|index| DATASETS.get(index)).map(|(_, source)| *source);
    known.or_else(|| dataset.starts_with("linux.").then_some(source("linux", &["syslog"], &[])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_stand_in_order() {
        assert!(ZEEK.is_sorted_by(|a, b| a.0 < b.0));
        assert!(DATASETS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_dataset_leads_to_its_source_and_an_unknown_one_to_none() {
        let of = |name: &str| dataset(name).unwrap();
        assert_eq!(of("linux.sshd").services, ["sshd", "auth", "syslog"]);
        assert_eq!(of("zeek.dns").categories, ["dns"]);
        assert_eq!(of("linux.something").services, ["syslog"]);
        assert_eq!(of("netfilter.log").categories, ["firewall"]);
        assert_eq!(of("keycloak.admin").product, "keycloak");
        // Those of the mappings that come with Custos.
        assert_eq!(of("haproxy.log").product, "haproxy");
        assert_eq!(of("openvpn.log").services, ["openvpn"]);
        assert_eq!(of("postgresql.log").categories, ["database"]);
        assert_eq!(dataset("moon.phase"), None);
    }
}
