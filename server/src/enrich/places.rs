//! Databases of places and networks, as `MaxMind` sells them.

use super::Additions;
use custos_event::{FieldId, FieldTable, ValueRef};
use maxminddb::Reader;
use serde::Deserialize;
use std::{net::IpAddr, path::Path};

/// One database, read whole.
pub(super) struct Places(Reader<Vec<u8>>);

/// The fields that an address gives one end of a connection.
pub(super) struct PlaceFields {
    country: FieldId,
    city: FieldId,
    lat: FieldId,
    lon: FieldId,
    as_number: FieldId,
    as_organization: FieldId,
}

/// What a database knows of an address; each kind has a part of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Known {
    country: Country,
    city: City,
    location: Location,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Country {
    iso_code: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct City {
    names: Names,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Names {
    en: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl PlaceFields {
    pub(super) fn of(side: &str, country: FieldId, table: &FieldTable) -> Self {
        let field = |rest: &str| table.intern(&format!("{side}.{rest}"));
        Self {
            country,
            city: field("geo.city_name"),
            lat: field("geo.location.lat"),
            lon: field("geo.location.lon"),
            as_number: field("as.number"),
            as_organization: field("as.organization.name"),
        }
    }
}

impl Places {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Reader::open_readfile(path).map(Self).map_err(|error| {
            anyhow::anyhow!(
                "[enrich] places: cannot read {} as a MaxMind database: {error}",
                path.display()
            )
        })
    }

    pub(super) fn add(&self, fields: &PlaceFields, address: IpAddr, add: &mut Additions<'_>) {
        let Some(known) = self.known(address) else { return };
        let texts = [
            (fields.country, known.country.iso_code),
            (fields.city, known.city.names.en),
            (fields.as_organization, known.autonomous_system_organization),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                add.one(field, ValueRef::Str(&text));
            }
        }
        if let (Some(lat), Some(lon)) = (known.location.latitude, known.location.longitude) {
            add.one(fields.lat, ValueRef::Float(lat));
            add.one(fields.lon, ValueRef::Float(lon));
        }
        if let Some(number) = known.autonomous_system_number {
            add.one(fields.as_number, ValueRef::Int(number.into()));
        }
    }

    /// What is damaged in a database is as if it were not there, and is counted.
    fn known(&self, address: IpAddr) -> Option<Known> {
        let found = self.0.lookup(address).and_then(|found| found.decode::<Known>());
        found.unwrap_or_else(|_| {
            metrics::counter!("custos_enrich_failed_total").increment(1);
            None
        })
    }
}
