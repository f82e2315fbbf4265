//! Suppression of a rule, in its `custos:` block: of alike matches within a time one alert, and a count of the rest.

use super::{Problem, block::Block, yaml::Node};

/// A start reads the log again for as long as an alert may hold others back.
const WITHIN_MAX: (i64, &str) = (86_400, "24h");

/// Which matches are alike, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppress {
    /// Sigma fields; matches with the same values are alike. All matches are, where there are none.
    pub(crate) by: Vec<String>,
    /// In nanoseconds.
    pub(crate) within: i64,
}

/// That of a rule's document.
pub(super) fn read(document: &Node) -> Result<Option<Suppress>, Vec<Problem>> {
    let because = "a correlation raises one alert a group and timespan already";
    let Some(mut block) = Block::find(document, "suppress", because, &["by", "within"])? else {
        return Ok(None);
    };
    let by = block.fields("by");
    let within =
        block.span("within", None, WITHIN_MAX, "each start reads the log again for as long");
    block.done(Suppress { by, within })
}
