//! The Kafka topics that the company's systems ship to.

/// Where an event is shipped to: one topic a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Doors and the cameras beside them.
    Doors,
    Payments,
    /// sshd, PAM, sudo and cron of the Linux machines.
    Auth,
    /// Suricata's EVE.
    Suricata,
    /// Zeek's conn and dns logs.
    Zeek,
    /// Windows events as NXLog ships them.
    Windows,
    /// The audit trail of the customer system.
    Crm,
    /// Reports of the backup jobs.
    Backup,
}

impl Topic {
    pub const ALL: [Self; 8] = [
        Self::Doors,
        Self::Payments,
        Self::Auth,
        Self::Suricata,
        Self::Zeek,
        Self::Windows,
        Self::Crm,
        Self::Backup,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Doors => "doors",
            Self::Payments => "payments",
            Self::Auth => "auth",
            Self::Suricata => "suricata",
            Self::Zeek => "zeek",
            Self::Windows => "windows",
            Self::Crm => "crm",
            Self::Backup => "backup",
        }
    }
}
