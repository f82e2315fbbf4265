//! What is known of an address when its event comes: where it is, whose network it is of, and which zone of
//! ours. It is kept with the event, so that a rule, a search and a replay see what was known then.

mod config;

pub(crate) use config::{RawEnrich, check};

use custos_event::{FieldId, FieldTable, Flags, ParsedEvent, ValueRef, ecs};
use ipnet::IpNet;
use maxminddb::Reader;
use serde::Deserialize;
use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc};

/// What to look up, as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Enrich {
    /// Databases as `MaxMind` sells them: of places, of networks, or of both.
    pub(crate) places: Vec<PathBuf>,
    /// The narrowest networks first.
    pub(crate) zones: Vec<(IpNet, Arc<str>)>,
}

/// What events get beside what they say. Costs nothing where nothing is configured.
#[derive(Clone, Default)]
pub(crate) struct Enricher(Option<Arc<Lookups>>);

struct Lookups {
    places: Vec<Reader<Vec<u8>>>,
    zones: Vec<(IpNet, Arc<str>)>,
    sides: [Side; 2],
}

/// The fields of one end of a connection.
struct Side {
    ip: FieldId,
    country: FieldId,
    city: FieldId,
    lat: FieldId,
    lon: FieldId,
    as_number: FieldId,
    as_organization: FieldId,
    zone: FieldId,
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

impl Side {
    fn new(name: &str, (ip, country): (FieldId, FieldId), table: &FieldTable) -> Self {
        let field = |rest: &str| table.intern(&format!("{name}.{rest}"));
        Self {
            ip,
            country,
            city: field("geo.city_name"),
            lat: field("geo.location.lat"),
            lon: field("geo.location.lon"),
            as_number: field("as.number"),
            as_organization: field("as.organization.name"),
            zone: table.intern(&format!("custos.{name}.zone")),
        }
    }
}

impl Enricher {
    /// Reads the databases whole. The error names the file.
    pub(crate) fn open(enrich: &Enrich, table: &FieldTable) -> anyhow::Result<Self> {
        if *enrich == Enrich::default() {
            return Ok(Self::default());
        }
        let read = |path: &PathBuf| {
            Reader::open_readfile(path).map_err(|error| {
                anyhow::anyhow!(
                    "[enrich] places: cannot read {} as a MaxMind database: {error}",
                    path.display()
                )
            })
        };
        let places = enrich.places.iter().map(read).collect::<anyhow::Result<_>>()?;
        let sides = [
            Side::new("source", (ecs::SOURCE_IP, ecs::SOURCE_GEO_COUNTRY_ISO_CODE), table),
            Side::new(
                "destination",
                (ecs::DESTINATION_IP, ecs::DESTINATION_GEO_COUNTRY_ISO_CODE),
                table,
            ),
        ];
        Ok(Self(Some(Arc::new(Lookups { places, zones: enrich.zones.clone(), sides }))))
    }

    /// Adds to an event what is known of its addresses. What it says itself stays.
    pub(crate) fn add(&self, event: &mut ParsedEvent) {
        let Some(lookups) = &self.0 else { return };
        if event.header.flags.has(Flags::REJECTED) {
            return;
        }
        for side in &lookups.sides {
            let Some(ValueRef::Str(text)) = event.get(side.ip) else { continue };
            // Somebody's own address may be sealed: nothing is looked up then.
            let Ok(address) = text.parse::<IpAddr>() else { continue };
            lookups.add(side, address, event);
        }
    }
}

impl Lookups {
    fn add(&self, side: &Side, address: IpAddr, event: &mut ParsedEvent) {
        let mut add = |field: FieldId, value: ValueRef<'_>| {
            if event.get(field).is_none() {
                event.enrich(field, value);
            }
        };
        if let Some((_, zone)) = self.zones.iter().find(|(net, _)| net.contains(&address)) {
            add(side.zone, ValueRef::Str(zone));
        }
        for known in self.places.iter().filter_map(|reader| known(reader, address)) {
            let texts = [
                (side.country, known.country.iso_code),
                (side.city, known.city.names.en),
                (side.as_organization, known.autonomous_system_organization),
            ];
            for (field, text) in texts {
                if let Some(text) = text {
                    add(field, ValueRef::Str(&text));
                }
            }
            if let (Some(lat), Some(lon)) = (known.location.latitude, known.location.longitude) {
                add(side.lat, ValueRef::Float(lat));
                add(side.lon, ValueRef::Float(lon));
            }
            if let Some(number) = known.autonomous_system_number {
                add(side.as_number, ValueRef::Int(number.into()));
            }
        }
    }
}

