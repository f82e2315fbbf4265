//! Who asks, and what they may do.

pub(crate) mod permission;
pub(crate) mod token;

pub(crate) use permission::{Permission, Permissions};
