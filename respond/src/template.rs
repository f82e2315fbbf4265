//! Texts with look-ups: `{inputs.address}`. A look-up gives a value that is there already; nothing is computed,
//! called or read from outside. `{{` and `}}` stand for the braces themselves.

use serde_json::Value;

/// Look-ups inside one text; more is no text that a person can read.
const LOOKUPS_MAX: usize = 32;
/// What a filled text may grow to.
const FILLED_BYTES_MAX: usize = 16 << 10;

/// A text that cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("'{0}' has a '{{' without its '}}'; write '{{{{' for the brace itself")]
    Open(String),
    #[error("'{0}' has a '}}' without its '{{'; write '}}}}' for the brace itself")]
    Close(String),
    #[error("'{{{0}}}' is no look-up; expected names joined by dots, as in {{inputs.address}}")]
    Path(String),
    #[error("more than {LOOKUPS_MAX} look-ups in one text")]
    Many,
    #[error("'{{{0}}}' has no value")]
    Missing(String),
    #[error("'{{{0}}}' is a list or an object, which fits into no text")]
    Shape(String),
    #[error("the filled text has more than {FILLED_BYTES_MAX} bytes")]
    Long,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// `inputs.address`
    Lookup(String),
}

/// The parts of `text`.
pub fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some(after) = from.strip_prefix('{') {
            let (path, after) =
                after.split_once('}').ok_or_else(|| TemplateError::Open(text.into()))?;
            if !is_path(path) {
                return Err(TemplateError::Path(path.into()));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Lookup(path.into()));
            rest = after;
        } else {
            return Err(TemplateError::Close(text.into()));
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    if parts.len() > LOOKUPS_MAX * 2 {
        return Err(TemplateError::Many);
    }
    Ok(parts)
}

/// Whether `text` is names joined by dots.
pub fn is_path(text: &str) -> bool {
    let name = |part: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !part.is_empty() && part.len() <= 64 && part.chars().all(word)
    };
    text.split('.').all(name) && text.split('.').count() <= 8
}

/// The value at `path`; null where there is none.
pub fn look_up<'v>(values: &'v Value, path: &str) -> &'v Value {
    let step = |value: &'v Value, name: &str| match value {
        Value::Object(map) => map.get(name).unwrap_or(&Value::Null),
        Value::Array(items) => {
            name.parse::<usize>().ok().and_then(|at| items.get(at)).unwrap_or(&Value::Null)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => &Value::Null,
    };
    path.split('.').fold(values, step)
}

/// `text` with every look-up filled in.
pub fn fill(text: &str, values: &Value) -> Result<String, TemplateError> {
    fill_with(text, values, String::push_str)
}

/// The same for a part of a URL's path: what is looked up is percent-encoded, so that it stays one segment.
pub fn fill_path(text: &str, values: &Value) -> Result<String, TemplateError> {
    fill_with(text, values, percent_encode)
}

fn fill_with(
    text: &str,
    values: &Value,
    put: impl Fn(&mut String, &str),
) -> Result<String, TemplateError> {
    let mut out = String::new();
    for part in parts(text)? {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Lookup(path) => put(&mut out, &scalar(values, &path)?),
        }
        if out.len() > FILLED_BYTES_MAX {
            return Err(TemplateError::Long);
        }
    }
    Ok(out)
}

/// `value` with every text in it filled. A text that is one look-up and nothing else keeps the value's type.
pub fn fill_json(value: &Value, values: &Value) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => match parts(text)?.as_slice() {
            [Part::Lookup(path)] => {
                let found = look_up(values, path);
                if found.is_null() {
                    return Err(TemplateError::Missing(path.clone()));
                }
                found.clone()
            }
            _ => Value::String(fill(text, values)?),
        },
        Value::Array(items) => Value::Array(
            items.iter().map(|item| fill_json(item, values)).collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => {
            let filled = map.iter().map(|(key, v)| Ok((key.clone(), fill_json(v, values)?)));
            Value::Object(filled.collect::<Result<_, TemplateError>>()?)
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain.clone(),
    })
}

fn scalar(values: &Value, path: &str) -> Result<String, TemplateError> {
    match look_up(values, path) {
        Value::Null => Err(TemplateError::Missing(path.into())),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Number(n) => Ok(n.to_string()),
        Value::Array(_) | Value::Object(_) => Err(TemplateError::Shape(path.into())),
    }
}

/// RFC 3986's unreserved characters stay; `.` does not, so that no segment becomes `..`.
fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else if byte == b'.' && !text.bytes().all(|b| b == b'.') {
            out.push('.');
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> Value {
        json!({"inputs": {"who": "svc/../x", "n": 3, "yes": true, "list": [{"a": 7}]}, "dots": ".."})
    }

    #[test]
    fn look_ups_are_filled_and_keep_their_type_where_they_stand_alone() {
        let values = values();
        assert_eq!(fill("{inputs.n} of {{x}}", &values).unwrap(), "3 of {x}");
        let filled = fill_json(&json!({"a": "{inputs.n}", "b": ["n={inputs.n}", null]}), &values);
        assert_eq!(filled.unwrap(), json!({"a": 3, "b": ["n=3", null]}));
        assert_eq!(fill("{inputs.list.0.a}", &values).unwrap(), "7");
    }

    #[test]
    fn what_is_looked_up_stays_one_segment_of_a_path() {
        let values = values();
        assert_eq!(fill_path("/users/{inputs.who}", &values).unwrap(), "/users/svc%2F..%2Fx");
        assert_eq!(fill_path("/users/{dots}/x", &values).unwrap(), "/users/%2E%2E/x");
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        for (text, part) in [
            ("{inputs.gone}", "no value"),
            ("{inputs.list}", "a list"),
            ("{inputs.n", "without its '}'"),
            ("n}", "without its '{'"),
            ("{1 + 1}", "no look-up"),
            ("{}", "no look-up"),
            ("{{{inputs}}}", "a list or an object"),
        ] {
            let error = fill(text, &values()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
