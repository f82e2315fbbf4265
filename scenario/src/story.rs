//! The six attacks of the day. Each is told by several sources over some minutes; when, where and against whom
//! is the seed's choice.

mod card_testing;
mod customer_theft;
mod password_guessing;
mod remote_desktop;
mod stolen_badge;
mod wiped_backups;

use crate::{Cast, random::Random, script::Script};

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Story {
    /// Night: passwords are guessed at the bastion until one is right, and a root shell follows.
    PasswordGuessing,
    /// Before dawn: root comes in from outside and deletes the backups.
    WipedBackups,
    /// Early: somebody tries a badge that was reported lost, then forces the door.
    StolenBadge,
    /// Morning: an exploit gets through, remote desktop from outside, a new administrator.
    RemoteDesktop,
    /// Midday: stolen card numbers are tried by the dozen; what works is spent.
    CardTesting,
    /// After lunch: the customer list is exported and leaves the house inside DNS questions.
    CustomerTheft,
}

impl Story {
    pub const ALL: [Self; 6] = [
        Self::PasswordGuessing,
        Self::WipedBackups,
        Self::StolenBadge,
        Self::RemoteDesktop,
        Self::CardTesting,
        Self::CustomerTheft,
    ];

    /// A short name, the same in every version.
    pub fn name(self) -> &'static str {
        match self {
            Self::PasswordGuessing => "password-guessing",
            Self::WipedBackups => "wiped-backups",
            Self::StolenBadge => "stolen-badge",
            Self::RemoteDesktop => "remote-desktop",
            Self::CardTesting => "card-testing",
            Self::CustomerTheft => "customer-theft",
        }
    }

    /// What happens, in one line for a person.
    pub fn telling(self) -> &'static str {
        match self {
            Self::PasswordGuessing => "passwords are guessed at the bastion until one is right",
            Self::WipedBackups => "root signs in from outside and deletes the backups",
            Self::StolenBadge => "a badge reported lost is refused, and the door is forced",
            Self::RemoteDesktop => {
                "an exploit gets through, and remote desktop from outside follows"
            }
            Self::CardTesting => "stolen cards are tried by the dozen, and what works is spent",
            Self::CustomerTheft => "the customer list is exported and leaves inside DNS questions",
        }
    }

    /// Parts its sequence of random numbers from those of the others.
    pub(crate) fn salt(self) -> u64 {
        let fold = |sum: u64, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte);
        self.name().bytes().fold(0xcbf2_9ce4_8422_2325, fold)
    }

    pub(crate) fn tell(self, script: &mut Script, cast: &Cast) {
        match self {
            Self::PasswordGuessing => password_guessing::tell(script, cast),
            Self::WipedBackups => wiped_backups::tell(script, cast),
            Self::StolenBadge => stolen_badge::tell(script, cast),
            Self::RemoteDesktop => remote_desktop::tell(script, cast),
            Self::CardTesting => card_testing::tell(script, cast),
            Self::CustomerTheft => customer_theft::tell(script, cast),
        }
    }
}

/// The address that a story's attacker has: of RFC 5737's third block for documentation, where nobody lives, and
/// no other story's.
fn attacker(random: &mut Random, story: Story) -> String {
    /// Six shares of the block.
    const SHARE: u64 = 42;
    let nth = Story::ALL.iter().zip(0_u64..).find(|(known, _)| **known == story);
    let first = 1 + SHARE * nth.map_or(0, |(_, nth)| nth);
    format!("203.0.113.{}", first + random.below(SHARE))
}
