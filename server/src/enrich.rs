//! What is known of those in an event when it comes: of an address where it is, whose network it is of and which zone of
//! ours, of a machine and of an account what our registers say. It is kept with the event, so that a rule, a search and a
//! replay see what was known then.

mod config;
mod directory;
mod places;
mod register;
mod watch;

pub(crate) use config::{RawEnrich, check};
pub(crate) use directory::keep;
pub(crate) use watch::watch;

use custos_event::{FieldId, FieldTable, Flags, ParsedEvent, ValueRef, ecs};
use directory::Directory;
use ipnet::IpNet;
use places::{PlaceFields, Places};
use register::{Kind, Register};
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use watch::Stamp;

/// What to look up, as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Enrich {
    /// Databases as `MaxMind` sells them: of places, of networks, or of both.
    pub(crate) places: Vec<PathBuf>,
    /// Registers of machines, and of people: CSV files.
    pub(crate) assets: Vec<PathBuf>,
    pub(crate) identities: Vec<PathBuf>,
    /// Registers that are pulled, and read as soon as they came.
    pub(crate) directories: Vec<Directory>,
    /// The narrowest networks first.
    pub(crate) zones: Vec<(IpNet, Arc<str>)>,
}

/// What events get beside what they say. Costs nothing where nothing is configured.
#[derive(Clone, Default)]
pub(crate) struct Enricher(Option<Arc<Held>>);

struct Held {
    enrich: Enrich,
    /// Where the registers lie that were pulled.
    pulled: PathBuf,
    /// The files before they were first read.
    read: Vec<Stamp>,
    lookups: RwLock<Arc<Lookups>>,
}

struct Lookups {
    places: Vec<Places>,
    registers: Vec<Register>,
    zones: Vec<(IpNet, Arc<str>)>,
    sides: [Side; 2],
}

/// The fields of one end of a connection.
struct Side {
    ip: FieldId,
    place: PlaceFields,
    zone: FieldId,
}

/// An event that gets what it does not say itself.
struct Additions<'e>(&'e mut ParsedEvent);

impl Additions<'_> {
    fn event(&self) -> &ParsedEvent {
        self.0
    }

    fn one(&mut self, field: FieldId, value: ValueRef<'_>) {
        if self.0.get(field).is_none() {
            self.0.enrich(field, value);
        }
    }
}

impl Side {
    fn new(name: &str, ip: FieldId, country: FieldId, table: &FieldTable) -> Self {
        let zone = table.intern(&format!("custos.{name}.zone"));
        Self { ip, place: PlaceFields::of(name, country, table), zone }
    }
}

impl Enrich {
    /// The files that are read, at last those that were pulled.
    fn files(&self, pulled: &Path) -> impl Iterator<Item = PathBuf> {
        let written = self.places.iter().chain(&self.assets).chain(&self.identities);
        written.cloned().chain(self.directories.iter().map(|one| one.file(pulled)))
    }

    fn open(&self, pulled: &Path, table: &FieldTable) -> anyhow::Result<Lookups> {
        let places = self.places.iter().map(|path| Places::read(path)).collect::<Result<_, _>>()?;
        let of = |kind: Kind, paths: &[PathBuf]| -> anyhow::Result<Vec<Register>> {
            paths.iter().map(|path| Register::read(kind, path, table)).collect()
        };
        let mut registers = of(Kind::Assets, &self.assets)?;
        registers.extend(of(Kind::Identities, &self.identities)?);
        registers.extend(self.directories.iter().filter_map(|one| one.register(pulled, table)));
        let sides = [
            Side::new("source", ecs::SOURCE_IP, ecs::SOURCE_GEO_COUNTRY_ISO_CODE, table),
            Side::new(
                "destination",
                ecs::DESTINATION_IP,
                ecs::DESTINATION_GEO_COUNTRY_ISO_CODE,
                table,
            ),
        ];
        Ok(Lookups { places, registers, zones: self.zones.clone(), sides })
    }
}

