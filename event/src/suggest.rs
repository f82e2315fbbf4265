//! "Did you mean …?": the nearest known word.

/// `; did you mean 'x'?` for the candidate within two edits of `word`, else nothing.
pub fn did_you_mean<'c>(word: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let near = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance);
    near.map_or_else(String::new, |(_, candidate)| format!("; did you mean '{candidate}'?"))
}

/// Levenshtein's distance, by bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 || a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let next = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = next;
            left = next;
        }
        row[0] = i + 1;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["startswith", "endswith", "contains"];
        assert_eq!(did_you_mean("startwith", known), "; did you mean 'startswith'?");
        assert_eq!(did_you_mean("conatins", known), "; did you mean 'contains'?");
        assert_eq!(did_you_mean("begins", known), "");
    }
}
