//! What can go wrong, one variant for each thing the caller can do about it.

use custos_event::{Position, commit::ReadError, record::RecordError};
use serde::Serialize;
use std::{io, path::PathBuf};

/// Why the index could not be opened, written or asked.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The index is a projection: delete its folder and build it again from the log.
    #[error("search index in {} is damaged ({what}); delete the folder and rebuild it from the log", dir.display())]
    Damaged { dir: PathBuf, what: String },
    /// Left alone: an older Custos must not destroy what a newer one built.
    #[error(
        "search index in {} is of version {version}, newer than this Custos reads; use the version that wrote it",
        dir.display()
    )]
    Newer { dir: PathBuf, version: u32 },
    /// Another writer holds the index, in this process or another.
    #[error("search index in {} already has a writer", dir.display())]
    Busy { dir: PathBuf },
    /// The disk said no; the index itself is as it was at its last commit.
    #[error("cannot {action} the search index in {}", dir.display())]
    Io {
        action: &'static str,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The log has to give the events of an answer and could not.
    #[error("cannot read events from the log")]
    Log(#[from] ReadError),
    /// The log gave bytes that are no record.
    #[error("event at {position} is unreadable")]
    Record {
        position: Position,
        #[source]
        source: RecordError,
    },
}

/// A query that cannot be read: where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query, column {column}: {message}")]
pub struct QueryError {
    /// What is wrong, for who says it in another language.
    pub fault: QueryFault,
    /// Counted in characters, from 1.
    pub column: usize,
    pub message: String,
}

impl QueryError {
    pub(crate) fn new(fault: QueryFault, column: usize, message: impl Into<String>) -> Self {
        Self { fault, column, message: message.into() }
    }
}

/// What can be wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryFault {
    ConditionMissing,
    EmptyParentheses,
    NameMissing,
    NoName,
    NoOrder,
    NoSuchOperator,
    NoTime,
    NothingFollows,
    NothingToSearch,
    OpenParenthesis,
    OpenQuote,
    PhraseTooLong,
    StrayParenthesis,
    TooDeep,
    TooLong,
    TooManyConditions,
    ValueMissing,
    WildcardInComparison,
    WildcardInName,
}
