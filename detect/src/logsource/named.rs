//! Sources that rules name and Custos does not know: datasets of users' own mappings and of shippers.
//!
//! An event of dataset `gate.log` is of product `gate`, and of the services `gate` and `log`.

use super::{EventSource, sources};
use crate::rule::RuleSource;
use hashbrown::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Sources that rules named since the start of the process, each kept as long as it lives: at some 150 bytes 1.5 MB.
/// Rules that name others still see no event.
const SOURCES_MAX: usize = 10_000;

/// The sources of one ruleset, by dataset and by its first part.
#[derive(Clone, Debug, Default)]
pub(super) struct Named(HashMap<String, EventSource>);

impl Named {
    /// Those that `rules` name, and that are not of a product that Custos knows.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r RuleSource>) -> Self {
        let mut named = HashMap::new();
        for rule in rules {
            let Some(product) = rule.product.as_deref() else { continue };
            if sources::is_known(product) {
                continue;
            }
            named.extend(source(product, None).map(|it| (product.to_owned(), it)));
            if let Some(service) = rule.service.as_deref().filter(|service| *service != product) {
                let own = source(product, Some(service));
                named.extend(own.map(|it| (format!("{product}.{service}"), it)));
            }
        }
        Self(named)
    }

    pub(super) fn dataset(&self, dataset: &str) -> Option<EventSource> {
        if self.0.is_empty() {
            return None;
        }
        let first = || self.0.get(dataset.split('.').next()?);
        self.0.get(dataset).or_else(first).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = EventSource> {
        self.0.values().copied()
    }
}

/// The same source for the same names, always.
fn source(product: &str, service: Option<&str>) -> Option<EventSource> {
    type Sources = HashMap<(String, Option<String>), EventSource>;
    static SOURCES: OnceLock<Mutex<Sources>> = OnceLock::new();
    let mut sources =
        SOURCES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let names = (product.to_owned(), service.map(str::to_owned));
    if let Some(source) = sources.get(&names) {
        return Some(*source);
    }
    if sources.len() >= SOURCES_MAX {
        return None;
    }
    let product: &'static str = Box::leak(product.into());
    let services = [Some(product), service.map(|service| &*Box::leak(service.into()))];
    let services: Vec<&'static str> = services.into_iter().flatten().collect();
    let source = EventSource { product, services: Box::leak(services.into()), categories: &[] };
    sources.insert(names, source);
    Some(source)
}
