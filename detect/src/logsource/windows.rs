//! Windows: the channel is the service, the event id within it the category.
//!
//! Names as the Sigma project's own conversion for Windows has them.

use super::{Clues, EventSource};

const SYSMON: &str = "microsoft-windows-sysmon";

/// Channel in lower case, and the services Sigma calls it.
const CHANNELS: &[(&str, &[&str])] = &[
    ("application", &["application"]),
    ("dns server", &["dns-server"]),
    ("microsoft-iis-configuration/operational", &["iis-configuration"]),
    ("microsoft-servicebus-client/admin", &["microsoft-servicebus-client"]),
    ("microsoft-servicebus-client/operational", &["microsoft-servicebus-client"]),
    ("microsoft-windows-applocker/exe and dll", &["applocker"]),
    ("microsoft-windows-applocker/msi and script", &["applocker"]),
    ("microsoft-windows-applocker/packaged app-deployment", &["applocker"]),
    ("microsoft-windows-applocker/packaged app-execution", &["applocker"]),
    ("microsoft-windows-appmodel-runtime/admin", &["appmodel-runtime"]),
    ("microsoft-windows-appxdeploymentserver/operational", &["appxdeployment-server"]),
    ("microsoft-windows-appxpackaging/operational", &["appxpackaging-om"]),
    ("microsoft-windows-bitlocker/bitlocker management", &["bitlocker"]),
    ("microsoft-windows-bits-client/operational", &["bits-client"]),
    ("microsoft-windows-capi2/operational", &["capi2"]),
    (
        "microsoft-windows-certificateservicesclient-lifecycle-system/operational",
        &["certificateservicesclient-lifecycle-system"],
    ),
    ("microsoft-windows-codeintegrity/operational", &["codeintegrity-operational"]),
    ("microsoft-windows-dhcp-server/operational", &["dhcp"]),
    ("microsoft-windows-diagnosis-scripted/operational", &["diagnosis-scripted"]),
    ("microsoft-windows-dns client events/operational", &["dns-client"]),
    ("microsoft-windows-dns-client/operational", &["dns-client"]),
    ("microsoft-windows-dnsserver/analytical", &["dns-server-analytic"]),
    ("microsoft-windows-dnsserver/audit", &["dns-server-audit"]),
    ("microsoft-windows-driverframeworks-usermode/operational", &["driver-framework"]),
    ("microsoft-windows-hyper-v-worker", &["hyper-v-worker"]),
    ("microsoft-windows-kernel-eventtracing", &["kernel-event-tracing"]),
    ("microsoft-windows-kernel-shimengine/operational", &["kernel-shimengine"]),
    ("microsoft-windows-ldap-client/debug", &["ldap"]),
    ("microsoft-windows-lsa/operational", &["lsa-server"]),
    ("microsoft-windows-ntfs/operational", &["ntfs"]),
    ("microsoft-windows-ntlm/operational", &["ntlm"]),
    ("microsoft-windows-powershell/operational", &["powershell"]),
    ("microsoft-windows-printservice/admin", &["printservice-admin"]),
    ("microsoft-windows-printservice/operational", &["printservice-operational"]),
    ("microsoft-windows-security-mitigations/kernel mode", &["security-mitigations"]),
    ("microsoft-windows-security-mitigations/kernelmode", &["security-mitigations"]),
    ("microsoft-windows-security-mitigations/user mode", &["security-mitigations"]),
    ("microsoft-windows-security-mitigations/usermode", &["security-mitigations"]),
    ("microsoft-windows-sense/operational", &["sense"]),
    ("microsoft-windows-shell-core/operational", &["shell-core"]),
    ("microsoft-windows-smbclient/connectivity", &["smbclient-connectivity"]),
    ("microsoft-windows-smbclient/security", &["smbclient-security"]),
    ("microsoft-windows-smbserver/connectivity", &["smbserver-connectivity"]),
    ("microsoft-windows-sysmon/operational", &["sysmon"]),
    ("microsoft-windows-taskscheduler/operational", &["taskscheduler"]),
    (
        "microsoft-windows-terminalservices-localsessionmanager/operational",
        &["terminalservices-localsessionmanager"],
    ),
    ("microsoft-windows-vhdmp/operational", &["vhdmp"]),
    ("microsoft-windows-windows defender/operational", &["windefend"]),
    ("microsoft-windows-windows firewall with advanced security/firewall", &["firewall-as"]),
    ("microsoft-windows-wmi-activity/operational", &["wmi"]),
    ("msexchange management", &["msexchange-management"]),
    ("openssh/operational", &["openssh"]),
    ("powershellcore/operational", &["powershell"]),
    ("security", &["security"]),
    ("system", &["system"]),
    ("windows powershell", &["powershell-classic"]),
];

/// The longest channel above has 72 bytes; a longer name is none of them.
const CHANNEL_BYTES_MAX: usize = 80;

