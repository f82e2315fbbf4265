//! Passwords: which may be chosen (NIST SP 800-63B, ASVS 5.0 §6.2: length, no rules of composition).

use thiserror::Error;

const CHARS_MIN: usize = 15;
/// Long phrases are welcome; a limit only so that nobody sends a novel.
const BYTES_MAX: usize = 1_024;
/// What has to be left when common words, the names and runs are taken away.
const OWN_CHARS_MIN: usize = 6;

/// Stems of the commonest passwords, and what is near at hand when one is chosen here.
const COMMON: [&str; 22] = [
    "administrator",
    "password",
    "passwort",
    "passwd",
    "security",
    "changeme",
    "letmein",
    "welcome",
    "sunshine",
    "princess",
    "iloveyou",
    "football",
    "baseball",
    "dragon",
    "monkey",
    "master",
    "secret",
    "custos",
    "admin",
    "login",
    "siem",
    "user",
];

/// Keys that lie side by side; either way round.
const RUNS: [&str; 5] =
    ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
/// Fewer neighbours are no run.
const RUN_CHARS_MIN: usize = 4;

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Weak {
    #[error("the password needs at least {CHARS_MIN} characters; a sentence is easy to remember")]
    Short,
    #[error("the password is longer than {BYTES_MAX} bytes")]
    Long,
    #[error(
        "the password is among the first that are guessed: it is mostly repeated or neighbouring \
         characters, common words, or the name of the account or of Custos"
    )]
    Common,
}

/// Whether `name` may choose this password.
pub(crate) fn check(password: &str, name: &str) -> Result<(), Weak> {
    if password.chars().count() < CHARS_MIN {
        return Err(Weak::Short);
    }
    if password.len() > BYTES_MAX {
        return Err(Weak::Long);
    }
    let own = own_part(&password.to_lowercase(), &name.to_lowercase());
    let mut different: Vec<char> = own.chars().collect();
    different.sort_unstable();
    different.dedup();
    if own.chars().count() < OWN_CHARS_MIN || different.len() < OWN_CHARS_MIN - 1 {
        return Err(Weak::Common);
    }
    Ok(())
}

/// What is left without runs, common words, the account's name, and a unit that only repeats.
fn own_part(password: &str, name: &str) -> String {
    let mut text = unrepeated(password).to_owned();
    for word in COMMON.iter().copied().chain(name.split(['.', '-', '_', '@'])) {
        if word.len() >= 3 {
            text = text.replace(word, "");
        }
    }
    let text = without_runs(&text);
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// `abc` of `abcabcabc`.
fn unrepeated(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).skip(1);
    let repeats = |end: &usize| {
        let unit = &text.as_bytes()[..*end];
        text.as_bytes().chunks(*end).all(|chunk| unit.starts_with(chunk))
    };
    ends.take_while(|end| end * 2 <= text.len()).find(repeats).map_or(text, |end| &text[..end])
}

fn without_runs(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut kept = String::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        let run = run_length(&chars[at..]);
        if run >= RUN_CHARS_MIN {
            at += run;
        } else {
            kept.push(*c);
            at += 1;
        }
    }
    kept
}

/// How many characters from here on are neighbours in one direction.
fn run_length(chars: &[char]) -> usize {
    let up = chars.windows(2).take_while(|pair| neighbours(pair[0], pair[1])).count();
    let down = chars.windows(2).take_while(|pair| neighbours(pair[1], pair[0])).count();
    up.max(down) + 1
}

fn neighbours(one: char, next: char) -> bool {
    RUNS.iter().any(|run| run.chars().zip(run.chars().skip(1)).any(|pair| pair == (one, next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_of_ones_own_is_accepted_and_what_is_guessed_first_is_not() {
        for good in [
            "correct horse lamp river",
            "tür-kräftig-leise-nass",
            "门禁系统的密码要足够长才可以用啊",
            "9f3kq0vw82mzxcp",
            "The custos of my heart sings",
        ] {
            assert_eq!(check(good, "lin"), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("short", Weak::Short),
            ("fourteen chars", Weak::Short),
            ("aaaaaaaaaaaaaaaa", Weak::Common),
            ("abcabcabcabcabcabc", Weak::Common),
            ("xkxkxkxkxkxkxkxkxk", Weak::Common),
            ("123456789012345678", Weak::Common),
            ("qwertyuiopasdfghjkl", Weak::Common),
            ("PasswordPassword1!", Weak::Common),
            ("Custos-Admin-2026!!", Weak::Common),
            ("chen.lin.chen.lin.1", Weak::Common),
            ("zyxwvutsrqponmlkji", Weak::Common),
        ] {
            assert_eq!(check(bad, "chen.lin"), Err(why), "{bad}");
        }
        assert_eq!(check(&"a long one ".repeat(200), "lin"), Err(Weak::Long));
    }
}
