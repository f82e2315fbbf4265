//! What the end-to-end tests share: real parts started and ended, real data, and the binary under test.
//!
//! Nothing here imports another crate of the workspace: these tests see Custos as a user does, by its
//! command line, its ports and its files.

pub mod api;
pub mod browser;
pub mod certificates;
pub mod clients;
pub mod crm;
pub mod custos;
pub mod data;
pub mod demo;
pub mod guest;
pub mod http;
pub mod kafka;
pub mod kafka_secured;
pub mod process;
pub mod s3;
pub mod server;
pub mod slapd;
pub mod snippets;
pub mod stand_in;
pub mod totals;
pub mod wait;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
