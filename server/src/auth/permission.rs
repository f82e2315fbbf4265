//! The permissions, and which role has which. A role only ever adds; nothing narrows by another role.

use custos_event::account::Role;
use serde::Serialize;
use utoipa::ToSchema;

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permission {
    ReadEvents,
    ReadAlerts,
    ReadSources,
    /// Accounts, sign-ins, and what people read and did.
    ReadAudit,
    /// Acknowledge and judge alerts; open incidents and keep them.
    Triage,
    /// Run playbooks, undo effects, work on tasks.
    Respond,
    /// Let an effect happen.
    Approve,
    ManageRules,
    ManageUsers,
    /// Make backups, check them, try them out; let go of what retention says.
    ManageBackups,
    /// Make sources and give them tokens; close them.
    ManageSources,
    /// Place and lift legal holds; read the log again, and mend it from a backup.
    Preserve,
    /// Ask for, approve, refuse the erasure of a person.
    Erase,
    /// Read sealed personal values.
    Reveal,
}

use Permission::{
    Approve, Erase, ManageBackups, ManageRules, ManageSources, ManageUsers, Preserve, ReadAlerts,
    ReadAudit, ReadEvents, ReadSources, Respond, Reveal, Triage,
};

impl Permission {
    pub(crate) const ALL: [Self; 14] = [
        ReadEvents,
        ReadAlerts,
        ReadSources,
        ReadAudit,
        Triage,
        Respond,
        Approve,
        ManageRules,
        ManageUsers,
        ManageBackups,
        ManageSources,
        Preserve,
        Erase,
        Reveal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            ReadEvents => "read_events",
            ReadAlerts => "read_alerts",
            ReadSources => "read_sources",
            ReadAudit => "read_audit",
            Triage => "triage",
            Respond => "respond",
            Approve => "approve",
            ManageRules => "manage_rules",
            ManageUsers => "manage_users",
            ManageBackups => "manage_backups",
            ManageSources => "manage_sources",
            Preserve => "preserve",
            Erase => "erase",
            Reveal => "reveal",
        }
    }
}

fn granted(role: Role) -> &'static [Permission] {
    match role {
        Role::Viewer => &[ReadAlerts, ReadSources],
        Role::Analyst => &[ReadAlerts, ReadSources, ReadEvents, Triage],
        Role::Responder => &[ReadAlerts, ReadSources, ReadEvents, Triage, Respond],
        Role::Lead => &[
            ReadAlerts,
            ReadSources,
            ReadEvents,
            Triage,
            Respond,
            Approve,
            Preserve,
            Erase,
            Reveal,
        ],
        Role::Auditor => &[ReadAlerts, ReadSources, ReadEvents, ReadAudit],
        Role::Admin => &[
            ReadAlerts,
            ReadSources,
            ReadEvents,
            ReadAudit,
            ManageRules,
            ManageUsers,
            ManageBackups,
            ManageSources,
            Preserve,
            Erase,
        ],
    }
}

/// A set of permissions, in the order of [`Permission::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Permissions(Vec<Permission>);

impl Permissions {
    pub(crate) fn of(roles: &[Role]) -> Self {
        let granted =
            |permission: &Permission| roles.iter().any(|role| granted(*role).contains(permission));
        Self(Permission::ALL.into_iter().filter(granted).collect())
    }

    /// Of the token in the data folder: who reads that file holds the keys beside it too. An approval,
    /// though, is a person's word.
    pub(crate) fn of_token() -> Self {
        Self(Permission::ALL.into_iter().filter(|permission| *permission != Approve).collect())
    }

    pub(crate) fn hold(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }
}