/// What is damaged in a database is as if it were not there, and is counted.
fn known(reader: &Reader<Vec<u8>>, address: IpAddr) -> Option<Known> {
    let found = reader.lookup(address).and_then(|found| found.decode::<Known>());
    found.unwrap_or_else(|_| {
        metrics::counter!("custos_enrich_failed_total").increment(1);
        None
    })
}

impl fmt::Debug for Enricher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enricher").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::{Header, Parser, Shape, Timestamp};

    /// What an event gets, as `field=value`.
    fn enriched(written: &str, event: &str) -> Result<Vec<String>, String> {
        let raw: RawEnrich = toml::from_str(written).map_err(|error| error.to_string())?;
        let below = |path: PathBuf| path;
        let enrich = check(raw, &below).map_err(|error| error.to_string())?;
        let table = Arc::new(FieldTable::new());
        let enricher = Enricher::open(&enrich, &table).map_err(|error| error.to_string())?;
        let header = Header::new("s".into(), Timestamp(0), Shape::Ecs, "d".into());
        let mut parser = Parser::new(Arc::clone(&table));
        let mut event = ParsedEvent::parse(header, event.to_owned().into(), &mut parser).unwrap();
        let own = event.iter().count();
        enricher.add(&mut event);
        let added = event.iter().skip(own);
        Ok(added.map(|(id, value)| format!("{}={value}", table.name(id))).collect())
    }

    const ZONES: &str = r#"
        zone = [
            { name = "offices", networks = ["10.0.0.0/8", "2001:db8::/32"] },
            { name = "payments", networks = ["10.20.0.0/16"] },
        ]"#;

    #[test]
    fn the_narrowest_zone_of_each_end_is_kept_with_the_event() {
        let of = |event| enriched(ZONES, event).unwrap();
        assert_eq!(
            of(r#"{"source":{"ip":"10.20.1.1"},"destination":{"ip":"10.9.0.1"}}"#),
            ["custos.source.zone=payments", "custos.destination.zone=offices"]
        );
        assert_eq!(of(r#"{"source":{"ip":"2001:db8::1"}}"#), ["custos.source.zone=offices"]);
        assert_eq!(of(r#"{"source":{"ip":"192.0.2.1"}}"#), [""; 0]);
        assert_eq!(of(r#"{"source":{"ip":"prv_00"}}"#), [""; 0]);
        let own = r#"{"source":{"ip":"10.20.1.1"},"custos":{"source":{"zone":"lab"}}}"#;
        assert_eq!(of(own), [""; 0], "what the event says itself stays");
    }

    #[test]
    fn a_configuration_that_is_wrong_says_where() {
        let told = |written| enriched(written, "{}").unwrap_err();
        assert_eq!(
            told(r#"zone = [{ name = "a", networks = ["10.1.2.3/8x"] }]"#),
            "[[enrich.zone]] 'a': '10.1.2.3/8x' is no network, as in '10.20.0.0/16'"
        );
        assert_eq!(
            told(r#"zone = [{ name = " ", networks = [] }]"#),
            "[[enrich.zone]] has a 'name' and some 'networks'"
        );
        let twice = r#"zone = [{ name = "a", networks = ["10.0.0.0/8"] }, { name = "b", networks = ["10.1.1.1/8"] }]"#;
        assert_eq!(told(twice), "[[enrich.zone]] 'b': '10.0.0.0/8' is one of 'a' already");
        assert!(told(r#"places = ["/nowhere.mmdb"]"#).contains("cannot read /nowhere.mmdb"));
        assert!(told("place = []").contains("unknown field `place`"));
    }
}
