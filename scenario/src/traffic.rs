//! Ordinary traffic without an end and without an attack: after the day of a demo, and for loads.

use crate::{
    Cast, Topic,
    cast::Person,
    form::{crm::Crm, door::Access, syslog, windows},
    machines,
    random::Random,
};
use custos_event::Timestamp;

/// Events one after another, each as if it happened when it is asked for. The same seed gives the same ones.
#[derive(Debug)]
pub struct Traffic {
    cast: Cast,
    random: Random,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        Self { cast: Cast::new(seed), random: Random::new(seed ^ 0x7aff) }
    }

    /// The next event, as if it happened at `time`; mixed as a company's day is, mostly machines.
    pub fn next(&mut self, time: Timestamp) -> (Topic, String) {
        let Self { cast, random } = self;
        let person = &cast.people[random.index(cast.people.len())];
        match random.below(100) {
            0..8 => (Topic::Doors, door(random, person, time)),
            8..30 => (Topic::Payments, machines::everyday_payment(random, cast).line(time)),
            30..45 => (Topic::Auth, sign_in(random, cast, person, time)),
            45..70 => machines::connection(random, cast, time),
            70..75 => (Topic::Crm, look_up(random, person, time)),
            _ => (Topic::Windows, windows::process(random, person, time)),
        }
    }
}

fn door(random: &mut Random, person: &Person, time: Timestamp) -> String {
    let (door, direction) = (random.one_of(person.site.inner), random.one_of(&["in", "out"]));
    if random.once_in(60) {
        return Access::denied(person, door, "outside schedule").line(time);
    }
    Access::granted(person, door, direction).line(time)
}

/// Failures come from everywhere, one address each: a load of many thousands a second is no attack.
fn sign_in(random: &mut Random, cast: &Cast, person: &Person, time: Timestamp) -> String {
    let host = &cast.hosts[random.index(cast.hosts.len())].name;
    let (pid, port) = (1_000 + random.below(30_000), 1_024 + random.below(60_000));
    let (login, ip) = (&person.login, &person.ip);
    let said = match random.below(12) {
        0 => {
            let (name, from) = (random.base32(6), machines::scanner(random));
            format!("Failed password for invalid user {name} from {from} port {port} ssh2")
        }
        1..5 => {
            let key = format!("{}{}", random.hex(16), random.hex(16));
            format!(
                "Accepted publickey for {login} from {ip} port {port} ssh2: ED25519 SHA256:{key}"
            )
        }
        5..8 => format!("pam_unix(sshd:session): session closed for user {login}"),
        _ => {
            format!("pam_unix(sshd:session): session opened for user {login}(uid=1001) by (uid=0)")
        }
    };
    syslog::sshd(time, host, pid, &said)
}

fn look_up(random: &mut Random, person: &Person, time: Timestamp) -> String {
    let (user, ip) = (person.login.as_str(), person.ip.as_str());
    let (action, module) = (
        random.one_of(&["view", "search", "update"]),
        random.one_of(&["Contacts", "客户", "Deals"]),
    );
    Crm { user, ip, action, module, records: 1, result: "ok" }.line(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_events_again_and_another_seed_others() {
        let made = |seed| {
            let mut traffic = Traffic::new(seed);
            (0..500).map(|n| traffic.next(Timestamp::from_secs(n)).1).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn every_busy_topic_comes_up_and_lines_are_lines() {
        let mut traffic = Traffic::new(1);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..1_000 {
            let (topic, line) = traffic.next(Timestamp::from_secs(n));
            seen.insert(topic);
            assert!(!line.contains('\n') && line.len() < 2_000, "{line}");
        }
        assert_eq!(seen.len(), Topic::ALL.len() - 1, "{seen:?}");
    }
}
