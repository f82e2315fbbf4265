//! Values of customers and secrets: they reach the log and its readers, never Custos' own logs.

use std::fmt;

/// Prints `‹redacted›` wherever it is formatted; the value is taken out by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private<T>(T);

impl<T> Private<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never pass it to a log line or an error text.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_value_never_prints() {
        let secret = Private::new("4111111111111111".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "‹redacted› ‹redacted›");
        assert_eq!(secret.reveal(), "4111111111111111");
    }
}
