//! Raising what a source calls its own way to its ECS name, by tables that are resolved once.

use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef};
use std::net::IpAddr;

/// One row: an ECS field and the native name whose value it has.
pub(crate) type Row = (FieldId, &'static str);

/// Rows with their names resolved. Rows of one ECS field that follow each other are alternatives: the
/// first that has a usable value wins.
#[derive(Debug, Default)]
pub(crate) struct Raises(Box<[(FieldId, FieldId)]>);

impl Raises {
    pub(crate) fn new(table: &FieldTable, rows: &[Row]) -> Self {
        Self(rows.iter().map(|(ecs, native)| (*ecs, table.intern(native))).collect())
    }

    pub(crate) fn apply(&self, event: &mut ParsedEvent) {
        let mut filled = FieldId::OVERFLOW;
        for (ecs, native) in &self.0 {
            if *ecs != filled && raise(event, *ecs, *native) {
                filled = *ecs;
            }
        }
    }

    /// The same for an event that may have ECS fields of its own: those stay as they are.
    pub(crate) fn apply_missing(&self, event: &mut ParsedEvent) {
        for (ecs, native) in &self.0 {
            if event.get(*ecs).is_none() {
                raise(event, *ecs, *native);
            }
        }
    }
}

/// `-`, the empty string and null say that there is no value.
pub(crate) fn is_usable(value: ValueRef<'_>) -> bool {
    !matches!(value, ValueRef::Null | ValueRef::Str("" | "-"))
}

/// Lets `ecs` be what `native` is, if that is usable.
pub(crate) fn raise(event: &mut ParsedEvent, ecs: FieldId, native: FieldId) -> bool {
    event.get(native).is_some_and(is_usable) && event.alias(ecs, native)
}

/// Lets `ip` be the address that `native` holds; a v4 address in v6 form becomes plain v4. What is no
/// address (a name, `AWS Internal`, `LOCAL`) goes to `otherwise`.
pub(crate) fn raise_ip(
    event: &mut ParsedEvent,
    ip: FieldId,
    otherwise: FieldId,
    native: FieldId,
) -> bool {
    let Some(text) = event.str(native).filter(|text| is_usable(ValueRef::Str(text))) else {
        return false;
    };
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(plain) => {
                add(event, ip, &plain.to_string());
                true
            }
            None => event.alias(ip, native),
        },
        Ok(IpAddr::V4(_)) => event.alias(ip, native),
        Err(_) => event.alias(otherwise, native),
    }
}

pub(crate) fn add(event: &mut ParsedEvent, field: FieldId, text: &str) {
    event.add(field, ValueRef::Str(text));
}

/// Adds several texts at once.
pub(crate) fn add_all(event: &mut ParsedEvent, values: &[(FieldId, &str)]) {
    for (field, value) in values {
        add(event, *field, value);
    }
}

/// Adds a text unless it says that there is none.
pub(crate) fn add_some(event: &mut ParsedEvent, field: FieldId, text: Option<&str>) {
    if let Some(text) = text.filter(|text| is_usable(ValueRef::Str(text))) {
        add(event, field, text);
    }
}

/// The part after the last slash of either kind.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// Lower case; what is neither letter, digit nor one of `._` becomes one `-`.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() || letter == '_' || letter == '.' {
            slug.extend(letter.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_plain_name() {
        for (text, expected) in [
            ("Windows Defender/Operational", "windows-defender-operational"),
            ("  (x)  ", "x"),
            ("a.b_c", "a.b_c"),
            ("", ""),
        ] {
            assert_eq!(slug(text), expected);
        }
        assert_eq!(base_name(r"C:\a/b.exe"), "b.exe");
    }
}
