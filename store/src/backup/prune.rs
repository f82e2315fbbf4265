//! Lets old backups go, and never one that a kept one needs. Keys go earlier than what they open: whose key was
//! destroyed must not come back with a restore.

use super::{
    catalog::Shelf, check::expired_text, create::is_keys, manifest::Manifest, target::Target,
};
use crate::{error::StoreError, keys::KeyDays};
use bytes::Bytes;
use custos_event::{Timestamp, time::NANOS_PER_SEC};
use std::collections::BTreeSet;

pub(super) const EXPIRED: &str = "keys-expired";

/// Which backups stay. The newest always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunePolicy {
    /// The newest so many.
    pub last: u32,
    /// The newest of each of so many days (UTC) that have one, and weeks.
    pub daily: u32,
    pub weekly: u32,
    /// Keyrings older than this are let go where a newer backup has one; RELIABILITY §6 wants at most 30.
    pub keys_days: KeyDays,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        Self { last: 7, daily: 30, weekly: 52, keys_days: KeyDays::MAX }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub removed: Vec<String>,
    pub bytes: u64,
    /// Kept because others need them.
    pub needed: Vec<String>,
    pub keys_expired: Vec<String>,
}

const DAY: i64 = 86_400 * NANOS_PER_SEC;

/// Removes what the policy does not keep. Manifest first: a backup half removed is none.
pub fn prune(target: &Target, policy: &PrunePolicy, now: Timestamp) -> Result<Pruned, StoreError> {
    let shelf = Shelf::read(target)?;
    if let Some(error) = shelf.damage() {
        // What it needs is not known.
        return Err(error);
    }
    let manifests: Vec<&Manifest> = shelf.readable().collect();
    let wanted = wanted(&manifests, policy);
    let kept = with_needs(&manifests, &wanted);
    let mut pruned = Pruned::default();
    for manifest in manifests.iter().rev() {
        if !kept.contains(manifest.id.as_str()) {
            target.delete(&Manifest::object(&manifest.id))?;
            pruned.bytes += target.delete_folder(&manifest.id)?;
            pruned.removed.push(manifest.id.clone());
        } else if !wanted.contains(manifest.id.as_str()) {
            pruned.needed.push(manifest.id.clone());
        }
    }
    expire_keys(target, &manifests, &kept, (policy, now), &mut pruned)?;
    Ok(pruned)
}

fn wanted<'m>(manifests: &[&'m Manifest], policy: &PrunePolicy) -> BTreeSet<&'m str> {
    let newest = || manifests.iter().rev().copied();
    let mut wanted: BTreeSet<&str> =
        newest().take(policy.last.max(1) as usize).map(|manifest| manifest.id.as_str()).collect();
    // 1970-01-01 was a Thursday: weeks begin on Monday.
    let spans = [(policy.daily, 0, 1), (policy.weekly, 3, 7)];
    for (count, shift, days) in spans {
        let mut seen = BTreeSet::new();
        for manifest in newest() {
            let day = manifest.created_at.0.div_euclid(DAY);
            let span = (day + shift).div_euclid(days);
            if seen.len() < count as usize && seen.insert(span) {
                wanted.insert(&manifest.id);
            }
        }
    }
    wanted
}

fn with_needs<'m>(manifests: &[&'m Manifest], wanted: &BTreeSet<&'m str>) -> BTreeSet<&'m str> {
    let mut kept = wanted.clone();
    // The newest first: what one needs is older, and may need more.
    for manifest in manifests.iter().rev() {
        if kept.contains(manifest.id.as_str()) {
            kept.extend(manifest.needs());
        }
    }
    kept
}

fn expire_keys(
    target: &Target,
    manifests: &[&Manifest],
    kept: &BTreeSet<&str>,
    (policy, now): (&PrunePolicy, Timestamp),
    pruned: &mut Pruned,
) -> Result<(), StoreError> {
    let all_but_newest = manifests.split_last().map_or(&[][..], |(_, older)| older);
    for manifest in all_but_newest {
        let id = &manifest.id;
        if !policy.keys_days.are_over(manifest.created_at, now) || !kept.contains(id.as_str()) {
            continue;
        }
        let marker = format!("{id}/{EXPIRED}");
        if target.get(&marker, 1 << 10)?.is_none() {
            target.put(&marker, Bytes::from(expired_text(id)))?;
            pruned.keys_expired.push(id.clone());
        }
        for file in manifest.files.iter().filter(|file| is_keys(&file.path)) {
            target.delete(&format!("{id}/{}", file.path))?;
        }
    }
    Ok(())
}
