//! Commit numbers in the order in which a log has them, as runs without gaps.

/// First and last of each run.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<(u64, u64)>);

impl Runs {
    /// Adds a commit, or more of the last one. Commits only rise: else the one that it must not come after.
    pub(crate) fn add(&mut self, commit: u64) -> Result<(), u64> {
        match self.0.last_mut() {
            Some((_, last)) if *last == commit => {}
            Some((_, last)) if *last > commit => return Err(*last),
            Some((_, last)) if *last + 1 == commit => *last = commit,
            _ => self.0.push((commit, commit)),
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (u64, u64)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_follow_each_other_are_one_run_and_one_that_falls_back_is_none() {
        let mut runs = Runs::default();
        let added: Vec<_> = [3, 3, 4, 5, 9, 10, 9, 10, 12].map(|it| runs.add(it)).into();
        let fell: Vec<_> = added.iter().enumerate().filter(|(_, it)| it.is_err()).collect();
        assert_eq!(fell, [(6, &Err(10))]);
        assert_eq!(runs.0, [(3, 5), (9, 10), (12, 12)]);
    }
}