impl Enricher {
    /// Reads the databases and registers whole, and what was pulled into the folder of the data. The error names the file
    /// and, of a register, the line.
    pub(crate) fn open(enrich: &Enrich, data: &Path, table: &FieldTable) -> anyhow::Result<Self> {
        if *enrich == Enrich::default() {
            return Ok(Self::default());
        }
        let pulled = directory::folder(data);
        let (enrich, read) = (enrich.clone(), watch::stamps(enrich, &pulled));
        let lookups = RwLock::new(Arc::new(enrich.open(&pulled, table)?));
        Ok(Self(Some(Arc::new(Held { enrich, pulled, read, lookups }))))
    }

    /// Adds to events what is known of those in them. What they say themselves stays.
    pub(crate) fn add(&self, events: &mut [ParsedEvent]) {
        let Some(held) = &self.0 else { return };
        let lookups = Arc::clone(&held.lookups.read().unwrap_or_else(PoisonError::into_inner));
        for event in events.iter_mut().filter(|event| !event.header.flags.has(Flags::REJECTED)) {
            lookups.add(&mut Additions(event));
        }
    }
}

impl Lookups {
    fn add(&self, add: &mut Additions<'_>) {
        for side in &self.sides {
            let Some(ValueRef::Str(text)) = add.event().get(side.ip) else { continue };
            // Somebody's own address may be sealed: nothing is looked up then.
            let Ok(address) = text.parse::<IpAddr>() else { continue };
            self.of_address(side, address, add);
        }
        for register in &self.registers {
            register.enrich(add);
        }
    }

    fn of_address(&self, side: &Side, address: IpAddr, add: &mut Additions<'_>) {
        if let Some((_, zone)) = self.zones.iter().find(|(net, _)| net.contains(&address)) {
            add.one(side.zone, ValueRef::Str(zone));
        }
        for places in &self.places {
            places.add(&side.place, address, add);
        }
    }
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
        let data = Path::new("/nowhere");
        let enricher = Enricher::open(&enrich, data, &table).map_err(|error| error.to_string())?;
        let header = Header::new("s".into(), Timestamp(0), Shape::Ecs, "d".into());
        let mut parser = Parser::new(Arc::clone(&table));
        let mut event = ParsedEvent::parse(header, event.to_owned().into(), &mut parser).unwrap();
        let own = event.iter().count();
        enricher.add(std::slice::from_mut(&mut event));
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
    fn what_registers_say_of_machines_and_people_is_kept_with_the_event() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name).display().to_string()
        };
        let assets = file(
            "assets.csv",
            "\u{feff}ip,hostname,owner,criticality\n10.1.1.1,core-db,ops,5\n10.0.0.0/8,,net,\n",
        );
        let people = file(
            "people.csv",
            "User,Full_name,Department\nanna;adm.anna,\"Berg, Anna\",Treasury\n",
        );
        let written = format!("assets = [{assets:?}]\nidentities = [{people:?}]");
        let of = |event| enriched(&written, event).unwrap();
        assert_eq!(
            of(
                r#"{"source":{"ip":"10.2.2.2"},"destination":{"ip":"10.1.1.1"},"user":{"name":"BANK\\adm.Anna"}}"#
            ),
            [
                "custos.source.asset.ip=10.0.0.0/8",
                "custos.source.asset.owner=net",
                "custos.destination.asset.ip=10.1.1.1",
                "custos.destination.asset.hostname=core-db",
                "custos.destination.asset.owner=ops",
                "custos.destination.asset.criticality=5",
                "custos.user.user=anna;adm.anna",
                "user.full_name=Berg, Anna",
                "custos.user.department=Treasury",
            ]
        );
        let own =
            r#"{"host":{"name":"CORE-DB.bank.example"},"user":{"name":"anna","full_name":"A"}}"#;
        let added = of(own);
        assert!(added.contains(&"custos.host.asset.owner=ops".to_owned()), "{added:?}");
        assert!(!added.iter().any(|one| one.starts_with("user.full_name")), "{added:?}");
        assert_eq!(of(r#"{"user":{"name":"prv_00"},"host":{"name":"elsewhere"}}"#), [""; 0]);
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
        assert!(told(r#"assets = ["/nowhere.csv"]"#).starts_with("[enrich] assets: /nowhere.csv"));
        assert!(told("place = []").contains("unknown field `place`"));
    }
}
