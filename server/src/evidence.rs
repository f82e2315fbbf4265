//! Evidence: proofs of single records, incidents as bundles that are checked without Custos, and what is known
//! of the logs' integrity, this node's and others'.

pub(crate) mod export;
pub(crate) mod heads;
pub(crate) mod known;
pub(crate) mod prove;
pub(crate) mod verification;
