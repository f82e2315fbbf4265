//! Events of a small payments company, made from a seed: doors, payments, sign-ins, network sensors and
//! Windows machines in their real formats. For load tests; the same seed gives the same events.

mod random;

use custos_event::Timestamp;
use random::Random;
use serde_json::json;

/// Where a made event is shipped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Doors,
    Payments,
    Auth,
    Network,
    Windows,
}

impl Topic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doors => "doors",
            Self::Payments => "payments",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Windows => "windows",
        }
    }
}

const PEOPLE: [&str; 12] = [
    "li.wei",
    "zhang.min",
    "wang.fang",
    "chen.jie",
    "a.novak",
    "b.okafor",
    "c.silva",
    "d.kumar",
    "e.rossi",
    "f.meyer",
    "g.tanaka",
    "h.dubois",
];
const DOORS: [&str; 6] = ["lobby", "vault", "server-room", "loading-dock", "cash-office", "roof"];
const HOSTS: [&str; 8] =
    ["pay-01", "pay-02", "crm-01", "dc-01", "dc-02", "ws-117", "ws-204", "bastion"];
/// What runs on an ordinary day: image, command line, parent.
const PROCESSES: [(&str, &str, &str); 5] = [
    (
        "C:\\Windows\\System32\\svchost.exe",
        "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s BITS",
        "C:\\Windows\\System32\\services.exe",
    ),
    (
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
        "\"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe\" --type=utility",
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ),
    (
        "C:\\Windows\\explorer.exe",
        "C:\\Windows\\Explorer.EXE",
        "C:\\Windows\\System32\\userinit.exe",
    ),
    (
        "C:\\Program Files\\Payments\\terminal-agent.exe",
        "\"C:\\Program Files\\Payments\\terminal-agent.exe\" --poll",
        "C:\\Windows\\System32\\services.exe",
    ),
    (
        "C:\\Windows\\System32\\conhost.exe",
        "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1",
        "C:\\Program Files\\Payments\\terminal-agent.exe",
    ),
];

