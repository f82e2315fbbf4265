//! Who and what there is: people, badges, machines, doors, customers, all drawn from the seed.

use crate::random::Random;

/// The company of one seed.
#[derive(Debug)]
pub struct Cast {
    seed: u64,
    pub(crate) people: Vec<Person>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) customers: Vec<Customer>,
    /// The company's own block of public addresses: its first three bytes.
    pub(crate) public_net: &'static str,
}

/// Somebody who works here.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) site: &'static Site,
    /// What the access system calls the badge: a hash.
    pub(crate) badge: String,
    pub(crate) workstation: String,
    pub(crate) ip: String,
    pub(crate) sid: String,
    pub(crate) is_admin: bool,
}

/// A building.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) entrance: &'static str,
    /// Doors inside, none of them of a secure room.
    pub(crate) inner: &'static [&'static str],
    pub(crate) secure: &'static str,
    pub(crate) remote: &'static str,
}

const SITES: [Site; 2] = [
    Site {
        name: "hq",
        entrance: "lobby",
        inner: &["floor-2-east", "floor-2-west", "floor-3", "canteen"],
        secure: "server-room",
        remote: "loading-dock",
    },
    Site {
        name: "shanghai",
        entrance: "大堂",
        inner: &["二层办公区", "三层办公区", "餐厅"],
        secure: "机房 server-room",
        remote: "后门",
    },
];

/// A Linux machine.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ip: String,
}

/// Somebody who pays.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) card: String,
    pub(crate) ip: String,
    pub(crate) country: &'static str,
}

const FAMILY: [(&str, &str); 12] = [
    ("li", "李"),
    ("wang", "王"),
    ("zhang", "张"),
    ("liu", "刘"),
    ("chen", "陈"),
    ("yang", "杨"),
    ("zhao", "赵"),
    ("huang", "黄"),
    ("zhou", "周"),
    ("wu", "吴"),
    ("xu", "徐"),
    ("sun", "孙"),
];
const GIVEN: [(&str, &str); 12] = [
    ("wei", "伟"),
    ("fang", "芳"),
    ("min", "敏"),
    ("jing", "静"),
    ("lei", "磊"),
    ("jie", "洁"),
    ("tao", "涛"),
    ("yan", "艳"),
    ("jun", "军"),
    ("ping", "平"),
    ("xin", "欣"),
    ("hao", "浩"),
];
const FIRST: [&str; 14] = [
    "Anna", "Ben", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kofi",
    "Laura", "Marta", "Noah",
];
const LAST: [&str; 14] = [
    "Novak", "Okafor", "Silva", "Kumar", "Rossi", "Meyer", "Tanaka", "Dubois", "Larsen", "Moreau",
    "Weber", "Costa", "Fischer", "Brown",
];
const HOSTS: [&str; 8] =
    ["pay-01", "pay-02", "crm-01", "db-01", "db-02", "backup-01", "web-01", "bastion"];
const PEOPLE: usize = 44;
const ADMINS: usize = 6;
const CUSTOMERS: usize = 900;

impl Cast {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xca57);
        let net = random.between(16, 90);
        let people = people(&mut random, net);
        let hosts = HOSTS.iter().zip(10..).map(|(name, last)| Host {
            name: (*name).to_owned(),
            ip: format!("10.{net}.0.{last}"),
        });
        let customers = (0..CUSTOMERS).map(|_| customer(&mut random)).collect();
        let public_net = random.one_of(&["198.51.100", "192.0.2"]);
        Self { seed, people, hosts: hosts.collect(), customers, public_net }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn admins(&self) -> &[Person] {
        &self.people[..ADMINS]
    }

    /// Those who are no administrators.
    pub(crate) fn staff(&self) -> &[Person] {
        &self.people[ADMINS..]
    }

    /// Whom story number `nth` of three happens to: each to somebody else.
    pub(crate) fn victim(&self, random: &mut Random, nth: usize) -> &Person {
        /// The first ones of the staff have their parts among the near misses.
        const FIRST: usize = 10;
        let share = (self.staff().len() - FIRST) / 3;
        &self.staff()[FIRST + nth * share + random.index(share)]
    }

    /// A machine by its name; the first one if there is none of that name.
    pub(crate) fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap_or(&self.hosts[0])
    }

    /// An address of the company's own that the world can reach.
    pub(crate) fn public(&self, last: u8) -> String {
        format!("{}.{last}", self.public_net)
    }
}

/// Each person has a name of their own.
fn people(random: &mut Random, net: i64) -> Vec<Person> {
    let domain = format!("S-1-5-21-{}-{}-{}", random.below(1 << 31), random.below(1 << 31), net);
    let mut names = Vec::new();
    for (family, family_zh) in FAMILY {
        names.extend(GIVEN.map(|(given, given_zh)| {
            (format!("{family}.{given}"), format!("{family_zh}{given_zh}"), &SITES[1])
        }));
    }
    random.shuffle(&mut names);
    names.truncate(PEOPLE / 2);
    let mut western = Vec::new();
    for first in FIRST {
        western.extend(LAST.map(|last| {
            let login = format!("{}.{}", &first[..1], last).to_lowercase();
            (login, format!("{first} {last}"), &SITES[0])
        }));
    }
    random.shuffle(&mut western);
    names.extend(western);
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|(login, ..)| seen.insert(login.clone()));
    names.truncate(PEOPLE);
    random.shuffle(&mut names);
    let person = |(nth, (login, name, site)): (usize, (String, String, &'static Site))| Person {
        id: format!("p-{}", 100 + nth),
        login,
        name,
        site,
        badge: random.hex(16),
        workstation: format!("ws-{}", 101 + nth),
        ip: format!("10.{net}.{}.{}", if site == &SITES[0] { 4 } else { 8 }, 20 + nth),
        sid: format!("{domain}-{}", 1_101 + nth),
        is_admin: nth < ADMINS,
    };
    names.into_iter().enumerate().map(person).collect()
}

fn customer(random: &mut Random) -> Customer {
    let country = random.one_of(&["DE", "FR", "CN", "CN", "US", "GB", "CH", "IT"]);
    let name = if country == "CN" {
        format!("{}{}", random.one_of(&FAMILY).1, random.one_of(&GIVEN).1)
    } else {
        format!("{} {}", random.one_of(&FIRST), random.one_of(&LAST))
    };
    Customer {
        id: format!("c-{:06}", random.below(1_000_000)),
        name,
        card: card(random),
        // RFC 6598: shared address space, so that no made customer has somebody's real address.
        ip: format!(
            "100.{}.{}.{}",
            64 + random.below(64),
            random.below(256),
            1 + random.below(254)
        ),
        country,
    }
}

/// A card as the payment service names it.
pub(crate) fn card(random: &mut Random) -> String {
    format!("card_{}{}", random.hex(16), random.hex(8))
}
