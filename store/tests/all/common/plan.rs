//! What is to go wrong on the disk in memory, and when.

/// The steps that change something: those that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Create,
    Write,
    Reserve,
    Truncate,
    Sync,
    Rename,
    Remove,
    MakeDir,
    SyncDir,
}

pub const STEPS: [Step; 9] = [
    Step::Create,
    Step::Write,
    Step::Reserve,
    Step::Truncate,
    Step::Sync,
    Step::Rename,
    Step::Remove,
    Step::MakeDir,
    Step::SyncDir,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The power goes before the step, within it (of a write, half is done), or right after it.
    PowerBefore,
    PowerAfter,
    /// The step fails, half done where that can be. A failed sync also forgets which bytes it owes, as
    /// Linux does.
    Eio,
    Enospc,
}

/// What happens at the `nth` step from now on; of one kind, or of any.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub step: Option<Step>,
    pub nth: u64,
    pub what: What,
}
