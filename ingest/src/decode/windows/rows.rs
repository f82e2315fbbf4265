//! The tables of the Windows formats: which native value is which ECS field, what channels and events
//! are called.

use super::super::fields::{Row, slug};
use custos_event::ecs;

/// For every Windows event.
pub(super) const COMMON: &[Row] = &[
    (ecs::EVENT_CODE, "winlog.event_id"),
    (ecs::EVENT_PROVIDER, "winlog.provider_name"),
    (ecs::HOST_NAME, "winlog.computer_name"),
];

/// Who a logon or a ticket is about.
pub(super) const TARGET: &[Row] = &[
    (ecs::USER_NAME, "winlog.event_data.TargetUserName"),
    (ecs::USER_NAME, "winlog.event_data.SubjectUserName"),
    (ecs::USER_DOMAIN, "winlog.event_data.TargetDomainName"),
    (ecs::USER_DOMAIN, "winlog.event_data.SubjectDomainName"),
    (ecs::USER_ID, "winlog.event_data.TargetUserSid"),
    (ecs::USER_ID, "winlog.event_data.TargetSid"),
    (ecs::USER_ID, "winlog.event_data.SubjectUserSid"),
];

/// Who acts, and on whom.
pub(super) const SUBJECT: &[Row] = &[
    (ecs::USER_NAME, "winlog.event_data.SubjectUserName"),
    (ecs::USER_DOMAIN, "winlog.event_data.SubjectDomainName"),
    (ecs::USER_ID, "winlog.event_data.SubjectUserSid"),
    (ecs::USER_TARGET_NAME, "winlog.event_data.TargetUserName"),
    (ecs::USER_TARGET_DOMAIN, "winlog.event_data.TargetDomainName"),
    (ecs::USER_TARGET_ID, "winlog.event_data.TargetSid"),
    (ecs::USER_TARGET_ID, "winlog.event_data.TargetUserSid"),
];

/// Logons, log-offs, Kerberos tickets and NTLM checks: the account named as target is the one that acts.
pub(super) fn is_about_its_target(id: u64) -> bool {
    matches!(id, 4_624 | 4_625 | 4_634 | 4_647 | 4_768..=4_776)
}

/// For every event of the security channel.
pub(super) const SECURITY: &[Row] = &[
    (ecs::SOURCE_PORT, "winlog.event_data.IpPort"),
    (ecs::SOURCE_PORT, "winlog.event_data.SourcePort"),
    (ecs::SOURCE_DOMAIN, "winlog.event_data.WorkstationName"),
    (ecs::SOURCE_DOMAIN, "winlog.event_data.Workstation"),
    (ecs::DESTINATION_PORT, "winlog.event_data.DestPort"),
    (ecs::PROCESS_COMMAND_LINE, "winlog.event_data.CommandLine"),
    (ecs::SERVICE_NAME, "winlog.event_data.ServiceName"),
    (ecs::FILE_PATH, "winlog.event_data.ObjectName"),
];

/// The Sigma service names where there is one; else the channel in lower case without its vendor.
pub(super) fn channel_slug(channel: &str) -> String {
    let known = match channel {
        "" => "unknown",
        "Microsoft-Windows-Sysmon/Operational" => "sysmon",
        "Microsoft-Windows-PowerShell/Operational" | "PowerShellCore/Operational" => "powershell",
        "Windows PowerShell" => "powershell-classic",
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    let name = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    let name = name.strip_suffix("/Operational").unwrap_or(name);
    let slug = slug(name).replace('.', "-");
    if slug.is_empty() { "unknown".into() } else { slug }
}

/// `event.action` of security events, in the words that winlogbeat made common.
pub(super) fn action(id: u64) -> Option<&'static str> {
    Some(match id {
        1_100 => "logging-service-shutdown",
        1_102 => "audit-log-cleared",
        4_624 => "logged-in",
        4_625 => "logon-failed",
        4_634 => "logged-out",
        4_647 => "initiated-logout",
        4_648 => "logged-in-explicit",
        4_656 => "requested-handle",
        4_657 => "registry-value-modified",
        4_658 => "closed-handle",
        4_660 => "deleted-object",
        4_661 => "requested-directory-handle",
        4_662 => "accessed-directory-object",
        4_663 => "accessed-object",
        4_670 => "permissions-changed",
        4_672 => "logged-in-special",
        4_673 | 4_674 => "privileged-operation",
        4_688 => "created-process",
        4_689 => "exited-process",
        4_690 => "duplicated-handle",
        4_697 => "service-installed",
        4_698 => "scheduled-task-created",
        4_699 => "scheduled-task-deleted",
        4_700 => "scheduled-task-enabled",
        4_701 => "scheduled-task-disabled",
        4_702 => "scheduled-task-updated",
        4_703 => "user-right-adjusted",
        4_719 => "changed-audit-config",
        4_720 => "added-user-account",
        4_722 => "enabled-user-account",
        4_723 => "changed-password",
        4_724 => "reset-password",
        4_725 => "disabled-user-account",
        4_726 => "deleted-user-account",
        4_727 | 4_731 | 4_754 => "added-group-account",
        4_728 | 4_732 | 4_756 => "added-member-to-group",
        4_729 | 4_733 | 4_757 => "removed-member-from-group",
        4_730 | 4_734 | 4_758 => "deleted-group-account",
        4_738 => "modified-user-account",
        4_740 => "locked-out-user-account",
        4_767 => "unlocked-user-account",
        4_768 => "kerberos-authentication-ticket-requested",
        4_769 => "kerberos-service-ticket-requested",
        4_770 => "kerberos-service-ticket-renewed",
        4_771 => "kerberos-preauth-failed",
        4_776 => "credential-validated",
        4_778 => "session-reconnected",
        4_779 => "session-disconnected",
        4_781 => "renamed-user-account",
        4_798 => "group-membership-enumerated",
        4_799 => "user-member-enumerated",
        4_946..=4_948 => "firewall-rule-changed",
        5_136 => "modified-directory-object",
        5_137 => "created-directory-object",
        5_140 => "accessed-network-share",
        5_145 => "checked-network-share-access",
        5_152 | 5_157 => "network-connection-blocked",
        5_156 => "network-connection-allowed",
        5_158 => "network-bind-allowed",
        5_379 => "read-credentials",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_named_as_sigma_names_its_service() {
        for (channel, expected) in [
            ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
            ("Security", "security"),
            ("security", "security"),
            ("Windows PowerShell", "powershell-classic"),
            ("Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
            ("Microsoft-Windows-BitLocker/BitLocker Management", "bitlocker-bitlocker-management"),
            ("", "unknown"),
            ("//", "unknown"),
        ] {
            assert_eq!(channel_slug(channel), expected);
        }
    }
}
