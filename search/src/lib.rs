//! The log becomes searchable: tantivy splits by time, block filters, the query language.
//!
//! Read in this order: [`query`] (what a question means), [`schema`] and [`filter`] (what is kept of an
//! event), [`writer`] (how it gets there), [`plan`], [`candidates`], [`fetch`] and [`search`] (how an
//! answer is found), [`histogram`], [`values`] and [`coverage`] (what answers add up to).
//! docs/search.md says the same to users.

mod candidates;
mod coverage;
mod error;
mod fetch;
mod filter;
mod histogram;
mod index;
mod mark;
mod plan;
mod query;
mod schema;
mod search;
mod split;
mod steady;
mod tally;
mod values;
mod writer;

pub use coverage::{Coverage, FieldCoverage};
pub use error::{QueryError, QueryFault, SearchError};
pub use histogram::{BUCKETS_MAX, Buckets, Histogram};
pub use index::{Index, IndexOptions};
pub use mark::{Mark, MarkError};
pub use query::{Matcher, Query, quoted};
pub use schema::{FieldType, field_type};
pub use search::{Hit, Page, Results, SearchRequest, SearchStats, Stop};
pub use tally::ValueCount;
pub use values::{Ask, Values};
pub use writer::IndexWriter;
