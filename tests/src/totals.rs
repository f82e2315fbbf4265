//! Who holds what: every record by topic, partition and offset, with its text.

use crate::custos::{self, Node};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Place of a record in Kafka's terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Records by their place: a digest of each one's text, once for each time it is held.
#[derive(Debug, Default)]
pub struct Totals(HashMap<Place, Vec<u64>>);

impl Totals {
    pub fn add(&mut self, place: Place, text: &str) {
        let mut digest = DefaultHasher::new();
        text.hash(&mut digest);
        self.0.entry(place).or_default().push(digest.finish());
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Everything that the log of `node` holds from Kafka, by way of a search for all of it.
    pub fn stored(node: &Node) -> Result<Self> {
        let found = node.run(&["search", "--json", "--limit", "0", "kafka.topic:*"])?.done()?;
        let mut totals = Self::default();
        for line in found.json()? {
            let place = place(&line).with_context(|| format!("no Kafka place in {line}"))?;
            totals.add(place, line["raw"].as_str().unwrap_or_default());
        }
        Ok(totals)
    }

    /// Fails unless both hold the same texts at the same places, each exactly once.
    pub fn assert_same_as(&self, sent: &Self) -> Result<()> {
        let lost: Vec<_> = sent.0.keys().filter(|place| !self.0.contains_key(place)).collect();
        let strange: Vec<_> = self.0.keys().filter(|place| !sent.0.contains_key(place)).collect();
        let doubled: Vec<_> =
            self.0.iter().filter(|(_, texts)| texts.len() > 1).map(|(place, _)| place).collect();
        let other = |place: &Place| sent.0.get(place).is_some_and(|texts| texts != &self.0[place]);
        let changed: Vec<_> =
            self.0.keys().filter(|place| self.0[place].len() == 1 && other(place)).collect();
        let mut wrong = Vec::new();
        for (what, places) in
            [("lost", lost), ("never sent", strange), ("doubled", doubled), ("changed", changed)]
        {
            if !places.is_empty() {
                let some = places.iter().take(5).collect::<Vec<_>>();
                wrong.push(format!("{} records {what}, as {some:?}", places.len()));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        ensure!(self.count() == sent.count(), "{} stored, {} sent", self.count(), sent.count());
        Ok(())
    }
}

fn place(line: &Value) -> Option<Place> {
    let fields = &line["fields"];
    Some(Place {
        topic: fields["kafka.topic"].as_str()?.to_owned(),
        partition: i32::try_from(fields["kafka.partition"].as_i64()?).ok()?,
        offset: fields["kafka.offset"].as_i64()?,
    })
}

/// Output that must be the same again after the projections were made anew.
pub fn answers(node: &Node, queries: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut answers = Vec::new();
    let mut keep = |what: String, ran: custos::Ran| -> Result<()> {
        ensure!(!ran.stdout.is_empty(), "'{what}' finds nothing; the comparison would be empty");
        answers.push((what, ran.stdout));
        Ok(())
    };
    for query in queries {
        let found = node.run(&["search", "--json", "--limit", "0", query])?.done()?;
        keep(format!("search {query}"), found)?;
        keep(format!("count {query}"), node.run(&["search", "--json", "--count", query])?.done()?)?;
    }
    keep("alerts".into(), node.run(&["alerts", "--json", "--limit", "0"])?.done()?)?;
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(records: &[(i64, &str)]) -> Totals {
        let mut totals = Totals::default();
        for (offset, text) in records {
            totals.add(Place { topic: "t".into(), partition: 0, offset: *offset }, text);
        }
        totals
    }

    #[test]
    fn a_lost_doubled_changed_or_strange_record_is_told() {
        let sent = totals(&[(0, "a"), (1, "b")]);
        assert!(totals(&[(1, "b"), (0, "a")]).assert_same_as(&sent).is_ok());
        for (stored, told) in [
            (totals(&[(0, "a")]), "1 records lost"),
            (totals(&[(0, "a"), (1, "b"), (1, "b")]), "1 records doubled"),
            (totals(&[(0, "a"), (1, "c")]), "1 records changed"),
            (totals(&[(0, "a"), (1, "b"), (2, "c")]), "1 records never sent"),
            (totals(&[(0, "a"), (0, "a")]), "}]; 1 records doubled"),
        ] {
            let error = stored.assert_same_as(&sent).unwrap_err().to_string();
            assert!(error.contains(told), "{told} in: {error}");
        }
    }
}
