//! Which addresses an endpoint's name may lead to: checked where the name is resolved, so that no later answer
//! of a name server leads elsewhere.

use crate::limits::not_outside;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Resolves names, and refuses answers inside our own networks unless the endpoint says so.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) resolver: DefaultResolver,
    /// Where the endpoint is written as an address: that one, no other.
    pub(super) literal: Option<IpAddr>,
    /// Inside networks that this endpoint may lie in.
    pub(super) networks: Vec<IpNet>,
}

impl Guard {
    pub(super) fn refuses(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        if let Some(literal) = self.literal {
            return (literal.to_canonical() != address)
                .then(|| format!("{address} is not the endpoint's address {literal}"));
        }
        if self.networks.iter().any(|network| network.contains(&address)) {
            return None;
        }
        let why = not_outside(address)?;
        Some(format!(
            "its name leads to {address}, {why}; if it is meant to, name the network in the endpoint's 'networks'"
        ))
    }
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let refused = found.iter().map(SocketAddr::ip).find_map(|address| self.refuses(address));
        match refused {
            Some(why) => Err(Error::Other(Box::new(Refused(why)))),
            None => Ok(found),
        }
    }
}

/// The address is out of bounds; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, address: &str) -> bool {
        guard.refuses(address.parse().unwrap()).is_none()
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_unless_its_network_is_named() {
        let guard = Guard::default();
        for inside in
            ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"]
        {
            assert!(!check(&guard, inside), "{inside}");
        }
        assert!(check(&guard, "203.0.113.7"));
        let guard = Guard { networks: vec!["10.2.0.0/16".parse().unwrap()], ..Guard::default() };
        assert!(check(&guard, "10.2.3.4") && check(&guard, "::ffff:10.2.3.4"));
        assert!(!check(&guard, "10.3.0.1"));
    }

    #[test]
    fn a_literal_address_leads_to_itself_only() {
        let guard = Guard { literal: Some([127, 0, 0, 1].into()), ..Guard::default() };
        assert!(check(&guard, "127.0.0.1"));
        assert!(!check(&guard, "127.0.0.2") && !check(&guard, "203.0.113.7"));
    }
}
