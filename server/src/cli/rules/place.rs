//! Where rules live: a data folder that nobody else has open, or a running server.

use crate::{
    cli::{Data, log::existing},
    exit::Failure,
    folder::Opened,
    pipeline::follow::catch_up,
    projection::follower::{Views, ViewsFollower},
    remote::Server,
};
use clap::Args;

#[derive(Args)]
pub(super) struct At {
    #[command(flatten)]
    pub(super) data: Data,
    #[command(flatten)]
    pub(super) server: Server,
}

impl At {
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        existing(&self.data)?.open(false)
    }
}

/// What the folder's log adds up to.
pub(super) fn views(opened: &Opened) -> Result<Views, Failure> {
    let views = Views::open(opened.journal()?.catalog(), &opened.store).map_err(Failure::store)?;
    let (mut follower, cursor) = (ViewsFollower::new(&views), views.cursor());
    catch_up(&opened.store, &opened.table, &cursor, &mut follower).map_err(Failure::store)?;
    Ok(views)
}
