//! Who was where last, for rules that mind impossible travel. State of one log, on one thread.

use crate::{rule::Velocity, ruleset::RuleIndex};
use custos_event::{FieldTable, ParsedEvent, Timestamp, ValueRef, time::NANOS_PER_SEC};
use hashbrown::HashMap;

/// Places of all rules: at some 150 bytes each 30 MB. Beyond them those that were seen longest ago are forgotten.
const PLACES_MAX: usize = 200_000;

/// Nobody is faster over less: what tells a place by an address is often so far off.
const NEAR_KM: f64 = 100.0;

const EARTH_RADIUS_KM: f64 = 6_371.0;

/// A place on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    lat: f64,
    lon: f64,
}

/// A way that nobody travels so fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Way {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) km: f64,
    pub(crate) kmh: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Travels {
    last: HashMap<(RuleIndex, Box<str>), (Place, Timestamp)>,
}

impl Travels {
    /// Notes where somebody is, and says what is wrong with how they came there.
    pub(crate) fn take(
        &mut self,
        (rule, asks): (RuleIndex, &Velocity),
        who: &str,
        (place, at): (Place, Timestamp),
    ) -> Option<Way> {
        let key = (rule, Box::from(who));
        let before = self.last.get(&key).copied();
        let before = before.filter(|(_, then)| at.0.saturating_sub(then.0) <= asks.within);
        if before.is_none_or(|(_, then)| at >= then) {
            self.make_room(&key);
            self.last.insert(key, (place, at));
        }
        let (from, then) = before?;
        let km = from.km_to(place);
        // Of one second at least: none has a speed.
        let nanos = at.0.saturating_sub(then.0).saturating_abs().max(NANOS_PER_SEC);
        #[expect(clippy::cast_precision_loss, reason = "a time of at most a day, in hours")]
        let kmh = km / (nanos as f64 / (3_600.0 * NANOS_PER_SEC as f64));
        let is_way = km > NEAR_KM && kmh > f64::from(asks.above_kmh);
        is_way.then_some(Way { from, to: place, km, kmh })
    }

    fn make_room(&mut self, key: &(RuleIndex, Box<str>)) {
        if self.last.len() < PLACES_MAX || self.last.contains_key(key) {
            return;
        }
        let mut times: Vec<Timestamp> = self.last.values().map(|(_, at)| *at).collect();
        let middle = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(middle);
        let middle = *middle;
        self.last.retain(|_, (_, at)| *at > middle);
    }
}

impl Place {
    /// `None` where these are no degrees.
    pub(crate) fn new(lat: f64, lon: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon))
            .then_some(Self { lat, lon })
    }

    /// What an event has under `field`: `lat` and `lon`, or both in one text.
    pub(crate) fn of(event: &ParsedEvent, table: &FieldTable, field: &str) -> Option<Self> {
        let value = |name: &str| event.get(table.get(name)?);
        let number = |name: &str| -> Option<f64> {
            let value = value(&format!("{field}.{name}"))?;
            if let ValueRef::Str(text) = value { text.trim().parse().ok() } else { value.as_f64() }
        };
        if let (Some(lat), Some(lon)) = (number("lat"), number("lon")) {
            return Self::new(lat, lon);
        }
        let ValueRef::Str(text) = value(field)? else { return None };
        let (lat, lon) = text.split_once(',')?;
        Self::new(lat.trim().parse().ok()?, lon.trim().parse().ok()?)
    }

    /// Along a great circle, by the haversine.
    fn km_to(self, other: Self) -> f64 {
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |a: f64, b: f64| ((b - a) / 2.0).sin().powi(2);
        let lon = half(self.lon.to_radians(), other.lon.to_radians());
        let chord = half(lat, other_lat) + lat.cos() * other_lat.cos() * lon;
        2.0 * EARTH_RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2},{:.2}", self.lat, self.lon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lat: f64, lon: f64) -> Place {
        Place::new(lat, lon).unwrap()
    }

    #[test]
    fn the_earth_is_round() {
        let close = |a: f64, b: f64| (a - b).abs() < b / 200.0;
        let (berlin, new_york) = (place(52.52, 13.405), place(40.713, -74.006));
        assert!(close(berlin.km_to(new_york), 6_385.0), "{}", berlin.km_to(new_york));
        assert!(close(place(0.0, 179.0).km_to(place(0.0, -179.0)), 222.4), "over the date line");
        assert!(close(place(90.0, 0.0).km_to(place(-90.0, 0.0)), 20_015.0), "from pole to pole");
        assert!(Place::new(91.0, 0.0).is_none() && Place::new(0.0, f64::NAN).is_none());
    }
}
