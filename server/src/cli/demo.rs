//! `custos demo`.

use crate::{demo, exit::CommandResult};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf};

#[derive(Args)]
pub(super) struct Demo {
    /// How fast the day arrives: 1 is about a minute. The times inside the events stay as they are.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Where the console and the API answer [default: 127.0.0.1:8080, or a free port if that one is taken].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Keep everything in this folder; started on it again, the demo goes on where it was.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The same seed tells the same day [default: another one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Below a hundredth a day would take hours; above a thousand the machine sets the pace anyway.
fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1_000.0).contains(&speed) { Ok(speed) } else { Err("0.01 to 1000".to_owned()) }
}

impl Demo {
    pub(super) fn run(self) -> CommandResult {
        let Self { speed, listen, keep, seed } = self;
        demo::run(demo::Demo { speed, listen, keep, seed })
    }
}
