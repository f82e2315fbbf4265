//! Leaf queries that are asked only what they can answer.
//!
//! tantivy 0.27 gives some scorers a `seek_danger` that may leave them in no valid state and that must only
//! be asked about ever later events. Its own exclusion (`MustNot`) and intersections do not keep to that:
//! phrases and ranges then fail an assertion or subtract below zero. Without a `seek_danger` of its own a
//! scorer gets the trait's, which is made of `seek` and `doc` and safe in any order. The price: a range
//! beside a rare term looks at 128 values a step, not at one.

use tantivy::{
    DocId, DocSet, Score, SegmentReader, TantivyError,
    query::{EnableScoring, Explanation, Query, Scorer, Weight},
};

/// A query whose scorer has the plain `seek_danger`.
#[derive(Debug)]
pub(crate) struct Steady(Box<dyn Query>);

impl Clone for Steady {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Steady {
    pub(crate) fn boxed(query: impl Query) -> Box<dyn Query> {
        Box::new(Self(Box::new(query)))
    }
}

struct SteadyWeight(Box<dyn Weight>);

struct SteadyScorer(Box<dyn Scorer>);

impl Query for Steady {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(SteadyWeight(self.0.weight(scoring)?)))
    }
}

impl Weight for SteadyWeight {
    fn scorer(&self, split: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(SteadyScorer(self.0.scorer(split, boost)?)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("Custos gives no scores".into()))
    }
}

impl DocSet for SteadyScorer {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for SteadyScorer {
    fn score(&mut self) -> Score {
        0.0
    }
}
