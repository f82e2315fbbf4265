//! What a playbook never acts on, whoever approves it: our own networks, and the accounts and addresses that
//! the configuration protects.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// Targets that are out of reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Public addresses that are our own, and partners': beside the private ranges, which always are.
    pub networks: Vec<IpNet>,
    /// Accounts without which nobody gets in any more.
    pub users: Vec<String>,
}

impl Limits {
    /// Why `address` is never acted on.
    pub fn protects_address(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        if let Some(why) = not_outside(address) {
            return Some(format!("{address} is {why}, which no playbook acts on"));
        }
        let network = self.networks.iter().find(|network| network.contains(&address))?;
        Some(format!("{address} lies in {network}, which the configuration protects"))
    }

    /// Why `user` is never acted on.
    pub fn protects_user(&self, user: &str) -> Option<String> {
        let known = self.users.iter().find(|known| known.eq_ignore_ascii_case(user.trim()))?;
        Some(format!("the account '{known}' is one that the configuration protects"))
    }
}

/// What kind of address it is, unless it is somebody else's on the internet.
pub fn not_outside(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            if v4.is_loopback() {
                Some("a loopback address")
            } else if v4.is_private() || (a == 100 && (64..128).contains(&b)) {
                Some("a private address")
            } else if v4.is_link_local() {
                Some("a link-local address")
            } else if a == 0 || v4.is_multicast() || v4.is_broadcast() || a >= 240 {
                Some("no address of one machine")
            } else {
                None
            }
        }
        IpAddr::V6(v6) => not_outside_v6(v6),
    }
}

fn not_outside_v6(v6: Ipv6Addr) -> Option<&'static str> {
    let [first, second, .., high, low] = v6.segments();
    if v6.is_loopback() {
        Some("a loopback address")
    } else if v6.is_unique_local() || first & 0xffc0 == 0xfec0 {
        Some("a private address")
    } else if v6.is_unicast_link_local() {
        Some("a link-local address")
    } else if v6.is_unspecified() || v6.is_multicast() {
        Some("no address of one machine")
    } else if (first == 0x64 && second == 0xff9b) || v6.segments()[..6] == [0; 6] {
        // NAT64 and the old IPv4-compatible form reach an IPv4 address by another name.
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        not_outside(IpAddr::from([a, b, c, d]))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_networks_are_out_of_reach_by_every_name() {
        let limits = Limits {
            networks: vec!["198.51.100.0/24".parse().unwrap()],
            users: vec!["root".into()],
        };
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.51.100.7",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "::10.0.0.1",
            "::",
        ] {
            assert!(limits.protects_address(own.parse().unwrap()).is_some(), "{own}");
        }
        for other in ["203.0.113.7", "8.8.8.8", "2001:db8::1", "64:ff9b::cb00:7107"] {
            assert_eq!(limits.protects_address(other.parse().unwrap()), None, "{other}");
        }
        assert!(limits.protects_user("Root").is_some());
        assert_eq!(limits.protects_user("rooty"), None);
    }
}
