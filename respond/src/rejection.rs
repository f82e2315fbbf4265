//! Why a command is refused: one variant for each answer that a caller can give.

/// A command that changes nothing, and what to tell who gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such incident, run, step or task.
    #[error("there is no {0}")]
    Unknown(String),
    /// The person may not do this, whatever the state is.
    #[error("{0}")]
    Forbidden(String),
    /// It was so when it was asked and is no more; the text says what is true now.
    #[error("{0}")]
    Conflict(String),
    /// The command's own words do not hold.
    #[error("{0}")]
    Wrong(String),
}

impl Rejection {
    pub fn unknown(what: impl std::fmt::Display) -> Self {
        Self::Unknown(what.to_string())
    }

    pub fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden(why.into())
    }

    pub fn conflict(now: impl Into<String>) -> Self {
        Self::Conflict(now.into())
    }

    pub fn wrong(why: impl Into<String>) -> Self {
        Self::Wrong(why.into())
    }
}

/// Longest text that a person gives: a comment, a reason, a title is not a file.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

/// A person's text, trimmed; refused when empty or too long.
pub fn text(what: &str, given: &str) -> Result<String, Rejection> {
    let given = given.trim();
    if given.is_empty() {
        return Err(Rejection::wrong(format!("{what} is empty; write at least a word")));
    }
    if given.len() > TEXT_BYTES_MAX {
        let text = format!("{what} has {} bytes, at most {TEXT_BYTES_MAX} are kept", given.len());
        return Err(Rejection::wrong(text));
    }
    Ok(given.to_owned())
}

/// A person as texts name them.
pub fn name(actor: &custos_event::Actor) -> &str {
    use custos_event::Actor::{Operator, System, Token, User};
    match actor {
        User { name } | Token { name } | Operator { name } => name,
        System { part } => part,
    }
}
