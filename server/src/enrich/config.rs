//! `[enrich]` of the configuration: what is looked up of those in events.

use super::{
    Enrich,
    directory::{self, RawDirectory},
};
use anyhow::bail;
use ipnet::IpNet;
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};

/// Each network costs a comparison for each address: at 2 ns some 4 µs an event.
const NETWORKS_MAX: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEnrich {
    #[serde(default)]
    places: Vec<PathBuf>,
    #[serde(default)]
    assets: Vec<PathBuf>,
    #[serde(default)]
    identities: Vec<PathBuf>,
    #[serde(default)]
    directory: Vec<RawDirectory>,
    #[serde(default)]
    zone: Vec<RawZone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    name: String,
    networks: Vec<String>,
}

/// Relative paths are taken by `below`.
pub(crate) fn check(raw: RawEnrich, below: &dyn Fn(PathBuf) -> PathBuf) -> anyhow::Result<Enrich> {
    let mut zones: Vec<(IpNet, Arc<str>)> = Vec::new();
    for RawZone { name, networks } in raw.zone {
        if name.trim().is_empty() || networks.is_empty() {
            bail!("[[enrich.zone]] has a 'name' and some 'networks'");
        }
        let name: Arc<str> = name.into();
        for text in networks {
            let Ok(net) = text.parse::<IpNet>() else {
                bail!("[[enrich.zone]] '{name}': '{text}' is no network, as in '10.20.0.0/16'");
            };
            let net = net.trunc();
            if let Some((_, other)) = zones.iter().find(|(known, _)| *known == net) {
                bail!("[[enrich.zone]] '{name}': '{net}' is one of '{other}' already");
            }
            zones.push((net, Arc::clone(&name)));
        }
    }
    if zones.len() > NETWORKS_MAX {
        bail!("[[enrich.zone]] has {} networks; at most {NETWORKS_MAX}", zones.len());
    }
    zones.sort_by_key(|(net, _)| (std::cmp::Reverse(net.prefix_len()), *net));
    let paths = |written: Vec<PathBuf>| written.into_iter().map(below).collect();
    let (places, assets) = (paths(raw.places), paths(raw.assets));
    let directories = directory::check(raw.directory, below)?;
    Ok(Enrich { places, assets, identities: paths(raw.identities), directories, zones })
}
