//! People: they arrive, work, have lunch, leave. Doors, workstations, the customer system, a few administrators
//! on the servers.

use crate::{
    Cast, Offset, Topic,
    cast::Person,
    form::{
        crm::Crm,
        door::{Access, Camera},
        syslog, windows,
    },
    random::Random,
    script::Script,
};

const MODULES: [&str; 6] = ["Contacts", "Accounts", "Deals", "Cases", "客户", "联系人"];
/// Commands that administrators run as root, each alone, as they should.
const COMMANDS: [&str; 5] = [
    "/usr/bin/systemctl status payments",
    "/usr/bin/systemctl restart payments",
    "/usr/bin/journalctl -u payments -n 200",
    "/usr/bin/apt-get update",
    "/bin/sh /opt/payments/rotate.sh",
];

pub(crate) fn play(script: &mut Script, cast: &Cast) {
    for person in &cast.people {
        let hours = Hours::of(&mut script.random);
        doors(script, person, hours);
        workstation(script, person, hours);
        customer_system(script, person, hours);
    }
    for admin in cast.admins() {
        servers(script, cast, admin);
    }
}

/// When somebody is here.
#[derive(Clone, Copy)]
struct Hours {
    come: Offset,
    lunch: Offset,
    back: Offset,
    go: Offset,
}

impl Hours {
    fn of(random: &mut Random) -> Self {
        // Whoever comes late goes late: everybody is in from 9:40 to 16:30.
        let late = random.between(0, 130);
        let lunch = Offset::at(11, 45).plus_minutes(random.between(0, 60));
        let jitter = |random: &mut Random| random.between(0, 60_000);
        Self {
            come: Offset::at(7, 30).plus_minutes(late).plus_millis(jitter(random)),
            lunch: lunch.plus_millis(jitter(random)),
            back: lunch.plus_minutes(random.between(25, 50)).plus_millis(jitter(random)),
            go: Offset::at(16, 30).plus_minutes(late).plus_millis(jitter(random)),
        }
    }

    /// Some moment at work.
    fn moment(self, random: &mut Random) -> Offset {
        let (from, to) =
            if random.once_in(2) { (self.come, self.lunch) } else { (self.back, self.go) };
        Offset(random.between(from.0 + 60_000, to.0))
    }
}

fn doors(script: &mut Script, person: &Person, hours: Hours) {
    let site = person.site;
    let ways = [(hours.come, "in"), (hours.lunch, "out"), (hours.back, "in"), (hours.go, "out")];
    for (offset, direction) in ways {
        pass(script, person, site.entrance, direction, offset);
        let seen = Camera { site, door: site.entrance, people: 1, message: "person at the door" };
        script.add(Topic::Doors, offset.plus_millis(700), |time| seen.line(time));
    }
    for _ in 0..script.random.between(8, 20) {
        let (door, offset) = (script.random.one_of(site.inner), hours.moment(&mut script.random));
        let direction = script.random.one_of(&["in", "out"]);
        pass(script, person, door, direction, offset);
    }
    if person.is_admin {
        let offset = hours.moment(&mut script.random);
        pass(script, person, site.secure, "in", offset);
        let stays = script.random.between(5, 15);
        pass(script, person, site.secure, "out", offset.plus_minutes(stays));
    }
}

fn pass(script: &mut Script, person: &Person, door: &str, direction: &str, offset: Offset) {
    let pass = Access::granted(person, door, direction);
    script.add(Topic::Doors, offset, |time| pass.line(time));
}

fn workstation(script: &mut Script, person: &Person, hours: Hours) {
    let sits = script.random.between(180, 420);
    for begin in [hours.come, hours.back] {
        let offset = begin.plus_secs(sits);
        script.add(Topic::Windows, offset, |time| windows::sign_in(person, time, 2, "127.0.0.1"));
    }
    for _ in 0..script.random.between(20, 36) {
        let offset = hours.moment(&mut script.random);
        let mut random = script.random.clone();
        script.add(Topic::Windows, offset, |time| windows::process(&mut random, person, time));
        script.random = random;
    }
}

fn customer_system(script: &mut Script, person: &Person, hours: Hours) {
    let (user, ip) = (person.login.as_str(), person.ip.as_str());
    let entry = Crm { user, ip, action: "login", module: "", records: 1, result: "ok" };
    let first = hours.come.plus_minutes(script.random.between(8, 14));
    script.add(Topic::Crm, first, |time| entry.line(time));
    for _ in 0..script.random.between(24, 48) {
        let random = &mut script.random;
        let (action, most) = random.one_of(&[
            ("view", 1),
            ("view", 1),
            ("view", 1),
            ("search", 40),
            ("search", 40),
            ("update", 1),
        ]);
        let module = random.one_of(&MODULES);
        let records = 1 + random.below(most);
        let offset = Offset(hours.moment(random).0.max(first.0 + 30_000));
        let act = Crm { action, module, records, ..entry };
        script.add(Topic::Crm, offset, |time| act.line(time));
    }
    // Lists for a mailing or a meeting: everybody's own customers, hundreds of them at most.
    if script.random.once_in(4) {
        let (records, offset) = (20 + script.random.below(380), hours.moment(&mut script.random));
        let export = Crm { action: "export", module: "Contacts", records, ..entry };
        script.add(Topic::Crm, offset, |time| export.line(time));
    }
}

/// An administrator works on the servers by key, through the bastion.
fn servers(script: &mut Script, cast: &Cast, admin: &Person) {
    for _ in 0..script.random.between(4, 8) {
        let random = &mut script.random;
        let host = &cast.hosts[random.index(cast.hosts.len())].name;
        let offset = Offset(random.between(Offset::at(9, 45).0, Offset::at(16, 0).0));
        let (pid, port) = (1_000 + random.below(30_000), 32_768 + random.below(28_000));
        let key = format!("{}{}", random.hex(16), random.hex(16));
        let (login, ip) = (&admin.login, &admin.ip);
        let accepted = format!(
            "Accepted publickey for {login} from {ip} port {port} ssh2: ED25519 SHA256:{key}"
        );
        script.add(Topic::Auth, offset, |time| syslog::sshd(time, host, pid, &accepted));
        let opened =
            format!("pam_unix(sshd:session): session opened for user {login}(uid=1001) by (uid=0)");
        script.add(Topic::Auth, offset.plus_millis(40), |time| {
            syslog::sshd(time, host, pid, &opened)
        });
        for step in 1..=script.random.between(1, 4) {
            let command = script.random.one_of(&COMMANDS);
            let at = offset.plus_secs(step * script.random.between(30, 70));
            script.add(Topic::Auth, at, |time| syslog::sudo(time, host, login, "root", command));
        }
        let closed = format!("pam_unix(sshd:session): session closed for user {login}");
        let end = offset.plus_minutes(script.random.between(6, 20));
        script.add(Topic::Auth, end, |time| syslog::sshd(time, host, pid, &closed));
    }
}
