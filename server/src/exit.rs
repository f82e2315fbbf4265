//! How a command ends: CLI.md's exit codes, and what is said on stderr.

use custos_store::StoreError;
use std::{io, process::ExitCode};

/// A command that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Done, and what it found is bad news: exit code 1.
    Findings,
}

impl Outcome {
    pub(crate) fn findings_if(found: bool) -> Self {
        if found { Self::Findings } else { Self::Done }
    }

    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Findings => ExitCode::from(1),
        }
    }
}

/// A command that could not.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

pub(crate) type CommandResult = Result<Outcome, Failure>;

impl Failure {
    /// Wrong words on the command line, or a configuration that does not hold: exit code 2.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: error.into() }
    }

    /// An input that could not be read: exit code 3.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 3, error: error.into() }
    }

    /// The store is locked, damaged or of a newer version: exit code 4.
    pub(crate) fn store(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 4, error: error.into() }
    }

    pub(crate) fn into_error(self) -> anyhow::Error {
        self.error
    }

    /// Says the error with its whole chain, once, and gives its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let reader_gone = self
            .error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::BrokenPipe);
        if reader_gone {
            return ExitCode::SUCCESS;
        }
        eprintln!("custos: {:#}", self.error);
        ExitCode::from(self.code)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::store(error)
    }
}

/// Failing to write the output is an I/O failure like an unreadable input.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::input(error)
    }
}
