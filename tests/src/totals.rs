//! Who holds what: every record by topic, partition and offset, with its text.

use crate::custos::{self, Node};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// Place of a record in Kafka's terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Of each partition the offsets, each with a digest of its record's text, once for each time it is held:
/// 16 bytes a record, so that a million are nothing.
#[derive(Debug, Default)]
pub struct Totals(BTreeMap<(String, i32), Vec<(i64, u64)>>);

/// What differs between what was sent and what is held.
#[derive(Debug, Default)]
struct Differences {
    lost: Vec<Place>,
    strange: Vec<Place>,
    doubled: Vec<Place>,
    changed: Vec<Place>,
}

impl Totals {
    pub fn add(&mut self, place: Place, text: &str) {
        let mut digest = DefaultHasher::new();
        text.hash(&mut digest);
        let held = self.0.entry((place.topic, place.partition)).or_default();
        held.push((place.offset, digest.finish()));
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Everything that the log of `node` holds from Kafka, by way of a search for all of it.
    pub fn stored(node: &Node) -> Result<Self> {
        let mut totals = Self::default();
        node.each_line(&["search", "--json", "--limit", "0", "kafka.topic:*"], |line| {
            let place = place(&line).with_context(|| format!("no Kafka place in {line}"))?;
            totals.add(place, line["raw"].as_str().unwrap_or_default());
            Ok(())
        })?;
        Ok(totals)
    }

    /// Fails unless both hold the same texts at the same places, each exactly once.
    pub fn assert_same_as(&self, sent: &Self) -> Result<()> {
        let mut found = Differences::default();
        for partition in self.0.keys().chain(sent.0.keys()).collect::<BTreeSet<_>>() {
            found.compare(partition, &self.of(partition), &sent.of(partition));
        }
        let Differences { lost, strange, doubled, changed } = found;
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

    /// The digests at each offset of a partition.
    fn of(&self, partition: &(String, i32)) -> BTreeMap<i64, Vec<u64>> {
        let mut offsets = BTreeMap::<i64, Vec<u64>>::new();
        for (offset, digest) in self.0.get(partition).into_iter().flatten() {
            offsets.entry(*offset).or_default().push(*digest);
        }
        offsets
    }
}

impl Differences {
    fn compare(
        &mut self,
        (topic, partition): &(String, i32),
        stored: &BTreeMap<i64, Vec<u64>>,
        sent: &BTreeMap<i64, Vec<u64>>,
    ) {
        let place =
            |offset: &i64| Place { topic: topic.clone(), partition: *partition, offset: *offset };
        self.lost.extend(sent.keys().filter(|offset| !stored.contains_key(offset)).map(place));
        for (offset, texts) in stored {
            if texts.len() > 1 {
                self.doubled.push(place(offset));
            }
            match sent.get(offset) {
                None => self.strange.push(place(offset)),
                Some(others) if texts.len() == 1 && texts != others => {
                    self.changed.push(place(offset));
                }
                Some(_) => {}
            }
        }
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