/// A stream of events.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    random: Random,
    made: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), made: 0 }
    }

    /// The next event, as if it happened at `time`. Mixed as a company's day is: mostly machines.
    pub(crate) fn next(&mut self, time: Timestamp) -> (Topic, String) {
        self.made += 1;
        match self.random.below(100) {
            0..10 => (Topic::Doors, self.door(time)),
            10..30 => (Topic::Payments, self.payment(time)),
            30..45 => (Topic::Auth, self.sign_in(time)),
            45..75 => (Topic::Network, self.flow(time)),
            _ => (Topic::Windows, self.process(time)),
        }
    }

    fn address(&mut self) -> String {
        format!(
            "10.{}.{}.{}",
            self.random.below(8),
            self.random.below(256),
            1 + self.random.below(254)
        )
    }

    fn door(&mut self, time: Timestamp) -> String {
        let denied = self.random.below(50) == 0;
        let door = self.random.one_of(&DOORS);
        json!({
            "time": time, "site": "hq", "door": door,
            "reader": format!("r{}", self.random.below(16)),
            "direction": if self.random.below(2) == 0 { "in" } else { "out" },
            "credential": format!("{:016x}", self.random.next()),
            "person": self.random.one_of(&PEOPLE),
            "result": if denied { "denied" } else { "granted" },
            "reason": if denied { "outside schedule" } else { "" },
            "held": door == "lobby" && self.random.below(30) == 0, "forced": false, "tamper": false,
        })
        .to_string()
    }

    fn payment(&mut self, time: Timestamp) -> String {
        let declined = self.random.below(20) == 0;
        let amount = 100 + self.random.below(200_000);
        json!({
            "time": time, "id": format!("pay_{:012}", self.made), "kind": "authorization",
            "amount": amount, "currency": self.random.one_of(&["EUR", "CNY", "USD"]),
            "merchant": format!("m-{:04}", self.random.below(500)),
            "method": "card", "card": {"token": format!("tok_{:032x}", u128::from(self.random.next()))},
            "country": self.random.one_of(&["DE", "CN", "US", "FR"]),
            "result": if declined { "declined" } else { "approved" },
            "reason": if declined { "insufficient funds" } else { "" },
            "step_up": amount >= 50_000 || self.random.below(4) == 0, "three_ds": {"status": "Y", "eci": "05"},
            "tls_version": "TLSv1.3", "customer": self.random.one_of(&PEOPLE), "ip": self.address(),
        })
        .to_string()
    }

    fn sign_in(&mut self, time: Timestamp) -> String {
        let (host, person, ip) =
            (self.random.one_of(&HOSTS), self.random.one_of(&PEOPLE), self.address());
        let (pid, port) = (1_000 + self.random.below(30_000), 1_024 + self.random.below(60_000));
        let said = match self.random.below(10) {
            0 => format!("Failed password for {person} from {ip} port {port} ssh2"),
            1 => format!("Failed password for invalid user admin from {ip} port {port} ssh2"),
            2..6 => format!(
                "Accepted publickey for {person} from {ip} port {port} ssh2: ED25519 SHA256:{:043x}",
                self.random.next()
            ),
            _ => format!("pam_unix(sshd:session): session opened for user {person} by (uid=0)"),
        };
        format!("<38>1 {time} {host} sshd {pid} - - {said}")
    }

    fn flow(&mut self, time: Timestamp) -> String {
        let (sent, got) = (self.random.below(90_000), self.random.below(900_000));
        json!({
            "timestamp": time, "flow_id": self.random.next() >> 12, "in_iface": "eth1",
            "event_type": "flow", "src_ip": self.address(), "src_port": 1_024 + self.random.below(60_000),
            "dest_ip": self.address(), "dest_port": self.random.one_of(&[53_u64, 80, 443, 445, 3389, 8443]),
            "proto": "TCP", "app_proto": self.random.one_of(&["tls", "http", "dns", "smb"]),
            "flow": {"pkts_toserver": 1 + sent / 800, "pkts_toclient": 1 + got / 1_200,
                "bytes_toserver": sent, "bytes_toclient": got, "start": time, "end": time,
                "age": self.random.below(60), "state": "closed", "reason": "timeout", "alerted": false},
            "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "syn": true,
                "fin": true, "psh": true, "ack": true, "state": "closed"},
            "community_id": format!("1:{:027x}=", u128::from(self.random.next())), "host": "sensor-1",
        })
        .to_string()
    }

    fn process(&mut self, time: Timestamp) -> String {
        let (image, command, parent) = self.random.one_of(&PROCESSES);
        let (host, person) = (self.random.one_of(&HOSTS), self.random.one_of(&PEOPLE));
        let pid = 400 + self.random.below(20_000);
        json!({
            "@timestamp": time, "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational",
            "SourceName": "Microsoft-Windows-Sysmon", "Hostname": format!("{host}.bank.example"),
            "EventType": "INFO", "Severity": "INFO", "SeverityValue": 2, "Task": 1,
            "RecordNumber": self.made, "ExecutionProcessID": 2_960, "ThreadID": 3_660,
            "UserID": "S-1-5-18", "RuleName": "-", "ProcessId": pid.to_string(),
            "ProcessGuid": format!("{{{:08x}-0000-0000-0000-{:012x}}}", pid, self.made),
            "Image": image, "CommandLine": command,
            "CurrentDirectory": "C:\\Windows\\system32\\", "User": format!("BANK\\{person}"),
            "IntegrityLevel": "Medium", "Hashes": format!("SHA256={:064x}", u128::from(self.random.next())),
            "ParentImage": parent, "ParentCommandLine": format!("\"{parent}\""),
            "ParentProcessId": (400 + self.random.below(20_000)).to_string(),
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_events_again_and_another_seed_others() {
        let made = |seed| {
            let mut generator = Generator::new(seed);
            (0..500).map(|n| generator.next(Timestamp::from_secs(n)).1).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn every_topic_comes_up_and_lines_are_lines() {
        let mut generator = Generator::new(1);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..1_000 {
            let (topic, line) = generator.next(Timestamp::from_secs(n));
            seen.insert(topic.name());
            assert!(!line.contains('\n') && line.len() < 2_000, "{line}");
        }
        assert_eq!(seen.len(), 5, "{seen:?}");
    }
}