pub(super) fn source(clues: &Clues<'_>) -> EventSource {
    let services = clues.channel.map_or(NONE, services);
    let id = clues.event_id.unwrap_or(-1);
    let categories = match services.first().copied() {
        Some("sysmon") => sysmon(id, clues.registry_event),
        Some("security") => security(id),
        Some("powershell") => powershell(id),
        Some("powershell-classic") => powershell_classic(id),
        None if clues.provider.is_some_and(|name| name.eq_ignore_ascii_case(SYSMON)) => {
            sysmon(id, clues.registry_event)
        }
        _ => NONE,
    };
    EventSource { product: "windows", services, categories }
}

/// Every source that [`source`] can answer: each channel with each event id that has categories, and with
/// one that has none.
pub(super) fn all() -> impl Iterator<Item = EventSource> {
    CHANNELS.iter().flat_map(|(channel, _)| {
        let clues = Clues { channel: Some(channel), ..Clues::default() };
        let ids = (0..=255).chain([400, 600, 800, 4103, 4104, 4688]);
        let with_id = move |id| Clues { event_id: Some(id), ..clues };
        let registry = ["CreateKey", "DeleteKey"].map(|event| Clues {
            event_id: Some(12),
            registry_event: Some(event),
            ..clues
        });
        ids.map(with_id).chain(registry).map(|clues| source(&clues))
    })
}

const NONE: &[&str] = &[];

fn services(channel: &str) -> &'static [&'static str] {
    let mut buffer = [0; CHANNEL_BYTES_MAX];
    let Some(lower) = buffer.get_mut(..channel.len()) else { return NONE };
    lower.copy_from_slice(channel.as_bytes());
    lower.make_ascii_lowercase();
    let found = CHANNELS.binary_search_by(|(name, _)| name.as_bytes().cmp(lower));
    found.ok().and_then(|index| CHANNELS.get(index)).map_or(NONE, |(_, services)| services)
}

fn sysmon(id: i64, registry_event: Option<&str>) -> &'static [&'static str] {
    match id {
        1 => &["process_creation"],
        2 => &["file_change"],
        3 => &["network_connection"],
        4 | 16 => &["sysmon_status"],
        5 => &["process_termination"],
        6 => &["driver_load"],
        7 => &["image_load"],
        8 => &["create_remote_thread"],
        9 => &["raw_access_thread"],
        10 => &["process_access"],
        11 => &["file_event"],
        12 => registry_key(registry_event),
        13 => &["registry_event", "registry_set"],
        14 => &["registry_event", "registry_rename"],
        15 => &["create_stream_hash"],
        17 | 18 => &["pipe_created"],
        19..=21 => &["wmi_event"],
        22 => &["dns_query"],
        23 => &["file_delete"],
        24 => &["clipboard_capture"],
        25 => &["process_tampering"],
        26 => &["file_delete", "file_delete_detected"],
        27 => &["file_block_executable"],
        28 => &["file_block_shredding"],
        29 => &["file_executable_detected"],
        255 => &["sysmon_error"],
        _ => NONE,
    }
}

/// Event 12 says in `EventType` whether a key came or went.
fn registry_key(event: Option<&str>) -> &'static [&'static str] {
    match event {
        Some("CreateKey") => &["registry_event", "registry_add"],
        Some("DeleteKey" | "DeleteValue") => &["registry_event", "registry_delete"],
        _ => &["registry_event", "registry_add", "registry_delete"],
    }
}

/// Process creation with auditing switched on; the other audit events have no category of their own.
fn security(id: i64) -> &'static [&'static str] {
    if id == 4688 { &["process_creation"] } else { NONE }
}

fn powershell(id: i64) -> &'static [&'static str] {
    match id {
        4103 => &["ps_module"],
        4104 => &["ps_script"],
        _ => NONE,
    }
}

fn powershell_classic(id: i64) -> &'static [&'static str] {
    match id {
        400 => &["ps_classic_start"],
        600 => &["ps_classic_provider_start"],
        800 => &["ps_classic_script"],
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_stand_in_the_order_of_their_names() {
        assert!(CHANNELS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CHANNELS.iter().all(|(name, _)| name.len() <= CHANNEL_BYTES_MAX));
    }

    #[test]
    fn one_event_belongs_to_several_categories() {
        let clues = Clues {
            channel: Some("Microsoft-Windows-Sysmon/Operational"),
            event_id: Some(13),
            ..Clues::default()
        };
        let source = source(&clues);
        assert_eq!(source.services, ["sysmon"]);
        assert_eq!(source.categories, ["registry_event", "registry_set"]);
    }

    #[test]
    fn a_channel_is_the_same_in_any_case() {
        let service = |channel| services(channel).first().copied();
        assert_eq!(service("security"), Some("security"));
        assert_eq!(service("SECURITY"), Some("security"));
        assert_eq!(service("Securities"), None);
        assert_eq!(service(&"x".repeat(200)), None);
    }
}
