//! What a rule does without and should not: whom it wakes for what, and by which name it is known.

use super::at;
use crate::rule::{Problem, Rule};

/// Of the rules of a text, what the people who read their alerts will miss.
pub fn lacks(text: &str, rules: &[Rule]) -> Vec<Problem> {
    // What is only counted wakes nobody.
    let is_counted = |rule: &Rule| rules.iter().any(|other| other.counts(rule));
    let telling = rules
        .iter()
        .filter(|rule| (rule.is_detection() || rule.is_correlation()) && !is_counted(rule));
    telling.fold(
        Vec::new(),
        |mut found, rule| {
            if *rule.id.0 == *rule.path {
                let message = "no 'id': the file's name stands for it, and under another name it is another rule; \
                               give it a random UUID";
                found.push(at(text, "title", message.to_owned()));
            } else if !is_uuid(&rule.id.0) {
                let message = format!("id '{}' is no UUID, and another rule may come to have it", rule.id);
                found.push(at(text, "id", message));
            }
            for (key, is_there) in [
                ("level", !rule.level.is_empty()),
                ("description", !rule.description.is_empty()),
                ("title_zh", !rule.title_zh.is_empty()),
            ] {
                if !is_there {
                    found.push(at(text, "title", format!("no '{key}'")));
                }
            }
            if !rule.tags.iter().any(|tag| tag.starts_with("attack.t")) {
                let message = "no tag with a technique of ATT&CK, as attack.t1110 is".to_owned();
                found.push(at(text, "tags", message));
            }
            found
        },
    )
}

fn is_uuid(id: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == 36 && id.bytes().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn what_a_rule_lacks_is_told_and_nothing_of_one_that_has_it() {
        let whole = "title: T\nid: 0f4b5f2a-5f0e-4a51-9d0d-3f0c1c0d9e11\ndescription: D\nlevel: low\n\
                     tags: [attack.t1110]\nlogsource: {product: linux}\n\
                     detection: {s: {f: a}, condition: s}\ncustos: {title_zh: T}\n";
        let told = |text: &str| -> Vec<_> {
            let found = lacks(text, &parse(text, "t.yml").rules);
            found.into_iter().map(|it| (it.line, it.message)).collect()
        };
        assert_eq!(told(whole), []);
        for (from, to, line, expected) in [
            ("id: 0f4b5f2a-5f0e-4a51-9d0d-3f0c1c0d9e11\n", "", 1, "no 'id'"),
            ("0f4b5f2a-5f0e-4a51-9d0d-3f0c1c0d9e11", "''", 1, "no 'id'"),
            ("0f4b5f2a-5f0e-4a51-9d0d-3f0c1c0d9e11", "mine", 2, "'mine' is no UUID"),
            ("level: low\n", "", 1, "no 'level'"),
            ("description: D\n", "", 1, "no 'description'"),
            ("[attack.t1110]", "[attack.execution]", 5, "ATT&CK"),
            ("{title_zh: T}", "{risk: 5}", 1, "no 'title_zh'"),
        ] {
            let found = told(&whole.replace(from, to));
            let [(place, message)] = &found[..] else { unreachable!("{from}: {found:?}") };
            assert!(*place == line && message.contains(expected), "{from}: {found:?}");
        }
    }
}
